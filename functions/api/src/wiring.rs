//! Wires the function: configuration, log, clients, handler.

use crate::connect::Connect;
use crate::health::Queues;
use crate::router::Api;
use lambda_http::{Error, Request, RequestExt, service_fn};
use paygraph_bus::{EventBridge, Queue};
use paygraph_domain::settings::Settings;
use paygraph_engine::connect::{Connector, Place};
use paygraph_engine::ports::Clock;
use paygraph_engine::process::Engine;
use paygraph_runtime::config::{ApiConfig, Config, environment};
use paygraph_runtime::secrets::SecretsManager;
use paygraph_runtime::{aws, telemetry};
use paygraph_store::DynamoStore;

/// Answers invocations until the process ends. The code is generic over the clock, so that the crate
/// that starts the function compiles it.
///
/// # Errors
/// If a variable of the environment is missing or wrong, or if Lambda does not answer.
pub async fn run<C: Clock + Copy>(clock: C) -> Result<(), Error> {
    let config = ApiConfig::read(&environment())?;
    telemetry::init(config.log);
    let sdk = aws::sdk_config(&config.aws);
    let dynamo = aws_sdk_dynamodb::Client::new(&sdk);
    let store = DynamoStore::new(dynamo, config.table, Settings::example()?);
    let sqs = aws_sdk_sqs::Client::new(&sdk);
    let secrets = aws_sdk_secretsmanager::Client::new(&sdk);
    let connect = Connect {
        connector: Connector {
            store: store.clone(),
            secrets: SecretsManager::new(secrets, config.stripe.secrets_prefix),
            import: Queue::new(sqs.clone(), config.jobs_queue_url),
            place: Place::new(config.stripe.url, config.stripe_client_id, config.livemode),
        },
        public_url: config.public_url,
    };
    let api = Api {
        engine: Engine::alone(store, clock),
        publisher: EventBridge::new(aws_sdk_eventbridge::Client::new(&sdk), config.event_bus),
        queues: Queues {
            ingest: Queue::new(sqs.clone(), config.queue_url),
            dead_letters: Queue::new(sqs, config.dlq_url),
        },
        connect,
    };
    lambda_http::run(service_fn(async |request: Request| {
        let id = request
            .lambda_context_ref()
            .map_or("", |context| context.request_id.as_str());
        Ok::<_, Error>(api.handle(&request, id).await)
    }))
    .await
}

//! Wires the function: configuration, log, clients, handler.

use crate::Reconciler;
use aws_lambda_events::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use paygraph_bus::dead_letters::DeadLetterQueue;
use paygraph_bus::{EventBridge, Queue};
use paygraph_domain::id::TenantId;
use paygraph_domain::settings::Settings;
use paygraph_engine::connect::Connected;
use paygraph_engine::ports::Clock;
use paygraph_engine::process::Engine;
use paygraph_runtime::clock::SystemClock;
use paygraph_runtime::config::{Config as _, ReconcileConfig, environment};
use paygraph_runtime::secrets::SecretsManager;
use paygraph_runtime::{aws, telemetry};
use paygraph_store::DynamoStore;
use paygraph_stripe::client::{Connections, Limits, STRIPE_URL};

/// Answers invocations until the process ends. The code is generic over the clock, so that the crate
/// that starts the function compiles it.
///
/// # Errors
/// If a variable of the environment is missing or wrong, or if Lambda does not answer.
pub async fn run<C: Clock + Copy>(clock: C) -> Result<(), Error> {
    let config = ReconcileConfig::read(&environment())?;
    telemetry::init(config.log);
    let sdk = aws::sdk_config(&config.aws);
    let dynamo = aws_sdk_dynamodb::Client::new(&sdk);
    let sqs = aws_sdk_sqs::Client::new(&sdk);
    let secrets = SecretsManager::new(
        aws_sdk_secretsmanager::Client::new(&sdk),
        config.stripe.secrets_prefix,
    );
    let url = config.stripe.url.unwrap_or_else(|| STRIPE_URL.to_owned());
    let limits = Limits {
        share: config.share,
        ..Limits::default()
    };
    let store = DynamoStore::new(dynamo, config.table, Settings::example()?);
    let connections = Connections::new(secrets.clone(), url, limits);
    let reconciler = Reconciler {
        engine: Engine {
            store: store.clone(),
            clock,
            livemode: config.livemode,
            fetch: Connected::new(connections, store, secrets),
        },
        publisher: EventBridge::new(aws_sdk_eventbridge::Client::new(&sdk), config.event_bus),
        jobs: Queue::new(sqs.clone(), config.jobs_url),
        ingest: Queue::new(sqs.clone(), config.queue_url),
        dead_letters: DeadLetterQueue::new(sqs, config.dlq_url),
        platform_tenant: TenantId::parse(config.platform_tenant)?,
    };
    let handle = service_fn(async |event: LambdaEvent<SqsEvent>| {
        let left = SystemClock.left(event.context.deadline);
        Ok::<_, Error>(reconciler.handle(&event.payload, left).await)
    });
    lambda_runtime::run(handle).await
}

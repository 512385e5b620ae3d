//! Wires the function: configuration, log, clients, handler.

use crate::batch::Worker;
use aws_lambda_events::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use paygraph_bus::EventBridge;
use paygraph_bus::dead_letters::DeadLetterQueue;
use paygraph_domain::id::TenantId;
use paygraph_domain::settings::Settings;
use paygraph_engine::connect::Connected;
use paygraph_engine::ports::Clock;
use paygraph_engine::ports::UNCONNECTED;
use paygraph_engine::process::Engine;
use paygraph_runtime::clock::SystemClock;
use paygraph_runtime::config::{Config as _, WorkerConfig, environment};
use paygraph_runtime::secrets::SecretsManager;
use paygraph_runtime::{aws, telemetry};
use paygraph_store::DynamoStore;
use paygraph_stripe::client::{Connections, Limits, STRIPE_URL};
use std::sync::atomic::AtomicI64;

/// How much of Stripe's limits one worker may use, in percent: ten at once stay below half.
const LIVE_SHARE: u32 = 4;

/// Answers invocations until the process ends. The code is generic over the clock, so that the crate
/// that starts the function compiles it.
///
/// # Errors
/// If a variable of the environment is missing or wrong, or if Lambda does not answer.
pub async fn run<C: Clock + Copy>(clock: C) -> Result<(), Error> {
    let config = WorkerConfig::read(&environment())?;
    telemetry::init(config.log);
    let sdk = aws::sdk_config(&config.aws);
    let dynamo = aws_sdk_dynamodb::Client::new(&sdk);
    let store = DynamoStore::new(dynamo, config.table, Settings::example()?);
    let secrets = SecretsManager::new(
        aws_sdk_secretsmanager::Client::new(&sdk),
        config.stripe.secrets_prefix,
    );
    let url = config.stripe.url.unwrap_or_else(|| STRIPE_URL.to_owned());
    let limits = Limits {
        share: LIVE_SHARE,
        ..Limits::default()
    };
    let connections = Connections::new(secrets.clone(), url, limits);
    let connected = Connected::new(connections, store.clone(), secrets);
    let worker = Worker {
        pulse: store.clone(),
        engine: Engine {
            store,
            clock,
            livemode: config.livemode,
            fetch: connected,
        },
        publisher: EventBridge::new(aws_sdk_eventbridge::Client::new(&sdk), config.event_bus),
        dead_letters: DeadLetterQueue::new(aws_sdk_sqs::Client::new(&sdk), config.dlq_url),
        unconnected: TenantId::parse(UNCONNECTED)?,
        last_beat: AtomicI64::new(0),
    };
    let handle = service_fn(async |event: LambdaEvent<SqsEvent>| {
        let left = SystemClock.left(event.context.deadline);
        // Boxed: within the runtime's own futures its type is deeper than the compiler follows.
        Ok::<_, Error>(Box::pin(worker.handle(&event.payload, left)).await)
    });
    lambda_runtime::run(handle).await
}

//! Wires the function: configuration, log, clients, handler.

use crate::failed::Queue;
use crate::handler::Target;
use crate::input::{Answer, Input};
use crate::log::Stdout;
use crate::nats::Nats;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use paygraph_bus::dead_letters::DeadLetterQueue;
use paygraph_domain::id::TenantId;
use paygraph_domain::settings::Settings;
use paygraph_engine::Deadline;
use paygraph_engine::ports::Clock;
use paygraph_runtime::clock::SystemClock;
use paygraph_runtime::config::{Config as _, GreenlightConfig, environment};
use paygraph_runtime::secrets::SecretsManager;
use paygraph_runtime::{aws, telemetry};
use paygraph_store::DynamoStore;
use serde_json::Value;

/// Answers invocations until the process ends. The code is generic over the clock, so that the crate
/// that starts the function compiles it.
///
/// # Errors
/// If a variable of the environment is missing or wrong, or if Lambda does not answer.
pub async fn run<C: Clock + Copy>(clock: C) -> Result<(), Error> {
    let config = GreenlightConfig::read(&environment())?;
    telemetry::init(config.log);
    let sdk = aws::sdk_config(&config.aws);
    let dynamo = aws_sdk_dynamodb::Client::new(&sdk);
    let secrets = aws_sdk_secretsmanager::Client::new(&sdk);
    let sqs = aws_sdk_sqs::Client::new(&sdk);
    let target = Target {
        store: DynamoStore::new(dynamo, config.table, Settings::example()?),
        clock,
        nats: Nats::new(
            SecretsManager::new(secrets, config.secrets_prefix),
            SystemClock,
        ),
        log: Stdout,
        entity: config.entity,
    };
    let platform = TenantId::parse(config.platform_tenant)?;
    let dead_letters = DeadLetterQueue::new(sqs.clone(), config.dlq_url);
    let failures = Queue::new(sqs, config.ingest_dlq_url);
    let handle = service_fn(async |event: LambdaEvent<Value>| {
        let deadline = Deadline::after(SystemClock.left(event.context.deadline));
        Ok::<_, Error>(match Input::parse(event.payload)? {
            Input::Queue(batch) => Answer::Queue(target.queue(&batch, &dead_letters).await),
            Input::Schedule(schedule) => {
                let done = target.schedule(schedule, &platform, &failures, deadline);
                Answer::Schedule(done.await?)
            }
        })
    });
    lambda_runtime::run(handle).await
}

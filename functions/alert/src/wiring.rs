//! Wires the function: configuration, log, clients, handler.

use crate::handler::Target;
use crate::slack::Slack;
use crate::topic::{SNS, Topic};
use aws_lambda_events::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use paygraph_bus::dead_letters::DeadLetterQueue;
use paygraph_domain::settings::Settings;
use paygraph_engine::ports::Clock;
use paygraph_runtime::aws::signed::SignedClient;
use paygraph_runtime::clock::SystemClock;
use paygraph_runtime::config::{AlertConfig, Config, environment};
use paygraph_runtime::http::Http;
use paygraph_runtime::secrets::SecretsManager;
use paygraph_runtime::{aws, telemetry};
use paygraph_store::DynamoStore;

/// Answers invocations until the process ends. The code is generic over the clock, so that the crate
/// that starts the function compiles it.
///
/// # Errors
/// If a variable of the environment is missing or wrong, or if Lambda does not answer.
pub async fn run<C: Clock + Copy>(clock: C) -> Result<(), Error> {
    let config = AlertConfig::read(&environment())?;
    telemetry::init(config.log);
    let sdk = aws::sdk_config(&config.aws);
    let dynamo = aws_sdk_dynamodb::Client::new(&sdk);
    let secrets = aws_sdk_secretsmanager::Client::new(&sdk);
    let secrets = SecretsManager::new(secrets, config.secrets_prefix);
    let dead_letters = DeadLetterQueue::new(aws_sdk_sqs::Client::new(&sdk), config.dlq_url);
    let target = Target::new(
        DynamoStore::new(dynamo, config.table, Settings::example()?),
        clock,
        Slack::new(secrets, Http::new()?),
        Topic::new(SignedClient::new(&config.aws, SNS)?, config.topic_arn),
    );
    lambda_runtime::run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        let left = SystemClock.left(event.context.deadline);
        Ok::<_, Error>(target.handle(&event.payload, &dead_letters, left).await)
    }))
    .await
}

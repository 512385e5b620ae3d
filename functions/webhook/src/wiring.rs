//! Wires the function: configuration, log, clients, handler.

use crate::gateway::Request;
use crate::handler::Webhook;
use crate::queue::SqsQueue;
use aws_sdk_secretsmanager::Client as SecretsClient;
use aws_sdk_sqs::Client as SqsClient;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use paygraph_domain::id::TenantId;
use paygraph_runtime::clock::SystemClock;
use paygraph_runtime::config::{Config as _, WebhookConfig, environment};
use paygraph_runtime::secrets::SecretsManager;
use paygraph_runtime::{aws, telemetry};

/// Answers invocations until the process ends.
///
/// # Errors
/// If a variable of the environment is missing or wrong, or if Lambda does not answer.
pub async fn run() -> Result<(), Error> {
    let config = WebhookConfig::read(&environment())?;
    telemetry::init(config.log);
    let sdk = aws::sdk_config(&config.aws);
    let webhook = Webhook::new(
        SqsQueue::new(SqsClient::new(&sdk), config.queue_url),
        SecretsManager::new(SecretsClient::new(&sdk), config.secrets_prefix),
        SystemClock,
        TenantId::parse(config.platform_tenant)?,
    );
    let handle = service_fn(async |event: LambdaEvent<Request>| {
        Ok::<_, Error>(Box::pin(webhook.handle(&event.payload)).await)
    });
    tokio::join!(lambda_runtime::run(handle), webhook.warm_up()).0
}

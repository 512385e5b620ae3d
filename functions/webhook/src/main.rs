//! Wires the function: settings, log, clients, run.
use aws_sdk_secretsmanager::Client as SecretsClient;
use aws_sdk_sqs::Client as SqsClient;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use paygraph_domain::id::TenantId;
use paygraph_runtime::clock::SystemClock;
use paygraph_runtime::config::{Config as _, WebhookConfig, environment};
use paygraph_runtime::secrets::SecretsManager;
use paygraph_runtime::{aws, telemetry};
use paygraph_webhook::gateway::Request;
use paygraph_webhook::handler::Webhook;
use paygraph_webhook::queue::SqsQueue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
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

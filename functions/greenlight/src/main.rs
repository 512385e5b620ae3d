//! Wires the function: settings, log, clients, run.
use std::io::Write;

use aws_lambda_events::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use paygraph_domain::settings::Settings;
use paygraph_greenlight::handler::handle;
use paygraph_runtime::config::{GreenlightConfig, environment};
use paygraph_runtime::{aws, telemetry};
use paygraph_store::DynamoStore;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = GreenlightConfig::read(&environment())?;
    telemetry::init(config.log);
    let sdk = aws::sdk_config(&config.aws);
    let dynamo = aws_sdk_dynamodb::Client::new(&sdk);
    let store = DynamoStore::new(dynamo, config.table, Settings::example()?);
    lambda_runtime::run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        let (lines, response) = handle(&store, config.entity, &event.payload).await;
        let mut out = std::io::stdout().lock();
        for line in lines {
            writeln!(out, "{line}")?;
        }
        out.flush()?;
        Ok::<_, Error>(response)
    }))
    .await
}

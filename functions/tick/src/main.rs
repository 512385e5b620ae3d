//! Wires the function: settings, log, clients, run.
use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use paygraph_bus::EventBridge;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_runtime::clock::{Clock, SystemClock};
use paygraph_runtime::config::{TickConfig, environment};
use paygraph_runtime::{aws, telemetry};
use paygraph_store::DynamoStore;
use paygraph_tick::{ScheduleEvent, sweep};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = TickConfig::read(&environment())?;
    telemetry::init(config.log);
    let sdk = aws::sdk_config(&config.aws);
    let dynamo = aws_sdk_dynamodb::Client::new(&sdk);
    let store = DynamoStore::new(dynamo, config.table, Settings::example()?);
    let bus = EventBridge::new(aws_sdk_eventbridge::Client::new(&sdk), config.event_bus);
    let handle = service_fn(async |event: LambdaEvent<ScheduleEvent>| {
        let clock = SystemClock.now();
        let until = i64::try_from(event.context.deadline / 1000).unwrap_or(i64::MAX);
        let left = u64::try_from(until.saturating_sub(clock)).unwrap_or(0);
        let now = event
            .payload
            .instant(Timestamp::from_unix(clock).unwrap_or_default());
        Ok::<_, Error>(sweep(&store, &bus, now, Duration::from_secs(left)).await?)
    });
    lambda_runtime::run(handle).await
}

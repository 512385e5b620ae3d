//! Wires the function: configuration, log, clients, handler.

use crate::{Report, sweep};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use paygraph_bus::EventBridge;
use paygraph_bus::schedule::ScheduleEvent;
use paygraph_domain::settings::Settings;
use paygraph_engine::Deadline;
use paygraph_engine::ports::Clock;
use paygraph_engine::process::Engine;
use paygraph_runtime::clock::SystemClock;
use paygraph_runtime::config::{Config as _, TickConfig, environment};
use paygraph_runtime::{aws, telemetry};
use paygraph_store::DynamoStore;

/// Answers invocations until the process ends. The code is generic over the clock, so that the crate
/// that starts the function compiles it.
///
/// # Errors
/// If a variable of the environment is missing or wrong, or if Lambda does not answer.
pub async fn run<C: Clock + Copy>(clock: C) -> Result<(), Error> {
    let config = TickConfig::read(&environment())?;
    telemetry::init(config.log);
    let sdk = aws::sdk_config(&config.aws);
    let dynamo = aws_sdk_dynamodb::Client::new(&sdk);
    let store = DynamoStore::new(dynamo, config.table, Settings::example()?);
    let bus = EventBridge::new(aws_sdk_eventbridge::Client::new(&sdk), config.event_bus);
    let engine = Engine::alone(store, clock);
    let handle = service_fn(async |event: LambdaEvent<ScheduleEvent>| {
        let left = || SystemClock.left(event.context.deadline);
        let now = event.payload.instant(clock.now());
        // The sweep takes at most half of the time. The tick runs even if the sweep fails.
        let swept = sweep(&engine.store, &bus, now, left() / 2).await;
        let ticked = engine.tick(&bus, now, Deadline::after(left())).await?;
        tracing::info!(
            contacts = ticked.contacts,
            events = ticked.events,
            failed = ticked.failed,
            unfinished = ticked.unfinished,
            "Time has passed"
        );
        if swept.failed > 0 {
            return Err(Error::from("entries could not be swept"));
        }
        if ticked.failed > 0 {
            return Err(Error::from("contacts could not be computed"));
        }
        Ok::<_, Error>(Report { swept, ticked })
    });
    lambda_runtime::run(handle).await
}

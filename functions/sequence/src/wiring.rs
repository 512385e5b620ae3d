//! Wires the function: configuration, log, clients, handler.

use crate::handler::{Input, Target};
use crate::ses::{SES, Ses};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use paygraph_bus::EventBridge;
use paygraph_bus::dead_letters::DeadLetterQueue;
use paygraph_domain::settings::Settings;
use paygraph_engine::Deadline;
use paygraph_engine::email::Post;
use paygraph_engine::ports::Clock;
use paygraph_engine::process::Engine;
use paygraph_engine::sequence::Sequencer;
use paygraph_runtime::aws::signed::SignedClient;
use paygraph_runtime::clock::SystemClock;
use paygraph_runtime::config::{Config as _, SequenceConfig, environment};
use paygraph_runtime::{aws, telemetry};
use paygraph_store::DynamoStore;
use serde_json::Value;

/// Answers invocations until the process ends. The code is generic over the clock, so that the crate
/// that starts the function compiles it.
///
/// # Errors
/// If a variable of the environment is missing or wrong, or if Lambda does not answer.
pub async fn run<C: Clock + Copy>(clock: C) -> Result<(), Error> {
    let config = SequenceConfig::read(&environment())?;
    telemetry::init(config.log);
    let sdk = aws::sdk_config(&config.aws);
    let example = Settings::example()?;
    let settings = if config.enable_examples {
        example.with_all_sequences()
    } else {
        example
    };
    let dynamo = aws_sdk_dynamodb::Client::new(&sdk);
    let store = DynamoStore::new(dynamo, config.table, settings);
    let target = Target {
        post: Post {
            engine: Engine::alone(store.clone(), clock),
            mailer: Ses::new(
                SignedClient::new(&config.aws, SES)?,
                config.unsubscribe_url,
                config.email_configuration_set,
            ),
        },
        sequencer: Sequencer { store, clock },
        publisher: EventBridge::new(aws_sdk_eventbridge::Client::new(&sdk), config.event_bus),
        dead_letters: DeadLetterQueue::new(aws_sdk_sqs::Client::new(&sdk), config.dlq_url),
    };
    let handle = service_fn(async |event: LambdaEvent<Value>| {
        let now = clock.now();
        let deadline = Deadline::after(SystemClock.left(event.context.deadline));
        let answer = match Input::parse(event.payload)? {
            Input::Queue(batch) => serde_json::to_value(target.queue(batch, deadline).await),
            Input::Minute(minute) => {
                serde_json::to_value(target.minute(&minute, now, deadline).await?)
            }
        };
        Ok::<_, Error>(answer?)
    });
    lambda_runtime::run(handle).await
}

//! The stack that a command talks to: the local one, or a deployed one by name.

use anyhow::Context as _;
use aws_sdk_dynamodb::config::BehaviorVersion;
use clap::Args;
use paygraph_bus::EventBridge;
use paygraph_domain::id::TenantId;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::fetch::NoFetch;
use paygraph_engine::process::Engine;
use paygraph_runtime::aws::sdk_config;
use paygraph_runtime::clock::{Clock, SystemClock};
use paygraph_runtime::config::{AwsConfig, Variables, environment};
use paygraph_store::DynamoStore;

use crate::local::{Local, Places};

/// Which stack.
#[derive(Args, Debug, Clone)]
pub struct Which {
    /// The table of a deployed stack, reached by AWS_REGION and AWS_ACCESS_KEY_ID, … [default: the local stack]
    #[arg(
        long,
        value_name = "NAME",
        requires = "queue_url",
        requires = "dlq_url"
    )]
    table: Option<String>,
    /// The ingest queue of a deployed stack
    #[arg(long, value_name = "URL")]
    queue_url: Option<String>,
    /// The dead-letter queue of a deployed stack
    #[arg(long, value_name = "URL")]
    dlq_url: Option<String>,
    /// The bus of a deployed stack, for commands that publish
    #[arg(long, value_name = "NAME", default_value = "paygraph-bus")]
    event_bus: String,
    /// The tenant
    #[arg(long, default_value = "default", value_parser = |id: &str| TenantId::parse(id))]
    pub tenant: TenantId,
}

/// A stack's parts.
pub struct Stack {
    /// The table.
    pub store: DynamoStore,
    /// The client of its queues.
    pub sqs: aws_sdk_sqs::Client,
    /// The client of its bus.
    pub bus: aws_sdk_eventbridge::Client,
    /// The ingest queue.
    pub queue_url: String,
    /// Its dead letters.
    pub dlq_url: String,
    /// Its bus.
    pub event_bus: String,
}

/// The product's engine over a stack's table, by this machine's clock.
pub type StackEngine = Engine<DynamoStore, fn() -> i64>;

impl Stack {
    /// The engine, and the bus on which what it tells is published.
    pub fn engine(self) -> (StackEngine, EventBridge) {
        let bus = EventBridge::new(self.bus, &self.event_bus);
        let clock: fn() -> i64 = || SystemClock.now();
        let engine = Engine {
            store: self.store,
            clock,
            livemode: false,
            fetch: NoFetch,
        };
        (engine, bus)
    }
}

impl Which {
    /// Finds the stack.
    pub fn open(&self) -> anyhow::Result<Stack> {
        let (variables, table, queue_url, dlq_url, event_bus) =
            match (&self.table, &self.queue_url, &self.dlq_url) {
                (Some(table), Some(queue), Some(dlq)) => {
                    let bus = self.event_bus.clone();
                    (
                        environment(),
                        table.clone(),
                        queue.clone(),
                        dlq.clone(),
                        bus,
                    )
                }
                _ => {
                    let local = Local::read(&Places::find()?)?;
                    let variables = variables(&local);
                    (
                        variables,
                        local.table,
                        local.queue_url,
                        local.dlq_url,
                        local.event_bus,
                    )
                }
            };
        open(&variables, table, queue_url, dlq_url, event_bus)
    }
}

/// How the local stack is reached.
pub fn variables(local: &Local) -> Variables {
    let pairs = [
        ("AWS_REGION", local.region.as_str()),
        ("AWS_ENDPOINT_URL", &local.aws_endpoint_url),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ];
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// The local stack's parts.
pub fn local(local: &Local) -> anyhow::Result<Stack> {
    let (table, queue, dlq) = (&local.table, &local.queue_url, &local.dlq_url);
    let bus = local.event_bus.clone();
    open(
        &variables(local),
        table.clone(),
        queue.clone(),
        dlq.clone(),
        bus,
    )
}

fn open(
    variables: &Variables,
    table: String,
    queue_url: String,
    dlq_url: String,
    event_bus: String,
) -> anyhow::Result<Stack> {
    let sdk = sdk_config(&AwsConfig::read(variables)?);
    let settings = Settings::example().context("the example settings are not valid")?;
    let dynamo = aws_sdk_dynamodb::config::Builder::from(&sdk)
        .behavior_version(BehaviorVersion::latest())
        .build();
    Ok(Stack {
        store: DynamoStore::new(aws_sdk_dynamodb::Client::from_conf(dynamo), table, settings),
        sqs: aws_sdk_sqs::Client::new(&sdk),
        bus: aws_sdk_eventbridge::Client::new(&sdk),
        queue_url,
        dlq_url,
        event_bus,
    })
}

/// Now, by this machine's clock.
pub fn now() -> Timestamp {
    Timestamp::from_unix(SystemClock.now()).unwrap_or_default()
}

/// Runs asynchronous work.
pub fn run<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(work)
}

//! The stack that a command talks to: the local one, or a deployed one by name.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use aws_sdk_dynamodb::config::BehaviorVersion;
use clap::Args;
use paygraph_bus::EventBridge;
use paygraph_domain::id::{Cause, TenantId};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::ports::Store as _;
use paygraph_engine::process::Engine;
use paygraph_runtime::aws::sdk_config;
use paygraph_runtime::clock::{Clock, SystemClock};
use paygraph_runtime::config::{AwsConfig, Config, Variables, environment};
use paygraph_runtime::secrets::SecretsManager;
use paygraph_store::DynamoStore;
use paygraph_stripe::client::{Client, Connections, Limits, STRIPE_URL};
use serde_json::Value;

use crate::local::{Local, Places};

/// The pause between two looks at the ledger.
const PAUSE: Duration = Duration::from_millis(50);

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
    /// The jobs queue of a deployed stack, for commands that ask for a run
    #[arg(long, value_name = "URL")]
    jobs_queue_url: Option<String>,
    /// The bus of a deployed stack, for commands that publish
    #[arg(long, value_name = "NAME", default_value = "paygraph-bus")]
    event_bus: String,
    /// What the names of a deployed stack's secrets begin with
    #[arg(long, value_name = "PREFIX", default_value = "paygraph")]
    secrets_prefix: String,
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
    /// Where runs are asked for, where that is known.
    pub jobs_queue_url: Option<String>,
    /// Its bus.
    pub event_bus: String,
    /// Where Stripe's API is.
    pub stripe_url: String,
    /// What its own URLs begin with; none where that is not known here.
    pub public_url: Option<String>,
    secrets: aws_sdk_secretsmanager::Client,
    secrets_prefix: String,
}

/// The product's engine over a stack's table, by this machine's clock.
pub type StackEngine = Engine<DynamoStore, fn() -> i64>;

impl Stack {
    /// Its secrets.
    pub fn secrets(&self) -> SecretsManager {
        SecretsManager::new(self.secrets.clone(), self.secrets_prefix.clone())
    }

    /// The tenant's client of Stripe's API.
    pub async fn stripe(&self, tenant: &TenantId) -> anyhow::Result<Client> {
        let connections = Connections::new(self.secrets(), &self.stripe_url, Limits::default());
        let client = connections.client(tenant).await?;
        client.with_context(|| {
            format!(
                "the tenant {tenant} is not connected to Stripe: there is no secret stripe/{tenant} \
                 with its key. The local stack gets one by `cargo paygraph up --stripe-key KEY`"
            )
        })
    }

    /// Waits until an event of the tenant `default` is processed and published.
    pub async fn settle_event(&self, event: &Value, deadline: Instant) -> anyhow::Result<()> {
        let tenant = TenantId::parse("default")?;
        let cause = Cause::parse(event["id"].as_str().unwrap_or_default())?;
        loop {
            let entry = self.store.ledger(&tenant, &cause).await?;
            if entry.is_some_and(|entry| entry.outbox.is_empty()) {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{cause} was not processed and published in time"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The engine, and the bus on which what it tells is published.
    pub fn engine(self) -> (StackEngine, EventBridge) {
        let bus = EventBridge::new(self.bus, &self.event_bus);
        let clock: fn() -> i64 = || SystemClock.now();
        let engine = Engine::alone(self.store, clock);
        (engine, bus)
    }
}

impl Which {
    /// Finds the stack.
    pub fn open(&self) -> anyhow::Result<Stack> {
        match (&self.table, &self.queue_url, &self.dlq_url) {
            (Some(table), Some(queue_url), Some(dlq_url)) => {
                let names = Names {
                    table: table.clone(),
                    queue_url: queue_url.clone(),
                    dlq_url: dlq_url.clone(),
                    jobs_queue_url: self.jobs_queue_url.clone(),
                    event_bus: self.event_bus.clone(),
                    stripe_url: STRIPE_URL.to_owned(),
                    public_url: None,
                    secrets_prefix: self.secrets_prefix.clone(),
                    settings: example()?,
                };
                open(&environment(), names)
            }
            _ => local(&Local::read(&Places::find()?)?),
        }
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

/// How a stack's parts are called.
struct Names {
    table: String,
    queue_url: String,
    dlq_url: String,
    jobs_queue_url: Option<String>,
    event_bus: String,
    stripe_url: String,
    public_url: Option<String>,
    secrets_prefix: String,
    /// What holds for tenants without settings of their own.
    settings: Settings,
}

/// The local stack's parts.
pub fn local(local: &Local) -> anyhow::Result<Stack> {
    let stripe_url = Some(local.stripe_url.as_str()).filter(|url| !url.is_empty());
    let names = Names {
        table: local.table.clone(),
        queue_url: local.queue_url.clone(),
        dlq_url: local.dlq_url.clone(),
        jobs_queue_url: Some(local.jobs_queue_url.clone()),
        event_bus: local.event_bus.clone(),
        stripe_url: stripe_url.unwrap_or(STRIPE_URL).to_owned(),
        public_url: Some(local.api_url.clone()),
        secrets_prefix: "paygraph".to_owned(),
        // As `up` deploys it.
        settings: example()?.with_all_sequences(),
    };
    open(&variables(local), names)
}

fn example() -> anyhow::Result<Settings> {
    Settings::example().context("the example settings are not valid")
}

fn open(variables: &Variables, names: Names) -> anyhow::Result<Stack> {
    let sdk = sdk_config(&AwsConfig::read(variables)?);
    let dynamo = aws_sdk_dynamodb::config::Builder::from(&sdk)
        .behavior_version(BehaviorVersion::latest())
        .build();
    let dynamo = aws_sdk_dynamodb::Client::from_conf(dynamo);
    Ok(Stack {
        store: DynamoStore::new(dynamo, names.table, names.settings),
        sqs: aws_sdk_sqs::Client::new(&sdk),
        bus: aws_sdk_eventbridge::Client::new(&sdk),
        secrets: aws_sdk_secretsmanager::Client::new(&sdk),
        queue_url: names.queue_url,
        dlq_url: names.dlq_url,
        jobs_queue_url: names.jobs_queue_url,
        event_bus: names.event_bus,
        stripe_url: names.stripe_url,
        public_url: names.public_url,
        secrets_prefix: names.secrets_prefix,
    })
}

/// Now, by this machine's clock.
pub fn now() -> Timestamp {
    Timestamp::from_unix(SystemClock.now()).unwrap_or_default()
}

/// Runs asynchronous work. What it spawns has threads of its own, so that computing holds no request
/// or answer up.
pub fn run<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(work)
}

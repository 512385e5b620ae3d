//! What the end-to-end tests share: the local stack as its users see it.
//!
//! Every test uses ids of its own, so that all of them can run side by side on one stack.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::disallowed_methods,
    reason = "a test that fails says where"
)]

mod bus;
mod objects;
mod platform;
mod slack;
mod tenant;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use paygraph_domain::id::{Cause, TenantId};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::ports::{LedgerEntry, Store};
use paygraph_runtime::aws::sdk_config;
use paygraph_runtime::config::{AwsConfig, Config as _};
use paygraph_runtime::secrets::{SecretKeeper as _, SecretsManager};
use paygraph_store::DynamoStore;
use paygraph_store::token::Right;
use paygraph_testkit::fake_stripe::{Config, FakeStripe, KEY};
use paygraph_testkit::signer::sign;
use serde_json::{Value, json};

use self::bus::tap;
pub use self::objects::{customer_created, event, invoice, subscription};
pub use self::platform::Platform;
pub use self::slack::Slack;
pub use self::tenant::Tenant;

/// How long anything may take before a test gives up: longer than a message stays invisible that went
/// back to the queue. Not a measure of speed.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// A day in seconds.
pub const DAY: i64 = 86_400;

/// The local stack.
#[derive(Debug)]
pub struct Stack {
    local: Value,
    runtime: tokio::runtime::Runtime,
    /// The table.
    pub store: DynamoStore,
    /// The queues.
    pub sqs: aws_sdk_sqs::Client,
    secrets: aws_sdk_secretsmanager::Client,
    /// What the bus has delivered since the tests began, in order.
    delivered: Mutex<Vec<Value>>,
    tap: String,
    platform: OnceLock<Platform>,
}

/// Asks anybody for JSON, with a token or without one.
#[must_use]
pub fn get_from(url: &str, token: Option<&str>) -> (u16, Value) {
    let request = ureq::get(url).config().http_status_as_error(false).build();
    let request = match token {
        Some(token) => request.header("authorization", &format!("Bearer {token}")),
        None => request,
    };
    answered(request.call())
}

/// The project's folder.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_path_buf()
}

/// The command `cargo paygraph` with arguments, at the project's root.
///
/// Cargo tells a test about its package by variables. If the inner cargo had them, the build script
/// of `ring`, which looks at them, would run again, and all that depends on it would be compiled again.
#[must_use]
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let of_package = ["CARGO_PKG_", "CARGO_MANIFEST_"];
    for name in names.filter(|name| of_package.iter().any(|of| name.starts_with(of))) {
        command.env_remove(name);
    }
    command.current_dir(root()).arg("paygraph").args(arguments);
    command
}

/// Runs `cargo paygraph` with arguments.
#[must_use]
pub fn paygraph(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// The stack: the one that `paygraph test` has started, else one is started if it is not there.
///
/// # Panics
/// When it cannot be started.
pub fn stack() -> &'static Stack {
    static STACK: OnceLock<Stack> = OnceLock::new();
    STACK.get_or_init(|| {
        // What `paygraph test` says.
        if let Ok(described) = std::env::var("PAYGRAPH_LOCAL") {
            let local = std::fs::read_to_string(described).unwrap();
            return Stack::connect(serde_json::from_str(&local).unwrap());
        }
        let up = paygraph(&["up", "--detach", "--json"]);
        assert!(
            up.status.success(),
            "{}",
            String::from_utf8_lossy(&up.stderr)
        );
        Stack::connect(serde_json::from_slice(&up.stdout).unwrap())
    })
}

/// A name that no other test has.
#[must_use]
pub fn unique(prefix: &str) -> String {
    format!("{prefix}{:016x}", getrandom::u64().unwrap())
}

/// Unix seconds.
#[must_use]
pub fn now() -> i64 {
    i64::try_from(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs(),
    )
    .unwrap()
}

/// Waits until something is there.
///
/// # Panics
/// When it is not there within [`PATIENCE`].
pub fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The default tenant.
#[must_use]
pub fn tenant() -> TenantId {
    TenantId::parse("default").unwrap()
}

impl Stack {
    fn connect(local: Value) -> Self {
        let text = |name: &str| local[name].as_str().unwrap().to_owned();
        let variables = [
            ("AWS_REGION", text("region")),
            ("AWS_ENDPOINT_URL", text("aws_endpoint_url")),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ];
        let variables = variables
            .map(|(name, value)| (name.to_owned(), value))
            .into();
        let sdk = sdk_config(&AwsConfig::read(&variables).unwrap());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let sqs = aws_sdk_sqs::Client::new(&sdk);
        let bus = aws_sdk_eventbridge::Client::new(&sdk);
        let tap = runtime.block_on(tap(&sqs, &bus, &text("event_bus")));
        let dynamo = aws_sdk_dynamodb::Client::new(&sdk);
        let store = DynamoStore::new(dynamo, text("table"), Settings::example().unwrap());
        let stack = Self {
            local,
            runtime,
            store,
            secrets: aws_sdk_secretsmanager::Client::new(&sdk),
            sqs,
            delivered: Mutex::default(),
            tap,
            platform: OnceLock::new(),
        };
        stack.platform.set(Platform::start(&stack)).unwrap();
        stack
    }

    /// The fake Stripe that the API and the imports ask.
    pub fn platform(&self) -> &Platform {
        self.platform.get().unwrap()
    }

    /// A token of a tenant's.
    #[must_use]
    pub fn token(&self, tenant: &TenantId, rights: &[Right]) -> String {
        let create = self
            .store
            .create_token(tenant, "test", rights, Timestamp::default());
        self.block_on(create).unwrap()
    }

    /// A tenant of its own whose Stripe is a fake one.
    #[must_use]
    pub fn with_stripe(&self, config: Config) -> (TenantId, FakeStripe) {
        let tenant = TenantId::parse(unique("t")).unwrap();
        let stripe = self.connect_stripe(&tenant, config);
        (tenant, stripe)
    }

    /// Connects a tenant to a fake Stripe of its own.
    #[must_use]
    pub fn connect_stripe(&self, tenant: &TenantId, config: Config) -> FakeStripe {
        let stripe = self.block_on(FakeStripe::start(config)).unwrap();
        self.keep_secret(
            &format!("stripe/{tenant}"),
            &json!({ "key": KEY, "account": null, "url": stripe.url() }),
        );
        stripe
    }

    /// A value of `local.json`.
    #[must_use]
    pub fn local(&self, name: &str) -> String {
        self.local[name].as_str().unwrap().to_owned()
    }

    /// Waits for asynchronous work.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Sends a body with a header of its own choice. Gives the status and the answer.
    #[must_use]
    pub fn send(&self, url: &str, body: &[u8], header: Option<&str>) -> (u16, Value) {
        let request = ureq::post(url).config().http_status_as_error(false).build();
        let request = request.header("content-type", "application/json");
        let request = match header {
            Some(header) => request.header("stripe-signature", header),
            None => request,
        };
        answered(request.send(body))
    }

    /// Sends a body with Segment's header.
    #[must_use]
    pub fn track(&self, url: &str, body: &[u8], header: &str) -> (u16, Value) {
        let request = ureq::post(url).config().http_status_as_error(false).build();
        let request = request.header("content-type", "application/json");
        answered(request.header("x-signature", header).send(body))
    }

    /// Sends an event as Stripe does.
    #[must_use]
    pub fn post(&self, event: &Value) -> u16 {
        self.post_text(&event.to_string())
    }

    /// Sends an event's text as Stripe does.
    #[must_use]
    pub fn post_text(&self, body: &str) -> u16 {
        let header = sign(body.as_bytes(), &self.local("webhook_secret"), now());
        self.send(&self.local("webhook_url"), body.as_bytes(), Some(&header))
            .0
    }

    /// Asks the API with a token, or without one.
    #[must_use]
    pub fn ask(&self, path: &str, token: Option<&str>) -> (u16, Value) {
        get_from(&format!("{}{path}", self.local("api_url")), token)
    }

    /// Puts a secret, as somebody who connects a tenant by hand does.
    pub fn keep_secret(&self, name: &str, value: &Value) {
        let keeper = SecretsManager::new(self.secrets.clone(), "paygraph");
        let text = value.to_string().into();
        self.block_on(keeper.put(name, &text)).unwrap();
    }

    /// Asks the API below `/api/stripe/`.
    #[must_use]
    pub fn get(&self, path: &str) -> (u16, Value) {
        self.ask(
            &format!("/api/stripe/{path}"),
            Some(&self.local("api_token")),
        )
    }

    /// Puts a customer.
    #[must_use]
    pub fn put(&self, id: &str, body: &str, token: &str) -> (u16, Value) {
        let url = format!("{}/api/customers/{id}", self.local("api_url"));
        let request = ureq::put(&url).config().http_status_as_error(false).build();
        let request = request.header("authorization", &format!("Bearer {token}"));
        answered(request.send(body))
    }

    /// Posts to the API below `/api/` with the stack's token.
    #[must_use]
    pub fn post_api(&self, path: &str, body: &Value) -> (u16, Value) {
        self.post_as(path, body, &self.local("api_token"))
    }

    /// Posts to the API below `/api/` with a token.
    #[must_use]
    pub fn post_as(&self, path: &str, body: &Value, token: &str) -> (u16, Value) {
        let url = format!("{}/api/{path}", self.local("api_url"));
        let request = ureq::post(&url).config().http_status_as_error(false);
        let token = format!("Bearer {token}");
        let request = request.build().header("authorization", &token);
        answered(request.send(body.to_string()))
    }

    /// Deletes from the API below `/api/` with the stack's token.
    #[must_use]
    pub fn delete_api(&self, path: &str) -> (u16, Value) {
        let url = format!("{}/api/{path}", self.local("api_url"));
        let request = ureq::delete(&url).config().http_status_as_error(false);
        let token = format!("Bearer {}", self.local("api_token"));
        answered(request.build().header("authorization", &token).call())
    }

    /// Sends an event of an object and waits until it is done. Gives the event's id.
    pub fn feed(&self, kind: &str, created: i64, object: &Value) -> String {
        let id = unique("evt_");
        assert_eq!(self.post(&event(&id, kind, created, object)), 200);
        self.settled(&id);
        id
    }

    /// Every entry of a list of the API below `/api/`, over its pages.
    #[must_use]
    pub fn all(&self, path: &str, token: &str) -> Vec<Value> {
        let (mut entries, mut cursor) = (Vec::new(), None);
        let sign = if path.contains('?') { '&' } else { '?' };
        loop {
            let after = cursor.map(|cursor: String| format!("{sign}cursor={cursor}"));
            let path = format!("/api/{path}{}", after.unwrap_or_default());
            let (status, page) = self.ask(&path, Some(token));
            assert_eq!(status, 200, "{path}: {page}");
            entries.extend(page["data"].as_array().unwrap().clone());
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                return entries;
            }
        }
    }

    /// The emulator's Lambda API, by path below its functions. (It checks no signatures.)
    #[must_use]
    pub fn lambda(&self, method: &str, path: &str, body: &Value) -> Value {
        let address = self.local("aws_endpoint_url");
        let url = format!("{address}/2015-03-31/functions/{path}");
        let body = body.to_string();
        let answer = match method {
            "GET" => ureq::get(&url).call(),
            "PUT" => ureq::put(&url).send(body.as_bytes()),
            _ => ureq::post(&url).send(body.as_bytes()),
        };
        answer.unwrap().body_mut().read_json().unwrap_or_default()
    }

    /// Invokes the minute's function for an instant (Unix seconds). Gives its report.
    #[must_use]
    pub fn tick(&self, time: i64) -> Value {
        let time = Timestamp::from_unix(time).unwrap().to_string();
        let path = format!("{}/invocations", self.local("tick_function"));
        self.lambda("POST", &path, &json!({ "time": time }))
    }

    /// What the ledger says of a cause.
    #[must_use]
    pub fn ledger(&self, cause: &str) -> Option<LedgerEntry> {
        let cause = Cause::parse(cause).unwrap();
        self.block_on(self.store.ledger(&tenant(), &cause)).unwrap()
    }

    /// Waits until a cause is processed and published.
    pub fn settled(&self, cause: &str) {
        wait(&format!("{cause} to be processed"), || {
            self.ledger(cause).filter(|entry| entry.outbox.is_empty())
        });
    }

    /// The dead letters: (body, reason). They stay where they are.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<(String, String)> {
        let url = self.local("dlq_url");
        self.block_on(async {
            let mut letters = Vec::new();
            for _ in 0..5 {
                let asked = self
                    .sqs
                    .receive_message()
                    .queue_url(&url)
                    .visibility_timeout(0);
                let asked = asked
                    .max_number_of_messages(10)
                    .message_attribute_names("reason");
                for message in asked.send().await.unwrap().messages.unwrap_or_default() {
                    let attributes = message.message_attributes.unwrap_or_default();
                    let reason = attributes
                        .get("reason")
                        .and_then(|v| v.string_value.clone());
                    letters.push((message.body.unwrap_or_default(), reason.unwrap_or_default()));
                }
            }
            letters
        })
    }
}

/// An answer's status and body.
fn answered(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> (u16, Value) {
    let mut answer = answer.unwrap();
    let status = answer.status().as_u16();
    (status, answer.body_mut().read_json().unwrap_or_default())
}

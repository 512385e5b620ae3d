//! A webhook with a queue, a store of secrets and a clock that the test holds.
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use paygraph_domain::id::TenantId;
use paygraph_runtime::secrets::{SecretSource, SecretsError};
use paygraph_runtime::telemetry::{LogFilter, subscriber};
use paygraph_testkit::signer::GatewayRequest;
use paygraph_webhook::gateway::Response;
use paygraph_webhook::handler::Webhook;
use paygraph_webhook::queue::{IngestQueue, QueueError};
use secrecy::SecretString;
use serde_json::Value;

pub const NOW: i64 = 1_795_236_183;
pub const PLATFORM: &str = "whsec_platform";
pub const ACME: &str = "whsec_acme";
pub const GLOBEX: &str = "whsec_globex";

/// What the queue answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum QueueMood {
    Takes,
    TakesAtMost(usize),
    Down,
}

/// What the outside of the webhook is and has seen.
pub struct Outside {
    pub messages: Vec<String>,
    pub queue: QueueMood,
    pub secrets: BTreeMap<String, String>,
    pub secrets_asked: Vec<String>,
    pub secrets_down: bool,
    pub now: i64,
    log: Vec<u8>,
}

type Shared = Arc<Mutex<Outside>>;

#[derive(Clone)]
struct Ports(Shared);

impl IngestQueue for Ports {
    async fn send(&self, body: String) -> Result<(), QueueError> {
        let mut outside = self.0.lock().unwrap();
        match outside.queue {
            QueueMood::Down => return Err(QueueError::Unavailable("down".into())),
            QueueMood::TakesAtMost(bytes) if body.len() > bytes => {
                return Err(QueueError::Refused("too long".into()));
            }
            QueueMood::Takes | QueueMood::TakesAtMost(_) => outside.messages.push(body),
        }
        Ok(())
    }
}

impl SecretSource for Ports {
    async fn fetch(&self, name: &str) -> Result<Option<SecretString>, SecretsError> {
        let mut outside = self.0.lock().unwrap();
        outside.secrets_asked.push(name.to_owned());
        if outside.secrets_down {
            return Err(SecretsError("down".into()));
        }
        Ok(outside
            .secrets
            .get(name)
            .map(|secret| secret.clone().into()))
    }
}

struct Log(Shared);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().log.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The webhook under test.
pub struct World {
    outside: Shared,
    webhook: Webhook<Ports, Ports, Box<dyn Fn() -> i64>>,
}

impl World {
    /// The platform, whose account `acct_acme` belongs to the tenant `acme`, and the tenants
    /// `acme` (account `acct_acme`) and `globex` (no account).
    pub fn new() -> Self {
        let secret = |text: Value| text.to_string();
        let secrets = [
            (
                "webhook/platform",
                secret(serde_json::json!({
                    "secrets": [PLATFORM], "accounts": { "acct_acme": "acme" }
                })),
            ),
            (
                "webhook/tenant/acme",
                secret(serde_json::json!({ "secrets": [ACME], "account": "acct_acme" })),
            ),
            (
                "webhook/tenant/globex",
                secret(serde_json::json!({ "secrets": [GLOBEX], "account": null })),
            ),
        ];
        let outside = Arc::new(Mutex::new(Outside {
            messages: Vec::new(),
            queue: QueueMood::Takes,
            secrets: secrets.map(|(name, text)| (name.to_owned(), text)).into(),
            secrets_asked: Vec::new(),
            secrets_down: false,
            now: NOW,
            log: Vec::new(),
        }));
        let ports = Ports(outside.clone());
        let held = outside.clone();
        let clock: Box<dyn Fn() -> i64> = Box::new(move || held.lock().unwrap().now);
        let webhook = Webhook::new(
            ports.clone(),
            ports,
            clock,
            TenantId::parse("default").unwrap(),
        );
        Self { outside, webhook }
    }

    /// Looks at the outside or changes it.
    pub fn with<T>(&self, work: impl FnOnce(&mut Outside) -> T) -> T {
        work(&mut self.outside.lock().unwrap())
    }

    pub async fn send(&self, request: &GatewayRequest) -> Response {
        let writer = self.outside.clone();
        let subscriber = subscriber(LogFilter::default(), move || Log(writer.clone()));
        let _guard = tracing::subscriber::set_default(subscriber);
        let request = serde_json::from_value(request.build()).unwrap();
        self.webhook.handle(&request).await
    }

    /// Sends a request, and gives what its sender hears.
    pub fn answer(&self, request: &GatewayRequest) -> Response {
        block_on(self.send(request))
    }

    /// Sends a request that must be taken, and gives its message.
    #[track_caller]
    pub fn taken(&self, request: &GatewayRequest) -> Value {
        let response = block_on(self.send(request));
        assert_eq!(response.status_code, 200, "{}", response.body);
        assert_eq!(response.body, r#"{"received":true}"#);
        let body = self.with(|outside| outside.messages.pop()).unwrap();
        serde_json::from_str(&body).unwrap()
    }

    /// Sends a request that must not be taken, and gives the status, the code and the message that
    /// its sender hears.
    #[track_caller]
    pub fn refused(&self, request: &GatewayRequest) -> (u16, String, String) {
        let response = block_on(self.send(request));
        assert!(
            self.with(|outside| outside.messages.is_empty()),
            "nothing may be queued"
        );
        let body: Value = serde_json::from_str(&response.body).unwrap();
        let error = &body["error"];
        assert_eq!(error["request_id"], "request-1");
        let text = |key: &str| error[key].as_str().unwrap().to_owned();
        (response.status_code, text("code"), text("message"))
    }

    /// Every line logged so far.
    pub fn log(&self) -> Vec<Value> {
        let bytes = self.with(|outside| outside.log.clone());
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The lines that the template's metric filters count under this code.
    pub fn counted(&self, code: &str) -> usize {
        self.log()
            .iter()
            .filter(|line| line["fields"]["code"] == code)
            .count()
    }

    /// GreenLight's lines.
    pub fn greenlight(&self) -> Vec<String> {
        let log = self.log();
        let lines = log.iter().filter(|line| line["target"] == "greenlight");
        lines
            .map(|line| line["fields"]["message"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

pub fn event(account: Option<&str>) -> String {
    serde_json::json!({
        "id": "evt_1", "object": "event", "type": "invoice.paid", "created": NOW,
        "livemode": true, "account": account, "data": { "object": { "id": "in_1" } }
    })
    .to_string()
}

/// A signed event of the platform's own account.
pub fn platform_event() -> GatewayRequest {
    GatewayRequest::new(event(None)).signed(PLATFORM, NOW)
}

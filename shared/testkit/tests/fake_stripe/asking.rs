//! Asks a fake Stripe over HTTP.

use std::time::Duration;

use paygraph_testkit::fake_stripe::{Config, FakeStripe, KEY};
use serde_json::Value;
use tokio::runtime::Runtime;
use ureq::Agent;
use ureq::http::HeaderMap;

/// A fake Stripe on a runtime of its own, and who asks it.
pub struct Fake {
    pub stripe: FakeStripe,
    runtime: Runtime,
    agent: Agent,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub fn error(&self, field: &str) -> &str {
        self.body["error"][field].as_str().unwrap_or_default()
    }
}

impl Fake {
    pub fn start(config: Config) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let stripe = runtime.block_on(FakeStripe::start(config)).unwrap();
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(5)))
            .build();
        Self {
            stripe,
            runtime,
            agent: agent.into(),
        }
    }

    /// Runs asynchronous work beside the server.
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    pub fn try_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        form: &str,
    ) -> Result<Answer, ureq::Error> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.stripe.url()));
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        let mut answer = self.agent.run(request.body(form.to_owned()).unwrap())?;
        let text = answer.body_mut().read_to_string()?;
        Ok(Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        })
    }

    pub fn with(&self, method: &str, path: &str, headers: &[(&str, &str)], form: &str) -> Answer {
        self.try_with(method, path, headers, form).unwrap()
    }

    pub fn try_get(&self, path: &str) -> Result<Answer, ureq::Error> {
        let key = format!("Bearer {KEY}");
        self.try_with("GET", path, &[("authorization", &key)], "")
    }

    pub fn answer(&self, path: &str) -> Answer {
        self.try_get(path).unwrap()
    }

    /// An answer that says 200.
    pub fn get(&self, path: &str) -> Value {
        let answer = self.answer(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    pub fn post(&self, path: &str, form: &str) -> Answer {
        let key = format!("Bearer {KEY}");
        self.with("POST", path, &[("authorization", &key)], form)
    }

    /// Every object of a list, from the newest to the oldest.
    pub fn all(&self, path: &str) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        let joint = if path.contains('?') { '&' } else { '?' };
        loop {
            let from = all
                .last()
                .map(|last| format!("&starting_after={}", text(last, "id")));
            let from = from.unwrap_or_default();
            let page = self.get(&format!("{path}{joint}limit=100{from}"));
            all.extend(page["data"].as_array().unwrap().iter().cloned());
            if page["has_more"] != true {
                return all;
            }
        }
    }
}

pub fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

pub fn ids(objects: &[Value]) -> Vec<&str> {
    objects.iter().map(|object| text(object, "id")).collect()
}

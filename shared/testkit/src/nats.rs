//! A NATS server of a test's own.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a failed test says where"
)]

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use async_nats::jetstream::message::StreamMessage;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The stream that it is told of.
const STREAM: &str = "GREENLIGHT";

/// The file with its settings, beside what it keeps.
const SETTINGS: &str = "nats.conf";

/// A server with `JetStream`, which ends when this is dropped.
#[derive(Debug)]
pub struct NatsServer {
    process: Child,
    port: u16,
    kept: TempDir,
}

impl NatsServer {
    /// Runs the server that `PAYGRAPH_NATS_SERVER` names, or that of the path, on a free port.
    ///
    /// # Panics
    /// When there is none, or it does not listen.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// The same, with a longest duplicate window that streams may have: `1h`, `90s`.
    ///
    /// # Panics
    /// When there is none, or it does not listen.
    #[must_use]
    pub fn with_duplicate_limit(limit: &str) -> Self {
        Self::start_with(&format!(
            "jetstream {{ limits {{ duplicate_window: \"{limit}\" }} }}\n"
        ))
    }

    /// Runs the server with further settings, in its own language.
    fn start_with(settings: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let kept = tempfile::tempdir().unwrap();
        std::fs::write(kept.path().join(SETTINGS), settings).unwrap();
        let process = run(port, &kept);
        Self {
            process,
            port,
            kept,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its secret: who reads it makes the stream.
    #[must_use]
    pub fn secret(&self) -> Value {
        json!({ "url": self.url(), "stream": STREAM })
    }

    /// Kills it.
    ///
    /// # Panics
    /// When it was stopped before.
    pub fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Goes on where it was stopped.
    ///
    /// # Panics
    /// When it does not listen.
    pub fn restart(&mut self) {
        self.process = run(self.port, &self.kept);
    }

    /// For how long the stream drops repeats; none while there is no stream.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn duplicate_window(&self) -> Option<Duration> {
        let client = async_nats::connect(self.url()).await.unwrap();
        let mut stream = jetstream::new(client).get_stream(STREAM).await.ok()?;
        Some(stream.info().await.unwrap().config.duplicate_window)
    }

    /// All that is in the stream, in its order; none while there is no stream.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn messages(&self) -> Vec<StreamMessage> {
        let client = async_nats::connect(self.url()).await.unwrap();
        let Ok(mut stream) = jetstream::new(client).get_stream(STREAM).await else {
            return Vec::new();
        };
        let last = stream.info().await.unwrap().state.last_sequence;
        let mut messages = Vec::new();
        for sequence in 1..=last {
            messages.push(stream.get_raw_message(sequence).await.unwrap());
        }
        messages
    }

    /// The subjects of what is in the stream, but for webhooks.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn subjects(&self) -> Vec<String> {
        let messages = self.messages().await.into_iter();
        let subjects = messages.map(|message| message.subject.to_string());
        subjects
            .filter(|subject| !subject.starts_with("greenlight.webhook."))
            .collect()
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        // A failure here would hide the one that the test is about.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs the server, and waits until it listens.
fn run(port: u16, kept: &TempDir) -> Child {
    let server = std::env::var_os("PAYGRAPH_NATS_SERVER");
    let mut server = Command::new(server.unwrap_or_else(|| "nats-server".into()));
    server.args(["--addr", "127.0.0.1", "--port", &port.to_string()]);
    server.arg("--config").arg(kept.path().join(SETTINGS));
    server
        .arg("--jetstream")
        .arg("--store_dir")
        .arg(kept.path());
    let process = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let process = process.expect("no nats-server on the path: `cargo paygraph test` brings one");
    let until = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "nats-server does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    process
}

//! A NATS server of a test's own.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use async_nats::jetstream;
use paygraph_tests::{stack, wait};

/// A server that runs until this is dropped.
pub struct Nats {
    process: Child,
    port: u16,
    _kept: tempfile::TempDir,
}

impl Nats {
    pub fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let kept = tempfile::tempdir().unwrap();
        let mut server = Command::new("nats-server");
        server.args(["--addr", "127.0.0.1", "--port", &port.to_string()]);
        server
            .arg("--jetstream")
            .arg("--store_dir")
            .arg(kept.path());
        let process = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.unwrap();
        wait("nats-server", || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Self {
            process,
            port,
            _kept: kept,
        }
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The subjects with this ending, of all that is in the stream; none while there is no stream.
    pub fn subjects(&self, ending: &str) -> Vec<String> {
        let all = stack().block_on(async {
            let client = async_nats::connect(self.url()).await.ok()?;
            let mut stream = jetstream::new(client).get_stream("GREENLIGHT").await.ok()?;
            let last = stream.info().await.ok()?.state.last_sequence;
            let mut subjects = Vec::new();
            for sequence in 1..=last {
                let message = stream.get_raw_message(sequence).await.ok()?;
                subjects.push(message.subject.to_string());
            }
            Some(subjects)
        });
        let all = all.unwrap_or_default().into_iter();
        all.filter(|subject| subject.ends_with(ending)).collect()
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        // A failure here would hide the one that the test is about.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

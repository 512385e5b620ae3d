//! What breaks functions: places that never answer, and the end of a process.

use std::cell::Cell;
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use aws_sdk_sqs::types::QueueAttributeName;
use paygraph_tests::{PATIENCE, stack};
use serde_json::{Value, json};

/// The variable by which a function finds the bus.
const BUS: &str = "AWS_ENDPOINT_URL_EVENTBRIDGE";

/// Kills every process of a function, by the name that `local.json` has for it. Gives how many
/// there were.
pub fn kill(function: &str) -> usize {
    let wanted = format!("AWS_LAMBDA_FUNCTION_NAME={}", stack().local(function));
    let mut killed = 0;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let is_worker = environment
            .split(|b| *b == 0)
            .any(|v| v == wanted.as_bytes());
        if is_worker && let Some(pid) = entry.file_name().to_str() {
            let ended = Command::new("kill").args(["-9", pid]).status().unwrap();
            killed += usize::from(ended.success());
        }
    }
    killed
}

/// A place that takes connections and never answers.
pub struct Silent {
    pub address: String,
    heard: Receiver<()>,
}

impl Silent {
    pub fn start() -> Self {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap().to_string();
        let (tell, heard) = channel();
        thread::spawn(move || {
            let mut held = Vec::new();
            for connection in silent.incoming().flatten() {
                held.push(connection);
                // Nobody may be listening any more.
                let _ = tell.send(());
            }
        });
        Self { address, heard }
    }

    /// Waits until somebody waits for an answer.
    pub fn wait(&self) {
        self.heard.recv_timeout(PATIENCE).unwrap();
    }
}

/// A function whose bus never answers, until it is mended, or the test has failed before.
pub struct WithoutBus {
    function: &'static str,
    variables: Value,
    is_mended: Cell<bool>,
    pub bus: Silent,
}

impl WithoutBus {
    pub fn run(function: &'static str) -> Self {
        let path = format!("{}/configuration", stack().local(function));
        let variables =
            stack().lambda("GET", &path, &Value::Null)["Environment"]["Variables"].clone();
        let broken = Self {
            function,
            variables,
            is_mended: Cell::new(false),
            bus: Silent::start(),
        };
        let mut variables = broken.variables.clone();
        variables[BUS] = json!(format!("http://{}", broken.bus.address));
        broken.configure(&variables);
        kill(function);
        broken
    }

    /// Kills the function, and lets the next one find the bus. Gives how many processes there were.
    pub fn mend(&self) -> usize {
        let killed = kill(self.function);
        self.configure(&self.variables);
        // One may have begun in between.
        kill(self.function);
        self.is_mended.set(true);
        killed
    }

    fn configure(&self, variables: &Value) {
        let path = format!("{}/configuration", stack().local(self.function));
        let configured = json!({ "Environment": { "Variables": variables } });
        let _ = stack().lambda("PUT", &path, &configured);
    }
}

impl Drop for WithoutBus {
    /// The tests that come after one that failed have the bus.
    fn drop(&mut self) {
        if !self.is_mended.get() {
            // To panic once more would end all tests, and hide what the first one said.
            let _ = catch_unwind(AssertUnwindSafe(|| self.mend()));
        }
    }
}

/// How long a message is not seen that somebody has taken from a queue.
pub fn hide_for(queue: &str, seconds: u32) {
    let hide = stack().sqs.set_queue_attributes();
    let hide = hide.queue_url(stack().local(queue));
    let hide = hide.attributes(QueueAttributeName::VisibilityTimeout, seconds.to_string());
    stack().block_on(hide.send()).unwrap();
}

//! The webhook's binary: its size, and how long it takes from its start to its first answer,
//! against the least that a Lambda in Rust can be, in the same run.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use paygraph_testkit::signer::GatewayRequest;
use serde_json::json;

use super::{Reading, median};
use crate::local::{Places, cargo};
use crate::progress::Progress;
use crate::stack::now;

const ROUNDS: usize = 60;
const SECRET: &str = "whsec_bench";

/// Measures both.
pub fn measure(places: &Places) -> anyhow::Result<Vec<Reading>> {
    let progress = Progress::lines("Building the webhook as it is deployed");
    for target in [["--bin", "webhook"], ["--example", "hello"]] {
        let mut build = cargo(places);
        build.args(["build", "--quiet", "--release"]);
        if !build
            .args(["-p", "paygraph-webhook"])
            .args(target)
            .status()?
            .success()
        {
            bail!("the webhook does not build");
        }
    }
    drop(progress);
    let release = places.root.join("target/release");
    let (webhook, hello) = (release.join("webhook"), release.join("examples/hello"));
    let size = std::fs::metadata(&webhook)?.len();
    let lambda = FakeLambda::start()?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(lambda.first_answer(&hello)?);
        ours.push(lambda.first_answer(&webhook)?);
    }
    let (ours, bare) = (median(ours).unwrap_or(0), median(bare).unwrap_or(0).max(1));
    let ratio = format!("{}.{:02}", ours / bare, ours * 100 / bare % 100);
    Ok(vec![
        Reading::new(
            "webhook binary, stripped",
            format!("{size} bytes"),
            "≤ 8000000 bytes",
        ),
        Reading::new("webhook start to first answer", format!("{ours} µs"), ""),
        Reading::new("bare lambda_runtime hello world", format!("{bare} µs"), ""),
        Reading::new("start, webhook to bare", format!("{ratio} ×"), "≤ 3 ×"),
    ])
}

/// Lambda's runtime API, Secrets Manager and SQS, as far as one invocation needs them.
struct FakeLambda {
    port: u16,
    answers: Receiver<(Instant, Vec<u8>)>,
}

impl FakeLambda {
    fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let body = json!({
            "id": "evt_1", "object": "event", "type": "invoice.paid", "created": now().unix(),
            "livemode": false, "data": { "object": { "padding": "x".repeat(4_000) } },
        });
        let request = GatewayRequest::new(body.to_string())
            .signed(SECRET, now().unix())
            .build();
        let event = request.to_string();
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (event, sender) = (event.clone(), sender.clone());
                std::thread::spawn(move || serve(stream, &event, &sender));
            }
        });
        Ok(Self { port, answers })
    }

    /// Microseconds from starting a binary to its answer to one request.
    fn first_answer(&self, binary: &Path) -> anyhow::Result<u128> {
        let here = format!("127.0.0.1:{}", self.port);
        let url = format!("http://{here}");
        let start = Instant::now();
        let mut child = Command::new(binary)
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", here.as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", "webhook"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
                ("AWS_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_ENDPOINT_URL", &url),
                // A place that is reached by TLS, so that the certificates are read as on AWS.
                (
                    "AWS_ENDPOINT_URL_DYNAMODB",
                    "https://dynamodb.us-east-1.amazonaws.com",
                ),
                ("PAYGRAPH_QUEUE_URL", &format!("{url}/queue")),
                ("PAYGRAPH_SECRETS_PREFIX", "paygraph"),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let answer = self.answers.recv_timeout(Duration::from_secs(10));
        child.kill()?;
        child.wait()?;
        let (at, body) = answer.context("no answer within ten seconds")?;
        let text = String::from_utf8_lossy(&body);
        if !text.contains("200") {
            bail!("the answer is not 200: {text}");
        }
        Ok(at.duration_since(start).as_micros())
    }
}

/// Answers one connection's requests.
fn serve(stream: TcpStream, event: &str, answers: &Sender<(Instant, Vec<u8>)>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    let mut served = false;
    loop {
        let (first, target, body) = read_request(&mut reader)?;
        let (headers, answer) = if first.contains("/invocation/next") {
            if served {
                std::thread::sleep(Duration::from_secs(5));
                return None;
            }
            served = true;
            let headers = "lambda-runtime-aws-request-id: 1\r\nlambda-runtime-deadline-ms: 99999999999999\r\n\
                           lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:1:function:webhook\r\n";
            (headers, event.to_owned())
        } else if first.contains("/response") || first.contains("/error") {
            answers.send((Instant::now(), body)).ok()?;
            ("", String::new())
        } else if target.contains("secretsmanager") {
            let secret = json!({ "secrets": [SECRET] }).to_string();
            (
                "",
                json!({ "Name": "x", "ARN": "x", "SecretString": secret }).to_string(),
            )
        } else {
            ("", json!({ "MessageId": "1" }).to_string())
        };
        let length = answer.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\n{headers}content-type: application/x-amz-json-1.1\r\ncontent-length: {length}\r\n\r\n"
        );
        writer
            .write_all(format!("{head}{answer}").as_bytes())
            .ok()?;
    }
}

/// The request line, the service that is asked, and the body.
fn read_request(reader: &mut BufReader<TcpStream>) -> Option<(String, String, Vec<u8>)> {
    let mut first = String::new();
    if reader.read_line(&mut first).ok()? == 0 {
        return None;
    }
    let (mut length, mut target) = (0, String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if let Some(value) = line.strip_prefix("x-amz-target:") {
            value.trim().clone_into(&mut target);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first, target, body))
}

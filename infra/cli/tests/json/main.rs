//! Golden files of what the command prints with `--json`: the real program, over AWS and the API in
//! memory, served over HTTP.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed test says where"
)]

mod cases;
mod complete;
mod server;

use std::io::Write as _;
use std::process::{Command, Stdio};

use paygraph_testkit::golden::GoldenFiles;
use serde_json::Value;

use self::cases::{CASES, Case};
use self::server::Server;

/// The program's output for some arguments, and its exit code.
fn run(arguments: &[String], input: &str, url: &str) -> (String, i32) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_paygraph"))
        .args(arguments)
        .env_clear()
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let done = child.wait_with_output().unwrap();
    let (out, errors) = (
        String::from_utf8(done.stdout).unwrap(),
        String::from_utf8(done.stderr).unwrap(),
    );
    let code = done.status.code().unwrap();
    assert!(!out.is_empty(), "{arguments:?} printed nothing: {errors}");
    (out, code)
}

/// The output as one line of JSON, in the order in which it was printed, without what is random.
fn compact(case: &Case, out: &str, url: &str) -> String {
    let value: Value = serde_json::from_str(out).unwrap_or_else(|error| panic!("{error}: {out}"));
    let mut text = without_breaks(out).replace(url, "http://stack");
    for place in case.random {
        let random = value.pointer(place).unwrap();
        let (_, name) = place.rsplit_once('/').unwrap();
        let (shown, masked) = (
            format!(r#""{name}":{random}"#),
            format!(r#""{name}":"(random)""#),
        );
        text = text.replace(&shown, &masked);
    }
    text
}

/// JSON without the white space between its parts.
fn without_breaks(json: &str) -> String {
    let (mut in_string, mut is_escaped) = (false, false);
    let kept = json.chars().filter(|sign| {
        match sign {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
        in_string || !sign.is_ascii_whitespace()
    });
    kept.collect()
}

#[test]
fn what_the_command_prints_is_that_of_the_golden_files() {
    let mut golden = GoldenFiles::new(env!("CARGO_MANIFEST_DIR"), "json");
    for case in CASES {
        let server = Server::start();
        let printed = |case: &Case| run(&case.arguments(&server), &(case.input)(), &server.url);
        if let Some(before) = case.after {
            printed(CASES.iter().find(|case| case.name == before).unwrap());
        }
        let (out, code) = printed(case);
        let text = compact(case, &out, &server.url);
        golden.json(case.name, &format!(r#"{{"exit":{code},"printed":{text}}}"#));
    }
    golden.compare();
}

use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::*;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn logged(filter: &str, work: impl FnOnce()) -> Vec<Value> {
    let lines = Lines::default();
    let writer = lines.clone();
    let filter = LogFilter::parse(filter).unwrap();
    tracing::subscriber::with_default(subscriber(filter, move || writer.clone()), work);
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_line_is_json_with_its_fields_apart() {
    let lines = logged("info", || {
        tracing::warn!(code = "signature_invalid", http.status = 400, "A sentence.");
    });
    assert_eq!(lines[0]["level"], "WARN");
    assert_eq!(lines[0]["fields"]["code"], "signature_invalid");
    assert_eq!(lines[0]["fields"]["http.status"], 400);
    assert_eq!(lines[0]["fields"]["message"], "A sentence.");
    assert!(lines[0]["timestamp"].is_string());
}

#[test]
fn libraries_are_quiet_and_greenlight_is_not() {
    let work = || {
        tracing::info!(target: "aws_smithy_runtime::client", "library");
        tracing::warn!(target: "aws_smithy_runtime::client", "library warns");
        tracing::info!(target: "paygraph_webhook", "ours");
        tracing::info!(target: "greenlight", "[⚡] line");
    };
    let messages = |filter: &str| -> Vec<String> {
        let lines = logged(filter, work);
        lines
            .iter()
            .map(|line| line["fields"]["message"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(messages("info"), ["library warns", "ours", "[⚡] line"]);
    assert_eq!(messages("error"), ["library warns", "[⚡] line"]);
    assert_eq!(messages("warn,greenlight=off"), ["library warns"]);
    assert_eq!(
        messages("info,aws_=info"),
        ["library", "library warns", "ours", "[⚡] line"]
    );
}

#[test]
fn a_filter_that_is_none_is_refused() {
    assert!(LogFilter::parse("loud=very").is_err());
    assert!(LogFilter::parse("debug,paygraph=trace").is_ok());
}

#[test]
fn an_error_is_told_with_its_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("the call failed")]
    struct Call(#[source] std::io::Error);
    let error = Call(std::io::Error::other("refused"));
    assert_eq!(Chain(&error).to_string(), "the call failed: refused");
}

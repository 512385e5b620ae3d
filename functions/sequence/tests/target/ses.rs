//! A stand-in for SES: it refuses what SES refuses, and keeps what it takes.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::routing::post;
use paygraph_domain::email::Address;
use paygraph_domain::id::TenantId;
use paygraph_engine::email::{Email, EmailError, Mailer as _};
use paygraph_runtime::aws::signed::SignedClient;
use paygraph_runtime::config::AwsConfig;
use paygraph_sequence::feedback::Feedback;
use paygraph_sequence::ses::{SES, Ses};
use serde_json::{Value, json};

/// The requests that it took.
#[derive(Clone, Default)]
pub struct FakeSes {
    pub taken: Arc<Mutex<Vec<Value>>>,
}

impl FakeSes {
    /// Starts it, and gives our own SES that asks it.
    pub async fn start(&self) -> Ses {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/v2/email/outbound-emails", post(send_email))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        ses_at(url)
    }
}

/// Our own SES that asks a server.
fn ses_at(url: String) -> Ses {
    let config = AwsConfig::at_url(url);
    let unsubscribe = "https://paygraph.example/unsubscribe".to_owned();
    Ses::new(
        SignedClient::new(&config, SES).unwrap(),
        Some(unsubscribe),
        Some("paygraph".to_owned()),
    )
}

/// Sends an e-mail by an SES that answers with a status and the name of an error.
async fn send_and_get(status: u16, error: &'static str) -> Result<(), EmailError> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let status = StatusCode::from_u16(status).unwrap();
    let body = json!({ "message": "no" }).to_string();
    let answer = move || async move { (status, [("x-amzn-errortype", error)], body) };
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let tenant = TenantId::parse("default").unwrap();
    send(&ses_at(url), &tenant, "Hello").await
}

/// N6: an e-mail that SES refused was not sent, and comes again if the refusal passes. After an error
/// of SES's own it may have been sent, and does not come again.
#[tokio::test]
async fn n6_an_error_of_ses_tells_whether_the_email_was_sent() {
    for (status, error) in [
        (429, "TooManyRequestsException"),
        (400, "SendingPausedException"),
        (400, "LimitExceededException"),
        (400, "ThrottlingException"),
        (429, ""),
    ] {
        let failed = send_and_get(status, error).await;
        assert!(matches!(failed, Err(EmailError::Again(_))), "{failed:?}");
    }
    let refused = send_and_get(400, "MessageRejected").await;
    let reason = "SES answered 400: MessageRejected no".to_owned();
    assert_eq!(refused, Err(EmailError::Never(reason)));
    let failed = send_and_get(500, "InternalServiceErrorException").await;
    assert!(matches!(failed, Err(EmailError::Unknown(_))), "{failed:?}");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let tenant = TenantId::parse("default").unwrap();
    let failed = send(&ses_at(url), &tenant, "Hello").await;
    assert!(matches!(failed, Err(EmailError::Again(_))), "{failed:?}");
}

/// What SES refuses of tags, subjects and headers, with the error of its API.
/// <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_MessageTag.html>
/// <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_MessageHeader.html>
fn refusal(request: &Value) -> Option<String> {
    let tags = request["EmailTags"].as_array().into_iter().flatten();
    for text in tags.flat_map(|tag| [&tag["Name"], &tag["Value"]]) {
        let text = text.as_str().unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !(1..=256).contains(&text.len()) || !text.chars().all(plain) {
            return Some(format!(
                "Invalid tag <{text}>: only alphanumeric ASCII characters, '_', and '-' are allowed."
            ));
        }
    }
    let message = &request["Content"]["Simple"];
    let headers = message["Headers"].as_array().into_iter().flatten();
    let mut lines = headers.flat_map(|header| [&header["Name"], &header["Value"]]);
    let is_line = |text: &Value| {
        let printable = |c: char| (' '..='~').contains(&c);
        text.as_str()
            .is_some_and(|text| text.chars().all(printable))
    };
    (!lines.all(is_line)).then(|| "A header has a character that is not printable".to_owned())
}

async fn send_email(State(ses): State<FakeSes>, body: String) -> (StatusCode, HeaderMap, String) {
    let request: Value = serde_json::from_str(&body).unwrap();
    let mut headers = HeaderMap::new();
    if let Some(message) = refusal(&request) {
        let kind = HeaderValue::from_static("BadRequestException");
        headers.insert("x-amzn-errortype", kind);
        let body = json!({ "message": message }).to_string();
        return (StatusCode::BAD_REQUEST, headers, body);
    }
    ses.taken.lock().unwrap().push(request);
    (
        StatusCode::OK,
        headers,
        json!({ "MessageId": "1" }).to_string(),
    )
}

/// Sends an e-mail of a tenant.
async fn send(ses: &Ses, tenant: &TenantId, subject: &str) -> Result<(), EmailError> {
    let to = Address::parse("ada@example.com").unwrap();
    let email = Email {
        tenant,
        from: "Acme <billing@acme.example>",
        reply_to: None,
        to: &to,
        subject,
        text: "Hello",
        unsubscribe: "default/hash/token",
    };
    ses.send(&email).await
}

/// A3: SES takes the e-mails of every tenant, and its feedback finds the tenant again.
#[tokio::test]
async fn a3_ses_takes_every_tenant_and_its_feedback_finds_it() {
    let fake = FakeSes::default();
    let ses = fake.start().await;
    for id in [
        "acme.com",
        "a+b=c@d",
        "default",
        "a_b-c",
        "Überall GmbH",
        "a/b:c|d",
    ] {
        let tenant = TenantId::parse(id).unwrap();
        assert_eq!(send(&ses, &tenant, "Hello").await, Ok(()), "{id}");
        let request = fake.taken.lock().unwrap().pop().unwrap();
        let tags = request["EmailTags"].as_array().unwrap().iter();
        let tags = tags.map(|tag| {
            (
                tag["Name"].as_str().unwrap().to_owned(),
                json!([tag["Value"]]),
            )
        });
        let tags = Value::Object(tags.collect());
        let told = json!({ "source": "aws.ses", "detail": { "mail": { "tags": tags } } });
        let feedback = Feedback::parse(&told.to_string()).unwrap();
        assert_eq!(feedback.tenant(), Some(tenant), "{id}");
    }
}

/// The stand-in refuses what SES refuses, and that is final.
#[tokio::test]
async fn a3_the_stand_in_refuses_the_tags_that_ses_refuses() {
    let tags = |value: &str| json!({ "EmailTags": [{ "Name": "tenant", "Value": value }] });
    for value in ["acme.com", "a+b", "a=b", "a@b", "", "é", &"a".repeat(257)] {
        assert!(refusal(&tags(value)).is_some(), "{value}");
    }
    assert_eq!(refusal(&tags("acme_eu-1")), None);
}

/// S8: a subject is one line, whatever it was filled with.
#[tokio::test]
async fn s8_a_subject_is_one_line() {
    let fake = FakeSes::default();
    let ses = fake.start().await;
    let tenant = TenantId::parse("default").unwrap();
    send(&ses, &tenant, "Hello\r\nBcc: eve@evil.example")
        .await
        .unwrap();
    let request = fake.taken.lock().unwrap().pop().unwrap();
    let subject = &request["Content"]["Simple"]["Subject"]["Data"];
    assert_eq!(subject, "Hello Bcc: eve@evil.example");
}

//! SNS: the exact request, and what refusals mean.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use paygraph_alert::message::Message;
use paygraph_alert::tell::{Tell as _, TellError, Told};
use paygraph_alert::topic::{SNS, Topic};
use paygraph_domain::alert::Alert;
use paygraph_domain::alert::reason::endpoint;
use paygraph_domain::alert::routing::Route;
use paygraph_runtime::aws::signed::SignedClient;
use paygraph_runtime::config::AwsConfig;
use tokio::time::Instant;

use crate::support::{at, tenant};

const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:alerts";

/// A stand-in for SNS: it refuses what SNS refuses, and keeps what it takes.
#[derive(Clone, Default)]
pub struct FakeSns {
    taken: Arc<Mutex<Vec<Published>>>,
    /// The status and the code of its next answers, instead of taking a message.
    trouble: Option<(u16, &'static str)>,
}

/// A message that was published.
#[derive(Clone)]
pub struct Published {
    pub subject: String,
    pub message: String,
    pub attributes: BTreeMap<String, String>,
}

impl FakeSns {
    /// Starts it, and gives a topic of it.
    async fn start(&self, arn: Option<&str>) -> Topic {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/", post(publish))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        topic_at(url, arn)
    }

    /// Publishes a message, and gives what it took.
    pub async fn publish(message: &Message<'_>) -> Published {
        let sns = Self::default();
        let topic = sns.start(Some(TOPIC)).await;
        assert_eq!(topic.tell(message, soon()).await, Ok(Told::Yes));
        let taken = sns.taken.lock().unwrap();
        assert_eq!(taken.len(), 1);
        taken[0].clone()
    }
}

fn topic_at(url: String, arn: Option<&str>) -> Topic {
    let config = AwsConfig::at_url(url);
    let client = SignedClient::new(&config, SNS).unwrap();
    Topic::new(client, arn.map(str::to_owned))
}

fn soon() -> Instant {
    Instant::now() + std::time::Duration::from_secs(5)
}

async fn publish(State(sns): State<FakeSns>, body: String) -> (StatusCode, String) {
    let form: BTreeMap<String, String> = form_urlencoded::parse(body.as_bytes())
        .into_owned()
        .collect();
    if let Some((status, code)) = sns.trouble {
        return error(status, code);
    }
    let fixed = [
        ("Action", "Publish"),
        ("Version", "2010-03-31"),
        ("TopicArn", TOPIC),
    ];
    if fixed.iter().any(|(name, value)| form[*name] != *value) {
        return error(400, "InvalidAction");
    }
    let mut attributes = BTreeMap::new();
    for place in 1.. {
        let field = |name: &str| form.get(&format!("MessageAttributes.entry.{place}.{name}"));
        let Some(name) = field("Name") else { break };
        if field("Value.DataType").unwrap() != "String" {
            return error(400, "InvalidParameterValue");
        }
        attributes.insert(name.clone(), field("Value.StringValue").unwrap().clone());
    }
    let published = Published {
        subject: form["Subject"].clone(),
        message: form["Message"].clone(),
        attributes,
    };
    if let Some(code) = refusal(&published) {
        return error(400, code);
    }
    sns.taken.lock().unwrap().push(published);
    let answer = "<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>";
    (StatusCode::OK, answer.to_owned())
}

/// What SNS refuses of subjects, messages and attributes.
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
fn refusal(published: &Published) -> Option<&'static str> {
    let subject = &published.subject;
    let is_plain = subject
        .chars()
        .all(|c| c.is_ascii() && !c.is_ascii_control());
    if !is_plain || !(1..=99).contains(&subject.len()) || subject.starts_with(' ') {
        return Some("InvalidParameter");
    }
    if !(1..=262_144).contains(&published.message.len()) {
        return Some("InvalidParameter");
    }
    let empty = |text: &String| text.is_empty();
    let attributes = &published.attributes;
    let is_empty = attributes.keys().any(empty) || attributes.values().any(empty);
    is_empty.then_some("ParameterValueInvalid")
}

fn error(status: u16, code: &str) -> (StatusCode, String) {
    let error =
        format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error>");
    let status = StatusCode::from_u16(status).unwrap();
    (status, format!("<ErrorResponse>{error}</ErrorResponse>"))
}

/// Tells of trouble with the endpoint.
async fn tell(topic: &Topic) -> Result<Told, TellError> {
    let owner = Some("north".to_owned());
    let reason = endpoint(&["it is disabled".to_owned()], at(0));
    let alert = Alert::new(&reason, None, owner, Route::default(), at(0));
    let message = Message {
        tenant: &tenant(),
        alert: &alert,
        contact: None,
        page: None,
    };
    topic.tell(&message, soon()).await
}

#[tokio::test]
async fn an_alert_is_published_with_what_subscriptions_filter_by() {
    let sns = FakeSns::default();
    assert_eq!(tell(&sns.start(Some(TOPIC)).await).await, Ok(Told::Yes));
    let published = sns.taken.lock().unwrap().remove(0);
    assert_eq!(published.subject, "paygraph: endpoint");
    let lines: Vec<_> = published.message.lines().collect();
    let expected = [
        "Stripe's events do not reach us: it is disabled",
        "severity critical · owner north · since 2026-09-21T14:13:20Z",
    ];
    assert_eq!(lines, expected);
    let attributes = published.attributes.iter();
    let attributes: Vec<_> = attributes.map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let expected = [
        ("alert", "endpoint:1790000000::"),
        ("kind", "endpoint"),
        ("severity", "critical"),
        ("tenant", "default"),
    ];
    assert_eq!(attributes, expected);
    assert_eq!(tell(&sns.start(None).await).await, Ok(Told::Nowhere));
}

#[tokio::test]
async fn what_sns_refuses_for_good_is_not_tried_again() {
    for (status, code, again) in [
        (404, "NotFound", false),
        (403, "AuthorizationError", false),
        (400, "InvalidParameter", false),
        (400, "Throttling", true),
        (429, "Throttled", true),
        (500, "InternalError", true),
    ] {
        let trouble = Some((status, code));
        let sns = FakeSns {
            trouble,
            ..FakeSns::default()
        };
        let reason = format!("SNS answered {status}: {code} no");
        let expected = match again {
            true => TellError::Again(reason),
            false => TellError::Never(reason),
        };
        assert_eq!(tell(&sns.start(Some(TOPIC)).await).await, Err(expected));
    }
}

#[tokio::test]
async fn a_topic_that_cannot_be_reached_is_tried_again() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let told = tell(&topic_at(url, Some(TOPIC))).await;
    assert!(matches!(told, Err(TellError::Again(_))), "{told:?}");
}

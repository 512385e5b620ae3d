//! SNS: the exact request, and what refusals mean.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use aws_sdk_sns::Client;
use aws_sdk_sns::config::http::HttpResponse;
use aws_sdk_sns::operation::publish::PublishOutput;
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use paygraph_alert::message::Message;
use paygraph_alert::tell::{Tell as _, TellError, Told};
use paygraph_alert::topic::Topic;
use paygraph_domain::alert::Alert;
use paygraph_domain::alert::reason::endpoint;
use paygraph_domain::alert::routing::Route;
use paygraph_domain::id::TenantId;
use paygraph_domain::time::Timestamp;
use tokio::time::Instant;

const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:alerts";

async fn tell(rules: &[&Rule], arn: Option<&str>) -> Result<Told, TellError> {
    let client = mock_client!(aws_sdk_sns, RuleMode::MatchAny, rules);
    let now = Timestamp::from_unix(1_790_000_000).unwrap();
    let reason = endpoint(&["it is disabled".to_owned()], now);
    let alert = Alert::new(
        &reason,
        None,
        Some("north".to_owned()),
        Route::default(),
        now,
    );
    let tenant = TenantId::parse("acme").unwrap();
    let message = Message {
        tenant: &tenant,
        alert: &alert,
        contact: None,
        page: None,
    };
    let topic = Topic::new(client, arn.map(str::to_owned));
    topic.tell(&message, Instant::now()).await
}

#[tokio::test]
async fn an_alert_is_published_with_what_subscriptions_filter_by() {
    let published = mock!(Client::publish)
        .match_requests(|request| {
            let attributes = request.message_attributes().unwrap();
            let value = |name: &str| attributes.get(name).unwrap().string_value().unwrap();
            let lines: Vec<_> = request.message().unwrap().lines().collect();
            request.topic_arn() == Some(TOPIC)
                && request.subject() == Some("paygraph: endpoint")
                && lines
                    == [
                        "Stripe's events do not reach us: it is disabled",
                        "severity critical · owner north · since 2026-09-21T14:13:20Z",
                    ]
                && value("kind") == "endpoint"
                && value("severity") == "critical"
                && value("tenant") == "acme"
                && value("alert") == "endpoint:1790000000::"
                && !attributes.contains_key("customer_id")
        })
        .then_output(|| PublishOutput::builder().message_id("1").build());
    assert_eq!(tell(&[&published], Some(TOPIC)).await, Ok(Told::Yes));
    assert_eq!(tell(&[], None).await, Ok(Told::Nowhere));
}

/// SNS answers with an error.
fn refusal(status: u16, code: &'static str) -> Rule {
    mock!(Client::publish).then_http_response(move || {
        let error = format!("<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>");
        HttpResponse::new(status.try_into().unwrap(), error.into())
    })
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
        let told = tell(&[&refusal(status, code)], Some(TOPIC)).await;
        let is_again = matches!(told, Err(TellError::Again(_)));
        assert!(told.is_err() && is_again == again, "{code}: {told:?}");
    }
}

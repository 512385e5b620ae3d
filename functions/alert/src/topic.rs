//! Publishes alerts to the deployment's SNS topic, at least once. E-mail, text messages and others
//! subscribe to it.

use std::time::Duration;

use form_urlencoded::Serializer;
use paygraph_domain::text::single_line;
use paygraph_runtime::aws::signed::{RequestError, ServiceNames, ServiceResponse, SignedClient};
use tokio::time::Instant;

use crate::message::Message;
use crate::tell::{Tell, TellError, Told};

/// The names of SNS.
pub const SNS: ServiceNames = ServiceNames {
    host: "sns",
    signing: "sns",
    endpoint_variable: "AWS_ENDPOINT_URL_SNS",
};
/// The version of SNS's API, which every request names.
const VERSION: &str = "2010-03-31";
/// How long SNS may take to answer.
const PATIENCE: Duration = Duration::from_secs(8);

/// The topic, if there is one.
#[derive(Debug, Clone)]
pub struct Topic {
    client: SignedClient,
    arn: Option<String>,
}

impl Topic {
    /// The topic of an ARN.
    #[must_use]
    pub fn new(client: SignedClient, arn: Option<String>) -> Self {
        Self { client, arn }
    }
}

/// The message attributes, by which filter policies of subscriptions choose.
fn attributes(message: &Message<'_>) -> Vec<(&'static str, String)> {
    let alert = message.alert;
    let severity = serde_json::to_value(alert.severity).unwrap_or_default();
    let mut attributes = vec![
        ("tenant", message.tenant.to_string()),
        ("kind", alert.id.kind.as_str().to_owned()),
        ("severity", severity.as_str().unwrap_or_default().to_owned()),
        ("alert", alert.id.to_string()),
    ];
    let customer = alert.id.customer.as_ref();
    attributes.extend(customer.map(|customer| ("customer_id", customer.to_string())));
    attributes
}

/// The form that publishes a message.
/// (<https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>)
fn write_form(arn: &str, message: &Message<'_>) -> String {
    let kind = message.alert.id.kind.as_str();
    let mut lines = message.lines();
    lines.extend(message.page.map(single_line));
    let mut form = Serializer::new(String::new());
    form.append_pair("Action", "Publish")
        .append_pair("Version", VERSION)
        .append_pair("TopicArn", arn)
        .append_pair("Subject", &format!("paygraph: {kind}"))
        .append_pair("Message", &lines.join("\n"));
    for (place, (name, value)) in (1..).zip(attributes(message)) {
        let entry = format!("MessageAttributes.entry.{place}");
        form.append_pair(&format!("{entry}.Name"), name)
            .append_pair(&format!("{entry}.Value.DataType"), "String")
            .append_pair(&format!("{entry}.Value.StringValue"), &value);
    }
    form.finish()
}

impl Tell for Topic {
    async fn tell(&self, message: &Message<'_>, until: Instant) -> Result<Told, TellError> {
        let Some(arn) = &self.arn else {
            return Ok(Told::Nowhere);
        };
        let time = until
            .saturating_duration_since(Instant::now())
            .min(PATIENCE);
        match self.client.post_form(write_form(arn, message), time).await {
            Ok(response) => classify_response(&response),
            Err(error @ RequestError::Unsigned(_)) => {
                Err(TellError::Never(format!("SNS: {error}")))
            }
            Err(error) => Err(TellError::Again(format!("SNS: {error}"))),
        }
    }
}

/// Whether SNS took a message, or another attempt may help: not when it calls the request wrong.
fn classify_response(response: &ServiceResponse) -> Result<Told, TellError> {
    if (200..300).contains(&response.status) {
        return Ok(Told::Yes);
    }
    let body = String::from_utf8_lossy(&response.body);
    let code = element(&body, "Code").unwrap_or_default();
    let message = element(&body, "Message").unwrap_or_default();
    let reason = format!("SNS answered {}: {code} {message}", response.status);
    let is_wrong = (400..500).contains(&response.status) && response.status != 429;
    Err(if is_wrong && !code.contains("Throttl") {
        TellError::Never(reason)
    } else {
        TellError::Again(reason)
    })
}

/// The text of the first XML element of a name.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.trim())
}

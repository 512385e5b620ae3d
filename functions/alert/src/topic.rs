//! The deployment's SNS topic: e-mail, text messages, whatever subscribes. At least once.

use aws_sdk_sns::Client;
use aws_sdk_sns::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sns::operation::publish::PublishError;
use aws_sdk_sns::types::MessageAttributeValue;
use paygraph_domain::text::single_line;
use tokio::time::Instant;

use crate::message::Message;
use crate::tell::{Tell, TellError, Told};

/// The topic, if there is one.
#[derive(Debug, Clone)]
pub struct Topic {
    client: Client,
    arn: Option<String>,
}

impl Topic {
    /// The topic of an ARN.
    #[must_use]
    pub fn new(client: Client, arn: Option<String>) -> Self {
        Self { client, arn }
    }
}

/// What filter policies of subscriptions can ask for.
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

impl Tell for Topic {
    /// The SDK has time-outs and attempts of its own, which are shorter than any function's time.
    async fn tell(&self, message: &Message<'_>, _: Instant) -> Result<Told, TellError> {
        let Some(arn) = &self.arn else {
            return Ok(Told::Nowhere);
        };
        let kind = message.alert.id.kind.as_str();
        let mut lines = message.lines();
        lines.extend(message.page.map(single_line));
        let mut publish = self
            .client
            .publish()
            .topic_arn(arn)
            .subject(format!("paygraph: {kind}"))
            .message(lines.join("\n"));
        for (name, value) in attributes(message) {
            let value = MessageAttributeValue::builder()
                .data_type("String")
                .string_value(value)
                .build();
            let value = value.map_err(|error| TellError::Never(error.to_string()))?;
            publish = publish.message_attributes(name, value);
        }
        let published = publish.send().await;
        published
            .map(|_| Told::Yes)
            .map_err(|error| classed(&error))
    }
}

/// Whether another attempt may help: not when SNS calls the request itself wrong.
fn classed(error: &SdkError<PublishError>) -> TellError {
    let code = error
        .as_service_error()
        .and_then(ProvideErrorMetadata::code);
    let throttled = code.is_some_and(|code| code.contains("Throttl"));
    let status = error
        .raw_response()
        .map(|response| response.status().as_u16());
    let wrong = status.is_some_and(|status| (400..500).contains(&status) && status != 429);
    let reason = format!("SNS: {}", DisplayErrorContext(error));
    if wrong && !throttled {
        TellError::Never(reason)
    } else {
        TellError::Again(reason)
    }
}

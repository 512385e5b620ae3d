//! Sends the e-mails of sequences by Amazon SES.

use std::time::Duration;

use paygraph_domain::text::single_line;
use paygraph_engine::email::{Email, EmailError, Mailer};
use paygraph_runtime::aws::signed::{RequestError, ServiceNames, ServiceResponse, SignedClient};
use serde_json::{Value, json};

use crate::tenant_tag;

/// The names of SES.
pub const SES: ServiceNames = ServiceNames {
    host: "email",
    signing: "ses",
    endpoint_variable: "AWS_ENDPOINT_URL_SESV2",
};
/// The operation `SendEmail`.
/// (<https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html>)
const SEND_EMAIL: &str = "/v2/email/outbound-emails";
/// How long SES may take to answer.
const PATIENCE: Duration = Duration::from_secs(8);
/// The errors of SES after which another attempt may succeed.
const PASSING: [&str; 4] = [
    "LimitExceededException",
    "SendingPausedException",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// The client of SES, with the settings that every e-mail has.
#[derive(Debug, Clone)]
pub struct Ses {
    client: SignedClient,
    /// The first part of every link to unsubscribe.
    unsubscribe_url: Option<String>,
    /// The configuration set of SES, which reports bounces and complaints.
    configuration_set: Option<String>,
}

impl Ses {
    /// Takes a client that makes one attempt, since a second one may send a second e-mail.
    #[must_use]
    pub fn new(
        client: SignedClient,
        unsubscribe_url: Option<String>,
        configuration_set: Option<String>,
    ) -> Self {
        Self {
            client,
            unsubscribe_url,
            configuration_set,
        }
    }

    /// Writes the request for an e-mail. A field without a value is left out.
    fn write_request(&self, email: &Email<'_>, url: &str) -> Value {
        let name = self.configuration_set.as_ref();
        let fields = [
            ("ConfigurationSetName", name.map(|name| json!(name))),
            ("Content", Some(json!({ "Simple": message(email, url) }))),
            (
                "Destination",
                Some(json!({ "ToAddresses": [email.to.as_str()] })),
            ),
            ("EmailTags", Some(tags(email))),
            ("FromEmailAddress", Some(json!(email.from))),
            (
                "ReplyToAddresses",
                email.reply_to.map(|address| json!([address])),
            ),
        ];
        let fields = fields.into_iter();
        let told = fields.filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(told.collect())
    }
}

impl Mailer for Ses {
    async fn send(&self, email: &Email<'_>) -> Result<(), EmailError> {
        let Some(url) = &self.unsubscribe_url else {
            let reason = "e-mails are not enabled for this deployment (EnableEmail)";
            return Err(EmailError::Never(reason.to_owned()));
        };
        let url = format!("{url}/{}", email.unsubscribe);
        let body = self.write_request(email, &url).to_string().into_bytes();
        match self.client.post_json(SEND_EMAIL, body, PATIENCE).await {
            Ok(response) => classify_response(&response),
            Err(error) => {
                let reason = format!("SES: {error}");
                Err(match error {
                    RequestError::Unsigned(_) => EmailError::Never(reason),
                    RequestError::NotConnected(_) => EmailError::Again(reason),
                    RequestError::NoResponse(_) => EmailError::Unknown(reason),
                })
            }
        }
    }
}

/// The tags by which SES's feedback finds the tenant.
fn tags(email: &Email<'_>) -> Value {
    let tags = tenant_tag::tags(email.tenant).into_iter();
    tags.map(|(name, value)| json!({ "Name": name, "Value": value }))
        .collect()
}

/// The message, with the two headers of a one-click unsubscribe (RFC 8058) and the link in its text.
fn message(email: &Email<'_>, url: &str) -> Value {
    let content = |text: &str| json!({ "Data": text, "Charset": "UTF-8" });
    let text = format!(
        "{}\n\n-- \nIf you want no more of these e-mails: {url}\n",
        email.text.trim_end()
    );
    json!({
        "Subject": content(&single_line(email.subject)),
        "Body": { "Text": content(&text) },
        "Headers": [
            { "Name": "List-Unsubscribe", "Value": format!("<{url}>") },
            { "Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click" },
        ],
    })
}

/// Decides by a response whether SES sent the e-mail. After a refusal it did not. After an error of
/// its own it may have.
fn classify_response(response: &ServiceResponse) -> Result<(), EmailError> {
    if (200..300).contains(&response.status) {
        return Ok(());
    }
    let name = response.error.as_deref().unwrap_or_default();
    let told: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let message = told.get("message").and_then(Value::as_str);
    let message = message.unwrap_or_default();
    let reason = format!("SES answered {}: {name} {message}", response.status);
    Err(match response.status {
        _ if PASSING.contains(&name) => EmailError::Again(reason),
        429 => EmailError::Again(reason),
        400..=499 => EmailError::Never(reason),
        _ => EmailError::Unknown(reason),
    })
}

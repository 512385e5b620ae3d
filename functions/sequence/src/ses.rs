//! Amazon SES: the one who carries e-mails.

use std::time::Duration;

use paygraph_domain::text::single_line;
use paygraph_engine::email::{Email, EmailError, Mailer};
use paygraph_runtime::aws::signed::{Answer, Service, ServiceName, Unanswered};
use serde_json::{Value, json};

use crate::tenant_tag;

/// The names of SES.
pub const SES: ServiceName = ServiceName {
    host: "email",
    signing: "ses",
    variable: "AWS_ENDPOINT_URL_SESV2",
};
/// The operation `SendEmail`.
/// (<https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html>)
const SEND_EMAIL: &str = "/v2/email/outbound-emails";
/// How long SES may take to answer.
const PATIENCE: Duration = Duration::from_secs(8);
/// Refusals of SES that pass.
const PASSING: [&str; 4] = [
    "LimitExceededException",
    "SendingPausedException",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// SES, and what every e-mail says of how to get no more.
#[derive(Debug, Clone)]
pub struct Ses {
    service: Service,
    /// What the link to unsubscribe begins with.
    unsubscribe_url: Option<String>,
    /// Where bounces and complaints are told of.
    configuration_set: Option<String>,
}

impl Ses {
    /// SES over a service that makes one attempt: a second one may be a second e-mail.
    #[must_use]
    pub fn new(
        service: Service,
        unsubscribe_url: Option<String>,
        configuration_set: Option<String>,
    ) -> Self {
        Self {
            service,
            unsubscribe_url,
            configuration_set,
        }
    }

    /// The request for an e-mail. An absent field means that SES has no value for it.
    fn request(&self, email: &Email<'_>, url: &str) -> Value {
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
        let body = self.request(email, &url).to_string().into_bytes();
        match self.service.post(SEND_EMAIL, body, PATIENCE).await {
            Ok(answer) => classed(&answer),
            Err(error) => {
                let reason = format!("SES: {error}");
                Err(match error {
                    Unanswered::Unsendable(_) => EmailError::Never(reason),
                    Unanswered::NotConnected(_) => EmailError::Again(reason),
                    Unanswered::Lost(_) => EmailError::Unknown(reason),
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

/// Whether it was sent, as far as an answer tells: what SES refuses was not; after an error of SES's
/// own, it may have been.
fn classed(answer: &Answer) -> Result<(), EmailError> {
    if (200..300).contains(&answer.status) {
        return Ok(());
    }
    let name = answer.error.as_deref().unwrap_or_default();
    let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let message = told.get("message").and_then(Value::as_str);
    let message = message.unwrap_or_default();
    let reason = format!("SES answered {}: {name} {message}", answer.status);
    Err(match answer.status {
        _ if PASSING.contains(&name) => EmailError::Again(reason),
        429 => EmailError::Again(reason),
        400..=499 => EmailError::Never(reason),
        _ => EmailError::Unknown(reason),
    })
}

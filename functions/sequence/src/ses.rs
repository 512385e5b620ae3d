//! Amazon SES: the one who carries e-mails.

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::error::{BuildError, DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::operation::send_email::SendEmailError;
use aws_sdk_sesv2::types::{
    Body, Content, Destination, EmailContent, Message, MessageHeader, MessageTag,
};
use hyper_util::client::legacy;
use paygraph_domain::text::single_line;
use paygraph_engine::email::{Email, EmailError, Mailer};

use crate::tenant_tag;

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
    client: Client,
    /// What the link to unsubscribe begins with.
    unsubscribe_url: Option<String>,
    /// Where bounces and complaints are told of.
    configuration_set: Option<String>,
}

impl Ses {
    /// SES with a client that tries once: a second attempt may be a second e-mail.
    #[must_use]
    pub fn new(
        client: Client,
        unsubscribe_url: Option<String>,
        configuration_set: Option<String>,
    ) -> Self {
        Self {
            client,
            unsubscribe_url,
            configuration_set,
        }
    }
}

impl Mailer for Ses {
    async fn send(&self, email: &Email<'_>) -> Result<(), EmailError> {
        let Some(url) = &self.unsubscribe_url else {
            let reason = "e-mails are not enabled for this deployment (EnableEmail)";
            return Err(EmailError::Never(reason.to_owned()));
        };
        let url = format!("{url}/{}", email.unsubscribe);
        let message = message(email, &url).map_err(|error| EmailError::Never(error.to_string()))?;
        let tags = tags(email).map_err(|error| EmailError::Never(error.to_string()))?;
        let sent = self
            .client
            .send_email()
            .from_email_address(email.from)
            .set_reply_to_addresses(email.reply_to.map(|to| vec![to.to_owned()]))
            .destination(
                Destination::builder()
                    .to_addresses(email.to.as_str())
                    .build(),
            )
            .content(EmailContent::builder().simple(message).build())
            .set_email_tags(Some(tags))
            .set_configuration_set_name(self.configuration_set.clone())
            .send()
            .await;
        sent.map(|_| ()).map_err(|error| classed(&error))
    }
}

/// The tags by which SES's feedback finds the tenant.
fn tags(email: &Email<'_>) -> Result<Vec<MessageTag>, BuildError> {
    let tags = tenant_tag::tags(email.tenant).into_iter();
    let tags = tags.map(|(name, value)| MessageTag::builder().name(name).value(value).build());
    tags.collect()
}

/// The message, with the two headers of a one-click unsubscribe (RFC 8058) and the link in its text.
fn message(email: &Email<'_>, url: &str) -> Result<Message, BuildError> {
    let content = |text: &str| Content::builder().data(text).charset("UTF-8").build();
    let header = |name: &str, value: &str| {
        let header = MessageHeader::builder().name(name).value(value);
        header.build()
    };
    let text = format!(
        "{}\n\n-- \nIf you want no more of these e-mails: {url}\n",
        email.text.trim_end()
    );
    Ok(Message::builder()
        .subject(content(&single_line(email.subject))?)
        .body(Body::builder().text(content(&text)?).build())
        .headers(header("List-Unsubscribe", &format!("<{url}>"))?)
        .headers(header(
            "List-Unsubscribe-Post",
            "List-Unsubscribe=One-Click",
        )?)
        .build())
}

/// Whether it was sent, as far as that can be known: what SES refuses was not; what got no answer, or
/// an error of SES's own, may have been.
fn classed(error: &SdkError<SendEmailError>) -> EmailError {
    let reason = format!("SES: {}", DisplayErrorContext(error));
    if let SdkError::ConstructionFailure(_) = error {
        return EmailError::Never(reason);
    }
    if never_connected(error) {
        return EmailError::Again(reason);
    }
    let code = error
        .as_service_error()
        .and_then(ProvideErrorMetadata::code);
    if code.is_some_and(|code| PASSING.contains(&code)) {
        return EmailError::Again(reason);
    }
    let status = error
        .raw_response()
        .map(|response| response.status().as_u16());
    match status {
        Some(400..=499) => EmailError::Never(reason),
        Some(_) | None => EmailError::Unknown(reason),
    }
}

fn never_connected(error: &(dyn std::error::Error + 'static)) -> bool {
    let chain = std::iter::successors(Some(error), |error| error.source());
    let mut sent = chain.filter_map(|error| error.downcast_ref::<legacy::Error>());
    sent.any(legacy::Error::is_connect)
}

//! The e-mail that a step of a sequence asks for: sent to whom it still concerns, at most once.
//!
//! Nobody can ask a mail server whether it took a message, so the e-mail is noted before it is handed
//! over: whoever dies in between loses it rather than send it twice. What was refused for certain is
//! struck off again and may come later.

use std::future::Future;

use paygraph_domain::contact::Contact;
use paygraph_domain::email::{Address, EmailSettings, HeldBack, Outbound, Recipient, Suppressed};
use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::sequence::{Channel, Seen, StepDue};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;

use crate::backoff::Deadline;
use crate::envelope::Envelope;
use crate::identity::IdentityError;
use crate::ports::{Clock, LedgerEntry, Store, StoreError};
use crate::process::Engine;
use crate::target::{Old, old};

/// How often somebody else's e-mail to the same contact is waited for.
const ATTEMPTS: u32 = 10;

/// Where it is kept who was written to, and who is not to be. Every read is consistent.
pub trait Emails: Sync {
    /// What is known of an address, by its key; it gets this token if it has none.
    fn recipient(
        &self,
        tenant: &TenantId,
        address: &str,
        token: &str,
    ) -> impl Future<Output = Result<Recipient, StoreError>> + Send;

    /// Notes that an address is not to be written to any more; the first reason stays. With a token,
    /// only if it is the address's own. Says whether it was noted, now or before.
    fn suppress(
        &self,
        tenant: &TenantId,
        address: &str,
        token: Option<&str>,
        why: Suppressed,
        at: Timestamp,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// The newest e-mails to a contact.
    fn outbound(
        &self,
        tenant: &TenantId,
        contact: &CustomerId,
    ) -> impl Future<Output = Result<Outbound, StoreError>> + Send;

    /// Keeps them over the `rev` before. Says whether it was still that one.
    fn keep_outbound(
        &self,
        tenant: &TenantId,
        contact: &CustomerId,
        outbound: &Outbound,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// An e-mail.
#[derive(Debug, Clone, Copy)]
pub struct Email<'a> {
    /// Whose customer is written to.
    pub tenant: &'a TenantId,
    /// From whom.
    pub from: &'a str,
    /// Where answers go, if not there.
    pub reply_to: Option<&'a str>,
    /// To whom.
    pub to: &'a Address,
    /// The subject.
    pub subject: &'a str,
    /// The text.
    pub text: &'a str,
    /// The end of the link by which the address is written to no more: `{tenant}/{address}/{token}`.
    pub unsubscribe: &'a str,
}

/// Why an e-mail was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// Certainly not sent; another attempt may succeed.
    #[error("{0}")]
    Again(String),
    /// Certainly not sent; it is wrong in itself.
    #[error("{0}")]
    Never(String),
    /// Nobody knows whether it was sent.
    #[error("{0}")]
    Unknown(String),
}

/// Who hands e-mails over.
pub trait Mailer: Sync {
    /// Hands one over.
    fn send(&self, email: &Email<'_>) -> impl Future<Output = Result<(), EmailError>> + Send;
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    /// It asks for no e-mail.
    NotOurs,
    /// It is no news.
    Old(Old),
    /// It was handed over before.
    Before,
    /// It is not sent.
    HeldBack(HeldBack),
    /// It was handed over.
    Sent,
    /// It was handed over, and nobody knows whether it arrived there.
    Unknown,
}

/// Why a step could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The step cannot be read.
    #[error("the step cannot be read")]
    Unreadable(#[from] serde_json::Error),
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The e-mail was not taken.
    #[error(transparent)]
    Email(EmailError),
}

/// Sends the e-mails of sequences.
#[derive(Debug, Clone)]
pub struct Post<S, C, M> {
    /// Where contacts are, and who was written to.
    pub engine: Engine<S, C>,
    /// Who hands them over.
    pub mailer: M,
}

impl<S: Store + Emails, C: Clock, M: Mailer> Post<S, C, M> {
    /// Sends the e-mail of a step that is due, if the contact is still to get it.
    ///
    /// # Errors
    /// [`PostError`]; what may succeed later is not noted as sent.
    pub async fn post(&self, event: &Envelope) -> Result<Posted, PostError> {
        let step: StepDue = serde_json::from_value(event.data.clone())?;
        let Some(id) = event.customer_id.as_ref() else {
            return Ok(Posted::NotOurs);
        };
        if step.channel != Channel::Email {
            return Ok(Posted::NotOurs);
        }
        let settings = self.engine.store.settings(&event.tenant).await?;
        let now = self.engine.clock.now();
        if let Some(old) = old(event, now, settings.news_hours) {
            return Ok(Posted::Old(old));
        }
        let Some(from) = settings.email.from.as_deref() else {
            return Ok(Posted::HeldBack(HeldBack::NoSender));
        };
        let contact = self.engine.store.contact(&event.tenant, id).await?;
        let to = match concerned(contact.as_ref(), &step, &settings, now) {
            Ok(to) => to,
            // It was sent, and nobody was told of it yet: the reason may have gone since.
            Err(_) if self.is_noted(event, id).await? => return Ok(Posted::Before),
            Err(why) => return Ok(Posted::HeldBack(why)),
        };
        let noted = self.note(event, id, &to, &settings.email, now).await?;
        let recipient = match noted {
            Noted::Now(recipient) => recipient,
            Noted::Before => return Ok(Posted::Before),
            Noted::HeldBack(why) => return Ok(Posted::HeldBack(why)),
        };
        let unsubscribe = format!("{}/{}/{}", event.tenant, to.key(), recipient.token);
        let email = Email {
            tenant: &event.tenant,
            from,
            reply_to: settings.email.reply_to.as_deref(),
            to: &to,
            subject: step.subject.as_deref().unwrap_or_default(),
            text: &step.text,
            unsubscribe: &unsubscribe,
        };
        match self.mailer.send(&email).await {
            Ok(()) => Ok(Posted::Sent),
            Err(EmailError::Unknown(reason)) => {
                tracing::warn!(
                    code = "email_unknown",
                    reason,
                    event.id,
                    "Nobody knows whether an e-mail was sent: it is not sent again"
                );
                Ok(Posted::Unknown)
            }
            Err(error) => {
                self.strike(event, id).await?;
                Err(PostError::Email(error))
            }
        }
    }

    /// Takes in that the contact of a step was written to. Gives what is to be published.
    ///
    /// # Errors
    /// [`IdentityError`]; to say it again changes nothing.
    pub async fn contacted(
        &self,
        event: &Envelope,
        deadline: Deadline,
    ) -> Result<Option<LedgerEntry>, IdentityError> {
        let Some(id) = event.customer_id.as_ref() else {
            return Ok(None);
        };
        let contacted = self
            .engine
            .contacted(&event.tenant, id, event.occurred_at, deadline);
        contacted.await
    }

    /// Notes the e-mail as handed over, unless it was, or is not to be.
    async fn note(
        &self,
        event: &Envelope,
        id: &CustomerId,
        to: &Address,
        settings: &EmailSettings,
        now: Timestamp,
    ) -> Result<Noted, StoreError> {
        let tenant = &event.tenant;
        let recipient = self
            .engine
            .store
            .recipient(tenant, &to.key(), &token()?)
            .await?;
        for _ in 0..ATTEMPTS {
            let sent = self.engine.store.outbound(tenant, id).await?;
            if sent.has(&event.id) {
                return Ok(Noted::Before);
            }
            if let Err(why) = settings.permit(to, recipient.suppressed, &sent, now) {
                return Ok(Noted::HeldBack(why));
            }
            let with = sent.with(&event.id, now);
            if self.engine.store.keep_outbound(tenant, id, &with).await? {
                return Ok(Noted::Now(recipient));
            }
        }
        Err(busy(id))
    }

    /// Whether the e-mail was handed over before.
    async fn is_noted(&self, event: &Envelope, id: &CustomerId) -> Result<bool, StoreError> {
        let sent = self.engine.store.outbound(&event.tenant, id).await?;
        Ok(sent.has(&event.id))
    }

    /// Strikes an e-mail off that was certainly not sent.
    async fn strike(&self, event: &Envelope, id: &CustomerId) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let sent = self.engine.store.outbound(&event.tenant, id).await?;
            let without = sent.without(&event.id);
            if self
                .engine
                .store
                .keep_outbound(&event.tenant, id, &without)
                .await?
            {
                return Ok(());
            }
        }
        Err(busy(id))
    }
}

enum Noted {
    Now(Recipient),
    Before,
    HeldBack(HeldBack),
}

/// The address of a contact that a step still concerns.
fn concerned(
    contact: Option<&Contact>,
    step: &StepDue,
    settings: &Settings,
    now: Timestamp,
) -> Result<Address, HeldBack> {
    let contact = contact.ok_or(HeldBack::Over)?;
    let sequence = settings.running_sequence(&step.sequence);
    let seen = Seen::at(contact, settings, now);
    if !sequence.is_some_and(|sequence| sequence.has_reason(&seen)) {
        return Err(HeldBack::Over);
    }
    let address = contact.email().and_then(Address::parse);
    address.ok_or(HeldBack::NoAddress)
}

fn token() -> Result<String, StoreError> {
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random).map_err(|error| StoreError {
        context: "there is no randomness".to_owned(),
        retry: true,
        source: Some(Box::new(error)),
    })?;
    Ok(format!("{:032x}", u128::from_be_bytes(random)))
}

fn busy(id: &CustomerId) -> StoreError {
    StoreError {
        context: format!("others kept writing to {id}"),
        retry: true,
        source: None,
    }
}

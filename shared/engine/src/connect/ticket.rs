//! What is given to a browser and comes back: signed, for a while, for that browser alone.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use paygraph_domain::id::{StripeId, TenantId};
use paygraph_domain::time::Timestamp;
use paygraph_runtime::secrets::SecretKeeper;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::ConnectError;
use crate::connection::busy;
use crate::ports::StoreError;

/// The secret that tickets are signed with. Who needs it first makes it.
const KEY: &str = "connect/state";
/// Random bytes of a key, a cookie, a nonce.
const RANDOM_BYTES: usize = 32;

/// Why what came back is not to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// We did not make it, or not for this.
    #[error("this link is not one of ours")]
    Forged,
    /// It was for another browser.
    #[error("this link was made for another browser: connect from the one that began")]
    OtherBrowser,
    /// It is too old.
    #[error("this link has run out: begin again")]
    RunOut,
    /// It came before.
    #[error("this link was used before: begin again")]
    Used,
}

/// What a ticket is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub(super) enum Step {
    /// To come back from Stripe.
    Return,
    /// To confirm the account that was found.
    Confirm {
        account: StripeId,
        name: Option<String>,
        since: Timestamp,
    },
}

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ticket {
    pub tenant: TenantId,
    /// Used up with it.
    pub nonce: String,
    pub until: Timestamp,
    /// The hash of the browser's cookie.
    browser: String,
    #[serde(flatten)]
    pub step: Step,
}

impl Ticket {
    pub fn new(
        tenant: &TenantId,
        step: Step,
        cookie: &SecretString,
        until: Timestamp,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            tenant: tenant.clone(),
            nonce: random()?,
            until,
            browser: hash(cookie.expose_secret()),
            step,
        })
    }

    /// The ticket as text that can be part of a URL.
    pub fn seal(&self, key: &SecretString) -> Result<String, StoreError> {
        let text = serde_json::to_vec(self).map_err(|_| busy("a ticket cannot be written"))?;
        let body = BASE64.encode(text);
        let signature = BASE64.encode(sign(key, &body)?);
        Ok(format!("{body}.{signature}"))
    }

    /// Reads a ticket that this browser has brought.
    pub fn open(
        key: &SecretString,
        text: &str,
        cookie: Option<&SecretString>,
        now: Timestamp,
    ) -> Result<Self, ConnectError> {
        let forged = ConnectError::Ticket(TicketError::Forged);
        let Some((body, signature)) = text.split_once('.') else {
            return Err(forged);
        };
        let signature = BASE64.decode(signature).unwrap_or_default();
        if !bool::from(sign(key, body)?.ct_eq(&signature)) {
            return Err(forged);
        }
        let text = BASE64.decode(body).unwrap_or_default();
        let Ok(ticket) = serde_json::from_slice::<Self>(&text) else {
            return Err(forged);
        };
        let browser = cookie.map(|cookie| hash(cookie.expose_secret()));
        let browser = browser.unwrap_or_default();
        if !bool::from(browser.as_bytes().ct_eq(ticket.browser.as_bytes())) {
            return Err(TicketError::OtherBrowser.into());
        }
        if ticket.until < now {
            return Err(TicketError::RunOut.into());
        }
        Ok(ticket)
    }
}

/// The key that tickets are signed with; made now if there is none.
pub(super) async fn signing_key(keeper: &impl SecretKeeper) -> Result<SecretString, ConnectError> {
    if let Some(key) = keeper.fetch(KEY).await? {
        return Ok(key);
    }
    let new = SecretString::from(random()?);
    if keeper.create(KEY, &new).await? {
        return Ok(new);
    }
    // Somebody else needed it first at the same moment.
    let key = keeper.fetch(KEY).await?;
    key.ok_or_else(|| busy("the key of tickets is not there yet").into())
}

/// Random, as text.
pub(super) fn random() -> Result<String, StoreError> {
    let mut random = [0_u8; RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(|_| busy("there is no randomness"))?;
    Ok(hex::encode(random))
}

fn hash(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

fn sign(key: &SecretString, body: &str) -> Result<Vec<u8>, StoreError> {
    let mac = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes());
    let mut mac = mac.map_err(|_| busy("the key of tickets is of no use"))?;
    mac.update(body.as_bytes());
    Ok(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(seconds).unwrap()
    }

    #[test]
    fn a_ticket_is_for_one_browser_and_a_while() {
        let (key, cookie) = (SecretString::from("key"), SecretString::from("cookie"));
        let tenant = TenantId::parse("acme").unwrap();
        let ticket = Ticket::new(&tenant, Step::Return, &cookie, at(100)).unwrap();
        let text = ticket.seal(&key).unwrap();
        let open = |key: &str, text: &str, cookie: Option<&str>, now| {
            let cookie = cookie.map(SecretString::from);
            match Ticket::open(&key.into(), text, cookie.as_ref(), at(now)) {
                Ok(ticket) => Ok(ticket),
                Err(ConnectError::Ticket(error)) => Err(error),
                Err(other) => panic!("{other}"),
            }
        };
        assert_eq!(open("key", &text, Some("cookie"), 100), Ok(ticket));
        for other in [None, Some(""), Some("other")] {
            assert_eq!(open("key", &text, other, 1), Err(TicketError::OtherBrowser));
        }
        assert_eq!(
            open("key", &text, Some("cookie"), 101),
            Err(TicketError::RunOut)
        );
        assert_eq!(
            open("other", &text, Some("cookie"), 1),
            Err(TicketError::Forged)
        );
        let (body, signature) = text.split_once('.').unwrap();
        for forged in [
            "",
            ".",
            body,
            &format!("{body}."),
            &format!("x{body}.{signature}"),
        ] {
            assert_eq!(
                open("key", forged, Some("cookie"), 1),
                Err(TicketError::Forged)
            );
        }
    }
}

//! E-mails to customers: from whom, to whom, and when rather not.
//!
//! Nobody is written to who asked not to be, whose address does not work, or who was written to often
//! enough. Until a tenant says otherwise, only the addresses that it lists are written to at all.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::time::Timestamp;

/// The longest address, in bytes (RFC 5321, 4.5.3.1.3).
const LONGEST: usize = 254;
/// How many e-mails to a contact are remembered.
const REMEMBERED: usize = 50;
const DAY: i64 = 86_400;

/// What a tenant decides of its e-mails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmailSettings {
    /// Whom they come from, as `Acme <billing@acme.example>`; none: none are sent.
    pub from: Option<String>,
    /// Where answers go, if not there.
    pub reply_to: Option<String>,
    /// Only `allowed` addresses are written to.
    pub sandbox: bool,
    /// These addresses.
    pub allowed: BTreeSet<String>,
    /// How many e-mails a contact gets at most …
    pub most: u16,
    /// … in how many days.
    pub per_days: u16,
}

impl Default for EmailSettings {
    fn default() -> Self {
        Self {
            from: None,
            reply_to: None,
            sandbox: true,
            allowed: BTreeSet::new(),
            most: 3,
            per_days: 7,
        }
    }
}

/// An address that an e-mail may be sent to, in lower case. It is not shown in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Reads one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@')?;
        let plain = |c: char| c.is_ascii_graphic() && !"<>(),;:\\\"[]@".contains(c);
        let is_one = !local.is_empty()
            && domain.contains('.')
            && text.len() <= LONGEST
            && local.chars().chain(domain.chars()).all(plain);
        is_one.then(|| Self(text.to_ascii_lowercase()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands for it in keys and links: its hash.
    #[must_use]
    pub fn key(&self) -> String {
        hex::encode(Sha256::digest(self.0.as_bytes()))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(…)")
    }
}

/// Why an address is not written to any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suppressed {
    /// Who reads it asked not to be written to.
    Unsubscribed,
    /// Nobody is there: it bounced for good.
    Bounced,
    /// Who reads it called an e-mail unwanted.
    Complained,
}

/// What is known of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// Who knows it may say that the address is not to be written to: it stands in every e-mail.
    pub token: String,
    /// Why it is not written to, if it is not.
    pub suppressed: Option<Suppressed>,
}

/// An e-mail that was handed over to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The event that asked for it.
    pub event: String,
    /// When.
    pub at: Timestamp,
}

/// The newest e-mails to a contact.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Outbound {
    /// How often it was written; 0 before the first time.
    pub rev: u64,
    /// The e-mails, oldest first.
    pub sent: Vec<Sent>,
}

impl Outbound {
    /// Whether the e-mail that an event asks for was handed over.
    #[must_use]
    pub fn has(&self, event: &str) -> bool {
        self.sent.iter().any(|sent| sent.event == event)
    }

    /// With one more.
    #[must_use]
    pub fn with(&self, event: &str, at: Timestamp) -> Self {
        let new = Sent {
            event: event.to_owned(),
            at,
        };
        let mut sent: Vec<Sent> = self.sent.iter().cloned().chain([new]).collect();
        sent.drain(..sent.len().saturating_sub(REMEMBERED));
        Self {
            rev: self.rev + 1,
            sent,
        }
    }

    /// Without one that was not sent after all.
    #[must_use]
    pub fn without(&self, event: &str) -> Self {
        let others = self.sent.iter().filter(|sent| sent.event != event);
        Self {
            rev: self.rev + 1,
            sent: others.cloned().collect(),
        }
    }
}

impl Suppressed {
    /// Its name in the table and in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unsubscribed => "unsubscribed",
            Self::Bounced => "bounced",
            Self::Complained => "complained",
        }
    }

    /// Reads its name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Unsubscribed, Self::Bounced, Self::Complained]
            .into_iter()
            .find(|why| why.as_str() == text)
    }
}

/// Why an e-mail is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldBack {
    /// The tenant has not said from whom.
    NoSender,
    /// The contact has no address that can be written to.
    NoAddress,
    /// The address is none of those that the sandbox allows.
    Sandbox,
    /// The address is not written to any more.
    Suppressed(Suppressed),
    /// The contact was written to often enough.
    Often,
    /// The reason for it is gone since it was due.
    Over,
}

impl HeldBack {
    /// Its name in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoSender => "no_sender",
            Self::NoAddress => "no_address",
            Self::Sandbox => "sandbox",
            Self::Suppressed(why) => why.as_str(),
            Self::Often => "often",
            Self::Over => "over",
        }
    }
}

impl EmailSettings {
    /// Whether an address may be written to now; `sent` is what its contact got before.
    ///
    /// # Errors
    /// Why not.
    pub fn permit(
        &self,
        to: &Address,
        suppressed: Option<Suppressed>,
        sent: &Outbound,
        now: Timestamp,
    ) -> Result<(), HeldBack> {
        let allowed = self.allowed.iter().filter_map(|text| Address::parse(text));
        if self.sandbox && !allowed.into_iter().any(|allowed| allowed == *to) {
            return Err(HeldBack::Sandbox);
        }
        if let Some(why) = suppressed {
            return Err(HeldBack::Suppressed(why));
        }
        let since = now.plus(-DAY * i64::from(self.per_days));
        let lately = sent.sent.iter().filter(|sent| sent.at > since).count();
        if lately >= usize::from(self.most) {
            return Err(HeldBack::Often);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(1_790_000_000 + seconds).unwrap()
    }

    fn live() -> EmailSettings {
        EmailSettings {
            sandbox: false,
            ..EmailSettings::default()
        }
    }

    #[test]
    fn an_address_is_read_as_it_is_meant() {
        let read = |text| Address::parse(text).map(|address| address.as_str().to_owned());
        assert_eq!(
            read(" Ada@Acme.example "),
            Some("ada@acme.example".to_owned())
        );
        for none in [
            "",
            "ada",
            "@acme.example",
            "ada@acme",
            "a b@acme.example",
            "a@b@c.example",
            "ada@acme.example\r\nBcc: eve@evil.example",
            "Ada <ada@acme.example>",
            "ä@acme.example",
        ] {
            assert_eq!(read(none), None, "{none:?}");
        }
        assert_eq!(read(&format!("{}@acme.example", "a".repeat(250))), None);
        let shown = format!("{:?}", Address::parse("ada@acme.example"));
        assert!(!shown.contains("ada"), "{shown}");
    }

    #[test]
    fn only_listed_addresses_until_somebody_says_otherwise() {
        let ada = Address::parse("ada@acme.example").unwrap();
        let mut settings = EmailSettings::default();
        let permit =
            |settings: &EmailSettings| settings.permit(&ada, None, &Outbound::default(), at(0));
        assert_eq!(permit(&settings), Err(HeldBack::Sandbox));
        settings.allowed.insert("ADA@acme.example".to_owned());
        assert_eq!(permit(&settings), Ok(()));
        assert_eq!(permit(&live()), Ok(()));
    }

    #[test]
    fn nobody_is_written_to_who_must_not_be() {
        let ada = Address::parse("ada@acme.example").unwrap();
        for why in [
            Suppressed::Unsubscribed,
            Suppressed::Bounced,
            Suppressed::Complained,
        ] {
            let held = live().permit(&ada, Some(why), &Outbound::default(), at(0));
            assert_eq!(held, Err(HeldBack::Suppressed(why)));
        }
    }

    #[test]
    fn three_in_a_week_are_enough() {
        let ada = Address::parse("ada@acme.example").unwrap();
        let mut sent = Outbound::default();
        for day in 0..3 {
            assert_eq!(live().permit(&ada, None, &sent, at(day * DAY)), Ok(()));
            sent = sent.with(&format!("evt_{day}"), at(day * DAY));
        }
        let permit = |sent: &Outbound, day| live().permit(&ada, None, sent, at(day * DAY));
        assert_eq!(permit(&sent, 6), Err(HeldBack::Often));
        assert_eq!(permit(&sent, 7), Ok(()));
        assert_eq!(permit(&sent.without("evt_1"), 6), Ok(()));
        assert!(sent.has("evt_1") && !sent.without("evt_1").has("evt_1"));
        assert_eq!((sent.rev, sent.without("evt_1").rev), (3, 4));
    }

    #[test]
    fn the_newest_are_remembered() {
        let mut sent = Outbound::default();
        for n in 0..60 {
            sent = sent.with(&format!("evt_{n}"), at(n));
        }
        assert_eq!(sent.sent.len(), REMEMBERED);
        assert!(sent.has("evt_59") && !sent.has("evt_9"));
    }
}

//! An alert's id: all that makes it the one it is, so that it is raised once.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use super::Kind;
use crate::id::{CustomerId, StripeId};
use crate::time::Timestamp;

/// What an alert is about, as text `{kind}:{since}:{object}:{customer}`; the last two may be empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct AlertId {
    /// What it is about.
    pub kind: Kind,
    /// Since when that is so.
    pub since: Timestamp,
    /// Which one, where there can be several of a kind.
    pub object: Option<StripeId>,
    /// Whom; nobody where it is about the tenant's connection.
    pub customer: Option<CustomerId>,
}

/// A text that is no alert's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the id of an alert")]
pub struct InvalidAlertId(String);

impl AlertId {
    /// Reads an id as [`fmt::Display`] writes it.
    ///
    /// # Errors
    /// [`InvalidAlertId`] when it is something else.
    pub fn parse(text: &str) -> Result<Self, InvalidAlertId> {
        read(text).ok_or_else(|| InvalidAlertId(text.to_owned()))
    }
}

fn read(text: &str) -> Option<AlertId> {
    // A customer's id is the tenant's own and may have anything in it, so it is the last.
    let mut parts = text.splitn(4, ':');
    let mut next = || parts.next();
    let (kind, since, object, customer) = (next()?, next()?, next()?, next()?);
    Some(AlertId {
        kind: Kind::parse(kind)?,
        since: Timestamp::from_unix(since.parse().ok()?).ok()?,
        object: maybe(object, |text| StripeId::parse_generated(text).ok())?,
        customer: maybe(customer, |text| CustomerId::parse(text).ok())?,
    })
}

/// A part that may be empty.
fn maybe<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    if text.is_empty() {
        return Some(None);
    }
    read(text).map(Some)
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = self.object.as_ref().map_or("", StripeId::as_str);
        let customer = self.customer.as_ref().map_or("", CustomerId::as_str);
        let (kind, since) = (self.kind.as_str(), self.since.unix());
        write!(f, "{kind}:{since}:{object}:{customer}")
    }
}

impl Serialize for AlertId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl TryFrom<String> for AlertId {
    type Error = InvalidAlertId;
    fn try_from(text: String) -> Result<Self, InvalidAlertId> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        for text in [
            "past_due:1790000000::acme",
            "dispute:1790000000:du_1:a:b/c",
            "drift:1790000000:stale:",
            "endpoint:1790000000::",
        ] {
            let id = AlertId::parse(text).unwrap();
            assert_eq!(id.to_string(), text);
            let json = serde_json::to_string(&id).unwrap();
            assert_eq!(serde_json::from_str::<AlertId>(&json).unwrap(), id);
        }
        for text in ["", "past_due", "x:1::a", "past_due:y::a", "past_due:1::a#b"] {
            assert!(AlertId::parse(text).is_err(), "{text}");
        }
    }
}

//! Identifiers, parsed once where they come in.
//!
//! Every identifier becomes part of a table key, whose parts are divided by `#`: so that sign and
//! control characters are refused here and need no thought anywhere else.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

/// The most bytes that an identifier may have.
pub const MAX_ID_BYTES: usize = 255;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// The text has no characters.
    #[error("an identifier must not be empty")]
    Empty,
    /// The text has more than [`MAX_ID_BYTES`] bytes.
    #[error("an identifier has at most {MAX_ID_BYTES} bytes, this one has {0}")]
    TooLong(usize),
    /// The text has a character that table keys cannot carry.
    #[error("an identifier must not contain '#', control characters or outer spaces")]
    Character,
}

fn check(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if text.len() > MAX_ID_BYTES {
        return Err(InvalidId::TooLong(text.len()));
    }
    if text.trim() != text || text.chars().any(|c| c == '#' || c.is_control()) {
        return Err(InvalidId::Character);
    }
    Ok(())
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Cheap to clone: clones share the text.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl $name {
            /// Takes a text as an identifier.
            ///
            /// # Errors
            /// [`InvalidId`] when it is empty, too long, or has a character that keys cannot carry.
            pub fn parse(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                check(&text)?;
                Ok(Self(text.into()))
            }

            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.as_str().to_owned()
            }
        }
    };
}

id! {
    /// One company that runs paygraph's tables: the first part of every key.
    TenantId
}
id! {
    /// Our own name of a customer: the contact's key.
    CustomerId
}
id! {
    /// Stripe's name of a customer, `cus_…`.
    StripeCustomerId
}
id! {
    /// Stripe's name of any other object: `sub_…`, `in_…`, `price_…`.
    StripeId
}
id! {
    /// What made a change: a Stripe event (`evt_…`), an object of a run, a timer. Also the ledger's key.
    Cause
}

impl From<StripeCustomerId> for CustomerId {
    /// A customer that nobody named otherwise is called as Stripe calls it.
    fn from(id: StripeCustomerId) -> Self {
        Self(id.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_can_be_part_of_a_key() {
        assert!(StripeId::parse("sub_1").is_ok());
        assert_eq!(StripeId::parse(""), Err(InvalidId::Empty));
        assert_eq!(CustomerId::parse("a#b"), Err(InvalidId::Character));
        assert_eq!(CustomerId::parse(" a"), Err(InvalidId::Character));
        assert_eq!(CustomerId::parse("a\nb"), Err(InvalidId::Character));
        assert_eq!(
            CustomerId::parse("x".repeat(256)),
            Err(InvalidId::TooLong(256))
        );
        assert!(serde_json::from_str::<CustomerId>("\"a#b\"").is_err());
    }
}

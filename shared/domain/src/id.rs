//! Identifiers, parsed once where they come in.
//!
//! Most identifiers become parts of table keys as they are. Parts are divided by `#`, so these types
//! refuse that sign and control characters. People choose the ids of plans, prices, products and
//! coupons: a [`StripeId`] is any text, and [`StripeId::key_part`] makes a key's part of it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// The most bytes that an identifier may have, other than a [`StripeId`].
pub const MAX_ID_BYTES: usize = 255;
/// The most characters of a [`StripeId`]: the `maxLength` of `id` in Stripe's OpenAPI description
/// (<https://github.com/stripe/openapi>) of plans, products and coupons.
pub const MAX_STRIPE_ID_CHARS: usize = 5_000;
/// The most bytes of a [`StripeId`] in a key. DynamoDB allows 1,024 for a whole sort key
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>).
const MAX_KEY_PART_BYTES: usize = 800;
/// The beginning of an escaped key part. An id that itself begins so is escaped as well.
const ESCAPED: &str = "%~";
/// The beginning of the key part of an id that is too long: a hash follows.
const HASHED: &str = "%=";

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// The text has no characters.
    #[error("an identifier must not be empty")]
    Empty,
    /// The text has more than [`MAX_ID_BYTES`] bytes.
    #[error("an identifier has at most {MAX_ID_BYTES} bytes, this one has {0}")]
    TooLong(usize),
    /// The text has more than [`MAX_STRIPE_ID_CHARS`] characters.
    #[error("an id of Stripe's has at most {MAX_STRIPE_ID_CHARS} characters, this one has {0}")]
    TooLongForStripe(usize),
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

/// Defines a type of identifiers. `checked` adds the constructor for those that are key parts as
/// they are.
macro_rules! id {
    (checked $(#[$doc:meta])* $name:ident) => {
        id! { $(#[$doc])* $name }

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
        }
    };
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

id! { checked
    /// One company that runs paygraph's tables: the first part of every key.
    TenantId
}
id! { checked
    /// Our own name of a customer: the contact's key.
    CustomerId
}
id! { checked
    /// Stripe's id of a customer: `cus_…`, or `acct_…` of an account that is a customer
    /// (<https://docs.stripe.com/accounts-v2/use-accounts-as-customers>).
    StripeCustomerId
}
id! {
    /// Stripe's id of any other object: `sub_…`, `in_…`, `price_…`, or any text that somebody chose
    /// for a plan, price, product or coupon (before 2018 with spaces, `#` and `/`). It is data.
    StripeId
}
id! { checked
    /// What made a change: a Stripe event (`evt_…`), an object of a run, a timer. Also the ledger's key.
    Cause
}

impl Cause {
    /// The cause of one part of what this cause leads to: `{cause}:{name}`, or a hash of that where it
    /// is no identifier.
    #[must_use]
    pub fn part(&self, name: &str) -> Self {
        let part = format!("{self}:{name}");
        if check(&part).is_ok() {
            return Self(part.into());
        }
        let hash = hex::encode(Sha256::digest(part.as_bytes()));
        let hashed = format!("{self}:{hash}");
        Self(if check(&hashed).is_ok() { hashed } else { hash }.into())
    }
}

impl StripeCustomerId {
    /// Whether Stripe knows this customer as an account (`acct_…`), and not as a customer object.
    #[must_use]
    pub fn is_account(&self) -> bool {
        self.0.starts_with("acct_")
    }
}

impl StripeId {
    /// Takes a text as an id, unchanged.
    ///
    /// # Errors
    /// [`InvalidId`] when it is empty, or has more than [`MAX_STRIPE_ID_CHARS`] characters.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidId> {
        let text = text.into();
        if text.is_empty() {
            return Err(InvalidId::Empty);
        }
        if text.len() > MAX_STRIPE_ID_CHARS {
            let chars = text.chars().count();
            if chars > MAX_STRIPE_ID_CHARS {
                return Err(InvalidId::TooLongForStripe(chars));
            }
        }
        Ok(Self(text.into()))
    }

    /// Takes a text as an id that Stripe itself made, as of accounts: it is a key's part as it is.
    ///
    /// # Errors
    /// [`InvalidId`] when it is empty, too long, or has a character that keys cannot carry.
    pub fn parse_generated(text: impl Into<String>) -> Result<Self, InvalidId> {
        let text = text.into();
        check(&text)?;
        Ok(Self(text.into()))
    }

    /// The id as a part of a table key. Different ids have different parts.
    ///
    /// An id that Stripe made is its own part. Others are percent-encoded behind a sign of their own.
    /// If that is too long for a key, the part is the id's SHA-256.
    #[must_use]
    pub fn key_part(&self) -> Cow<'_, str> {
        let id = self.as_str();
        let is_plain = check(id).is_ok() && !id.starts_with(ESCAPED) && !id.starts_with(HASHED);
        if is_plain {
            return Cow::Borrowed(id);
        }
        let mut part = String::from(ESCAPED);
        for character in id.chars() {
            if matches!(character, '%' | '#') || character.is_control() || character.is_whitespace()
            {
                percent_encode(&mut part, character);
            } else {
                part.push(character);
            }
        }
        if part.len() > MAX_KEY_PART_BYTES {
            part = format!("{HASHED}{}", hex::encode(Sha256::digest(id.as_bytes())));
        }
        Cow::Owned(part)
    }
}

/// Writes an id as one segment of a URL's path: everything but RFC 3986's unreserved characters is
/// percent-encoded. The segments `.` and `..` would be steps of the path, and are encoded too.
#[must_use]
pub fn path_segment(id: &str) -> String {
    let mut segment = String::with_capacity(id.len());
    let is_step = matches!(id, "." | "..");
    for character in id.chars() {
        let is_unreserved = character.is_ascii_alphanumeric() || "-_.~".contains(character);
        if is_unreserved && !is_step {
            segment.push(character);
        } else {
            percent_encode(&mut segment, character);
        }
    }
    segment
}

fn percent_encode(text: &mut String, character: char) {
    for byte in character.encode_utf8(&mut [0; 4]).bytes() {
        text.push('%');
        text.push_str(&hex::encode_upper([byte]));
    }
}

impl From<StripeCustomerId> for CustomerId {
    /// A customer that nobody named otherwise is called as Stripe calls it.
    fn from(id: StripeCustomerId) -> Self {
        Self(id.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
        assert!(StripeId::parse_generated("acct_1").is_ok());
        assert_eq!(
            StripeId::parse_generated("acct_1#2"),
            Err(InvalidId::Character)
        );
    }

    fn id(text: impl Into<String>) -> StripeId {
        StripeId::parse(text).unwrap()
    }

    #[test]
    fn r12_an_id_that_somebody_chose_is_data() {
        for text in [
            "Gold Plan #2",
            "LAUNCH#1",
            "a/b",
            " ä\n",
            "#",
            "日本語",
            ".",
        ] {
            let read: StripeId = serde_json::from_value(serde_json::json!(text)).unwrap();
            assert_eq!(read.as_str(), text);
            assert_eq!(serde_json::to_value(&read).unwrap(), text);
        }
        assert!(StripeId::parse("ä".repeat(MAX_STRIPE_ID_CHARS)).is_ok());
        assert!(StripeId::parse("x".repeat(MAX_STRIPE_ID_CHARS + 1)).is_err());
        assert_eq!(StripeId::parse(""), Err(InvalidId::Empty));
    }

    #[test]
    fn r12_the_keys_of_plain_ids_stay_as_they_were() {
        for text in ["price_1", "50%OFF", "20%DEAL", "Gold Plan", "a/b", "日本語"] {
            assert_eq!(id(text).key_part(), text);
        }
        assert_eq!(id("Gold Plan #2").key_part(), "%~Gold%20Plan%20%232");
        assert_eq!(id("%~x").key_part(), "%~%25~x");
    }

    proptest! {
        #[test]
        fn r12_different_ids_have_different_keys(
            one in "[%~=# a2ä\\n/]{1,6}",
            other in "[%~=# a2ä\\n/]{1,6}",
        ) {
            let (one, other) = (id(one), id(other));
            prop_assert_eq!(one == other, one.key_part() == other.key_part());
        }

        #[test]
        fn r12_a_key_carries_every_id(text in "\\PC{1,300}|.{1,300}|[#]{1,5000}") {
            let id = id(text);
            let part = id.key_part();
            prop_assert!(!part.contains('#') && !part.chars().any(char::is_control), "{}", part);
            prop_assert!(part.len() <= MAX_KEY_PART_BYTES);
        }

        #[test]
        fn s21_a_path_carries_every_id_as_one_segment(text in "[./#?%&=: a-zäß\\x00-\\x1f]{1,20}|\\.{1,3}") {
            let segment = path_segment(&text);
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~%".contains(&byte);
            prop_assert!(segment.bytes().all(is_plain), "{}", segment);
            prop_assert!(segment != "." && segment != "..");
            prop_assert_eq!(percent_decoded(&segment), text);
        }
    }

    fn percent_decoded(text: &str) -> String {
        let mut bytes = Vec::new();
        let mut rest = text;
        while let Some((plain, escaped)) = rest.split_once('%') {
            bytes.extend(plain.bytes());
            bytes.push(u8::from_str_radix(&escaped[..2], 16).unwrap());
            rest = &escaped[2..];
        }
        bytes.extend(rest.bytes());
        String::from_utf8(bytes).unwrap()
    }
}

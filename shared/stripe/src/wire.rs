//! Small readers for what Stripe writes in more than one way.

use std::fmt;
use std::marker::PhantomData;

use paygraph_domain::id::{CustomerId, InvalidId, StripeCustomerId, StripeId};
use paygraph_domain::money::{Currency, Decimal};
use paygraph_domain::order::Seen;
use paygraph_domain::time::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::event::ObjectError;

/// An id, or the whole object where it was expanded.
#[derive(Debug, Clone)]
pub(crate) enum Expandable<T> {
    Id(String),
    Object(Box<T>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Expandable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = Expandable<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id or an object")
            }
            fn visit_str<E: de::Error>(self, id: &str) -> Result<Self::Value, E> {
                Ok(Expandable::Id(id.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let object = T::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Expandable::Object(Box::new(object)))
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

/// Of an object only its id.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct HasId {
    pub id: String,
}

/// A reference of which only the id matters.
pub(crate) type Ref = Expandable<HasId>;

impl Ref {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Id(id) => id,
            Self::Object(object) => &object.id,
        }
    }
}

/// The id of a reference; an empty one counts as none.
pub(crate) fn id(reference: Option<&Ref>) -> Result<Option<StripeId>, InvalidId> {
    let id = reference.map(Ref::as_str).filter(|id| !id.is_empty());
    id.map(StripeId::parse).transpose()
}

/// The customer of a reference.
pub(crate) fn customer(reference: Option<&Ref>) -> Result<Option<StripeCustomerId>, InvalidId> {
    let id = reference.map(Ref::as_str).filter(|id| !id.is_empty());
    id.map(StripeCustomerId::parse).transpose()
}

/// The account (`acct_…`) that an object names as its customer, as with Accounts v2
/// (<https://docs.stripe.com/changelog/clover/2025-12-15/accounts-v2-v1-api-support>). None if the
/// object names a customer beside it: then the account only represents that customer.
pub(crate) fn account_as_customer(
    object: &RawValue,
) -> Result<Option<StripeCustomerId>, ObjectError> {
    #[derive(Deserialize)]
    struct Head {
        customer: Option<Ref>,
        customer_account: Option<Ref>,
    }
    let head: Head = serde_json::from_str(object.get())?;
    if customer(head.customer.as_ref())?.is_some() {
        return Ok(None);
    }
    Ok(customer(head.customer_account.as_ref())?)
}

/// Our own id, as people write it into Stripe. One that cannot be an id names nobody.
pub(crate) fn contact(text: Option<&String>) -> Option<CustomerId> {
    text.and_then(|text| CustomerId::parse(text.trim()).ok())
}

/// Stripe's instants; one out of range counts as none.
pub(crate) fn time(seconds: Option<i64>) -> Option<Timestamp> {
    seconds.and_then(|seconds| Timestamp::from_unix(seconds).ok())
}

pub(crate) fn currency(code: Option<&String>) -> Option<Currency> {
    code.and_then(|code| Currency::parse(code).ok())
}

/// A list, as Stripe nests it: cut at ten, with a sign that there is more.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct List<T> {
    #[serde(default = "Vec::new")]
    pub data: Vec<T>,
    #[serde(default)]
    pub has_more: bool,
}

/// A field that may be absent, null, or there: `None`, `Some(None)`, `Some(Some(_))`.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

/// A field with the second in which a snapshot had it.
pub(crate) fn seen<T, U: Clone>(
    at: Timestamp,
    field: Option<Option<T>>,
    read: impl FnOnce(T) -> Option<U>,
) -> Seen<Option<U>> {
    Seen::new(at, field.map(|field| field.and_then(read)))
}

/// A number that Stripe writes as a number or as text. Texts that are no number are an error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number(pub Decimal);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyNumber;
        impl Visitor<'_> for AnyNumber {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal number")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                Decimal::parse(text).map(Number).map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Number, E> {
                Ok(Number(Decimal::from_integer(n)))
            }
            fn visit_u64<E: de::Error>(self, n: u64) -> Result<Number, E> {
                i64::try_from(n)
                    .map(|n| Number(Decimal::from_integer(n)))
                    .map_err(E::custom)
            }
            fn visit_f64<E: de::Error>(self, n: f64) -> Result<Number, E> {
                // The shortest text that reads as the same number is what Stripe meant.
                Decimal::parse(&n.to_string())
                    .map(Number)
                    .map_err(E::custom)
            }
        }
        deserializer.deserialize_any(AnyNumber)
    }
}

/// The two ways to write an amount: whole minor units, or as a decimal with a fraction.
pub(crate) fn either_amount(decimal: Option<Number>, whole: Option<i64>) -> Option<Decimal> {
    decimal
        .map(|number| number.0)
        .or_else(|| whole.map(Decimal::from_integer))
}

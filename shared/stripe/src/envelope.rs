//! The few fields of an event that the webhook reads before it puts the event into the queue.
//!
//! Nothing of the object itself is looked at: that is the worker's part ([`crate::event`]). What
//! is checked here is what makes the event readable at all, so that Stripe hears of it at once.

use paygraph_domain::id::{Cause, InvalidId, StripeId};
use paygraph_domain::time::{InvalidTime, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// How deep the arrays and objects of an event may be nested. Stripe's go to about 10; the reader
/// of the JSON itself gives up at 128.
pub const MAX_DEPTH: usize = 100;

const MAX_TYPE_BYTES: usize = 255;

/// Why a body is not an event. The texts never carry a value of the body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// The bytes are not UTF-8.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// The text is not JSON.
    #[error("the body is not JSON (line {line}, column {column})")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// The JSON is not an object, or has a field of the envelope twice.
    #[error("the body is not a JSON object with each field of an event once")]
    NotAnEvent,
    /// Arrays and objects are nested deeper than [`MAX_DEPTH`].
    #[error("the body is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// A field that every event has is not there.
    #[error("the field `{0}` is missing")]
    Missing(&'static str),
    /// A field has another type than Stripe gives it.
    #[error("the field `{0}` has the wrong type")]
    WrongType(&'static str),
    /// An id cannot be part of a key.
    #[error("the field `{field}` is not valid")]
    Id {
        /// `id`, `account` or `context`.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: InvalidId,
    },
    /// `created` is out of range.
    #[error("the field `created` is not valid")]
    Created(#[source] InvalidTime),
    /// `type` is empty, too long, or has characters that no event type has.
    #[error("the field `type` is not valid")]
    Type,
}

/// The `object` of a thin event
/// (<https://docs.stripe.com/api/v2/core/events/object>).
const THIN: &str = r#""v2.core.event""#;
/// The beginning of the types of v1 objects' thin events.
const V1: &str = "v1.";
/// The beginning of types that only thin events have.
const V2: &str = "v2.";
/// The beginning of the id of an account.
const ACCOUNT: &str = "acct_";

/// Whether an event is thin: its time is in RFC 3339, its account in `context`, and it may have no
/// data. Its type begins with `v1.` or `v2.`.
pub(crate) fn is_thin(object: Option<&RawValue>, event_type: &str) -> bool {
    let says_so = object.is_some_and(|object| object.get() == THIN);
    event_type.starts_with(V2) || (says_so && event_type.starts_with(V1))
}

/// The account in the `context` of a thin event. A context is a path, as `acct_…` or
/// `org_…/acct_…`: the last account in it is the event's own. A path without an account stands for
/// itself, so that such an event is never taken for one of the platform's.
fn account_of(context: &str) -> Option<&str> {
    let mut parts = context.split('/').filter(|part| !part.is_empty());
    let last = parts.clone().next_back()?;
    Some(
        parts
            .rfind(|part| part.starts_with(ACCOUNT))
            .unwrap_or(last),
    )
}

/// An event's envelope, with its text.
#[derive(Debug)]
pub struct Envelope<'a> {
    /// `evt_…`.
    pub id: Cause,
    /// `invoice.paid`, …: printable ASCII without spaces.
    pub event_type: String,
    /// Stripe's second.
    pub created: Timestamp,
    /// The connected account that it is about, `acct_…`: a thin event names it in `context`.
    pub account: Option<StripeId>,
    /// Whether it is about real money.
    pub livemode: bool,
    /// The whole event as it was sent.
    pub raw: &'a RawValue,
}

/// Each field by itself, so that an error can name it. `data` is here to be refused when it comes
/// twice: two readers could take it for different events.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    event_type: Option<&'a RawValue>,
    #[serde(borrow)]
    context: Option<&'a RawValue>,
    #[serde(borrow)]
    created: Option<&'a RawValue>,
    #[serde(borrow)]
    account: Option<&'a RawValue>,
    #[serde(borrow)]
    livemode: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    /// Reads the envelope of an event from the bytes that came in.
    ///
    /// # Errors
    /// [`EnvelopeError`] with the first thing that is wrong. It will not get better by trying again.
    pub fn parse(body: &'a [u8]) -> Result<Self, EnvelopeError> {
        let text = std::str::from_utf8(body).map_err(|_| EnvelopeError::NotUtf8)?;
        let raw: &RawValue = serde_json::from_str(text).map_err(|e| not_json(&e))?;
        if deeper_than(raw.get(), MAX_DEPTH) {
            return Err(EnvelopeError::TooDeep);
        }
        // An array would do for a struct, but no event is one.
        if !raw.get().starts_with('{') {
            return Err(EnvelopeError::NotAnEvent);
        }
        let wire: Wire<'a> =
            serde_json::from_str(raw.get()).map_err(|_| EnvelopeError::NotAnEvent)?;
        let id = Cause::parse(required::<String>("id", wire.id)?).map_err(|source| {
            EnvelopeError::Id {
                field: "id",
                source,
            }
        })?;
        let event_type = event_type(wire.event_type)?;
        let is_thin = is_thin(wire.object, &event_type);
        let created = if is_thin {
            Timestamp::parse(&required::<String>("created", wire.created)?)
        } else {
            Timestamp::from_unix(required("created", wire.created)?)
        };
        let created = created.map_err(EnvelopeError::Created)?;
        let account = account(&wire, is_thin)?;
        let livemode = field("livemode", wire.livemode)?.unwrap_or(false);
        match wire.data {
            Some(data) if data.get().starts_with('{') => {}
            Some(_) => return Err(EnvelopeError::WrongType("data")),
            None if is_thin => {}
            None => return Err(EnvelopeError::Missing("data")),
        }
        Ok(Self {
            id,
            event_type,
            created,
            account,
            livemode,
            raw,
        })
    }
}

/// The account that an event names: a thin event in `context`, any other in `account`.
fn account(wire: &Wire<'_>, is_thin: bool) -> Result<Option<StripeId>, EnvelopeError> {
    let named = field::<String>("account", wire.account)?;
    let (name, account) = if is_thin {
        let context = field::<String>("context", wire.context)?;
        let account = context.as_deref().and_then(account_of);
        ("context", account.map(str::to_owned).or(named))
    } else {
        ("account", named)
    };
    account
        .map(StripeId::parse_generated)
        .transpose()
        .map_err(|source| EnvelopeError::Id {
            field: name,
            source,
        })
}

fn not_json(error: &serde_json::Error) -> EnvelopeError {
    EnvelopeError::NotJson {
        line: error.line(),
        column: error.column(),
    }
}

fn field<T: DeserializeOwned>(
    name: &'static str,
    raw: Option<&RawValue>,
) -> Result<Option<T>, EnvelopeError> {
    raw.map(|raw| serde_json::from_str(raw.get()))
        .transpose()
        .map_err(|_| EnvelopeError::WrongType(name))
}

fn required<T: DeserializeOwned>(
    name: &'static str,
    raw: Option<&RawValue>,
) -> Result<T, EnvelopeError> {
    field(name, raw)?.ok_or(EnvelopeError::Missing(name))
}

/// The type goes into log lines: nothing that could look like another line gets in.
fn event_type(raw: Option<&RawValue>) -> Result<String, EnvelopeError> {
    let text: String = required("type", raw)?;
    let fits = (1..=MAX_TYPE_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        Ok(text)
    } else {
        Err(EnvelopeError::Type)
    }
}

/// Whether valid JSON is nested deeper than `limit`. Works on the text, without recursion.
fn deeper_than(json: &str, limit: usize) -> bool {
    let mut depth = 0_usize;
    let mut in_text = false;
    let mut escaped = false;
    for byte in json.bytes() {
        if in_text {
            in_text = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b'[' => depth = depth.saturating_add(1),
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limit {
            return true;
        }
    }
    false
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;

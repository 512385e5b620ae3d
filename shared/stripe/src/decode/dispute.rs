//! `charge.dispute.*`

use paygraph_domain::fact::Body;
use paygraph_domain::id::StripeId;
use paygraph_domain::objects::dispute::{Dispute, Status};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::charge::money_of;
use super::{Decoded, Hint};
use crate::event::ObjectError;
use crate::wire::{Ref, id, time};

#[derive(Deserialize)]
struct DisputeWire {
    id: String,
    status: Option<String>,
    #[serde(default)]
    amount: i64,
    currency: Option<String>,
    reason: Option<String>,
    charge: Option<Ref>,
    payment_intent: Option<Ref>,
    created: Option<i64>,
}

pub(super) fn event(raw: &RawValue, hint: &Hint<'_>) -> Result<Option<Decoded>, ObjectError> {
    let wire: DisputeWire = serde_json::from_str(raw.get())?;
    let dispute = Dispute {
        id: StripeId::parse(wire.id)?,
        status: Status::from(wire.status.unwrap_or_default()),
        amount: wire.amount,
        currency: money_of(wire.currency.as_ref())?,
        reason: wire.reason,
        charge: id(wire.charge.as_ref())?,
        payment_intent: id(wire.payment_intent.as_ref())?,
        created: time(wire.created).unwrap_or(hint.at),
    };
    // A dispute names no customer: its charge leads there.
    Ok(Some(Decoded {
        customer: None,
        body: Body::Dispute(dispute),
    }))
}

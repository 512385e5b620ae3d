//! `customer.discount.*`, and discounts within other objects.

use paygraph_domain::fact::Body;
use paygraph_domain::id::StripeId;
use paygraph_domain::objects::catalog::CouponRef;
use paygraph_domain::objects::discount::{Discount, DiscountRef};
use paygraph_domain::time::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::catalog::CouponWire;
use super::{Decoded, Hint};
use crate::event::ObjectError;
use crate::wire::{Expandable, Ref, customer, id, time};

/// A discount. Its coupon moved from `coupon` to `source.coupon` in 2025-09-30.
#[derive(Deserialize)]
pub(super) struct DiscountWire {
    id: Option<String>,
    coupon: Option<Expandable<CouponWire>>,
    source: Option<SourceWire>,
    end: Option<i64>,
    subscription: Option<Ref>,
    customer: Option<Ref>,
    #[serde(default)]
    deleted: bool,
}

#[derive(Deserialize)]
struct SourceWire {
    coupon: Option<Expandable<CouponWire>>,
}

impl DiscountWire {
    /// The discount as a snapshot of the second `at`.
    pub(super) fn decode(self, at: Timestamp) -> Result<Discount, ObjectError> {
        let coupon = self.coupon.or(self.source.and_then(|source| source.coupon));
        let id_of = self.id.map(StripeId::parse).transpose()?;
        let coupon = match coupon {
            Some(Expandable::Id(id)) => CouponRef::Id(StripeId::parse(id)?),
            Some(Expandable::Object(coupon)) => CouponRef::Inline(Box::new(coupon.decode(at)?)),
            // A discount that does not tell its coupon: only an API call could.
            None => CouponRef::Id(
                id_of
                    .clone()
                    .map_or_else(|| StripeId::parse("unknown"), Ok)?,
            ),
        };
        Ok(Discount {
            id: id_of,
            coupon,
            end: time(self.end),
            subscription: id(self.subscription.as_ref())?,
            deleted: self.deleted,
        })
    }
}

/// The discounts of an object: the list, or the single one of versions before 2025-03-31.
pub(super) fn references(
    list: Option<Vec<Option<Expandable<DiscountWire>>>>,
    single: Option<DiscountWire>,
    at: Timestamp,
) -> Result<Vec<DiscountRef>, ObjectError> {
    let list: Vec<_> = list.unwrap_or_default().into_iter().flatten().collect();
    // Before 2025-03-31 both fields were there: the list held the ids, `discount` the newest whole.
    let whole = single.map(|single| single.decode(at)).transpose()?;
    if list.is_empty() {
        return Ok(whole
            .map(|discount| DiscountRef::Inline(Box::new(discount)))
            .into_iter()
            .collect());
    }
    list.into_iter()
        .map(|reference| match reference {
            Expandable::Object(discount) => discount
                .decode(at)
                .map(|discount| DiscountRef::Inline(Box::new(discount))),
            Expandable::Id(id) => {
                let id = StripeId::parse(id)?;
                let same = whole
                    .as_ref()
                    .filter(|whole| whole.id.as_ref() == Some(&id));
                Ok(match same {
                    Some(whole) => DiscountRef::Inline(Box::new(whole.clone())),
                    None => DiscountRef::Id(id),
                })
            }
        })
        .collect()
}

pub(super) fn event(raw: &RawValue, hint: &Hint<'_>) -> Result<Option<Decoded>, ObjectError> {
    let wire: DiscountWire = serde_json::from_str(raw.get())?;
    let customer = customer(wire.customer.as_ref())?;
    let mut discount = wire.decode(hint.at)?;
    discount.deleted |= hint.event_type == "customer.discount.deleted";
    Ok(Some(Decoded {
        customer,
        body: Body::Discount(discount),
    }))
}

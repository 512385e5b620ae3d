//! `product.*`, `price.*`, `plan.*`, `coupon.*`, and prices and coupons within other objects.

use std::collections::BTreeMap;

use paygraph_domain::fact::Body;
use paygraph_domain::id::StripeId;
use paygraph_domain::money::{Currency, Decimal};
use paygraph_domain::objects::catalog::{
    Coupon, Duration, Interval, Price, Product, Recurring, Scheme, TaxRate, Tier, TierMode,
    Transform,
};
use paygraph_domain::order::Seen;
use paygraph_domain::time::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Decoded, Hint};
use crate::event::ObjectError;
use crate::wire::{Expandable, Number, currency, either_amount};

#[derive(Deserialize)]
pub(super) struct ProductWire {
    id: String,
    name: Option<String>,
    #[serde(default)]
    deleted: bool,
}

/// A price, or an old plan: the fields of both, of which one kind is there.
#[derive(Deserialize)]
pub(super) struct PriceWire {
    id: String,
    product: Option<Expandable<ProductWire>>,
    nickname: Option<String>,
    lookup_key: Option<String>,
    currency: Option<String>,
    billing_scheme: Option<String>,
    unit_amount: Option<i64>,
    unit_amount_decimal: Option<Number>,
    recurring: Option<RecurringWire>,
    tiers: Option<Vec<TierWire>>,
    tiers_mode: Option<String>,
    transform_quantity: Option<TransformWire>,
    currency_options: Option<BTreeMap<String, PriceOptionWire>>,
    // What only plans have.
    amount: Option<i64>,
    amount_decimal: Option<Number>,
    interval: Option<String>,
    interval_count: Option<u32>,
    usage_type: Option<String>,
    transform_usage: Option<TransformWire>,
}

#[derive(Deserialize)]
struct RecurringWire {
    interval: Option<String>,
    interval_count: Option<u32>,
    usage_type: Option<String>,
}

#[derive(Deserialize)]
struct TierWire {
    up_to: Option<u64>,
    unit_amount: Option<i64>,
    unit_amount_decimal: Option<Number>,
    flat_amount: Option<i64>,
    flat_amount_decimal: Option<Number>,
}

/// What a price costs in one other currency. (Its `tax_behavior` says nothing about the rates that a
/// subscription names: each of those says by itself whether it is inclusive.)
#[derive(Deserialize)]
struct PriceOptionWire {
    unit_amount: Option<i64>,
    unit_amount_decimal: Option<Number>,
    tiers: Option<Vec<TierWire>>,
}

#[derive(Deserialize)]
struct TransformWire {
    divide_by: u32,
    round: Option<String>,
}

impl PriceWire {
    /// The price's id, for lines that need no more.
    pub(super) fn id(&self) -> Result<StripeId, ObjectError> {
        Ok(StripeId::parse(self.id.as_str())?)
    }

    /// The product's id.
    pub(super) fn product(&self) -> Result<Option<StripeId>, ObjectError> {
        let id = self.product.as_ref().map(|product| match product {
            Expandable::Id(id) => id.as_str(),
            Expandable::Object(product) => product.id.as_str(),
        });
        Ok(id.map(StripeId::parse).transpose()?)
    }

    /// The price as a snapshot of the second `at`.
    pub(super) fn decode(self, at: Timestamp) -> Result<Price, ObjectError> {
        let product_name = match &self.product {
            Some(Expandable::Object(product)) => product.name.clone(),
            Some(Expandable::Id(_)) | None => None,
        };
        Ok(Price {
            id: self.id()?,
            product: self.product()?,
            product_name,
            scheme: self.scheme(),
            currency_options: self.currency_options(at),
            recurring: self.recurring(),
            currency: currency(self.currency.as_ref()),
            nickname: self.nickname,
            lookup_key: self.lookup_key,
            transform: self
                .transform_quantity
                .or(self.transform_usage)
                .map(|transform| Transform {
                    divide_by: transform.divide_by.max(1),
                    round_up: transform.round.as_deref() == Some("up"),
                }),
        })
    }

    fn scheme(&self) -> Scheme {
        let unit = either_amount(self.unit_amount_decimal, self.unit_amount);
        let unit = unit.or_else(|| either_amount(self.amount_decimal, self.amount));
        self.scheme_of(unit, self.tiers.as_deref())
    }

    /// A way to charge in the price's own billing scheme.
    fn scheme_of(&self, unit: Option<Decimal>, tiers: Option<&[TierWire]>) -> Scheme {
        if self.billing_scheme.as_deref() != Some("tiered") {
            return Scheme::PerUnit(unit);
        }
        let mode = match self.tiers_mode.as_deref() {
            Some("volume") => TierMode::Volume,
            Some(_) | None => TierMode::Graduated,
        };
        Scheme::Tiered(
            mode,
            tiers.map(|tiers| tiers.iter().map(TierWire::decode).collect()),
        )
    }

    /// What a quantity costs in other currencies, where Stripe told it.
    fn currency_options(&self, at: Timestamp) -> Seen<BTreeMap<Currency, Scheme>> {
        let options = self.currency_options.as_ref().map(|options| {
            let options = options.iter().filter_map(|(code, option)| {
                let unit = either_amount(option.unit_amount_decimal, option.unit_amount);
                let scheme = self.scheme_of(unit, option.tiers.as_deref());
                Some((Currency::parse(code).ok()?, scheme))
            });
            options.collect()
        });
        Seen::new(at, options)
    }

    fn recurring(&self) -> Option<Recurring> {
        let (interval, count, usage) = match &self.recurring {
            Some(r) => (
                r.interval.as_ref(),
                r.interval_count,
                r.usage_type.as_deref(),
            ),
            None => (
                self.interval.as_ref(),
                self.interval_count,
                self.usage_type.as_deref(),
            ),
        };
        Some(Recurring {
            interval: Interval::from(interval?.clone()),
            count: count.unwrap_or(1).max(1),
            metered: usage == Some("metered"),
        })
    }
}

impl TierWire {
    fn decode(&self) -> Tier {
        Tier {
            up_to: self.up_to,
            unit: either_amount(self.unit_amount_decimal, self.unit_amount),
            flat: either_amount(self.flat_amount_decimal, self.flat_amount),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct CouponWire {
    id: String,
    name: Option<String>,
    duration: Option<String>,
    percent_off: Option<Number>,
    amount_off: Option<i64>,
    currency: Option<String>,
    applies_to: Option<AppliesTo>,
    currency_options: Option<BTreeMap<String, CouponOptionWire>>,
    #[serde(default)]
    deleted: bool,
}

#[derive(Deserialize)]
struct CouponOptionWire {
    amount_off: Option<i64>,
}

#[derive(Deserialize)]
struct AppliesTo {
    products: Option<Vec<String>>,
}

impl CouponWire {
    /// The coupon as a snapshot of the second `at`.
    pub(super) fn decode(self, at: Timestamp) -> Result<Coupon, ObjectError> {
        let options = self.currency_options.map(|options| {
            let options = options.iter().filter_map(|(code, option)| {
                Some((Currency::parse(code).ok()?, option.amount_off?))
            });
            options.collect()
        });
        let products = self.applies_to.and_then(|applies| applies.products);
        let products = products.map(|ids| ids.into_iter().map(StripeId::parse).collect());
        Ok(Coupon {
            id: StripeId::parse(self.id)?,
            name: self.name,
            duration: Duration::from(self.duration.unwrap_or_default()),
            percent_off: self.percent_off.map(|number| number.0),
            amount_off: self.amount_off,
            currency: currency(self.currency.as_ref()),
            products: products.transpose()?,
            unlimited: false,
            deleted: self.deleted,
            currency_options: Seen::new(at, options),
        })
    }
}

/// A rate of tax within another object.
#[derive(Deserialize)]
pub(super) struct TaxRateWire {
    #[serde(default)]
    inclusive: bool,
    percentage: Option<Number>,
}

impl TaxRateWire {
    pub(super) fn decode(&self) -> Option<TaxRate> {
        let percentage = self.percentage?.0;
        Some(TaxRate {
            inclusive: self.inclusive,
            percentage,
        })
    }
}

pub(super) fn product_event(
    raw: &RawValue,
    hint: &Hint<'_>,
) -> Result<Option<Decoded>, ObjectError> {
    let wire: ProductWire = serde_json::from_str(raw.get())?;
    let deleted = wire.deleted || hint.event_type == "product.deleted";
    let product = Product {
        id: StripeId::parse(wire.id)?,
        name: wire.name,
        deleted,
    };
    Ok(Some(Decoded {
        customer: None,
        body: Body::Product(product),
    }))
}

pub(super) fn price_event(raw: &RawValue, hint: &Hint<'_>) -> Result<Option<Decoded>, ObjectError> {
    let wire: PriceWire = serde_json::from_str(raw.get())?;
    let mut price = wire.decode(hint.at)?;
    if hint.asked {
        price.asked_for_all(hint.at);
    }
    Ok(Some(Decoded {
        customer: None,
        body: Body::Price(price),
    }))
}

pub(super) fn coupon_event(
    raw: &RawValue,
    hint: &Hint<'_>,
) -> Result<Option<Decoded>, ObjectError> {
    let wire: CouponWire = serde_json::from_str(raw.get())?;
    let mut coupon = wire.decode(hint.at)?;
    coupon.deleted |= hint.event_type == "coupon.deleted";
    if hint.asked {
        coupon.asked_for_all(hint.at);
    }
    Ok(Some(Decoded {
        customer: None,
        body: Body::Coupon(coupon),
    }))
}

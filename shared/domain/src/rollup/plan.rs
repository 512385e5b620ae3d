//! Which plan stands for a customer, and which subscription its dates are taken from.

use serde::{Deserialize, Serialize};

use super::Context;
use crate::account::Catalog;
use crate::id::StripeId;
use crate::objects::catalog::Price;
use crate::objects::subscription::Subscription;
use crate::time::Timestamp;
use crate::totals::Purchase;

/// An order over what subscriptions are worth: per month in millionths of the minor unit, then the
/// same as if active and undiscounted, then the newest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Weight {
    pub(super) mrr: i64,
    pub(super) nominal: i64,
    pub(super) created: Timestamp,
    pub(super) subscription: StripeId,
}

/// The plan: the item that is worth most among live subscriptions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// How it compares to those of other Stripe customers.
    pub weight: Option<Weight>,
    /// The price's id.
    pub price: StripeId,
    /// The product, whose name goes first.
    pub product: Option<StripeId>,
    /// A name: the product's, else the price's nickname, lookup key or id.
    pub name: String,
    /// The tier.
    pub tier: String,
}

/// The subscription that dates are taken from: the live one worth most, else the newest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Primary {
    /// Live ones go before ended ones.
    pub live: bool,
    /// How it compares to those of other Stripe customers.
    pub weight: Weight,
    /// When it began.
    pub start_date: Timestamp,
    /// The end of the running period.
    pub period_end: Option<Timestamp>,
    /// A scheduled end.
    pub cancel_at: Option<Timestamp>,
    /// The end of its trial.
    pub trial_end: Option<Timestamp>,
}

pub(super) fn primary(subscription: &Subscription, weight: Weight) -> Primary {
    Primary {
        live: subscription.status.is_live(),
        weight,
        start_date: subscription.start_date,
        period_end: subscription.period.get().map(|period| period.end),
        cancel_at: subscription.scheduled_end(),
        trial_end: *subscription.trial_end.get(),
    }
}

impl Primary {
    /// Whether this one goes before the other: live before ended; of live ones the one worth
    /// most, of ended ones the newest.
    #[must_use]
    pub fn beats(&self, other: &Self) -> bool {
        if self.live != other.live {
            return self.live;
        }
        if self.live {
            return self.weight > other.weight;
        }
        let newest = |p: &Self| (p.weight.created, p.weight.subscription.clone());
        newest(self) > newest(other)
    }
}

/// The name of a price as people know it.
#[must_use]
pub fn plan_name(price: &Price, catalog: &Catalog) -> String {
    let product = price
        .product
        .as_ref()
        .and_then(|product| catalog.products.get(product));
    product
        .and_then(|product| product.name.as_ref())
        .or(price.product_name.as_ref())
        .or(price.nickname.as_ref())
        .or(price.lookup_key.as_ref())
        .cloned()
        .unwrap_or_else(|| price.id.to_string())
}

/// The plan that a purchase gives for good, if its price does that.
pub(super) fn lifetime_plan(purchase: &Purchase, context: Context<'_>) -> Option<Plan> {
    let product = purchase.product.as_ref();
    let of = context
        .settings
        .tier_of(&purchase.price, product)
        .filter(|of| of.lifetime)?;
    let known = product.and_then(|product| context.catalog.products.get(product));
    let name = known.and_then(|product| product.name.clone());
    Some(Plan {
        weight: None,
        price: purchase.price.clone(),
        product: purchase.product.clone(),
        name: name.unwrap_or_else(|| purchase.price.to_string()),
        tier: of.tier.clone(),
    })
}

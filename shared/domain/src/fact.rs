//! A fact: what one Stripe event, or one fetched object, says about one object.

use std::collections::BTreeSet;

use crate::account::CatalogKey;
use crate::id::{Cause, StripeCustomerId, StripeId};
use crate::objects::catalog::{Coupon, Price, Product};
use crate::objects::charge::{Charge, Refund};
use crate::objects::checkout::Checkout;
use crate::objects::customer::Customer;
use crate::objects::discount::Discount;
use crate::objects::dispute::Dispute;
use crate::objects::invoice::Invoice;
use crate::objects::payment_method::PaymentMethod;
use crate::objects::schedule::Schedule;
use crate::objects::subscription::Subscription;
use crate::order::{Leaves, Step, Version};
use crate::rollup::subscription_keys;
use crate::time::Timestamp;

/// Which path brought a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A webhook of Stripe's.
    Webhook,
    /// The comparison with Stripe.
    Reconcile,
    /// The import of history.
    Backfill,
    /// A timer.
    Tick,
    /// Somebody through the API.
    Api,
}

/// A snapshot of one object at one of Stripe's seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// What brought it; the ledger's key.
    pub cause: Cause,
    /// Stripe's second.
    pub at: Timestamp,
    /// For fetched objects: the earliest second that the answer may be from; `at` is the latest.
    pub since: Option<Timestamp>,
    /// Which path brought it.
    pub source: Source,
    /// Stripe's event type, `customer.subscription.updated`; empty for fetched objects.
    pub event_type: String,
    /// The Stripe customer it belongs to; none where the object names none.
    pub customer: Option<StripeCustomerId>,
    /// A hash of the raw object.
    pub content: u64,
    /// The raw object's leaves.
    pub leaves: Leaves,
    /// What the event says of the change.
    pub step: Step,
    /// What an update replaced, as far as it says what was bought before.
    pub replaced: Option<Box<Subscription>>,
    /// The object.
    pub body: Body,
}

/// The object of a fact.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A customer.
    Customer(Box<Customer>),
    /// A subscription.
    Subscription(Box<Subscription>),
    /// An invoice.
    Invoice(Box<Invoice>),
    /// A payment method.
    PaymentMethod(PaymentMethod),
    /// A charge.
    Charge(Charge),
    /// A refund.
    Refund(Refund),
    /// A dispute.
    Dispute(Dispute),
    /// A checkout session.
    Checkout(Box<Checkout>),
    /// A subscription schedule.
    Schedule(Schedule),
    /// A discount.
    Discount(Discount),
    /// A product, into the catalog.
    Product(Product),
    /// A price, into the catalog.
    Price(Price),
    /// A coupon, into the catalog.
    Coupon(Coupon),
}

impl Fact {
    /// The fact's object with its place in time.
    #[must_use]
    pub fn version<T>(&self, object: T) -> Version<T> {
        Version {
            at: self.at,
            since: self.since,
            content: self.content,
            leaves: self.leaves.clone(),
            steps: vec![self.step.clone()],
            object,
        }
    }
}

/// A name under which a Stripe customer can be found when an object does not name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link {
    /// By a charge of the customer's.
    Charge(StripeId),
    /// By a payment intent of the customer's.
    PaymentIntent(StripeId),
}

impl Link {
    /// The id of the charge or payment intent.
    #[must_use]
    pub fn id(&self) -> &StripeId {
        match self {
            Self::Charge(id) | Self::PaymentIntent(id) => id,
        }
    }
}

impl Body {
    /// The object's id.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Customer(customer) => customer.id.as_str(),
            Self::Subscription(subscription) => subscription.id.as_str(),
            Self::Invoice(invoice) => invoice.id.as_str(),
            Self::PaymentMethod(method) => method.id.as_str(),
            Self::Charge(charge) => charge.id.as_str(),
            Self::Refund(refund) => refund.id.as_str(),
            Self::Dispute(dispute) => dispute.id.as_str(),
            Self::Checkout(checkout) => checkout.id.as_str(),
            Self::Schedule(schedule) => schedule.id.as_str(),
            Self::Discount(discount) => discount.id.as_ref().map_or("", StripeId::as_str),
            Self::Product(product) => product.id.as_str(),
            Self::Price(price) => price.id.as_str(),
            Self::Coupon(coupon) => coupon.id.as_str(),
        }
    }

    /// The links that lead to the object's customer when it names none itself.
    #[must_use]
    pub fn leads(&self) -> Vec<Link> {
        let (charge, intent) = match self {
            Self::Dispute(dispute) => (&dispute.charge, &dispute.payment_intent),
            Self::Refund(refund) => (&refund.charge, &refund.payment_intent),
            Self::Customer(_)
            | Self::Subscription(_)
            | Self::Invoice(_)
            | Self::PaymentMethod(_)
            | Self::Charge(_)
            | Self::Checkout(_)
            | Self::Schedule(_)
            | Self::Discount(_)
            | Self::Product(_)
            | Self::Price(_)
            | Self::Coupon(_) => return Vec::new(),
        };
        let charge = charge.clone().map(Link::Charge);
        charge
            .into_iter()
            .chain(intent.clone().map(Link::PaymentIntent))
            .collect()
    }

    /// The names under which the object lets its customer be found.
    #[must_use]
    pub fn names(&self) -> Vec<Link> {
        let (charge, intent) = match self {
            Self::Charge(charge) => (Some(&charge.id), charge.payment_intent.as_ref()),
            Self::Invoice(invoice) => (
                invoice.charge.get().as_ref(),
                invoice.payment_intent.get().as_ref(),
            ),
            Self::Checkout(checkout) => (None, checkout.payment_intent.as_ref()),
            Self::Customer(_)
            | Self::Subscription(_)
            | Self::PaymentMethod(_)
            | Self::Refund(_)
            | Self::Dispute(_)
            | Self::Schedule(_)
            | Self::Discount(_)
            | Self::Product(_)
            | Self::Price(_)
            | Self::Coupon(_) => return Vec::new(),
        };
        let charge = charge.cloned().map(Link::Charge);
        charge
            .into_iter()
            .chain(intent.cloned().map(Link::PaymentIntent))
            .collect()
    }

    /// The catalog entries that applying the object reads.
    #[must_use]
    pub fn catalog_keys(&self) -> BTreeSet<CatalogKey> {
        match self {
            Self::Subscription(subscription) => subscription_keys(subscription),
            Self::Customer(_)
            | Self::Invoice(_)
            | Self::PaymentMethod(_)
            | Self::Charge(_)
            | Self::Refund(_)
            | Self::Dispute(_)
            | Self::Checkout(_)
            | Self::Schedule(_)
            | Self::Discount(_)
            | Self::Product(_)
            | Self::Price(_)
            | Self::Coupon(_) => BTreeSet::new(),
        }
    }
}

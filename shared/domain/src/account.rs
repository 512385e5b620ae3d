//! The working set of one Stripe customer: every object that its roll-up is computed from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::fact::Body;
use crate::id::{StripeCustomerId, StripeId};
use crate::money::Currency;
use crate::objects::catalog::{Coupon, Limit, Price, Product};
use crate::objects::charge::ChargeState;
use crate::objects::checkout::Checkout;
use crate::objects::customer::Customer;
use crate::objects::discount::Discount;
use crate::objects::dispute::Dispute;
use crate::objects::invoice::InvoiceState;
use crate::objects::payment_method::PaymentMethod;
use crate::objects::schedule::Schedule;
use crate::objects::subscription::Subscription;
use crate::order::{Disposition, Snapshot, Tracked, Version};
use crate::risk::Downgrade;
use crate::time::Timestamp;

/// A value with the number of commits that have written it; 0 before the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored<T> {
    /// How often it was written.
    pub rev: u64,
    /// What was written. (Shared, so that a loaded working set is cheap to copy: only the object that
    /// an event changes is copied whole.)
    pub value: Arc<T>,
}

impl<T: Clone> Stored<T> {
    /// A value that was written so often.
    pub fn new(rev: u64, value: T) -> Self {
        Self {
            rev,
            value: Arc::new(value),
        }
    }

    /// The value, to be changed.
    pub fn edit(&mut self) -> &mut T {
        Arc::make_mut(&mut self.value)
    }
}

/// A subscription with what its events told beside the snapshots.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscriptionState {
    /// The subscription.
    pub subscription: Tracked<Subscription>,
    /// The trial ends that Stripe has announced. (At most eight are kept.)
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub announced_trial_ends: BTreeSet<Timestamp>,
    /// Changes to something that costs less, by their second. (The newest are kept.)
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub downgrades: BTreeMap<Timestamp, Downgrade>,
}

/// One Stripe customer's objects.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Account {
    /// The customer itself.
    pub customer: Option<Stored<Tracked<Customer>>>,
    /// Every subscription, ended ones too.
    pub subscriptions: BTreeMap<StripeId, Stored<SubscriptionState>>,
    /// Every payment method, detached ones too.
    pub payment_methods: BTreeMap<StripeId, Stored<Tracked<PaymentMethod>>>,
    /// Every dispute.
    pub disputes: BTreeMap<StripeId, Stored<Tracked<Dispute>>>,
    /// Every discount that came by itself.
    pub discounts: BTreeMap<StripeId, Stored<Tracked<Discount>>>,
    /// Every schedule.
    pub schedules: BTreeMap<StripeId, Stored<Tracked<Schedule>>>,
    /// The invoice that the fact is about. Invoices are many: only this one is loaded.
    pub invoice: Option<Stored<InvoiceState>>,
    /// The charge that the fact is about.
    pub charge: Option<Stored<ChargeState>>,
    /// The checkout session that the fact is about.
    pub checkout: Option<Stored<Tracked<Checkout>>>,
}

/// The name of one stored object under its Stripe customer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKey {
    /// The customer.
    Customer,
    /// A subscription.
    Subscription(StripeId),
    /// A payment method.
    PaymentMethod(StripeId),
    /// A dispute.
    Dispute(StripeId),
    /// A discount.
    Discount(StripeId),
    /// A schedule.
    Schedule(StripeId),
    /// An invoice with the instant it was made, by which invoices are listed.
    Invoice(Timestamp, StripeId),
    /// A charge.
    Charge(StripeId),
    /// A checkout session.
    Checkout(StripeId),
}

impl ObjectKey {
    /// The sort key. `STATE#…` is the working set; the others are read one by one.
    #[must_use]
    pub fn sort_key(&self) -> String {
        let mut key = String::new();
        self.write_sort_key(&mut key);
        key
    }

    fn write_sort_key(&self, key: &mut String) {
        key.push_str(match self {
            Self::Customer => "STATE#CUSTOMER",
            Self::Subscription(_) => "STATE#SUB#",
            Self::PaymentMethod(_) => "STATE#PM#",
            Self::Dispute(_) => "STATE#DP#",
            Self::Discount(_) => "STATE#DI#",
            Self::Schedule(_) => "STATE#SS#",
            Self::Invoice(..) => "INVOICE#",
            Self::Charge(_) => "CHARGE#",
            Self::Checkout(_) => "CHECKOUT#",
        });
        if let Self::Invoice(created, _) = self {
            key.push_str(&format!("{:012}#", created.unix()));
        }
        if let Some(id) = self.id() {
            key.push_str(&id.key_part());
        }
    }

    /// The object's id; none for the customer, whose id is in every key.
    #[must_use]
    pub fn id(&self) -> Option<&StripeId> {
        match self {
            Self::Customer => None,
            Self::Subscription(id)
            | Self::PaymentMethod(id)
            | Self::Dispute(id)
            | Self::Discount(id)
            | Self::Schedule(id)
            | Self::Invoice(_, id)
            | Self::Charge(id)
            | Self::Checkout(id) => Some(id),
        }
    }

    /// Whether the object is part of the working set.
    #[must_use]
    pub fn is_working_set(&self) -> bool {
        !matches!(
            self,
            Self::Invoice(..) | Self::Charge(_) | Self::Checkout(_)
        )
    }

    /// The object that a fact is about or belongs to; none for an entry of the catalog, and for what
    /// has no id.
    #[must_use]
    pub fn of(body: &Body) -> Option<Self> {
        match body {
            Body::Customer(_) => Some(Self::Customer),
            Body::Subscription(of) => Some(Self::Subscription(of.id.clone())),
            Body::PaymentMethod(of) => Some(Self::PaymentMethod(of.id.clone())),
            Body::Dispute(of) => Some(Self::Dispute(of.id.clone())),
            Body::Schedule(of) => Some(Self::Schedule(of.id.clone())),
            Body::Discount(of) => of.id.clone().map(Self::Discount),
            Body::Invoice(_) | Body::Charge(_) | Body::Refund(_) | Body::Checkout(_) => {
                Self::beside(body)
            }
            Body::Product(_) | Body::Price(_) | Body::Coupon(_) => None,
        }
    }

    /// The object beside the working set that a fact needs loaded.
    #[must_use]
    pub fn beside(body: &Body) -> Option<Self> {
        match body {
            Body::Invoice(invoice) => Some(Self::Invoice(invoice.created, invoice.id.clone())),
            Body::Charge(charge) => Some(Self::Charge(charge.id.clone())),
            Body::Refund(refund) => refund.charge.clone().map(Self::Charge),
            Body::Checkout(checkout) => Some(Self::Checkout(checkout.id.clone())),
            Body::Customer(_)
            | Body::Subscription(_)
            | Body::PaymentMethod(_)
            | Body::Dispute(_)
            | Body::Schedule(_)
            | Body::Discount(_)
            | Body::Product(_)
            | Body::Price(_)
            | Body::Coupon(_) => None,
        }
    }
}

/// Any stored object, as the store reads and writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum Object {
    /// The customer.
    Customer(Arc<Tracked<Customer>>),
    /// A subscription.
    Subscription(Arc<SubscriptionState>),
    /// A payment method.
    PaymentMethod(Arc<Tracked<PaymentMethod>>),
    /// A dispute.
    Dispute(Arc<Tracked<Dispute>>),
    /// A discount.
    Discount(Arc<Tracked<Discount>>),
    /// A schedule.
    Schedule(Arc<Tracked<Schedule>>),
    /// An invoice.
    Invoice(Arc<InvoiceState>),
    /// A charge with its refunds.
    Charge(Arc<ChargeState>),
    /// A checkout session.
    Checkout(Arc<Tracked<Checkout>>),
}

impl Object {
    /// The key of an object of the working set; none of one that is read by itself. The object says
    /// it, since the sort key of an unusual id cannot always be read back.
    #[must_use]
    pub fn working_set_key(&self) -> Option<ObjectKey> {
        Some(match self {
            Self::Customer(_) => ObjectKey::Customer,
            Self::Subscription(state) => {
                ObjectKey::Subscription(state.subscription.get().id.clone())
            }
            Self::PaymentMethod(method) => ObjectKey::PaymentMethod(method.get().id.clone()),
            Self::Dispute(dispute) => ObjectKey::Dispute(dispute.get().id.clone()),
            Self::Discount(discount) => ObjectKey::Discount(discount.get().id.clone()?),
            Self::Schedule(schedule) => ObjectKey::Schedule(schedule.get().id.clone()),
            Self::Invoice(_) | Self::Charge(_) | Self::Checkout(_) => return None,
        })
    }
}

impl Account {
    /// Puts a loaded object in its place.
    pub fn insert(&mut self, key: ObjectKey, rev: u64, object: Object) {
        match (key, object) {
            (_, Object::Customer(value)) => self.customer = Some(Stored { rev, value }),
            (_, Object::Invoice(value)) => self.invoice = Some(Stored { rev, value }),
            (_, Object::Charge(value)) => self.charge = Some(Stored { rev, value }),
            (_, Object::Checkout(value)) => self.checkout = Some(Stored { rev, value }),
            (ObjectKey::Subscription(id), Object::Subscription(value)) => {
                self.subscriptions.insert(id, Stored { rev, value });
            }
            (ObjectKey::PaymentMethod(id), Object::PaymentMethod(value)) => {
                self.payment_methods.insert(id, Stored { rev, value });
            }
            (ObjectKey::Dispute(id), Object::Dispute(value)) => {
                self.disputes.insert(id, Stored { rev, value });
            }
            (ObjectKey::Discount(id), Object::Discount(value)) => {
                self.discounts.insert(id, Stored { rev, value });
            }
            (ObjectKey::Schedule(id), Object::Schedule(value)) => {
                self.schedules.insert(id, Stored { rev, value });
            }
            // A key of one kind with an object of another was not written by us.
            (
                _,
                Object::Subscription(_)
                | Object::PaymentMethod(_)
                | Object::Dispute(_)
                | Object::Discount(_)
                | Object::Schedule(_),
            ) => {}
        }
    }

    /// An object, to be looked at.
    #[must_use]
    pub fn object(&self, key: &ObjectKey) -> Option<Object> {
        fn wrapped<T>(stored: Option<&Stored<T>>, wrap: fn(Arc<T>) -> Object) -> Option<Object> {
            stored.map(|stored| wrap(Arc::clone(&stored.value)))
        }
        match key {
            ObjectKey::Customer => wrapped(self.customer.as_ref(), Object::Customer),
            ObjectKey::Subscription(id) => {
                wrapped(self.subscriptions.get(id), Object::Subscription)
            }
            ObjectKey::PaymentMethod(id) => {
                wrapped(self.payment_methods.get(id), Object::PaymentMethod)
            }
            ObjectKey::Dispute(id) => wrapped(self.disputes.get(id), Object::Dispute),
            ObjectKey::Discount(id) => wrapped(self.discounts.get(id), Object::Discount),
            ObjectKey::Schedule(id) => wrapped(self.schedules.get(id), Object::Schedule),
            ObjectKey::Invoice(..) => wrapped(self.invoice.as_ref(), Object::Invoice),
            ObjectKey::Charge(_) => wrapped(self.charge.as_ref(), Object::Charge),
            ObjectKey::Checkout(_) => wrapped(self.checkout.as_ref(), Object::Checkout),
        }
    }

    /// Takes an object out with its rev, to be written.
    #[must_use]
    pub fn take(&mut self, key: &ObjectKey) -> Option<(u64, Object)> {
        match key {
            ObjectKey::Customer => pack(self.customer.take(), Object::Customer),
            ObjectKey::Subscription(id) => {
                pack(self.subscriptions.remove(id), Object::Subscription)
            }
            ObjectKey::PaymentMethod(id) => {
                pack(self.payment_methods.remove(id), Object::PaymentMethod)
            }
            ObjectKey::Dispute(id) => pack(self.disputes.remove(id), Object::Dispute),
            ObjectKey::Discount(id) => pack(self.discounts.remove(id), Object::Discount),
            ObjectKey::Schedule(id) => pack(self.schedules.remove(id), Object::Schedule),
            ObjectKey::Invoice(..) => pack(self.invoice.take(), Object::Invoice),
            ObjectKey::Charge(_) => pack(self.charge.take(), Object::Charge),
            ObjectKey::Checkout(_) => pack(self.checkout.take(), Object::Checkout),
        }
    }

    /// How often an object was written; 0 when it is not there.
    #[must_use]
    pub fn rev(&self, key: &ObjectKey) -> u64 {
        match key {
            ObjectKey::Customer => rev(self.customer.as_ref()),
            ObjectKey::Subscription(id) => rev(self.subscriptions.get(id)),
            ObjectKey::PaymentMethod(id) => rev(self.payment_methods.get(id)),
            ObjectKey::Dispute(id) => rev(self.disputes.get(id)),
            ObjectKey::Discount(id) => rev(self.discounts.get(id)),
            ObjectKey::Schedule(id) => rev(self.schedules.get(id)),
            ObjectKey::Invoice(..) => rev(self.invoice.as_ref()),
            ObjectKey::Charge(_) => rev(self.charge.as_ref()),
            ObjectKey::Checkout(_) => rev(self.checkout.as_ref()),
        }
    }

    /// Sets how often an object was written, where it is there.
    pub fn set_rev(&mut self, key: &ObjectKey, to: u64) {
        let rev = match key {
            ObjectKey::Customer => self.customer.as_mut().map(|stored| &mut stored.rev),
            ObjectKey::Subscription(id) => rev_mut(&mut self.subscriptions, id),
            ObjectKey::PaymentMethod(id) => rev_mut(&mut self.payment_methods, id),
            ObjectKey::Dispute(id) => rev_mut(&mut self.disputes, id),
            ObjectKey::Discount(id) => rev_mut(&mut self.discounts, id),
            ObjectKey::Schedule(id) => rev_mut(&mut self.schedules, id),
            ObjectKey::Invoice(..) => self.invoice.as_mut().map(|stored| &mut stored.rev),
            ObjectKey::Charge(_) => self.charge.as_mut().map(|stored| &mut stored.rev),
            ObjectKey::Checkout(_) => self.checkout.as_mut().map(|stored| &mut stored.rev),
        };
        if let Some(rev) = rev {
            *rev = to;
        }
    }

    /// A number that changes with every write to the working set, whatever is loaded beside it.
    ///
    /// The contact keeps the digest that its roll-up was computed from. A Query is not a snapshot:
    /// if a concurrent transaction tore it, the digests differ and the load is repeated.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let customer = self.customer.iter();
        let revs = customer
            .map(|stored| (ObjectKey::Customer, stored.rev))
            .chain(revs(&self.subscriptions, ObjectKey::Subscription))
            .chain(revs(&self.payment_methods, ObjectKey::PaymentMethod))
            .chain(revs(&self.disputes, ObjectKey::Dispute))
            .chain(revs(&self.discounts, ObjectKey::Discount))
            .chain(revs(&self.schedules, ObjectKey::Schedule));
        let (mut sum, mut text) = (0_u64, String::new());
        for (key, rev) in revs {
            text.clear();
            key.write_sort_key(&mut text);
            text.push('\n');
            text.push_str(&rev.to_string());
            sum = sum.wrapping_add(xxh3_64(text.as_bytes()));
        }
        sum
    }

    /// The Stripe customer's own id, where it was seen.
    #[must_use]
    pub fn stripe_customer(&self) -> Option<&StripeCustomerId> {
        self.customer.as_ref().map(|stored| &stored.value.get().id)
    }
}

fn pack<T>(stored: Option<Stored<T>>, wrap: fn(Arc<T>) -> Object) -> Option<(u64, Object)> {
    stored.map(|stored| (stored.rev, wrap(stored.value)))
}

fn rev<T>(stored: Option<&Stored<T>>) -> u64 {
    stored.map_or(0, |stored| stored.rev)
}

fn rev_mut<'a, T>(
    objects: &'a mut BTreeMap<StripeId, Stored<T>>,
    id: &StripeId,
) -> Option<&'a mut u64> {
    objects.get_mut(id).map(|stored| &mut stored.rev)
}

fn revs<'a, T>(
    objects: &'a BTreeMap<StripeId, Stored<T>>,
    key: fn(StripeId) -> ObjectKey,
) -> impl Iterator<Item = (ObjectKey, u64)> + 'a {
    objects
        .iter()
        .map(move |(id, stored)| (key(id.clone()), stored.rev))
}

/// Shows a snapshot to a stored object. Gives what counted before, and what became of it.
pub(crate) fn observe<T: Snapshot>(
    slot: &mut Option<Stored<Tracked<T>>>,
    version: Version<T>,
) -> (Option<T>, Disposition) {
    match slot {
        None => {
            *slot = Some(Stored::new(1, Tracked::first(version)));
            (None, Disposition::Applied)
        }
        Some(stored) => {
            let before = stored.value.get().clone();
            let disposition = stored.edit().observe(version);
            if disposition == Disposition::Applied {
                stored.rev += 1;
            }
            (Some(before), disposition)
        }
    }
}

/// As [`observe`], for an object in a map.
pub(crate) fn observe_in<T: Snapshot>(
    objects: &mut BTreeMap<StripeId, Stored<Tracked<T>>>,
    id: &StripeId,
    version: Version<T>,
) -> (Option<T>, Disposition) {
    let mut slot = objects.remove(id);
    let seen = observe(&mut slot, version);
    if let Some(stored) = slot {
        objects.insert(id.clone(), stored);
    }
    seen
}

/// What a tenant sells, as far as the account at hand refers to it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Catalog {
    /// Products by id.
    pub products: BTreeMap<StripeId, Product>,
    /// Prices by id.
    pub prices: BTreeMap<StripeId, Price>,
    /// Coupons by id.
    pub coupons: BTreeMap<StripeId, Coupon>,
}

/// One entry of the catalog by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatalogKey {
    /// A product.
    Product(StripeId),
    /// A price.
    Price(StripeId),
    /// A coupon.
    Coupon(StripeId),
}

impl CatalogKey {
    /// The sort key under the tenant's catalog.
    #[must_use]
    pub fn sort_key(&self) -> String {
        match self {
            Self::Product(id) => format!("PRODUCT#{}", id.key_part()),
            Self::Price(id) => format!("PRICE#{}", id.key_part()),
            Self::Coupon(id) => format!("COUPON#{}", id.key_part()),
        }
    }
}

/// Any entry of the catalog, as the store reads and writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum CatalogEntry {
    /// A product.
    Product(Tracked<Product>),
    /// A price.
    Price(Tracked<Price>),
    /// A coupon.
    Coupon(Tracked<Coupon>),
}

impl Catalog {
    /// Whether it has an entry that tells all that it comes to in a currency.
    #[must_use]
    pub fn tells(&self, key: &CatalogKey, currency: Option<&Currency>) -> bool {
        match key {
            CatalogKey::Product(id) => self.products.contains_key(id),
            CatalogKey::Price(id) => self
                .prices
                .get(id)
                .is_some_and(|price| price.scheme_in(currency).is_some()),
            CatalogKey::Coupon(id) => self
                .coupons
                .get(id)
                .is_some_and(|coupon| coupon.tells(currency)),
        }
    }

    /// Whether it does not have an entry, or has one that may not tell all: a price what it costs in
    /// every currency, a coupon which products it is for and what it takes off in every currency.
    #[must_use]
    pub fn lacks(&self, key: &CatalogKey) -> bool {
        match key {
            CatalogKey::Product(id) => !self.products.contains_key(id),
            CatalogKey::Price(id) => self
                .prices
                .get(id)
                .is_none_or(|price| !price.scheme.is_told() || price.currency_options.is_unseen()),
            CatalogKey::Coupon(id) => self.coupons.get(id).is_none_or(|coupon| {
                let options = coupon.amount_off.is_some() && coupon.currency_options.is_unseen();
                coupon.limit() == Limit::NotTold || options
            }),
        }
    }

    /// Adds an entry.
    pub fn insert(&mut self, entry: &CatalogEntry) {
        match entry {
            CatalogEntry::Product(tracked) => {
                self.products
                    .insert(tracked.get().id.clone(), tracked.get().clone());
            }
            CatalogEntry::Price(tracked) => {
                self.prices
                    .insert(tracked.get().id.clone(), tracked.get().clone());
            }
            CatalogEntry::Coupon(tracked) => {
                self.coupons
                    .insert(tracked.get().id.clone(), tracked.get().clone());
            }
        }
    }
}

//! The audited differences of an object between two states of its account.
//!
//! A commit may apply several facts to one object. The audit and the comparison with Stripe look at
//! the record before the commit and the record after it, so that a value in between is in neither.

use super::{
    charge, checkout, customer, discount, dispute, invoice, payment_method, schedule, subscription,
};
use crate::account::{Account, Object, ObjectKey};
use crate::audit::{Change, FieldChange};
use crate::id::StripeCustomerId;
use crate::rollup::Context;

/// An object in the state of the account that gives it its worth.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// The account.
    pub account: &'a Account,
    /// The object; none where there is none.
    pub object: Option<&'a Object>,
}

/// The audited fields in which two states of one object differ.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectChange {
    /// The object.
    pub key: ObjectKey,
    /// Whether it was there before.
    pub was_known: bool,
    /// Its fields that differ; never empty.
    pub fields: Vec<FieldChange>,
}

impl ObjectChange {
    /// The object's id at Stripe.
    #[must_use]
    pub fn id<'a>(&'a self, customer: &'a StripeCustomerId) -> &'a str {
        let id = self.key.id();
        id.map_or(customer.as_str(), |id| id.as_str())
    }

    /// The entries of the audit trail: `subscriptions.sub_1.status`, …
    pub fn audited(&self) -> impl Iterator<Item = Change> + '_ {
        let prefix = match &self.key {
            ObjectKey::Customer => customer::PREFIX.to_owned(),
            ObjectKey::Subscription(id) => format!("subscriptions.{id}."),
            ObjectKey::PaymentMethod(id) => format!("payment_methods.{id}."),
            ObjectKey::Dispute(id) => format!("disputes.{id}."),
            ObjectKey::Discount(id) => format!("discounts.{id}."),
            ObjectKey::Schedule(id) => format!("schedules.{id}."),
            ObjectKey::Invoice(_, id) => format!("invoices.{id}."),
            ObjectKey::Charge(id) => format!("charges.{id}."),
            ObjectKey::Checkout(id) => format!("checkouts.{id}."),
        };
        self.fields.iter().map(move |field| field.at(&prefix))
    }
}

/// Compares two states of one object; none where no audited field differs.
#[must_use]
pub fn compare(
    key: &ObjectKey,
    before: Reading<'_>,
    after: Reading<'_>,
    context: Context<'_>,
) -> Option<ObjectChange> {
    // What the object was, read as the kind that it is now.
    macro_rules! was {
        ($kind:ident, $state:ident => $read:expr) => {
            before.object.and_then(|object| {
                if let Object::$kind($state) = object {
                    Some($read)
                } else {
                    None
                }
            })
        };
    }
    let fields = match after.object? {
        Object::Customer(is) => customer::changes(was!(Customer, was => was.get()), is.get()),
        Object::Subscription(is) => {
            let was = was!(Subscription, was => (before.account, was.subscription.get()));
            subscription::changes(was, (after.account, is.subscription.get()), context)
        }
        Object::PaymentMethod(is) => {
            payment_method::changes(was!(PaymentMethod, was => was.get()), is.get())
        }
        Object::Dispute(is) => dispute::changes(was!(Dispute, was => was.get()), is.get()),
        Object::Discount(is) => discount::changes(was!(Discount, was => was.get()), is.get()),
        Object::Schedule(is) => schedule::changes(was!(Schedule, was => was.get()), is.get()),
        Object::Invoice(is) => {
            invoice::changes(was!(Invoice, was => was.invoice.get()), is.invoice.get())
        }
        Object::Charge(is) => charge::changes(was!(Charge, was => was.as_ref()), is.as_ref()),
        Object::Checkout(is) => checkout::changes(was!(Checkout, was => was.get()), is.get()),
    };
    (!fields.is_empty()).then(|| ObjectChange {
        key: key.clone(),
        was_known: before.object.is_some(),
        fields,
    })
}

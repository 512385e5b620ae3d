//! A customer as Stripe knows it.

use serde::{Deserialize, Serialize};

use super::discount::Discount;
use super::payment_method::PaymentMethod;
use crate::id::{CustomerId, StripeCustomerId, StripeId};
use crate::order::{Seen, Snapshot};
use crate::time::Timestamp;

/// A Stripe customer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Customer {
    /// `cus_…`.
    pub id: StripeCustomerId,
    /// When it was made; none when only a deletion told of it.
    pub created: Seen<Option<Timestamp>>,
    /// Full name or business name.
    pub name: Seen<Option<String>>,
    /// Its e-mail address.
    pub email: Seen<Option<String>>,
    /// The company, where Stripe or the metadata name one.
    pub company: Seen<Option<String>>,
    /// Our own id of the customer, from `metadata.customer_id`.
    pub contact: Seen<Option<CustomerId>>,
    /// The payment method that invoices use: the invoice setting, or the old default source.
    pub default_payment_method: Seen<Option<StripeId>>,
    /// A discount on everything that the customer buys.
    pub discount: Seen<Option<Discount>>,
    /// Deleted at Stripe.
    pub deleted: bool,
    /// The sources of the time before payment methods that came with the customer: the default one
    /// where it is expanded, and those of its list, which old API versions always send.
    #[serde(default, skip_serializing_if = "Seen::is_unseen")]
    pub sources: Seen<Vec<PaymentMethod>>,
}

impl Snapshot for Customer {
    fn is_final(&self) -> bool {
        self.deleted
    }
    fn inherit(&mut self, other: &Self) {
        self.created.inherit(&other.created);
        self.name.inherit(&other.name);
        self.email.inherit(&other.email);
        self.company.inherit(&other.company);
        self.contact.inherit(&other.contact);
        self.default_payment_method
            .inherit(&other.default_payment_method);
        self.discount.inherit(&other.discount);
        self.complete(other);
    }
    fn complete(&mut self, other: &Self) {
        self.sources.inherit(&other.sources);
    }
}

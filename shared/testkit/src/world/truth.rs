//! What each customer came to, from the objects themselves, in plain integers.
//!
//! Written apart from paygraph's own code on purpose, and only for what the world makes: prices per
//! unit and month, year or week, one coupon that holds forever, the example settings. What the rules
//! leave open is left out: it is `None`.

mod standing;
mod worth;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

pub use self::standing::{Access, Method, Standing};
pub use self::worth::{Plan, Primary, SubscriptionTruth};
use super::purchase::is_lifetime;
use super::{Life, is_set, number, text};

/// The truth of one Stripe customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// `cus_…`.
    pub customer: String,
    /// Our own id, by the metadata, else by the newest checkout session, else Stripe's.
    pub contact: String,
    /// Deleted at Stripe.
    pub deleted: bool,
    /// The most severe status over all subscriptions.
    pub billing_status: &'static str,
    /// Each subscription by id.
    pub subscriptions: BTreeMap<String, SubscriptionTruth>,
    /// Each invoice by id.
    pub invoices: BTreeMap<String, InvoiceTruth>,
    /// Minor units captured less refunded, and paid out of band, per currency; those with 0 are left
    /// out.
    pub lifetime_value: BTreeMap<String, i64>,
    /// The item that is worth most among live subscriptions.
    pub plan: Option<Plan>,
    /// The subscription that dates are taken from.
    pub primary: Option<Primary>,
    /// The earliest next invoice of a live subscription.
    pub next_invoice: Option<i64>,
    /// Whether a payment method is attached.
    pub on_file: bool,
    /// The last four digits of the default payment method.
    pub default_last4: Option<String>,
    /// Disputes that are neither over nor inquiries, with their beginnings.
    pub open_disputes: BTreeSet<(String, i64)>,
    /// Whether a lifetime purchase is held: paid, and not given back whole.
    pub lifetime: bool,
    /// Access, and what is wrong.
    pub standing: Standing,
}

/// The truth of an invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceTruth {
    /// Stripe's status.
    pub status: String,
    /// Minor units to pay.
    pub amount_due: i64,
    /// Minor units paid.
    pub amount_paid: i64,
    /// Automatic attempts.
    pub attempt_count: i64,
    /// The next one.
    pub next_payment_attempt: Option<i64>,
    /// When it is to be paid, if it was sent.
    pub due_date: Option<i64>,
    /// When it was paid.
    pub paid_at: Option<i64>,
}

/// The most severe first.
const STATUSES: [&str; 9] = [
    "unpaid",
    "past_due",
    "active",
    "trialing",
    "paused",
    "incomplete",
    "canceled",
    "incomplete_expired",
    "none",
];

impl Life {
    /// What the customer came to at the end of the world (Unix seconds).
    pub(super) fn truth(&self, now: i64) -> Truth {
        let statuses: BTreeSet<&str> = self.subscriptions.iter().map(shown_status).collect();
        let severe = STATUSES
            .into_iter()
            .find(|status| statuses.contains(status));
        let named = |object: &Value| (text(object, "id").to_owned(), worth::subscription(object));
        let method = self.method_on_file();
        Truth {
            customer: self.id.clone(),
            contact: self.contact(),
            deleted: is_set(&self.customer, "deleted"),
            billing_status: severe.unwrap_or("none"),
            subscriptions: self.subscriptions.iter().map(named).collect(),
            invoices: self.invoices.iter().map(invoice).collect(),
            lifetime_value: self.lifetime_value(),
            plan: worth::plan(&self.subscriptions),
            primary: worth::primary(&self.subscriptions),
            next_invoice: self
                .subscriptions
                .iter()
                .filter_map(worth::next_invoice)
                .min(),
            on_file: self.attached().next().is_some(),
            default_last4: self.default_method().map(|method| method.last4),
            open_disputes: self
                .disputes
                .iter()
                .filter(|d| matches!(text(d, "status"), "needs_response" | "under_review"))
                .map(|dispute| (text(dispute, "id").to_owned(), number(dispute, "created")))
                .collect(),
            lifetime: self.holds_for_life(),
            standing: standing::standing(self, method, now),
        }
    }

    fn contact(&self) -> String {
        let claims = self.sessions.iter().filter_map(|session| {
            let name = session["client_reference_id"].as_str()?;
            Some((number(session, "created"), text(session, "id"), name))
        });
        let named = self.customer["metadata"]["customer_id"].as_str();
        let name = named.or_else(|| claims.max().map(|(.., name)| name));
        name.unwrap_or(&self.id).to_owned()
    }

    /// Captured charges less their refunds, and payments out of band. What Stripe refunds of a hold
    /// was never captured.
    fn lifetime_value(&self) -> BTreeMap<String, i64> {
        let mut sums = BTreeMap::new();
        let mut add = |object: &Value, amount: i64| {
            *sums.entry(text(object, "currency").to_owned()).or_insert(0) += amount;
        };
        let collected = self
            .charges
            .iter()
            .filter(|charge| text(charge, "status") == "succeeded" && charge["captured"] == true);
        for charge in collected {
            let released = number(charge, "amount") - number(charge, "amount_captured");
            let refunded = number(charge, "amount_refunded") - released;
            add(charge, number(charge, "amount_captured") - refunded);
        }
        let elsewhere = self.payments.iter().filter(|payment| {
            text(&payment["payment"], "type") == "payment_record"
                && text(payment, "status") == "paid"
        });
        for payment in elsewhere {
            add(payment, number(payment, "amount_paid"));
        }
        sums.retain(|_, sum| *sum != 0);
        sums
    }

    fn holds_for_life(&self) -> bool {
        let bought = self.invoices.iter().filter(|invoice| is_lifetime(invoice));
        bought
            .filter(|invoice| text(invoice, "status") == "paid")
            .any(|invoice| {
                !self
                    .charges
                    .iter()
                    .any(|charge| charge["_invoice"] == invoice["id"] && is_set(charge, "refunded"))
            })
    }

    /// Payment methods and cards that are attached.
    fn attached(&self) -> impl Iterator<Item = Method> {
        let all = self.methods.iter().chain(&self.sources);
        all.filter(|method| is_set(method, "customer"))
            .map(Method::of)
    }

    /// The default payment method, else the default source.
    fn default_method(&self) -> Option<Method> {
        let own = &self.customer["invoice_settings"]["default_payment_method"];
        let source = &self.customer["default_source"];
        let named = |id: &Value| self.attached().find(|method| json!(method.id) == *id);
        named(own).or_else(|| named(source))
    }

    /// The default one, else the only one; none when it is any of several.
    fn method_on_file(&self) -> Option<Method> {
        let mut all = self.attached();
        let only = all.next().filter(|_| all.next().is_none());
        self.default_method().or(only)
    }
}

fn shown_status(subscription: &Value) -> &str {
    match text(subscription, "status") {
        "active" if is_set(subscription, "pause_collection") => "paused",
        status => status,
    }
}

fn invoice(object: &Value) -> (String, InvoiceTruth) {
    let truth = InvoiceTruth {
        status: text(object, "status").to_owned(),
        amount_due: number(object, "amount_due"),
        amount_paid: number(object, "amount_paid"),
        attempt_count: number(object, "attempt_count"),
        next_payment_attempt: object["next_payment_attempt"].as_i64(),
        due_date: object["due_date"].as_i64(),
        paid_at: object["status_transitions"]["paid_at"].as_i64(),
    };
    (text(object, "id").to_owned(), truth)
}

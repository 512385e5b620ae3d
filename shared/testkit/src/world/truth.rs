//! What each customer came to, from the objects themselves, in plain integers.
//!
//! Written apart from paygraph's own code on purpose, and only for what the world makes: prices per
//! unit and month, year or week, one coupon in percent that holds forever, the example settings.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

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
    /// Minor units paid less given back, per currency; those with 0 are left out.
    pub lifetime_value: BTreeMap<String, i64>,
    /// Whether a payment method is attached.
    pub on_file: bool,
    /// The last four digits of the default payment method.
    pub default_last4: Option<String>,
    /// Disputes that are neither over nor inquiries.
    pub open_disputes: BTreeSet<String>,
    /// Whether a lifetime purchase is held: paid, and not given back whole.
    pub lifetime: bool,
}

/// The truth of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionTruth {
    /// Stripe's status.
    pub status: String,
    /// Price and quantity by item.
    pub items: BTreeMap<String, (String, u64)>,
    /// Minor units per month.
    pub mrr: i64,
    /// The currency of that.
    pub currency: String,
    /// Whether collection is paused.
    pub collection_paused: bool,
    /// The end that is set, by either way to set one; none when it has ended.
    pub cancel_at: Option<i64>,
    /// The end of the trial.
    pub trial_end: Option<i64>,
}

/// The truth of an invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceTruth {
    /// Stripe's status.
    pub status: String,
    /// Minor units paid.
    pub amount_paid: i64,
    /// Automatic attempts.
    pub attempt_count: i64,
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
    pub(super) fn truth(&self) -> Truth {
        let statuses: BTreeSet<&str> = self.subscriptions.iter().map(shown_status).collect();
        let severe = STATUSES
            .into_iter()
            .find(|status| statuses.contains(status));
        let named = |object: &Value| (text(object, "id").to_owned(), subscription(object));
        let default = &self.customer["invoice_settings"]["default_payment_method"];
        let attached = || self.methods.iter().filter(|m| is_set(m, "customer"));
        Truth {
            customer: self.id.clone(),
            contact: self.contact(),
            deleted: is_set(&self.customer, "deleted"),
            billing_status: severe.unwrap_or("none"),
            subscriptions: self.subscriptions.iter().map(named).collect(),
            invoices: self.invoices.iter().map(invoice).collect(),
            lifetime_value: self.lifetime_value(),
            on_file: attached().next().is_some(),
            default_last4: attached()
                .find(|method| method["id"] == *default)
                .map(|method| text(&method["card"], "last4").to_owned()),
            open_disputes: self
                .disputes
                .iter()
                .filter(|d| matches!(text(d, "status"), "needs_response" | "under_review"))
                .map(|dispute| text(dispute, "id").to_owned())
                .collect(),
            lifetime: self.holds_for_life(),
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

    fn lifetime_value(&self) -> BTreeMap<String, i64> {
        let mut sums = BTreeMap::new();
        let mut add = |object: &Value, amount: i64| {
            *sums.entry(text(object, "currency").to_owned()).or_insert(0) += amount;
        };
        for invoice in &self.invoices {
            add(invoice, number(invoice, "amount_paid"));
        }
        for session in &self.sessions {
            let is_payment = text(session, "mode") == "payment"
                && text(session, "status") == "complete"
                && text(session, "payment_status") == "paid";
            if is_payment {
                add(session, number(session, "amount_total"));
            }
        }
        for charge in &self.charges {
            add(charge, -number(charge, "amount_refunded"));
        }
        sums.retain(|_, sum| *sum != 0);
        sums
    }

    fn holds_for_life(&self) -> bool {
        let bought = self.invoices.iter().filter(|invoice| is_lifetime(invoice));
        bought
            .filter(|invoice| text(invoice, "status") == "paid")
            .any(|invoice| {
                !self.charges.iter().any(|charge| {
                    charge["invoice_of_charge"] == invoice["id"] && is_set(charge, "refunded")
                })
            })
    }
}

fn shown_status(subscription: &Value) -> &str {
    match text(subscription, "status") {
        "active" if is_set(subscription, "pause_collection") => "paused",
        status => status,
    }
}

fn subscription(object: &Value) -> SubscriptionTruth {
    let status = text(object, "status").to_owned();
    let items = || object["items"]["data"].as_array().into_iter().flatten();
    let ended = matches!(status.as_str(), "canceled" | "incomplete_expired");
    let period_end = items().map(|item| number(item, "current_period_end")).min();
    let at_period_end = period_end.filter(|_| is_set(object, "cancel_at_period_end"));
    SubscriptionTruth {
        items: items()
            .map(|item| {
                let quantity = item["quantity"].as_u64().unwrap_or(1);
                let price = text(&item["price"], "id").to_owned();
                (text(item, "id").to_owned(), (price, quantity))
            })
            .collect(),
        mrr: match status.as_str() {
            "active" | "past_due" => mrr(object),
            _ => 0,
        },
        currency: text(object, "currency").to_owned(),
        collection_paused: is_set(object, "pause_collection"),
        cancel_at: object["cancel_at"]
            .as_i64()
            .or(at_period_end)
            .filter(|_| !ended),
        trial_end: object["trial_end"].as_i64(),
        status,
    }
}

/// Minor units per month, rounded half up once. Everything is counted in twelve hundredths: a
/// month has twelve twelfths of itself, a year one, a week fifty-two; a coupon leaves hundredths.
fn mrr(object: &Value) -> i64 {
    let items = object["items"]["data"].as_array().into_iter().flatten();
    let twelfths: i64 = items
        .map(|item| {
            let price = &item["price"];
            let per_year = match text(&price["recurring"], "interval") {
                "month" => 12,
                "week" => 52,
                _ => 1,
            };
            number(price, "unit_amount") * number(item, "quantity") * per_year
        })
        .sum();
    let percent = object["discounts"][0]["source"]["coupon"]["percent_off"].as_i64();
    let worth = twelfths * (100 - percent.unwrap_or(0));
    (worth * 2 + 1_200) / 2_400
}

fn invoice(object: &Value) -> (String, InvoiceTruth) {
    let truth = InvoiceTruth {
        status: text(object, "status").to_owned(),
        amount_paid: number(object, "amount_paid"),
        attempt_count: number(object, "attempt_count"),
    };
    (text(object, "id").to_owned(), truth)
}

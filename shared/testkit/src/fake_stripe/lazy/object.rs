//! Computes the objects of a customer: who it is and what it is subscribed to.
#![expect(
    clippy::indexing_slicing,
    reason = "JSON that is not there reads as null"
)]

use serde_json::{Value, json};

use super::super::catalog;
use super::names::mix;
use super::{LazyWorld, Place, object_money};
use crate::world::price;

const MONTH: i64 = 30 * 86_400;

/// The object at a place.
pub(super) fn compute(world: &LazyWorld, object: &str, place: Place) -> Value {
    match object {
        "customer" => world.customer(place.of),
        "payment_method" => world.payment_method(place.of),
        "subscription" => world.subscription(place),
        "subscription_schedule" => world.schedule(place.of),
        _ => object_money::compute(world, object, place),
    }
}

/// Whether computed subscriptions may have this price.
pub(super) fn is_price(id: &str) -> bool {
    id == catalog::TIERED
        || (0..catalog::PLANS).any(|index| price(index)["id"] == id)
        || (1..=catalog::ADD_ONS).any(|number| catalog::add_on(number)["id"] == id)
}

impl LazyWorld {
    /// A number below a bound that looks like chance, for one property of a customer.
    pub(super) fn chance(&self, customer: u64, property: u64, below: u64) -> u64 {
        mix(self.size.seed ^ (property << 56), customer) % below
    }

    fn fate_of(&self, place: Place) -> &'static str {
        self.status("subscription", self.fate(place.of), place.at)
    }

    fn email(&self, customer: u64) -> String {
        format!("customer{customer}@company{}.example", customer / 3)
    }

    /// The customer that an e-mail address was given to.
    pub(super) fn customer_by_email(&self, email: &str) -> Option<u64> {
        let (number, _) = email.strip_prefix("customer")?.split_once('@')?;
        let customer = number.parse().ok()?;
        (customer < self.size.customers).then_some(customer)
    }

    fn method(&self, customer: u64) -> Option<String> {
        let place = Place {
            of: customer,
            at: 0,
        };
        self.is_there("payment_method", place)
            .then(|| self.id("pm", "payment_method", place))
    }

    fn customer(&self, of: u64) -> Value {
        let place = Place { of, at: 0 };
        let id = self.id("cus", "customer", place);
        if self.is_deleted(of) {
            return json!({ "id": id, "object": "customer", "deleted": true });
        }
        let metadata = match self.chance(of, 1, 10) {
            0..=2 => json!({ "customer_id": format!("contact-{of}") }),
            _ => json!({}),
        };
        json!({
            "id": id, "object": "customer", "created": self.created("customer", place),
            "email": self.email(of), "name": format!("Customer {of}"), "metadata": metadata,
            "livemode": false, "currency": "usd", "delinquent": false, "discount": null,
            "invoice_settings": { "default_payment_method": self.method(of) },
            "balance": 0, "description": null, "phone": null, "address": null, "shipping": null,
        })
    }

    fn payment_method(&self, of: u64) -> Value {
        let place = Place { of, at: 0 };
        let last4 = format!("{:04}", self.chance(of, 2, 10_000));
        let year = 2027 + self.chance(of, 3, 6);
        json!({
            "id": self.id("pm", "payment_method", place), "object": "payment_method",
            "type": "card", "customer": self.id("cus", "customer", place),
            "card": { "brand": "visa", "last4": last4, "exp_month": 12, "exp_year": year },
            "billing_details": { "email": self.email(of), "name": null },
            "created": self.created("payment_method", place), "livemode": false, "metadata": {},
        })
    }

    /// What a subscription is for: prices and quantities.
    fn bought(&self, customer: u64) -> Vec<(Value, u64)> {
        if self.chance(customer, 4, 12) == 0 {
            return vec![(catalog::tiered(), 1 + self.chance(customer, 5, 30))];
        }
        let plan = usize::try_from(self.chance(customer, 6, 4)).unwrap_or_default();
        let add_ons = match self.chance(customer, 7, 50) {
            0 => catalog::ADD_ONS,
            1..=9 => 1,
            _ => 0,
        };
        let mut bought = vec![(price(plan), 1 + self.chance(customer, 8, 3))];
        bought.extend((1..=add_ons).map(|number| (catalog::add_on(number), 1)));
        bought
    }

    /// What is bought, with what it costs a month in minor units.
    pub(super) fn lines(&self, customer: u64) -> Vec<(Value, u64, u64)> {
        let cost = |(price, quantity): (Value, u64)| {
            let amount = match price["unit_amount"].as_u64() {
                Some(each) => each * quantity,
                None => quantity.min(10) * 1_000 + quantity.saturating_sub(10) * 800,
            };
            (price, quantity, amount)
        };
        self.bought(customer).into_iter().map(cost).collect()
    }

    pub(super) fn discounts(&self, subscription: Place) -> Value {
        if self.chance(subscription.of, 9, 10) != 0 {
            return json!([]);
        }
        json!([{
            "id": self.id("di", "subscription", subscription), "object": "discount",
            "customer": self.id("cus", "customer", Place { at: 0, ..subscription }),
            "subscription": self.id("sub", "subscription", subscription), "end": null,
            "start": self.created("subscription", subscription), "promotion_code": null,
            "source": { "type": "coupon", "coupon": catalog::coupon() },
        }])
    }

    fn items(&self, place: Place) -> Vec<Value> {
        let subscription = self.id("sub", "subscription", place);
        let start = self.period_start(place);
        let item = |(number, (price, quantity)): (usize, (Value, u64))| {
            let id = subscription.replace("sub_", "si_");
            json!({
                "id": format!("{id}{number:02}"), "object": "subscription_item",
                "subscription": subscription, "price": price, "quantity": quantity,
                "created": self.created("subscription", place), "discounts": [],
                "tax_rates": [], "metadata": {}, "current_trial": null,
                "current_period_start": start, "current_period_end": start + MONTH,
            })
        };
        let bought = self.bought(place.of).into_iter();
        bought.enumerate().map(item).collect()
    }

    /// The last invoice began the period that runs.
    fn period_start(&self, place: Place) -> i64 {
        let last = Place {
            of: place.of,
            at: self.size.invoices_each.saturating_sub(1),
        };
        let invoiced = self.created("invoice", last);
        invoiced.max(self.created("subscription", place))
    }

    fn subscription(&self, place: Place) -> Value {
        let created = self.created("subscription", place);
        let status = self.fate_of(place);
        let ended = matches!(status, "canceled" | "incomplete_expired");
        let at_end = status == "active" && self.chance(place.of, 10, 15) == 0;
        let end = self.period_start(place) + MONTH;
        let trial = (status == "trialing").then_some(end);
        let latest = self.size.invoices_each.checked_sub(1);
        let reason = match self.chance(place.of, 11, 2) {
            _ if status != "canceled" => None,
            0 => Some("payment_failed"),
            _ => Some("cancellation_requested"),
        };
        json!({
            "id": self.id("sub", "subscription", place), "object": "subscription",
            "customer": self.id("cus", "customer", Place { at: 0, ..place }), "currency": "usd",
            "billing_cycle_anchor": created, "billing_schedules": [], "livemode": false,
            "created": created, "start_date": created, "cancel_at": null,
            "cancel_at_period_end": at_end, "canceled_at": (ended || at_end).then_some(end - 1),
            "ended_at": ended.then_some(end),
            "cancellation_details": { "comment": null, "feedback": null, "reason": reason },
            "collection_method": "charge_automatically",
            "default_payment_method": self.method(place.of), "discounts": self.discounts(place),
            "default_tax_rates": [], "status": status, "pause_collection": null, "metadata": {},
            "schedule": self.schedule_of(place), "trial_end": trial,
            "trial_start": trial.map(|_| created),
            "latest_invoice": latest.map(|at| self.id("in", "invoice", Place { at, ..place })),
            "items": { "object": "list", "has_more": false, "data": self.items(place) },
        })
    }

    fn schedule_of(&self, subscription: Place) -> Option<String> {
        let own = Place {
            at: 0,
            ..subscription
        };
        (subscription.at == 0 && self.is_there("subscription_schedule", own))
            .then(|| self.id("sub_sched", "subscription_schedule", own))
    }

    /// A change of plan that is not in force yet.
    fn schedule(&self, of: u64) -> Value {
        let place = Place { of, at: 0 };
        let start = self.period_start(place);
        let item = json!({ "price": price(0)["id"], "quantity": 1 });
        json!({
            "id": self.schedule_of(place), "object": "subscription_schedule", "status": "active",
            "created": self.created("subscription_schedule", place), "livemode": false,
            "customer": self.id("cus", "customer", place), "end_behavior": "release",
            "subscription": self.id("sub", "subscription", place), "metadata": {},
            "current_phase": { "start_date": start, "end_date": start + MONTH },
            "phases": [{ "start_date": start + MONTH, "end_date": null, "items": [item] }],
        })
    }
}

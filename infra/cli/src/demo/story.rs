//! The story that the demo tells: what Stripe sends in the life of one customer.

use serde_json::{Value, json};

const DAY: i64 = 86_400;
const MONTH: i64 = 30 * DAY;
/// How long before its end the story has the payment fail, in seconds.
pub const FAILURE: i64 = 46 * DAY;
/// Which chapter that is.
pub const FAILED: usize = 3;

/// A chapter: what happens, and the events that tell of it.
pub struct Chapter {
    /// What happens.
    pub title: &'static str,
    /// The events, in the order in which they happened.
    pub events: Vec<Value>,
}

/// One customer's life.
pub struct Story {
    run: String,
    count: u32,
    subscription: Value,
}

impl Story {
    /// A story with ids of its own.
    pub fn new(run: &str) -> Self {
        Self {
            run: run.to_owned(),
            count: 0,
            subscription: Value::Null,
        }
    }

    /// The customer.
    pub fn customer(&self) -> String {
        format!("cus_{}", self.run)
    }

    fn id(&self, prefix: &str) -> String {
        format!("{prefix}_{}", self.run)
    }

    fn event(&mut self, kind: &str, at: i64, object: Value) -> Value {
        self.count += 1;
        json!({
            "id": format!("evt_{}_{:02}", self.run, self.count), "object": "event",
            "api_version": "2026-10-28.endive", "created": at, "livemode": false, "type": kind,
            "data": { "object": object },
        })
    }

    /// Changes the subscription and tells of it, with what was replaced.
    fn change(&mut self, at: i64, fields: Value) -> Value {
        let mut previous = serde_json::Map::new();
        if let (Some(subscription), Value::Object(fields)) =
            (self.subscription.as_object_mut(), fields)
        {
            for (name, value) in fields {
                let before = subscription.insert(name.clone(), value);
                previous.insert(name, before.unwrap_or_default());
            }
        }
        let object = self.subscription.clone();
        let mut event = self.event("customer.subscription.updated", at, object);
        event["data"]["previous_attributes"] = Value::Object(previous);
        event
    }

    fn invoice(&mut self, kind: &str, at: i64, name: &str, fields: Value) -> Value {
        let mut invoice = json!({
            "id": format!("in_{}_{name}", self.run), "object": "invoice", "customer": self.customer(),
            "currency": "usd", "created": at, "attempt_count": 1, "next_payment_attempt": null,
            "collection_method": "charge_automatically", "billing_reason": "subscription_cycle",
            "status_transitions": { "paid_at": null }, "lines": { "data": [], "has_more": false },
            "parent": { "subscription_details": { "subscription": self.id("sub") } },
        });
        if let (Some(invoice), Value::Object(fields)) = (invoice.as_object_mut(), fields) {
            invoice.extend(fields);
        }
        self.event(kind, at, invoice)
    }

    fn items(&self, price: &str, product: &str, amount: i64, from: i64, to: i64) -> Value {
        json!({ "object": "list", "has_more": false, "data": [{
            "id": self.id("si"), "object": "subscription_item", "quantity": 1,
            "current_period_start": from, "current_period_end": to,
            "discounts": [], "tax_rates": [],
            "price": {
                "id": price, "object": "price", "product": product, "currency": "usd",
                "billing_scheme": "per_unit", "unit_amount": amount, "type": "recurring",
                "unit_amount_decimal": amount.to_string(),
                "recurring": { "interval": "month", "interval_count": 1, "usage_type": "licensed" },
            },
        }] })
    }

    fn individual(&self, from: i64, to: i64) -> Value {
        self.items(
            "price_1SWQXAChUUSEbzyhAykgEy5K",
            "prod_TTNH7uTYVlPbVV",
            2_900,
            from,
            to,
        )
    }

    fn team(&self, from: i64) -> Value {
        self.items(
            "price_1SWQXKChUUSEbzyhLSObMBLT",
            "prod_TTNHfJE07G7dty",
            9_900,
            from,
            from + MONTH,
        )
    }

    /// The chapters, ending at `now`.
    pub fn tell(&mut self, now: i64) -> Vec<Chapter> {
        let failed = now - FAILURE;
        let paid = failed - MONTH;
        let trial = paid - 14 * DAY;
        let upgrade = paid + 10 * DAY;
        let recovered = failed + 3 * DAY;
        vec![
            Chapter {
                title: "A trial begins",
                events: self.trial(trial),
            },
            Chapter {
                title: "The trial converts: the first payment",
                events: self.paid(paid),
            },
            Chapter {
                title: "An upgrade, from Individual to Team",
                events: self.upgrade(upgrade),
            },
            Chapter {
                title: "A payment fails",
                events: self.failed(failed),
            },
            Chapter {
                title: "The payment recovers",
                events: self.recovered(failed, recovered),
            },
            Chapter {
                title: "The customer leaves",
                events: self.canceled(now),
            },
        ]
    }

    fn trial(&mut self, at: i64) -> Vec<Value> {
        let customer = self.customer();
        self.subscription = json!({
            "id": self.id("sub"), "object": "subscription", "customer": customer, "status": "trialing",
            "currency": "usd", "created": at, "start_date": at, "trial_start": at,
            "trial_end": at + 14 * DAY, "cancel_at": null, "cancel_at_period_end": false,
            "canceled_at": null, "ended_at": null, "pause_collection": null, "discounts": [],
            "default_tax_rates": [], "collection_method": "charge_automatically",
            "items": self.individual(at, at + 14 * DAY),
        });
        let product = |id: &str, name: &str| json!({ "id": id, "object": "product", "name": name });
        let method = self.id("pm");
        let subscription = self.subscription.clone();
        vec![
            self.event(
                "product.created",
                at - DAY,
                product("prod_TTNH7uTYVlPbVV", "Individual"),
            ),
            self.event(
                "product.created",
                at - DAY,
                product("prod_TTNHfJE07G7dty", "Team"),
            ),
            self.event(
                "customer.created",
                at,
                json!({
                    "id": customer, "object": "customer", "created": at, "metadata": {},
                    "email": "user@example.com", "name": "Demo Customer",
                    "invoice_settings": { "default_payment_method": method },
                }),
            ),
            self.event(
                "payment_method.attached",
                at,
                json!({
                    "id": method, "object": "payment_method", "type": "card", "customer": customer,
                    "card": { "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2030 },
                }),
            ),
            self.event("customer.subscription.created", at, subscription),
        ]
    }

    fn paid(&mut self, at: i64) -> Vec<Value> {
        let items = self.individual(at, at + MONTH);
        vec![
            self.change(at, json!({ "status": "active", "items": items })),
            self.invoice(
                "invoice.paid",
                at,
                "first",
                json!({
                    "status": "paid", "amount_due": 2_900, "amount_paid": 2_900, "total": 2_900,
                    "status_transitions": { "paid_at": at },
                }),
            ),
        ]
    }

    fn upgrade(&mut self, at: i64) -> Vec<Value> {
        let items = self.team(at - 10 * DAY);
        vec![
            self.change(at, json!({ "items": items })),
            self.invoice("invoice.paid", at, "upgrade", json!({
                "status": "paid", "amount_due": 4_667, "amount_paid": 4_667, "total": 4_667,
                "billing_reason": "subscription_update", "status_transitions": { "paid_at": at },
            })),
        ]
    }

    fn failed(&mut self, at: i64) -> Vec<Value> {
        let items = self.team(at);
        let charge = json!({
            "id": self.id("ch"), "object": "charge", "customer": self.customer(), "created": at,
            "status": "failed", "amount": 9_900, "currency": "usd", "amount_refunded": 0,
            "failure_code": "card_declined", "payment_intent": self.id("pi"),
        });
        vec![
            self.event("charge.failed", at, charge),
            self.invoice(
                "invoice.payment_failed",
                at,
                "second",
                json!({
                    "status": "open", "amount_due": 9_900, "amount_paid": 0, "total": 9_900,
                    "next_payment_attempt": at + 3 * DAY,
                }),
            ),
            self.change(at + 1, json!({ "status": "past_due", "items": items })),
        ]
    }

    fn recovered(&mut self, created: i64, at: i64) -> Vec<Value> {
        vec![
            self.invoice(
                "invoice.paid",
                at,
                "second",
                json!({
                    "status": "paid", "amount_due": 9_900, "amount_paid": 9_900, "total": 9_900,
                    "attempt_count": 2, "created": created, "status_transitions": { "paid_at": at },
                }),
            ),
            self.change(at + 1, json!({ "status": "active" })),
        ]
    }

    fn canceled(&mut self, at: i64) -> Vec<Value> {
        if let Some(subscription) = self.subscription.as_object_mut() {
            subscription.insert("status".to_owned(), json!("canceled"));
            subscription.insert("ended_at".to_owned(), json!(at));
            subscription.insert("canceled_at".to_owned(), json!(at));
            subscription.insert(
                "cancellation_details".to_owned(),
                json!({ "reason": "cancellation_requested", "feedback": "too_expensive" }),
            );
        }
        let subscription = self.subscription.clone();
        vec![self.event("customer.subscription.deleted", at, subscription)]
    }
}

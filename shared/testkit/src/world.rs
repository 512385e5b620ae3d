//! A small Stripe: customers live through random billing histories, and every change is an event.
//!
//! Seeded, so that a failing history can be had again. Seconds often repeat, updates name what they
//! replaced, and the objects have the newest shape.

use serde_json::{Map, Value, json};

/// Prices of the example settings: individual, pro, team, enterprise.
const PRICES: [(&str, &str, i64); 4] = [
    (
        "price_1SWQXAChUUSEbzyhAykgEy5K",
        "prod_TTNH7uTYVlPbVV",
        2900,
    ),
    (
        "price_1ShMKtChUUSEbzyhitCMw6z3",
        "prod_Tefg4jmio5PjnR",
        5800,
    ),
    (
        "price_1SWQXKChUUSEbzyhLSObMBLT",
        "prod_TTNHfJE07G7dty",
        9900,
    ),
    (
        "price_1ShMKuChUUSEbzyhVxRH4mjK",
        "prod_Tefg0LHPUjS7xn",
        19900,
    ),
];
const MONTH: i64 = 30 * 86_400;

/// A Stripe of its own.
#[derive(Debug)]
pub struct World {
    random: fastrand::Rng,
    /// Names that keep the ids of this world apart from those of others.
    name: String,
    now: i64,
    count: u32,
    events: Vec<Value>,
}

/// A price as Stripe writes it.
#[must_use]
pub fn price(index: usize) -> Value {
    let [first, ..] = PRICES;
    let (id, product, amount) = PRICES.get(index % PRICES.len()).copied().unwrap_or(first);
    json!({
        "id": id, "object": "price", "active": true, "billing_scheme": "per_unit",
        "currency": "usd", "product": product, "type": "recurring",
        "recurring": { "interval": "month", "interval_count": 1, "usage_type": "licensed" },
        "unit_amount": amount, "unit_amount_decimal": amount.to_string(),
    })
}

impl World {
    /// A world that begins at an instant (Unix seconds).
    #[must_use]
    pub fn new(name: &str, seed: u64, start: i64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            name: name.to_owned(),
            now: start,
            count: 0,
            events: Vec::new(),
        }
    }

    /// Lets so many customers live through so many steps each, and gives every event in the order
    /// in which it happened.
    #[must_use]
    pub fn run(mut self, customers: u32, steps: u32) -> Vec<String> {
        for n in 0..customers {
            self.live(n, steps);
        }
        self.events.iter().map(Value::to_string).collect()
    }

    fn id(&mut self, prefix: &str) -> String {
        self.count += 1;
        format!("{prefix}_{}{:06}", self.name, self.count)
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.u32(0..100) < percent
    }

    /// Often nothing, sometimes seconds, now and then days.
    fn pass_time(&mut self) {
        self.now += match self.random.u32(0..10) {
            0..=5 => 0,
            6..=8 => self.random.i64(1..90),
            _ => self.random.i64(3_600..5 * 86_400),
        };
    }

    fn emit(&mut self, kind: &str, object: &Value, previous: Option<Value>) {
        let id = self.id("evt");
        let mut data = json!({ "object": object });
        if let (Some(previous), Some(data)) = (previous, data.as_object_mut()) {
            data.insert("previous_attributes".to_owned(), previous);
        }
        self.events.push(json!({
            "id": id, "object": "event", "api_version": "2026-10-28.endive", "created": self.now,
            "livemode": false, "pending_webhooks": 1, "type": kind, "data": data,
            "request": { "id": null, "idempotency_key": null },
        }));
    }

    /// Changes fields of an object and tells of it, with the values that were replaced.
    fn update(&mut self, kind: &str, object: &mut Value, fields: Value) {
        let mut previous = Map::new();
        if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), fields) {
            for (name, value) in fields {
                let before = object
                    .insert(name.clone(), value.clone())
                    .unwrap_or(Value::Null);
                if before != value {
                    previous.insert(name, before);
                }
            }
        }
        if !previous.is_empty() {
            self.emit(kind, &object.clone(), Some(Value::Object(previous)));
        }
    }

    fn live(&mut self, n: u32, steps: u32) {
        let id = self.id("cus");
        let metadata = if self.chance(30) {
            json!({ "customer_id": format!("{}-{}", self.name, n / 3) })
        } else {
            json!({})
        };
        let mut customer = json!({
            "id": id, "object": "customer", "created": self.now, "email": format!("{id}@example.com"),
            "name": format!("Customer {n}"), "metadata": metadata, "livemode": false,
            "invoice_settings": { "default_payment_method": null }, "discount": null,
        });
        self.emit("customer.created", &customer, None);
        let mut subscriptions: Vec<Value> = Vec::new();
        let mut invoices: Vec<Value> = Vec::new();
        for _ in 0..steps {
            self.pass_time();
            match self.random.u32(0..12) {
                0 => self.change_customer(&mut customer, n / 3),
                1 => self.payment_method(&mut customer),
                2 | 3 => {
                    let (subscription, invoice) = self.subscribe(&id);
                    subscriptions.push(subscription);
                    invoices.push(invoice);
                }
                4 => self.charge(&id),
                5 => self.checkout(&id),
                6 | 7 => {
                    let pick = self.random.usize(0..invoices.len().max(1));
                    if let Some(invoice) = invoices.get_mut(pick) {
                        self.collect(invoice);
                    }
                }
                _ => {
                    let pick = self.random.usize(0..subscriptions.len().max(1));
                    if let Some(subscription) = subscriptions.get_mut(pick) {
                        self.change(subscription);
                    }
                }
            }
        }
    }

    fn change_customer(&mut self, customer: &mut Value, group: u32) {
        let n = self.random.u32(0..5);
        let contact = format!("{}-{}", self.name, group + n % 2);
        let fields = match self.random.u32(0..3) {
            0 => json!({ "email": format!("new{n}@example.com") }),
            1 => json!({ "name": format!("Renamed {n}") }),
            _ => json!({ "metadata": { "customer_id": contact } }),
        };
        self.update("customer.updated", customer, fields);
    }

    fn payment_method(&mut self, customer: &mut Value) {
        let id = self.id("pm");
        let owner = customer.get("id").cloned();
        let mut method = json!({
            "id": id, "object": "payment_method", "type": "card", "customer": owner,
            "card": { "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2030 },
        });
        self.emit("payment_method.attached", &method, None);
        let settings = json!({ "invoice_settings": { "default_payment_method": id } });
        self.update("customer.updated", customer, settings);
        if self.chance(30) {
            self.pass_time();
            self.update(
                "payment_method.detached",
                &mut method,
                json!({ "customer": null }),
            );
        }
    }

    fn subscribe(&mut self, customer: &str) -> (Value, Value) {
        let (id, item) = (self.id("sub"), self.id("si"));
        let trial = self.chance(40).then_some(self.now + 14 * 86_400);
        let index = self.random.usize(0..4);
        let subscription = json!({
            "id": id, "object": "subscription", "customer": customer, "currency": "usd",
            "created": self.now, "start_date": self.now, "cancel_at": null,
            "cancel_at_period_end": false, "canceled_at": null, "ended_at": null,
            "collection_method": "charge_automatically", "discounts": [], "default_tax_rates": [],
            "status": if trial.is_some() { "trialing" } else { "incomplete" },
            "trial_start": trial.map(|_| self.now), "trial_end": trial, "pause_collection": null,
            "metadata": {}, "latest_invoice": null,
            "items": { "object": "list", "has_more": false, "data": [{
                "id": item, "object": "subscription_item", "price": price(index), "quantity": 1,
                "current_period_start": self.now, "current_period_end": self.now + MONTH,
                "discounts": [], "tax_rates": [],
            }] },
        });
        self.emit("customer.subscription.created", &subscription, None);
        let invoice = self.invoice(customer, &id);
        (subscription, invoice)
    }

    fn invoice(&mut self, customer: &str, subscription: &str) -> Value {
        let id = self.id("in");
        let amount = 2_900 * self.random.i64(1..4);
        let invoice = json!({
            "id": id, "object": "invoice", "customer": customer, "currency": "usd",
            "created": self.now, "status": "draft", "amount_due": amount, "amount_paid": 0,
            "total": amount, "attempt_count": 0, "collection_method": "charge_automatically",
            "next_payment_attempt": null, "billing_reason": "subscription_cycle",
            "status_transitions": { "paid_at": null }, "lines": { "data": [], "has_more": false },
            "parent": { "type": "subscription_details",
                        "subscription_details": { "subscription": subscription } },
        });
        self.emit("invoice.created", &invoice, None);
        invoice
    }

    /// The next thing that happens to an invoice.
    fn collect(&mut self, invoice: &mut Value) {
        let status = invoice
            .get("status")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let tried = invoice
            .get("attempt_count")
            .and_then(Value::as_i64)
            .unwrap_or(0);
        let due = invoice.get("amount_due").cloned().unwrap_or_default();
        let set = |invoice: &mut Value, fields: Value| {
            if let (Some(invoice), Value::Object(fields)) = (invoice.as_object_mut(), fields) {
                invoice.extend(fields);
            }
        };
        match (status.as_str(), self.random.u32(0..3)) {
            ("draft", _) => {
                set(invoice, json!({ "status": "open" }));
                self.emit("invoice.finalized", &invoice.clone(), None);
            }
            ("open", 0) => {
                let next = (tried < 3).then_some(self.now + 3 * 86_400);
                set(
                    invoice,
                    json!({ "attempt_count": tried + 1, "next_payment_attempt": next }),
                );
                self.emit("invoice.payment_failed", &invoice.clone(), None);
            }
            ("open", _) => {
                set(
                    invoice,
                    json!({
                        "status": "paid", "amount_paid": due, "attempt_count": tried + 1,
                        "next_payment_attempt": null, "status_transitions": { "paid_at": self.now },
                    }),
                );
                self.emit("invoice.paid", &invoice.clone(), None);
                self.emit("invoice.payment_succeeded", &invoice.clone(), None);
            }
            _ => {}
        }
    }

    fn change(&mut self, subscription: &mut Value) {
        let status = subscription
            .get("status")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let kind = "customer.subscription.updated";
        match (status.as_str(), self.random.u32(0..6)) {
            ("canceled" | "incomplete_expired", _) => {}
            ("incomplete", 0) => {
                let fields = json!({ "status": "incomplete_expired", "ended_at": self.now });
                self.update(kind, subscription, fields);
            }
            ("incomplete" | "past_due", _) => {
                self.update(kind, subscription, json!({ "status": "active" }));
            }
            ("trialing", 0) => self.emit(
                "customer.subscription.trial_will_end",
                &subscription.clone(),
                None,
            ),
            ("trialing", 1 | 2) => self.update(kind, subscription, json!({ "status": "active" })),
            (_, 0) => self.update(kind, subscription, json!({ "status": "past_due" })),
            (_, 1) => self.cancel(subscription),
            (_, 2) => {
                let scheduled = subscription.get("cancel_at_period_end") == Some(&json!(true));
                let fields = json!({ "cancel_at_period_end": !scheduled });
                self.update(kind, subscription, fields);
            }
            (_, 3) => {
                let paused = subscription
                    .get("pause_collection")
                    .is_some_and(|p| !p.is_null());
                let pause = if paused {
                    Value::Null
                } else {
                    json!({ "behavior": "void", "resumes_at": null })
                };
                self.update(kind, subscription, json!({ "pause_collection": pause }));
            }
            _ => {
                let mut items = subscription.get("items").cloned().unwrap_or_default();
                if let Some(item) = items.pointer_mut("/data/0").and_then(Value::as_object_mut) {
                    item.insert("price".to_owned(), price(self.random.usize(0..4)));
                    item.insert("quantity".to_owned(), json!(self.random.u32(1..5)));
                }
                self.update(kind, subscription, json!({ "items": items }));
            }
        }
    }

    fn cancel(&mut self, subscription: &mut Value) {
        if let Some(fields) = subscription.as_object_mut() {
            fields.insert("status".to_owned(), json!("canceled"));
            fields.insert("ended_at".to_owned(), json!(self.now));
            fields.insert("canceled_at".to_owned(), json!(self.now));
            fields.insert(
                "cancellation_details".to_owned(),
                json!({ "reason": "cancellation_requested" }),
            );
        }
        self.emit("customer.subscription.deleted", &subscription.clone(), None);
    }

    /// A charge, which may be given back or disputed.
    fn charge(&mut self, customer: &str) {
        let (id, intent) = (self.id("ch"), self.id("pi"));
        let failed = self.chance(25);
        let mut charge = json!({
            "id": id, "object": "charge", "customer": customer, "amount": 5_800, "currency": "usd",
            "amount_refunded": 0, "payment_intent": intent, "created": self.now,
            "status": if failed { "failed" } else { "succeeded" },
            "failure_code": failed.then_some("card_declined"),
        });
        self.emit(
            if failed {
                "charge.failed"
            } else {
                "charge.succeeded"
            },
            &charge,
            None,
        );
        if failed {
            return;
        }
        if self.chance(40) {
            self.pass_time();
            let refund = json!({
                "id": self.id("re"), "object": "refund", "charge": id, "payment_intent": intent,
                "amount": 1_000, "currency": "usd", "status": "succeeded",
            });
            self.update(
                "charge.refunded",
                &mut charge,
                json!({ "amount_refunded": 1_000 }),
            );
            self.emit("refund.created", &refund, None);
        }
        if self.chance(30) {
            let dispute = json!({
                "id": self.id("dp"), "object": "dispute", "charge": id, "payment_intent": intent,
                "amount": 5_800, "currency": "usd", "status": "needs_response",
                "reason": "fraudulent", "created": self.now,
            });
            self.emit("charge.dispute.created", &dispute, None);
        }
    }

    fn checkout(&mut self, customer: &str) {
        let reference = self.chance(30).then(|| format!("{customer}-buyer"));
        let session = json!({
            "id": self.id("cs"), "object": "checkout.session", "customer": customer,
            "mode": "payment", "status": "complete", "payment_status": "paid", "currency": "usd",
            "amount_total": 4_200, "client_reference_id": reference, "metadata": {},
            "created": self.now, "invoice": null, "subscription": null,
            "payment_intent": self.id("pi"),
        });
        self.emit("checkout.session.completed", &session, None);
    }
}

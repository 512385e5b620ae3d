//! Subscriptions: every way that one can go.

use serde_json::{Value, json};

use super::{DAY, Life, Shape, World, is_set, number, places, set, sold, text};

const UPDATED: &str = "customer.subscription.updated";

/// Whether a subscription never changes again.
pub(super) fn is_ended(subscription: &Value) -> bool {
    matches!(
        text(subscription, "status"),
        "canceled" | "incomplete_expired"
    )
}

impl World {
    /// Signs a customer up, mostly within one second: a card, a subscription, its first invoice
    /// paid, a checkout.
    pub(super) fn sign_up(&mut self, life: &mut Life) {
        if self.chance(40) {
            self.attach(life);
        }
        let through_checkout = self.chance(30);
        let place = self.subscribe(life);
        if self.chance(60) {
            self.collect(life);
        }
        if through_checkout {
            self.checkout_of(life, place);
        }
    }

    fn subscribe(&mut self, life: &mut Life) -> usize {
        let id = self.id("sub");
        let trial = self.chance(35).then_some(self.now + 14 * DAY);
        let interval = match self.random.u32(0..10) {
            0..=6 => "month",
            7 | 8 => "year",
            _ => "week",
        };
        let mut items = vec![self.item(&id, interval, life.currency)];
        if self.chance(20) {
            let other = self.other_interval(interval);
            items.push(self.item(&id, other, life.currency));
        }
        let sent = self.random_of_shape(Shape::SentInvoices, 0..5) == Some(0);
        let days = sent.then(|| self.random.choice([1, 7, 30]).unwrap_or(30));
        let status = match trial {
            Some(_) => "trialing",
            // Nobody waits for the first payment of an invoice that is sent.
            None if sent => "active",
            None => "incomplete",
        };
        let subscription = life.own(json!({
            "id": id, "object": "subscription", "currency": life.currency,
            "billing_cycle_anchor": self.now, "billing_schedules": [], "livemode": false,
            "created": self.now, "start_date": self.now, "cancel_at": null,
            "cancel_at_period_end": false, "canceled_at": null, "ended_at": null,
            "cancellation_details": { "comment": null, "feedback": null, "reason": null },
            "collection_method": if sent { "send_invoice" } else { "charge_automatically" },
            "days_until_due": days, "default_payment_method": null,
            "discounts": [], "default_tax_rates": [], "schedule": null, "status": status,
            "trial_start": trial.map(|_| self.now), "trial_end": trial, "pause_collection": null,
            "metadata": {}, "latest_invoice": null,
            "items": { "object": "list", "has_more": false, "data": items },
            "billing_mode": self.billing_mode(),
        }));
        self.tell("customer.subscription.created", &subscription);
        life.subscriptions.push(subscription);
        let place = life.subscriptions.len() - 1;
        if trial.is_none() {
            self.bill(life, place, "subscription_create");
        }
        place
    }

    /// Only flexible billing mode mixes intervals.
    /// (<https://docs.stripe.com/billing/subscriptions/mixed-interval>)
    fn other_interval<'a>(&mut self, interval: &'a str) -> &'a str {
        match self.random_of_shape(Shape::MixedIntervals, 0..4) {
            Some(0) if !self.old => "year",
            Some(1) if !self.old => "week",
            Some(2) if !self.old => "month",
            _ => interval,
        }
    }

    fn billing_mode(&self) -> Value {
        if self.has(Shape::MixedIntervals) {
            let flexible = json!({ "proration_discounts": "included" });
            json!({ "type": "flexible", "flexible": flexible, "updated_at": self.now })
        } else {
            json!({ "type": "classic", "flexible": null })
        }
    }

    /// One of the prices of an interval that can be paid in a currency.
    fn price(&mut self, index: usize, interval: &str, currency: &str) -> Value {
        if self.random_of_shape(Shape::CurrencyOptions, 0..4) == Some(0) {
            return sold::price_in_currencies(index, interval);
        }
        if self.random_of_shape(Shape::ChosenIds, 0..3) == Some(0) {
            return sold::chosen_price(index, interval, currency);
        }
        sold::price_per(index, interval, currency)
    }

    fn item(&mut self, subscription: &str, interval: &str, currency: &str) -> Value {
        let length = match interval {
            "year" => 365 * DAY,
            "week" => 7 * DAY,
            _ => 30 * DAY,
        };
        let index = self.random.usize(0..4);
        json!({
            "id": self.id("si"), "object": "subscription_item", "subscription": subscription,
            "price": self.price(index, interval, currency),
            "quantity": self.random.u32(1..4), "discounts": [], "tax_rates": [], "metadata": {},
            "current_period_start": self.now, "current_period_end": self.now + length,
            "current_trial": null,
        })
    }

    /// The next period of a running subscription begins, or it ends as it was set to.
    pub(super) fn renew(&mut self, life: &mut Life) {
        let running = places(&life.subscriptions, |s| {
            matches!(text(s, "status"), "active" | "past_due")
        });
        let Some(place) = self.pick(&running) else {
            return self.change_subscription(life);
        };
        let Some(subscription) = life.subscriptions.get_mut(place) else {
            return;
        };
        let ends = subscription["items"]["data"]
            .as_array()
            .into_iter()
            .flatten();
        let ends = ends.map(|item| number(item, "current_period_end"));
        let period_end = ends.min().unwrap_or_default();
        if !self.shapes.is_empty() {
            self.now = self.now.max(period_end);
        }
        self.now += self.random.i64(3_600..2 * DAY);
        if is_set(subscription, "cancel_at_period_end") || is_set(subscription, "cancel_at") {
            return self.cancel(subscription, "cancellation_requested");
        }
        let mut items = subscription["items"].clone();
        for item in items["data"].as_array_mut().into_iter().flatten() {
            let (start, end) = (
                number(item, "current_period_start"),
                number(item, "current_period_end"),
            );
            if end > period_end {
                continue;
            }
            set(
                item,
                json!({ "current_period_start": end, "current_period_end": end + end - start }),
            );
        }
        self.update(UPDATED, subscription, json!({ "items": items }));
        self.bill(life, place, "subscription_cycle");
    }

    pub(super) fn change_subscription(&mut self, life: &mut Life) {
        let open = places(&life.subscriptions, |s| !is_ended(s));
        let Some(place) = self.pick(&open) else {
            return self.sign_up(life);
        };
        let status = life
            .subscriptions
            .get(place)
            .map(|s| text(s, "status").to_owned());
        match status.as_deref().unwrap_or_default() {
            "incomplete" if self.chance(40) => self.expire(life, place),
            "incomplete" => self.collect(life),
            "trialing" => self.change_trial(life, place),
            "paused" => self.resume(life, place),
            _ => {
                if let Some(subscription) = life.subscriptions.get_mut(place) {
                    self.change_running(subscription);
                }
            }
        }
    }

    /// The first invoice was not paid in time.
    fn expire(&mut self, life: &mut Life, place: usize) {
        let Some(subscription) = life.subscriptions.get_mut(place) else {
            return;
        };
        let fields = json!({ "status": "incomplete_expired", "ended_at": self.now });
        self.update(UPDATED, subscription, fields);
        let id = text(subscription, "id").to_owned();
        self.void_of(life, &id);
    }

    fn change_trial(&mut self, life: &mut Life, place: usize) {
        let Some(subscription) = life.subscriptions.get_mut(place) else {
            return;
        };
        let will_end = "customer.subscription.trial_will_end";
        match self.random.u32(0..7) {
            0 => self.tell(will_end, subscription),
            1 => {
                let sooner = json!({ "trial_end": self.now + self.random.i64(1..3) * DAY });
                self.update(UPDATED, subscription, sooner);
                self.tell(will_end, subscription);
            }
            2 | 3 => {
                self.update(UPDATED, subscription, json!({ "status": "active" }));
                self.bill(life, place, "subscription_cycle");
            }
            // Ended without a card, one way or the other.
            4 => {
                self.update(UPDATED, subscription, json!({ "status": "paused" }));
                self.tell("customer.subscription.paused", subscription);
            }
            5 => self.cancel(subscription, "cancellation_requested"),
            _ => self.change_running(subscription),
        }
    }

    fn resume(&mut self, life: &mut Life, place: usize) {
        let Some(subscription) = life.subscriptions.get_mut(place) else {
            return;
        };
        if self.chance(20) {
            return self.cancel(subscription, "cancellation_requested");
        }
        self.update(UPDATED, subscription, json!({ "status": "active" }));
        self.tell("customer.subscription.resumed", subscription);
        self.bill(life, place, "subscription_cycle");
    }

    fn change_running(&mut self, subscription: &mut Value) {
        match self.random.u32(0..12) {
            0 => self.cancel(subscription, "cancellation_requested"),
            1 => self.schedule_end(subscription),
            2 => {
                let until = if is_set(subscription, "cancel_at") {
                    Value::Null
                } else {
                    json!(self.now + 40 * DAY)
                };
                self.update(UPDATED, subscription, json!({ "cancel_at": until }));
            }
            3 | 4 => {
                let pause = if is_set(subscription, "pause_collection") {
                    Value::Null
                } else {
                    json!({ "behavior": self.pause_behavior(), "resumes_at": null })
                };
                self.update(UPDATED, subscription, json!({ "pause_collection": pause }));
            }
            5 | 6 => self.change_coupon(subscription),
            7 => self.change_items(subscription),
            8 => self.flip(subscription),
            9 if self.chance(10) => self.change_often(subscription),
            10 => {
                let mut metadata = subscription["metadata"].clone();
                metadata["note"] = json!(self.random.u32(0..3));
                self.update(UPDATED, subscription, json!({ "metadata": metadata }));
            }
            _ => self.change_item(subscription),
        }
    }

    fn schedule_end(&mut self, subscription: &mut Value) {
        let scheduled = is_set(subscription, "cancel_at_period_end");
        let asked = if scheduled {
            Value::Null
        } else {
            json!(self.now)
        };
        let fields = json!({ "cancel_at_period_end": !scheduled, "canceled_at": asked });
        self.update(UPDATED, subscription, fields);
    }

    fn change_coupon(&mut self, subscription: &mut Value) {
        let discounts = if subscription["discounts"][0].is_object() {
            json!([])
        } else {
            let coupon = self.coupon();
            let mut discount = json!({
                "id": self.id("di"), "object": "discount", "customer": subscription["customer"],
                "subscription": subscription["id"], "start": self.now, "end": null,
                "source": { "type": "coupon", "coupon": coupon },
            });
            if is_set(subscription, "customer_account") {
                discount["customer_account"] = subscription["customer_account"].clone();
            }
            json!([discount])
        };
        self.update(UPDATED, subscription, json!({ "discounts": discounts }));
    }

    fn coupon(&mut self) -> Value {
        let percent = self.random.choice([10, 25, 33, 50, 100]).unwrap_or(10);
        if self.random_of_shape(Shape::CurrencyOptions, 0..3) == Some(0) {
            let amount = i64::from(percent) * 20;
            return sold::coupon(format!("AMOUNT{amount}"), None, Some(amount));
        }
        let id = if self.random_of_shape(Shape::ChosenIds, 0..2) == Some(0) {
            format!("{percent}% off / #1")
        } else {
            format!("OFF{percent}")
        };
        sold::coupon(id, Some(percent), None)
    }

    fn pause_behavior(&mut self) -> &'static str {
        match self.random_of_shape(Shape::WriteOffs, 0..3) {
            Some(0) => "mark_uncollectible",
            Some(1) => "keep_as_draft",
            _ => "void",
        }
    }

    /// An item comes, or one goes.
    fn change_items(&mut self, subscription: &mut Value) {
        let mut items = subscription["items"].clone();
        let first = items["data"][0].clone();
        if let Some(list) = items["data"].as_array_mut() {
            if list.len() > 1 {
                list.remove(self.random.usize(0..list.len()));
            } else {
                let interval = first["price"]["recurring"]["interval"]
                    .as_str()
                    .unwrap_or("month");
                let of = (text(subscription, "id"), text(subscription, "currency"));
                let mut item = self.item(of.0, interval, of.1);
                item["current_period_start"] = first["current_period_start"].clone();
                item["current_period_end"] = first["current_period_end"].clone();
                list.push(item);
            }
        }
        self.update(UPDATED, subscription, json!({ "items": items }));
    }

    /// Another quantity, another price, or the same price over another interval.
    fn change_item(&mut self, subscription: &mut Value) {
        let mut items = subscription["items"].clone();
        let (index, quantity) = (self.random.usize(0..4), self.random.u32(1..5));
        let by_quantity = self.chance(40);
        let currency = text(subscription, "currency").to_owned();
        let interval = self.random.choice(["month", "year", "week"]);
        let alone = items["data"]
            .as_array()
            .is_some_and(|items| items.len() == 1);
        if let Some(item) = items.pointer_mut("/data/0") {
            if by_quantity {
                item["quantity"] = json!(quantity);
            } else {
                let now = text(&item["price"]["recurring"], "interval").to_owned();
                // Its period stays, so that an item beside others keeps its interval.
                let interval = interval.filter(|_| alone).unwrap_or(&now);
                item["price"] = self.price(index, interval, &currency);
            }
        }
        self.update(UPDATED, subscription, json!({ "items": items }));
    }

    /// A→B→A within one second.
    fn flip(&mut self, subscription: &mut Value) {
        if self.chance(50) {
            self.schedule_end(subscription);
            self.schedule_end(subscription);
            return;
        }
        let was = subscription["items"].clone();
        self.change_item(subscription);
        self.update(UPDATED, subscription, json!({ "items": was }));
    }

    /// Many changes within one second.
    fn change_often(&mut self, subscription: &mut Value) {
        for _ in 0..self.random.u32(3..12) {
            self.change_item(subscription);
        }
    }

    pub(super) fn cancel(&mut self, subscription: &mut Value, reason: &str) {
        if is_ended(subscription) {
            return;
        }
        let details = json!({ "comment": null, "feedback": null, "reason": reason });
        let fields = json!({
            "status": "canceled", "ended_at": self.now, "canceled_at": self.now,
            "cancellation_details": details,
        });
        set(subscription, fields);
        self.tell("customer.subscription.deleted", subscription);
    }

    /// A subscription takes the status that its payments give it.
    pub(super) fn set_status(&mut self, life: &mut Life, id: &str, from: &[&str], to: &str) {
        let found = life
            .subscriptions
            .iter_mut()
            .find(|subscription| subscription["id"] == id);
        if let Some(subscription) = found.filter(|s| from.contains(&text(s, "status"))) {
            self.update(UPDATED, subscription, json!({ "status": to }));
        }
    }
}

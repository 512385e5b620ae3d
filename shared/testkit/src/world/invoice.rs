//! Invoices: drafts, attempts, payments, and what is given up.

use serde_json::{Value, json};

use super::subscription::is_ended;
use super::{DAY, Life, World, number, places, set, text};

/// After how many attempts Stripe gives up.
const MAX_ATTEMPTS: i64 = 4;

impl World {
    /// Bills a subscription for its period.
    pub(super) fn bill(&mut self, life: &mut Life, place: usize, reason: &str) {
        let Some(subscription) = life.subscriptions.get_mut(place) else {
            return;
        };
        let mut lines = Vec::new();
        for item in subscription["items"]["data"]
            .as_array()
            .into_iter()
            .flatten()
        {
            lines.push(json!({
                "id": self.id("il"), "object": "line_item", "quantity": item["quantity"],
                "amount": number(item, "quantity") * number(&item["price"], "unit_amount"),
                "pricing": { "type": "price_details", "price_details": {
                    "price": item["price"]["id"], "product": item["price"]["product"] } },
                "period": { "start": item["current_period_start"], "end": item["current_period_end"] },
            }));
        }
        let percent = subscription["discounts"][0]["source"]["coupon"]["percent_off"].as_i64();
        let parent = json!({
            "type": "subscription_details", "quote_details": null,
            "subscription_details": { "subscription": subscription["id"], "metadata": {} },
        });
        let currency = text(subscription, "currency").to_owned();
        let left = 100 - percent.unwrap_or(0);
        let invoice = self.invoice(life, &currency, (lines, left), parent, reason);
        if let Some(subscription) = life.subscriptions.get_mut(place) {
            let fields = json!({ "latest_invoice": invoice });
            self.update("customer.subscription.updated", subscription, fields);
        }
    }

    /// Makes an invoice, mostly finalized at once. Gives its id.
    pub(super) fn invoice(
        &mut self,
        life: &mut Life,
        currency: &str,
        (lines, percent): (Vec<Value>, i64),
        parent: Value,
        reason: &str,
    ) -> String {
        let id = self.id("in");
        let total: i64 = lines.iter().map(|line| number(line, "amount")).sum();
        let due = total * percent / 100;
        let invoice = json!({
            "id": id, "object": "invoice", "customer": life.id, "currency": currency,
            "created": self.now, "status": "draft", "amount_due": due, "amount_paid": 0,
            "total": due, "attempt_count": 0, "collection_method": "charge_automatically",
            "next_payment_attempt": null, "billing_reason": reason, "due_date": null,
            "status_transitions": { "finalized_at": null, "paid_at": null, "voided_at": null },
            "lines": { "object": "list", "data": lines, "has_more": false }, "parent": parent,
            "charge_of_invoice": null, "intent_of_invoice": null, "livemode": false,
        });
        self.tell("invoice.created", &invoice);
        life.invoices.push(invoice);
        if self.chance(70) {
            self.finalize(life, life.invoices.len() - 1);
        }
        id
    }

    fn finalize(&mut self, life: &mut Life, place: usize) {
        if let Some(invoice) = life.invoices.get_mut(place) {
            set(invoice, json!({ "status": "open" }));
            invoice["status_transitions"]["finalized_at"] = json!(self.now);
            self.tell("invoice.finalized", invoice);
        }
    }

    /// The next thing that happens to an invoice that is not settled.
    pub(super) fn collect(&mut self, life: &mut Life) {
        let waiting = places(&life.invoices, |invoice| {
            matches!(text(invoice, "status"), "draft" | "open" | "uncollectible")
        });
        let Some(place) = self.pick(&waiting) else {
            return;
        };
        let status = life
            .invoices
            .get(place)
            .map(|invoice| text(invoice, "status"));
        match (status, self.random.u32(0..10)) {
            (Some("draft"), _) => self.finalize(life, place),
            (Some("uncollectible"), 0..=5) => {}
            (_, 0..=5) => self.pay(life, place),
            (_, 6) => self.void(life, place),
            _ => self.fail(life, place),
        }
    }

    /// An invoice is paid.
    pub(super) fn pay(&mut self, life: &mut Life, place: usize) {
        let Some(invoice) = life.invoices.get(place) else {
            return;
        };
        let (charge, intent) = self.charge_for(life, &invoice.clone(), None);
        let Some(invoice) = life.invoices.get_mut(place) else {
            return;
        };
        let mut moves = invoice["status_transitions"].clone();
        moves["paid_at"] = json!(self.now);
        let fields = json!({
            "status": "paid", "amount_paid": invoice["amount_due"],
            "attempt_count": number(invoice, "attempt_count") + 1, "next_payment_attempt": null,
            "status_transitions": moves, "charge_of_invoice": charge, "intent_of_invoice": intent,
        });
        self.update("invoice.updated", invoice, fields);
        self.tell("invoice.paid", invoice);
        self.tell("invoice.payment_succeeded", invoice);
        let subscription = subscription_of(invoice);
        let waiting = ["incomplete", "past_due", "unpaid"];
        self.set_status(life, &subscription, &waiting, "active");
    }

    /// An attempt to collect fails; the last one has consequences.
    fn fail(&mut self, life: &mut Life, place: usize) {
        let Some(invoice) = life.invoices.get(place) else {
            return;
        };
        let _ = self.charge_for(life, &invoice.clone(), Some("card_declined"));
        let Some(invoice) = life.invoices.get_mut(place) else {
            return;
        };
        let tried = number(invoice, "attempt_count") + 1;
        let next = (tried < MAX_ATTEMPTS).then_some(self.now + 3 * DAY);
        let fields = json!({ "attempt_count": tried, "next_payment_attempt": next });
        self.update("invoice.updated", invoice, fields);
        self.tell("invoice.payment_failed", invoice);
        let subscription = subscription_of(invoice);
        self.set_status(life, &subscription, &["active"], "past_due");
        if next.is_none() {
            self.give_up(life, place, &subscription);
        }
    }

    /// What the account's settings say of exhausted retries.
    fn give_up(&mut self, life: &mut Life, place: usize, subscription: &str) {
        match self.random.u32(0..3) {
            0 => self.set_status(life, subscription, &["past_due"], "unpaid"),
            1 => {
                let of = life.subscriptions.iter_mut();
                for subscription in of.filter(|s| s["id"] == subscription && !is_ended(s)) {
                    self.cancel(subscription, "payment_failed");
                }
            }
            _ => {}
        }
        if self.chance(30)
            && let Some(invoice) = life.invoices.get_mut(place)
        {
            set(invoice, json!({ "status": "uncollectible" }));
            self.tell("invoice.marked_uncollectible", invoice);
        }
    }

    fn void(&mut self, life: &mut Life, place: usize) {
        if let Some(invoice) = life.invoices.get_mut(place) {
            set(
                invoice,
                json!({ "status": "void", "next_payment_attempt": null }),
            );
            invoice["status_transitions"]["voided_at"] = json!(self.now);
            self.tell("invoice.voided", invoice);
        }
    }

    /// Takes back what is open of a subscription.
    pub(super) fn void_of(&mut self, life: &mut Life, subscription: &str) {
        let open = places(&life.invoices, |invoice| {
            subscription_of(invoice) == subscription && text(invoice, "status") == "open"
        });
        for place in open {
            self.void(life, place);
        }
    }
}

fn subscription_of(invoice: &Value) -> String {
    text(&invoice["parent"]["subscription_details"], "subscription").to_owned()
}

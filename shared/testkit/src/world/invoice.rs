//! Invoices: drafts, attempts, payments, and what is given up.

use serde_json::{Value, json};

use super::payment::{Bill, Outcome};
use super::purchase::is_lifetime;
use super::subscription::is_ended;
use super::{DAY, Life, Shape, World, is_set, number, places, set, text};

/// After how many attempts Stripe gives up.
const MAX_ATTEMPTS: i64 = 4;

/// What an invoice is made of.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub currency: &'a str,
    pub lines: Vec<Value>,
    /// Minor units that discounts take off.
    pub discount: i64,
    pub parent: Value,
    pub reason: &'a str,
    /// What the subscription's `pause_collection` does to it.
    pub paused: Option<String>,
    /// How many days it may be paid in, if it is sent.
    pub days_until_due: Option<i64>,
}

impl World {
    /// Bills the items of a subscription that begin a period.
    pub(super) fn bill(&mut self, life: &mut Life, place: usize, reason: &str) {
        let subscription = life.subscriptions[place].clone();
        let items = subscription["items"]["data"].as_array();
        let items: Vec<&Value> = items.into_iter().flatten().collect();
        let newest = items
            .iter()
            .map(|item| number(item, "current_period_start"));
        let newest = newest.max().unwrap_or_default();
        let currency = text(&subscription, "currency");
        let mut lines = Vec::new();
        for item in items {
            if number(item, "current_period_start") != newest {
                continue;
            }
            let each = super::sold::amount_in(&item["price"], currency);
            lines.push(json!({
                "id": self.id("il"), "object": "line_item", "quantity": item["quantity"],
                "amount": number(item, "quantity") * each, "currency": currency,
                "pricing": { "type": "price_details", "price_details": {
                    "price": item["price"]["id"], "product": item["price"]["product"] } },
                "period": { "start": item["current_period_start"], "end": item["current_period_end"] },
            }));
        }
        let total: i64 = lines.iter().map(|line| number(line, "amount")).sum();
        let draft = Draft {
            currency,
            discount: super::sold::discount_on(&subscription, total),
            lines,
            parent: json!({
                "type": "subscription_details", "quote_details": null,
                "subscription_details": { "subscription": subscription["id"], "metadata": {} },
            }),
            reason,
            paused: subscription["pause_collection"]["behavior"]
                .as_str()
                .map(str::to_owned),
            days_until_due: subscription["days_until_due"].as_i64(),
        };
        let invoice = self.invoice(life, draft);
        let fields = json!({ "latest_invoice": invoice });
        let subscription = &mut life.subscriptions[place];
        self.update("customer.subscription.updated", subscription, fields);
    }

    /// Makes an invoice, mostly finalized at once. Gives its id.
    pub(super) fn invoice(&mut self, life: &mut Life, draft: Draft<'_>) -> String {
        let id = self.id("in");
        let total: i64 = draft.lines.iter().map(|line| number(line, "amount")).sum();
        let total = (total - draft.discount).max(0);
        let credit = self.credit(total);
        let due = total - credit;
        let sent = draft.days_until_due;
        let invoice = life.own(json!({
            "id": id, "object": "invoice", "currency": draft.currency, "created": self.now,
            "status": "draft", "amount_due": due, "amount_overpaid": 0, "amount_paid": 0,
            "amount_remaining": due, "total": total, "starting_balance": -credit,
            "ending_balance": null, "attempt_count": 0, "attempted": false, "auto_advance": true,
            "collection_method": if sent.is_some() { "send_invoice" } else { "charge_automatically" },
            "next_payment_attempt": null, "billing_reason": draft.reason,
            "due_date": sent.map(|days| self.now + days * DAY),
            "status_transitions": { "finalized_at": null, "marked_uncollectible_at": null,
                "paid_at": null, "voided_at": null },
            "lines": { "object": "list", "data": draft.lines, "has_more": false },
            "parent": draft.parent, "metadata": {}, "livemode": false,
            "_charge": null, "_intent": null, "_failed_at": [],
        }));
        self.tell("invoice.created", &invoice);
        life.invoices.push(invoice);
        let place = life.invoices.len() - 1;
        match draft
            .paused
            .as_deref()
            .filter(|_| self.has(Shape::WriteOffs))
        {
            Some("void") => self.void(life, place),
            Some("mark_uncollectible") => self.write_off(life, place),
            Some(_) => life.invoices[place]["auto_advance"] = json!(false),
            None if self.chance(70) => self.finalize(life, place),
            None => {}
        }
        id
    }

    /// How much of an invoice the customer's credit balance pays.
    fn credit(&mut self, total: i64) -> i64 {
        match self.random_of_shape(Shape::CreditBalance, 0..10) {
            Some(0) => total,
            Some(1 | 2) => total / 3,
            _ => 0,
        }
    }

    pub(super) fn finalize(&mut self, life: &mut Life, place: usize) {
        let invoice = &mut life.invoices[place];
        let fields = json!({ "status": "open", "auto_advance": true, "ending_balance": 0 });
        set(invoice, fields);
        invoice["status_transitions"]["finalized_at"] = json!(self.now);
        self.tell("invoice.finalized", invoice);
        if text(invoice, "collection_method") == "send_invoice" {
            self.tell("invoice.sent", invoice);
        }
        if number(invoice, "amount_due") == 0 {
            return self.is_paid(life, place, false);
        }
        if self.has(Shape::Retries) {
            let (id, amount) = (invoice["id"].clone(), number(invoice, "amount_due"));
            let currency = text(invoice, "currency").to_owned();
            let intent = self.intend(life, (amount, &currency), id, "automatic");
            life.invoices[place]["_intent"] = json!(intent);
            self.attach_payment(life, place, (&intent, amount), true);
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
        let invoice = &life.invoices[place];
        match (text(invoice, "status"), self.random.u32(0..10)) {
            ("draft", _) => self.finalize(life, place),
            ("uncollectible", 0..=1) => self.void(life, place),
            ("uncollectible", 2..=4) if self.has(Shape::WriteOffs) => self.pay(life, place),
            ("uncollectible", _) => {}
            _ if is_set(invoice, "_pending") => self.settle_debit(life, place),
            _ if text(invoice, "collection_method") == "send_invoice" => {
                self.collect_sent(life, place);
            }
            (_, 0..=5) => self.pay_somehow(life, place),
            (_, 6) => self.void(life, place),
            _ if life.means() != "card" => self.debit(life, place),
            _ => self.fail(life, place),
        }
    }

    /// An invoice that was sent is paid, or its due date passes.
    fn collect_sent(&mut self, life: &mut Life, place: usize) {
        let invoice = &life.invoices[place];
        let due = number(invoice, "due_date");
        let subscription = subscription_of(invoice);
        if self.chance(50) {
            self.pay_somehow(life, place);
        } else if !is_set(invoice, "_overdue") {
            // Stripe tells some seconds later.
            self.now = self.now.max(due + self.random.i64(0..60));
            life.invoices[place]["_overdue"] = json!(true);
            self.tell("invoice.overdue", &life.invoices[place]);
            self.set_status(life, &subscription, &["active"], "past_due");
        } else if self.chance(30) {
            self.give_up(life, place, &subscription);
        }
    }

    /// An invoice is paid: at once, later, in parts or elsewhere.
    pub(super) fn pay_somehow(&mut self, life: &mut Life, place: usize) {
        if let Some(0) = self.random_of_shape(Shape::OutOfBand, 0..6) {
            return self.pay_elsewhere(life, place);
        }
        // What is kept for good is paid at once.
        let whole = self.old || is_lifetime(&life.invoices[place]);
        if !whole && self.random_of_shape(Shape::PartialPayments, 0..5) == Some(0) {
            return self.pay_part(life, place);
        }
        if life.means() != "card" && number(&life.invoices[place], "amount_remaining") > 0 {
            return self.debit(life, place);
        }
        self.pay(life, place);
    }

    /// An invoice is paid.
    pub(super) fn pay(&mut self, life: &mut Life, place: usize) {
        let charge = self.charge_for(life, place, Outcome::Paid);
        life.invoices[place]["_charge"] = json!(charge);
        self.is_paid(life, place, true);
    }

    /// An invoice was paid outside of Stripe. `amount_paid` counts that since 2025-03-31.
    /// (<https://docs.stripe.com/changelog/basil/2025-03-31/add-support-for-multiple-partial-payments-on-invoices>)
    fn pay_elsewhere(&mut self, life: &mut Life, place: usize) {
        let amount = self.record_payment(life, place);
        let fields = json!({ "_out_of_band": true, "_paid_off_stripe": amount });
        set(&mut life.invoices[place], fields);
        let intent = life.invoices[place]["_intent"].clone();
        self.cancel_intent(life, &intent, "void_invoice");
        self.is_paid(life, place, false);
    }

    /// A part of an invoice is paid by a PaymentIntent of its own; the invoice stays open.
    /// (<https://docs.stripe.com/invoicing/partial-payments>)
    fn pay_part(&mut self, life: &mut Life, place: usize) {
        let invoice = life.invoices[place].clone();
        let part = number(&invoice, "amount_remaining") / 2;
        let currency = text(&invoice, "currency");
        if part == 0 {
            return self.pay(life, place);
        }
        let intent = self.intend(life, (part, currency), invoice["id"].clone(), "automatic");
        self.attach_payment(life, place, (&intent, part), false);
        let bill = Bill {
            amount: part,
            currency,
            invoice: invoice["id"].clone(),
            intent: &intent,
        };
        self.charge(life, &bill, Outcome::Paid);
        self.payment_is_paid(life, &intent);
        let fields = json!({
            "amount_paid": number(&invoice, "amount_paid") + part,
            "amount_remaining": number(&invoice, "amount_remaining") - part,
        });
        self.update("invoice.updated", &mut life.invoices[place], fields);
        let (default, left) = (
            &invoice["_intent"],
            number(&life.invoices[place], "amount_remaining"),
        );
        // Stripe keeps the default payment at what is left.
        let known = life
            .intents
            .iter_mut()
            .find(|intent| intent["id"] == *default);
        if let Some(intent) = known.filter(|_| self.has(Shape::Retries)) {
            intent["amount"] = json!(left);
        }
    }

    /// All of an invoice has been paid, by an attempt that Stripe counts or without one.
    pub(super) fn is_paid(&mut self, life: &mut Life, place: usize, tried: bool) {
        let invoice = &mut life.invoices[place];
        let mut moves = invoice["status_transitions"].clone();
        moves["paid_at"] = json!(self.now);
        let fields = json!({
            "status": "paid", "amount_paid": invoice["amount_due"], "amount_remaining": 0,
            "attempt_count": number(invoice, "attempt_count") + i64::from(tried),
            "attempted": true, "next_payment_attempt": null, "status_transitions": moves,
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
        let _ = self.charge_for(life, place, Outcome::Declined);
        let tried = number(&life.invoices[place], "attempt_count") + 1;
        // Stripe does not retry the first invoice of a subscription by itself.
        // (https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses)
        let first = text(&life.invoices[place], "billing_reason") == "subscription_create";
        let next = (tried < MAX_ATTEMPTS && !first).then_some(self.now + 3 * DAY);
        self.has_failed(life, place, tried, next);
    }

    /// An attempt to collect has failed.
    pub(super) fn has_failed(
        &mut self,
        life: &mut Life,
        place: usize,
        tried: i64,
        next: Option<i64>,
    ) {
        let invoice = &mut life.invoices[place];
        if let Some(failed) = invoice["_failed_at"].as_array_mut() {
            failed.push(json!(self.now));
        }
        let fields =
            json!({ "attempt_count": tried, "attempted": true, "next_payment_attempt": next });
        self.update("invoice.updated", invoice, fields);
        self.tell("invoice.payment_failed", invoice);
        if text(invoice, "collection_method") == "send_invoice" {
            // The customer may pay until the due date, and nothing happens before it.
            return;
        }
        let first = text(invoice, "billing_reason") == "subscription_create";
        let subscription = subscription_of(invoice);
        self.set_status(life, &subscription, &["active"], "past_due");
        if next.is_none() && !first {
            self.give_up(life, place, &subscription);
        }
    }

    /// What the account's settings say of exhausted retries.
    pub(super) fn give_up(&mut self, life: &mut Life, place: usize, subscription: &str) {
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
        if self.chance(30) {
            self.write_off(life, place);
        }
    }

    /// An invoice is written off. It can still be paid.
    fn write_off(&mut self, life: &mut Life, place: usize) {
        let invoice = &mut life.invoices[place];
        let fields = json!({
            "status": "uncollectible", "next_payment_attempt": null, "auto_advance": false,
        });
        set(invoice, fields);
        invoice["status_transitions"]["marked_uncollectible_at"] = json!(self.now);
        self.tell("invoice.marked_uncollectible", invoice);
    }

    fn void(&mut self, life: &mut Life, place: usize) {
        let invoice = &mut life.invoices[place];
        let fields =
            json!({ "status": "void", "next_payment_attempt": null, "auto_advance": false });
        set(invoice, fields);
        invoice["status_transitions"]["voided_at"] = json!(self.now);
        self.tell("invoice.voided", invoice);
        let intent = invoice["_intent"].clone();
        self.cancel_intent(life, &intent, "void_invoice");
    }

    /// Takes back what is open of a subscription.
    pub(super) fn void_of(&mut self, life: &mut Life, subscription: &str) {
        let open = places(&life.invoices, |invoice| {
            subscription_of(invoice) == subscription
                && text(invoice, "status") == "open"
                && !is_set(invoice, "_pending")
        });
        for place in open {
            self.void(life, place);
        }
    }
}

/// The subscription that an invoice is for, or nothing.
pub(super) fn subscription_of(invoice: &Value) -> String {
    text(&invoice["parent"]["subscription_details"], "subscription").to_owned()
}

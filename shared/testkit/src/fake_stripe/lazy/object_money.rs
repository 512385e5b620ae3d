//! Computes what was billed: invoices, charges, refunds, disputes, checkout sessions.

use serde_json::{Value, json};

use super::{LazyWorld, Place};

const MONTH: i64 = 30 * 86_400;
const THREE_DAYS: i64 = 3 * 86_400;

/// The object at a place.
pub(super) fn compute(world: &LazyWorld, object: &str, place: Place) -> Value {
    match object {
        "invoice" => world.invoice(place),
        "payment_intent" => world.payment_intent(place),
        "invoice_payment" => world.invoice_payment(place),
        "charge" => world.charge(place),
        "refund" => world.refund(place),
        "dispute" => world.dispute(place),
        "checkout.session" => world.session(place),
        _ => Value::Null,
    }
}

/// The charge of an attempt at an invoice.
fn charged(invoice: Place, attempt: u64) -> Place {
    Place {
        of: invoice.of,
        at: invoice.at * 2 + attempt,
    }
}

impl LazyWorld {
    fn invoice_status(&self, place: Place) -> &'static str {
        self.status("invoice", self.fate(place.of), place.at)
    }

    fn first(place: Place) -> Place {
        Place {
            of: place.of,
            at: 0,
        }
    }

    /// The subscription that an invoice is for: each in its turn.
    fn billed(&self, invoice: Place) -> Place {
        let at = invoice.at.checked_rem(self.size.subscriptions_each);
        Place {
            of: invoice.of,
            at: at.unwrap_or_default(),
        }
    }

    fn amount_due(&self, invoice: Place) -> u64 {
        if self.status("subscription", self.fate(invoice.of), 0) == "trialing" {
            return 0;
        }
        let lines = self.lines(invoice.of).into_iter();
        let total: u64 = lines.map(|(.., amount)| amount).sum();
        let discounts = self.discounts(self.billed(invoice));
        match discounts.as_array().is_some_and(|list| !list.is_empty()) {
            true => total * 75 / 100,
            false => total,
        }
    }

    fn invoice_lines(&self, place: Place) -> Vec<Value> {
        let created = self.created("invoice", place);
        let id = self.id("il", "invoice", place);
        let line = |(number, (price, quantity, amount)): (usize, (Value, u64, u64))| {
            let of = |field| price.get(field).cloned().unwrap_or_default();
            json!({
                "id": format!("{id}{number:02}"), "object": "line_item", "quantity": quantity,
                "amount": amount, "currency": "usd", "livemode": false, "metadata": {},
                "pricing": { "type": "price_details",
                    "price_details": { "price": of("id"), "product": of("product") } },
                "period": { "start": created, "end": created + MONTH },
            })
        };
        let lines = self.lines(place.of).into_iter();
        lines.enumerate().map(line).collect()
    }

    fn invoice(&self, place: Place) -> Value {
        let created = self.created("invoice", place);
        let status = self.invoice_status(place);
        let due = self.amount_due(place);
        let is_paid = status == "paid";
        let attempts = self.attempts(self.fate(place.of), place.at);
        let retried = status == "open" && !self.is_pending(self.fate(place.of), place.at);
        let paid_at = created + if attempts == 2 { THREE_DAYS } else { 5 };
        let finalized = (status != "draft").then_some(created);
        let subscription = self.billed(place);
        json!({
            "id": self.id("in", "invoice", place), "object": "invoice", "status": status,
            "customer": self.id("cus", "customer", Self::first(place)), "currency": "usd",
            "created": created, "amount_due": due, "total": due, "subtotal": due,
            "amount_paid": if is_paid { due } else { 0 },
            "amount_remaining": if is_paid { 0 } else { due },
            "attempt_count": attempts, "attempted": attempts > 0, "due_date": null,
            "collection_method": "charge_automatically", "discounts": self.discounts(subscription),
            "next_payment_attempt": retried.then_some(created + MONTH + THREE_DAYS),
            "billing_reason": if place.at == 0 { "subscription_create" } else { "subscription_cycle" },
            "status_transitions": { "finalized_at": finalized,
                "paid_at": is_paid.then_some(paid_at),
                "voided_at": (status == "void").then_some(created + THREE_DAYS) },
            "parent": { "type": "subscription_details", "quote_details": null,
                "subscription_details": { "metadata": {},
                    "subscription": self.id("sub", "subscription", subscription) } },
            "lines": { "object": "list", "has_more": false, "data": self.invoice_lines(place) },
            "livemode": false, "metadata": {},
        })
    }

    /// The PaymentIntent of an invoice.
    fn payment_intent(&self, invoice: Place) -> Value {
        let (status, amount) = (self.invoice_status(invoice), self.amount_due(invoice));
        let pending = self.is_pending(self.fate(invoice.of), invoice.at);
        let latest = self
            .attempts(self.fate(invoice.of), invoice.at)
            .checked_sub(1);
        let latest = latest.map(|attempt| self.id("ch", "charge", charged(invoice, attempt)));
        json!({
            "id": self.id("pi", "payment_intent", invoice), "object": "payment_intent",
            "amount": amount, "amount_capturable": 0, "currency": "usd",
            "amount_received": if status == "paid" { amount } else { 0 },
            "capture_method": "automatic", "confirmation_method": "automatic",
            "created": self.created("payment_intent", invoice), "customer_account": null,
            "customer": self.id("cus", "customer", Self::first(invoice)),
            "latest_charge": latest, "livemode": false, "metadata": {}, "payment_method": null,
            "payment_method_types": ["card"], "status": match status {
                "paid" => "succeeded",
                _ if pending => "processing",
                _ => "requires_payment_method",
            },
        })
    }

    fn invoice_payment(&self, invoice: Place) -> Value {
        let (paid, amount) = (
            self.invoice_status(invoice) == "paid",
            self.amount_due(invoice),
        );
        let created = self.created("invoice_payment", invoice);
        json!({
            "id": self.id("inpay", "invoice_payment", invoice), "object": "invoice_payment",
            "amount_paid": paid.then_some(amount), "amount_requested": amount,
            "created": created, "currency": "usd", "is_default": true, "livemode": false,
            "invoice": self.id("in", "invoice", invoice),
            "payment": { "type": "payment_intent",
                "payment_intent": self.id("pi", "payment_intent", invoice) },
            "status": if paid { "paid" } else { "open" },
            "status_transitions": { "canceled_at": null, "paid_at": paid.then_some(created + 5) },
        })
    }

    /// The charge of one attempt: of those at a paid invoice the last one succeeded.
    fn charge(&self, place: Place) -> Value {
        let invoice = Place {
            of: place.of,
            at: place.at / 2,
        };
        let fate = self.fate(place.of);
        let amount = self.amount_due(invoice);
        let last = place.at % 2 + 1 == self.attempts(fate, invoice.at);
        let pending = last && self.is_pending(fate, invoice.at);
        let paid = last && self.invoice_status(invoice) == "paid";
        let failed = !paid && !pending;
        let is_refunded = place.at == 0 && self.is_there("refund", Self::first(place));
        let refunded = if is_refunded { amount } else { 0 };
        json!({
            "id": self.id("ch", "charge", place), "object": "charge", "amount": amount,
            "amount_captured": if failed { 0 } else { amount }, "captured": !failed,
            "customer": self.id("cus", "customer", Self::first(place)), "currency": "usd",
            "payment_intent": self.id("pi", "payment_intent", invoice),
            "amount_refunded": refunded, "refunded": is_refunded,
            "created": self.created("charge", place), "paid": paid,
            "status": match (failed, pending) {
                (true, _) => "failed",
                (_, true) => "pending",
                _ => "succeeded",
            },
            "failure_code": failed.then_some("card_declined"), "livemode": false, "metadata": {},
            "payment_method": self.id("pm", "payment_method", Self::first(place)),
            "disputed": place.at == 0 && self.is_there("dispute", Self::first(place)),
        })
    }

    fn refund(&self, place: Place) -> Value {
        json!({
            "id": self.id("re", "refund", place), "object": "refund", "status": "succeeded",
            "charge": self.id("ch", "charge", place), "amount": self.amount_due(place),
            "payment_intent": self.id("pi", "payment_intent", place), "currency": "usd",
            "created": self.created("refund", place), "reason": null, "metadata": {},
        })
    }

    fn dispute(&self, place: Place) -> Value {
        let status = match self.chance(place.of, 12, 4) {
            0 => "needs_response",
            1 => "warning_closed",
            2 => "won",
            _ => "lost",
        };
        json!({
            "id": self.id("dp", "dispute", place), "object": "dispute", "status": status,
            "charge": self.id("ch", "charge", place), "amount": self.amount_due(place),
            "payment_intent": self.id("pi", "payment_intent", place), "currency": "usd",
            "created": self.created("dispute", place), "reason": "fraudulent",
            "livemode": false, "metadata": {},
        })
    }

    fn session(&self, place: Place) -> Value {
        let invoice = (self.size.invoices_each > 0).then(|| self.id("in", "invoice", place));
        json!({
            "id": self.id("cs_test", "checkout.session", place), "object": "checkout.session",
            "customer": self.id("cus", "customer", place), "mode": "subscription",
            "status": "complete", "payment_status": "paid", "currency": "usd",
            "amount_total": self.amount_due(place), "client_reference_id": null,
            "created": self.created("checkout.session", place), "invoice": invoice,
            "subscription": self.id("sub", "subscription", place), "payment_intent": null,
            "livemode": false, "metadata": {},
        })
    }
}

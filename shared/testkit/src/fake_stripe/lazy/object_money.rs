//! Computes what was billed: invoices, charges, refunds, disputes, checkout sessions.

use serde_json::{Value, json};

use super::{LazyWorld, Place};

const MONTH: i64 = 30 * 86_400;
const THREE_DAYS: i64 = 3 * 86_400;

/// The object at a place.
pub(super) fn compute(world: &LazyWorld, object: &str, place: Place) -> Value {
    match object {
        "invoice" => world.invoice(place),
        "charge" => world.charge(place),
        "refund" => world.refund(place),
        "dispute" => world.dispute(place),
        "checkout.session" => world.session(place),
        _ => Value::Null,
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
        // Some are paid at the second attempt.
        let attempts = match (status, self.chance(place.of, 20 + place.at, 6)) {
            ("draft" | "void", _) => 0,
            ("open", _) => 2,
            ("uncollectible", _) => 4,
            (_, 0) => 2,
            _ => 1,
        };
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
            "next_payment_attempt": (status == "open").then_some(created + 2 * THREE_DAYS),
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

    fn charge(&self, place: Place) -> Value {
        let (paid, amount) = (self.invoice_status(place) == "paid", self.amount_due(place));
        let is_refunded = place.at == 0 && self.is_there("refund", Self::first(place));
        let refunded = if is_refunded { amount } else { 0 };
        json!({
            "id": self.id("ch", "charge", place), "object": "charge", "amount": amount,
            "customer": self.id("cus", "customer", Self::first(place)), "currency": "usd",
            "payment_intent": self.id("pi", "charge", place), "amount_refunded": refunded,
            "refunded": is_refunded, "created": self.created("charge", place), "paid": paid,
            "status": if paid { "succeeded" } else { "failed" },
            "failure_code": (!paid).then_some("card_declined"), "livemode": false, "metadata": {},
            "payment_method": self.id("pm", "payment_method", Self::first(place)),
            "disputed": place.at == 0 && self.is_there("dispute", Self::first(place)),
        })
    }

    fn refund(&self, place: Place) -> Value {
        json!({
            "id": self.id("re", "refund", place), "object": "refund", "status": "succeeded",
            "charge": self.id("ch", "charge", place), "amount": self.amount_due(place),
            "payment_intent": self.id("pi", "charge", place), "currency": "usd",
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
            "payment_intent": self.id("pi", "charge", place), "currency": "usd",
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

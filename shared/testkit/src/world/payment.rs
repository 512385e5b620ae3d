//! Payments: PaymentIntents, the charges that they make, and how invoices are paid by them.

use serde_json::{Value, json};

use super::{Life, Shape, World, number, set, text};

/// How an attempt to collect goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The money is there.
    Paid,
    /// The card was declined.
    Declined,
    /// A bank was asked, and answers in days.
    Pending,
    /// The money is held, and has to be captured.
    Held,
}

/// What a charge is for.
#[derive(Debug)]
pub(super) struct Bill<'a> {
    /// Minor units.
    pub amount: i64,
    pub currency: &'a str,
    /// The invoice, or null.
    pub invoice: Value,
    /// The PaymentIntent.
    pub intent: &'a str,
}

/// Why cards are declined: `failure_code`, `outcome.reason` and `outcome.advice_code`.
/// (<https://docs.stripe.com/declines/codes>, PyPI `stripe` 16.1, `Charge.Outcome`)
const DECLINES: [(&str, &str, &str); 5] = [
    ("card_declined", "generic_decline", "try_again_later"),
    ("card_declined", "insufficient_funds", "try_again_later"),
    ("card_declined", "stolen_card", "do_not_try_again"),
    ("incorrect_cvc", "incorrect_cvc", "confirm_card_data"),
    ("expired_card", "expired_card", "confirm_card_data"),
];

impl World {
    /// Makes a PaymentIntent. Gives its id.
    pub(super) fn intend(
        &mut self,
        life: &mut Life,
        (amount, currency): (i64, &str),
        invoice: Value,
        capture: &str,
    ) -> String {
        let id = self.id("pi");
        let intent = life.own(json!({
            "id": id, "object": "payment_intent", "amount": amount, "amount_capturable": 0,
            "amount_received": 0, "canceled_at": null, "cancellation_reason": null,
            "capture_method": capture, "confirmation_method": "automatic", "created": self.now,
            "currency": currency, "last_payment_error": null, "latest_charge": null,
            "livemode": false, "metadata": {}, "payment_method": null,
            "payment_method_types": [life.means()], "status": "requires_payment_method",
            "_invoice": invoice,
        }));
        self.tell_of_intent("payment_intent.created", &intent);
        life.intents.push(intent);
        id
    }

    fn tell_of_intent(&mut self, kind: &str, intent: &Value) {
        if self.has(Shape::Retries) {
            self.tell(kind, intent);
        }
    }

    /// Charges for what is left of an invoice. Gives the charge; nothing costs no charge.
    ///
    /// The PaymentIntent that Stripe made when it finalized the invoice is charged again by every
    /// retry.
    pub(super) fn charge_for(
        &mut self,
        life: &mut Life,
        place: usize,
        outcome: Outcome,
    ) -> Option<String> {
        let invoice = life.invoices[place].clone();
        let amount = number(&invoice, "amount_remaining");
        let currency = text(&invoice, "currency");
        if amount == 0 {
            return None;
        }
        if invoice["_intent"].is_null() || !self.has(Shape::Retries) {
            let intent = self.intend(life, (amount, currency), invoice["id"].clone(), "automatic");
            life.invoices[place]["_intent"] = json!(intent);
            self.attach_payment(life, place, (&intent, amount), true);
        }
        let intent = text(&life.invoices[place], "_intent").to_owned();
        let bill = Bill {
            amount,
            currency,
            invoice: invoice["id"].clone(),
            intent: &intent,
        };
        let charge = self.charge(life, &bill, outcome);
        if outcome == Outcome::Paid {
            self.payment_is_paid(life, &intent);
        }
        Some(charge)
    }

    /// Makes a charge and tells of it. Gives its id.
    pub(super) fn charge(&mut self, life: &mut Life, bill: &Bill<'_>, outcome: Outcome) -> String {
        let debit = life.means() != "card";
        let id = self.id(if debit { "py" } else { "ch" });
        let decline = (outcome == Outcome::Declined).then(|| self.decline());
        let captured = match outcome {
            Outcome::Paid | Outcome::Pending => bill.amount,
            Outcome::Declined | Outcome::Held => 0,
        };
        let (status, kind) = match outcome {
            Outcome::Declined => ("failed", "charge.failed"),
            Outcome::Pending => ("pending", "charge.pending"),
            Outcome::Paid | Outcome::Held => ("succeeded", "charge.succeeded"),
        };
        let charge = json!({
            "id": id, "object": "charge", "customer": life.reference(), "amount": bill.amount,
            "amount_captured": captured, "amount_refunded": 0,
            "captured": matches!(outcome, Outcome::Paid | Outcome::Pending),
            "currency": bill.currency, "created": self.now, "disputed": false,
            "failure_code": decline.map(|(code, ..)| code), "failure_message": null,
            "livemode": false, "metadata": {}, "outcome": outcome_of(outcome, decline),
            "paid": status == "succeeded", "payment_intent": bill.intent,
            "payment_method_details": { "type": life.means() }, "refunded": false,
            "status": status, "_invoice": bill.invoice,
        });
        self.tell(kind, &charge);
        life.charges.push(charge);
        self.tell_intent_of(life, bill.intent, &id, outcome);
        id
    }

    fn decline(&mut self) -> (&'static str, &'static str, &'static str) {
        let [usual, ..] = DECLINES;
        if self.has(Shape::Retries) {
            self.random.choice(DECLINES).unwrap_or(usual)
        } else {
            usual
        }
    }

    /// A PaymentIntent follows its newest charge.
    pub(super) fn tell_intent_of(
        &mut self,
        life: &mut Life,
        intent: &str,
        charge: &str,
        outcome: Outcome,
    ) {
        let Some(place) = life.intents.iter().position(|known| known["id"] == intent) else {
            return;
        };
        let intent = &mut life.intents[place];
        let amount = number(intent, "amount");
        let (status, kind) = match outcome {
            Outcome::Paid => ("succeeded", "payment_intent.succeeded"),
            Outcome::Declined => ("requires_payment_method", "payment_intent.payment_failed"),
            Outcome::Pending => ("processing", "payment_intent.processing"),
            Outcome::Held => (
                "requires_capture",
                "payment_intent.amount_capturable_updated",
            ),
        };
        let fields = json!({
            "status": status, "latest_charge": charge,
            "amount_received": if outcome == Outcome::Paid { amount } else { 0 },
            "amount_capturable": if outcome == Outcome::Held { amount } else { 0 },
        });
        set(intent, fields);
        let intent = life.intents[place].clone();
        self.tell_of_intent(kind, &intent);
    }

    /// A PaymentIntent is given up.
    pub(super) fn cancel_intent(&mut self, life: &mut Life, intent: &Value, reason: &str) {
        let known = life.intents.iter().position(|known| known["id"] == *intent);
        let Some(place) = known else {
            return;
        };
        let fields = json!({
            "status": "canceled", "canceled_at": self.now, "cancellation_reason": reason,
            "amount_capturable": 0,
        });
        set(&mut life.intents[place], fields);
        let intent = life.intents[place].clone();
        self.tell_of_intent("payment_intent.canceled", &intent);
    }

    /// Attaches a payment to an invoice. Stripe attaches the default one by itself.
    pub(super) fn attach_payment(
        &mut self,
        life: &mut Life,
        place: usize,
        (intent, amount): (&str, i64),
        default: bool,
    ) {
        let invoice = life.invoices[place].clone();
        let payment = json!({ "type": "payment_intent", "payment_intent": intent });
        let payment = self.invoice_payment(&invoice, amount, payment, default);
        life.payments.push(payment);
    }

    fn invoice_payment(
        &mut self,
        invoice: &Value,
        amount: i64,
        payment: Value,
        default: bool,
    ) -> Value {
        json!({
            "id": self.id("inpay"), "object": "invoice_payment", "amount_paid": null,
            "amount_requested": amount, "created": self.now, "currency": invoice["currency"],
            "invoice": invoice["id"], "is_default": default, "livemode": false,
            "payment": payment, "status": "open",
            "status_transitions": { "canceled_at": null, "paid_at": null },
        })
    }

    /// The payment of an invoice by a PaymentIntent is paid.
    pub(super) fn payment_is_paid(&mut self, life: &mut Life, intent: &str) {
        let by = |payment: &Value| payment["payment"]["payment_intent"] == intent;
        if let Some(place) = life.payments.iter().rposition(by) {
            let received = life.intents.iter().find(|known| known["id"] == intent);
            let amount = received.map_or(0, |intent| number(intent, "amount_received"));
            self.note_paid(&mut life.payments[place], amount);
        }
    }

    fn note_paid(&mut self, payment: &mut Value, amount: i64) {
        let fields = json!({
            "amount_paid": amount, "amount_requested": amount, "status": "paid",
            "status_transitions": { "canceled_at": null, "paid_at": self.now },
        });
        set(payment, fields);
        // The type exists since 2025-05-28.
        // (https://docs.stripe.com/changelog/basil/2025-05-28/partial-payments)
        if !self.old && self.tells_of_payments() {
            self.tell("invoice_payment.paid", payment);
        }
    }

    fn tells_of_payments(&self) -> bool {
        [
            Shape::OutOfBand,
            Shape::PartialPayments,
            Shape::CreditBalance,
        ]
        .into_iter()
        .any(|shape| self.has(shape))
    }

    /// What is left of an invoice was paid outside of Stripe. Gives how much that was.
    pub(super) fn record_payment(&mut self, life: &mut Life, place: usize) -> i64 {
        let invoice = life.invoices[place].clone();
        let amount = number(&invoice, "amount_remaining");
        let record = self.id("prec");
        let payment = json!({ "type": "payment_record", "payment_record": record });
        let mut payment = self.invoice_payment(&invoice, amount, payment, false);
        self.note_paid(&mut payment, amount);
        life.payments.push(payment);
        amount
    }
}

/// What the network said. (PyPI `stripe` 16.1, `Charge.Outcome`)
fn outcome_of(outcome: Outcome, decline: Option<(&str, &str, &str)>) -> Value {
    let (kind, network, message) = match outcome {
        Outcome::Declined => (
            "issuer_declined",
            "declined_by_network",
            "The bank did not return any further details with this decline.",
        ),
        Outcome::Paid | Outcome::Pending | Outcome::Held => {
            ("authorized", "approved_by_network", "Payment complete.")
        }
    };
    json!({
        "advice_code": decline.map(|(.., advice)| advice), "network_advice_code": null,
        "network_decline_code": null, "network_status": network,
        "reason": decline.map(|(_, reason, _)| reason), "risk_level": "normal",
        "seller_message": message, "type": kind,
    })
}

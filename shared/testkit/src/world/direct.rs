//! Payments that belong to no invoice: direct ones, held ones, and those of guests.

use serde_json::{Value, json};

use super::payment::{Bill, Outcome};
use super::{DAY, Life, Shape, World, number, places, set, text};

/// After how long Stripe lets held funds go.
/// (<https://docs.stripe.com/payments/place-a-hold-on-a-payment-method>)
const HOLD: i64 = 7 * DAY;

impl World {
    /// A PaymentIntent of its own: charged, charged again, held, or left.
    pub(super) fn pay_directly(&mut self, life: &mut Life) {
        // No invoice has such an amount, so that neither can be taken for the other.
        let amount = self.random.i64(5..90) * 100 + 7;
        let currency = life.currency;
        let held = self.has(Shape::ManualCapture) && life.means() == "card" && self.chance(50);
        let capture = if held { "manual" } else { "automatic" };
        let intent = self.intend(life, (amount, currency), Value::Null, capture);
        let bill = Bill {
            amount,
            currency,
            invoice: Value::Null,
            intent: &intent,
        };
        if life.means() != "card" {
            return self.debit_directly(life, &bill);
        }
        if self.has(Shape::Retries) && self.chance(40) {
            self.charge(life, &bill, Outcome::Declined);
            if self.chance(30) {
                return self.cancel_intent(life, &json!(intent), "abandoned");
            }
        }
        let outcome = if held { Outcome::Held } else { Outcome::Paid };
        self.charge(life, &bill, outcome);
    }

    /// A debit without an invoice, up to the bank's answer.
    fn debit_directly(&mut self, life: &mut Life, bill: &Bill<'_>) {
        let id = self.charge(life, bill, Outcome::Pending);
        self.pass_time();
        let place = life.charges.len() - 1;
        let (outcome, fields, kind) = if self.chance(70) {
            let fields = json!({ "status": "succeeded", "paid": true });
            (Outcome::Paid, fields, "charge.succeeded")
        } else {
            let fields = json!({
                "status": "failed", "failure_code": "insufficient_funds", "captured": false,
                "amount_captured": 0,
            });
            (Outcome::Declined, fields, "charge.failed")
        };
        set(&mut life.charges[place], fields);
        self.tell(kind, &life.charges[place]);
        self.tell_intent_of(life, bill.intent, &id, outcome);
    }

    /// Held funds are captured, in part or whole, or let go.
    pub(super) fn capture(&mut self, life: &mut Life) {
        let held = places(&life.charges, |charge| {
            text(charge, "status") == "succeeded"
                && charge["captured"] == false
                && charge["refunded"] == false
        });
        let Some(place) = self.pick(&held) else {
            return self.pay_directly(life);
        };
        let charge = life.charges[place].clone();
        let amount = number(&charge, "amount");
        match self.random.u32(0..4) {
            0 => {
                self.cancel_intent(life, &charge["payment_intent"], "requested_by_customer");
                self.give_back(life, place, amount, None);
            }
            1 => self.expire_hold(life, place),
            2 => self.capture_part(life, place, amount - amount / 3),
            _ => self.capture_part(life, place, amount),
        }
    }

    /// Captures a part of what is held, or all of it. The rest is refunded.
    fn capture_part(&mut self, life: &mut Life, place: usize, part: i64) {
        let charge = &mut life.charges[place];
        let rest = number(charge, "amount") - part;
        let fields = json!({
            "captured": true, "amount_captured": part, "amount_refunded": rest,
        });
        self.update("charge.captured", charge, fields);
        let (id, intent) = (
            text(charge, "id").to_owned(),
            charge["payment_intent"].clone(),
        );
        if rest > 0 {
            self.tell_refund(life, place, rest, None);
        }
        let intent = intent.as_str().unwrap_or_default();
        self.tell_intent_of(life, intent, &id, Outcome::Paid);
        let known = life.intents.iter_mut().find(|known| known["id"] == intent);
        if let Some(known) = known {
            known["amount_received"] = json!(part);
        }
    }

    /// Nobody captured in time.
    fn expire_hold(&mut self, life: &mut Life, place: usize) {
        let charge = &life.charges[place];
        let (amount, until) = (number(charge, "amount"), number(charge, "created") + HOLD);
        let intent = charge["payment_intent"].clone();
        self.now = self.now.max(until);
        self.cancel_intent(life, &intent, "automatic");
        self.give_back(life, place, amount, Some("expired_uncaptured_charge"));
        self.tell("charge.expired", &life.charges[place]);
    }

    /// Somebody who is no customer buys something, through a payment link or a session.
    pub(super) fn buy_as_guest(&mut self, life: &Life) {
        let mut guest = Life::guest(life.currency);
        let intent = self.intend(&mut guest, (1_900, life.currency), Value::Null, "automatic");
        let link = self.chance(50).then(|| self.id("plink"));
        let named = self
            .chance(40)
            .then(|| format!("{}-{}", self.name, life.group));
        let session = json!({
            "id": self.id("cs"), "object": "checkout.session", "mode": "payment",
            "status": "complete", "payment_status": "paid", "currency": life.currency,
            "amount_total": 1_900, "client_reference_id": named, "metadata": {},
            "created": self.now, "customer": null, "customer_account": null,
            "customer_creation": "if_required", "invoice": null, "subscription": null,
            "payment_intent": intent, "payment_link": link, "livemode": false,
            "customer_details": { "email": "guest@example.com", "name": "Guest" },
        });
        let bill = Bill {
            amount: 1_900,
            currency: life.currency,
            invoice: Value::Null,
            intent: &intent,
        };
        self.charge(&mut guest, &bill, Outcome::Paid);
        self.tell("checkout.session.completed", &session);
        guest.id = text(&session, "id").to_owned();
        guest.sessions.push(session);
        self.guests.push(guest);
    }
}

//! What is bought once, and what is given back.

use serde_json::{Value, json};

use super::invoice::Draft;
use super::payment::{Bill, Outcome};
use super::{Life, World, number, places, text};

/// The price of the example settings that is paid once and kept for good.
pub(super) const LIFETIME: (&str, &str, i64) = (
    "price_1ScfRCChUUSEbzyhhCiqFmUB",
    "prod_TZp5ecvCkxHcQh",
    49_999,
);

impl World {
    /// A single payment through a checkout session, which may also be left.
    pub(super) fn checkout(&mut self, life: &mut Life) {
        let intent = self.intend(life, (4_200, life.currency), Value::Null, "automatic");
        let mut session = self.session(life, "payment");
        session["payment_intent"] = json!(intent);
        session["amount_total"] = json!(4_200);
        if self.chance(25) {
            session["status"] = json!("expired");
            session["payment_status"] = json!("unpaid");
            self.tell("checkout.session.expired", &session);
            self.cancel_intent(life, &session["payment_intent"], "abandoned");
            life.sessions.push(session);
            return;
        }
        if self.chance(20) {
            session["payment_status"] = json!("unpaid");
            self.tell("checkout.session.completed", &session);
            self.pass_time();
            session["payment_status"] = json!("paid");
            self.tell("checkout.session.async_payment_succeeded", &session);
        } else {
            self.tell("checkout.session.completed", &session);
        }
        life.sessions.push(session);
        let bill = Bill {
            amount: 4_200,
            currency: life.currency,
            invoice: Value::Null,
            intent: &intent,
        };
        self.charge(life, &bill, Outcome::Paid);
    }

    /// The session that a subscription was bought through.
    pub(super) fn checkout_of(&mut self, life: &mut Life, place: usize) {
        let mut session = self.session(life, "subscription");
        if let Some(subscription) = life.subscriptions.get(place) {
            session["subscription"] = subscription["id"].clone();
            session["invoice"] = subscription["latest_invoice"].clone();
        }
        self.tell("checkout.session.completed", &session);
        life.sessions.push(session);
    }

    fn session(&mut self, life: &Life, mode: &str) -> Value {
        let group = life.group + self.random.u32(0..2);
        let reference = self.chance(30).then(|| format!("{}-{group}", self.name));
        life.own(json!({
            "id": self.id("cs"), "object": "checkout.session", "mode": mode,
            "status": "complete", "payment_status": "paid", "currency": life.currency,
            "amount_total": 5_800, "client_reference_id": reference, "metadata": {},
            "created": self.now, "invoice": null, "subscription": null, "payment_intent": null,
            "payment_link": null, "livemode": false,
        }))
    }

    /// Buys the price that is kept for good, once.
    pub(super) fn buy_for_life(&mut self, life: &mut Life) {
        let (price, product, amount) = LIFETIME;
        if life.invoices.iter().any(is_lifetime) {
            return self.collect(life);
        }
        let line = json!({
            "id": self.id("il"), "object": "line_item", "amount": amount, "quantity": 1,
            "currency": life.currency,
            "pricing": { "type": "price_details", "price_details": {
                "price": price, "product": product } },
            "period": { "start": self.now, "end": self.now },
        });
        let draft = Draft {
            currency: life.currency,
            lines: vec![line],
            discount: 0,
            parent: Value::Null,
            reason: "manual",
            paused: None,
            days_until_due: None,
        };
        self.invoice(life, draft);
        let place = life.invoices.len() - 1;
        let is_open = life
            .invoices
            .get(place)
            .is_some_and(|invoice| text(invoice, "status") == "open");
        if is_open && self.chance(80) {
            self.pay(life, place);
        }
    }

    /// Gives back a part of what a charge brought, or all that is left of it.
    pub(super) fn refund(&mut self, life: &mut Life) {
        let paid = places(&life.charges, |charge| {
            text(charge, "status") == "succeeded"
                && charge["captured"] == true
                && number(charge, "amount") > number(charge, "amount_refunded")
        });
        let Some(place) = self.pick(&paid) else {
            return;
        };
        let charge = &life.charges[place];
        let left = number(charge, "amount") - number(charge, "amount_refunded");
        let part = if self.chance(50) {
            left
        } else {
            (left + 1) / 2
        };
        self.give_back(life, place, part, None);
    }

    /// Makes a refund of a charge and tells of it.
    pub(super) fn tell_refund(
        &mut self,
        life: &mut Life,
        place: usize,
        amount: i64,
        reason: Option<&str>,
    ) {
        let charge = &life.charges[place];
        let mut refund = json!({
            "id": self.id("re"), "object": "refund", "charge": charge["id"], "amount": amount,
            "payment_intent": charge["payment_intent"], "currency": charge["currency"],
            "status": "succeeded", "created": self.now, "metadata": {}, "reason": reason,
        });
        if life.account.is_some() {
            refund["customer"] = charge["customer"].clone();
        }
        let refund = life.name_account(refund);
        self.tell("refund.created", &refund);
        life.refunds.push(refund);
    }

    /// Gives back so much of a charge.
    pub(super) fn give_back(
        &mut self,
        life: &mut Life,
        place: usize,
        part: i64,
        reason: Option<&str>,
    ) {
        let charge = &life.charges[place];
        let (all, gone) = (number(charge, "amount"), number(charge, "amount_refunded"));
        self.tell_refund(life, place, part, reason);
        let fields = json!({ "amount_refunded": gone + part, "refunded": gone + part == all });
        self.update("charge.refunded", &mut life.charges[place], fields);
    }
}

/// Whether an invoice is for the price that is kept for good.
pub(super) fn is_lifetime(invoice: &Value) -> bool {
    let (price, ..) = LIFETIME;
    invoice["lines"]["data"][0]["pricing"]["price_details"]["price"] == price
}

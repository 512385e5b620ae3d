//! Charges, and what is bought once.

use serde_json::{Value, json};

use super::{Life, World, number, places, text};

/// The price of the example settings that is paid once and kept for good.
pub(super) const LIFETIME: (&str, &str, i64) = (
    "price_1ScfRCChUUSEbzyhhCiqFmUB",
    "prod_TZp5ecvCkxHcQh",
    49_999,
);

impl World {
    /// Charges for an invoice. Gives the charge and its payment intent; nothing costs no charge.
    pub(super) fn charge_for(
        &mut self,
        life: &mut Life,
        invoice: &Value,
        declined: Option<&str>,
    ) -> (Option<String>, Option<String>) {
        let amount = number(invoice, "amount_due");
        if amount == 0 {
            return (None, None);
        }
        let intent = self.id("pi");
        let of = (invoice["id"].clone(), intent.as_str());
        let charge = self.charge(life, amount, text(invoice, "currency"), of, declined);
        (Some(charge), Some(intent))
    }

    fn charge(
        &mut self,
        life: &mut Life,
        amount: i64,
        currency: &str,
        (invoice, intent): (Value, &str),
        declined: Option<&str>,
    ) -> String {
        let id = self.id("ch");
        let (status, kind) = match declined {
            Some(_) => ("failed", "charge.failed"),
            None => ("succeeded", "charge.succeeded"),
        };
        let charge = json!({
            "id": id, "object": "charge", "customer": life.id, "amount": amount,
            "currency": currency, "amount_refunded": 0, "refunded": false,
            "payment_intent": intent, "invoice_of_charge": invoice, "created": self.now,
            "status": status, "failure_code": declined, "livemode": false, "metadata": {},
        });
        self.tell(kind, &charge);
        life.charges.push(charge);
        id
    }

    /// A single payment through a checkout session, which may also be left.
    pub(super) fn checkout(&mut self, life: &mut Life) {
        let intent = self.id("pi");
        let mut session = self.session(life, "payment");
        session["payment_intent"] = json!(intent);
        session["amount_total"] = json!(4_200);
        if self.chance(25) {
            session["status"] = json!("expired");
            session["payment_status"] = json!("unpaid");
            self.tell("checkout.session.expired", &session);
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
        self.charge(life, 4_200, life.currency, (Value::Null, &intent), None);
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
        json!({
            "id": self.id("cs"), "object": "checkout.session", "customer": life.id, "mode": mode,
            "status": "complete", "payment_status": "paid", "currency": life.currency,
            "amount_total": 5_800, "client_reference_id": reference, "metadata": {},
            "created": self.now, "invoice": null, "subscription": null, "payment_intent": null,
            "livemode": false,
        })
    }

    /// Buys the price that is kept for good, once.
    pub(super) fn buy_for_life(&mut self, life: &mut Life) {
        let (price, product, amount) = LIFETIME;
        if life.invoices.iter().any(is_lifetime) {
            return self.collect(life);
        }
        let line = json!({
            "id": self.id("il"), "object": "line_item", "amount": amount, "quantity": 1,
            "pricing": { "type": "price_details", "price_details": {
                "price": price, "product": product } },
            "period": { "start": self.now, "end": self.now },
        });
        self.invoice(
            life,
            life.currency,
            (vec![line], 100),
            Value::Null,
            "manual",
        );
        let place = life.invoices.len() - 1;
        let is_open = life
            .invoices
            .get(place)
            .is_some_and(|invoice| text(invoice, "status") == "open");
        if is_open && self.chance(80) {
            self.pay(life, place);
        }
    }

    /// Gives back a part of a charge, or all that is left of it.
    pub(super) fn refund(&mut self, life: &mut Life) {
        let paid = places(&life.charges, |charge| {
            text(charge, "status") == "succeeded"
                && number(charge, "amount") > number(charge, "amount_refunded")
        });
        let Some(place) = self.pick(&paid) else {
            return;
        };
        let Some(charge) = life.charges.get_mut(place) else {
            return;
        };
        let (all, gone) = (number(charge, "amount"), number(charge, "amount_refunded"));
        let part = if self.chance(50) {
            all - gone
        } else {
            (all - gone + 1) / 2
        };
        let refund = json!({
            "id": self.id("re"), "object": "refund", "charge": charge["id"], "amount": part,
            "payment_intent": charge["payment_intent"], "currency": charge["currency"],
            "status": "succeeded", "created": self.now,
        });
        self.tell("refund.created", &refund);
        life.refunds.push(refund);
        let fields = json!({ "amount_refunded": gone + part, "refunded": gone + part == all });
        self.update("charge.refunded", charge, fields);
    }
}

/// Whether an invoice is for the price that is kept for good.
pub(super) fn is_lifetime(invoice: &Value) -> bool {
    let (price, ..) = LIFETIME;
    invoice["lines"]["data"][0]["pricing"]["price_details"]["price"] == price
}

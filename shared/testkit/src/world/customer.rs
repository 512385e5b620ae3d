//! Customers and their payment methods.

use serde_json::json;

use super::{Life, Shape, World, is_set, places, text};

impl World {
    /// A customer comes.
    pub(super) fn arrive(&mut self, group: u32) -> Life {
        let id = self.id("cus");
        let metadata = if self.chance(30) {
            json!({ "customer_id": format!("{}-{group}", self.name) })
        } else {
            json!({})
        };
        let customer = json!({
            "id": id, "object": "customer", "created": self.now,
            "email": format!("{id}@example.com"), "name": "New", "metadata": metadata,
            "livemode": false, "invoice_settings": { "default_payment_method": null },
            "default_source": null, "discount": null,
        });
        let has_account = self.random_of_shape(Shape::CustomerAccounts, 0..3) == Some(0);
        let account = (has_account && !self.old).then(|| self.id("acct"));
        let mut life = Life {
            id,
            group,
            account,
            ..Life::guest("usd")
        };
        life.customer = life.name_account(customer);
        self.tell("customer.created", &life.customer);
        life.currency = if self.chance(85) { "usd" } else { "eur" };
        life.debit = self.random_of_shape(Shape::BankDebits, 0..3) == Some(0);
        life
    }

    pub(super) fn change_customer(&mut self, life: &mut Life) {
        let n = self.random.u32(0..5);
        let mut metadata = life.customer["metadata"].clone();
        let fields = match self.random.u32(0..5) {
            0 => json!({ "email": format!("new{n}@example.com") }),
            1 => json!({ "name": format!("Renamed {n}") }),
            2 => {
                metadata["customer_id"] = json!(format!("{}-{}", self.name, life.group + n % 2));
                json!({ "metadata": metadata })
            }
            3 => {
                metadata["note"] = json!(format!("note {n}"));
                json!({ "metadata": metadata })
            }
            _ => {
                life.currency = if life.currency == "usd" { "eur" } else { "usd" };
                return;
            }
        };
        self.update("customer.updated", &mut life.customer, fields);
    }

    /// Changes a customer and changes it back, within one second.
    pub(super) fn flip_customer(&mut self, life: &mut Life) {
        let name = life.customer["name"].clone();
        let other = format!("Mistaken {}", self.random.u32(0..1_000));
        for name in [json!(other), name] {
            let fields = json!({ "name": name });
            self.update("customer.updated", &mut life.customer, fields);
        }
    }

    pub(super) fn attach(&mut self, life: &mut Life) {
        let id = self.id("pm");
        let last4 = format!("{:04}", self.random.u32(0..10_000));
        let means = life.means();
        let (month, year) = self.expiry();
        let details = match means {
            "card" => {
                json!({ "brand": "visa", "last4": last4, "exp_month": month, "exp_year": year })
            }
            _ => json!({ "last4": last4 }),
        };
        let mut method = life.own(json!({
            "id": id, "object": "payment_method", "type": means,
            "created": self.now, "livemode": false, "metadata": {},
        }));
        method[means] = details;
        self.tell("payment_method.attached", &method);
        life.methods.push(method);
        if self.chance(70) {
            self.make_default(life, json!(id));
        }
    }

    /// The month that a card is valid through.
    pub(super) fn expiry(&mut self) -> (u32, u32) {
        match self.random_of_shape(Shape::ExpiringCards, 0..12) {
            Some(month @ 0..6) => (month + 7, 2026),
            _ => (12, 2030),
        }
    }

    fn make_default(&mut self, life: &mut Life, method: serde_json::Value) {
        let settings = json!({ "invoice_settings": { "default_payment_method": method } });
        self.update("customer.updated", &mut life.customer, settings);
    }

    pub(super) fn change_method(&mut self, life: &mut Life) {
        let attached = places(&life.methods, |method| is_set(method, "customer"));
        let Some(place) = self.pick(&attached) else {
            return self.attach(life);
        };
        if self.chance(50) || text(&life.methods[place], "type") != "card" {
            return self.detach(life, place);
        }
        let year = self.random.u32(2028..2034);
        if let Some(method) = life.methods.get_mut(place) {
            let mut card = method["card"].clone();
            card["exp_year"] = json!(year);
            let kind = if year.is_multiple_of(2) {
                "payment_method.updated"
            } else {
                "payment_method.automatically_updated"
            };
            self.update(kind, method, json!({ "card": card }));
        }
    }

    fn detach(&mut self, life: &mut Life, place: usize) {
        let Some(method) = life.methods.get_mut(place) else {
            return;
        };
        let id = text(method, "id").to_owned();
        self.update(
            "payment_method.detached",
            method,
            json!({ "customer": null, "customer_account": null }),
        );
        if life.customer["invoice_settings"]["default_payment_method"] == id.as_str() {
            self.make_default(life, json!(null));
        }
    }

    /// Deletes a customer: its subscriptions end and its payment methods go first.
    pub(super) fn delete(&mut self, life: &mut Life) {
        for subscription in &mut life.subscriptions {
            self.cancel(subscription, "cancellation_requested");
        }
        for place in places(&life.methods, |method| is_set(method, "customer")) {
            self.detach(life, place);
        }
        for place in places(&life.sources, |source| is_set(source, "customer")) {
            self.remove_source(life, place);
        }
        self.tell("customer.deleted", &life.customer);
        life.customer["deleted"] = json!(true);
    }
}

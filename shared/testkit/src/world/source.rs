//! Cards from before PaymentMethods, which a customer has as sources.
//!
//! (PyPI `stripe` 16.1, `Card` and `Customer.default_source`; recorded events
//! `customer.source.created` and `customer.source.updated`)

use serde_json::{Value, json};

use super::{Life, World, is_set, places, text};

impl World {
    /// A source comes, changes or goes.
    pub(super) fn change_source(&mut self, life: &mut Life) {
        let kept = places(&life.sources, |source| is_set(source, "customer"));
        let Some(place) = self.pick(&kept) else {
            return self.add_source(life);
        };
        match self.random.u32(0..4) {
            0 => self.remove_source(life, place),
            1 => self.add_source(life),
            _ => {
                let year = self.random.u32(2027..2034);
                let fields = json!({ "exp_year": year });
                self.update("customer.source.updated", &mut life.sources[place], fields);
            }
        }
    }

    fn add_source(&mut self, life: &mut Life) {
        let id = self.id("card");
        let (month, year) = self.expiry();
        let card = json!({
            "id": id, "object": "card", "brand": "Visa", "country": "US", "customer": life.id,
            "exp_month": month, "exp_year": year, "funding": "credit",
            "last4": format!("{:04}", self.random.u32(0..10_000)), "metadata": {}, "name": null,
        });
        self.tell("customer.source.created", &card);
        life.sources.push(card);
        // The first source becomes the default one.
        if life.customer["default_source"].is_null() || self.chance(30) {
            let fields = json!({ "default_source": id });
            self.update("customer.updated", &mut life.customer, fields);
        }
    }

    /// The default passes to another source, if there is one.
    pub(super) fn remove_source(&mut self, life: &mut Life, place: usize) {
        self.tell("customer.source.deleted", &life.sources[place]);
        let id = text(&life.sources[place], "id").to_owned();
        life.sources[place]["customer"] = Value::Null;
        if life.customer["default_source"] == id.as_str() {
            let next = life
                .sources
                .iter()
                .find(|source| is_set(source, "customer"));
            let next = next.map(|source| source["id"].clone());
            let fields = json!({ "default_source": next });
            self.update("customer.updated", &mut life.customer, fields);
        }
    }
}

//! The world's and the fake's objects have only fields, values and event types that Stripe's own
//! types know: see `stripe_fields.py`.

use std::collections::{BTreeMap, BTreeSet};

use paygraph_testkit::fake_stripe::{Config, Lazy};
use paygraph_testkit::world::{Shape, World};
use serde_json::Value;

use crate::asking::Fake;

/// From PyPI `stripe` 16.1.
const FIELDS: &str = include_str!("../../stripe_fields.txt");

/// What a field may hold.
enum Field {
    /// Anything, or another object.
    Anything,
    /// A map whose keys have any name.
    Map,
    /// What is not looked into.
    LeftOut,
    /// One of these words.
    Word(BTreeSet<String>),
}

/// Stripe's types: the fields of each object, and of the objects within it.
struct Types(BTreeMap<String, BTreeMap<String, Field>>);

impl Types {
    fn read() -> Self {
        let lines = FIELDS.lines().filter(|line| !line.starts_with('#'));
        let read = lines.map(|line| {
            let (path, fields) = line.split_once(':').unwrap();
            (
                path.to_owned(),
                fields.split_whitespace().map(field).collect(),
            )
        });
        Self(read.collect())
    }

    /// Notes every place of a value that the types do not know.
    fn check(&self, path: &str, value: &Value, unknown: &mut BTreeSet<String>) {
        match value {
            Value::Array(list) => list
                .iter()
                .for_each(|value| self.check(path, value, unknown)),
            Value::Object(fields) => {
                let own = fields.get("object").and_then(Value::as_str);
                match own {
                    Some("list") => self.check(path, &fields["data"], unknown),
                    Some(own) => self.check_fields(own, fields, unknown),
                    None => self.check_fields(path, fields, unknown),
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn check_fields(
        &self,
        path: &str,
        fields: &serde_json::Map<String, Value>,
        unknown: &mut BTreeSet<String>,
    ) {
        let Some(known) = self.0.get(path) else {
            unknown.insert(path.to_owned());
            return;
        };
        for (name, value) in fields {
            let place = format!("{path}.{name}");
            match known.get(name) {
                None => drop(unknown.insert(place)),
                Some(Field::Word(words)) if !value.is_null() => {
                    let values = value
                        .as_array()
                        .cloned()
                        .unwrap_or_else(|| vec![value.clone()]);
                    let word = |value: &Value| match value.as_str() {
                        Some(word) => word.to_owned(),
                        // As Python writes it.
                        None if *value == true => "True".to_owned(),
                        None => value.to_string(),
                    };
                    let odd = values.iter().map(word).find(|word| !words.contains(word));
                    unknown.extend(odd.map(|odd| format!("{place}={odd}")));
                }
                Some(Field::Map) => {
                    let inside = format!("{place}.*");
                    if self.0.contains_key(&inside) {
                        let inner = value.as_object().into_iter().flatten();
                        inner.for_each(|(_, value)| self.check(&inside, value, unknown));
                    }
                }
                Some(Field::LeftOut | Field::Word(_)) => {}
                Some(Field::Anything) => self.check(&place, value, unknown),
            }
        }
    }
}

fn field(word: &str) -> (String, Field) {
    if let Some(name) = word.strip_suffix("{}") {
        (name.to_owned(), Field::Map)
    } else if let Some(name) = word.strip_suffix('*') {
        (name.to_owned(), Field::LeftOut)
    } else if let Some((name, words)) = word.split_once('=') {
        let words = words.split('|').map(str::to_owned);
        (name.to_owned(), Field::Word(words.collect()))
    } else {
        (word.to_owned(), Field::Anything)
    }
}

/// T5: what the world's events tell.
#[test]
fn t5_the_worlds_events_have_only_what_stripes_types_know() {
    let types = Types::read();
    let (mut unknown, mut told) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..40 {
        let world = World::new("w", seed, 1_790_000_000)
            .with(Shape::ALL)
            .newest();
        for event in world.run(3, 30) {
            let event: Value = serde_json::from_str(&event).unwrap();
            let object = &event["data"]["object"];
            types.check("event", &event, &mut unknown);
            types.check("", object, &mut unknown);
            told.insert(object["object"].as_str().unwrap().to_owned());
        }
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
    assert!(told.len() >= 11, "{told:?}");
}

/// T5: what the fake lists, of a world and of computed customers, with everything expanded.
#[test]
fn t5_the_fakes_objects_have_only_what_stripes_types_know() {
    let types = Types::read();
    let fake = Fake::start(Config::with_world(Lazy::of(40)).unlimited());
    let world = World::new("w", 11, 1_790_000_000).with(Shape::ALL).newest();
    fake.stripe.own().hold(&world.live(12, 40).finish());
    let mut unknown = BTreeSet::new();
    for path in [
        "customers?expand[]=data.sources&expand[]=data.default_source",
        "subscriptions?status=all&expand[]=data.discounts.source.coupon&expand[]=data.customer",
        "invoices?expand[]=data.payments&expand[]=data.amount_paid_off_stripe",
        "invoice_payments?expand[]=data.payment.payment_intent",
        "payment_intents?expand[]=data.latest_charge",
        "charges?expand[]=data.payment_intent",
        "payment_methods?",
        "refunds?expand[]=data.charge",
        "disputes?",
        "checkout/sessions?",
        "subscription_schedules?",
        "products?",
        "prices?expand[]=data.tiers&expand[]=data.currency_options",
        "coupons?expand[]=data.applies_to&expand[]=data.currency_options",
        "webhook_endpoints?",
    ] {
        for object in fake.all(&format!("/v1/{path}")) {
            types.check("", &object, &mut unknown);
        }
    }
    types.check("", &fake.get("/v1/account"), &mut unknown);
    assert!(unknown.is_empty(), "{unknown:#?}");
}

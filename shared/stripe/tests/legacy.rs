//! Ids that people chose, cards of the time before payment methods, accounts that are customers.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed test says where"
)]

use paygraph_domain::account::Account;
use paygraph_domain::apply::apply;
use paygraph_domain::fact::{Body, Fact};
use paygraph_domain::objects::payment_method::PaymentMethod;
use paygraph_domain::rollup::{Context, OnFile, rollup};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_domain::totals::Totals;
use paygraph_stripe::decode;
use paygraph_stripe::event::StripeEvent;
use serde_json::{Value, json};

const START: i64 = 1_788_264_000;

fn read(id: &str, kind: &str, at: i64, object: &Value, previous: Value) -> Fact {
    let data = json!({ "object": object, "previous_attributes": previous });
    let event = json!({ "id": id, "type": kind, "created": at, "data": data }).to_string();
    let event = StripeEvent::parse(&event).unwrap();
    decode::decode(&event).unwrap().unwrap()
}

fn fact(kind: &str, object: &Value) -> Fact {
    read("evt_1", kind, START, object, Value::Null)
}

fn method(fact: Fact) -> PaymentMethod {
    let Body::PaymentMethod(method) = fact.body else {
        panic!("{:?}", fact.body)
    };
    method
}

const ODD: [&str; 6] = [
    "Gold Plan #2",
    "a/b?c",
    "100% \u{e4}\u{65e5}",
    " x ",
    "#",
    "\n",
];

#[test]
fn r12_ids_that_people_chose_are_read_unchanged_everywhere() {
    for id in ODD {
        for kind in [
            "price.created",
            "plan.created",
            "product.created",
            "coupon.created",
        ] {
            let read = fact(
                kind,
                &json!({ "id": id, "currency": "usd", "duration": "once" }),
            );
            assert_eq!(read.body.id(), id, "{kind}");
        }
        let price = json!({ "id": id, "product": id, "currency": "usd", "unit_amount": 100,
            "recurring": { "interval": "month" } });
        let coupon = json!({ "id": id, "duration": "forever", "percent_off": 25,
            "applies_to": { "products": [id] } });
        let subscription = json!({ "id": "sub_1", "customer": "cus_1", "status": "active",
            "currency": "usd", "created": START,
            "discount": { "id": "di_1", "coupon": coupon },
            "items": { "data": [{ "id": "si_1", "price": price, "plan": price }] } });
        let Body::Subscription(read) = fact("customer.subscription.updated", &subscription).body
        else {
            panic!("{id:?}")
        };
        assert_eq!(read.items[0].price.id.as_str(), id);
        assert_eq!(read.items[0].price.product.as_ref().unwrap().as_str(), id);
        let invoice = json!({ "id": "in_1", "customer": "cus_1", "currency": "usd", "status": "open",
            "created": START, "lines": { "data": [
                { "id": "il_1", "amount": 100, "price": price, "plan": price },
                { "id": "il_2", "amount": 100, "pricing": { "price_details": { "price": id, "product": id } } },
            ] } });
        let _ = fact("invoice.updated", &invoice);
        let schedule = json!({ "id": "sub_sched_1", "customer": "cus_1", "status": "active",
            "phases": [{ "start_date": START, "end_date": START + 9, "items": [{ "price": id, "plan": id }] }] });
        let _ = fact("subscription_schedule.updated", &schedule);
        let session = json!({ "id": "cs_1", "customer": "cus_1", "mode": "payment", "currency": "usd",
            "line_items": { "data": [{ "price": price }] } });
        let _ = fact("checkout.session.completed", &session);
    }
}

fn card(fields: Value) -> Value {
    let mut card = json!({ "id": "card_1", "object": "card", "brand": "Visa", "customer": "cus_1",
        "exp_month": 9, "exp_year": 2026, "last4": "1881" });
    card.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    card
}

fn customer(fields: Value) -> Value {
    let mut customer = json!({ "id": "cus_1", "object": "customer", "created": START, "metadata": {},
        "default_source": null, "invoice_settings": { "default_payment_method": null } });
    customer
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    customer
}

#[test]
fn r10_a_source_is_read_as_the_payment_method_that_it_also_is() {
    let source = json!({ "id": "src_1", "object": "source", "type": "card", "customer": "cus_1",
        "status": "chargeable",
        "card": { "brand": "American Express", "last4": "0005", "exp_month": 1, "exp_year": 2031 } });
    let debit = json!({ "id": "src_2", "object": "source", "type": "sepa_debit", "customer": "cus_1",
        "sepa_debit": { "last4": "3000" } });
    let bank = json!({ "id": "ba_1", "object": "bank_account", "customer": "cus_1",
        "bank_name": "STRIPE TEST BANK", "last4": "6789", "status": "verified" });
    for (object, expected) in [
        (card(json!({})), json!(["card", "visa", "1881", 9, 2026])),
        (
            card(json!({ "brand": "MasterCard" })),
            json!(["card", "mastercard", "1881", 9, 2026]),
        ),
        (
            card(json!({ "brand": "Diners Club" })),
            json!(["card", "diners", "1881", 9, 2026]),
        ),
        (source, json!(["card", "amex", "0005", 1, 2031])),
        (debit, json!(["sepa_debit", null, "3000", null, null])),
        (bank, json!(["bank_account", null, "6789", null, null])),
    ] {
        for kind in ["created", "updated", "expiring", "deleted"] {
            let read = fact(&format!("customer.source.{kind}"), &object);
            assert_eq!(read.customer.as_ref().unwrap().as_str(), "cus_1");
            let read = method(read);
            let shown = json!([
                read.kind,
                read.brand,
                read.last4,
                read.exp_month,
                read.exp_year
            ]);
            assert_eq!(shown, expected);
            assert_eq!(read.attached, kind != "deleted", "{kind}");
        }
    }
}

fn on_file(facts: &[Fact]) -> OnFile {
    let settings = Settings::example().unwrap();
    let (mut account, mut totals) = (Account::default(), Totals::default());
    let catalog = paygraph_domain::account::Catalog::default();
    let now = Timestamp::from_unix(START).unwrap();
    let context = Context {
        settings: &settings,
        catalog: &catalog,
        now,
    };
    for fact in facts {
        apply(&mut account, &mut totals, fact, context);
    }
    rollup(&account, totals, context).payment_method
}

fn last4(facts: &[Fact]) -> Option<String> {
    let method = on_file(facts);
    assert_eq!(method.on_file, method.last4.is_some(), "{method:?}");
    method.last4
}

#[test]
fn r10_a_card_within_its_customer_is_on_file() {
    let list = json!({ "object": "list", "data": [card(json!({}))], "has_more": false });
    for fields in [
        json!({ "default_source": card(json!({})) }),
        json!({ "default_source": "card_1", "sources": list }),
        json!({ "sources": list }),
    ] {
        let seen = fact("customer.updated", &customer(fields.clone()));
        let method = on_file(&[seen]);
        assert_eq!(
            (method.brand.as_deref(), method.exp_year),
            (Some("visa"), Some(2026)),
            "{fields}"
        );
    }
}

/// The invoice setting, then the default source, then any other; in any order of events.
#[test]
fn r10_the_default_is_the_one_that_stripe_charges() {
    let paid_by = json!({ "id": "pm_1", "object": "payment_method", "type": "card", "customer": "cus_1",
        "card": { "brand": "visa", "last4": "4242", "exp_month": 1, "exp_year": 2030 } });
    let source = read(
        "evt_1",
        "customer.source.created",
        START,
        &card(json!({})),
        Value::Null,
    );
    let attached = read(
        "evt_2",
        "payment_method.attached",
        START + 1,
        &paid_by,
        Value::Null,
    );
    let setting = |source: Value, method: Value| {
        let settings = json!({ "default_payment_method": method });
        let object = customer(json!({ "default_source": source, "invoice_settings": settings }));
        read("evt_3", "customer.updated", START + 2, &object, Value::Null)
    };
    for (customer, expected) in [
        (setting(json!("card_1"), json!("pm_1")), "4242"),
        (setting(json!("card_1"), json!(null)), "1881"),
        (setting(json!(null), json!("pm_1")), "4242"),
        (setting(card(json!({})), json!({ "id": "pm_1" })), "4242"),
        // None is the default: the newest one.
        (setting(json!(null), json!(null)), "4242"),
    ] {
        let mut facts = vec![source.clone(), attached.clone(), customer];
        for _ in 0..3 {
            facts.rotate_left(1);
            assert_eq!(last4(&facts).as_deref(), Some(expected));
            facts.swap(0, 1);
            assert_eq!(last4(&facts).as_deref(), Some(expected));
        }
    }
}

/// A card that was changed or taken away, in any order, whichever of its views is older.
#[test]
fn r10_the_newest_view_of_a_card_counts() {
    let seen = read(
        "evt_1",
        "customer.updated",
        START + 5,
        &customer(json!({ "default_source": card(json!({})) })),
        Value::Null,
    );
    let source = |id: &str, kind: &str, at: i64, fields: Value| {
        read(
            id,
            &format!("customer.source.{kind}"),
            at,
            &card(fields),
            Value::Null,
        )
    };
    let renewed = json!({ "last4": "0077" });
    for (other, expected) in [
        (
            source("evt_2", "updated", START + 9, renewed.clone()),
            Some("0077"),
        ),
        (source("evt_2", "updated", START + 1, renewed), Some("1881")),
        (source("evt_2", "deleted", START + 9, json!({})), None),
        (source("evt_2", "deleted", START + 1, json!({})), None),
    ] {
        for facts in [[seen.clone(), other.clone()], [other, seen.clone()]] {
            assert_eq!(last4(&facts).as_deref(), expected);
        }
    }
}

#[test]
fn a7_an_account_is_the_customer_where_no_customer_is_named() {
    let owned = json!({ "id": "x_1", "customer": null, "customer_account": "acct_1",
        "status": "active", "currency": "usd", "created": START, "mode": "payment",
        "type": "card", "items": { "data": [] }, "phases": [] });
    for kind in [
        "customer.subscription.updated",
        "invoice.paid",
        "charge.succeeded",
        "checkout.session.completed",
        "payment_method.attached",
        "subscription_schedule.updated",
        "customer.discount.created",
    ] {
        let fact = fact(kind, &owned);
        let customer = fact.customer.unwrap_or_else(|| panic!("{kind}"));
        assert_eq!(customer.as_str(), "acct_1", "{kind}");
        assert!(customer.is_account());
        let mut both = owned.clone();
        both["customer"] = json!("cus_1");
        let fact = self::fact(kind, &both);
        assert_eq!(fact.customer.unwrap().as_str(), "cus_1", "{kind}");
        let text =
            json!({ "id": "evt_1", "type": kind, "created": START, "data": { "object": owned } });
        let text = text.to_string();
        let event = StripeEvent::parse(&text).unwrap();
        assert_eq!(decode::about(&event).customer.unwrap().as_str(), "acct_1");
    }
    let mut detached = owned.clone();
    detached["customer_account"] = json!(null);
    let before = json!({ "customer_account": "acct_1" });
    let fact = read("evt_1", "payment_method.detached", START, &detached, before);
    assert_eq!(fact.customer.unwrap().as_str(), "acct_1");
}

/// A refund names customer and account, and belongs to the customer of its charge all the same.
#[test]
fn a7_a_refund_that_names_an_account_follows_its_charge() {
    let refund = json!({ "id": "re_1", "object": "refund", "charge": "ch_1", "amount": 100,
        "currency": "usd", "status": "succeeded", "customer": "cus_1",
        "customer_account": "acct_1" });
    assert_eq!(fact("refund.created", &refund).customer, None);
}

#[test]
fn a7_nobodys_subscription_stays_unreadable() {
    let text = json!({ "id": "evt_1", "type": "customer.subscription.updated", "created": START,
        "data": { "object": { "id": "sub_1", "status": "active", "customer": null } } });
    let text = text.to_string();
    let event = StripeEvent::parse(&text).unwrap();
    assert!(decode::decode(&event).is_err());
}

//! Time alone: what the minute tick tells, how much it reads, and that it never goes back.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]
#![expect(clippy::too_many_lines, reason = "a story is told in one go")]

use std::time::Duration;

use paygraph_domain::contact::Profile;
use paygraph_domain::fact::Source;
use paygraph_domain::id::{Cause, CustomerId, TenantId};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::identity::Request;
use paygraph_engine::memory::{MemoryBus, MemoryStore, StoppedClock};
use paygraph_engine::process::Engine;
use paygraph_engine::publish::publish;
use paygraph_testkit::world::price;
use serde_json::{Value, json};

type TestEngine = Engine<MemoryStore, StoppedClock>;

const START: i64 = 1_790_000_000;
const DAY: i64 = 86_400;

fn engine() -> TestEngine {
    Engine::alone(
        MemoryStore::new(Settings::example().unwrap()),
        StoppedClock(at(START)),
    )
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds).unwrap()
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(600))
}

async fn feed(engine: &TestEngine, bus: &MemoryBus, id: &str, kind: &str, t: i64, object: Value) {
    let event = json!({
        "id": id, "type": kind, "created": t, "livemode": false, "data": { "object": object },
    });
    let tenant = TenantId::parse("default").unwrap();
    let text = event.to_string();
    let processed = engine
        .process(&tenant, &text, Source::Webhook, soon())
        .await;
    let entries = processed.unwrap().into_entries();
    publish(&engine.store, bus, &entries).await.unwrap();
}

fn subscription(n: usize, status: &str, trial_end: Option<i64>) -> Value {
    json!({
        "id": format!("sub_{n}"), "customer": format!("cus_{n}"), "status": status, "currency": "usd",
        "created": START, "start_date": START, "trial_start": trial_end.map(|_| START),
        "trial_end": trial_end, "collection_method": "charge_automatically",
        "items": { "data": [{
            "id": format!("si_{n}"), "price": price(1), "quantity": 1,
            "current_period_start": START, "current_period_end": START + 30 * DAY,
        }] },
    })
}

/// The first customer subscribes.
async fn subscribed(engine: &TestEngine, bus: &MemoryBus) {
    let active = subscription(1, "active", None);
    let kind = "customer.subscription.created";
    feed(engine, bus, "evt_1", kind, START, active).await;
}

/// What was told since the last look, without what is passed on: (name, contact, data).
fn told(bus: &MemoryBus, from: usize) -> Vec<(String, String, Value)> {
    let published = bus.published().split_off(from);
    let own = published
        .into_iter()
        .filter(|event| !event.detail_type.starts_with("stripe."));
    own.map(|event| {
        let contact = event.detail.customer_id.as_ref().unwrap().to_string();
        (event.detail_type, contact, event.detail.data.clone())
    })
    .collect()
}

/// Forty contacts flip among a thousand and among ten thousand: the tick reads as much for both.
#[tokio::test]
async fn a_segment_moves_without_a_scan() {
    const FLIP: usize = 40;
    let few = reads_of_a_flip(1_000, FLIP).await;
    let many = reads_of_a_flip(10_000, FLIP).await;
    assert_eq!(few, many, "the reads do not depend on the other contacts");
    assert!(
        many <= FLIP * 3,
        "{many} reads for {FLIP} contacts that flip"
    );
}

/// Counts the reads of a tick at which so many contacts enter a segment, and compares what it tells.
async fn reads_of_a_flip(all: usize, flip: usize) -> usize {
    let (engine, bus) = (engine(), MemoryBus::default());
    for n in 0..all {
        let end = if n % (all / flip) == 0 {
            7 * DAY
        } else {
            30 * DAY
        };
        let trial = subscription(n, "trialing", Some(START + end));
        feed(
            &engine,
            &bus,
            &format!("evt_{n}"),
            "customer.subscription.created",
            START,
            trial,
        )
        .await;
    }
    let (reads, from) = (engine.store.reads(), bus.published().len());
    let ticked = engine
        .tick(&bus, at(START + 4 * DAY), soon())
        .await
        .unwrap();
    assert_eq!((ticked.contacts, ticked.failed), (flip, 0));
    let read = engine.store.reads() - reads;
    let entered = told(&bus, from);
    assert_eq!(entered.len(), flip, "{:?}", entered.first());
    for (name, _, data) in entered {
        assert_eq!(
            (name.as_str(), data),
            ("segment_entered", json!({ "segment": "trial_expiring" }))
        );
    }
    // A second tick at the same instant, and one that is two hours late, find nothing.
    for late in [4 * DAY, 4 * DAY - 7_200] {
        let reads = engine.store.reads();
        let ticked = engine.tick(&bus, at(START + late), soon()).await.unwrap();
        assert_eq!((ticked.contacts, ticked.events), (0, 0));
        assert_eq!(engine.store.reads(), reads);
    }
    read
}

/// L6, L7: grace begins with the first failed attempt, no redelivery extends it, and it ends by
/// itself, once; a tick two hours late turns nothing back.
#[tokio::test]
async fn l6_l7_grace_ends_once_and_is_never_extended() {
    let (engine, bus) = (engine(), MemoryBus::default());
    let mut invoice = json!({
        "id": "in_1", "customer": "cus_1", "status": "open", "currency": "usd", "amount_due": 5800,
        "amount_paid": 0, "total": 5800, "created": START, "attempt_count": 1,
        "collection_method": "charge_automatically", "subscription": "sub_1",
        "next_payment_attempt": START + 3 * DAY, "lines": { "data": [] },
    });
    subscribed(&engine, &bus).await;
    feed(
        &engine,
        &bus,
        "evt_2",
        "invoice.payment_failed",
        START + 10,
        invoice.clone(),
    )
    .await;
    feed(
        &engine,
        &bus,
        "evt_3",
        "customer.subscription.updated",
        START + 11,
        subscription(1, "past_due", None),
    )
    .await;
    let access = |engine: &TestEngine, now: i64| {
        let contact = engine.store.contacts().remove(0);
        let settings = Settings::example().unwrap();
        let standing = contact.standing(&contact.billing(&settings), &settings, at(now));
        (standing.access.level.as_str(), standing.access.until)
    };
    let until = Some(at(START + 10 + 14 * DAY));
    assert_eq!(access(&engine, START + 12), ("grace", until));
    // A second attempt fails, and the first failure is delivered again: the end stays.
    invoice["attempt_count"] = json!(2);
    invoice["next_payment_attempt"] = json!(START + 9 * DAY);
    feed(
        &engine,
        &bus,
        "evt_4",
        "invoice.payment_failed",
        START + 3 * DAY,
        invoice.clone(),
    )
    .await;
    feed(
        &engine,
        &bus,
        "evt_5",
        "invoice.payment_failed",
        START + 3 * DAY,
        invoice.clone(),
    )
    .await;
    assert_eq!(access(&engine, START + 3 * DAY), ("grace", until));
    let from = bus.published().len();
    let ended = START + 10 + 14 * DAY;
    assert_eq!(
        engine
            .tick(&bus, at(ended - 1), soon())
            .await
            .unwrap()
            .events,
        0
    );
    assert!(engine.tick(&bus, at(ended), soon()).await.unwrap().events > 0);
    let changes: Vec<_> = told(&bus, from);
    let changes: Vec<_> = changes
        .iter()
        .filter(|(name, ..)| name == "access_changed")
        .collect();
    assert_eq!(changes.len(), 1);
    assert_eq!(
        changes[0].2,
        json!({ "before": "grace", "after": "restricted", "until": null })
    );
    engine.tick(&bus, at(ended - 7_200), soon()).await.unwrap();
    assert_eq!(
        access(&engine, ended - 7_200).0,
        "restricted",
        "time does not go back"
    );
    // The last attempt fails: nothing is left to try, and nothing new is told of access.
    invoice["attempt_count"] = json!(4);
    invoice["next_payment_attempt"] = Value::Null;
    let from = bus.published().len();
    feed(
        &engine,
        &bus,
        "evt_6",
        "invoice.payment_failed",
        START + 15 * DAY,
        invoice.clone(),
    )
    .await;
    let names: Vec<_> = told(&bus, from)
        .into_iter()
        .map(|(name, ..)| name)
        .collect();
    assert!(
        names.contains(&"payment_retries_exhausted".to_owned()),
        "{names:?}"
    );
    assert!(!names.contains(&"access_changed".to_owned()), "{names:?}");
    // L8: paid after all: the signals clear, and full access is back.
    invoice["status"] = json!("paid");
    invoice["amount_paid"] = json!(5800);
    let from = bus.published().len();
    feed(
        &engine,
        &bus,
        "evt_7",
        "invoice.paid",
        START + 16 * DAY,
        invoice,
    )
    .await;
    feed(
        &engine,
        &bus,
        "evt_8",
        "customer.subscription.updated",
        START + 16 * DAY,
        subscription(1, "active", None),
    )
    .await;
    let told = told(&bus, from);
    for kind in ["failed_payment", "past_due"] {
        let cleared = told
            .iter()
            .filter(|(name, _, data)| name == "risk_signal_cleared" && data["kind"] == kind);
        assert_eq!(cleared.count(), 1, "{kind}: {told:?}");
    }
    assert_eq!(access(&engine, START + 17 * DAY), ("full", None));
}

/// A card that runs out is a signal thirty days before, told once, and is gone with a new card.
#[tokio::test]
async fn a_card_that_runs_out_is_told_once() {
    let (engine, bus) = (engine(), MemoryBus::default());
    let card = |year: u16, month: u8| {
        json!({
            "id": "pm_1", "customer": "cus_1", "type": "card",
            "card": { "brand": "visa", "last4": "4242", "exp_month": month, "exp_year": year },
        })
    };
    subscribed(&engine, &bus).await;
    feed(
        &engine,
        &bus,
        "evt_2",
        "payment_method.attached",
        START,
        card(2026, 12),
    )
    .await;
    let warned = Timestamp::parse("2026-12-02T00:00:00Z").unwrap();
    let from = bus.published().len();
    assert_eq!(
        engine
            .tick(&bus, warned.plus(-1), soon())
            .await
            .unwrap()
            .events,
        0
    );
    engine.tick(&bus, warned, soon()).await.unwrap();
    engine.tick(&bus, warned.plus(60), soon()).await.unwrap();
    let names: Vec<_> = told(&bus, from)
        .into_iter()
        .map(|(name, ..)| name)
        .collect();
    let expected = [
        "risk_signal_raised",
        "card_expiring",
        "health_score_changed",
        "segment_entered",
    ];
    assert_eq!(names, expected);
    let from = bus.published().len();
    let t = warned.plus(DAY).unix();
    feed(
        &engine,
        &bus,
        "evt_3",
        "payment_method.automatically_updated",
        t,
        card(2030, 1),
    )
    .await;
    let names: Vec<_> = told(&bus, from)
        .into_iter()
        .map(|(name, ..)| name)
        .collect();
    assert!(
        names.contains(&"risk_signal_cleared".to_owned()),
        "{names:?}"
    );
    assert!(names.contains(&"segment_left".to_owned()), "{names:?}");
}

/// What a customer is worth after the end of a trial or of a discount is told, whatever else happens
/// to it between that end and the next minute.
#[tokio::test]
async fn what_time_changes_of_the_mrr_is_not_lost_by_what_comes_before_the_minute() {
    let end = START + 10 * DAY;
    let (mut trial, mut discounted) = (
        subscription(1, "active", None),
        subscription(1, "active", None),
    );
    trial["items"]["data"][0]["current_trial"] = json!({ "end": end });
    discounted["discounts"] = json!([{ "id": "di_1", "object": "discount", "start": START, "end": end,
        "customer": "cus_1", "subscription": "sub_1",
        "coupon": { "id": "half", "percent_off": 50, "duration": "repeating" } }]);
    for (object, before) in [(trial, 0), (discounted, 2_900)] {
        let mut settings = Settings::example().unwrap();
        settings.mrr.count_temporary_discounts = true;
        let engine = Engine::alone(MemoryStore::new(settings), StoppedClock(at(START)));
        let bus = MemoryBus::default();
        feed(
            &engine,
            &bus,
            "evt_1",
            "customer.subscription.created",
            START,
            object,
        )
        .await;
        let later = Engine::alone(engine.store.clone(), StoppedClock(at(end + 20)));
        for n in 0..2 {
            let cause = Cause::parse(format!("api:{n}")).unwrap();
            let tenant = TenantId::parse("default").unwrap();
            let request = Request {
                tenant: &tenant,
                cause: &cause,
                deadline: soon(),
            };
            let given = Profile {
                company: Some(format!("Acme {n}")),
                ..Profile::default()
            };
            let id = CustomerId::parse("cus_1").unwrap();
            let put = later.put_profile(&request, &id, &given).await.unwrap();
            publish(&engine.store, &bus, &Vec::from_iter(put.entry))
                .await
                .unwrap();
        }
        let worth = |from: usize| {
            let told = told(&bus, from).into_iter();
            let told = told.filter(|(name, ..)| name == "mrr_changed");
            told.map(|(_, _, data)| (data["before"]["usd"].clone(), data["after"]["usd"].clone()))
                .collect::<Vec<_>>()
        };
        let from = bus.published().len();
        for minute in [at(end + 60), at(end + 120)] {
            engine.tick(&bus, minute, soon()).await.unwrap();
        }
        let was = if before == 0 {
            Value::Null
        } else {
            json!(before)
        };
        assert_eq!(worth(from), [(was, json!(5_800))]);
        let due = engine.store.contacts().remove(0).due();
        assert!(due.is_none_or(|due| due > at(end + 120)), "{due:?}");
    }
}

/// A subscription that was set to end is told once, three days before; one that goes on after all
/// is told again when it is set to end anew.
#[tokio::test]
async fn three_days_before_its_end_it_is_told_that_a_subscription_ends() {
    let (engine, bus) = (engine(), MemoryBus::default());
    subscribed(&engine, &bus).await;
    let kind = "customer.subscription.updated";
    let leaving = |end: Option<i64>| {
        let mut object = subscription(1, "active", None);
        object["cancel_at"] = json!(end);
        object
    };
    let end = START + 30 * DAY;
    feed(
        &engine,
        &bus,
        "evt_2",
        kind,
        START + DAY,
        leaving(Some(end)),
    )
    .await;
    let expiring = |from: usize| {
        let told = told(&bus, from).into_iter();
        told.filter(|(name, ..)| name == "subscription_expiring")
            .map(|(_, contact, data)| (contact, data))
            .collect::<Vec<_>>()
    };
    let warned = at(end - 3 * DAY);
    engine.tick(&bus, warned.plus(-1), soon()).await.unwrap();
    assert_eq!(expiring(0), []);
    for _ in 0..2 {
        engine.tick(&bus, warned, soon()).await.unwrap();
    }
    engine.tick(&bus, warned.plus(DAY), soon()).await.unwrap();
    let tier = Settings::example().unwrap().default_tier;
    let data = |end: i64, tier: &str| json!({ "subscription": "sub_1", "tier": tier, "cancel_at": at(end).to_string() });
    let told_once = expiring(0);
    assert_eq!(told_once.len(), 1);
    let own = told_once[0].1["tier"].as_str().unwrap().to_owned();
    assert_ne!(own, tier);
    assert_eq!(told_once, [("cus_1".to_owned(), data(end, &own))]);
    let from = bus.published().len();
    let (goes_on, again) = (warned.plus(DAY).unix(), warned.plus(DAY).unix() + 60);
    feed(&engine, &bus, "evt_3", kind, goes_on, leaving(None)).await;
    assert_eq!(expiring(from), []);
    feed(&engine, &bus, "evt_4", kind, again, leaving(Some(end))).await;
    assert_eq!(expiring(from), [("cus_1".to_owned(), data(end, &own))]);
}

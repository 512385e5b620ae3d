//! One entry holds up no other: the minute's tick, and what Stripe calls its events.
use std::time::Duration;

use paygraph_domain::id::StripeCustomerId;
use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::memory::MemoryBus;
use paygraph_testkit::world::price;
use serde_json::json;

use crate::common::{engine, feed, soon, tell, tenant};

const START: i64 = 1_790_000_000;

/// S3: of forty contacts that are due in one minute, one has lost its objects by hand, so that they
/// never fit its digest. It costs two seconds of the minute. The others are computed and told.
#[tokio::test(start_paused = true)]
async fn s3_a_contact_that_never_fits_its_digest_holds_up_no_other() {
    let engine = engine();
    for n in 0..40 {
        let trial = json!({ "id": format!("sub_{n}"), "object": "subscription",
            "customer": format!("cus_{n}"), "status": "active", "currency": "usd",
            "created": START, "start_date": START,
            "items": { "data": [{ "id": "si_1", "price": price(1), "quantity": 1,
                "current_trial": { "end": START + 86_400 } }] } });
        let name = format!("evt_{n}");
        let told = (name.as_str(), "customer.subscription.created", START);
        tell(&engine, soon(), told, &trial).await;
    }
    let lost = StripeCustomerId::parse("cus_17").unwrap();
    engine.store.remove_objects(&tenant(), &lost);
    let ended = Timestamp::from_unix(START + 86_400).unwrap();
    let bus = MemoryBus::default();
    let ticked = engine.tick(&bus, ended, Deadline::after(Duration::from_secs(50)));
    let ticked = ticked.await.unwrap();
    assert_eq!(
        (ticked.contacts, ticked.failed, ticked.unfinished),
        (40, 1, false)
    );
    let told = bus.published();
    let told = told
        .iter()
        .filter(|event| event.detail_type == "mrr_changed");
    assert_eq!(told.count(), 39);
    // The next minute finds that one alone.
    let next = engine.tick(&bus, ended, Deadline::after(Duration::from_secs(50)));
    let next = next.await.unwrap();
    assert_eq!((next.contacts, next.failed), (1, 1));
}

/// S3: the name of a Stripe event that is longer than the bus takes is cut, and the event says so. The
/// whole name is in its data.
#[tokio::test]
async fn s3_a_long_event_type_is_cut_and_marked() {
    let engine = engine();
    let bus = MemoryBus::default();
    let kind = "x".repeat(200);
    let event = json!({ "id": "evt_1", "type": kind, "created": START, "livemode": false,
        "data": { "object": { "id": "obj_1", "object": "thing" } } });
    feed(&engine, &bus, &event.to_string()).await;
    let published = bus.published();
    assert_eq!(published.len(), 1);
    assert_eq!(published[0].detail_type.len(), 128);
    let data = &published[0].detail.data;
    assert_eq!(
        (&data["type"], &data["type_truncated"]),
        (&json!(kind), &json!(true))
    );
    let short = json!({ "id": "evt_2", "type": "thing.updated", "created": START,
        "livemode": false, "data": { "object": { "id": "obj_1", "object": "thing" } } });
    feed(&engine, &bus, &short.to_string()).await;
    let published = bus.published();
    assert_eq!(published[1].detail_type, "stripe.thing.updated");
    assert!(published[1].detail.data.get("type_truncated").is_none());
    let later = Timestamp::from_unix(START).unwrap();
    assert!(engine.store.all_pending(later).is_empty());
}

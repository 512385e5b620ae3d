//! The order of arrival: repeats, bursts within a second, and what comes too late.

use paygraph_domain::fact::Source;
use paygraph_testkit::world::price;
use serde_json::{Value, json};

use super::story::{
    DAY, SHAPES, START, Story, ended, invoice, item, items_of, paid, set, subscription,
};

fn pro(quantity: u64) -> Value {
    items_of(vec![item("si_1", price(1), quantity)])
}

/// D1, D3, D10: a change is told by its first event; repeats and other ids say nothing, whatever
/// the ids sort like.
#[test]
fn d1_d3_d10_one_change_is_told_once_by_whatever_ids() {
    let mut story = Story::new();
    let mut held = subscription("sub_1", "active", vec![item("si_1", price(1), 1)]);
    story.send("customer.subscription.created", &held);
    story.pass(DAY);
    let told = story.update(
        "customer.subscription.updated",
        &mut held,
        json!({ "items": pro(2) }),
    );
    assert_eq!(told, ["subscription_updated quantity", "mrr_changed"]);
    for _ in 0..3 {
        assert_eq!(story.again(), [""; 0]);
    }
    assert_eq!(story.said("mrr_changed").len(), 2);
    story.ends_the_same();
}

/// D7, D9: an update before the creation, and old events late, in state as in what is told.
#[test]
fn d7_d9_what_is_older_changes_nothing() {
    for shape in SHAPES {
        let mut story = Story::of(shape);
        let first = subscription("sub_1", "trialing", vec![item("si_1", price(1), 1)]);
        let mut second = first.clone();
        set(&mut second, json!({ "status": "active", "items": pro(2) }));
        story.pass(DAY);
        assert_eq!(
            story.send("customer.subscription.updated", &second),
            [
                "subscription_created",
                "billing_status_changed active",
                "mrr_changed",
                "access_changed full",
                "segment_entered tier_pro"
            ]
        );
        story.pass(-DAY);
        assert_eq!(story.send("customer.subscription.created", &first), [""; 0]);
        story.pass(3_600);
        assert_eq!(story.send("customer.subscription.updated", &first), [""; 0]);
        story.pass(DAY);
        assert_eq!(
            story.brief(),
            json!(["active", "pro", { "usd": 11_600 }, "full"])
        );
        story.ends_the_same();
    }
}

/// D8: a whole sign-up within one second.
#[test]
fn d8_a_sign_up_burst_comes_to_one_end() {
    for shape in SHAPES {
        let mut story = Story::of(shape);
        let mut customer = json!({
            "id": "cus_1", "object": "customer", "created": START, "email": "ada@example.com",
            "name": "Ada", "metadata": {}, "invoice_settings": { "default_payment_method": null },
        });
        let mut held = subscription("sub_1", "incomplete", vec![item("si_1", price(1), 1)]);
        let mut first = invoice("in_1", "sub_1", 5_800, START);
        set(
            &mut first,
            json!({ "status": "draft", "billing_reason": "subscription_create" }),
        );
        let method = json!({
            "id": "pm_1", "object": "payment_method", "type": "card", "customer": "cus_1",
            "card": { "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2030 },
        });
        story.send("customer.created", &customer);
        story.send("customer.subscription.created", &held);
        story.send("invoice.created", &first);
        story.update("invoice.finalized", &mut first, json!({ "status": "open" }));
        story.send("payment_method.attached", &method);
        let default = json!({ "invoice_settings": { "default_payment_method": "pm_1" } });
        story.update("customer.updated", &mut customer, default);
        let fields = paid(&first, START);
        story.update("invoice.updated", &mut first, fields);
        story.send("invoice.paid", &first);
        story.send("invoice.payment_succeeded", &first);
        let fields = json!({ "status": "active", "latest_invoice": "in_1" });
        story.update("customer.subscription.updated", &mut held, fields);
        let fields = json!({ "default_payment_method": "pm_1" });
        story.update("customer.subscription.updated", &mut held, fields);
        assert_eq!(
            story.brief(),
            json!(["active", "pro", { "usd": 5_800 }, "full"])
        );
        assert_eq!(story.invoice("in_1")["status"], "paid");
        assert_eq!(story.billing()["lifetime_value"], json!({ "usd": 5_800 }));
        assert_eq!(story.billing()["payment_method"]["last4"], "4242");
        assert_eq!(story.needs_refetch(), json!([]));
        for (name, times) in [
            ("customer_created", 1),
            ("subscription_created", 1),
            ("payment_succeeded", 1),
            ("mrr_changed", 1),
            ("billing_status_changed", 2),
        ] {
            assert_eq!(story.said(name).len(), times, "{name}");
        }
        story.ends_the_same();
    }
}

/// D8: there and back within the second of the creation: the events themselves tell the end.
#[test]
fn d8_there_and_back_within_one_second() {
    let mut story = Story::new();
    let mut held = subscription("sub_1", "active", vec![item("si_1", price(1), 1)]);
    story.send("customer.subscription.created", &held);
    story.update(
        "customer.subscription.updated",
        &mut held,
        json!({ "items": pro(3) }),
    );
    assert_eq!(story.billing()["mrr"], json!({ "usd": 17_400 }));
    story.update(
        "customer.subscription.updated",
        &mut held,
        json!({ "items": pro(1) }),
    );
    assert_eq!(story.billing()["mrr"], json!({ "usd": 5_800 }));
    assert_eq!(story.needs_refetch(), json!([]));
    story.ends_the_same();
}

/// D8: there and back in a later second: what was before that second tells where it began, so the
/// end is told. There, back and there again is not: two events may tell one change (D3). The guess
/// is then the same in every order, and the subscription is named for a fetch.
#[test]
fn d8_what_events_cannot_tell_is_named_for_a_fetch() {
    let mut story = Story::new();
    let mut held = subscription("sub_1", "active", vec![item("si_1", price(1), 1)]);
    story.send("customer.subscription.created", &held);
    story.pass(DAY);
    story.update(
        "customer.subscription.updated",
        &mut held,
        json!({ "items": pro(3) }),
    );
    assert_eq!(story.needs_refetch(), json!([]));
    story.update(
        "customer.subscription.updated",
        &mut held,
        json!({ "items": pro(1) }),
    );
    assert_eq!(story.needs_refetch(), json!([]));
    assert_eq!(story.billing()["mrr"], json!({ "usd": 5_800 }));
    story.ends_the_same();
    story.update(
        "customer.subscription.updated",
        &mut held,
        json!({ "items": pro(3) }),
    );
    assert_eq!(story.needs_refetch(), json!(["sub_1"]));
    story.ends_the_same();
    // Any later second settles it.
    story.pass(1);
    story.update(
        "customer.subscription.updated",
        &mut held,
        json!({ "metadata": { "a": "b" } }),
    );
    assert_eq!(story.needs_refetch(), json!([]));
    assert_eq!(story.billing()["mrr"], json!({ "usd": 17_400 }));
    story.ends_the_same();
}

/// D13: the old subscription ends after the new one began: the customer stays on the new one.
#[test]
fn d13_the_end_of_an_old_subscription_leaves_the_new_one() {
    for shape in SHAPES {
        let mut story = Story::of(shape);
        let mut old = subscription("sub_9", "active", vec![item("si_1", price(1), 1)]);
        story.send("customer.subscription.created", &old);
        story.pass(DAY);
        let mut new = subscription("sub_1", "active", vec![item("si_2", price(2), 1)]);
        set(
            &mut new,
            json!({ "created": story.now(), "start_date": story.now() }),
        );
        story.send("customer.subscription.created", &new);
        assert_eq!(story.billing()["mrr"], json!({ "usd": 15_700 }));
        story.pass(60);
        set(&mut old, ended(story.now(), "cancellation_requested"));
        assert_eq!(
            story.send("customer.subscription.deleted", &old),
            ["subscription_canceled", "mrr_changed"]
        );
        assert_eq!(
            story.brief(),
            json!(["active", "team", { "usd": 9_900 }, "full"])
        );
        assert!(!story.is_in("churned"));
        assert_eq!(
            story.billing()["subscription_start_date"],
            super::story::rfc(START + DAY)
        );
        story.ends_the_same();
    }
}

/// D14: nothing revives what is canceled or expired, not even with a later second.
#[test]
fn d14_final_states_take_in_whatever_comes() {
    let ends = [
        ("customer.subscription.deleted", "canceled"),
        ("customer.subscription.updated", "incomplete_expired"),
    ];
    for (kind, status) in ends {
        let mut story = Story::new();
        let alive = subscription("sub_1", "active", vec![item("si_1", price(1), 1)]);
        let mut over = alive.clone();
        set(&mut over, ended(START, "cancellation_requested"));
        set(&mut over, json!({ "status": status }));
        story.send(kind, &over);
        let shown = story.shown();
        let told = story.said("subscription_created").len();
        for seconds in [-60, 60, DAY] {
            story.pass(seconds);
            assert_eq!(story.send("customer.subscription.updated", &alive), [""; 0]);
            assert_eq!(story.send("customer.subscription.created", &alive), [""; 0]);
        }
        assert_eq!(told, 0);
        assert_eq!(story.shown()["subscriptions"], shown["subscriptions"]);
        assert_eq!(story.billing()["billing_status"], status);
        assert_eq!(story.billing()["mrr"], json!({}));
        story.ends_the_same();
    }
}

/// D15: what another path brings is held against the same version: an older page changes nothing.
#[test]
fn d15_an_older_page_does_not_undo_a_live_event() {
    let mut story = Story::new();
    let mut held = subscription("sub_1", "active", vec![item("si_1", price(1), 1)]);
    let page = held.clone();
    story.send("customer.subscription.created", &held);
    story.pass(60);
    story.update(
        "customer.subscription.updated",
        &mut held,
        json!({ "items": pro(2) }),
    );
    for source in [Source::Reconcile, Source::Backfill] {
        let kind = "customer.subscription.updated";
        assert_eq!(story.bring(source, kind, START + 30, &page), [""; 0]);
        assert_eq!(story.billing()["mrr"], json!({ "usd": 11_600 }));
    }
}

/// D16: two paths notice one transition: the first to commit it tells it.
#[test]
fn d16_one_transition_seen_by_two_paths_is_told_once() {
    for live_first in [true, false] {
        let mut story = Story::new();
        let mut held = subscription("sub_1", "active", vec![item("si_1", price(1), 1)]);
        story.send("customer.subscription.created", &held);
        story.pass(60);
        let (kind, at) = ("customer.subscription.updated", story.now());
        let mut fetched = held.clone();
        set(&mut fetched, json!({ "status": "past_due" }));
        let by_live = |story: &mut Story, held: &mut Value| {
            story.update(kind, held, json!({ "status": "past_due" }))
        };
        let (first, second) = if live_first {
            let first = by_live(&mut story, &mut held);
            (
                first,
                story.bring(Source::Reconcile, kind, at + 1, &fetched),
            )
        } else {
            let first = story.bring(Source::Reconcile, kind, at + 1, &fetched);
            (first, by_live(&mut story, &mut held))
        };
        assert_eq!(
            first[..2],
            ["subscription_past_due", "billing_status_changed past_due"]
        );
        assert_eq!(second, [""; 0]);
    }
}

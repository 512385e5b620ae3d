//! Trials: begun, shortened, converted, or over without a card.

use paygraph_testkit::world::price;
use serde_json::{Value, json};

use super::story::{
    DAY, SHAPES, START, Shape, Story, ended, invoice, item, paid, rfc, set, subscription,
};

/// A customer in a trial of pro for fourteen days.
fn trial(shape: Shape) -> (Story, Value) {
    let mut story = Story::of(shape);
    let mut held = subscription("sub_1", "trialing", vec![item("si_1", price(1), 1)]);
    set(
        &mut held,
        json!({ "trial_start": START, "trial_end": START + 14 * DAY }),
    );
    assert_eq!(
        story.send("customer.subscription.created", &held),
        [
            "subscription_created",
            "trial_started",
            "billing_status_changed trialing",
            "access_changed full",
            "segment_entered tier_pro"
        ]
    );
    assert_eq!(story.brief(), json!(["trialing", "pro", {}, "full"]));
    assert_eq!(story.billing()["trial_end_date"], rfc(START + 14 * DAY));
    assert_eq!(story.said("trial_started")[0]["trial_days"], 14);
    // The first invoice of a trial is about nothing, and nothing was paid.
    let mut nothing = invoice("in_1", "sub_1", 0, START);
    let fields = paid(&nothing, START);
    assert_eq!(story.update("invoice.paid", &mut nothing, fields), [""; 0]);
    (story, held)
}

/// L16: announced once three days before, in the segment by time alone, and converted once.
#[test]
fn l16_a_trial_is_announced_once_and_converts_once() {
    for shape in SHAPES {
        let (mut story, mut held) = trial(shape);
        story.pass(11 * DAY - 1);
        assert_eq!(story.tick(), [""; 0]);
        story.pass(1);
        let will_end = "customer.subscription.trial_will_end";
        assert_eq!(
            story.send(will_end, &held),
            [will_end, "segment_entered trial_expiring"]
        );
        assert_eq!(story.again(), [""; 0], "told by two ids");
        assert_eq!(story.tick(), [""; 0]);
        assert!(story.is_in("trial_expiring"));
        assert_eq!(story.said(will_end)[0]["trial_end"], rfc(START + 14 * DAY));
        story.ends_the_same();

        story.pass(3 * DAY);
        let told = story.update(
            "customer.subscription.updated",
            &mut held,
            json!({ "status": "active" }),
        );
        assert_eq!(
            told,
            [
                "trial_converted",
                "billing_status_changed active",
                "mrr_changed",
                "segment_left trial_expiring"
            ]
        );
        assert_eq!(story.again(), [""; 0]);
        assert_eq!(
            story.brief(),
            json!(["active", "pro", { "usd": 5_800 }, "full"])
        );
        assert_eq!(
            story.billing()["trial_end_date"],
            rfc(START + 14 * DAY),
            "stays as history"
        );
        story.ends_the_same();
    }
}

/// L16: shortened below three days, it is announced at once, and not again for the old end.
#[test]
fn l16_a_trial_that_is_shortened_is_announced_once() {
    for shape in SHAPES {
        let (mut story, mut held) = trial(shape);
        story.pass(5 * DAY);
        let end = story.now() + DAY;
        let fields = json!({ "trial_end": end });
        let told = story.update("customer.subscription.updated", &mut held, fields);
        assert_eq!(told, ["segment_entered trial_expiring"]);
        let will_end = "customer.subscription.trial_will_end";
        assert_eq!(story.send(will_end, &held), [will_end]);
        assert_eq!(story.again(), [""; 0]);
        assert_eq!(story.billing()["trial_end_date"], rfc(end));
        assert_eq!(story.said(will_end)[0]["trial_end"], rfc(end));
        story.pass(DAY);
        story.update(
            "customer.subscription.updated",
            &mut held,
            json!({ "status": "active" }),
        );
        assert_eq!(story.said("trial_converted").len(), 1);
        assert_eq!(story.said(will_end).len(), 1);
        story.ends_the_same();
    }
}

/// L16: made longer after it was announced, its new end is announced too, once.
#[test]
fn l16_a_trial_that_is_extended_is_announced_for_each_end() {
    let (mut story, mut held) = trial(Shape::New);
    let will_end = "customer.subscription.trial_will_end";
    story.pass(11 * DAY);
    story.send(will_end, &held);
    story.pass(DAY);
    let fields = json!({ "trial_end": START + 21 * DAY });
    let told = story.update("customer.subscription.updated", &mut held, fields);
    assert_eq!(told, ["segment_left trial_expiring"]);
    story.pass(6 * DAY);
    assert_eq!(
        story.send(will_end, &held),
        [will_end, "segment_entered trial_expiring"]
    );
    assert_eq!(story.again(), [""; 0]);
    assert_eq!(story.said(will_end).len(), 2);
    story.ends_the_same();
}

/// L16: over without a card, paused: restricted, not converted, not churned; and it comes back.
#[test]
fn l16_a_trial_without_a_card_is_paused() {
    let (mut story, mut held) = trial(Shape::New);
    story.pass(14 * DAY);
    let told = story.update(
        "customer.subscription.paused",
        &mut held,
        json!({ "status": "paused" }),
    );
    assert_eq!(
        told,
        [
            "subscription_paused",
            "billing_status_changed paused",
            "access_changed restricted"
        ]
    );
    assert_eq!(story.send("customer.subscription.updated", &held), [""; 0]);
    assert_eq!(story.brief(), json!(["paused", "pro", {}, "restricted"]));
    assert!(!story.is_in("churned"));
    assert_eq!(story.billing()["next_invoice_date"], Value::Null);
    story.ends_the_same();

    story.pass(DAY);
    let told = story.update(
        "customer.subscription.resumed",
        &mut held,
        json!({ "status": "active" }),
    );
    assert_eq!(
        told,
        [
            "subscription_resumed",
            "billing_status_changed active",
            "mrr_changed",
            "access_changed full"
        ]
    );
    assert_eq!(story.said("trial_converted"), [Value::Null; 0]);
    story.ends_the_same();
}

/// L16: over without a card, canceled.
#[test]
fn l16_a_trial_without_a_card_is_canceled() {
    for shape in SHAPES {
        let (mut story, mut held) = trial(shape);
        story.pass(14 * DAY);
        set(&mut held, ended(START + 14 * DAY, "cancellation_requested"));
        let told = story.send("customer.subscription.deleted", &held);
        assert_eq!(
            told[..3],
            [
                "subscription_canceled",
                "billing_status_changed canceled",
                "access_changed none"
            ]
        );
        assert_eq!(
            story.said("subscription_canceled")[0]["mrr_before"],
            json!({})
        );
        assert_eq!(
            story.said("mrr_changed"),
            [Value::Null; 0],
            "a trial was never revenue"
        );
        assert_eq!(story.said("trial_converted"), [Value::Null; 0]);
        assert_eq!(story.brief(), json!(["canceled", "free", {}, "none"]));
        assert_eq!(story.billing()["trial_end_date"], rfc(START + 14 * DAY));
        story.ends_the_same();
    }
}

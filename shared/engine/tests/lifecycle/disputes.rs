//! Money that is asked back, and money that is given back.

use paygraph_testkit::world::price;
use serde_json::{Value, json};

use super::story::{DAY, START, Story, charge, item, rfc, subscription};

fn dispute(id: &str, status: &str, created: i64) -> Value {
    json!({
        "id": id, "object": "dispute", "charge": "ch_1", "payment_intent": "pi_ch_1",
        "amount": 2_000, "currency": "usd", "status": status, "reason": "fraudulent",
        "created": created,
    })
}

/// A customer on pro with one charge of 58.00.
fn charged() -> (Story, Value) {
    let mut story = Story::new();
    let held = subscription("sub_1", "active", vec![item("si_1", price(1), 1)]);
    story.send("customer.subscription.created", &held);
    let paid = charge("ch_1", 5_800);
    assert_eq!(story.send("charge.succeeded", &paid), [""; 0]);
    story.pass(DAY);
    (story, paid)
}

/// L10: each dispute of one charge is a signal of its own, and leaves by itself when it is won.
#[test]
fn l10_every_dispute_is_a_signal_and_won_clears_it() {
    let (mut story, _) = charged();
    let mut first = dispute("dp_1", "needs_response", story.now());
    assert_eq!(
        story.send("charge.dispute.created", &first),
        [
            "dispute_opened",
            "risk_signal_raised dispute",
            "health_score_changed"
        ]
    );
    story.pass(DAY);
    let mut second = dispute("dp_2", "needs_response", story.now());
    assert_eq!(
        story.send("charge.dispute.created", &second),
        ["dispute_opened", "risk_signal_raised dispute"]
    );
    assert_eq!(story.signals(), ["dispute", "dispute"]);
    let signals = story.customer()["risk_signals"].clone();
    assert_eq!(signals[0]["object"], "dp_1");
    assert_eq!(signals[0]["since"], rfc(START + DAY));
    assert_eq!(signals[1]["evidence"]["amount"], json!({ "usd": 2_000 }));
    story.ends_the_same();

    story.pass(DAY);
    let answered = json!({ "status": "under_review" });
    assert_eq!(
        story.update("charge.dispute.updated", &mut first, answered),
        [""; 0]
    );
    story.pass(DAY);
    assert_eq!(
        story.update(
            "charge.dispute.closed",
            &mut first,
            json!({ "status": "won" })
        ),
        ["dispute_closed", "risk_signal_cleared dispute"]
    );
    assert_eq!(story.again(), [""; 0]);
    assert_eq!(story.signals(), ["dispute"]);
    story.pass(DAY);
    assert_eq!(
        story.update(
            "charge.dispute.closed",
            &mut second,
            json!({ "status": "lost" })
        ),
        [
            "dispute_closed",
            "risk_signal_cleared dispute",
            "health_score_changed"
        ]
    );
    assert_eq!(story.signals(), [""; 0]);
    assert_eq!(story.customer()["health_score"], 100);
    assert_eq!(
        story.brief(),
        json!(["active", "pro", { "usd": 5_800 }, "full"])
    );
    let closed = story.said("dispute_closed");
    assert_eq!(
        [&closed[0]["status"], &closed[1]["status"]],
        ["won", "lost"]
    );
    story.ends_the_same();
}

/// L10: an inquiry is no dispute, until it becomes one.
#[test]
fn l10_an_inquiry_is_no_dispute() {
    let (mut story, _) = charged();
    let mut asked = dispute("dp_1", "warning_needs_response", story.now());
    assert_eq!(story.send("charge.dispute.created", &asked), [""; 0]);
    story.pass(DAY);
    let fields = json!({ "status": "warning_under_review" });
    assert_eq!(
        story.update("charge.dispute.updated", &mut asked, fields),
        [""; 0]
    );
    let mut closed = asked.clone();
    let mut elsewhere = Story::new();
    elsewhere.send("charge.succeeded", &charge("ch_1", 5_800));
    let fields = json!({ "status": "warning_closed" });
    elsewhere.pass(2 * DAY);
    assert_eq!(
        elsewhere.update("charge.dispute.closed", &mut closed, fields),
        [""; 0]
    );
    assert_eq!(elsewhere.signals(), [""; 0]);
    elsewhere.ends_the_same();

    assert_eq!(story.signals(), [""; 0]);
    assert_eq!(story.customer()["health_score"], 100);
    story.pass(DAY);
    let fields = json!({ "status": "needs_response" });
    assert_eq!(
        story.update("charge.dispute.updated", &mut asked, fields),
        [
            "dispute_opened",
            "risk_signal_raised dispute",
            "health_score_changed"
        ]
    );
    assert_eq!(story.signals(), ["dispute"]);
    story.ends_the_same();
}

/// L11: refunds add up, each told with what it gave back and the sum, from either kind of event.
#[test]
fn l11_refunds_are_cumulative_and_exact() {
    let (mut story, mut paid) = charged();
    // In older API versions the invoice brings the amount; here the money comes with a checkout.
    let session = json!({
        "id": "cs_1", "object": "checkout.session", "customer": "cus_1", "mode": "payment",
        "status": "complete", "payment_status": "paid", "currency": "usd", "amount_total": 5_800,
        "client_reference_id": null, "metadata": {}, "created": START, "invoice": null,
        "subscription": null, "payment_intent": "pi_ch_1",
    });
    story.send("checkout.session.completed", &session);
    assert_eq!(story.billing()["lifetime_value"], json!({ "usd": 5_800 }));
    let refund = |id: &str, amount: i64| {
        json!({ "id": id, "object": "refund", "charge": "ch_1", "payment_intent": "pi_ch_1",
            "amount": amount, "currency": "usd", "status": "succeeded" })
    };
    story.pass(DAY);
    let fields = json!({ "amount_refunded": 1_999 });
    assert_eq!(
        story.update("charge.refunded", &mut paid, fields),
        ["refund_issued"]
    );
    assert_eq!(
        story.send("refund.created", &refund("re_1", 1_999)),
        [""; 0]
    );
    assert_eq!(story.billing()["lifetime_value"], json!({ "usd": 3_801 }));
    story.ends_the_same();

    story.pass(DAY);
    assert_eq!(
        story.send("refund.created", &refund("re_2", 3_801)),
        ["refund_issued"]
    );
    let fields = json!({ "amount_refunded": 5_800, "refunded": true });
    assert_eq!(story.update("charge.refunded", &mut paid, fields), [""; 0]);
    assert_eq!(story.billing()["lifetime_value"], json!({}));
    let said = story.said("refund_issued");
    let amounts: Vec<_> = said
        .iter()
        .map(|r| [&r["amount"], &r["amount_refunded"]])
        .collect();
    let usd = |minor: i64| json!({ "usd": minor });
    assert_eq!(
        amounts,
        [[&usd(1_999), &usd(1_999)], [&usd(3_801), &usd(5_800)]]
    );
    // Giving money back changes no subscription.
    assert_eq!(
        story.brief(),
        json!(["active", "pro", { "usd": 5_800 }, "full"])
    );
    story.ends_the_same();
}

/// L11: a refund that did not go through was none.
/// Stripe counts what was only held on a card, and let go, as given back.
#[test]
fn l11_what_was_only_held_is_not_given_back() {
    let (mut story, _) = charged();
    let held = json!({ "id": "ch_held", "object": "charge", "customer": "cus_1", "status": "succeeded",
        "currency": "usd", "amount": 5_000, "amount_captured": 0, "amount_refunded": 0, "captured": false,
        "payment_intent": "pi_held", "created": START });
    let mut let_go = held.clone();
    story.send("charge.succeeded", &held);
    story.pass(7 * DAY);
    let all = json!({ "amount_refunded": 5_000, "refunded": true });
    story.update("charge.expired", &mut let_go, all);
    let refund = json!({ "id": "re_held", "object": "refund", "charge": "ch_held",
        "payment_intent": "pi_held", "amount": 5_000, "currency": "usd", "status": "succeeded",
        "reason": "expired_uncaptured_charge" });
    story.send("refund.created", &refund);
    let mut part = held.clone();
    part["id"] = json!("ch_part");
    story.send("charge.succeeded", &part);
    let fields = json!({ "captured": true, "amount_captured": 3_000, "amount_refunded": 2_000 });
    story.update("charge.captured", &mut part, fields);
    assert_eq!(story.said("refund_issued").len(), 0);
    let fields = json!({ "amount_refunded": 2_500 });
    story.update("charge.refunded", &mut part, fields);
    let told = story.said("refund_issued");
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["amount"], json!({ "usd": 500 }));
    story.ends_the_same();
}

/// L11: the rest of a hold that was captured in part comes as a refund of its own, and so does a hold
/// that was canceled. Neither gives anything back.
#[test]
fn l11_the_refund_of_a_hold_gives_nothing_back() {
    let (mut story, _) = charged();
    let before = story.billing()["lifetime_value"].clone();
    let held = |id: &str| {
        json!({ "id": id, "object": "charge", "customer": "cus_1", "status": "succeeded",
            "currency": "usd", "amount": 5_000, "amount_captured": 0, "amount_refunded": 0,
            "captured": false, "payment_intent": "pi_held", "created": START })
    };
    let refund = |charge: &str, amount: i64| {
        json!({ "id": format!("re_{charge}"), "object": "refund", "charge": charge,
            "payment_intent": "pi_held", "amount": amount, "currency": "usd",
            "status": "succeeded" })
    };
    let (mut part, mut canceled) = (held("ch_part"), held("ch_canceled"));
    story.send("charge.succeeded", &part);
    story.send("charge.succeeded", &canceled);
    story.pass(DAY);
    let fields = json!({ "captured": true, "amount_captured": 3_000, "amount_refunded": 2_000 });
    story.update("charge.captured", &mut part, fields);
    story.send("refund.created", &refund("ch_part", 2_000));
    let fields = json!({ "amount_refunded": 5_000, "refunded": true });
    story.update("charge.refunded", &mut canceled, fields);
    story.send("refund.created", &refund("ch_canceled", 5_000));
    assert_eq!(story.said("refund_issued").len(), 0);
    let paid = before["usd"].as_i64().unwrap() + 3_000;
    assert_eq!(story.billing()["lifetime_value"], json!({ "usd": paid }));
    story.ends_the_same();
}

#[test]
fn l11_a_refund_that_failed_is_taken_back() {
    let (mut story, mut paid) = charged();
    let mut refund = json!({ "id": "re_1", "object": "refund", "charge": "ch_1",
        "payment_intent": "pi_ch_1", "amount": 1_000, "currency": "usd", "status": "succeeded" });
    story.update(
        "charge.refunded",
        &mut paid,
        json!({ "amount_refunded": 1_000 }),
    );
    story.send("refund.created", &refund);
    story.pass(DAY);
    story.update("refund.failed", &mut refund, json!({ "status": "failed" }));
    story.update("charge.updated", &mut paid, json!({ "amount_refunded": 0 }));
    assert_eq!(story.said("refund_issued").len(), 1);
    assert_eq!(story.billing()["lifetime_value"], json!({ "usd": 5_800 }));
    story.ends_the_same();
}

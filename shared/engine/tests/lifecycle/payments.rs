//! Payments that fail, are tried again, are given up, and come after all.

use paygraph_testkit::world::price;
use serde_json::{Value, json};

use super::story::{
    DAY, MONTH, SHAPES, START, Shape, Story, charge, ended, failed, invoice, item, paid, rfc, set,
    subscription,
};

/// A customer on pro whose second invoice fails at its first attempt: the story, with the
/// subscription and the invoice.
fn failing(shape: Shape) -> (Story, Value, Value) {
    let mut story = Story::of(shape);
    let mut held = subscription("sub_1", "active", vec![item("si_1", price(1), 1)]);
    let mut first = invoice("in_1", "sub_1", 5_800, START);
    story.send("customer.subscription.created", &held);
    let fields = paid(&first, START);
    assert_eq!(
        story.update("invoice.paid", &mut first, fields),
        ["payment_succeeded"]
    );
    story.pass(MONTH);
    held["items"]["data"][0]["current_period_start"] = json!(START + MONTH);
    held["items"]["data"][0]["current_period_end"] = json!(START + 2 * MONTH);
    let mut second = invoice("in_2", "sub_1", 5_800, START + MONTH);
    story.send("customer.subscription.updated", &held);
    story.send("invoice.created", &second);
    story.pass(3_600);
    let mut declined = charge("ch_2", 5_800);
    set(
        &mut declined,
        json!({ "status": "failed", "failure_code": "card_declined", "created": story.now() }),
    );
    assert_eq!(story.send("charge.failed", &declined), [""; 0]);
    let fields = failed(&second, Some(story.now() + 3 * DAY));
    assert_eq!(
        story.update("invoice.payment_failed", &mut second, fields),
        [
            "invoice.payment_failed",
            "risk_signal_raised failed_payment",
            "risk_signal_raised dunning",
            "health_score_changed",
            "segment_entered failed_payment",
            "segment_entered paying_with_failed_payment"
        ]
    );
    let fields = json!({ "status": "past_due" });
    assert_eq!(
        story.update("customer.subscription.updated", &mut held, fields),
        [
            "subscription_past_due",
            "billing_status_changed past_due",
            "access_changed grace",
            "risk_signal_raised past_due",
            "health_score_changed"
        ]
    );
    (story, held, second)
}

/// When the grace of that first failure ends.
const GRACE_ENDS: i64 = START + MONTH + 3_600 + 14 * DAY;

/// L6: past due and in grace from the first failed attempt; nothing that comes later moves that.
#[test]
fn l6_grace_begins_with_the_first_failure_and_retries_do_not_extend_it() {
    for shape in SHAPES {
        let (mut story, _held, mut open) = failing(shape);
        assert_eq!(
            story.brief(),
            json!(["past_due", "pro", { "usd": 5_800 }, "grace"])
        );
        assert_eq!(story.billing()["access"]["until"], rfc(GRACE_ENDS));
        assert_eq!(story.signals(), ["failed_payment", "dunning", "past_due"]);
        let said = &story.said("invoice.payment_failed")[0];
        assert_eq!(said["decline_code"], "card_declined");
        assert_eq!(said["attempt_count"], 1);
        assert_eq!(story.again(), [""; 0]);
        story.ends_the_same();

        for (attempt, next) in [(2, 9), (3, 12)] {
            story.pass(3 * DAY);
            let fields = failed(&open, Some(START + MONTH + next * DAY));
            let told = story.update("invoice.payment_failed", &mut open, fields);
            assert_eq!(told, ["invoice.payment_failed"]);
            // The same attempt under another id, and as an update of the invoice.
            assert_eq!(story.again(), [""; 0]);
            assert_eq!(story.send("invoice.updated", &open), [""; 0]);
            assert_eq!(story.said("invoice.payment_failed").len(), attempt);
            assert_eq!(story.billing()["access"]["until"], rfc(GRACE_ENDS));
        }
        let shown = story.invoice("in_2");
        assert_eq!(shown["attempt_count"], 3);
        assert_eq!(shown["attempts"].as_array().unwrap().len(), 3);
        assert_eq!(shown["next_payment_attempt"], rfc(START + MONTH + 12 * DAY));
        for signal in story.customer()["risk_signals"].as_array().unwrap() {
            assert_eq!(signal["since"], rfc(START + MONTH + 3_600), "{signal}");
        }
        story.ends_the_same();
    }
}

/// L6: a next attempt after the days of grace moves the end there.
#[test]
fn l6_grace_lasts_until_a_later_attempt() {
    let (mut story, _held, mut open) = failing(Shape::New);
    story.pass(3 * DAY);
    let fields = failed(&open, Some(GRACE_ENDS + 5 * DAY));
    story.update("invoice.payment_failed", &mut open, fields);
    assert_eq!(
        story.billing()["access"]["until"],
        rfc(GRACE_ENDS + 5 * DAY)
    );
    story.ends_the_same();
}

/// L4, L7: the first card is declined at the sign-up. Stripe makes no retries for a first invoice, so
/// there are none to be exhausted, and nobody to be alarmed about.
#[test]
fn l4_l7_a_declined_sign_up_exhausts_nothing() {
    for shape in SHAPES {
        let mut story = Story::of(shape);
        let mut never = subscription("sub_1", "incomplete", vec![item("si_1", price(1), 1)]);
        let mut first = invoice("in_1", "sub_1", 5_800, START);
        let reason =
            json!({ "billing_reason": "subscription_create", "next_payment_attempt": null });
        set(&mut first, reason);
        story.send("customer.subscription.created", &never);
        story.send("invoice.finalized", &first);
        story.pass(2);
        let fields = failed(&first, None);
        let told = story.update("invoice.payment_failed", &mut first, fields);
        assert_eq!(told[0], "invoice.payment_failed");
        assert_eq!(story.said("payment_retries_exhausted"), [Value::Null; 0]);
        story.ends_the_same();
        story.pass(23 * 3_600);
        let fields = json!({ "status": "incomplete_expired", "ended_at": story.now() });
        set(&mut never, fields);
        story.send("customer.subscription.updated", &never);
        story.update("invoice.voided", &mut first, json!({ "status": "void" }));
        assert_eq!(story.said("payment_retries_exhausted"), [Value::Null; 0]);
        assert_eq!(
            story.brief(),
            json!(["incomplete_expired", "free", {}, "none"])
        );
        story.ends_the_same();
    }
}

/// L7: an event that does not tell why there is an invoice wipes nothing.
#[test]
fn l7_why_there_is_an_invoice_is_not_forgotten() {
    let mut story = Story::new();
    let mut first = invoice("in_1", "sub_1", 5_800, START);
    set(
        &mut first,
        json!({ "billing_reason": "subscription_create" }),
    );
    story.send("invoice.finalized", &first);
    story.pass(2);
    let fields = failed(&first, None);
    set(&mut first, fields);
    first.as_object_mut().unwrap().remove("billing_reason");
    story.send("invoice.payment_failed", &first);
    assert_eq!(story.said("payment_retries_exhausted"), [Value::Null; 0]);
}

/// L7: the last attempt fails: restricted at once, one alert's worth of news; and the end says why.
#[test]
fn l7_retries_are_exhausted_once_and_the_end_says_why() {
    for shape in SHAPES {
        let (mut story, mut held, mut open) = failing(shape);
        story.pass(7 * DAY);
        let fields = failed(&open, None);
        assert_eq!(
            story.update("invoice.payment_failed", &mut open, fields),
            [
                "invoice.payment_failed",
                "payment_retries_exhausted",
                "access_changed restricted",
                "risk_signal_cleared dunning",
                "health_score_changed"
            ]
        );
        assert_eq!(story.again(), [""; 0]);
        assert_eq!(story.send("invoice.updated", &open), [""; 0]);
        assert_eq!(
            story.brief(),
            json!(["past_due", "pro", { "usd": 5_800 }, "restricted"])
        );
        assert_eq!(story.signals(), ["failed_payment", "past_due"]);
        assert_eq!(story.said("payment_retries_exhausted").len(), 1);
        story.ends_the_same();

        let fields = ended(story.now(), "payment_failed");
        set(&mut held, fields);
        let told = story.send("customer.subscription.deleted", &held);
        assert_eq!(
            told[..4],
            [
                "subscription_canceled",
                "billing_status_changed canceled",
                "mrr_changed",
                "access_changed none"
            ]
        );
        assert!(told.contains(&"segment_entered churned".to_owned()));
        let canceled = &story.said("subscription_canceled")[0];
        assert_eq!(canceled["reason"], "payment_failed");
        assert_eq!(canceled["mrr_before"], json!({ "usd": 5_800 }));
        assert_eq!(story.brief(), json!(["canceled", "free", {}, "none"]));
        assert!(!story.is_in("paying_with_failed_payment"));
        story.ends_the_same();
    }
}

/// L7: an account that leaves it unpaid, or past due for good.
#[test]
fn l7_unpaid_is_restricted() {
    let (mut story, mut held, mut open) = failing(Shape::New);
    story.pass(7 * DAY);
    let fields = failed(&open, None);
    story.update("invoice.payment_failed", &mut open, fields);
    let told = story.update(
        "customer.subscription.updated",
        &mut held,
        json!({ "status": "unpaid" }),
    );
    assert_eq!(
        told,
        [
            "billing_status_changed unpaid",
            "mrr_changed",
            "segment_left paying_with_failed_payment"
        ]
    );
    assert_eq!(story.brief(), json!(["unpaid", "pro", {}, "restricted"]));
    story.ends_the_same();
}

/// L7: a sent invoice has no automatic attempts, so that none is no exhaustion.
#[test]
fn l7_an_invoice_that_was_sent_is_not_exhausted() {
    let mut story = Story::new();
    let mut sent = invoice("in_1", "sub_1", 5_800, START);
    set(
        &mut sent,
        json!({ "collection_method": "send_invoice", "next_payment_attempt": null,
            "due_date": START + MONTH, "attempt_count": 0 }),
    );
    story.send("invoice.finalized", &sent);
    story.pass(DAY);
    // A payment by hand that was declined.
    story.update(
        "invoice.payment_failed",
        &mut sent,
        json!({ "attempt_count": 1 }),
    );
    assert_eq!(story.said("payment_retries_exhausted"), [Value::Null; 0]);
    assert_eq!(story.invoice("in_1")["due_date"], rfc(START + MONTH));
    story.ends_the_same();
}

/// L8: paid within grace: every signal clears, full access is back, each told once.
#[test]
fn l8_paid_during_grace_clears_everything() {
    for shape in SHAPES {
        let (mut story, mut held, mut open) = failing(shape);
        story.pass(3 * DAY);
        let fields = paid(&open, story.now());
        assert_eq!(
            story.update("invoice.paid", &mut open, fields),
            [
                "payment_succeeded",
                "payment_recovered",
                "risk_signal_cleared failed_payment",
                "risk_signal_cleared dunning",
                "health_score_changed",
                "segment_left failed_payment",
                "segment_left paying_with_failed_payment"
            ]
        );
        assert_eq!(story.send("invoice.payment_succeeded", &open), [""; 0]);
        assert_eq!(
            story.update(
                "customer.subscription.updated",
                &mut held,
                json!({ "status": "active" })
            ),
            [
                "billing_status_changed active",
                "access_changed full",
                "risk_signal_cleared past_due",
                "health_score_changed"
            ]
        );
        assert_eq!(
            story.brief(),
            json!(["active", "pro", { "usd": 5_800 }, "full"])
        );
        assert_eq!(story.signals(), [""; 0]);
        assert_eq!(story.billing()["access"]["until"], Value::Null);
        assert_eq!(story.billing()["lifetime_value"], json!({ "usd": 11_600 }));
        assert_eq!(story.customer()["health_score"], 100);
        assert_eq!(story.said("payment_recovered").len(), 1);
        assert_eq!(story.tick(), [""; 0], "nothing is due any more");
        story.ends_the_same();
    }
}

/// L9: the failure is delivered after the success that followed it: it is told as the past that it
/// is, and changes no state.
#[test]
fn l9_a_failure_that_comes_in_last_does_not_undo_the_success() {
    for shape in SHAPES {
        let mut story = Story::of(shape);
        let held = subscription("sub_1", "active", vec![item("si_1", price(1), 1)]);
        story.send("customer.subscription.created", &held);
        let open = invoice("in_1", "sub_1", 5_800, START);
        let mut tried = open.clone();
        set(&mut tried, failed(&open, Some(START + 3 * DAY)));
        let mut done = tried.clone();
        set(&mut done, paid(&tried, START + 60));
        story.pass(60);
        assert_eq!(story.send("invoice.paid", &done), ["payment_succeeded"]);
        story.pass(-30);
        let told = story.send("invoice.payment_failed", &tried);
        assert_eq!(told, ["invoice.payment_failed"]);
        story.pass(30);
        assert_eq!(
            story.brief(),
            json!(["active", "pro", { "usd": 5_800 }, "full"])
        );
        assert_eq!(story.signals(), [""; 0]);
        assert_eq!(story.invoice("in_1")["status"], "paid");
        assert_eq!(
            story.invoice("in_1")["attempts"].as_array().unwrap().len(),
            2
        );
        assert_eq!(story.billing()["lifetime_value"], json!({ "usd": 5_800 }));
        story.ends_the_same();
    }
}

/// L9: all in one second, as when a customer corrects the card at once.
#[test]
fn l9_a_failure_and_its_success_within_one_second() {
    let mut story = Story::new();
    let held = subscription("sub_1", "active", vec![item("si_1", price(1), 1)]);
    story.send("customer.subscription.created", &held);
    let mut open = invoice("in_1", "sub_1", 5_800, START);
    story.send("invoice.created", &open);
    let fields = failed(&open, Some(START + 3 * DAY));
    story.update("invoice.payment_failed", &mut open, fields);
    let fields = paid(&open, START);
    let told = story.update("invoice.paid", &mut open, fields);
    assert_eq!(told[..2], ["payment_succeeded", "payment_recovered"]);
    assert_eq!(story.signals(), [""; 0]);
    assert_eq!(story.invoice("in_1")["status"], "paid");
    story.ends_the_same();
}

/// L8: an invoice that is taken back owes nothing more, and nobody recovered it.
#[test]
fn l8_a_voided_invoice_clears_its_signals() {
    let (mut story, mut held, mut open) = failing(Shape::New);
    story.pass(DAY);
    let fields = json!({ "status": "void", "next_payment_attempt": null });
    let told = story.update("invoice.voided", &mut open, fields);
    assert_eq!(
        told[..2],
        [
            "risk_signal_cleared failed_payment",
            "risk_signal_cleared dunning"
        ]
    );
    story.update(
        "customer.subscription.updated",
        &mut held,
        json!({ "status": "active" }),
    );
    assert_eq!(story.signals(), [""; 0]);
    assert_eq!(story.said("payment_recovered"), [Value::Null; 0]);
    assert_eq!(story.said("payment_succeeded").len(), 1);
    assert_eq!(
        story.brief(),
        json!(["active", "pro", { "usd": 5_800 }, "full"])
    );
    story.ends_the_same();
}

/// L6, L7: two invoices fail; the first that is paid leaves the other's signals up.
#[test]
fn l6_l8_signals_stay_while_one_invoice_is_open() {
    let (mut story, _held, mut first) = failing(Shape::New);
    story.pass(DAY);
    let mut other = invoice("in_3", "sub_1", 900, story.now());
    let fields = failed(&other, Some(story.now() + DAY));
    assert_eq!(
        story.update("invoice.payment_failed", &mut other, fields),
        ["invoice.payment_failed"]
    );
    story.pass(DAY);
    let fields = paid(&first, story.now());
    let told = story.update("invoice.paid", &mut first, fields);
    assert_eq!(told, ["payment_succeeded", "payment_recovered"]);
    assert_eq!(story.signals(), ["failed_payment", "dunning", "past_due"]);
    let evidence = &story.customer()["risk_signals"][0]["evidence"];
    assert_eq!(evidence["invoice"], "in_3");
    story.ends_the_same();
}

/// L6: an attempt that is told again, later and under another id, does not move the grace.
#[test]
fn l6_a_late_copy_of_the_first_failure_moves_nothing() {
    for shape in SHAPES {
        let (mut story, _held, open) = failing(shape);
        story.pass(5 * DAY);
        assert_eq!(story.send("invoice.payment_failed", &open), [""; 0]);
        assert_eq!(story.billing()["access"]["until"], rfc(GRACE_ENDS));
        assert_eq!(story.said("invoice.payment_failed").len(), 1);
        story.ends_the_same();
    }
}

/// L7: by time alone: grace ends at its instant, once.
#[test]
fn l7_grace_ends_by_itself_once() {
    let (mut story, _held, _open) = failing(Shape::New);
    story.pass(GRACE_ENDS - story.now() - 1);
    assert_eq!(story.tick(), [""; 0]);
    assert_eq!(story.brief()[3], "grace");
    story.pass(1);
    assert_eq!(
        story.brief()[3],
        "restricted",
        "a read knows it before the tick"
    );
    assert_eq!(story.tick(), ["access_changed restricted"]);
    assert_eq!(story.tick(), [""; 0]);
}

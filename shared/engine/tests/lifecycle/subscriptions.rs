//! What is subscribed: several at once, every status, and how a subscription starts and stops.

use paygraph_testkit::world::price;
use serde_json::{Value, json};

use super::story::{DAY, MONTH, SHAPES, START, Story, ended, item, rfc, set, subscription};

/// L1: all subscriptions and items count; the first item is not the plan.
#[test]
fn l1_every_subscription_and_item_counts() {
    for shape in SHAPES {
        let mut story = Story::of(shape);
        let items = vec![item("si_1", price(0), 1), item("si_2", price(1), 2)];
        let mut monthly = subscription("sub_1", "active", items);
        let mut yearly = price(2);
        set(
            &mut yearly,
            json!({ "unit_amount": 118_800, "unit_amount_decimal": "118800",
                "recurring": { "interval": "year", "interval_count": 1, "usage_type": "licensed" } }),
        );
        let mut team = subscription("sub_2", "active", vec![item("si_3", yearly, 1)]);
        story.send("customer.subscription.created", &monthly);
        assert_eq!(
            story.brief(),
            json!(["active", "pro", { "usd": 14_500 }, "full"])
        );
        assert_eq!(story.subscription("sub_1")["quantity"], 3);
        story.pass(60);
        set(
            &mut team,
            json!({ "created": START + 60, "start_date": START + 60 }),
        );
        assert_eq!(
            story.send("customer.subscription.created", &team),
            ["subscription_created", "mrr_changed"]
        );
        // The pro item makes 116 a month, the team item 99; together 244.
        assert_eq!(
            story.brief(),
            json!(["active", "pro", { "usd": 24_400 }, "full"])
        );
        assert_eq!(story.billing()["arr"], json!({ "usd": 292_800 }));
        assert_eq!(story.billing()["plan"], price(1)["id"]);
        assert_eq!(story.subscription("sub_2")["mrr"], json!({ "usd": 9_900 }));

        story.pass(DAY);
        story.update(
            "customer.subscription.updated",
            &mut team,
            json!({ "status": "past_due" }),
        );
        // The most severe status, the most permissive access.
        assert_eq!(
            story.brief(),
            json!(["past_due", "pro", { "usd": 24_400 }, "full"])
        );
        assert_eq!(story.signals(), ["past_due"]);

        story.pass(DAY);
        let fields = ended(story.now(), "cancellation_requested");
        set(&mut monthly, fields);
        let told = story.send("customer.subscription.deleted", &monthly);
        assert_eq!(told[..2], ["subscription_canceled", "mrr_changed"]);
        assert_eq!(
            story.brief(),
            json!(["past_due", "team", { "usd": 9_900 }, "grace"])
        );
        assert_eq!(story.billing()["subscription_start_date"], rfc(START + 60));
        assert!(!story.is_in("churned"));
        story.ends_the_same();
    }
}

/// Every status of Stripe's: what the record shows of it, and whether it counts as MRR.
#[test]
fn l1_l4_l5_every_status_has_its_place() {
    let table = [
        ("unpaid", "unpaid", "pro", 0, "restricted"),
        ("past_due", "past_due", "pro", 5_800, "grace"),
        ("active", "active", "pro", 5_800, "full"),
        ("trialing", "trialing", "pro", 0, "full"),
        ("paused", "paused", "pro", 0, "restricted"),
        ("incomplete", "incomplete", "free", 0, "none"),
        ("canceled", "canceled", "free", 0, "none"),
        (
            "incomplete_expired",
            "incomplete_expired",
            "free",
            0,
            "none",
        ),
        ("a_word_of_tomorrow", "none", "free", 0, "none"),
    ];
    let mut story = Story::new();
    for (n, (status, billing, tier, mrr, access)) in table.iter().enumerate().rev() {
        let mut alone = Story::new();
        let name = format!("sub_{n}");
        let one = subscription(&name, status, vec![item("si_1", price(1), 1)]);
        alone.send("customer.subscription.updated", &one);
        let mrr = if *mrr == 0 {
            json!({})
        } else {
            json!({ "usd": mrr })
        };
        assert_eq!(
            alone.brief(),
            json!([billing, tier, mrr, access]),
            "{status}"
        );
        assert_eq!(alone.subscription(&name)["status"], *status);
        let plan = alone.billing()["plan"].clone();
        assert_eq!(plan.is_null(), *tier == "free", "{status}");
        assert_eq!(
            alone.billing()["renewal_date"].is_null(),
            *tier == "free",
            "{status}"
        );
        alone.ends_the_same();
        // Together, from the least severe up: the newcomer's status is the customer's.
        story.send("customer.subscription.updated", &one);
        assert_eq!(story.billing()["billing_status"], *billing, "{status}");
    }
    story.ends_the_same();
}

/// L4: a first payment that never came is no customer, and no churn.
#[test]
fn l4_who_never_paid_never_churned() {
    let mut story = Story::new();
    let mut never = subscription("sub_1", "incomplete", vec![item("si_1", price(1), 1)]);
    assert_eq!(
        story.send("customer.subscription.created", &never),
        [
            "subscription_created",
            "billing_status_changed incomplete",
            "segment_entered tier_free"
        ]
    );
    assert_eq!(story.brief(), json!(["incomplete", "free", {}, "none"]));
    story.pass(23 * 3_600);
    let fields = json!({ "status": "incomplete_expired", "ended_at": story.now() });
    let told = story.update("customer.subscription.updated", &mut never, fields);
    let without_health: Vec<_> = told
        .iter()
        .filter(|n| *n != "health_score_changed")
        .collect();
    assert_eq!(
        without_health,
        [
            "subscription_expired",
            "billing_status_changed incomplete_expired"
        ]
    );
    assert_eq!(
        story.brief(),
        json!(["incomplete_expired", "free", {}, "none"])
    );
    assert_eq!(story.customer()["segments"], json!(["tier_free"]));
    assert_eq!(story.said("subscription_canceled"), [Value::Null; 0]);
    assert_eq!(story.said("mrr_changed"), [Value::Null; 0]);
    story.ends_the_same();

    // The same with a payment in time.
    let mut story = Story::new();
    let mut paid = subscription("sub_1", "incomplete", vec![item("si_1", price(1), 1)]);
    story.send("customer.subscription.created", &paid);
    story.pass(60);
    assert_eq!(
        story.update(
            "customer.subscription.updated",
            &mut paid,
            json!({ "status": "active" })
        ),
        [
            "billing_status_changed active",
            "mrr_changed",
            "access_changed full",
            "segment_entered tier_pro",
            "segment_left tier_free"
        ]
    );
    story.ends_the_same();
}

/// L5: with collection paused it is shown as paused, keeps its access, and comes back.
#[test]
fn l5_collection_is_paused_and_resumed() {
    for shape in SHAPES {
        let mut story = Story::of(shape);
        let mut held = subscription("sub_1", "active", vec![item("si_1", price(1), 1)]);
        story.send("customer.subscription.created", &held);
        story.pass(DAY);
        let pause = json!({ "pause_collection": { "behavior": "void", "resumes_at": null } });
        assert_eq!(
            story.update("customer.subscription.updated", &mut held, pause),
            ["subscription_paused", "billing_status_changed paused"]
        );
        assert_eq!(
            story.brief(),
            json!(["paused", "pro", { "usd": 5_800 }, "full"])
        );
        assert_eq!(story.subscription("sub_1")["status"], "active");
        assert_eq!(story.subscription("sub_1")["paused"], true);
        story.pass(DAY);
        let resume = json!({ "pause_collection": null });
        assert_eq!(
            story.update("customer.subscription.updated", &mut held, resume),
            ["subscription_resumed", "billing_status_changed active"]
        );
        assert_eq!(
            story.brief(),
            json!(["active", "pro", { "usd": 5_800 }, "full"])
        );
        assert_eq!(story.subscription("sub_1")["paused"], false);
        story.ends_the_same();
    }
}

/// L15: a scheduled end, by either way to schedule one, is told once, and once when it is withdrawn.
#[test]
fn l15_a_cancellation_is_withdrawn() {
    let ways = [
        (
            json!({ "cancel_at_period_end": true }),
            json!({ "cancel_at_period_end": false }),
            MONTH,
        ),
        (
            json!({ "cancel_at": START + 9 * DAY }),
            json!({ "cancel_at": null }),
            9 * DAY,
        ),
        (
            json!({ "cancel_at_period_end": true, "cancel_at": START + MONTH }),
            json!({ "cancel_at_period_end": false, "cancel_at": null }),
            MONTH,
        ),
    ];
    for (schedule, withdraw, end) in ways {
        for shape in SHAPES {
            let mut story = Story::of(shape);
            let mut held = subscription("sub_1", "active", vec![item("si_1", price(1), 1)]);
            story.send("customer.subscription.created", &held);
            story.pass(DAY);
            let asked = story.now();
            let mut fields = schedule.clone();
            set(&mut fields, json!({ "canceled_at": asked }));
            assert_eq!(
                story.update("customer.subscription.updated", &mut held, fields),
                [
                    "cancellation_scheduled",
                    "risk_signal_raised cancellation_requested",
                    "health_score_changed"
                ]
            );
            assert_eq!(story.again(), [""; 0]);
            let billing = story.billing();
            assert_eq!(billing["cancel_at"], rfc(START + end));
            assert_eq!(billing["renewal_date"], Value::Null);
            assert_eq!(billing["next_invoice_date"].is_null(), end <= MONTH);
            assert_eq!(
                story.brief(),
                json!(["active", "pro", { "usd": 5_800 }, "full"])
            );
            assert_eq!(story.customer()["risk_signals"][0]["since"], rfc(asked));
            story.ends_the_same();
            story.pass(DAY);
            let mut fields = withdraw.clone();
            set(&mut fields, json!({ "canceled_at": null }));
            assert_eq!(
                story.update("customer.subscription.updated", &mut held, fields),
                [
                    "cancellation_unscheduled",
                    "risk_signal_cleared cancellation_requested",
                    "health_score_changed"
                ]
            );
            assert_eq!(story.again(), [""; 0]);
            assert_eq!(story.signals(), [""; 0]);
            assert_eq!(story.billing()["cancel_at"], Value::Null);
            assert_eq!(story.billing()["renewal_date"], rfc(START + MONTH));
            assert_eq!(story.customer()["health_score"], 100);
            story.ends_the_same();
        }
    }
}

/// A scheduled end that comes: told as scheduled, then as canceled, and not as withdrawn.
#[test]
fn l15_a_cancellation_that_comes_is_not_withdrawn() {
    let mut story = Story::new();
    let mut held = subscription("sub_1", "active", vec![item("si_1", price(1), 1)]);
    story.send("customer.subscription.created", &held);
    story.pass(DAY);
    let fields = json!({ "cancel_at_period_end": true, "canceled_at": story.now() });
    story.update("customer.subscription.updated", &mut held, fields);
    story.pass(MONTH - DAY);
    set(&mut held, ended(START + MONTH, "cancellation_requested"));
    assert_eq!(
        story.send("customer.subscription.deleted", &held),
        [
            "subscription_canceled",
            "billing_status_changed canceled",
            "mrr_changed",
            "access_changed none",
            "risk_signal_cleared cancellation_requested",
            "health_score_changed",
            "segment_entered churned",
            "segment_entered tier_free",
            "segment_left tier_pro"
        ]
    );
    let canceled = &story.said("subscription_canceled")[0];
    assert_eq!(canceled["reason"], "cancellation_requested");
    assert_eq!(canceled["mrr_before"], json!({ "usd": 5_800 }));
    assert_eq!(story.brief(), json!(["canceled", "free", {}, "none"]));
    assert_eq!(story.subscription("sub_1")["mrr"], json!({}));
    assert_eq!(story.billing()["cancel_at"], Value::Null);
    story.ends_the_same();
}

/// L15: of two subscriptions that end together, the one that was canceled first dates the signal,
/// whichever has the lower id.
#[test]
fn l15_of_two_that_end_together_the_first_cancellation_counts() {
    let mut story = Story::new();
    let items = |id| vec![item(id, price(1), 1)];
    let mut later = subscription("sub_1", "active", items("si_1"));
    let mut first = subscription("sub_2", "active", items("si_2"));
    story.send("customer.subscription.created", &later);
    story.send("customer.subscription.created", &first);
    let end = START + MONTH;
    let mut asked = Vec::new();
    for subscription in [&mut first, &mut later] {
        story.pass(DAY);
        asked.push(story.now());
        let fields = json!({ "cancel_at": end, "canceled_at": story.now() });
        story.update("customer.subscription.updated", subscription, fields);
    }
    assert_eq!(story.customer()["risk_signals"][0]["since"], rfc(asked[0]));
    assert_eq!(story.billing()["cancel_at"], rfc(end));
    story.ends_the_same();
}

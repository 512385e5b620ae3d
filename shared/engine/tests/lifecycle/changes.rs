//! What changes within a subscription: up at once, down at the period's end.

use paygraph_testkit::world::price;
use serde_json::{Value, json};

use super::story::{
    DAY, MONTH, SHAPES, START, Shape, Story, invoice, item, items_of, paid, rfc, set, subscription,
};

/// The list of items with one price, in a period that begins at an instant.
fn only(n: usize, quantity: u64, start: i64) -> Value {
    let mut one = item("si_1", price(n), quantity);
    set(
        &mut one,
        json!({ "current_period_start": start, "current_period_end": start + MONTH }),
    );
    items_of(vec![one])
}

/// L2: the MRR is that of the items, whatever the proration comes to, and one upgrade is told.
#[test]
fn l2_an_upgrade_with_proration_is_one_upgrade() {
    for shape in SHAPES {
        let mut story = Story::of(shape);
        let mut held = subscription("sub_1", "active", vec![item("si_1", price(1), 1)]);
        story.send("customer.subscription.created", &held);
        story.pass(15 * DAY);
        let fields = json!({ "items": only(2, 1, START), "latest_invoice": "in_2" });
        assert_eq!(
            story.update("customer.subscription.updated", &mut held, fields),
            [
                "subscription_updated upgrade",
                "mrr_changed",
                "segment_entered tier_team",
                "segment_left tier_pro"
            ]
        );
        let mut proration = invoice("in_2", "sub_1", 2_050, story.now());
        proration["billing_reason"] = json!("subscription_update");
        proration["lines"]["data"] = json!([
            line("il_1", -2_900, &price(1)),
            line("il_2", 4_950, &price(2)),
        ]);
        let at = story.now();
        let fields = paid(&proration, at);
        assert_eq!(story.send("invoice.created", &proration), [""; 0]);
        assert_eq!(
            story.update("invoice.paid", &mut proration, fields),
            ["payment_succeeded"]
        );
        // Stripe tells the payment in two ways, and the change again under another id.
        assert_eq!(story.send("invoice.payment_succeeded", &proration), [""; 0]);
        assert_eq!(story.send("customer.subscription.updated", &held), [""; 0]);
        assert_eq!(
            story.brief(),
            json!(["active", "team", { "usd": 9_900 }, "full"])
        );
        assert_eq!(story.billing()["lifetime_value"], json!({ "usd": 2_050 }));
        assert_eq!(story.invoice("in_2")["lines"][0]["proration"], true);
        let said = story.said("subscription_updated");
        assert_eq!(said.len(), 1);
        for (field, value) in [
            ("change", json!("upgrade")),
            ("tier_before", json!("pro")),
            ("tier", json!("team")),
            ("mrr_before", json!({ "usd": 5_800 })),
            ("mrr", json!({ "usd": 9_900 })),
        ] {
            assert_eq!(said[0][field], value, "{field}");
        }
        assert_eq!(story.said("payment_succeeded").len(), 1);
        assert_eq!(story.signals(), [""; 0]);
        story.ends_the_same();
    }
}

fn line(id: &str, amount: i64, price: &Value) -> Value {
    json!({
        "id": id, "object": "line_item", "amount": amount, "currency": "usd", "quantity": 1,
        "period": { "start": START + 15 * DAY, "end": START + MONTH },
        "parent": { "type": "subscription_item_details",
            "subscription_item_details": { "proration": true, "subscription": "sub_1" } },
        "pricing": { "type": "price_details",
            "price_details": { "price": price["id"], "product": price["product"] } },
    })
}

/// A change that waits for its payment (`pending_update`) is not in force.
#[test]
fn l2_an_upgrade_that_waits_for_its_payment_is_none_yet() {
    let mut story = Story::new();
    let mut held = subscription("sub_1", "active", vec![item("si_1", price(1), 1)]);
    held["pending_update"] = Value::Null;
    story.send("customer.subscription.created", &held);
    story.pass(DAY);
    let pending = json!({
        "expires_at": story.now() + DAY,
        "subscription_items": [{ "id": "si_1", "price": price(3), "quantity": 1 }],
    });
    let fields = json!({ "pending_update": pending });
    assert_eq!(
        story.update("customer.subscription.updated", &mut held, fields),
        [""; 0]
    );
    assert_eq!(
        story.brief(),
        json!(["active", "pro", { "usd": 5_800 }, "full"])
    );
    story.pass(60);
    let fields = json!({ "pending_update": null, "items": only(3, 1, START) });
    let told = story.update("customer.subscription.updated", &mut held, fields);
    assert_eq!(told[0], "subscription_updated upgrade");
    assert_eq!(
        story.brief(),
        json!(["active", "enterprise", { "usd": 19_900 }, "full"])
    );
    story.ends_the_same();
}

/// A customer on team who has planned to go down to individual with the next period: the story,
/// with the subscription and the schedule.
fn planned() -> (Story, Value, Value) {
    let mut story = Story::new();
    let mut held = subscription("sub_1", "active", vec![item("si_1", price(2), 1)]);
    story.send("customer.subscription.created", &held);
    story.pass(10 * DAY);
    let phase = |n: usize, start: i64| {
        json!({ "start_date": start, "end_date": start + MONTH,
            "items": [{ "price": price(n)["id"], "quantity": 1 }] })
    };
    let schedule = json!({
        "id": "sub_sched_1", "object": "subscription_schedule", "customer": "cus_1",
        "subscription": "sub_1", "status": "active", "created": story.now(),
        "current_phase": { "start_date": START, "end_date": START + MONTH },
        "phases": [phase(2, START), phase(0, START + MONTH)],
    });
    assert_eq!(
        story.send("subscription_schedule.created", &schedule),
        [""; 0]
    );
    let fields = json!({ "schedule": "sub_sched_1" });
    assert_eq!(
        story.update("customer.subscription.updated", &mut held, fields),
        [""; 0]
    );
    (story, held, schedule)
}

/// L3: what a schedule plans is not in force, and may be let go again.
#[test]
fn l3_a_planned_downgrade_is_none_yet() {
    let (mut story, mut held, mut schedule) = planned();
    assert_eq!(
        story.brief(),
        json!(["active", "team", { "usd": 9_900 }, "full"])
    );
    assert_eq!(story.signals(), [""; 0]);
    let planned = json!({
        "at": rfc(START + MONTH), "prices": [price(0)["id"]], "tier": "individual",
    });
    assert_eq!(story.subscription("sub_1")["scheduled_change"], planned);
    story.ends_the_same();
    story.pass(DAY);
    let fields = json!({ "status": "released", "subscription": null });
    assert_eq!(
        story.update("subscription_schedule.released", &mut schedule, fields),
        [""; 0]
    );
    let fields = json!({ "schedule": null });
    assert_eq!(
        story.update("customer.subscription.updated", &mut held, fields),
        [""; 0]
    );
    assert_eq!(
        story.brief(),
        json!(["active", "team", { "usd": 9_900 }, "full"])
    );
    assert_eq!(story.subscription("sub_1")["scheduled_change"], json!(null));
    story.ends_the_same();
}

/// L3: the tier moves when the phase begins, told once, and is a signal for thirty days.
#[test]
fn l3_a_downgrade_comes_with_its_phase() {
    let (mut story, mut held, mut schedule) = planned();
    story.pass(MONTH - 10 * DAY);
    let fields = json!({ "items": only(0, 1, START + MONTH) });
    assert_eq!(
        story.update("customer.subscription.updated", &mut held, fields),
        [
            "subscription_updated downgrade",
            "mrr_changed",
            "risk_signal_raised downgrade",
            "health_score_changed",
            "segment_entered downgraded_30d",
            "segment_entered tier_individual",
            "segment_left tier_team"
        ]
    );
    let fields = json!({ "status": "released", "subscription": null });
    let told = story.update("subscription_schedule.released", &mut schedule, fields);
    assert_eq!(told, [""; 0]);
    let fields = json!({ "schedule": null });
    assert_eq!(
        story.update("customer.subscription.updated", &mut held, fields),
        [""; 0]
    );
    assert_eq!(
        story.brief(),
        json!(["active", "individual", { "usd": 2_900 }, "full"])
    );
    assert_eq!(story.billing()["renewal_date"], rfc(START + 2 * MONTH));
    assert_eq!(story.signals(), ["downgrade"]);
    assert_eq!(
        story.customer()["risk_signals"][0]["since"],
        rfc(START + MONTH)
    );
    assert_eq!(story.said("subscription_updated").len(), 1);
    story.ends_the_same();

    // After thirty days it is history.
    story.pass(MONTH);
    assert_eq!(
        story.tick(),
        [
            "risk_signal_cleared downgrade",
            "health_score_changed",
            "segment_left downgraded_30d"
        ]
    );
    assert_eq!(story.tick(), [""; 0]);
    assert_eq!(story.signals(), [""; 0]);
}

/// The other changes: an interval alone is no downgrade, a quantity that falls is a signal, and a
/// trial that ends is neither.
#[test]
fn l3_every_kind_of_change_has_its_word() {
    let mut yearly = price(1);
    set(
        &mut yearly,
        json!({ "id": "price_pro_yearly", "unit_amount": 58_000, "unit_amount_decimal": "58000",
            "recurring": { "interval": "year", "interval_count": 1, "usage_type": "licensed" } }),
    );
    let yearly = items_of(vec![item("si_1", yearly, 2)]);
    let table = [
        (only(1, 2, START), yearly, "interval", false),
        (only(1, 2, START), only(1, 3, START), "quantity", false),
        (only(1, 2, START), only(1, 1, START), "quantity", true),
        (only(1, 2, START), only(0, 2, START), "downgrade", true),
        // A higher tier for less money is still up.
        (only(1, 5, START), only(2, 1, START), "upgrade", false),
    ];
    let shaped = table
        .iter()
        .flat_map(|row| SHAPES.map(|shape| (row.clone(), shape)));
    for ((before, after, word, falls), shape) in shaped {
        let mut story = Story::of(shape);
        let mut held = subscription("sub_1", "active", Vec::new());
        held["items"] = before;
        story.send("customer.subscription.created", &held);
        story.pass(DAY);
        let fields = json!({ "items": after });
        let told = story.update("customer.subscription.updated", &mut held, fields);
        assert_eq!(told[0], format!("subscription_updated {word}"));
        assert_eq!(story.said("subscription_updated").len(), 1);
        assert_eq!(
            story.signals().contains(&"downgrade".to_owned()),
            falls,
            "{word}"
        );
        story.ends_the_same();
    }
}

/// Where a subscription had one plan beside its items, an update names only that.
#[test]
fn l3_a_downgrade_in_the_words_of_an_old_version() {
    let mut story = Story::of(Shape::Old);
    let mut held = subscription("sub_1", "active", vec![item("si_1", price(2), 1)]);
    set(&mut held, json!({ "plan": price(2), "quantity": 1 }));
    story.send("customer.subscription.created", &held);
    story.pass(DAY);
    held["items"] = only(1, 1, START);
    let told = story.update(
        "customer.subscription.updated",
        &mut held,
        json!({ "plan": price(1) }),
    );
    assert_eq!(told[0], "subscription_updated downgrade");
    assert_eq!(story.signals(), ["downgrade"]);
    assert_eq!(
        story.brief(),
        json!(["active", "pro", { "usd": 5_800 }, "full"])
    );
    story.ends_the_same();
}

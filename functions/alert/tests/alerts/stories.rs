//! What raises an alert, what resolves it, and that nobody is told twice.

use paygraph_domain::alert::{Kind, Status};
use paygraph_domain::contact::Profile;
use serde_json::{Value, json};

use crate::support::{DAY, World, at, invoice, told_kinds};

#[tokio::test]
async fn n20_one_alert_per_transition_until_its_reason_is_gone() {
    let world = World::new().await;
    world.paying().await;
    let failed = world.fails(30).await;
    world.deliver(30 * DAY + 5, &failed).await;
    let expected = [Kind::PaymentFailure, Kind::Dunning, Kind::PastDue];
    let expected: Vec<_> = expected.map(|kind| (kind, Status::Open)).into();
    assert_eq!(world.alerts(), expected);
    // Again, and backwards: nothing is new.
    let backwards: Vec<_> = failed.iter().rev().cloned().collect();
    world.deliver(30 * DAY + 60, &backwards).await;
    let mut told = world.slack.taken();
    told.sort();
    assert_eq!(told.len(), 2, "dunning is kept, and not sent: {told:?}");
    assert!(
        told[1]
            .starts_with("Payment failed: 58.00 usd, attempt 1 — Example &lt;Ltd&gt; (cus_abc123)"),
        "{told:?}"
    );
    assert_eq!(told_kinds(&world), 2);

    let paid = world.recovers(31 * DAY).await;
    world.deliver(31 * DAY + 5, &paid).await;
    world.deliver(31 * DAY + 9, &failed).await;
    let all_over = world
        .alerts()
        .into_iter()
        .all(|(_, status)| status == Status::Resolved);
    assert!(
        all_over && world.alerts().len() == 3,
        "{:?}",
        world.alerts()
    );
    let resolved = world.the(Kind::PastDue).resolved_at;
    assert_eq!(resolved, Some(at(31 * DAY + 5)));
    assert!(world.slack.taken().is_empty());
}

/// N20: whoever has paid is no news, whatever comes first.
#[tokio::test]
async fn n20_a_recovered_payment_raises_nothing() {
    let world = World::without_slack();
    world.paying().await;
    let mut bus = world.fails(30).await;
    bus.extend(world.recovers(30 * DAY + 2).await);
    bus.reverse();
    world.deliver(30 * DAY + 9, &bus).await;
    assert_eq!(world.alerts(), []);
}

/// L7: the retries are exhausted once, whatever tells of it.
#[tokio::test]
async fn l7_exhausted_retries_are_one_alert() {
    let world = World::new().await;
    world.paying().await;
    let failed = world.fails(30).await;
    world.deliver(30 * DAY + 5, &failed).await;
    world.slack.taken();
    let lost = world
        .stripe(
            37 * DAY,
            "invoice.payment_failed",
            &invoice("open", 4, None),
        )
        .await;
    let again = world
        .stripe(37 * DAY + 1, "invoice.updated", &invoice("open", 4, None))
        .await;
    for bodies in [&lost, &again, &lost] {
        world.deliver(37 * DAY + 5, bodies).await;
    }
    let alert = world.the(Kind::RetriesExhausted);
    assert_eq!(alert.status, Status::Open);
    assert_eq!(alert.id.object.as_ref().unwrap().as_str(), "in_1");
    assert_eq!(world.the(Kind::Dunning).status, Status::Resolved);
    let told = world.slack.taken();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("Every retry has failed: 58.00 usd"),
        "{told:?}"
    );
}

/// N21: what is imported, or long past, raises nothing; but it may show that something is over.
#[tokio::test]
async fn n21_history_raises_nothing() {
    let world = World::without_slack();
    world.paying().await;
    let failed = world.fails(30).await;
    let imported: Vec<Value> = failed
        .iter()
        .cloned()
        .map(|mut body| {
            body["detail"]["source"] = json!("backfill");
            body
        })
        .collect();
    world.deliver(30 * DAY + 5, &imported).await;
    world.deliver(33 * DAY + 5, &failed).await;
    assert_eq!(world.alerts(), []);
    // It stood before: an event about something else is not the news of it.
    let entered = world
        .traits(33 * DAY + 9, json!({ "usage_percent": 85 }))
        .await;
    world.deliver(33 * DAY + 10, &entered).await;
    assert_eq!(world.alerts(), [(Kind::UsageLimit, Status::Open)]);
    // The next attempt is news.
    let retried = invoice("open", 2, Some(37 * DAY));
    let retried = world
        .stripe(34 * DAY, "invoice.payment_failed", &retried)
        .await;
    world.deliver(34 * DAY + 5, &retried).await;
    assert_eq!(world.the(Kind::PaymentFailure).status, Status::Open);
    let paid = world.recovers(35 * DAY).await;
    world.deliver(50 * DAY, &paid).await;
    assert_eq!(world.the(Kind::PaymentFailure).status, Status::Resolved);
}

/// Usage above 75 % without a plan, and nobody has talked to them: a task, until somebody has.
#[tokio::test]
async fn who_uses_a_lot_without_a_plan_is_a_task() {
    let world = World::new().await;
    world
        .stripe(0, "customer.created", &crate::support::customer())
        .await;
    world.shown_on("https://crm.example/acme").await;
    let given = json!({ "usage_percent": 78, "owner": "north" });
    let entered = world.traits(DAY, given).await;
    world.deliver(DAY + 5, &entered).await;
    world.deliver(DAY + 6, &entered).await;
    let task = world.the(Kind::Upsell);
    assert!(task.is_task() && task.owner.as_deref() == Some("north"));
    let told = world.slack.taken();
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with("Task: Upsell opportunity: usage is at 78 %"),
        "{told:?}"
    );
    assert!(told[0].contains("owner north"), "{told:?}");
    let link = "\n<https://crm.example/acme|In the CRM>";
    assert!(told[0].ends_with(link), "{told:?}");
    let contacted = json!({ "last_contacted_at": at(2 * DAY).to_string() });
    let left = world.traits(2 * DAY, contacted).await;
    world.deliver(2 * DAY + 5, &left).await;
    assert_eq!(world.the(Kind::Upsell).status, Status::Resolved);
}

/// A customer that is no more, since its Stripe customer is another's or it was merged, has no
/// alerts; what still stands is the other's, and told as that.
#[tokio::test]
async fn who_is_gone_has_no_alerts() {
    for by_merging in [false, true] {
        let world = World::without_slack();
        world.paying().await;
        let mut bus = world.fails(30).await;
        let mut kinds = vec![Kind::PaymentFailure, Kind::Dunning, Kind::PastDue];
        if by_merging {
            let given = json!({ "usage_percent": 85 });
            bus.extend(world.traits(30 * DAY + 2, given).await);
            kinds.push(Kind::UsageLimit);
        }
        world.deliver(30 * DAY + 5, &bus).await;
        assert_eq!(world.alerts_of("cus_abc123", Status::Open), kinds);
        world.put(30 * DAY + 50, "acme", Profile::default()).await;
        let moved = match by_merging {
            false => world.link(30 * DAY + 60, "acme").await,
            true => world.merge(30 * DAY + 60, "acme").await,
        };
        world.deliver(30 * DAY + 65, &by_the_rules(moved)).await;
        assert_eq!(world.alerts_of("cus_abc123", Status::Resolved), kinds);
        assert_eq!(world.alerts_of("acme", Status::Open), kinds);
        assert_eq!(world.alerts().len(), 2 * kinds.len());
    }
}

/// What the template's rules let through of what a change tells.
fn by_the_rules(mut bus: Vec<Value>) -> Vec<Value> {
    bus.retain(|body| match body["detail-type"].as_str().unwrap() {
        "risk_signal_raised" | "risk_signal_cleared" => true,
        "segment_entered" | "segment_left" => {
            let segment = body["detail"]["data"]["segment"].as_str().unwrap();
            ["usage_limit_near", "upsell_opportunity"].contains(&segment)
        }
        _ => false,
    });
    bus
}

/// The example's message is one of ours, of a customer that there is not.
#[tokio::test]
async fn the_example_is_taken() {
    let example = include_str!("../../../../events/functions/alert.json");
    let example: Value = serde_json::from_str(example).unwrap();
    let body = example["Records"][0]["body"].as_str().unwrap();
    let world = World::without_slack();
    world
        .deliver(0, &[serde_json::from_str(body).unwrap()])
        .await;
    assert_eq!(world.alerts(), []);
}

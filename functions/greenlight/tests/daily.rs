//! The figures of a day, as lines and messages: once, whoever asks again.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed test says where"
)]

use paygraph_bus::batch::Refusal;
use paygraph_domain::time::Timestamp;
use paygraph_greenlight::failed::Failures;
use paygraph_greenlight::input::{Input, Report, Schedule};
use paygraph_runtime::config::GreenlightEntity;
use paygraph_testkit::nats::NatsServer;
use serde_json::{Value, json};

use crate::support::{
    DAY, PRO, TestTarget, customer, deadline, deliver, engine, feed, invoice, subscription, target,
    tenant,
};

/// No webhook has failed.
struct None;

impl Failures for None {
    async fn look(&self) -> Result<Vec<String>, Refusal> {
        Ok(Vec::new())
    }
}

/// What the schedule does at an instant.
async fn go(target: &TestTarget, time: &str) -> Report {
    let input = json!({ "time": time, "detail-type": "Scheduled Event", "detail": {} });
    let Input::Schedule(schedule) = Input::parse(input).unwrap() else {
        panic!("a schedule");
    };
    let done = target
        .schedule(schedule, &tenant(), &None, deadline())
        .await;
    done.unwrap()
}

/// A month's worth of a customer: pays, is canceled later.
#[tokio::test]
async fn the_figures_of_a_day_are_told_once() {
    let (server, engine) = (NatsServer::start(), engine());
    let target = target(&engine, GreenlightEntity::Email, Some(server.secret()));
    // 21 September 2026, 14:13:20 UTC, is when everything begins.
    let events = [
        customer(),
        subscription("customer.subscription.created", PRO, &json!({})),
        invoice("invoice.paid", "paid", 5_850, 1),
    ];
    let bodies = feed(&engine, 0, &events).await;
    assert!(deliver(&target, &bodies).await.is_empty());
    target.log.take();
    let report = go(&target, "2026-09-22T00:15:00Z").await;
    assert_eq!(
        (
            report.told,
            report.unfinished,
            report.day.to_string().as_str()
        ),
        (1, 0, "2026-09-21")
    );
    assert_eq!(
        target.log.take(),
        [
            "[📊💰🎢📌] revenue_daily: billing — Daily revenue: $58.50 (1 invoices)",
            "[📊💰🌌⭐] mrr_update: billing — MRR: $58 (+$0 this month)",
            "[📊⚠️🎢📌] churn_rate: billing — Churn rate: 0% (0 cancellations)",
            "[📊💎🎢⭐] ltv_update: analytics — Avg LTV: $58.50 (n/a MoM)",
            "[📊🎟️👉📌] trial_conversion: analytics — Trial conversion: 0% (0 of 0)",
        ]
    );
    for _ in 0..2 {
        assert_eq!(go(&target, "2026-09-22T09:00:00Z").await, report);
    }
    assert!(target.log.take().is_empty());
    let mut subjects = server.subjects().await;
    subjects.retain(|subject| subject.starts_with("greenlight.analytics."));
    assert_eq!(
        subjects,
        [
            "greenlight.analytics.revenue.macro.billing.default",
            "greenlight.analytics.mrr.universal.billing.default",
            "greenlight.analytics.churn.macro.billing.default",
            "greenlight.analytics.ltv.macro.analytics.default",
            "greenlight.analytics.trial_conversion.micro.analytics.default",
        ]
    );
    // A month later: another payment, and the subscription ends.
    let ended = json!({ "status": "canceled", "ended_at": 1_790_000_000 + 30 * DAY });
    let events = [
        invoice("invoice.paid", "paid", 5_800, 1),
        subscription("customer.subscription.deleted", PRO, &ended),
    ];
    let bodies = feed(&engine, 30 * DAY, &events).await;
    assert!(deliver(&target, &bodies).await.is_empty());
    target.log.take();
    go(&target, "2026-10-22T00:15:00Z").await;
    assert_eq!(
        target.log.take(),
        [
            "[📊💰🎢📌] revenue_daily: billing — Daily revenue: $58 (1 invoices)",
            "[📊💰🌌⭐] mrr_update: billing — MRR: $0 (+$0 this month)",
            "[📊⚠️🎢📌] churn_rate: billing — Churn rate: 100% (1 cancellations)",
            "[📊💎🎢⭐] ltv_update: analytics — Avg LTV: $116.50 (+99.1% MoM)",
            "[📊🎟️👉📌] trial_conversion: analytics — Trial conversion: 0% (0 of 0)",
        ]
    );
}

/// Where nothing ever happened there is nothing to tell.
#[tokio::test]
async fn an_empty_tenant_is_told_of_by_no_line() {
    let target = target(&engine(), GreenlightEntity::Email, Option::None);
    assert_eq!(go(&target, "2026-09-22T00:15:00Z").await.told, 1);
    assert!(target.log.take().is_empty());
}

/// The example of a call by hand is read: one tenant, one day.
#[test]
fn the_example_is_a_schedule() {
    let example = include_str!("../../../events/functions/greenlight_daily.json");
    let example: Value = serde_json::from_str(example).unwrap();
    let Input::Schedule(Schedule { time, tenant }) = Input::parse(example).unwrap() else {
        panic!("a schedule");
    };
    assert!(Timestamp::parse(&time.unwrap()).is_ok());
    assert!(tenant.is_none());
}

//! Bursts of alerts over a table: who has a message, who joins the digest, who comes too late.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::sync::Arc;

use paygraph_domain::alert::{AlertId, Channel, Kind};
use paygraph_engine::alert::{AlertBursts as _, Burst, BurstShare, SINGLE_MESSAGES};
use paygraph_store::DynamoStore;
use paygraph_testkit::table::FakeTable;

use crate::common::{at, tenant};
use crate::items::client;

fn alert(number: usize) -> AlertId {
    AlertId::parse(&format!("dispute:1790000000:du_{number}:acme")).unwrap()
}

async fn join(store: &DynamoStore, number: usize) -> BurstShare {
    let burst = Burst::of(Channel::Slack, Kind::Dispute, at(0));
    let joined = store.join_burst(&tenant(), &burst, &alert(number)).await;
    joined.unwrap()
}

/// A10: twenty alerts have a message each, later ones join the digest, and who comes after it has a
/// message again. Each keeps its share when it comes again.
#[tokio::test]
async fn a10_a_burst_counts_each_alert_once() {
    let store = client::store(&Arc::new(FakeTable::default()));
    for _ in 0..2 {
        for number in 0..27 {
            let expected = match number < SINGLE_MESSAGES {
                true => BurstShare::Single,
                false => BurstShare::Digest,
            };
            assert_eq!(join(&store, number).await, expected, "{number}");
        }
    }
    let burst = Burst::of(Channel::Slack, Kind::Dispute, at(0));
    for _ in 0..2 {
        assert_eq!(store.close_burst(&tenant(), &burst).await.unwrap(), 7);
        assert_eq!(
            join(&store, 99).await,
            BurstShare::Single,
            "it comes too late"
        );
        assert_eq!(join(&store, 26).await, BurstShare::Digest, "it was counted");
    }
}

/// A10: no two messages have one second, none is reserved too late, and a wait moves them all.
#[tokio::test]
async fn a10_a_channels_seconds_are_reserved_once() {
    let store = client::store(&Arc::new(FakeTable::default()));
    let tenant = tenant();
    let reserve = async |now: i64, latest: i64| {
        let second = store.reserve_second(&tenant, Channel::Slack, at(now), at(latest));
        second.await.unwrap()
    };
    assert_eq!(reserve(5, 9).await, Some(at(5)));
    assert_eq!(reserve(5, 9).await, Some(at(6)));
    assert_eq!(reserve(5, 6).await, None);
    assert_eq!(reserve(8, 9).await, Some(at(8)));
    store
        .hold_channel(&tenant, Channel::Slack, at(20))
        .await
        .unwrap();
    store
        .hold_channel(&tenant, Channel::Slack, at(12))
        .await
        .unwrap();
    assert_eq!(reserve(10, 19).await, None);
    assert_eq!(reserve(10, 30).await, Some(at(20)));
    assert_eq!(reserve(10, 30).await, Some(at(21)));
}

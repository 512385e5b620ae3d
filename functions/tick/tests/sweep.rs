//! A worker that dies between commit and publish leaves nothing unpublished.

use std::time::Duration;

use paygraph_domain::fact::Source;
use paygraph_domain::id::TenantId;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::memory::{MemoryBus, MemoryStore, StoppedClock};
use paygraph_engine::process::{Done, Engine};
use paygraph_testkit::world::World;
use paygraph_tick::{Swept, sweep};

/// D5: what was committed and never published is published by the sweep, once it is a minute old.
#[tokio::test]
async fn d5_the_sweep_publishes_what_a_dead_worker_left() {
    let clock = StoppedClock(Timestamp::from_unix(1_790_000_000).unwrap());
    let store = MemoryStore::new(Settings::example().unwrap());
    let engine = Engine::alone(store, clock);
    let tenant = TenantId::parse("default").unwrap();
    let mut expected = 0;
    for event in World::new("w", 7, 1_790_000_000).run(1, 10) {
        let deadline = Deadline::after(Duration::from_secs(60));
        let processed = engine
            .process(&tenant, &event, Source::Webhook, deadline)
            .await
            .unwrap();
        if let Done::Committed(entry) = processed.done {
            expected += entry.outbox.len();
        }
    }
    let (bus, left) = (MemoryBus::default(), Duration::from_secs(60));
    let early = sweep(&engine.store, &bus, clock.0.plus(60), left)
        .await
        .unwrap();
    assert_eq!(early, Swept::default());
    let swept = sweep(&engine.store, &bus, clock.0.plus(61), left)
        .await
        .unwrap();
    assert!(swept.published > 0 && swept.waiting == 0);
    assert_eq!(bus.published().len(), expected);
    let again = sweep(&engine.store, &bus, clock.0.plus(120), left)
        .await
        .unwrap();
    assert_eq!(again, Swept::default());
}

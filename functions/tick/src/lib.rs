//! Runs every minute: finishes the publishing that a crash left behind, and tells what time alone
//! has changed.
//!
//! The time is the schedule event's own, so any instant can be tried by invoking with another.

pub mod wiring;

use std::time::Duration;

use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::ports::{PENDING_SHARDS, Publisher, Store, StoreError, shards_from};
use paygraph_engine::publish::publish;
use paygraph_engine::tick::Ticked;
use serde::Serialize;

/// How old an entry must be before it is taken for left behind: a worker may still be at it.
const LEFT_BEHIND_SECONDS: i64 = 60;
/// How many entries are published together.
const AT_ONCE: usize = 100;

/// The result of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Swept {
    /// Entries that do not wait any more: their events are published, or set aside with a reason.
    pub published: usize,
    /// Entries that the bus still did not take.
    pub waiting: usize,
    /// Entries and shards that could not be read, and pages that could not be noted.
    pub failed: usize,
    /// Whether the time ended before the last shard.
    pub unfinished: bool,
}

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Of what was left behind.
    pub swept: Swept,
    /// Of what time has changed.
    pub ticked: Ticked,
}

/// Publishes what was committed and not published, as far as the time goes.
///
/// What fails is counted and logged, and holds up nothing else; the next run tries it again.
pub async fn sweep<S: Store, P: Publisher>(
    store: &S,
    publisher: &P,
    now: Timestamp,
    time_left: Duration,
) -> Swept {
    let deadline = Deadline::after(time_left);
    let mut swept = Swept::default();
    for shard in shards_from(now, PENDING_SHARDS) {
        let mut after: Option<String> = None;
        loop {
            if !deadline.has_time() {
                swept.unfinished = true;
                return told(swept);
            }
            let before = now.plus(-LEFT_BEHIND_SECONDS);
            let page = store.pending(shard, after.as_deref(), before, AT_ONCE);
            let page = match page.await {
                Ok(page) => page,
                Err(error) => {
                    swept.fail(&error);
                    break;
                }
            };
            swept.failed += page.log_unreadable();
            match publish(store, publisher, &page.entries).await {
                Ok(waiting) => {
                    swept.published += page.entries.len().saturating_sub(waiting.len());
                    swept.waiting += waiting.len();
                }
                Err(error) => swept.fail(&error),
            }
            // An entry that still waits is tried again next minute. Those behind it are not to wait.
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    told(swept)
}

impl Swept {
    fn fail(&mut self, error: &StoreError) {
        let error: &dyn std::error::Error = error;
        tracing::error!(
            code = "sweep_failed",
            error,
            "Entries could not be read or noted"
        );
        self.failed += 1;
    }
}

fn told(swept: Swept) -> Swept {
    if swept != Swept::default() {
        tracing::warn!(
            code = "swept",
            published = swept.published,
            waiting = swept.waiting,
            failed = swept.failed,
            unfinished = swept.unfinished,
            "Publishing that was left behind was taken up"
        );
    }
    swept
}

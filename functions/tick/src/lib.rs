//! Runs every minute: finishes the publishing that a crash left behind, and tells what time alone
//! has changed.
//!
//! The time is the schedule event's own, so any instant can be tried by invoking with another.

use std::time::Duration;

use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::ports::{Publisher, Store, StoreError};
use paygraph_engine::publish::publish;
use paygraph_engine::tick::Ticked;
use serde::Serialize;

/// How old an entry must be before it is taken for left behind: a worker may still be at it.
const LEFT_BEHIND_SECONDS: i64 = 60;
/// How many entries are published together.
const AT_ONCE: usize = 100;

/// What became of what was left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Swept {
    /// Entries whose events are published now.
    pub published: usize,
    /// Entries that the bus still did not take.
    pub waiting: usize,
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
/// # Errors
/// [`StoreError`] when the table cannot be read or written; the next run goes on.
pub async fn sweep<S: Store, P: Publisher>(
    store: &S,
    publisher: &P,
    now: Timestamp,
    time_left: Duration,
) -> Result<Swept, StoreError> {
    let deadline = Deadline::after(time_left);
    let mut swept = Swept::default();
    while deadline.has_time() {
        let entries = store
            .pending(now.plus(-LEFT_BEHIND_SECONDS), AT_ONCE)
            .await?;
        if entries.is_empty() {
            break;
        }
        let waiting = publish(store, publisher, &entries).await?;
        swept.published += entries.len() - waiting.len();
        if !waiting.is_empty() || entries.len() < AT_ONCE {
            swept.waiting = waiting.len();
            break;
        }
    }
    if swept != Swept::default() {
        tracing::warn!(
            code = "swept",
            published = swept.published,
            waiting = swept.waiting,
            "Publishing that was left behind was taken up"
        );
    }
    Ok(swept)
}

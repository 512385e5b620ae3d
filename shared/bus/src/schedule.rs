//! What a schedule sends: the time to work for.

use paygraph_domain::time::Timestamp;
use serde::Deserialize;

/// The schedule's event.
#[derive(Debug, Clone, Deserialize)]
pub struct ScheduleEvent {
    /// When it was due, in RFC 3339.
    pub time: Option<String>,
}

impl ScheduleEvent {
    /// The instant to work for: the event's own, else now.
    #[must_use]
    pub fn instant(&self, now: Timestamp) -> Timestamp {
        let time = self.time.as_deref();
        time.and_then(|time| Timestamp::parse(time).ok())
            .unwrap_or(now)
    }
}

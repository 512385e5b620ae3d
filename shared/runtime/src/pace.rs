//! How often somebody else's server may be asked: no second has more than so many requests.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as Queue;
use tokio::time::{Instant, sleep_until};

/// How long a second of ours is: requests that were a whole one apart when they left may be closer
/// when they arrive.
const SECOND: Duration = Duration::from_millis(1_030);

/// The requests of the last second: no second has more than the share. They are spread over it, and
/// who was late may catch up within it; what a second did not use is not saved up.
#[derive(Debug)]
pub struct Window {
    /// When the last ones left, as many as a window may have.
    sent: VecDeque<Instant>,
    most: usize,
    /// How long that window is: a second, as near as a whole number of requests allows.
    length: Duration,
}

impl Window {
    /// A window for a share, in percent, of so many requests a second.
    #[must_use]
    pub fn new(per_second: u32, share: u32) -> Self {
        let per_hundred_seconds = per_second.saturating_mul(share).max(1);
        let most = (per_hundred_seconds / 100).max(1);
        let length = SECOND * 100 * most / per_hundred_seconds;
        Self {
            sent: VecDeque::new(),
            most: usize::try_from(most).unwrap_or(usize::MAX),
            length,
        }
    }

    /// When the next one may leave.
    #[must_use]
    pub fn due(&self) -> Instant {
        let now = Instant::now();
        let most = u32::try_from(self.most).unwrap_or(u32::MAX);
        let spread = self.sent.back().map(|last| *last + self.length / most / 2);
        let full = self.sent.front().filter(|_| self.sent.len() >= self.most);
        let full = full.map(|first| *first + self.length);
        [spread, full].into_iter().flatten().fold(now, Instant::max)
    }

    /// Notes that one leaves.
    pub fn note(&mut self, now: Instant) {
        if self.sent.len() >= self.most {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
    }
}

/// Gives turns to those who ask one server, in the order in which they came.
#[derive(Debug)]
pub struct Pace {
    window: Queue<Window>,
    /// Nobody asks before.
    held: Mutex<Option<Instant>>,
}

impl Pace {
    /// At most so many turns a second.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        Self {
            window: Queue::new(Window::new(per_second, 100)),
            held: Mutex::default(),
        }
    }

    /// Waits for a turn. Says whether there was one before `until`.
    pub async fn turn(&self, until: Instant) -> bool {
        let turn = async {
            let mut window = self.window.lock().await;
            loop {
                let held = *self.held();
                let due = held.map_or(window.due(), |held| held.max(window.due()));
                if due <= Instant::now() {
                    window.note(Instant::now());
                    return;
                }
                sleep_until(due).await;
            }
        };
        tokio::time::timeout_at(until, turn).await.is_ok()
    }

    /// Lets nobody have a turn for so long.
    pub fn hold(&self, wait: Duration) {
        let mut held = self.held();
        *held = (*held).max(Some(Instant::now() + wait));
    }

    fn held(&self) -> MutexGuard<'_, Option<Instant>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When each of so many turns was given, if all were wanted at once.
    async fn turns(pace: &Pace, wanted: u32) -> Vec<Duration> {
        let (begun, mut turns) = (Instant::now(), Vec::new());
        for _ in 0..wanted {
            assert!(pace.turn(begun + Duration::from_secs(3_600)).await);
            turns.push(begun.elapsed());
        }
        turns
    }

    #[tokio::test(start_paused = true)]
    async fn no_second_has_more_turns_and_none_is_wasted() {
        let turns = turns(&Pace::new(25), 250).await;
        for window in turns.windows(26) {
            assert!(window[25] - window[0] > Duration::from_secs(1));
        }
        assert!(turns[249] < Duration::from_secs(11), "{:?}", turns[249]);
    }

    #[tokio::test(start_paused = true)]
    async fn n16_nobody_has_a_turn_while_the_server_wants_to_be_left_alone() {
        let pace = Pace::new(25);
        pace.hold(Duration::from_secs(7));
        pace.hold(Duration::from_secs(2));
        let soon = Instant::now() + Duration::from_secs(5);
        assert!(!pace.turn(soon).await, "not before its time is up");
        assert!(turns(&pace, 1).await[0] >= Duration::from_secs(2));
    }
}

//! How often somebody else's server may be asked: no second has more than so many requests.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Queue, MutexGuard as QueueGuard};
use tokio::time::{Instant, sleep_until};

/// How long a second of ours is, as clocks differ a little.
const SECOND: Duration = Duration::from_millis(1_003);
/// The longest time for which a pace gives no turns: what a server asks for may be any number, and an
/// instant that far ahead could not be computed.
pub const MAX_HOLD: Duration = Duration::from_secs(3_600);
/// The most that a request is taken to have been late on its way.
const MOST_LATE: Duration = Duration::from_millis(50);

/// The requests of the last second: no second has more than the share. They are spread over it, and
/// who was late may catch up within it; what a second did not use is not saved up.
///
/// A server counts a request when it arrives, which may be later than it left: by as much, at most,
/// as its answer took longer than the fastest one.
#[derive(Debug)]
pub struct Window {
    /// When the last ones arrived, as far as is known: as many as a window may have.
    sent: VecDeque<Instant>,
    most: usize,
    /// How long that window is: a second, as near as a whole number of requests allows.
    length: Duration,
    /// How long there is between two at least.
    gap: Duration,
    /// What the fastest answer took.
    fastest: Option<Duration>,
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
            gap: length / most / 2,
            fastest: None,
        }
    }

    /// When the next one may leave.
    #[must_use]
    pub fn due(&self) -> Instant {
        let now = Instant::now();
        let spread = self.sent.back().map(|last| *last + self.gap);
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

    /// Notes how long the answer took to one that left at an instant.
    pub fn answered(&mut self, left: Instant, took: Duration) {
        let fastest = self.fastest.map_or(took, |fastest| fastest.min(took));
        self.fastest = Some(fastest);
        let late = took.saturating_sub(fastest).min(MOST_LATE);
        let Ok(mut place) = self.sent.binary_search(&left) else {
            return;
        };
        let arrived = left + late;
        while self.sent.get(place + 1).is_some_and(|next| *next < arrived) {
            self.sent.swap(place, place + 1);
            place += 1;
        }
        if let Some(sent) = self.sent.get_mut(place) {
            *sent = arrived;
        }
    }
}

/// Those who wait for a window, in the order in which they came.
#[derive(Debug)]
pub struct Line {
    order: Queue<()>,
    window: Mutex<Window>,
}

impl Line {
    /// For a window.
    #[must_use]
    pub fn new(window: Window) -> Self {
        Self {
            order: Queue::default(),
            window: Mutex::new(window),
        }
    }

    /// Waits to be the first, and until the window has room and nobody is held back.
    pub async fn first(&self, held: impl Fn() -> Option<Instant>) -> QueueGuard<'_, ()> {
        let first = self.order.lock().await;
        loop {
            let due = self.window().due();
            let due = held().map_or(due, |held| held.max(due));
            if due <= Instant::now() {
                return first;
            }
            sleep_until(due).await;
        }
    }

    /// The window, for a moment.
    pub fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives turns to those who ask one server.
#[derive(Debug)]
pub struct Pace {
    line: Line,
    /// Nobody asks before.
    held: Mutex<Option<Instant>>,
}

impl Pace {
    /// At most so many turns a second.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        Self {
            line: Line::new(Window::new(per_second, 100)),
            held: Mutex::default(),
        }
    }

    /// Waits for a turn. Gives when it was, if there was one before `until`.
    pub async fn turn(&self, until: Instant) -> Option<Instant> {
        let turn = async {
            let _first = self.line.first(|| *self.held()).await;
            let now = Instant::now();
            self.line.window().note(now);
            now
        };
        tokio::time::timeout_at(until, turn).await.ok()
    }

    /// Notes that the answer to the request of a turn has come.
    pub fn answered(&self, turn: Instant) {
        self.line.window().answered(turn, turn.elapsed());
    }

    /// Gives nobody a turn for `wait`, at most [`MAX_HOLD`].
    pub fn hold(&self, wait: Duration) {
        let mut held = self.held();
        *held = (*held).max(Some(Instant::now() + wait.min(MAX_HOLD)));
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
            pace.turn(begun + Duration::from_secs(3_600)).await.unwrap();
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
    async fn who_was_late_on_the_way_makes_room_later() {
        let (mut window, begun) = (Window::new(2, 100), Instant::now());
        let after = |milliseconds| begun + Duration::from_millis(milliseconds);
        let took = |milliseconds| Duration::from_millis(milliseconds);
        window.note(after(0));
        window.answered(after(0), took(150));
        window.note(after(300));
        window.answered(after(300), took(180));
        assert_eq!(window.due(), after(1_003));
        window.note(after(1_003));
        assert_eq!(window.due(), after(1_333), "thirty late");
        window.answered(after(1_003), took(9_000));
        assert_eq!(window.sent, [after(330), after(1_053)], "fifty at most");

        let mut window = Window::new(100, 100);
        window.note(after(0));
        window.note(after(10));
        window.answered(after(10), took(150));
        window.answered(after(0), took(190));
        assert_eq!(window.sent, [after(10), after(40)], "overtaken");
    }

    /// S20: however long a server wants to be left alone.
    #[tokio::test(start_paused = true)]
    async fn s20_a_hold_of_any_length_ends() {
        let pace = Pace::new(25);
        pace.hold(Duration::MAX);
        let until = Instant::now() + MAX_HOLD;
        assert!(pace.turn(until + Duration::from_secs(1)).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn n16_nobody_has_a_turn_while_the_server_wants_to_be_left_alone() {
        let pace = Pace::new(25);
        pace.hold(Duration::from_secs(7));
        pace.hold(Duration::from_secs(2));
        let soon = Instant::now() + Duration::from_secs(5);
        assert_eq!(pace.turn(soon).await, None, "not before its time is up");
        assert!(turns(&pace, 1).await[0] >= Duration::from_secs(2));
    }
}

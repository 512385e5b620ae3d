//! What an event of a contact changes: who enters, and who leaves.

use serde_json::Value;

use super::{DAY, Enrolment, Reentry, Seen, Sequence, State, Step, Trigger, Why};
use crate::condition::Facts;
use crate::time::Timestamp;

/// An event that may start a sequence.
#[derive(Debug, Clone, Copy)]
pub struct Happened<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its name on the bus.
    pub name: &'a str,
    /// When it happened.
    pub at: Timestamp,
    /// What it says.
    pub data: &'a Value,
}

impl Sequence {
    /// What an event of a contact changes: an enrolment that is left, or a new one. The contact
    /// decides as it is now; the event only says when to look, and may be late or early.
    #[must_use]
    pub fn hear(
        &self,
        name: &str,
        event: &Happened<'_>,
        held: Option<&Enrolment>,
        seen: &Seen<'_>,
    ) -> Option<Enrolment> {
        let facts = seen.facts(Some(event.data));
        if let Some(running) = held.filter(|held| held.due().is_some()) {
            // By what is known of the contact, and not by our clock: what happened since may be a
            // new reason.
            let at = seen.contact.evaluated_at.max(event.at);
            return self.leaves(&facts, seen).map(|why| running.left(why, at));
        }
        let enters = self.starts(event, &facts, seen)
            && self.leaves(&facts, seen).is_none()
            && self.lets_in(event, held);
        enters.then(|| self.begin(name, event.id, event.at, held))
    }

    /// A new enrolment after the one before, by the event that began it.
    #[must_use]
    pub fn begin(
        &self,
        name: &str,
        event: &str,
        at: Timestamp,
        held: Option<&Enrolment>,
    ) -> Enrolment {
        let first = self.steps.first().map_or(0, |step| step.delay.seconds());
        Enrolment {
            sequence: name.to_owned(),
            n: held.map_or(1, |held| held.n + 1),
            version: held.map_or(1, |held| held.version + 1),
            enrolled_at: at,
            event: event.to_owned(),
            taken: Vec::new(),
            moved: 0,
            state: State::Running {
                due: at.plus(first),
            },
        }
    }

    /// Whether an event is what starts it, and still true of the contact.
    fn starts(&self, event: &Happened<'_>, facts: &Facts, seen: &Seen<'_>) -> bool {
        match &self.trigger {
            Trigger::Event { event: name, when } => {
                name == event.name && when.as_ref().is_none_or(|when| when.holds(facts))
            }
            Trigger::Segment { segment } => {
                let entered = event.data.get("segment").and_then(Value::as_str);
                event.name == "segment_entered" && entered == Some(segment) && seen.is_in(segment)
            }
        }
    }

    pub(super) fn leaves(&self, facts: &Facts, seen: &Seen<'_>) -> Option<Why> {
        if seen.contact.is_deleted() {
            return Some(Why::Gone);
        }
        self.exit_when.holds(facts).then_some(Why::Exit)
    }

    /// Whether somebody who was in it may enter again. An event from before the end is about the
    /// reason of then, however late it comes.
    fn lets_in(&self, event: &Happened<'_>, held: Option<&Enrolment>) -> bool {
        let Some(last) = held else { return true };
        let ended = last.ended_at().is_some_and(|ended| event.at >= ended);
        let rested = match self.reentry {
            Reentry::Never => false,
            Reentry::AfterEnd => true,
            Reentry::AfterDays(days) => event.at >= last.enrolled_at.plus(i64::from(days) * DAY),
        };
        ended && rested && last.event != event.id
    }

    /// Whether somebody would enter or stay: the reason is there.
    #[must_use]
    pub fn has_reason(&self, seen: &Seen<'_>) -> bool {
        self.leaves(&seen.facts(None), seen).is_none()
    }

    /// Whether a step would be sent now.
    #[must_use]
    pub fn sends(step: &Step, seen: &Seen<'_>) -> bool {
        let facts = seen.facts(None);
        step.when.as_ref().is_none_or(|when| when.holds(&facts))
    }
}

//! What becomes of an enrolment: a function of the definition, the enrolment, the contact as it is
//! now, and the time.

use serde::{Deserialize, Serialize};

use super::{Channel, Seen, Sequence, Step};
use crate::time::Timestamp;

/// How late a step may be without moving those after it, in seconds. After a longer outage they
/// keep their distance, so that nobody gets all of them at once.
const LATE: i64 = 86_400;

/// Why a sequence was left before its last step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Its reason is gone: `exit_when` holds.
    Exit,
    /// It was switched off, or its definition is gone.
    Off,
    /// The contact is gone.
    Gone,
}

/// How far an enrolment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A step is to come.
    Running {
        /// When.
        due: Timestamp,
    },
    /// It was left.
    Left {
        /// When.
        at: Timestamp,
        /// Why.
        why: Why,
    },
    /// Every step was taken.
    Done {
        /// When.
        at: Timestamp,
    },
}

/// A step that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Its name.
    pub step: String,
    /// Its delay then, in seconds.
    pub delay: i64,
    /// When.
    pub at: Timestamp,
    /// Whether it was sent; else its condition did not hold.
    pub sent: bool,
}

/// A contact's newest enrolment in a sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// The sequence's name.
    pub sequence: String,
    /// Which enrolment of this contact in it this is, from 1.
    pub n: u32,
    /// How often it was written. What is stored must be one less.
    pub version: u64,
    /// When the event happened that enrolled it.
    pub enrolled_at: Timestamp,
    /// That event's id.
    pub event: String,
    /// The steps that were taken.
    pub taken: Vec<Taken>,
    /// By how many seconds the steps to come are later than planned.
    #[serde(default)]
    pub moved: i64,
    /// How far it is.
    pub state: State,
}

/// A step that is due, with its text filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepDue {
    /// The sequence's name.
    pub sequence: String,
    /// Which enrolment of the contact in it.
    pub enrolment: u32,
    /// The step's place, from 1.
    pub step: usize,
    /// The step's name.
    pub name: String,
    /// Where it goes.
    pub channel: Channel,
    /// The subject, for those that have one.
    pub subject: Option<String>,
    /// The text.
    pub text: String,
}

/// An enrolment that moved on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    /// As it is now.
    pub enrolment: Enrolment,
    /// The step that is to be sent with it.
    pub due: Option<StepDue>,
}

impl Enrolment {
    /// When something is to be done with it, if ever.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        match self.state {
            State::Running { due } => Some(due),
            State::Left { .. } | State::Done { .. } => None,
        }
    }

    pub(super) fn ended_at(&self) -> Option<Timestamp> {
        match self.state {
            State::Running { .. } => None,
            State::Left { at, .. } | State::Done { at } => Some(at),
        }
    }

    pub(super) fn left(&self, why: Why, at: Timestamp) -> Self {
        Self {
            version: self.version + 1,
            state: State::Left { at, why },
            ..self.clone()
        }
    }

    /// The step that comes next with its place: by its delay and name, so that a definition may
    /// change while somebody is in it.
    fn next<'a>(&self, sequence: &'a Sequence) -> Option<(usize, &'a Step)> {
        let reached = self.taken.last().map_or(0, |taken| taken.delay);
        let taken = |step: &Step| self.taken.iter().any(|taken| taken.step == step.name);
        let steps = sequence.steps.iter().enumerate();
        let mut open = steps.filter(|(_, step)| step.delay.seconds() >= reached && !taken(step));
        open.next()
    }

    fn due_at(&self, step: &Step) -> Timestamp {
        self.enrolled_at.plus(step.delay.seconds() + self.moved)
    }

    /// Notes a step, and what comes after it.
    fn take(&mut self, step: &Step, sequence: &Sequence, sent: bool, now: Timestamp) {
        let late = now.unix() - self.due_at(step).unix();
        if sent && late > LATE {
            self.moved += late;
        }
        self.taken.push(Taken {
            step: step.name.clone(),
            delay: step.delay.seconds(),
            at: now,
            sent,
        });
        self.state = match self.next(sequence) {
            Some((_, next)) => State::Running {
                due: self.due_at(next),
            },
            None => State::Done { at: now },
        };
    }
}

/// Moves a running enrolment on to `now`, by one sent step at most; none when nothing is to be done.
///
/// `sequence` is none when it is switched off, `seen` when the contact is gone.
#[must_use]
pub fn advance(
    sequence: Option<&Sequence>,
    held: &Enrolment,
    seen: Option<&Seen<'_>>,
    now: Timestamp,
) -> Option<Advance> {
    held.due().filter(|due| *due <= now)?;
    let left = |why| Advance {
        enrolment: held.left(why, now),
        due: None,
    };
    let (Some(sequence), Some(seen)) = (sequence, seen) else {
        return Some(left(if seen.is_some() { Why::Off } else { Why::Gone }));
    };
    if let Some(why) = sequence.leaves(&seen.facts(None), seen) {
        return Some(left(why));
    }
    let mut enrolment = held.clone();
    enrolment.version += 1;
    while let Some((place, step)) = enrolment.next(sequence) {
        let due = enrolment.due_at(step);
        if due > now {
            enrolment.state = State::Running { due };
            return Some(Advance {
                enrolment,
                due: None,
            });
        }
        let sent = Sequence::sends(step, seen);
        enrolment.take(step, sequence, sent, now);
        if sent {
            let due = Some(step_due(&enrolment, place, step, seen));
            return Some(Advance { enrolment, due });
        }
    }
    enrolment.state = State::Done { at: now };
    Some(Advance {
        enrolment,
        due: None,
    })
}

/// A step with its text filled in; `place` counts from 0.
fn step_due(enrolment: &Enrolment, place: usize, step: &Step, seen: &Seen<'_>) -> StepDue {
    StepDue {
        sequence: enrolment.sequence.clone(),
        enrolment: enrolment.n,
        step: place + 1,
        name: step.name.clone(),
        channel: step.channel,
        subject: step.subject.as_ref().map(|subject| subject.fill(seen)),
        text: step.text.fill(seen),
    }
}

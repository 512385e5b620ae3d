//! What a sequence would do with a contact that stays as it is.

use std::fmt;

use super::{Enrolment, Seen, Sequence, State, StepDue, Why, advance};
use crate::contact::Contact;
use crate::settings::Settings;
use crate::time::Timestamp;

/// Something that happens at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simulated {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A step is sent.
    Sent(Box<StepDue>),
    /// A step, by its name, is left out: its condition does not hold.
    LeftOut(String),
    /// The sequence is left.
    Left(Why),
    /// The sequence is over.
    Done,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent(due) => write!(f, "sends {}", due.name),
            Self::LeftOut(step) => write!(f, "leaves out {step}"),
            Self::Left(Why::Exit) => f.write_str("is left: exit_when holds"),
            Self::Left(Why::Off) => f.write_str("is left: it is switched off"),
            Self::Left(Why::Gone) => f.write_str("is left: the customer is gone"),
            Self::Done => f.write_str("is done"),
        }
    }
}

/// Enrols a contact at an instant, and lets time pass until another. The contact stays as it is, but
/// for what follows from time alone.
#[must_use]
pub fn simulate(
    name: &str,
    sequence: &Sequence,
    contact: &Contact,
    settings: &Settings,
    from: Timestamp,
    until: Timestamp,
) -> Vec<Simulated> {
    let mut held = sequence.begin(name, "simulated", from, None);
    let mut told = Vec::new();
    while let Some(now) = held.due().filter(|due| *due <= until) {
        let seen = Seen::at(contact, settings, now);
        let Some(moved) = advance(Some(sequence), &held, Some(&seen), now) else {
            break;
        };
        let happened = happened(&held, &moved.enrolment, moved.due);
        told.extend(happened.into_iter().map(|what| Simulated { at: now, what }));
        held = moved.enrolment;
    }
    told
}

/// What happened between two states of an enrolment.
fn happened(before: &Enrolment, after: &Enrolment, sent: Option<StepDue>) -> Vec<What> {
    let taken = after.taken.iter().skip(before.taken.len());
    let left_out = taken.filter(|taken| !taken.sent);
    let mut told: Vec<What> = left_out.map(|t| What::LeftOut(t.step.clone())).collect();
    told.extend(sent.map(|due| What::Sent(Box::new(due))));
    match after.state {
        State::Running { .. } => {}
        State::Left { why, .. } => told.push(What::Left(why)),
        State::Done { .. } => told.push(What::Done),
    }
    told
}

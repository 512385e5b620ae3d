//! What goes wrong on purpose.

use std::sync::Mutex;

use serde::Deserialize;

use super::state::locked;

/// A rule for what goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Fault {
    /// The beginning of the paths that it is for.
    #[serde(default)]
    pub path: String,
    /// What happens.
    pub kind: FaultKind,
    /// To how many requests it happens before the rule is used up; none for all.
    #[serde(default)]
    pub next: Option<u32>,
    /// To how many of a hundred requests it happens.
    #[serde(default = "every")]
    pub percent: u8,
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// 429, with this as `Retry-After` if there is something.
    TooMany {
        /// Seconds or a date.
        retry_after: Option<String>,
    },
    /// 500, with Stripe's JSON.
    Broken,
    /// 502, with a page for people.
    Html,
    /// No answer at all, on a connection that stays open.
    Silence,
    /// The whole length is promised and half the body comes.
    HalfBody,
    /// The connection is closed without an answer.
    Closed,
    /// 401, as if the key had been revoked.
    Revoked,
}

fn every() -> u8 {
    100
}

impl Fault {
    /// Something that happens to the next requests.
    #[must_use]
    pub fn next(count: u32, path: &str, kind: FaultKind) -> Self {
        Self {
            path: path.to_owned(),
            kind,
            next: Some(count),
            percent: 100,
        }
    }

    /// Something that happens to so many of a hundred requests.
    #[must_use]
    pub fn share(percent: u8, path: &str, kind: FaultKind) -> Self {
        Self {
            path: path.to_owned(),
            kind,
            next: None,
            percent,
        }
    }
}

/// The rules, and the chance that picks requests: the same one in every run.
#[derive(Debug)]
pub(super) struct Faults(Mutex<(Vec<Fault>, fastrand::Rng)>);

impl Default for Faults {
    fn default() -> Self {
        Self(Mutex::new((Vec::new(), fastrand::Rng::with_seed(1))))
    }
}

impl Faults {
    /// Sets the rules. The first that fits a request counts.
    pub(super) fn set(&self, rules: Vec<Fault>) {
        locked(&self.0).0 = rules;
    }

    /// What is to happen to a request.
    pub(super) fn strike(&self, path: &str) -> Option<FaultKind> {
        let mut guard = locked(&self.0);
        let (rules, chance) = &mut *guard;
        for rule in rules.iter_mut() {
            let is_used_up = rule.next == Some(0);
            if is_used_up || !path.starts_with(&rule.path) || chance.u8(0..100) >= rule.percent {
                continue;
            }
            if let Some(left) = &mut rule.next {
                *left -= 1;
            }
            return Some(rule.kind.clone());
        }
        None
    }
}

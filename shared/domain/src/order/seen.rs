//! A field that some events leave out.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A field that some API versions do not send: it remembers when it was last seen.
///
/// "Absent" is not "null": an absent field never wipes a value that another snapshot had.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Seen<T> {
    #[serde(default)]
    at: Option<Timestamp>,
    value: T,
}

impl<T: Default> Default for Seen<T> {
    fn default() -> Self {
        Self {
            at: None,
            value: T::default(),
        }
    }
}

impl<T: PartialEq> PartialEq for Seen<T> {
    /// Compares what the field says, not when it was seen.
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Seen<T> {}

impl<T: Clone + Default> Seen<T> {
    /// Whether no snapshot had the field: it is then left out of what is stored.
    pub fn is_unseen(&self) -> bool {
        self.at.is_none()
    }

    /// A field as a snapshot of second `at` has it; `None` when the snapshot does not have it.
    pub fn new(at: Timestamp, value: Option<T>) -> Self {
        match value {
            Some(value) => Self {
                at: Some(at),
                value,
            },
            None => Self::default(),
        }
    }

    /// Stripe's second in which the field was last seen.
    pub fn seen_at(&self) -> Option<Timestamp> {
        self.at
    }

    /// The value last seen.
    pub fn get(&self) -> &T {
        &self.value
    }

    /// Changes the value, as seen when it was.
    pub fn change(&mut self, change: impl FnOnce(&mut T)) {
        change(&mut self.value);
    }

    /// Takes the other's value if it was seen later.
    pub fn inherit(&mut self, other: &Self) {
        if other.at > self.at {
            *self = other.clone();
        }
    }
}

//! A contact's users and workspaces: how many it may have, and how they move to another contact.

use std::collections::BTreeSet;

use super::{Contact, Outcome, Profile};
use crate::settings::Settings;
use crate::time::Timestamp;

/// The most users of a contact.
pub const MAX_USERS: usize = 500;
/// The most workspaces of a contact.
pub const MAX_WORKSPACES: usize = 100;

/// A contact that would have too many of something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it would have {count} {field}; at most {limit} are possible")]
pub struct TooMany {
    /// `users` or `workspaces`.
    pub field: &'static str,
    /// How many it would have.
    pub count: usize,
    /// How many it may have.
    pub limit: usize,
}

impl Contact {
    /// Checks that a change gives the contact no more users and workspaces than it may have. One that
    /// has more of them already may keep them.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn check_names(&self, before: Option<&Profile>) -> Result<(), TooMany> {
        let nothing = Profile::default();
        let was = before.unwrap_or(&nothing);
        let is = self.profile.as_ref().unwrap_or(&nothing);
        for (field, was, is, limit) in [
            ("users", &was.users, &is.users, MAX_USERS),
            (
                "workspaces",
                &was.workspaces,
                &is.workspaces,
                MAX_WORKSPACES,
            ),
        ] {
            if is.len() > limit.max(was.len()) {
                let count = is.len();
                return Err(TooMany {
                    field,
                    count,
                    limit,
                });
            }
        }
        Ok(())
    }

    /// Takes users and workspaces out of the contact, at most `most`, for another one to take in.
    pub fn give_names(
        &mut self,
        most: usize,
        settings: &Settings,
        now: Timestamp,
    ) -> (Profile, Outcome) {
        let mut given = Profile::default();
        let outcome = self.change(settings, now, |contact| {
            let Some(profile) = &mut contact.profile else {
                return;
            };
            given.users = split_off(&mut profile.users, most);
            let room = most.saturating_sub(given.users.len());
            given.workspaces = split_off(&mut profile.workspaces, room);
        });
        (given, outcome)
    }
}

/// Takes the first members out of a set.
fn split_off(set: &mut BTreeSet<String>, most: usize) -> BTreeSet<String> {
    let taken: BTreeSet<String> = set.iter().take(most).cloned().collect();
    set.retain(|name| !taken.contains(name));
    taken
}

//! A subscription schedule: what is planned. It changes nothing until its phase begins.

use super::Applied;
use crate::account::{Account, ObjectKey, observe_in};
use crate::audit::Diff;
use crate::fact::Fact;
use crate::objects::schedule::Schedule;

pub(super) fn apply(account: &mut Account, fact: &Fact, new: &Schedule) -> Applied {
    let version = fact.version(new.clone());
    let (before, disposition) = observe_in(&mut account.schedules, &new.id, version);
    let mut applied = Applied::of(disposition, ObjectKey::Schedule(new.id.clone()));
    let Some(after) = account
        .schedules
        .get(&new.id)
        .map(|stored| stored.value.get())
    else {
        return applied;
    };
    let prefix = format!("schedules.{}.", new.id);
    let mut diff = Diff::new(&prefix, before.as_ref(), after);
    diff.field("status", |schedule| &schedule.status);
    diff.field("phases", |schedule| schedule.phases.len());
    applied.changes = diff.changes();
    applied
}

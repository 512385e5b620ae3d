//! A subscription schedule: what is planned. It changes nothing until its phase begins.

use super::Applied;
use crate::account::{Account, ObjectKey, observe_in};
use crate::audit::{Diff, FieldChange};
use crate::fact::Fact;
use crate::objects::schedule::Schedule;

pub(super) fn apply(account: &mut Account, fact: &Fact, new: &Schedule) -> Applied {
    let version = fact.version(new.clone());
    let (_, disposition) = observe_in(&mut account.schedules, &new.id, version);
    Applied::of(disposition, ObjectKey::Schedule(new.id.clone()))
}

/// The audited fields that differ.
pub(super) fn changes(before: Option<&Schedule>, after: &Schedule) -> Vec<FieldChange> {
    let mut diff = Diff::new("", before, after);
    diff.field("status", |schedule| &schedule.status);
    diff.field("phases", |schedule| schedule.phases.len());
    diff.fields()
}

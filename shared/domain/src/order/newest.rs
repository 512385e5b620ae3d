//! Which of several snapshots in one place is the newest.

use std::collections::BTreeSet;

use super::{Earlier, Leaves, Snapshot, Step, Version};

/// The index of the newest of several snapshots of one second, and whether that is a guess.
///
/// Every event is an edge from the snapshot it replaced to its own. The history of the second is a
/// walk over these edges, so its end is the one snapshot entered once more often than left. Where
/// events are missing there is no such end; then a snapshot that no other replaced is the newest,
/// if there is just one.
pub(super) fn newest<T: Snapshot>(
    versions: &[Version<T>],
    earlier: Option<&Earlier>,
) -> (Option<usize>, bool) {
    let ends = [false, true].map(|merged| walk_end(versions, merged, earlier));
    match ends {
        // Once more there, or the same change told twice: both would look like this.
        [Some(end), Some(other)] if end != other => return (Some(end), true),
        [Some(end), _] | [None, Some(end)] => return (Some(end), false),
        [None, None] => {}
    }
    let open: Vec<usize> = (0..versions.len())
        .filter(|v| !is_replaced(versions, *v))
        .collect();
    let updated: Vec<usize> = open
        .iter()
        .copied()
        .filter(|v| {
            versions
                .get(*v)
                .is_some_and(|version| !is_only_created(version))
        })
        .collect();
    let candidates = if !updated.is_empty() {
        updated
    } else if !open.is_empty() {
        open
    } else {
        (0..versions.len()).collect()
    };
    let mut objects = candidates
        .iter()
        .filter_map(|v| versions.get(*v))
        .map(|v| &v.object);
    let first = objects.next();
    let agreed = objects.all(|object| Some(object) == first);
    (candidates.first().copied(), !agreed)
}

fn is_only_created<T>(version: &Version<T>) -> bool {
    version.steps.iter().all(|step| step.creation)
}

/// Whether an event of another snapshot names this one's values as those it replaced.
fn is_replaced<T>(versions: &[Version<T>], index: usize) -> bool {
    let Some(this) = versions.get(index) else {
        return false;
    };
    versions.iter().any(|other| {
        other.content != this.content
            && other
                .steps
                .iter()
                .filter_map(|step| step.previous.as_ref())
                .any(|previous| {
                    previous.within(&this.leaves)
                        && !is_replaced_exactly_elsewhere(versions, other, previous, this)
                })
    })
}

/// Whether `previous` fits some snapshot other than `this` exactly, and `this` only loosely.
fn is_replaced_exactly_elsewhere<T>(
    versions: &[Version<T>],
    target: &Version<T>,
    previous: &Leaves,
    this: &Version<T>,
) -> bool {
    !is_origin(this, target, previous)
        && versions
            .iter()
            .any(|v| v.content != this.content && is_origin(v, target, previous))
}

fn is_origin<T>(origin: &Version<T>, target: &Version<T>, previous: &Leaves) -> bool {
    origin.content != target.content
        && previous.within(&origin.leaves)
        && origin.leaves.differs_only_by(&target.leaves, previous)
}

/// The end of the walk, if the events draw exactly one complete walk.
///
/// `merged` counts events that tell the same change (a second endpoint's, say) once.
fn walk_end<T>(versions: &[Version<T>], merged: bool, earlier: Option<&Earlier>) -> Option<usize> {
    let balance = balance(versions, merged)?;
    let only_shown = |index: &usize| versions.get(*index).is_some_and(is_only_shown);
    let of = |sum: i64| {
        let all = balance.iter().enumerate();
        all.filter(move |(_, own)| **own == sum)
            .map(|(index, _)| index)
    };
    let (entered, left): (Vec<_>, Vec<_>) = (of(1).collect(), of(-1).collect());
    let even = of(0).count();
    if entered.len() + left.len() + even < versions.len() {
        return None;
    }
    // What was only shown was entered before the second: the walk begins there, if anywhere.
    if of(0).any(|index| only_shown(&index)) {
        return None;
    }
    match (entered.as_slice(), left.as_slice()) {
        ([end], [] | [_]) => Some(*end),
        // There and back: it ends where it began, and that is where the time before left off.
        ([], []) => {
            let known = |index: &usize| {
                let content = versions.get(*index).map(|version| version.content);
                earlier
                    .zip(content)
                    .is_some_and(|(earlier, content)| earlier.contents.contains(&content))
            };
            let mut began = (0..versions.len()).filter(known);
            let end = began.next();
            end.filter(|_| began.next().is_none())
        }
        _ => None,
    }
}

/// How much more often each snapshot was entered than left; none where an event could have come
/// from more than one.
fn balance<T>(versions: &[Version<T>], merged: bool) -> Option<Vec<i64>> {
    let mut balance = vec![0_i64; versions.len()];
    for (index, target) in versions.iter().enumerate() {
        let mut told = BTreeSet::new();
        for step in &target.steps {
            if is_showing(step) || (merged && !told.insert(&step.previous)) {
                continue;
            }
            if let Some(entered) = balance.get_mut(index) {
                *entered += 1;
            }
            let Some(previous) = &step.previous else {
                continue;
            };
            let origins: Vec<usize> = (0..versions.len())
                .filter(|v| {
                    versions
                        .get(*v)
                        .is_some_and(|v| is_origin(v, target, previous))
                })
                .collect();
            match origins.as_slice() {
                [] => {}
                [origin] => {
                    if let Some(left) = balance.get_mut(*origin) {
                        *left -= 1;
                    }
                }
                _ => return None,
            }
        }
    }
    Some(balance)
}

/// Whether an event says what the object is, and nothing of a change: `trial_will_end`, say.
fn is_showing(step: &Step) -> bool {
    step.previous.is_none() && !step.creation
}

fn is_only_shown<T>(version: &Version<T>) -> bool {
    version.steps.iter().all(is_showing)
}

//! Publishing what was committed, at once or after a crash.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use crate::ports::{LedgerEntry, Publisher, Store, StoreError};

/// Publishes the outboxes of several entries together and notes the whole ones as published. An entry
/// with an event that the bus refuses for good is set aside, with the reason.
///
/// Gives the places of the entries that still wait. An event may be published twice, when the note
/// fails; its id is the same, so consumers drop it.
///
/// # Errors
/// Never for events that could not be published: those wait. [`StoreError`] when a note failed.
pub async fn publish<S: Store, P: Publisher>(
    store: &S,
    publisher: &P,
    entries: &[LedgerEntry],
) -> Result<BTreeSet<usize>, StoreError> {
    let events: Vec<_> = entries
        .iter()
        .enumerate()
        .flat_map(|(place, entry)| entry.outbox.iter().map(move |event| (place, event)))
        .collect();
    let outgoing: Vec<_> = events.iter().map(|(_, event)| *event).collect();
    let unpublished = publisher.publish(&outgoing).await;
    let waiting = unpublished.waiting.iter();
    let waiting = waiting.filter_map(|event| events.get(*event));
    let waiting: BTreeSet<usize> = waiting.map(|(place, _)| *place).collect();
    let mut reasons: BTreeMap<usize, String> = BTreeMap::new();
    for (event, reason) in &unpublished.refused {
        let Some((place, event)) = events.get(*event) else {
            continue;
        };
        let (id, name) = (&event.detail.id, &event.detail_type);
        tracing::error!(
            code = "event_refused",
            event.id = id,
            event.type_ = name,
            reason,
            "The bus refuses an event for good: it is set aside"
        );
        let reasons = reasons.entry(*place).or_default();
        reasons.push_str(&format!("{id} {name}: {reason}; "));
    }
    let done = entries
        .iter()
        .enumerate()
        .filter(|(place, entry)| !waiting.contains(place) && !entry.outbox.is_empty());
    let notes = done.map(|(place, entry)| note(store, entry, reasons.get(&place)));
    join_all(notes)
        .await
        .into_iter()
        .collect::<Result<(), _>>()?;
    Ok(waiting)
}

/// Notes that an entry does not wait any more: it is published, or refused for a reason.
async fn note<S: Store>(
    store: &S,
    entry: &LedgerEntry,
    refused: Option<&String>,
) -> Result<(), StoreError> {
    match refused {
        None => store.published(&entry.tenant, &entry.cause).await,
        Some(reason) => {
            let reason = reason.trim_end_matches("; ");
            store.set_aside(&entry.tenant, &entry.cause, reason).await
        }
    }
}

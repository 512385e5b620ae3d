//! Publishing what was committed, at once or after a crash.

use std::collections::BTreeSet;

use futures::future::join_all;

use crate::ports::{LedgerEntry, Publisher, Store, StoreError};

/// Publishes the outboxes of several entries together and notes the whole ones as published.
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
    let failed = publisher.publish(&outgoing).await;
    let waiting: BTreeSet<usize> = failed
        .iter()
        .filter_map(|event| events.get(*event))
        .map(|(place, _)| *place)
        .collect();
    let whole = entries
        .iter()
        .enumerate()
        .filter(|(place, entry)| !waiting.contains(place) && !entry.outbox.is_empty());
    let notes = whole.map(|(_, entry)| store.published(&entry.tenant, &entry.cause));
    join_all(notes)
        .await
        .into_iter()
        .collect::<Result<(), _>>()?;
    Ok(waiting)
}

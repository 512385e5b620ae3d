//! The figures of a day: what happened is noted event by event, and after midnight all contacts
//! are added up, in as many goes as it takes.

use std::future::Future;

use futures::future::try_join_all;
use paygraph_domain::analytics::{Book, Counted, Day, Earlier, Fact, Figure, figures};
use paygraph_domain::contact::Contact;
use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::backoff::Deadline;
use crate::ports::{CommitError, Store, StoreError};

/// How many contacts are read in one request.
const AT_ONCE: usize = 100;
/// How many of these requests there are side by side, before it is noted how far it is.
const SIDE_BY_SIDE: usize = 8;

/// How far the work on a day's figures is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// The day.
    pub day: Day,
    /// How often it was written; 0 before the first time.
    pub rev: u64,
    /// The contacts, added up as far as they were.
    pub book: Book,
    /// The contact up to which they were, in the order of their ids.
    pub done_to: Option<CustomerId>,
    /// Whether all were.
    pub whole: bool,
    /// Whether the day's figures were told.
    pub told: bool,
}

impl Census {
    /// Nothing yet, for a day.
    #[must_use]
    pub fn new(day: Day) -> Self {
        Self {
            day,
            rev: 0,
            book: Book::default(),
            done_to: None,
            whole: false,
            told: false,
        }
    }
}

/// Where facts and days are kept.
pub trait Analytics: Sync {
    /// Keeps a fact under the id of its event. To keep it again changes nothing.
    fn keep_fact(
        &self,
        tenant: &TenantId,
        event: &str,
        fact: &Fact,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Reads the facts of some days of one month, page by page.
    fn facts(
        &self,
        tenant: &TenantId,
        days: (Day, Day),
        each: &mut (dyn FnMut(Fact) + Send),
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The work on some days, the earliest first.
    fn censuses(
        &self,
        tenant: &TenantId,
        days: (Day, Day),
    ) -> impl Future<Output = Result<Vec<Census>, StoreError>> + Send;

    /// Writes the work on a day in the place of the one with its `rev`, and counts that up.
    fn note_census(
        &self,
        tenant: &TenantId,
        census: &Census,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), CommitError>> + Send;

    /// The ids of all contacts, in their order.
    fn everybody(
        &self,
        tenant: &TenantId,
    ) -> impl Future<Output = Result<Vec<CustomerId>, StoreError>> + Send;

    /// Contacts by their ids; without those that there are not.
    fn those(
        &self,
        tenant: &TenantId,
        ids: &[CustomerId],
    ) -> impl Future<Output = Result<Vec<Contact>, StoreError>> + Send;
}

/// What a go at a day came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reckoned {
    /// Its figures, and the work to be noted as told when they are.
    Figures(Box<Census>, Vec<Figure>),
    /// They were told before.
    Told,
    /// Time was up before all contacts were added: the next go takes it from there.
    Unfinished,
}

/// Adds up what is left to be added for a day, and gives its figures when nothing is left.
///
/// # Errors
/// [`CommitError::Conflict`] when somebody else is at it; [`CommitError::Store`].
pub async fn reckon<S: Store + Analytics>(
    store: &S,
    tenant: &TenantId,
    day: Day,
    now: Timestamp,
    deadline: Deadline,
) -> Result<Reckoned, CommitError> {
    let from = day.a_month_before().min(day.month().yesterday());
    let mut earlier = store.censuses(tenant, (from, day)).await?;
    let last = earlier.pop_if(|last| last.day == day);
    let mut census = last.unwrap_or_else(|| Census::new(day));
    if census.told {
        return Ok(Reckoned::Told);
    }
    if !census.whole && !add_up(store, tenant, &mut census, now, deadline).await? {
        return Ok(Reckoned::Unfinished);
    }
    let mut counted = Counted::new(day);
    let mut count = |fact: Fact| counted.add(&fact);
    store.facts(tenant, (day.month(), day), &mut count).await?;
    earlier.retain(|census| census.whole);
    let book = |mut days: std::slice::Iter<'_, Census>, is: &dyn Fn(Day) -> bool| {
        let found = days.find(|census| is(census.day));
        found.map(|census| census.book.clone())
    };
    let began = book(earlier.iter(), &|d| d >= day.month().yesterday());
    let before = book(earlier.iter(), &|d| d == day.a_month_before());
    let earlier = Earlier {
        month_began: began.as_ref(),
        month_before: before.as_ref(),
    };
    let figures = figures(&counted, &census.book, earlier);
    Ok(Reckoned::Figures(Box::new(census), figures))
}

/// Notes that a day's figures were told.
///
/// # Errors
/// As [`reckon`].
pub async fn note_told<S: Analytics>(
    store: &S,
    tenant: &TenantId,
    mut census: Census,
    now: Timestamp,
) -> Result<(), CommitError> {
    census.told = true;
    store.note_census(tenant, &census, now).await
}

/// Adds contacts in the order of their ids, noting after each some how far it is. Says whether all
/// are added.
async fn add_up<S: Store + Analytics>(
    store: &S,
    tenant: &TenantId,
    census: &mut Census,
    now: Timestamp,
    deadline: Deadline,
) -> Result<bool, CommitError> {
    let settings = store.settings(tenant).await?;
    let mut ids = store.everybody(tenant).await?;
    if let Some(done_to) = &census.done_to {
        ids.retain(|id| id > done_to);
    }
    for some in ids.chunks(AT_ONCE * SIDE_BY_SIDE) {
        if !deadline.has_time() {
            return Ok(false);
        }
        let reads = some.chunks(AT_ONCE).map(|ids| store.those(tenant, ids));
        for contact in try_join_all(reads).await?.iter().flatten() {
            census.book.add(contact, &settings);
        }
        census.done_to = some.last().cloned();
        note(store, tenant, census, now).await?;
    }
    census.whole = true;
    note(store, tenant, census, now).await?;
    Ok(true)
}

async fn note<S: Analytics>(
    store: &S,
    tenant: &TenantId,
    census: &mut Census,
    now: Timestamp,
) -> Result<(), CommitError> {
    store.note_census(tenant, census, now).await?;
    census.rev += 1;
    Ok(())
}

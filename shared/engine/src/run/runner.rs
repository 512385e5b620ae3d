//! Does a run: reads, takes in, notes, and looks again at what differed.

use paygraph_domain::time::Timestamp;
use paygraph_stripe::client::{Client, ClientError, Page, Received};
use tokio::task::JoinSet;

use super::kind::Stage;
use super::read::{self, Facts};
use super::state::{PARALLEL, Range, Run};
use super::take_in::origin_of;
use crate::backoff::Deadline;
use crate::fetch::Fetch;
use crate::ports::{Clock, CommitError, Publisher, Runs, Store, StoreError};
use crate::process::Engine;

/// How long a lease lasts without a note.
const LEASE: i64 = 90;
/// The most pages that are taken in between two notes: well within a lease, and within what a
/// function keeps back for its end.
const WINDOW: usize = 48;
/// How many customers are taken in side by side.
pub(super) const AT_ONCE: usize = 16;

/// Does runs for one tenant.
pub struct Runner<'a, S, C, F, P> {
    /// What takes in.
    pub engine: &'a Engine<S, C, F>,
    /// Where what comes of it is published.
    pub publisher: &'a P,
    /// Whom to read.
    pub client: Client,
    /// How long after the first look the second one is, in seconds.
    pub second_look_after: i64,
}

/// What is left of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// It goes on at once: the time was up.
    More,
    /// It goes on then: what differed is looked at again.
    Later(Timestamp),
}

/// Why a run does not go on now.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Somebody else does it, or another of the tenant's.
    #[error("another run holds the tenant's lease")]
    Held,
    /// Somebody else took it over.
    #[error("the run was taken over by somebody else")]
    TakenOver,
    /// Stripe refuses, or does not answer.
    #[error("{what}: {source}")]
    Stripe {
        /// What was asked for.
        what: String,
        /// Why not.
        #[source]
        source: ClientError,
    },
    /// Nobody can be asked.
    #[error("{0}")]
    NotConnected(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CommitError> for RunError {
    /// Of a note.
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Store(error) => error.into(),
            CommitError::Conflict | CommitError::Duplicate => Self::TakenOver,
        }
    }
}

impl RunError {
    /// Whether going on later helps only after somebody did something: the key was revoked, or
    /// lacks a permission.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Stripe { source, .. } => !source.is_passing(),
            Self::NotConnected(_) => true,
            Self::Held | Self::TakenOver => false,
            Self::Store(error) => !error.retry,
        }
    }
}

/// Notes that nobody goes on with a run by itself, and why. Nothing happens while somebody works at
/// the tenant's runs.
///
/// # Errors
/// [`RunError`].
pub async fn stop<S: Runs>(
    store: &S,
    run: &mut Run,
    why: String,
    now: Timestamp,
) -> Result<(), RunError> {
    let until = now.plus(LEASE);
    let token = store.lease(&run.tenant, now, until).await?;
    let token = token.ok_or(RunError::Held)?;
    (run.problem, run.stopped, run.noted_at) = (Some(why), true, now);
    let noted = store.note(run, token, until).await;
    store.release(&run.tenant, token).await?;
    Ok(noted?)
}

type Answered = (Range, Result<Received<Page>, ClientError>);

impl<S: Store + Runs, C: Clock, F: Fetch, P: Publisher> Runner<'_, S, C, F, P> {
    /// Goes on with a run until it is finished, the deadline is near, or it has to wait.
    ///
    /// # Errors
    /// [`RunError`]; what was noted stays noted, and the run can go on.
    pub async fn go_on(&self, run: &mut Run, deadline: Deadline) -> Result<Left, RunError> {
        let now = self.engine.clock.now();
        let until = now.plus(LEASE);
        let token = self.engine.store.lease(&run.tenant, now, until).await?;
        let token = token.ok_or(RunError::Held)?;
        (run.problem, run.stopped) = (None, false);
        let left = self.stages(run, token, deadline).await;
        if let Err(error) = &left
            && !matches!(error, RunError::TakenOver)
        {
            run.problem = Some(error.to_string());
            run.stopped = error.is_final();
            self.note(run, token).await?;
        }
        self.engine.store.release(&run.tenant, token).await?;
        left
    }

    async fn stages(
        &self,
        run: &mut Run,
        token: u64,
        deadline: Deadline,
    ) -> Result<Left, RunError> {
        loop {
            let left = match run.stage {
                Stage::Catalog | Stage::Objects | Stage::Followers => {
                    self.read(run, token, deadline).await?
                }
                Stage::Unreturned => self.by_id(run, token, deadline).await?,
                Stage::SecondLook => self.second_look(run, token, deadline).await?,
                Stage::Finished => return Ok(Left::Nothing),
            };
            if left != Left::Nothing {
                return Ok(left);
            }
            let mut next = run.clone();
            next.enter(run.stage.next());
            // Told first: whoever dies in between tells it again, under the same id.
            self.announce(&next).await?;
            *run = next;
            self.note(run, token).await?;
        }
    }

    /// Tells the bus how far a run is, and what it came to.
    async fn announce(&self, run: &Run) -> Result<(), RunError> {
        if run.scope.dry_run || run.scope.object.is_some() {
            return Ok(());
        }
        let (name, data) = if run.is_finished() {
            let drift = self.engine.store.drift(run).await?;
            ("run_completed", run.summary(&drift))
        } else {
            ("run_progress", run.shown())
        };
        let cause = format!("{}:{}", run.id, run.stage.as_str());
        let told = (name.to_owned(), data, None);
        self.tell(run, cause, None, vec![told]).await
    }

    pub(super) async fn note(&self, run: &mut Run, token: u64) -> Result<(), RunError> {
        run.noted_at = self.engine.clock.now();
        let until = run.noted_at.plus(LEASE);
        Ok(self.engine.store.note(run, token, until).await?)
    }

    /// Reads what is left of a stage: each range a page at a time, all side by side.
    async fn read(&self, run: &mut Run, token: u64, deadline: Deadline) -> Result<Left, RunError> {
        let mut reads = JoinSet::new();
        for range in run.ranges.clone() {
            self.spawn(&mut reads, range);
        }
        let mut refused = None;
        while let Some(first) = reads.join_next().await {
            let more = std::iter::from_fn(|| reads.try_join_next()).take(WINDOW - 1);
            let window: Vec<Answered> = std::iter::once(first).chain(more).flatten().collect();
            let mut facts = Facts::default();
            let (cause, source) = origin_of(run)?;
            for (range, answer) in &window {
                let Ok(page) = answer else { continue };
                facts.add_page(range.kind, page, &cause, source);
            }
            self.take_in(run, facts).await?;
            let mut next = Vec::new();
            for (range, answer) in window {
                match answer {
                    Ok(page) => {
                        run.counts.pages += 1;
                        run.counts.read(range.kind, page.value.data.len());
                        next.extend(advance(run, &range, &page.value));
                    }
                    Err(source) => {
                        let what = format!("reading {}", range.kind.name());
                        refused = Some(RunError::Stripe { what, source });
                    }
                }
            }
            self.note(run, token).await?;
            if !deadline.has_time() {
                return Ok(Left::More);
            }
            for range in next {
                self.spawn(&mut reads, range);
            }
        }
        // What was refused is left: the run is not complete.
        match refused {
            Some(refused) => Err(refused),
            None if run.ranges.is_empty() => Ok(Left::Nothing),
            None => Ok(Left::More),
        }
    }

    fn spawn(&self, reads: &mut JoinSet<Answered>, range: Range) {
        let client = self.client.clone();
        reads.spawn(async move {
            let page = read::page(&client, &range).await;
            (range, page)
        });
    }
}

/// Moves a range on by a page, and cuts it where there is room for others. Gives what is to be read
/// next.
fn advance(run: &mut Run, range: &Range, page: &Page) -> Vec<Range> {
    let Some(place) = run.ranges.iter().position(|known| known == range) else {
        return Vec::new();
    };
    run.ranges.swap_remove(place);
    let last = read::last(page).filter(|_| page.has_more);
    let Some((id, read_to)) = last else {
        return Vec::new();
    };
    let mut rest = Range {
        after: Some(id),
        read_to: Some(read_to),
        ..range.clone()
    };
    let same = run.ranges.iter().filter(|other| other.kind == range.kind);
    let longest = same.clone().map(Range::left).max().unwrap_or(0);
    let room = PARALLEL.saturating_sub(same.count() + 1);
    // Halves of halves: who knows how far back there is anything.
    let halves = std::iter::from_fn(|| rest.cut(read::span(page), longest));
    let mut next: Vec<_> = halves.take(room).collect();
    next.insert(0, rest);
    run.ranges.extend_from_slice(&next);
    next
}

//! Does a run: reads, takes in, notes, and looks again at what differed.

use std::time::{Duration, Instant};

use paygraph_domain::time::Timestamp;
use paygraph_stripe::client::{Client, ClientError, Page, Received};
use tokio::task::JoinSet;
use xxhash_rust::xxh3::Xxh3;

use super::kind::{Kind, Stage};
use super::range::Range;
use super::read::{self, Facts};
use super::stall::no_progress;
use super::state::{Failure, Job, LONGEST_STALL, PARALLEL, Run, Wait};
use super::take_in::origin_of;
use crate::backoff::Deadline;
use crate::fetch::Fetch;
use crate::ports::{Clock, CommitError, Publisher, Runs, Store, StoreError};
use crate::process::Engine;

/// How long a lease lasts without a note.
pub(super) const LEASE: i64 = 90;
/// The most pages that are taken in between two notes: well within a lease, and within what a
/// function keeps back for its end.
const WINDOW: usize = 48;
/// A window waits for more pages for this part of the time that the last one took to commit: where commits
/// are slow, fewer of them that hold more are faster.
const SHARE_OF_WAIT: u32 = 10;
/// How long Stripe may take to answer before the run says that it waits.
const SILENCE: Duration = Duration::from_secs(10);
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
    /// How long whoever goes on with the run waits after trouble, in seconds.
    pub pause: i64,
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
    /// Others kept changing a customer's contact.
    #[error("the contact was busy until the deadline")]
    Busy,
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
            Self::Held | Self::TakenOver | Self::Busy => false,
            Self::Store(error) => !error.retry,
        }
    }

    /// Whether the store refuses what was to be written, whenever it is written.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Store(error) if !error.retry)
    }
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
        (run.problem, run.stopped, run.wait) = (None, false, None);
        // Whoever looks at it sees that somebody is at work.
        self.note(run, token).await?;
        let mut left = self.stages(run, token, deadline).await;
        if let Err(RunError::Stripe { source, .. }) = &left
            && source.is_denial()
            && let Ok(Some(client)) = self.engine.fetch.renewed(&run.tenant, &self.client).await
        {
            // Somebody has corrected the key meanwhile.
            left = self.with(client).stages(run, token, deadline).await;
        }
        if let Err(error) = &left
            && !matches!(error, RunError::TakenOver)
        {
            self.note_trouble(run, token, error).await?;
        }
        self.engine.store.release(&run.tenant, token).await?;
        left
    }

    /// The same with another client.
    fn with(&self, client: Client) -> Self {
        Self {
            client,
            engine: self.engine,
            publisher: self.publisher,
            second_look_after: self.second_look_after,
            pause: self.pause,
        }
    }

    /// Notes why a run does not go on, and when it is tried again. It is not, if only a person can
    /// mend it, or if nothing has helped for long.
    async fn note_trouble(
        &self,
        run: &mut Run,
        token: u64,
        error: &RunError,
    ) -> Result<(), RunError> {
        let now = self.engine.clock.now();
        let why = error.to_string();
        let is_stuck = run.stall(now) >= LONGEST_STALL;
        run.stopped = error.is_final() || is_stuck;
        run.wait = (!run.stopped).then(|| Wait {
            reason: format!("it is tried again after an error: {why}"),
            until: Some(now.plus(self.pause)),
        });
        run.problem = Some(if is_stuck { no_progress(&why) } else { why });
        self.note(run, token).await
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
                Stage::Methods => self.read_methods(run, token, deadline).await?,
                Stage::SecondLook => match self.second_look(run, token, deadline).await? {
                    Left::Nothing => self.release_parked(run, token, deadline).await?,
                    left @ (Left::More | Left::Later(_)) => left,
                },
                Stage::Finished => return Ok(Left::Nothing),
            };
            if left != Left::Nothing {
                return Ok(left);
            }
            let mut next = run.clone();
            next.enter(run.stage.next());
            next.stalled_since = None;
            if next.is_finished() {
                let failures = self.engine.store.failures(&next).await?.len();
                next.counts.failed_total = u64::try_from(failures).unwrap_or(u64::MAX);
            }
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
        let (mut refused, mut patience) = (None, Duration::ZERO);
        while let Some(first) = self.first_answer(&mut reads, run, token).await? {
            let window = gather(first, &mut reads, patience).await;
            let begun = Instant::now();
            let mut facts = Facts::default();
            let (cause, source) = origin_of(run)?;
            for (range, answer) in &window {
                let Ok(page) = answer else { continue };
                facts.add_page(range.kind, page, &cause, source);
            }
            self.take_in(run, facts).await?;
            self.note_returned(run, &window).await?;
            if window.iter().any(|(_, answer)| answer.is_ok()) {
                (run.stalled_since, run.wait) = (None, None);
            }
            let mut next = Vec::new();
            for (range, answer) in window {
                match answer {
                    Ok(page) => {
                        run.counts.pages += 1;
                        run.spanned += read::spanned(&range, &page.value);
                        run.counts.read(range.kind, page.value.data.len());
                        next.extend(advance(run, &range, &page.value));
                    }
                    // Stripe refuses the cursor: the object at which the list goes on was deleted.
                    // <https://docs.stripe.com/api/errors>: `resource_missing` of `starting_after`.
                    Err(ClientError::Missing(_) | ClientError::Refused { status: 400, .. })
                        if range.after.is_some() =>
                    {
                        next.extend(restart(run, &range));
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
            patience = begun.elapsed() / SHARE_OF_WAIT;
        }
        // What was refused is left: the run is not complete.
        match refused {
            Some(refused) => Err(refused),
            None if run.ranges.is_empty() => Ok(Left::Nothing),
            None => Ok(Left::More),
        }
    }

    /// Waits for an answer; none when nothing was asked. While Stripe does not answer, the run says so.
    async fn first_answer(
        &self,
        reads: &mut JoinSet<Answered>,
        run: &mut Run,
        token: u64,
    ) -> Result<Option<Answered>, RunError> {
        let begun = tokio::time::Instant::now();
        loop {
            match tokio::time::timeout(SILENCE, reads.join_next()).await {
                // A read that was aborted or panicked has no answer.
                Ok(Some(Err(_))) => {}
                Ok(Some(Ok(answered))) => return Ok(Some(answered)),
                Ok(None) => return Ok(None),
                Err(_) => {
                    let silent = begun.elapsed().as_secs();
                    run.wait = Some(Wait {
                        reason: format!(
                            "Stripe has not answered for {silent} s, and is asked again"
                        ),
                        until: None,
                    });
                    self.note(run, token).await?;
                }
            }
        }
    }

    /// Notes the ids that a comparison's lists returned, of the kinds that are live or open here
    /// although no list may return them. They are noted before the pages are, so that whoever takes
    /// the run up lacks none.
    async fn note_returned(&self, run: &Run, window: &[Answered]) -> Result<(), RunError> {
        let kinds = [Kind::Customers, Kind::Subscriptions, Kind::Invoices];
        if run.job != Job::Reconcile || run.stage != Stage::Objects {
            return Ok(());
        }
        let mut ids = Vec::new();
        let mut name = Xxh3::new();
        for (range, answer) in window {
            let Ok(page) = answer else { continue };
            if kinds.contains(&range.kind) {
                ids.extend(read::ids(&page.value).map(|id| read::hash(&id)));
                name.update(format!("{range:?}").as_bytes());
            }
        }
        if ids.is_empty() {
            return Ok(());
        }
        let name = format!("{:016x}", name.digest());
        Ok(self.engine.store.note_returned(run, &name, &ids).await?)
    }

    /// Sets objects aside that can never be read or committed: the run names them, and goes on with
    /// all others.
    pub(super) async fn set_aside(
        &self,
        run: &mut Run,
        failures: &[Failure],
    ) -> Result<(), StoreError> {
        if failures.is_empty() {
            return Ok(());
        }
        self.engine.store.note_failures(run, failures).await?;
        for failure in failures {
            tracing::error!(
                code = "not_taken_in",
                run = run.id,
                tenant = %run.tenant,
                object = failure.object,
                reason = failure.reason,
                "A run sets an object aside"
            );
            run.counts.fail(failure);
        }
        Ok(())
    }

    fn spawn(&self, reads: &mut JoinSet<Answered>, range: Range) {
        let client = self.client.clone();
        reads.spawn(async move {
            let page = read::page(&client, &range).await;
            (range, page)
        });
    }
}

/// Adds pages that are there, or that come within some time, to a window.
async fn gather(
    first: Answered,
    reads: &mut JoinSet<Answered>,
    patience: Duration,
) -> Vec<Answered> {
    let until = tokio::time::Instant::now() + patience;
    let mut window = vec![first];
    while window.len() < WINDOW {
        let next = match reads.try_join_next() {
            Some(next) => Some(next),
            None => tokio::time::timeout_at(until, reads.join_next())
                .await
                .ok()
                .flatten(),
        };
        match next {
            Some(next) => window.extend(next),
            None => break,
        }
    }
    window
}

/// Begins a range again at its checkpoint, without the cursor.
fn restart(run: &mut Run, range: &Range) -> Option<Range> {
    let known = run.ranges.iter_mut().find(|known| *known == range)?;
    *known = range.without_cursor();
    Some(known.clone())
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

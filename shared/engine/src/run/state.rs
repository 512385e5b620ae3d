//! The record of a run, from which the next invocation goes on.
#![cfg_attr(
    not(feature = "stripe-api"),
    allow(dead_code, reason = "only who asks Stripe does runs")
)]

use std::collections::BTreeMap;

use paygraph_domain::fact::Source;
use paygraph_domain::id::{CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::kind::{Kind, Stage};
use super::range::Range;

/// How many ranges of one kind are read side by side.
pub(super) const PARALLEL: usize = 16;
/// How far back the objects reach that are read every day, in seconds.
const RECENT: i64 = 35 * 86_400;
/// How long a run may make no progress before it stops, in seconds.
pub const LONGEST_STALL: i64 = 30 * 60;
/// How many refused objects a run names with their reasons in its own record. The store keeps all.
const NAMED_FAILURES: usize = 100;

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// The import of history: state is built, and the bus hears of nothing that is past.
    Backfill,
    /// The comparison with Stripe: what differs is told, and healed.
    Reconcile,
}

impl Job {
    /// As it stands in causes and on the bus.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backfill => "backfill",
            Self::Reconcile => "reconcile",
        }
    }

    /// The path that its facts take.
    #[must_use]
    pub fn source(self) -> Source {
        match self {
            Self::Backfill => Source::Backfill,
            Self::Reconcile => Source::Reconcile,
        }
    }
}

/// How much is read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Scope {
    /// Only these kinds; all when there are none.
    pub kinds: Vec<Kind>,
    /// Only objects that were made since then.
    pub since: Option<Timestamp>,
    /// Only live and open objects, and those that were made in the last 35 days.
    pub recent: bool,
    /// Nothing is changed, here or on the bus.
    pub dry_run: bool,
    /// Only this object, by its id; of a customer all that belongs to it. No list is read.
    pub object: Option<String>,
}

/// What a run has done so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Pages that were read.
    pub pages: u64,
    /// Objects that were read, by kind.
    pub objects: BTreeMap<Kind, u64>,
    /// Commits that changed something.
    pub committed: u64,
    /// Objects that could not be read or committed, with the reason, by their ids; the first hundred.
    pub failed: BTreeMap<String, String>,
    /// How many such objects there are in all.
    pub failed_total: u64,
    /// Differences that were gone at the second look.
    pub in_flight: u64,
    /// Objects that differed at the first look.
    pub differed: u64,
}

impl Counts {
    /// How many objects were read.
    #[must_use]
    pub fn checked(&self) -> u64 {
        self.objects.values().sum()
    }

    pub(super) fn read(&mut self, kind: Kind, objects: usize) {
        *self.objects.entry(kind).or_default() += u64::try_from(objects).unwrap_or(0);
    }

    /// How many objects could not be read or committed. (A run of an older release only named them.)
    #[must_use]
    pub fn failures(&self) -> u64 {
        let named = u64::try_from(self.failed.len()).unwrap_or(u64::MAX);
        self.failed_total.max(named)
    }

    pub(super) fn fail(&mut self, failure: &Failure) {
        let is_named = self.failed.contains_key(&failure.object);
        self.failed_total += u64::from(!is_named);
        if !is_named && self.failed.len() < NAMED_FAILURES {
            let Failure { object, reason } = failure.clone();
            self.failed.insert(object, reason);
        }
    }
}

/// An object that a run sets aside: it can never be read or committed as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Failure {
    /// The object's id at Stripe.
    pub object: String,
    /// Why not, for people.
    pub reason: String,
}

/// Why a run is not at work, although it is not finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// The reason, for people.
    pub reason: String,
    /// When it goes on, by our clock; none when it is not known.
    pub until: Option<Timestamp>,
}

/// A customer whose payment methods are asked for, with the ids of those that are attached here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MethodOwner {
    pub(super) id: StripeCustomerId,
    pub(super) attached: Vec<String>,
}

/// The customers of some contacts that an import asks. It notes them first: once a part of their methods
/// is committed, the record no longer tells that they have to be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodReads {
    pub(super) customers: Vec<MethodOwner>,
    /// The last of the contacts.
    pub(super) last: CustomerId,
}

/// A run over everything that Stripe has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its name; causes begin with it.
    pub id: String,
    /// Whose it is.
    pub tenant: TenantId,
    /// What it is for.
    pub job: Job,
    /// How much it reads.
    pub scope: Scope,
    /// When it began, by our clock.
    pub started_at: Timestamp,
    /// When it last noted what it had done.
    pub noted_at: Timestamp,
    /// Where it is.
    pub stage: Stage,
    /// What is left of this stage.
    pub ranges: Vec<Range>,
    /// The seconds between the first and the last objects of this stage's pages, summed over its ranges.
    #[serde(default)]
    pub spanned: i64,
    /// The last contact of which it was looked for what no list returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<CustomerId>,
    /// The customers whose payment methods it has begun to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method_reads: Option<MethodReads>,
    /// When what differed may be looked at again.
    pub second_look_at: Option<Timestamp>,
    /// The place behind the parked messages whose links it has looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked_after: Option<String>,
    /// What it has done.
    pub counts: Counts,
    /// Why it does not go on, for people.
    pub problem: Option<String>,
    /// Whether nobody goes on with it by itself: first a person has to do something.
    #[serde(default)]
    pub stopped: bool,
    /// What it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// Since when it has made no progress, though somebody tried; none while it makes progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalled_since: Option<Timestamp>,
}

impl Run {
    /// A run that begins.
    #[must_use]
    pub fn new(id: String, tenant: TenantId, job: Job, scope: Scope, now: Timestamp) -> Self {
        let mut run = Self {
            id,
            tenant,
            job,
            scope,
            started_at: now,
            noted_at: now,
            stage: Stage::Catalog,
            ranges: Vec::new(),
            spanned: 0,
            passed: None,
            method_reads: None,
            second_look_at: None,
            parked_after: None,
            counts: Counts::default(),
            problem: None,
            stopped: false,
            wait: None,
            stalled_since: None,
        };
        run.enter(match run.scope.object {
            Some(_) => Stage::Unreturned,
            None => Stage::Catalog,
        });
        run
    }

    /// Whether all of it is done. (What could not be taken in is named.)
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.stage == Stage::Finished
    }

    /// Whether every object was committed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_finished() && self.counts.failures() == 0
    }

    /// Notes that somebody tried to go on, and could not. Gives how long that has been so, in
    /// seconds.
    pub(super) fn stall(&mut self, now: Timestamp) -> i64 {
        let since = *self.stalled_since.get_or_insert(now);
        now.unix() - since.unix()
    }

    /// Estimates the share of the run that is done, in thousandths. The share of a stage is the time
    /// between the objects that were read, divided by the sum of that time and of the time that is left.
    /// The time since 2010 would not do as the whole: most accounts are younger.
    #[must_use]
    pub fn share_done(&self) -> u64 {
        let left: i64 = self.ranges.iter().map(Range::left).sum();
        let all = self.spanned.saturating_add(left.max(0));
        let of_stage = match all {
            0 => 1_000,
            all => self.spanned.saturating_mul(1_000) / all,
        };
        // Nearly everything is read in the second stage.
        let (before, length) = match self.stage {
            Stage::Catalog => (0, 20),
            Stage::Objects => (20, 900),
            Stage::Followers => (920, 50),
            Stage::Unreturned => return 970,
            Stage::Methods => return 975,
            Stage::SecondLook => return 980,
            Stage::Finished => return 1_000,
        };
        u64::try_from(before + of_stage * length / 1_000).unwrap_or(0)
    }

    pub(super) fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.spanned = 0;
        self.ranges = self.ranges_of(stage);
    }

    fn ranges_of(&self, stage: Stage) -> Vec<Range> {
        let kinds = self.kinds_of(stage);
        kinds.flat_map(|kind| self.ranges_for(kind)).collect()
    }

    fn kinds_of(&self, stage: Stage) -> impl Iterator<Item = Kind> {
        Kind::listed_in(stage).filter(|kind| self.scope.wants(*kind))
    }

    fn ranges_for(&self, kind: Kind) -> Vec<Range> {
        let recent = self.started_at.plus(-RECENT);
        let since = self.scope.since.unwrap_or_default();
        let range = |from, status: Option<&str>| Range {
            kind,
            from,
            before: self.started_at.plus(1),
            status: status.map(str::to_owned),
            after: None,
            read_to: None,
        };
        let all = (kind == Kind::Subscriptions).then_some("all");
        if !self.scope.recent || matches!(kind, Kind::Products | Kind::Prices | Kind::Coupons) {
            return vec![range(since, all)];
        }
        let mut ranges = vec![range(recent.max(since), all)];
        match kind {
            Kind::Subscriptions => ranges.push(range(since, None)),
            Kind::Invoices => ranges.push(range(since, Some("open"))),
            Kind::Products
            | Kind::Prices
            | Kind::Coupons
            | Kind::Customers
            | Kind::Charges
            | Kind::CheckoutSessions
            | Kind::Schedules
            | Kind::Refunds
            | Kind::Disputes
            | Kind::PaymentMethods => {}
        }
        ranges
    }
}

impl Scope {
    /// Whether a kind is read.
    #[must_use]
    pub fn wants(&self, kind: Kind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }
}

//! Where runs are kept.

use std::future::Future;

use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::time::Timestamp;

use super::{Answer, CommitError};
use crate::run::{Drift, Failure, Look, Run};

/// Where runs over all of Stripe's objects are kept.
pub trait Runs: Sync {
    /// Takes the tenant's lease for a run until an instant. Gives its token, which no earlier
    /// holder has; none while another run, or another holder of this one, has it.
    fn lease(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Answer<Option<u64>>> + Send;

    /// Gives the lease back, if it is still ours.
    fn release(&self, tenant: &TenantId, token: u64) -> impl Future<Output = Answer<()>> + Send;

    /// Notes what a run has done, and keeps the lease until an instant; a conflict when somebody
    /// else has the lease by now.
    fn note(
        &self,
        run: &Run,
        token: u64,
        until: Timestamp,
    ) -> impl Future<Output = Result<(), CommitError>> + Send;

    /// Some of the tenant's runs, the newest first. Eventually consistent.
    fn latest(
        &self,
        tenant: &TenantId,
        limit: usize,
    ) -> impl Future<Output = Answer<Vec<Run>>> + Send;

    /// A run.
    fn run(&self, tenant: &TenantId, id: &str) -> impl Future<Output = Answer<Option<Run>>> + Send;

    /// Notes what has to be looked at again. Noting it again changes nothing, and what differs stays
    /// so although it is also noted as unlisted.
    fn note_looks(&self, run: &Run, looks: &[Look]) -> impl Future<Output = Answer<()>> + Send;

    /// Some of what is still to be looked at again, after one of them: ordered by customer and
    /// object.
    fn looks(
        &self,
        run: &Run,
        after: Option<&Look>,
        limit: usize,
    ) -> impl Future<Output = Answer<Vec<Look>>> + Send;

    /// Notes objects that were set aside. Noting one again keeps the newest reason.
    fn note_failures(
        &self,
        run: &Run,
        failures: &[Failure],
    ) -> impl Future<Output = Answer<()>> + Send;

    /// Every object that was set aside, by its id.
    fn failures(&self, run: &Run) -> impl Future<Output = Answer<Vec<Failure>>> + Send;

    /// Notes the hashes of the ids that lists returned, under a name. Noting them again changes
    /// nothing.
    fn note_returned(
        &self,
        run: &Run,
        name: &str,
        ids: &[u64],
    ) -> impl Future<Output = Answer<()>> + Send;

    /// The hashes of all ids that lists returned, in no order.
    fn returned(&self, run: &Run) -> impl Future<Output = Answer<Vec<u64>>> + Send;

    /// Notes what a second look found. Noting it again replaces its outcome.
    fn note_drift(&self, run: &Run, drift: &[Drift]) -> impl Future<Output = Answer<()>> + Send;

    /// What the second looks found, the gravest first.
    fn drift(&self, run: &Run) -> impl Future<Output = Answer<Vec<Drift>>> + Send;

    /// Takes out what was looked at again.
    fn looked(&self, run: &Run, looks: &[Look]) -> impl Future<Output = Answer<()>> + Send;

    /// Every contact's id, in order. Eventually consistent.
    fn everyone(&self, tenant: &TenantId) -> impl Future<Output = Answer<Vec<CustomerId>>> + Send;
}

//! Alerts: where they are kept, and how they follow from what stands now.
//!
//! What there is to be alerted about is the domain's ([`paygraph_domain::alert`]); whoever tells
//! people of it is a target. In between, [`settle`] brings what was raised in line with what stands.

mod burst;
mod settle;

use std::future::Future;

use paygraph_domain::alert::plan::Held;
use paygraph_domain::alert::subscription::Subscription;
use paygraph_domain::alert::{Acknowledged, Alert, AlertId, Channel};
use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::burst::{AlertBursts, Burst, BurstShare, SINGLE_MESSAGES};
pub use self::settle::{Judgement, Settled, Settling, note_sent, settle};
use crate::ports::{CommitError, StoreError};

/// Whom alerts are about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Whose {
    /// A contact.
    Contact(CustomerId),
    /// No contact: the tenant's connection to Stripe.
    Tenant,
}

impl Whose {
    /// Whom an alert is about.
    #[must_use]
    pub fn of(id: &AlertId) -> Self {
        id.customer.clone().map_or(Self::Tenant, Self::Contact)
    }

    /// The contact, if there is one.
    #[must_use]
    pub fn customer(&self) -> Option<&CustomerId> {
        match self {
            Self::Contact(id) => Some(id),
            Self::Tenant => None,
        }
    }
}

/// Somebody's alerts that are not resolved.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Unresolved {
    /// How often this was written; 0 before the first time.
    pub rev: u64,
    /// The alerts, at most one of a kind and object.
    pub alerts: Vec<Held>,
}

/// A change of somebody's alerts: everything or nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Whose they are.
    pub tenant: TenantId,
    /// Whom they are about.
    pub whose: Whose,
    /// The version of the contact that this was decided on (0: there was none), where it must still
    /// be that one.
    pub contact_version: Option<u64>,
    /// What is not resolved afterwards; what was read has the `rev` before.
    pub unresolved: Unresolved,
    /// What is new, and was never there.
    pub raise: Vec<Alert>,
    /// What is over.
    pub resolve: Vec<AlertId>,
    /// When, by our clock.
    pub at: Timestamp,
}

/// An alert after somebody took it on.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// As it stands now.
    pub alert: Alert,
    /// Whether it was taken on just now: not before, and not when it was over already.
    pub now: bool,
}

/// Where alerts are kept. Every read is consistent.
pub trait Alerts: Sync {
    /// Somebody's alerts that are not resolved.
    fn unresolved(
        &self,
        tenant: &TenantId,
        whose: &Whose,
    ) -> impl Future<Output = Result<Unresolved, StoreError>> + Send;

    /// Changes somebody's alerts; a conflict when what it was decided on has changed since.
    fn change(&self, change: &Change) -> impl Future<Output = Result<(), CommitError>> + Send;

    /// An alert.
    fn alert(
        &self,
        tenant: &TenantId,
        id: &AlertId,
    ) -> impl Future<Output = Result<Option<Alert>, StoreError>> + Send;

    /// Notes that somebody took an alert on, if it is still open; none when there is no such alert.
    fn acknowledge(
        &self,
        tenant: &TenantId,
        id: &AlertId,
        by: &Acknowledged,
    ) -> impl Future<Output = Result<Option<Taken>, StoreError>> + Send;

    /// What people asked to be told.
    fn subscriptions(
        &self,
        tenant: &TenantId,
    ) -> impl Future<Output = Result<Vec<Subscription>, StoreError>> + Send;

    /// Keeps what somebody asks to be told. Asking again changes nothing.
    fn subscribe(
        &self,
        tenant: &TenantId,
        subscription: &Subscription,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Forgets it. Says whether it was there.
    fn unsubscribe(
        &self,
        tenant: &TenantId,
        id: &str,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// An alert that is still to be sent somewhere.
pub type Waiting = (AlertId, Channel);

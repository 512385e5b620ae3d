//! Time alone: contacts whose access, signals or segments change without anything happening.
//!
//! Reads the due index, so that the work is as much as what changes, and not as much as there is.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use futures::future::join_all;
use paygraph_domain::contact::Contact;
use paygraph_domain::fact::Source;
use paygraph_domain::id::{Cause, CustomerId, TenantId};
use paygraph_domain::rollup::{Context, catalog_keys, rollup};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;

use crate::backoff::{Deadline, pause};
use crate::envelope::{Subject, named, seal};
use crate::fetch::Fetch;
use crate::ports::{
    AuditEntry, AuditOwner, Clock, Commit, CommitError, ContactWrite, DUE_SHARDS, Due, LedgerEntry,
    Publisher, Store, StoreError, shards_from,
};
use crate::process::Engine;
use crate::publish::publish;

/// How many due contacts are read together.
const AT_ONCE: usize = 100;
/// How many contacts are computed side by side.
const SIDE_BY_SIDE: usize = 16;
/// How long a contact is tried that others keep changing, or whose objects never fit its digest.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Ticked {
    /// Contacts that were looked at.
    pub contacts: usize,
    /// Events that came of it.
    pub events: usize,
    /// Contacts that could not be computed, and shards that could not be read. The next run tries
    /// again.
    pub failed: usize,
    /// Whether something due was left for the next run.
    pub unfinished: bool,
}

impl Ticked {
    fn fail(&mut self, error: &StoreError, problem: &str) {
        let error: &dyn std::error::Error = error;
        tracing::error!(code = "tick_failed", error, "{problem}");
        self.failed += 1;
    }
}

/// Why a contact is computed again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Its time has come.
    Due(Timestamp),
    /// Settings, segments or names have changed: the run that looks at all contacts.
    Run(String),
    /// A catalog entry has come that it waited for, found by this cause on this path.
    Known(Cause, Source),
}

impl<S: Store, C: Clock, F: Fetch> Engine<S, C, F> {
    /// Computes every contact again whose time has come by `now`, and publishes what that tells. What
    /// fails is counted and logged, and holds up nothing else; the next run tries it again.
    ///
    /// # Errors
    /// [`StoreError`] never; a caller treats it as a failed run.
    pub async fn tick<P: Publisher>(
        &self,
        publisher: &P,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Ticked, StoreError> {
        let mut ticked = Ticked::default();
        for shard in shards_from(now, DUE_SHARDS) {
            let mut after: Option<String> = None;
            loop {
                if !deadline.has_time() {
                    ticked.unfinished = true;
                    return Ok(ticked);
                }
                let page = self.store.due(shard, after.as_deref(), now, AT_ONCE);
                let page = match page.await {
                    Ok(page) => page,
                    Err(error) => {
                        ticked.fail(&error, "A shard of due contacts could not be read");
                        break;
                    }
                };
                ticked.failed += page.log_unreadable();
                let entries = self.each(&page.entries, now, deadline, &mut ticked).await;
                if let Err(error) = publish(&self.store, publisher, &entries).await {
                    ticked.fail(&error, "A publication could not be noted");
                }
                // A contact that failed is due again next minute. Those behind it are not to wait.
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(ticked)
    }

    /// Computes due contacts, some side by side, each with a deadline of its own: one that cannot be
    /// computed holds up no other.
    async fn each(
        &self,
        due: &[Due],
        now: Timestamp,
        deadline: Deadline,
        ticked: &mut Ticked,
    ) -> Vec<LedgerEntry> {
        let mut entries = Vec::new();
        for some in due.chunks(SIDE_BY_SIDE) {
            if !deadline.has_time() {
                ticked.unfinished = true;
                break;
            }
            let own = deadline.within(PATIENCE);
            let computed = join_all(some.iter().map(async |due| {
                let reason = Reason::Due(due.at);
                self.recompute(&due.tenant, &due.contact, now, &reason, own)
                    .await
            }));
            for (due, computed) in some.iter().zip(computed.await) {
                ticked.contacts += 1;
                match computed {
                    Ok(entry) => {
                        ticked.events += entry.as_ref().map_or(0, |entry| entry.outbox.len());
                        entries.extend(entry);
                    }
                    Err(error) => {
                        let error: &dyn std::error::Error = &error;
                        tracing::error!(code = "tick_failed", error, contact.id = %due.contact, "A contact could not be computed");
                        ticked.failed += 1;
                    }
                }
            }
        }
        entries
    }

    /// Computes one contact again as it stands at `now`. Gives the entry to publish, if there is
    /// anything to tell.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed, or others changed the contact until the deadline.
    pub async fn recompute(
        &self,
        tenant: &TenantId,
        id: &CustomerId,
        now: Timestamp,
        reason: &Reason,
        deadline: Deadline,
    ) -> Result<Option<LedgerEntry>, StoreError> {
        let settings = self.store.settings(tenant).await?;
        let mut attempt = 0;
        loop {
            let Some(contact) = self.store.contact(tenant, id).await? else {
                return Ok(None);
            };
            // Somebody else was here: it is due later now, or not at all.
            if matches!(reason, Reason::Due(_)) && contact.due().is_none_or(|due| due > now) {
                return Ok(None);
            }
            if let Some(commit) = self.again(tenant, contact, now, reason, &settings).await? {
                if commit.contacts.is_empty() {
                    return Ok(None);
                }
                match self.store.commit(&commit).await {
                    Ok(()) => return Ok(commit.ledger),
                    Err(CommitError::Duplicate) => return Ok(None),
                    Err(CommitError::Store(error)) => return Err(error),
                    Err(CommitError::Conflict) => {}
                }
            }
            if !deadline.has_time() {
                return Err(StoreError {
                    context: format!("contact {id} was busy until the deadline"),
                    retry: true,
                    source: None,
                });
            }
            attempt += 1;
            pause(attempt).await;
        }
    }

    /// The commit of one contact, without it when nothing changes; none when a concurrent commit tore the reads.
    async fn again(
        &self,
        tenant: &TenantId,
        mut contact: Contact,
        now: Timestamp,
        reason: &Reason,
        settings: &Settings,
    ) -> Result<Option<Commit>, StoreError> {
        let now = contact.evaluated_at.max(now);
        let (expected, segments) = (contact.version, contact.told.segments.clone());
        let before = contact.clone();
        let mut commit = Commit::new(tenant.clone());
        let mut rolled = BTreeMap::new();
        for (customer, held) in &contact.accounts {
            let stale = held.stale_at.is_some_and(|at| at <= now);
            if !stale && matches!(reason, Reason::Due(_)) {
                continue;
            }
            let account = self.store.account(tenant, customer).await?;
            if account.digest() != held.digest {
                return Ok(None);
            }
            let keys = catalog_keys(&account, &held.totals);
            let catalog = self.store.catalog(tenant, &keys).await?;
            let context = Context {
                settings,
                catalog: &catalog,
                now,
            };
            let mut rollup = rollup(&account, held.totals.clone(), context);
            rollup.awaits = commit.note_awaited(customer, &held.awaits, &rollup.awaits);
            rolled.insert(customer.clone(), rollup);
        }
        let cause = cause(&before, reason)?;
        let (kind, source) = match reason {
            Reason::Due(_) | Reason::Run(_) => ("tick", Source::Tick),
            Reason::Known(_, source) => ("catalog", *source),
        };
        let outcome = contact.recompute(rolled, settings, now);
        let subject = Subject {
            tenant,
            contact: Some(&contact.id),
            customer: None,
            at: now,
            source,
            cause: &cause,
        };
        let outbox = seal(subject, outcome.events.into_iter().map(named).collect());
        if !outbox.is_empty() || !outcome.changes.is_empty() {
            commit.ledger = Some(LedgerEntry {
                tenant: tenant.clone(),
                cause: cause.clone(),
                event_type: kind.to_owned(),
                at: now,
                processed_at: self.clock.now(),
                disposition: "applied".to_owned(),
                outbox,
            });
            commit.audit = (!outcome.changes.is_empty()).then(|| AuditEntry {
                owner: AuditOwner::Contact(contact.id.clone()),
                at: now,
                source,
                cause,
                changes: outcome.changes,
            });
        }
        let same = Contact {
            version: before.version,
            evaluated_at: before.evaluated_at,
            ..contact.clone()
        };
        if same != before {
            let write = ContactWrite::new(contact, expected, &segments, false);
            commit.put_contact(write);
        }
        Ok(Some(commit))
    }
}

/// The ledger's key of what is done for a reason: once, whoever does it.
fn cause(contact: &Contact, reason: &Reason) -> Result<Cause, StoreError> {
    let name = |id: &str| match reason {
        // What is due since before it was computed last (a roll-up came to it that had waited
        // elsewhere, say) is not what was done at that instant.
        Reason::Due(at) => format!("tick:{id}:{}", contact.evaluated_at.max(*at).unix()),
        Reason::Run(run) => format!("{run}:{id}"),
        Reason::Known(cause, _) => format!("{cause}:{id}"),
    };
    cause_about(&contact.id, name)
}

/// A cause with a contact in its name, or with the contact's hash where that would be too long.
pub(crate) fn cause_about(
    contact: &CustomerId,
    name: impl Fn(&str) -> String,
) -> Result<Cause, StoreError> {
    let short = || {
        let mut hasher = DefaultHasher::new();
        contact.hash(&mut hasher);
        name(&format!("{:016x}", hasher.finish()))
    };
    Cause::parse(name(contact.as_str()))
        .or_else(|_| Cause::parse(short()))
        .map_err(|error| StoreError {
            context: format!("no cause for contact {contact}"),
            retry: false,
            source: Some(error.into()),
        })
}

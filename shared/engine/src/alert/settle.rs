//! Brings somebody's alerts in line with what stands now: read, plan, write, and again if anything
//! has changed meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;

use paygraph_domain::alert::plan::{Held, Plan, plan};
use paygraph_domain::alert::reason::Reason;
use paygraph_domain::alert::routing::Route;
use paygraph_domain::alert::{Alert, Kind};
use paygraph_domain::contact::Contact;
use paygraph_domain::id::TenantId;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;

use super::{Alerts, Change, Unresolved, Waiting, Whose};
use crate::Deadline;
use crate::backoff::pause;
use crate::ports::{CommitError, StoreError};

/// Whose alerts are settled, and by what.
#[derive(Debug, Clone)]
pub struct Settling<'a> {
    /// Whose they are.
    pub tenant: &'a TenantId,
    /// Whom they are about.
    pub whose: Whose,
    /// What the tenant has decided.
    pub settings: Arc<Settings>,
    /// Now, by our clock.
    pub now: Timestamp,
    /// Until when this may be tried.
    pub deadline: Deadline,
}

/// What stands, as somebody judged it.
#[derive(Debug, Clone, Default)]
pub struct Judgement {
    /// The contact that it was judged by, if there is one.
    pub contact: Option<Contact>,
    /// What there is to be alerted about.
    pub reasons: Vec<Reason>,
    /// Of which kinds that is all.
    pub judged: BTreeSet<Kind>,
    /// What is news.
    pub may_raise: BTreeSet<Kind>,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Settled {
    /// What stands now, with what is still to be sent.
    pub unresolved: Vec<Held>,
    /// How many were raised.
    pub raised: usize,
    /// How many were resolved.
    pub resolved: usize,
    /// The contact that it was judged by, if there is one.
    pub contact: Option<Contact>,
}

/// Raises what is new and resolves what is over. `judge` is asked again whenever the alerts, or the
/// contact, have changed before it could be written.
///
/// # Errors
/// [`CommitError::Conflict`] when they kept changing until shortly before the deadline.
pub async fn settle<S: Alerts>(
    store: &S,
    settling: &Settling<'_>,
    judge: impl AsyncFn(&[Held]) -> Result<Judgement, StoreError>,
) -> Result<Settled, CommitError> {
    let mut attempt = 0;
    loop {
        match once(store, settling, &judge).await {
            Err(CommitError::Conflict) if settling.deadline.has_time() => {}
            done => return done,
        }
        pause(attempt).await;
        attempt += 1;
    }
}

async fn once<S: Alerts>(
    store: &S,
    settling: &Settling<'_>,
    judge: &impl AsyncFn(&[Held]) -> Result<Judgement, StoreError>,
) -> Result<Settled, CommitError> {
    let Settling { tenant, whose, .. } = settling;
    let held = store.unresolved(tenant, whose).await?;
    let judgement = judge(&held.alerts).await?;
    let (judged, may_raise) = (&judgement.judged, &judgement.may_raise);
    let plan = plan(&held.alerts, &judgement.reasons, judged, may_raise);
    let (raise, resolve) = (
        alerts(store, settling, &judgement, &plan).await?,
        plan.resolve,
    );
    let mut unresolved = held.alerts;
    unresolved.retain(|held| !resolve.contains(&held.id));
    unresolved.extend(raise.iter().map(|alert| Held {
        id: alert.id.clone(),
        raised_at: alert.raised_at,
        waiting: alert.route.channels.clone(),
    }));
    let settled = Settled {
        unresolved: unresolved.clone(),
        raised: raise.len(),
        resolved: resolve.len(),
        contact: judgement.contact,
    };
    if raise.is_empty() && resolve.is_empty() {
        return Ok(settled);
    }
    let version = settled
        .contact
        .as_ref()
        .map_or(0, |contact| contact.version);
    let change = Change {
        tenant: (*tenant).clone(),
        whose: whose.clone(),
        contact_version: whose.customer().map(|_| version),
        unresolved: Unresolved {
            rev: held.rev + 1,
            alerts: unresolved,
        },
        raise,
        resolve,
        at: settling.now,
    };
    store.change(&change).await?;
    Ok(settled)
}

/// The alerts that a plan raises, but for those that were there before: trouble that comes back with
/// its old beginning is the same one, and nobody is told twice.
async fn alerts<S: Alerts>(
    store: &S,
    settling: &Settling<'_>,
    judgement: &Judgement,
    plan: &Plan,
) -> Result<Vec<Alert>, StoreError> {
    let tenant = settling.tenant;
    let mut alerts = Vec::new();
    if plan.raise.is_empty() {
        return Ok(alerts);
    }
    let subscriptions = store.subscriptions(tenant).await?;
    let (customer, settings) = (settling.whose.customer(), &settling.settings.alerts);
    for reason in &plan.raise {
        if store
            .alert(tenant, &reason.alert(customer))
            .await?
            .is_none()
        {
            let owner = settings.owner(judgement.contact.as_ref());
            let route = Route::of(reason.kind, customer, settings, &subscriptions);
            alerts.push(Alert::new(reason, customer, owner, route, settling.now));
        }
    }
    Ok(alerts)
}

/// Notes that alerts were sent, so that nobody tries again.
///
/// # Errors
/// [`CommitError::Conflict`] when somebody kept changing them until shortly before the deadline.
pub async fn note_sent<S: Alerts>(
    store: &S,
    settling: &Settling<'_>,
    sent: &[Waiting],
) -> Result<(), CommitError> {
    let mut attempt = 0;
    while !sent.is_empty() {
        let mut unresolved = store.unresolved(settling.tenant, &settling.whose).await?;
        unresolved.rev += 1;
        for Held { id, waiting, .. } in &mut unresolved.alerts {
            for (_, channel) in sent.iter().filter(|(of, _)| of == id) {
                waiting.remove(channel);
            }
        }
        let change = Change {
            tenant: settling.tenant.clone(),
            whose: settling.whose.clone(),
            contact_version: None,
            unresolved,
            raise: Vec::new(),
            resolve: Vec::new(),
            at: settling.now,
        };
        match store.change(&change).await {
            Err(CommitError::Conflict) if settling.deadline.has_time() => {}
            done => return done,
        }
        pause(attempt).await;
        attempt += 1;
    }
    Ok(())
}

//! Alerts of no contact: differences from Stripe, and the endpoint.

use std::collections::BTreeSet;

use paygraph_bus::batch::Refusal;
use paygraph_domain::alert::plan::Held;
use paygraph_domain::alert::reason::{self, Reason};
use paygraph_domain::alert::{AlertId, Kind};
use paygraph_domain::drift::Class;
use paygraph_domain::standing::Severity;
use paygraph_domain::time::Timestamp;
use paygraph_engine::alert::{Judgement, Whose};
use paygraph_engine::ports::{Clock, StoreError};
use paygraph_engine::run::{Outcome, Run};
use paygraph_engine::watch::Watch;
use serde_json::Value;

use crate::handler::{Table, Taking, Target, again};
use crate::tell::Tell;

impl<S: Table, C: Clock, A: Tell, B: Tell> Target<S, C, A, B> {
    /// A comparison found a difference, or is finished. One alert per run and class; it is over when
    /// a whole run has left none of the class for somebody to look at.
    pub(crate) async fn drift(&self, taking: &Taking<'_>) -> Result<(), Refusal> {
        let (event, data) = (taking.event, &taking.event.detail.data);
        let name = data.get("run").or_else(|| data.get("id"));
        let name = name.and_then(Value::as_str).unwrap_or_default();
        let run = self.store.run(&event.detail.tenant, name).await;
        let run = run.map_err(again)?;
        let mut is_late = event.detail_type == "run_completed";
        if event.detail_type == "drift_detected" {
            is_late |= self.differs(taking, run.as_ref(), name).await?;
        }
        match run {
            Some(run) if is_late && run.is_complete() && is_whole(&run) => {
                self.compared(taking, &run).await
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Raises the alert of the class, once per run. Says whether it did.
    async fn differs(
        &self,
        taking: &Taking<'_>,
        run: Option<&Run>,
        name: &str,
    ) -> Result<bool, Refusal> {
        let Some(new) = difference(taking, run, name) else {
            return Ok(false);
        };
        let settling = taking.settling(Whose::Tenant);
        let _turn = self.turns.of(settling.tenant).await;
        let judge = async |held: &[Held]| {
            // Nothing is known of other classes: what was told of them stands.
            let mut reasons = vec![new.clone()];
            let others = held.iter().filter(|held| held.id.object != new.object);
            reasons.extend(others.map(|held| stands(&held.id)));
            Ok(judgement(reasons, Kind::Drift, taking.news()))
        };
        let settled = self.settled(taking, &settling, judge).await?;
        self.send(taking, &settling, &settled).await?;
        Ok(settled.raised > 0)
    }

    /// Resolves the alerts of classes of which a finished run has left nothing.
    async fn compared(&self, taking: &Taking<'_>, run: &Run) -> Result<(), Refusal> {
        let settling = taking.settling(Whose::Tenant);
        let _turn = self.turns.of(settling.tenant).await;
        let judge = async |held: &[Held]| {
            let left = self.left(run, held).await?;
            let left = held.iter().filter(|held| {
                let object = held.id.object.as_ref();
                object.is_some_and(|object| left.contains(object.as_str()))
            });
            let reasons = left.map(|held| stands(&held.id)).collect();
            Ok(judgement(reasons, Kind::Drift, BTreeSet::new()))
        };
        self.settled(taking, &settling, judge).await.map(|_| ())
    }

    /// The classes of which a run has left something to look at, if anybody was told of any.
    async fn left(&self, run: &Run, held: &[Held]) -> Result<BTreeSet<&'static str>, StoreError> {
        if !held.iter().any(|held| held.id.kind == Kind::Drift) {
            return Ok(BTreeSet::new());
        }
        let drift = self.store.drift(run).await?;
        let left = drift
            .iter()
            .filter(|drift| drift.outcome != Outcome::Healed);
        Ok(left.map(|drift| drift.class.as_str()).collect())
    }

    /// Stripe's events do not reach us, or do again.
    pub(crate) async fn endpoint(&self, taking: &Taking<'_>) -> Result<(), Refusal> {
        let settling = taking.settling(Whose::Tenant);
        let _turn = self.turns.of(settling.tenant).await;
        let judge = async |_: &[Held]| {
            let watch = self.store.watch(&taking.event.detail.tenant).await?;
            let reasons = trouble(taking, watch.as_ref());
            Ok(judgement(
                reasons.into_iter().collect(),
                Kind::Endpoint,
                taking.news(),
            ))
        };
        let settled = self.settled(taking, &settling, judge).await?;
        self.send(taking, &settling, &settled).await
    }
}

fn judgement(reasons: Vec<Reason>, judged: Kind, may_raise: BTreeSet<Kind>) -> Judgement {
    Judgement {
        contact: None,
        reasons,
        judged: [judged].into(),
        may_raise,
    }
}

/// A run that has looked at everything: what it did not find is not there.
fn is_whole(run: &Run) -> bool {
    run.scope.object.is_none() && run.scope.kinds.is_empty() && !run.scope.dry_run
}

/// The difference that an event tells of.
fn difference(taking: &Taking<'_>, run: Option<&Run>, name: &str) -> Option<Reason> {
    let data = &taking.event.detail.data;
    let class = data.get("class").cloned().unwrap_or_default();
    let class: Class = serde_json::from_value(class).ok()?;
    let since = run.map_or(taking.event.detail.occurred_at, |run| run.started_at);
    let money = data.get("money_per_month").cloned().unwrap_or_default();
    Some(reason::drift(class, name, since, &money))
}

/// The reason of an alert that stands, as far as anybody compares it.
fn stands(id: &AlertId) -> Reason {
    Reason {
        kind: id.kind,
        object: id.object.clone(),
        since: id.since,
        severity: Severity::Low,
        title: String::new(),
        evidence: Value::Null,
    }
}

/// What is wrong with the endpoint: by the watch, if it was noted after the event was told, else by
/// the event. (The watch tells first, and notes then.)
fn trouble(taking: &Taking<'_>, watch: Option<&Watch>) -> Option<Reason> {
    let detail = &taking.event.detail;
    let told_at = detail.cause.as_str().strip_prefix("watch:");
    let told_at = told_at.and_then(|rev| rev.parse::<u64>().ok());
    let noted = watch.filter(|watch| told_at.is_none_or(|rev| watch.rev > rev));
    if let Some(watch) = noted {
        let reasons: Vec<_> = watch.reasons.values().cloned().collect();
        let since = watch.since.unwrap_or(detail.occurred_at);
        return (!reasons.is_empty()).then(|| reason::endpoint(&reasons, since));
    }
    let reasons = detail.data.get("reasons").cloned().unwrap_or_default();
    let reasons: Vec<String> = serde_json::from_value(reasons).unwrap_or_default();
    let since = detail.data.get("since").and_then(Value::as_str);
    let since = since.and_then(|since| Timestamp::parse(since).ok());
    let is_trouble = taking.event.detail_type == "webhook_endpoint_unhealthy";
    is_trouble.then(|| reason::endpoint(&reasons, since.unwrap_or(detail.occurred_at)))
}

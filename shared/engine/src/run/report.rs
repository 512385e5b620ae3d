//! What people and programs are shown of a run.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::drift::{Class, Drift, Outcome};
use super::state::Run;

/// How many differences of a class there are, and the money per month by currency.
type Sum = (u64, BTreeMap<String, i64>);

impl Run {
    /// How far it is, as JSON.
    #[must_use]
    pub fn shown(&self) -> Value {
        json!({
            "id": self.id,
            "job": self.job,
            "dry_run": self.scope.dry_run,
            "recent": self.scope.recent,
            "started_at": self.started_at.to_string(),
            "noted_at": self.noted_at.to_string(),
            "stage": self.stage,
            "complete": self.is_complete(),
            "done_percent": self.share_done() / 10,
            "problem": self.problem,
            "stopped": self.stopped,
            "checked": self.counts.checked(),
            "objects": self.counts.objects,
            "changed": self.counts.committed,
            "differed": self.counts.differed,
            "in_flight": self.counts.in_flight,
            "failed": self.counts.failed,
            "failed_total": self.counts.failures(),
            "wait": self.wait.as_ref().map(|wait| json!({
                "reason": wait.reason,
                "until": wait.until.map(|until| until.to_string()),
            })),
        })
    }

    /// The same with what it found.
    #[must_use]
    pub fn report(&self, drift: &[Drift]) -> Value {
        let mut report = self.summary(drift);
        if let Some(fields) = report.as_object_mut() {
            fields.insert("drift".to_owned(), json!(drift));
        }
        report
    }

    /// The same with what it found by class, and the money that is at stake.
    #[must_use]
    pub fn summary(&self, drift: &[Drift]) -> Value {
        let mut classes: BTreeMap<Class, Sum> = BTreeMap::new();
        for drift in drift {
            let (count, money) = classes.entry(drift.class).or_default();
            *count += 1;
            for (currency, sum) in &drift.money_per_month {
                *money.entry(currency.clone()).or_default() += sum;
            }
        }
        let classes = classes.into_iter().map(|(class, (count, money))| {
            let class = class.as_str().to_owned();
            (class, json!({ "count": count, "money_per_month": money }))
        });
        let healed = drift
            .iter()
            .filter(|drift| drift.outcome == Outcome::Healed);
        let mut summary = self.shown();
        if let Some(fields) = summary.as_object_mut() {
            fields.insert("healed".to_owned(), json!(healed.count()));
            fields.insert("classes".to_owned(), classes.collect());
        }
        summary
    }
}

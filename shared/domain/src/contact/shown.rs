//! What is shown of a contact, to tell what a change changed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Billing, Contact, instant};
use crate::audit::Fields;
use crate::id::{StripeCustomerId, StripeId};
use crate::risk::Risk;
use crate::settings::Settings;
use crate::standing::Told;
use crate::time::Timestamp;
use crate::totals::Failing;

/// What the API shows of a contact, to be compared.
#[derive(PartialEq)]
pub(super) struct Shown {
    name: Option<String>,
    email: Option<String>,
    company: Option<String>,
    accounts: Vec<StripeCustomerId>,
    deleted: bool,
    pub(super) billing: Billing,
    traits: BTreeMap<String, Value>,
    users: BTreeSet<String>,
    workspaces: BTreeSet<String>,
    /// What the standing follows from beside the billing state.
    risk: Vec<Weighed>,
    pub(super) told: Told,
}

/// What a Stripe customer brings to how its contact stands.
#[derive(PartialEq)]
struct Weighed {
    risk: Risk,
    failing: BTreeMap<StripeId, Failing>,
    instants: [Option<Timestamp>; 2],
    declines: usize,
}

impl Shown {
    pub(super) fn of(contact: &Contact, settings: &Settings) -> Self {
        let profile = contact.profile.as_ref();
        Self {
            name: contact.name().map(str::to_owned),
            email: contact.email().map(str::to_owned),
            company: contact.company().map(str::to_owned),
            accounts: contact.accounts.keys().cloned().collect(),
            deleted: contact.is_deleted(),
            billing: contact.billing(settings),
            traits: contact.traits().clone(),
            users: profile
                .map(|profile| profile.users.clone())
                .unwrap_or_default(),
            workspaces: profile
                .map(|profile| profile.workspaces.clone())
                .unwrap_or_default(),
            risk: contact
                .accounts
                .values()
                .map(|rollup| Weighed {
                    risk: rollup.risk.clone(),
                    failing: rollup.totals.failing.clone(),
                    instants: [rollup.stale_at, rollup.trial_end],
                    declines: rollup.totals.declines.len(),
                })
                .collect(),
            told: contact.told.clone(),
        }
    }

    pub(super) fn fields(&self) -> Fields {
        let billing = &self.billing;
        let plan = billing.plan.as_ref();
        let signals: Vec<_> = self.told.signals.keys().map(|(kind, _)| kind).collect();
        let accounts: Vec<&str> = self.accounts.iter().map(StripeCustomerId::as_str).collect();
        vec![
            ("name", json!(self.name)),
            ("email", json!(self.email)),
            ("company", json!(self.company)),
            ("stripe_customer_ids", json!(accounts)),
            ("deleted", json!(self.deleted)),
            ("billing.plan", json!(plan.map(|plan| plan.price.as_str()))),
            ("billing.plan_name", json!(plan.map(|plan| &plan.name))),
            ("billing.tier", json!(billing.tier)),
            ("billing.mrr", json!(billing.mrr)),
            ("billing.arr", json!(billing.arr)),
            ("billing.billing_status", json!(billing.status.as_str())),
            ("billing.trial_end_date", instant(billing.trial_end_date)),
            (
                "billing.subscription_start_date",
                instant(billing.subscription_start_date),
            ),
            ("billing.renewal_date", instant(billing.renewal_date)),
            (
                "billing.next_invoice_date",
                instant(billing.next_invoice_date),
            ),
            ("billing.cancel_at", instant(billing.cancel_at)),
            ("billing.lifetime_value", json!(billing.lifetime_value)),
            ("billing.payment_method", json!(billing.payment_method)),
            ("billing.access", json!(self.told.access.level)),
            ("health_score", json!(self.told.health)),
            ("risk_signals", json!(signals)),
            ("segments", json!(self.told.segments)),
            ("traits", json!(self.traits)),
            ("users", json!(self.users)),
            ("workspaces", json!(self.workspaces)),
        ]
    }
}

//! What is shown of a contact, to tell what a change changed.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Billing, Contact};
use crate::audit::{Change, Diff};
use crate::collection::OpenInvoice;
use crate::decline::Decline;
use crate::id::{StripeCustomerId, StripeId};
use crate::risk::Risk;
use crate::settings::Settings;
use crate::standing::{Kind, Told};
use crate::time::Timestamp;

/// What the API shows of a contact, to be compared.
#[derive(PartialEq)]
pub(super) struct Shown<'a> {
    name: Option<&'a str>,
    email: Option<&'a str>,
    company: Option<&'a str>,
    accounts: Vec<&'a StripeCustomerId>,
    deleted: bool,
    pub(super) billing: Billing,
    traits: Cow<'a, BTreeMap<String, Value>>,
    users: &'a BTreeSet<String>,
    workspaces: &'a BTreeSet<String>,
    /// What the standing follows from beside the billing state.
    risk: Vec<Weighed<'a>>,
}

/// What a Stripe customer brings to how its contact stands.
#[derive(PartialEq)]
struct Weighed<'a> {
    risk: &'a Risk,
    open: &'a BTreeMap<StripeId, OpenInvoice>,
    instants: [Option<Timestamp>; 2],
    declines: &'a BTreeMap<StripeId, Decline>,
    pending: &'a BTreeMap<StripeId, Option<StripeId>>,
}

impl<'a> Shown<'a> {
    pub(super) fn of(contact: &'a Contact, settings: &Settings) -> Self {
        static NOBODY: BTreeSet<String> = BTreeSet::new();
        let profile = contact.profile.as_ref();
        Self {
            name: contact.name(),
            email: contact.email(),
            company: contact.company(),
            accounts: contact.accounts.keys().collect(),
            deleted: contact.is_deleted(),
            billing: contact.billing(settings),
            traits: contact.traits(),
            users: profile.map_or(&NOBODY, |profile| &profile.users),
            workspaces: profile.map_or(&NOBODY, |profile| &profile.workspaces),
            risk: contact
                .accounts
                .values()
                .map(|rollup| Weighed {
                    risk: &rollup.risk,
                    open: &rollup.totals.open,
                    instants: [rollup.stale_at, rollup.trial_end],
                    declines: &rollup.totals.declines,
                    pending: &rollup.totals.pending,
                })
                .collect(),
        }
    }

    /// What a change changed of what is shown, and of what is told of how the contact stands.
    pub(super) fn changes(before: Option<(&Self, &Told)>, after: (&Self, &Told)) -> Vec<Change> {
        let mut diff = Diff::new("", before, after);
        diff.field("name", |(shown, _)| shown.name);
        diff.field("email", |(shown, _)| shown.email);
        diff.field("company", |(shown, _)| shown.company);
        diff.field("stripe_customer_ids", |(shown, _)| &shown.accounts);
        diff.field("deleted", |(shown, _)| shown.deleted);
        diff.field("billing.plan", |(shown, _)| {
            shown.billing.plan.as_ref().map(|plan| &plan.price)
        });
        diff.field("billing.plan_name", |(shown, _)| {
            shown.billing.plan.as_ref().map(|plan| &plan.name)
        });
        diff.field("billing.tier", |(shown, _)| &shown.billing.tier);
        diff.field("billing.mrr", |(shown, _)| &shown.billing.mrr);
        diff.field("billing.arr", |(shown, _)| &shown.billing.arr);
        diff.field("billing.billing_status", |(shown, _)| {
            shown.billing.status.as_str()
        });
        diff.time("billing.trial_end_date", |(shown, _)| {
            shown.billing.trial_end_date
        });
        diff.time("billing.subscription_start_date", |(shown, _)| {
            shown.billing.subscription_start_date
        });
        diff.time("billing.renewal_date", |(shown, _)| {
            shown.billing.renewal_date
        });
        diff.time("billing.next_invoice_date", |(shown, _)| {
            shown.billing.next_invoice_date
        });
        diff.time("billing.cancel_at", |(shown, _)| shown.billing.cancel_at);
        diff.field("billing.lifetime_value", |(shown, _)| {
            &shown.billing.lifetime_value
        });
        diff.field("billing.payment_method", |(shown, _)| {
            &shown.billing.payment_method
        });
        diff.field("billing.access", |(_, told)| told.access.level);
        diff.field("health_score", |(_, told)| told.health);
        diff.field("risk_signals", |(_, told)| -> Vec<Kind> {
            told.signals.keys().map(|(kind, _)| *kind).collect()
        });
        diff.field("segments", |(_, told)| &told.segments);
        diff.map("traits", |(shown, _)| &shown.traits);
        diff.set("users", |(shown, _)| shown.users);
        diff.set("workspaces", |(shown, _)| shown.workspaces);
        diff.changes()
    }
}

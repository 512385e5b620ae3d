//! A contact's billing state, merged over its Stripe customers.

use super::Contact;
use crate::money::Money;
use crate::rollup::{BillingStatus, OnFile, Plan, Primary};
use crate::settings::Settings;
use crate::time::Timestamp;

/// A contact's billing state, merged over its Stripe customers.
#[derive(Debug, Clone, PartialEq)]
pub struct Billing {
    /// The price that stands for the plan.
    pub plan: Option<Plan>,
    /// The tier, by the plan or the default.
    pub tier: String,
    /// Minor units per month.
    pub mrr: Money,
    /// Minor units per year.
    pub arr: Money,
    /// The most severe status.
    pub status: BillingStatus,
    /// The end of the primary subscription's trial, also after it.
    pub trial_end_date: Option<Timestamp>,
    /// The start of the primary subscription.
    pub subscription_start_date: Option<Timestamp>,
    /// The end of its running period, unless it ends then.
    pub renewal_date: Option<Timestamp>,
    /// The earliest next invoice.
    pub next_invoice_date: Option<Timestamp>,
    /// Its scheduled end.
    pub cancel_at: Option<Timestamp>,
    /// Paid less given back.
    pub lifetime_value: Money,
    /// The payment method on file.
    pub payment_method: OnFile,
}

impl Contact {
    /// Paid less given back, over every Stripe customer.
    #[must_use]
    pub fn lifetime_value(&self) -> Money {
        let mut value = Money::default();
        for rollup in self.accounts.values() {
            value.add_all(&rollup.totals.lifetime_value());
        }
        value
    }

    /// The billing state, merged.
    #[must_use]
    pub fn billing(&self, settings: &Settings) -> Billing {
        let rollups = || self.accounts.values();
        let mut billing = Billing {
            plan: None,
            tier: settings.default_tier.clone(),
            mrr: Money::default(),
            arr: Money::default(),
            status: rollups()
                .map(|rollup| rollup.status)
                .min()
                .unwrap_or_default(),
            trial_end_date: None,
            subscription_start_date: None,
            renewal_date: None,
            next_invoice_date: rollups().filter_map(|rollup| rollup.next_invoice).min(),
            cancel_at: None,
            lifetime_value: self.lifetime_value(),
            payment_method: OnFile::default(),
        };
        for rollup in rollups() {
            billing.mrr.add_all(&rollup.mrr);
            billing.arr.add_all(&rollup.arr);
        }
        let plan = self.plan(settings);
        if let Some(plan) = &plan {
            billing.tier.clone_from(&plan.tier);
        }
        billing.plan = plan;
        if let Some(primary) = self.primary() {
            let renews = primary.live && primary.cancel_at.is_none();
            billing.trial_end_date = primary.trial_end;
            billing.subscription_start_date = Some(primary.start_date);
            billing.renewal_date = primary.period_end.filter(|_| renews);
            billing.cancel_at = primary.cancel_at;
        }
        billing.payment_method = self.payment_method();
        billing
    }

    fn plan(&self, settings: &Settings) -> Option<Plan> {
        let live = self
            .accounts
            .values()
            .filter_map(|rollup| rollup.plan.as_ref());
        let live = live.max_by(|a, b| a.weight.cmp(&b.weight));
        let held = self
            .accounts
            .values()
            .filter_map(|rollup| rollup.lifetime.as_ref());
        let held = held.max_by_key(|plan| (settings.rank(&plan.tier), &plan.price));
        match (live, held) {
            (Some(live), Some(held)) => {
                let held_is_more = settings.rank(&held.tier) > settings.rank(&live.tier);
                Some(if held_is_more {
                    held.clone()
                } else {
                    live.clone()
                })
            }
            (live, held) => live.or(held).cloned(),
        }
    }

    fn primary(&self) -> Option<&Primary> {
        let primaries = self
            .accounts
            .values()
            .filter_map(|rollup| rollup.primary.as_ref());
        primaries.reduce(|best, next| if next.beats(best) { next } else { best })
    }

    fn payment_method(&self) -> OnFile {
        let primary = self.primary();
        let mut rollups: Vec<_> = self
            .accounts
            .values()
            .filter(|r| r.payment_method.on_file)
            .collect();
        rollups
            .sort_by_key(|rollup| rollup.primary.is_none() || rollup.primary.as_ref() != primary);
        rollups
            .first()
            .map(|rollup| rollup.payment_method.clone())
            .unwrap_or_default()
    }
}

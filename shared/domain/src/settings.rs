//! What a tenant decides: which tiers its products stand for, and what counts as MRR.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::StripeId;
use crate::objects::catalog::Price;
use crate::segments::Segments;
use crate::standing::Kind;

/// A tenant's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The tier of a customer without a live subscription.
    pub default_tier: String,
    /// Every tier with its rank: a higher one is worth more.
    pub tiers: BTreeMap<String, u32>,
    /// Which product stands for which tier.
    #[serde(default)]
    pub products: BTreeMap<StripeId, TierOf>,
    /// Which price stands for which tier; asked before the product.
    #[serde(default)]
    pub prices: BTreeMap<StripeId, TierOf>,
    /// What counts as MRR.
    #[serde(default)]
    pub mrr: MrrSettings,
    /// How many days of full use a customer has from the first failed attempt on.
    #[serde(default = "grace_days")]
    pub grace_days: u16,
    /// What the health score is made of.
    #[serde(default)]
    pub health: HealthSettings,
    /// The segments.
    #[serde(default = "Segments::example")]
    pub segments: Segments,
    /// What becomes of Stripe customers that match no contact.
    #[serde(default)]
    pub unmatched: Unmatched,
}

fn grace_days() -> u16 {
    14
}

/// What becomes of a Stripe customer that matches no contact. It always gets a contact of its own,
/// called as Stripe calls it, so that nothing is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unmatched {
    /// That is all.
    #[default]
    Create,
    /// It is also listed for somebody to look at.
    Review,
}

/// Points that are taken from 100.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthSettings {
    /// For each kind of signal that is up.
    pub signals: BTreeMap<Kind, u8>,
    /// When every subscription has ended.
    pub ended: u8,
    /// When the customer was not seen for `inactive_days` (trait `last_seen_at`).
    pub inactive: u8,
    /// How many days.
    pub inactive_days: u16,
    /// When the trait `engagement_score` is below `low_engagement_below`.
    pub low_engagement: u8,
    /// Below what.
    pub low_engagement_below: u8,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self {
            signals: BTreeMap::from([
                (Kind::FailedPayment, 15),
                (Kind::Dunning, 5),
                (Kind::PastDue, 20),
                (Kind::CancellationRequested, 30),
                (Kind::Downgrade, 15),
                (Kind::CardExpiring, 5),
                (Kind::Dispute, 25),
            ]),
            ended: 60,
            inactive: 15,
            inactive_days: 14,
            low_engagement: 10,
            low_engagement_below: 30,
        }
    }
}

/// The tier that a product or price stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierOf {
    /// The tier's name.
    pub tier: String,
    /// Paid once and kept for good.
    #[serde(default)]
    pub lifetime: bool,
}

/// What counts as MRR.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MrrSettings {
    /// Subscriptions that are past due count.
    pub past_due_counts: bool,
    /// Coupons that hold for a while (`once`, `repeating`) lower the MRR while they run.
    pub count_temporary_discounts: bool,
    /// Subscriptions with a scheduled end count until then.
    pub count_scheduled_cancellations: bool,
    /// Subscriptions whose collection is paused count.
    pub count_paused_collection: bool,
}

impl Default for MrrSettings {
    fn default() -> Self {
        Self {
            past_due_counts: true,
            count_temporary_discounts: false,
            count_scheduled_cancellations: true,
            count_paused_collection: true,
        }
    }
}

/// The tier of what no setting names.
pub const UNKNOWN_TIER: &str = "unknown";

impl Settings {
    /// The settings that ship as the example, from `infra/catalog/settings.json`.
    ///
    /// # Errors
    /// When that file is not valid: a test reads it.
    pub fn example() -> Result<Self, serde_json::Error> {
        serde_json::from_str(include_str!("../../../infra/catalog/settings.json"))
    }

    /// The tier of a price, or of its product.
    #[must_use]
    pub fn tier_of(&self, price: &StripeId, product: Option<&StripeId>) -> Option<&TierOf> {
        self.prices
            .get(price)
            .or_else(|| product.and_then(|product| self.products.get(product)))
    }

    /// The tier's name of a price.
    #[must_use]
    pub fn tier_name(&self, price: &Price) -> &str {
        self.tier_of(&price.id, price.product.as_ref())
            .map_or(UNKNOWN_TIER, |of| &of.tier)
    }

    /// A tier's rank; 0 for one that is not listed.
    #[must_use]
    pub fn rank(&self, tier: &str) -> u32 {
        self.tiers.get(tier).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_valid_and_names_only_ranked_tiers() {
        let settings = Settings::example().unwrap();
        assert_eq!(settings.default_tier, "free");
        for of in settings.products.values().chain(settings.prices.values()) {
            assert!(settings.tiers.contains_key(&of.tier), "{}", of.tier);
        }
        assert_eq!(settings.rank("founding_pro"), settings.rank("pro"));
        assert!(settings.rank("team") > settings.rank("pro"));
    }
}

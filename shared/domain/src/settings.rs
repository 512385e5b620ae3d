//! What a tenant decides: which tiers its products stand for, and what counts as MRR.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::alert::routing::AlertSettings;
use crate::drift::Class;
use crate::email::EmailSettings;
use crate::id::StripeId;
use crate::objects::catalog::Price;
use crate::product::settings::ProductSettings;
use crate::segments::Segments;
use crate::sequence::{Sequence, Sequences};
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
    /// Differences from Stripe that a comparison leaves for somebody to look at, by their class. All
    /// others are healed, where taking Stripe's state over is all that it needs.
    #[serde(default)]
    pub review_drift: BTreeSet<Class>,
    /// How many hours long an event is news: nobody is alerted or written to for an older one.
    #[serde(default = "news_hours")]
    pub news_hours: u16,
    /// The sequences.
    #[serde(default = "Sequences::example")]
    pub sequences: Sequences,
    /// Those that run; the others are drafts.
    #[serde(default)]
    pub enabled_sequences: BTreeSet<String>,
    /// Who hears of which alerts.
    #[serde(default)]
    pub alerts: AlertSettings,
    /// What product events mean.
    #[serde(default)]
    pub product: ProductSettings,
    /// E-mails to customers.
    #[serde(default)]
    pub email: EmailSettings,
}

fn news_hours() -> u16 {
    72
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

/// What is wrong with a settings document.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSettings {
    /// Keys that are no settings, each with its place and those that there are.
    #[error("{}", .0.join("; "))]
    Unknown(Vec<String>),
    /// Tiers that are named and have no rank.
    #[error("{}", .0.join("; "))]
    Unranked(Vec<String>),
    /// Sequences that are enabled and that there are not, or segments that they name.
    #[error("{}", .0.join("; "))]
    Sequences(Vec<String>),
    /// It is not JSON, or a value has the wrong type.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
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

    /// Reads a document that a person wrote.
    ///
    /// # Errors
    /// [`InvalidSettings`], with every key that is no setting.
    pub fn parse(text: &str) -> Result<Self, InvalidSettings> {
        let document: Value = serde_json::from_str(text)?;
        let unknown = unknown_keys(&document)?;
        if !unknown.is_empty() {
            return Err(InvalidSettings::Unknown(unknown));
        }
        Ok(serde_json::from_str(text)?)
    }

    /// Whether every tier that is named has a rank: one without counts less than all others.
    ///
    /// # Errors
    /// [`InvalidSettings::Unranked`], with every place that names one.
    pub fn check_tiers(&self) -> Result<(), InvalidSettings> {
        let default = [("default_tier".to_owned(), &self.default_tier)];
        let products = self.products.iter();
        let products = products.map(|(id, of)| (format!("products.{id}"), &of.tier));
        let prices = self.prices.iter();
        let prices = prices.map(|(id, of)| (format!("prices.{id}"), &of.tier));
        let unranked: Vec<String> = default
            .into_iter()
            .chain(products)
            .chain(prices)
            .filter(|(_, tier)| !self.tiers.contains_key(*tier))
            .map(|(place, tier)| format!("`{place}` names the tier `{tier}`, which `tiers` lacks"))
            .collect();
        if unranked.is_empty() {
            Ok(())
        } else {
            Err(InvalidSettings::Unranked(unranked))
        }
    }

    /// Whether every sequence that is enabled is there, and every segment that one names which is
    /// enabled or the tenant's own.
    ///
    /// # Errors
    /// [`InvalidSettings::Sequences`], with everything that is missing.
    pub fn check_sequences(&self) -> Result<(), InvalidSettings> {
        // The example's drafts ask for the example's segments: that is nobody's mistake.
        let is_own = self.sequences != Sequences::example();
        let matters = |name: &str| is_own || self.enabled_sequences.contains(name);
        let mut problems = self.sequences.unknown_segments(&self.segments, matters);
        let known: Vec<&str> = self.sequences.iter().map(|(name, _)| name).collect();
        let known = known.join(", ");
        let enabled = self.enabled_sequences.iter();
        let missing = enabled.filter(|name| self.sequences.get(name).is_none());
        problems.extend(missing.map(|name| {
            format!(
                "`enabled_sequences` names {name:?}, which `sequences` lacks; there are {known}"
            )
        }));
        if problems.is_empty() {
            Ok(())
        } else {
            Err(InvalidSettings::Sequences(problems))
        }
    }

    /// The sequences that run.
    pub fn running_sequences(&self) -> impl Iterator<Item = (&str, &Sequence)> {
        let all = self.sequences.iter();
        all.filter(|(name, _)| self.enabled_sequences.contains(*name))
    }

    /// A sequence by name, if it runs.
    #[must_use]
    pub fn running_sequence(&self, name: &str) -> Option<&Sequence> {
        let running = self.enabled_sequences.contains(name);
        self.sequences.get(name).filter(|_| running)
    }

    /// The same, with every sequence enabled.
    #[must_use]
    pub fn with_all_sequences(mut self) -> Self {
        let all = self.sequences.iter().map(|(name, _)| name.to_owned());
        self.enabled_sequences = all.collect();
        self
    }

    /// The tier of a price, or of its product.
    #[must_use]
    pub fn tier_of(&self, price: &StripeId, product: Option<&StripeId>) -> Option<&TierOf> {
        self.prices
            .get(price)
            .or_else(|| product.and_then(|product| self.products.get(product)))
    }

    /// Whether anything is bought once and kept for good.
    #[must_use]
    pub fn sells_for_good(&self) -> bool {
        let mut all = self.prices.values().chain(self.products.values());
        all.any(|of| of.lifetime)
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

/// The keys of a document that are no settings. The keys that there are come from the types.
fn unknown_keys(document: &Value) -> Result<Vec<String>, serde_json::Error> {
    let shape = serde_json::to_value(Settings {
        default_tier: String::new(),
        tiers: BTreeMap::new(),
        products: BTreeMap::new(),
        prices: BTreeMap::new(),
        mrr: MrrSettings::default(),
        grace_days: grace_days(),
        health: HealthSettings::default(),
        segments: Segments::default(),
        unmatched: Unmatched::default(),
        review_drift: BTreeSet::new(),
        news_hours: news_hours(),
        sequences: Sequences::default(),
        enabled_sequences: BTreeSet::new(),
        alerts: AlertSettings::default(),
        product: ProductSettings::default(),
        email: EmailSettings::default(),
    })?;
    let tier = serde_json::to_value(TierOf {
        tier: String::new(),
        lifetime: false,
    })?;
    let mut places = vec![(String::new(), Some(document), Some(&shape))];
    for part in ["mrr", "health", "alerts", "product", "email"] {
        places.push((part.to_owned(), document.get(part), shape.get(part)));
    }
    for list in ["products", "prices"] {
        let entries = document.get(list).and_then(Value::as_object);
        for (id, of) in entries.into_iter().flatten() {
            places.push((format!("{list}.{id}"), Some(of), Some(&tier)));
        }
    }
    let mut unknown = Vec::new();
    for (place, here, shape) in places {
        let (Some(here), Some(shape)) = (
            here.and_then(Value::as_object),
            shape.and_then(Value::as_object),
        ) else {
            continue;
        };
        // A map of JSON keeps its keys sorted or as written, by a feature that any crate turns on.
        let known: BTreeSet<&str> = shape.keys().map(String::as_str).collect();
        let given: BTreeSet<&str> = here.keys().map(String::as_str).collect();
        for key in given.difference(&known) {
            let path = format!("{place}.{key}");
            let path = path.trim_start_matches('.');
            let known: Vec<&str> = known.iter().copied().collect();
            let known = known.join(", ");
            unknown.push(format!("`{path}` is no setting; there are {known}"));
        }
    }
    Ok(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_that_is_no_setting_is_told_with_its_place() {
        let refused = |text: &str| Settings::parse(text).unwrap_err().to_string();
        let text = r#"{ "default_tier": "free", "tiers": {}, "tier": 1,
            "mrr": { "past_due_count": true }, "alerts": { "slak": [] },
            "products": { "prod_1": { "tier": "x", "life": true } } }"#;
        assert_eq!(
            refused(text),
            "`tier` is no setting; there are alerts, default_tier, email, enabled_sequences, grace_days, health, \
             mrr, news_hours, prices, product, products, review_drift, segments, sequences, tiers, unmatched; \
             `mrr.past_due_count` is no setting; there are count_paused_collection, \
             count_scheduled_cancellations, count_temporary_discounts, past_due_counts; \
             `alerts.slak` is no setting; there are default_owner, slack, sns, \
             upsell_above_percent, upsell_quiet_days, usage_limit_percent; \
             `products.prod_1.life` is no setting; there are lifetime, tier"
        );
        let text = r#"{ "default_tier": "free", "tiers": {}, "mrr": { "past_due_counts": 1 } }"#;
        assert!(refused(text).starts_with("invalid type: integer `1`, expected a boolean"));
    }

    #[test]
    fn a_tier_without_a_rank_is_told() {
        let text = r#"{ "default_tier": "free", "tiers": { "pro": 1 },
            "prices": { "price_1": { "tier": "prp" } } }"#;
        let settings = Settings::parse(text).unwrap();
        assert_eq!(
            settings.check_tiers().unwrap_err().to_string(),
            "`default_tier` names the tier `free`, which `tiers` lacks; \
             `prices.price_1` names the tier `prp`, which `tiers` lacks"
        );
    }

    #[test]
    fn sequences_are_drafts_until_they_are_enabled() {
        let settings = Settings::example().unwrap();
        assert_eq!(settings.running_sequences().count(), 0);
        settings.check_sequences().unwrap();
        let own_segments = Settings {
            segments: Segments::default(),
            ..settings.clone()
        };
        own_segments.check_sequences().unwrap();
        let mut settings = settings.with_all_sequences();
        assert_eq!(settings.running_sequences().count(), 4);
        assert!(settings.running_sequence("trial_expiry").is_some());
        settings.enabled_sequences.insert("typo".to_owned());
        settings.segments = Segments::default();
        assert_eq!(
            settings.check_sequences().unwrap_err().to_string(),
            "sequence \"trial_expiry\": there is no segment \"trial_expiring\"; there are ; \
             `enabled_sequences` names \"typo\", which `sequences` lacks; there are \
             cancellation_win_back, failed_payment_recovery, trial_expiry, upgrade_celebration"
        );
    }

    #[test]
    fn what_is_written_is_read_again() {
        let settings = Settings::example().unwrap().with_all_sequences();
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(Settings::parse(&text).unwrap(), settings);
    }

    #[test]
    fn the_example_is_valid_and_names_only_ranked_tiers() {
        let settings = Settings::example().unwrap();
        assert_eq!(settings.default_tier, "free");
        settings.check_tiers().unwrap();
        assert_eq!(settings.rank("founding_pro"), settings.rank("pro"));
        assert!(settings.rank("team") > settings.rank("pro"));
    }
}

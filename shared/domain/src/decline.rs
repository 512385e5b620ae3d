//! Why a charge was declined, and whether the same card may still pay.

use serde::{Deserialize, Serialize};

use crate::id::StripeId;
use crate::objects::charge::Charge;
use crate::time::Timestamp;

/// Codes after which Stripe makes no further attempt with the same payment method.
/// <https://docs.stripe.com/billing/revenue-recovery/smart-retries> lists them as hard declines;
/// `do_not_try_again` is what `advice_code` was as a decline code.
/// <https://docs.stripe.com/declines/codes>
const HARD: [&str; 10] = [
    "authentication_required",
    "do_not_try_again",
    "highest_risk_level",
    "incorrect_number",
    "lost_card",
    "pickup_card",
    "revocation_of_all_authorizations",
    "revocation_of_authorization",
    "stolen_card",
    "transaction_not_allowed",
];

/// Whether the same payment method may still pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclineKind {
    /// No: the customer has to give another one.
    Hard,
    /// Yes: a later attempt may succeed.
    Soft,
}

impl DeclineKind {
    /// The word of events and lines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
        }
    }

    /// The issuer's advice decides, else the decline code. None if neither is known: the failure code
    /// `card_declined` says only that there is one.
    /// <https://docs.stripe.com/declines/card#retrying-issuer-declines>
    #[must_use]
    pub fn of(code: Option<&str>, advice: Option<&str>) -> Option<Self> {
        match (advice, code) {
            (Some("do_not_try_again"), _) => Some(Self::Hard),
            (Some("try_again_later" | "confirm_card_data"), _) => Some(Self::Soft),
            (_, Some(code)) if HARD.contains(&code) => Some(Self::Hard),
            (_, Some("card_declined") | None) => None,
            (_, Some(_)) => Some(Self::Soft),
        }
    }
}

/// A failed charge, as the totals of its customer keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Row", into = "Row")]
pub struct Decline {
    /// When the charge was made.
    created: Timestamp,
    /// The first second in which Stripe told of the failure. A bank debit fails days after it was
    /// made; no fetched charge tells when.
    told: Option<Timestamp>,
    /// The invoice that it was for, else the payment intent.
    pub of: Option<StripeId>,
    /// Stripe's decline code, else the failure code.
    pub code: Option<String>,
    /// The issuer's advice: `do_not_try_again`, `try_again_later`, `confirm_card_data`.
    pub advice: Option<String>,
}

impl Decline {
    /// A failed charge, told by an event of this second (none for a fetched charge).
    #[must_use]
    pub fn new(charge: &Charge, told: Option<Timestamp>) -> Self {
        let intent = charge.payment_intent.clone();
        Self {
            created: charge.created,
            told,
            of: charge.invoice.clone().or(intent),
            code: charge.decline_code.clone(),
            advice: charge.advice_code.clone(),
        }
    }

    /// When the attempt failed, as far as anybody told.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.told.unwrap_or(self.created)
    }

    /// Whether an event told when it failed.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.told.is_some()
    }

    /// Whether the same payment method may still pay.
    #[must_use]
    pub fn kind(&self) -> Option<DeclineKind> {
        DeclineKind::of(self.code.as_deref(), self.advice.as_deref())
    }

    /// Takes over what another report of the same charge tells. The order does not matter.
    pub fn merge(&mut self, other: Self) {
        self.created = self.created.min(other.created);
        self.told = self.told.into_iter().chain(other.told).min();
        let newer = other;
        self.of = newer.of.or_else(|| self.of.take());
        self.code = newer.code.or_else(|| self.code.take());
        self.advice = newer.advice.or_else(|| self.advice.take());
    }
}

/// A decline as it is stored: a list, of which an older release wrote the first three.
#[derive(Serialize, Deserialize)]
struct Row(
    Timestamp,
    Option<StripeId>,
    Option<String>,
    #[serde(default)] Option<String>,
    #[serde(default)] Option<Timestamp>,
);

impl From<Row> for Decline {
    fn from(Row(created, of, code, advice, told): Row) -> Self {
        Self {
            created,
            told,
            of,
            code,
            advice,
        }
    }
}

impl From<Decline> for Row {
    fn from(decline: Decline) -> Self {
        let Decline {
            created,
            told,
            of,
            code,
            advice,
        } = decline;
        Self(created, of, code, advice, told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a5_advice_goes_before_the_code() {
        let hard = Some(DeclineKind::Hard);
        let soft = Some(DeclineKind::Soft);
        for (code, advice, kind) in [
            (Some("insufficient_funds"), None, soft),
            (Some("insufficient_funds"), Some("do_not_try_again"), hard),
            (Some("lost_card"), None, hard),
            (Some("lost_card"), Some("try_again_later"), soft),
            (Some("expired_card"), Some("confirm_card_data"), soft),
            (Some("generic_decline"), Some("a_new_advice"), soft),
            (None, Some("do_not_try_again"), hard),
            (Some("card_declined"), None, None),
            (None, None, None),
        ] {
            assert_eq!(DeclineKind::of(code, advice), kind, "{code:?} {advice:?}");
        }
    }

    #[test]
    fn a5_declines_of_an_older_release_stay_readable() {
        let old = r#"[1790000000,"in_1","card_declined"]"#;
        let decline: Decline = serde_json::from_str(old).unwrap();
        assert_eq!(decline.at().unix(), 1_790_000_000);
        assert_eq!(decline.code.as_deref(), Some("card_declined"));
        let new = serde_json::to_string(&decline).unwrap();
        assert_eq!(new, r#"[1790000000,"in_1","card_declined",null,null]"#);
    }
}

//! All contacts, added up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::contact::Contact;
use crate::money::{Currency, Exact, Money, ratio};
use crate::settings::Settings;

/// All contacts, added up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Book {
    /// Minor units per month.
    pub mrr: Money,
    /// How many contacts bring any.
    pub subscribers: u64,
    /// What was ever paid, less what was given back.
    pub lifetime: BTreeMap<Currency, Lifetime>,
}

/// What was ever paid in a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lifetime {
    /// Minor units.
    pub paid: i64,
    /// By how many contacts.
    pub customers: u64,
}

impl Lifetime {
    /// By each of them on average.
    #[must_use]
    pub fn average(&self) -> Exact {
        ratio(self.paid, i64::try_from(self.customers).unwrap_or(i64::MAX))
    }
}

impl Book {
    /// Adds a contact.
    pub fn add(&mut self, contact: &Contact, settings: &Settings) {
        let billing = contact.billing(settings);
        self.mrr.add_all(&billing.mrr);
        self.subscribers += u64::from(!billing.mrr.is_empty());
        for (currency, paid) in billing.lifetime_value.iter() {
            let lifetime = self.lifetime.entry(currency.clone()).or_default();
            lifetime.paid = lifetime.paid.saturating_add(paid);
            lifetime.customers += 1;
        }
    }

    /// The currencies in which anything is paid, or was.
    pub(super) fn currencies(&self) -> impl Iterator<Item = &Currency> {
        let mrr = self.mrr.iter().map(|(currency, _)| currency);
        mrr.chain(self.lifetime.keys())
    }
}

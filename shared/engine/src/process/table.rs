//! Where facts are applied one after the other, before anything is written.

use std::collections::{BTreeMap, BTreeSet};

use paygraph_domain::account::{Account, ObjectKey};
use paygraph_domain::apply::{Applied, apply};
use paygraph_domain::fact::Fact;
use paygraph_domain::rollup::Context;
use paygraph_domain::totals::Totals;

use crate::ports::Beside;

/// Where facts are applied one after the other, and what they do together.
pub(super) struct Table {
    pub applied: Option<Applied>,
    /// What is beside the working set, and not laid out now.
    pub beside: Beside,
    /// Each fact's id, with what it wrote to, and whether people see a change.
    written: Vec<(String, Vec<ObjectKey>, bool)>,
    /// The revs of what was changed: each is written once, whatever changes it.
    revs: BTreeMap<ObjectKey, u64>,
}

impl Table {
    pub fn new(beside: Beside) -> Self {
        Self {
            applied: None,
            beside,
            written: Vec::new(),
            revs: BTreeMap::new(),
        }
    }

    /// Puts what a fact is about in its place in the account.
    pub fn lay(&mut self, account: &mut Account, fact: &Fact) {
        let key = ObjectKey::beside(&fact.body);
        if let Some((key, (rev, object))) = key.and_then(|key| self.beside.remove_entry(&key)) {
            account.insert(key, rev, object);
        }
    }

    pub fn apply(
        &mut self,
        account: &mut Account,
        totals: &mut Totals,
        fact: &Fact,
        context: Context<'_>,
    ) {
        let applied = apply(account, totals, fact, context);
        for key in &applied.changed {
            match self.revs.get(key) {
                Some(rev) => account.set_rev(key, *rev),
                None => {
                    self.revs.insert(key.clone(), account.rev(key));
                }
            }
        }
        let written = (
            fact.body.id().to_owned(),
            applied.changed.clone(),
            !applied.changes.is_empty(),
        );
        self.written.push(written);
        match &mut self.applied {
            Some(all) => all.extend(applied),
            None => self.applied = Some(applied),
        }
    }

    /// The ids of the facts that change something that people see, and of those that write to the
    /// same: a refund is a part of its charge.
    pub fn changing(&self) -> BTreeSet<String> {
        let seen = self.written.iter().filter(|(.., seen)| *seen);
        let keys: BTreeSet<_> = seen.flat_map(|(_, keys, _)| keys).collect();
        let ids = self.written.iter();
        ids.filter(|(_, written, _)| written.iter().any(|key| keys.contains(key)))
            .map(|(id, ..)| id.clone())
            .collect()
    }

    /// Takes it out again.
    pub fn clear(&mut self, account: &mut Account, fact: &Fact) {
        let key = ObjectKey::beside(&fact.body);
        if let Some((key, object)) = key.and_then(|key| Some((key.clone(), account.take(&key)?))) {
            self.beside.insert(key, object);
        }
    }
}

//! Where facts are applied one after the other, before anything is written.

use std::collections::{BTreeMap, BTreeSet};

use paygraph_domain::account::{Account, ObjectKey};
use paygraph_domain::apply::{Applied, ObjectChange, Reading, apply, compare};
use paygraph_domain::fact::Fact;
use paygraph_domain::rollup::Context;
use paygraph_domain::totals::Totals;

use crate::ports::Beside;

/// Where facts are applied one after the other, and what they do together.
pub(super) struct Table {
    pub applied: Option<Applied>,
    /// What is beside the working set, and not laid out now.
    pub beside: Beside,
    /// Each fact's id, with the objects that it wrote to.
    written: Vec<(String, Vec<ObjectKey>)>,
    /// What was beside the working set before any fact was applied.
    before: Beside,
    /// The revs of what was changed: each is written once, whatever changes it.
    revs: BTreeMap<ObjectKey, u64>,
}

impl Table {
    pub fn new(beside: Beside) -> Self {
        Self {
            applied: None,
            before: beside.clone(),
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
        let written = (fact.body.id().to_owned(), applied.changed.clone());
        self.written.push(written);
        match &mut self.applied {
            Some(all) => all.extend(applied),
            None => self.applied = Some(applied),
        }
    }

    /// The differences between the record before all facts and the record after them, object by
    /// object: no value in between. All objects that no fact may change keep what they are worth,
    /// but for the subscriptions of a customer whose discounts change.
    pub fn changes(
        &self,
        before: &Account,
        after: &Account,
        context: Context<'_>,
    ) -> Vec<ObjectChange> {
        let changed = self.applied.iter().flat_map(|applied| &applied.changed);
        let mut keys: BTreeSet<_> = changed.cloned().collect();
        let discounts =
            |key: &ObjectKey| matches!(key, ObjectKey::Customer | ObjectKey::Discount(_));
        if keys.iter().any(discounts) {
            let all = after.subscriptions.keys().cloned();
            keys.extend(all.map(ObjectKey::Subscription));
        }
        let object = |account: &Account, beside: &Beside, key: &ObjectKey| {
            let beside = beside.get(key).map(|(_, object)| object.clone());
            beside.or_else(|| account.object(key).filter(|_| key.is_working_set()))
        };
        let compared = |key: &ObjectKey| {
            let was = object(before, &self.before, key);
            let is = object(after, &self.beside, key);
            let (was, is) = (was.as_ref(), is.as_ref());
            let before = Reading {
                account: before,
                object: was,
            };
            let after = Reading {
                account: after,
                object: is,
            };
            compare(key, before, after, context)
        };
        keys.iter().filter_map(compared).collect()
    }

    /// The names of the events that the facts lead to.
    pub fn events(&self) -> Vec<&'static str> {
        let events = self.applied.iter().flat_map(|applied| &applied.events);
        events.map(|event| event.name).collect()
    }

    /// The ids of the facts that write to objects that changed: a refund is a part of its charge.
    pub fn changing(&self, changes: &[ObjectChange]) -> BTreeSet<String> {
        let keys: BTreeSet<_> = changes.iter().map(|change| &change.key).collect();
        let ids = self.written.iter();
        ids.filter(|(_, written)| written.iter().any(|key| keys.contains(key)))
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

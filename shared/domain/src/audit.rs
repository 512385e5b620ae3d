//! What changed, field by field.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::contact::instant;
use crate::time::Timestamp;

/// One changed field, named by its place in the API's answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// `billing.mrr`, `subscriptions.sub_1.status`, …
    pub field: String,
    /// The value before; null when there was none.
    pub before: Value,
    /// The value after; null when there is none.
    pub after: Value,
}

/// One changed field of one object.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldChange {
    /// The field's own name: `status`, `mrr`, …
    pub name: &'static str,
    /// The value before; null when there was none.
    pub before: Value,
    /// The value after; null when there is none.
    pub after: Value,
}

impl FieldChange {
    /// The same change, named by its place in the API's answers.
    #[must_use]
    pub fn at(&self, prefix: &str) -> Change {
        Change {
            field: format!("{prefix}{}", self.name),
            before: self.before.clone(),
            after: self.after.clone(),
        }
    }
}

/// The differences between two readings of something, found field by field: a value is written out
/// only where it differs.
pub struct Diff<'a, S> {
    prefix: &'a str,
    before: Option<S>,
    after: S,
    fields: Vec<FieldChange>,
}

impl<'a, S: Copy> Diff<'a, S> {
    /// Begins; `prefix` goes before every field's name.
    #[must_use]
    pub fn new(prefix: &'a str, before: Option<S>, after: S) -> Self {
        Self {
            prefix,
            before,
            after,
            fields: Vec::new(),
        }
    }

    /// Compares a field.
    pub fn field<T: PartialEq + Serialize>(&mut self, name: &'static str, of: impl Fn(S) -> T) {
        self.compare(name, of, |value| json!(value));
    }

    /// Compares an instant.
    pub fn time(&mut self, name: &'static str, of: impl Fn(S) -> Option<Timestamp>) {
        self.compare(name, of, |time| instant(*time));
    }

    /// Compares a set: of a long one only the members that left (before) and came (after) are written
    /// out.
    pub fn set(&mut self, name: &'static str, of: impl Fn(S) -> &'a BTreeSet<String>) {
        let Some(before) = self.before else {
            return self.field(name, of);
        };
        let (was, is) = (of(before), of(self.after));
        if was != is {
            let (left, came): (Vec<_>, Vec<_>) =
                (was.difference(is).collect(), is.difference(was).collect());
            self.push(name, json!(left), json!(came));
        }
    }

    /// Compares a map: of a long one only the entries that differ are written out.
    pub fn map(&mut self, name: &'static str, of: impl Fn(S) -> &'a BTreeMap<String, Value>) {
        let Some(before) = self.before else {
            return self.field(name, of);
        };
        let (was, is) = (of(before), of(self.after));
        if was != is {
            self.push(name, differing(was, is), differing(is, was));
        }
    }

    fn push(&mut self, name: &'static str, before: Value, after: Value) {
        self.fields.push(FieldChange {
            name,
            before,
            after,
        });
    }

    fn compare<T: PartialEq>(
        &mut self,
        name: &'static str,
        of: impl Fn(S) -> T,
        show: impl Fn(&T) -> Value,
    ) {
        let (before, after) = (self.before.map(&of), of(self.after));
        if before.as_ref() == Some(&after) {
            return;
        }
        let (before, after) = (before.as_ref().map_or(Value::Null, &show), show(&after));
        if before != after && !(is_nothing(&before) && is_nothing(&after)) {
            self.push(name, before, after);
        }
    }

    /// What differs, in the order of the comparisons.
    #[must_use]
    pub fn changes(self) -> Vec<Change> {
        let prefix = self.prefix;
        self.fields.iter().map(|field| field.at(prefix)).collect()
    }

    /// The same by the fields' own names.
    #[must_use]
    pub fn fields(self) -> Vec<FieldChange> {
        self.fields
    }
}

/// The entries of a map that another one has not, or has with another value.
fn differing(map: &BTreeMap<String, Value>, other: &BTreeMap<String, Value>) -> Value {
    let own = map.iter();
    let own = own.filter(|(name, value)| other.get(*name) != Some(*value));
    own.map(|(name, value)| (name.clone(), value.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Nothing becoming an empty map, list or `false` is no change to tell of.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S6: of long lists and maps only the differences are written out.
    #[test]
    fn s6_lists_and_maps_are_told_by_their_differences() {
        let set = |names: &[&str]| -> BTreeSet<String> {
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        let map = |n: i32| -> BTreeMap<String, Value> {
            [
                ("same".to_owned(), json!(1)),
                ("other".to_owned(), json!(n)),
            ]
            .into()
        };
        let (was, is) = ((set(&["a", "b"]), map(1)), (set(&["b", "c"]), map(2)));
        let mut diff = Diff::new("", Some((&was.0, &was.1)), (&is.0, &is.1));
        diff.set("users", |(users, _)| users);
        diff.map("traits", |(_, traits)| traits);
        let told = diff.changes();
        let told = told.iter().map(|change| (&change.before, &change.after));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                (&json!(["a"]), &json!(["c"])),
                (&json!({ "other": 1 }), &json!({ "other": 2 })),
            ]
        );
    }

    #[test]
    fn only_what_differs_is_told() {
        let changes = |before, after| {
            let mut diff = Diff::new("p.", before, after);
            diff.field("a", |(a, _)| a);
            diff.field("b", |(_, b)| b);
            diff.field("c", |_| Vec::<u8>::new());
            diff.changes()
        };
        let told = changes(Some((1, "x")), (2, "x"));
        assert_eq!(told.len(), 1);
        let Change {
            field,
            before,
            after,
        } = &told[0];
        assert_eq!(
            (field.as_str(), before, after),
            ("p.a", &json!(1), &json!(2))
        );
        assert_eq!(changes(None, (2, "x")).len(), 2);
        assert!(changes(Some((2, "x")), (2, "x")).is_empty());
    }
}

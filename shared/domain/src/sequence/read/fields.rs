//! The fields of a map in a definition, and what is wrong with them.

use serde_json::{Map, Value};

use crate::condition::{Condition, InvalidCondition};

/// A map with the place where it stands.
pub(super) struct Fields<'m, 'p> {
    place: &'p str,
    map: &'m Map<String, Value>,
    problems: &'p mut Vec<String>,
}

impl<'m, 'p> Fields<'m, 'p> {
    /// A map of which these fields are known; any other is told.
    pub(super) fn new(
        place: &'p str,
        map: &'m Map<String, Value>,
        known: &[&str],
        problems: &'p mut Vec<String>,
    ) -> Self {
        let mut fields = Self {
            place,
            map,
            problems,
        };
        for field in map.keys().filter(|field| !known.contains(&field.as_str())) {
            let known = known.join(", ");
            fields.problem(format!(
                "there is no field `{field}`; the fields are {known}"
            ));
        }
        fields
    }

    /// Tells what is wrong.
    pub(super) fn problem(&mut self, problem: String) {
        self.problems.push(format!("{}{problem}", self.place));
    }

    /// A field that there must be; `is` says what it is for.
    pub(super) fn value(&mut self, name: &str, is: &str) -> Option<&'m Value> {
        let value = self.map.get(name).filter(|value| !value.is_null());
        if value.is_none() {
            self.problem(format!("add `{name}`: {is}"));
        }
        value
    }

    /// A text that there must be.
    pub(super) fn text(&mut self, name: &str, is: &str) -> Option<String> {
        self.value(name, is)?;
        self.optional(name)
    }

    /// A text that there may be.
    pub(super) fn optional(&mut self, name: &str) -> Option<String> {
        match self.map.get(name) {
            Some(Value::String(text)) => Some(text.trim().to_owned()),
            Some(Value::Null) | None => None,
            Some(_) => {
                self.problem(format!("write `{name}` as text: put it in quotes"));
                None
            }
        }
    }

    /// A condition that there must be.
    pub(super) fn condition(&mut self, name: &str, is: &str) -> Option<Condition> {
        self.value(name, is)?;
        self.optional_condition(name)
    }

    /// A condition that there may be.
    pub(super) fn optional_condition(&mut self, name: &str) -> Option<Condition> {
        let source = self.optional(name)?;
        self.read(name, Condition::parse(&source))
    }

    /// A condition that there may be, about an event's data as well.
    pub(super) fn event_condition(&mut self, name: &str) -> Option<Condition> {
        let source = self.optional(name)?;
        self.read(name, Condition::of_event(&source))
    }

    fn read(&mut self, name: &str, read: Result<Condition, InvalidCondition>) -> Option<Condition> {
        read.map_err(|error| self.problem(format!("`{name}`, {error}")))
            .ok()
    }

    /// A map that there must be.
    pub(super) fn inner(&mut self, name: &str, is: &str) -> Option<&'m Map<String, Value>> {
        let inner = self.value(name, is)?.as_object();
        if inner.is_none() {
            self.problem(format!("write below `{name}` {is}"));
        }
        inner
    }

    /// A list that there must be.
    pub(super) fn list(&mut self, name: &str, is: &str) -> Option<&'m [Value]> {
        let list = self.value(name, is)?.as_array();
        if list.is_none() {
            self.problem(format!("write `{name}` as a list, each entry with a `-`"));
        }
        list.map(Vec::as_slice)
    }
}

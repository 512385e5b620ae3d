//! Texts with variables: `Hello {{ customer.name or "there" }}`.
//!
//! A variable is looked up when the text is read, and one that may be missing says there what is
//! written instead: what is sent never has a gap, and filling in cannot fail. That is why this is
//! no template language.

use std::fmt;

use serde::{Serialize, Serializer};

use super::seen::{Seen, VARIABLES, Variable};
use crate::text::single_line;

/// The most variables of one text: each is at most [`MAX_VALUE`] characters long, so a text that is
/// filled in stays small.
const MAX_VARIABLES: usize = 50;
/// The most characters that a value brings into a text.
const MAX_VALUE: usize = 200;
/// What a contact's own names begin with.
const TRAITS: &str = "traits.";

/// A text with variables.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Value(Name, Option<String>),
}

#[derive(Clone, PartialEq, Eq)]
enum Name {
    /// A variable, by its place in [`VARIABLES`].
    Known(usize),
    Trait(String),
}

impl Template {
    /// Reads a text, and checks every variable in it.
    ///
    /// # Errors
    /// What to change, for the first variable that is wrong.
    pub fn parse(source: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = source;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((inside, behind)) = after.split_once("}}") else {
                return Err("`{{` has no `}}` after it".to_owned());
            };
            parts.push(Part::Text(before.to_owned()));
            parts.push(value(inside.trim())?);
            rest = behind;
        }
        parts.push(Part::Text(rest.to_owned()));
        if parts.len() / 2 > MAX_VARIABLES {
            return Err(format!("it has more than {MAX_VARIABLES} variables"));
        }
        Ok(Self {
            source: source.to_owned(),
            parts,
        })
    }

    /// The text for a contact.
    #[must_use]
    pub fn fill(&self, seen: &Seen<'_>) -> String {
        let parts = self.parts.iter();
        parts.fold(String::new(), |text, part| match part {
            Part::Text(part) => text + part,
            Part::Value(name, instead) => {
                let value = name.of(seen).map(|value| plain(&value));
                let value = value.filter(|value| !value.is_empty());
                let instead = || instead.clone().unwrap_or_default();
                text + &value.unwrap_or_else(instead)
            }
        })
    }
}

impl Name {
    fn of(&self, seen: &Seen<'_>) -> Option<String> {
        match self {
            Self::Known(place) => (VARIABLES.get(*place)?.value)(seen),
            Self::Trait(name) => seen.trait_text(name),
        }
    }
}

/// A value that cannot break a line, a header, or the length.
fn plain(value: &str) -> String {
    let value: String = single_line(value).chars().take(MAX_VALUE).collect();
    value.trim().to_owned()
}

/// Reads what stands between the braces: `name` or `name or "text"`.
fn value(inside: &str) -> Result<Part, String> {
    let (name, instead) = match inside.split_once(" or ") {
        Some((name, instead)) => (name.trim(), Some(quoted(inside, instead.trim())?)),
        None => (inside, None),
    };
    let (found, always) = if let Some(trait_) = name.strip_prefix(TRAITS) {
        (Name::Trait(trait_.to_owned()), false)
    } else {
        let place = VARIABLES.iter().position(|variable| variable.name == name);
        let place = place.ok_or_else(|| unknown(name))?;
        let always = VARIABLES.get(place).is_some_and(|variable| variable.always);
        (Name::Known(place), always)
    };
    if !always && instead.is_none() {
        return Err(format!(
            "`{name}` may be missing: say what is written then, as in `{{{{ {name} or \"…\" }}}}`"
        ));
    }
    Ok(Part::Value(found, instead))
}

fn quoted(inside: &str, text: &str) -> Result<String, String> {
    let inner = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    inner
        .map(str::to_owned)
        .ok_or_else(|| format!("in `{inside}`, what follows `or` must be in double quotes"))
}

fn unknown(name: &str) -> String {
    let known: Vec<&str> = VARIABLES
        .iter()
        .map(|Variable { name, .. }| *name)
        .collect();
    let known = known.join(", ");
    format!("there is no variable `{name}`; there are {known}, traits.…")
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.source)
    }
}

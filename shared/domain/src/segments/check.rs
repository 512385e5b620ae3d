//! Everything that is wrong with definitions, each with what to change.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{InvalidSegments, MAX_SEGMENTS, Segments};
use crate::condition::Condition;

/// The fields of a definition.
const FIELDS: [&str; 3] = ["description", "when", "flips_at"];

/// What is wrong with definitions in YAML, and what to change; nothing when [`Segments::parse`]
/// takes them.
#[must_use]
pub fn problems(yaml: &str) -> Vec<String> {
    let segments: BTreeMap<String, Value> = match serde_saphyr::from_str(yaml) {
        Ok(segments) => segments,
        Err(error) => {
            return vec![format!(
                "this is not a list of segments: {error}; write each as a name, a colon, and \
                 below it `description` and `when`"
            )];
        }
    };
    let mut problems = Vec::new();
    if segments.len() > MAX_SEGMENTS {
        problems.push(InvalidSegments::TooMany(segments.len()).to_string());
    }
    for (name, segment) in &segments {
        let of = |problem: String| format!("segment {name:?}: {problem}");
        if !super::is_name(name) {
            problems.push(InvalidSegments::Name(name.clone()).to_string());
        }
        match segment.as_object() {
            Some(fields) => problems.extend(definition(fields).into_iter().map(of)),
            None => problems.push(of("give it a `description` and a `when`".to_owned())),
        }
    }
    if problems.is_empty() {
        // What the checks above do not know is still told, if only the first of it.
        let rest = Segments::parse(yaml).err();
        problems.extend(rest.map(|error| error.to_string()));
    }
    problems
}

fn definition(fields: &Map<String, Value>) -> Vec<String> {
    let mut problems = Vec::new();
    for field in fields
        .keys()
        .filter(|field| !FIELDS.contains(&field.as_str()))
    {
        let known = FIELDS.join(", ");
        problems.push(format!(
            "there is no field `{field}`; the fields are {known}"
        ));
    }
    match fields.get("description") {
        Some(Value::String(_)) => {}
        Some(_) => problems.push("write `description` as text, in quotes".to_owned()),
        None => problems.push("add a `description`: what people read".to_owned()),
    }
    let when = match fields.get("when") {
        Some(Value::String(when)) => condition("when", when, &mut problems),
        Some(_) => {
            problems.push("write `when` as text: put it in quotes".to_owned());
            None
        }
        None => {
            problems.push("add `when`: the condition of those who are in it".to_owned());
            None
        }
    };
    let empty = Vec::new();
    let flips = match fields.get("flips_at") {
        Some(Value::Array(flips)) => flips,
        Some(Value::Null) | None => &empty,
        Some(_) => {
            problems.push("write `flips_at` as a list, each line with a `-`".to_owned());
            return problems;
        }
    };
    for flip in flips {
        match flip.as_str() {
            Some(flip) => {
                condition("flips_at", flip, &mut problems);
            }
            None => problems.push("write each line of `flips_at` as text, in quotes".to_owned()),
        }
    }
    if flips.is_empty() && when.is_some_and(|when| when.asks_the_time()) {
        let example = "billing.trial_end_date - duration(\"72h\")";
        problems.push(format!(
            "`when` asks for `now`: add `flips_at` with the instants at which it may change, as in \
             `{example}`"
        ));
    }
    problems
}

fn condition(field: &str, source: &str, problems: &mut Vec<String>) -> Option<Condition> {
    match Condition::parse(source) {
        Ok(condition) => Some(condition),
        Err(error) => {
            problems.push(format!("`{field}`, {error}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_told_at_once() {
        let yaml = r#"
good: { description: x, when: 'billing.tier == "pro"' }
Bad Name: { description: x, when: "true" }
typo: { description: x, when: "billing.teir == 'pro'", flips_at: [ "customr.id" ] }
timed: { description: x, when: "billing.cancel_at < now" }
shape: { descripton: x, when: true, flips_at: now }
broken: { description: x, when: "billing.tier ==" }
nothing:
"#;
        let told = problems(yaml);
        for part in [
            "segment \"Bad Name\": a name has 1 to 64 of a-z, 0-9 and _",
            "segment \"typo\": `when`, in `billing.teir == 'pro'`: `billing` has no `teir`",
            "segment \"typo\": `flips_at`, in `customr.id`: there is no `customr`",
            "segment \"timed\": `when` asks for `now`: add `flips_at`",
            "segment \"shape\": there is no field `descripton`; the fields are description, when",
            "segment \"shape\": add a `description`",
            "segment \"shape\": write `when` as text",
            "segment \"shape\": write `flips_at` as a list",
            "segment \"broken\": `when`, in `billing.tier ==`",
            "segment \"nothing\": give it a `description` and a `when`",
        ] {
            let found = told.iter().any(|problem| problem.starts_with(part));
            assert!(found, "{part} is not in {told:#?}");
        }
        assert_eq!(told.len(), 10, "{told:#?}");
    }

    #[test]
    fn what_is_read_has_no_problems_and_the_other_way_round() {
        let example = include_str!("../../../../infra/catalog/segments.yaml");
        assert_eq!(problems(example), Vec::<String>::new());
        for wrong in [
            "- 1",
            "",
            "a: 1",
            "a: { description: x, when: 'true' }\na: { description: y, when: 'true' }",
            "a: { description: x, when: 'true', flips_at: ~ }",
        ] {
            let refused = Segments::parse(wrong).is_err();
            assert_eq!(refused, !problems(wrong).is_empty(), "{wrong:?}");
        }
    }
}

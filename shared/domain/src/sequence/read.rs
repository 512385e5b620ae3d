//! Reading definitions: everything that is wrong with them is told at once, each with what to change.

mod events;
mod fields;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub(super) use self::events::EVENTS;
use self::fields::Fields;
use super::{
    Channel, Delay, MAX_SEQUENCES, MAX_STEPS, Reentry, Sequence, Sequences, Step, Template, Trigger,
};
use crate::segments::Segments;

/// The most characters of a subject.
const MAX_SUBJECT: usize = 200;
/// The most characters of a text.
const MAX_TEXT: usize = 10_000;

/// Definitions that are not usable: everything that is wrong with them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct InvalidSequences(pub Vec<String>);

/// What is wrong with definitions in YAML, and what to change; nothing when they are usable with
/// these segments.
#[must_use]
pub fn problems(yaml: &str, segments: &Segments) -> Vec<String> {
    match parse(yaml) {
        Ok(sequences) => sequences.unknown_segments(segments, |_| true),
        Err(InvalidSequences(problems)) => problems,
    }
}

pub(super) fn parse(yaml: &str) -> Result<Sequences, InvalidSequences> {
    let written: BTreeMap<String, Value> = serde_saphyr::from_str(yaml).map_err(|error| {
        InvalidSequences(vec![format!(
            "this is not a list of sequences: {error}; write each as a name, a colon, and below it \
             `description`, `trigger`, `exit_when`, `reentry` and `steps`"
        )])
    })?;
    all(&written)
}

pub(super) fn all(written: &BTreeMap<String, Value>) -> Result<Sequences, InvalidSequences> {
    let (mut read, mut problems) = (BTreeMap::new(), Vec::new());
    if written.len() > MAX_SEQUENCES {
        let many = written.len();
        problems.push(format!(
            "there are {many} sequences; at most {MAX_SEQUENCES} are possible"
        ));
    }
    for (name, value) in written {
        let mut wrong = Vec::new();
        if !is_name(name) {
            wrong.push(NAME.to_owned());
        }
        if let Some(sequence) = sequence(value, &mut wrong) {
            read.insert(name.clone(), sequence);
        }
        let wrong = wrong.into_iter();
        problems.extend(wrong.map(|problem| format!("sequence {name:?}: {problem}")));
    }
    if problems.is_empty() {
        Ok(Sequences::from_all(read))
    } else {
        Err(InvalidSequences(problems))
    }
}

const NAME: &str = "a name has 1 to 64 of a-z, 0-9 and _";

/// Whether a name can be part of a key and of a cause.
fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

impl Sequences {
    /// The segments that triggers name and that there are not, each with what to change; of the
    /// sequences that `of` picks.
    #[must_use]
    pub fn unknown_segments(&self, segments: &Segments, of: impl Fn(&str) -> bool) -> Vec<String> {
        let known: Vec<&str> = segments.iter().map(|(name, _)| name).collect();
        let known = known.join(", ");
        let unknown = self
            .iter()
            .filter(|(name, _)| of(name))
            .filter_map(|(name, sequence)| match &sequence.trigger {
                Trigger::Segment { segment } if segments.get(segment).is_none() => Some(format!(
                    "sequence {name:?}: there is no segment {segment:?}; there are {known}"
                )),
                Trigger::Segment { .. } | Trigger::Event { .. } => None,
            });
        unknown.collect()
    }
}

fn sequence(value: &Value, problems: &mut Vec<String>) -> Option<Sequence> {
    const KNOWN: [&str; 5] = ["description", "trigger", "exit_when", "reentry", "steps"];
    let Some(map) = value.as_object() else {
        problems.push(format!(
            "give it {}",
            KNOWN.map(|field| format!("`{field}`")).join(", ")
        ));
        return None;
    };
    let mut fields = Fields::new("", map, &KNOWN, problems);
    let description = fields.text("description", "what people read");
    let exit_when = fields.condition("exit_when", "what holds once its reason is gone");
    let trigger = fields.inner("trigger", "what starts it: an `event` or a `segment`");
    let reentry = reentry(&mut fields);
    let steps = fields.list("steps", "what is sent, and when");
    let trigger = trigger.and_then(|map| trigger_of(map, problems));
    let steps = steps.map(|list| steps_of(list, problems));
    Some(Sequence {
        description: description?,
        trigger: trigger?,
        exit_when: exit_when?,
        reentry: reentry?,
        steps: steps?,
    })
}

fn trigger_of(map: &serde_json::Map<String, Value>, problems: &mut Vec<String>) -> Option<Trigger> {
    let mut fields = Fields::new("`trigger`: ", map, &["event", "when", "segment"], problems);
    let event = fields.optional("event");
    let segment = fields.optional("segment");
    let when = fields.event_condition("when");
    match (event, segment) {
        (Some(event), None) if EVENTS.contains(&event.as_str()) => {
            Some(Trigger::Event { event, when })
        }
        (Some(event), None) => {
            let known = EVENTS.join(", ");
            fields.problem(format!(
                "no event {event:?} starts a sequence; these do: {known}"
            ));
            None
        }
        (None, Some(segment)) if when.is_none() => Some(Trigger::Segment { segment }),
        (None, Some(_)) => {
            let wrong = "`when` goes with an `event`; put this condition into the segment's own";
            fields.problem(wrong.to_owned());
            None
        }
        (Some(_), Some(_)) | (None, None) => {
            fields.problem("name either an `event` or a `segment`".to_owned());
            None
        }
    }
}

fn reentry(fields: &mut Fields<'_, '_>) -> Option<Reentry> {
    let value = fields.value("reentry", "`never`, `after_end`, or `{ after_days: 30 }`")?;
    let read = serde_json::from_value(value.clone()).ok();
    if read.is_none() {
        let wrong = "write `reentry` as `never`, `after_end`, or `{ after_days: 30 }`";
        fields.problem(wrong.to_owned());
    }
    read
}

fn steps_of(list: &[Value], problems: &mut Vec<String>) -> Vec<Step> {
    if list.is_empty() || list.len() > MAX_STEPS {
        problems.push(format!("give it 1 to {MAX_STEPS} `steps`"));
    }
    let steps: Vec<Step> = list
        .iter()
        .enumerate()
        .filter_map(|(place, value)| step(place + 1, value, problems))
        .collect();
    let mut names = BTreeSet::new();
    for step in &steps {
        if !names.insert(&step.name) {
            let name = &step.name;
            problems.push(format!(
                "two steps are called {name:?}; give each a name of its own"
            ));
        }
    }
    for (before, after) in steps.iter().zip(steps.iter().skip(1)) {
        if after.delay < before.delay {
            let (late, early) = (&before.name, &after.name);
            problems.push(format!(
                "step {early:?} is due before {late:?}; put the steps in the order of their delays"
            ));
        }
    }
    steps
}

fn step(place: usize, value: &Value, problems: &mut Vec<String>) -> Option<Step> {
    const KNOWN: [&str; 6] = ["name", "delay", "when", "channel", "subject", "text"];
    let name = value.get("name").and_then(Value::as_str);
    let called = name.map_or_else(|| place.to_string(), |name| format!("{name:?}"));
    let Some(map) = value.as_object() else {
        problems.push(format!(
            "step {called}: give it a name, delay, channel and text"
        ));
        return None;
    };
    let prefix = format!("step {called}: ");
    let mut fields = Fields::new(&prefix, map, &KNOWN, problems);
    let name = fields.text("name", "a name that stays when the text changes");
    if name.as_deref().is_some_and(|name| !is_name(name)) {
        fields.problem(NAME.to_owned());
    }
    let delay = delay(&mut fields);
    let when = fields.optional_condition("when");
    let channel = channel(&mut fields);
    let subject = fields.optional("subject");
    if channel == Some(Channel::Email) && subject.is_none() && !map.contains_key("subject") {
        fields.problem("add a `subject`: every e-mail has one".to_owned());
    }
    let subject = subject.map(|text| template("subject", &text, MAX_SUBJECT, &mut fields));
    let text = fields.text("text", "what is sent");
    let text = text.and_then(|text| template("text", &text, MAX_TEXT, &mut fields));
    Some(Step {
        name: name?,
        delay: delay?,
        when,
        channel: channel?,
        subject: subject.flatten(),
        text: text?,
    })
}

fn delay(fields: &mut Fields<'_, '_>) -> Option<Delay> {
    let value = fields.value(
        "delay",
        "how long after the enrolment: `0`, `30m`, `12h`, `3d`",
    )?;
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    };
    let read = Delay::parse(&text);
    read.map_err(|problem| fields.problem(format!("`delay`: {problem}")))
        .ok()
}

fn channel(fields: &mut Fields<'_, '_>) -> Option<Channel> {
    let value = fields.text("channel", "where it goes: email, in_app, task or slack")?;
    let found = Channel::ALL
        .into_iter()
        .find(|channel| channel.as_str() == value);
    if found.is_none() {
        let known = Channel::ALL.map(Channel::as_str).join(", ");
        fields.problem(format!("there is no channel {value:?}; there are {known}"));
    }
    found
}

fn template(name: &str, text: &str, most: usize, fields: &mut Fields<'_, '_>) -> Option<Template> {
    if text.chars().count() > most {
        fields.problem(format!("`{name}` is longer than {most} characters"));
    }
    if name == "subject" && text.chars().any(char::is_control) {
        fields.problem("write `subject` on one line".to_owned());
    }
    let read = Template::parse(text);
    read.map_err(|problem| fields.problem(format!("`{name}`: {problem}")))
        .ok()
}

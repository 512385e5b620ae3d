//! What is kept, and what a write does to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::schema::{Kind, Schema, required, schema, unique, uniques};
use super::{Answers, Trouble};

/// A write that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// The object's name.
    pub object: String,
    /// The record's id: the product's or Stripe's.
    pub id: String,
    /// What was sent.
    pub values: Value,
}

/// A refusal: its status and Attio's word for it.
pub(super) type Refusal = (u16, &'static str);

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Seconds,
    Date,
    Broken,
    BrokenAfter,
    Limited,
}

#[derive(Debug)]
pub(super) struct State {
    trouble: Trouble,
    random: fastrand::Rng,
    schema: Schema,
    required: BTreeSet<(&'static str, &'static str)>,
    options: BTreeSet<(String, String)>,
    /// By object and unique id: the record's own id, and its values.
    pub(super) records: BTreeMap<(String, String), (String, Map<String, Value>)>,
    /// When the writes of the last second came.
    recent: VecDeque<Instant>,
    pub(super) latency: Duration,
    pub(super) tasks: Vec<Value>,
    pub(super) notes: Vec<Value>,
    /// Whether the token may not read or write notes.
    pub(super) refuses_notes: bool,
    /// Every request, whatever became of it.
    pub(super) requests: Vec<Value>,
    pub(super) writes: Vec<Write>,
    pub(super) complaints: Vec<String>,
    pub(super) answers: Answers,
}

impl State {
    pub(super) fn new(trouble: Trouble) -> Self {
        Self {
            trouble,
            random: fastrand::Rng::with_seed(trouble.seed),
            schema: schema(),
            required: required(),
            options: BTreeSet::new(),
            records: BTreeMap::new(),
            recent: VecDeque::new(),
            latency: Duration::ZERO,
            tasks: Vec::new(),
            notes: Vec::new(),
            refuses_notes: false,
            requests: Vec::new(),
            writes: Vec::new(),
            complaints: Vec::new(),
            answers: Answers::default(),
        }
    }

    pub(super) fn trouble(&mut self, trouble: Trouble) {
        self.trouble = trouble;
        self.random = fastrand::Rng::with_seed(trouble.seed);
    }

    /// What goes wrong with a request that comes now.
    pub(super) fn fault(&mut self, is_write: bool, now: Instant) -> Option<Fault> {
        if is_write {
            let second = Duration::from_secs(1);
            while self
                .recent
                .front()
                .is_some_and(|sent| now - *sent >= second)
            {
                self.recent.pop_front();
            }
            self.recent.push_back(now);
            if self.recent.len() > self.trouble.writes_per_second {
                self.answers.limited += 1;
                return Some(Fault::Limited);
            }
        }
        let mut dice = self.random.u16(..1_000);
        let faults = [
            (self.trouble.seconds, Fault::Seconds),
            (self.trouble.dates, Fault::Date),
            (self.trouble.broken, Fault::Broken),
            (self.trouble.broken_after, Fault::BrokenAfter),
        ];
        for (share, fault) in faults {
            if dice < share {
                match fault {
                    Fault::Seconds => self.answers.seconds += 1,
                    Fault::Date => self.answers.dates += 1,
                    Fault::Broken | Fault::BrokenAfter => self.answers.broken += 1,
                    Fault::Limited => {}
                }
                return Some(fault);
            }
            dice -= share;
        }
        None
    }

    pub(super) fn attributes(&self, object: &str) -> Result<Value, Refusal> {
        let attributes = self.schema.get(object).ok_or((404, "not_found"))?;
        Ok(super::schema::listed(object, attributes))
    }

    /// Asserts a record.
    pub(super) fn assert(
        &mut self,
        object: &str,
        by: &str,
        values: &Value,
    ) -> Result<Value, Refusal> {
        if by != unique(object) {
            return Err((400, "validation_type"));
        }
        let id = values.get(by).and_then(Value::as_str);
        let id = id.ok_or((400, "missing_value"))?.to_owned();
        let values = self.checked(object, values)?;
        let key = (object.to_owned(), id.clone());
        let new = !self.records.contains_key(&key);
        let mut required = self.required.iter();
        if new && required.any(|(of, name)| *of == object && values.get(*name).is_none()) {
            return Err((400, "missing_value"));
        }
        self.unique(object, &id, &values)?;
        for (name, _) in &values {
            if self.kind(object, name).is_some_and(Kind::is_list) {
                let complaint = format!("{object}.{name} would be overwritten");
                self.complaints.push(complaint);
            }
        }
        self.note(object, &id, &values);
        let next = format!("rec_{object}_{}", self.records.len());
        let (record, held) = self.records.entry(key).or_insert((next, Map::new()));
        held.extend(values);
        let record = record.clone();
        Ok(self.answer(object, &id, &record))
    }

    /// A record as it is answered.
    pub(super) fn answer(&self, object: &str, id: &str, record: &str) -> Value {
        let page = format!("https://app.attio.com/acme/{object}/{record}");
        let values = self.rendered(object, id);
        json!({ "data": { "id": { "record_id": record }, "web_url": page, "values": values } })
    }

    /// Adds to a record's lists.
    pub(super) fn append(
        &mut self,
        object: &str,
        record: &str,
        values: &Value,
    ) -> Result<Value, Refusal> {
        let values = self.checked(object, values)?;
        let mut there = self.records.iter();
        let there = there.find(|((of, _), (id, _))| of == object && id == record);
        let id = there.ok_or((404, "not_found"))?.0.1.clone();
        self.unique(object, &id, &values)?;
        self.note(object, &id, &values);
        for (name, value) in values {
            let is_list = self.kind(object, &name).is_some_and(Kind::is_list);
            let held = self.records.get_mut(&(object.to_owned(), id.clone()));
            let Some((_, held)) = held else { continue };
            match (is_list, value, held.get_mut(&name)) {
                (true, Value::Array(new), Some(Value::Array(old))) => old.extend(new),
                (_, value, _) => {
                    held.insert(name, value);
                }
            }
        }
        Ok(self.answer(object, &id, record))
    }

    pub(super) fn option(&mut self, list: &str, title: &str) -> Result<Value, Refusal> {
        self.answers.written += 1;
        let new = self.options.insert((list.to_owned(), title.to_owned()));
        let option = json!({ "data": { "title": title } });
        new.then_some(option).ok_or((409, "slug_conflict"))
    }

    pub(super) fn task(&mut self, task: &Value) -> Result<Value, Refusal> {
        let links = task.get("linked_records").and_then(Value::as_array);
        for link in links.ok_or((400, "missing_value"))? {
            self.workspace(link)?;
        }
        let missing = [
            "content",
            "format",
            "deadline_at",
            "is_completed",
            "assignees",
        ];
        if missing.iter().any(|name| task.get(*name).is_none()) {
            return Err((400, "missing_value"));
        }
        self.answers.written += 1;
        let mut kept = task.clone();
        if let Some(kept) = kept.as_object_mut() {
            let content = kept.remove("content").unwrap_or_default();
            kept.insert("content_plaintext".to_owned(), content);
        }
        self.tasks.push(kept.clone());
        Ok(json!({ "data": kept }))
    }

    /// Refuses a value that another record has and only one may have.
    ///
    /// Attio answers 400, `invalid_request_error`, `uniqueness_conflict`: "The value … provided for
    /// attribute with ID … conflicts with one already in the system." Creating "will throw on conflicts
    /// of unique attributes, like `primary_email_address`", and an assertion looks for records by its
    /// matching attribute only.
    /// <https://docs.attio.com/rest-api/endpoint-reference/users/create-a-user-record>
    fn unique(&self, object: &str, id: &str, values: &Map<String, Value>) -> Result<(), Refusal> {
        let by_id = unique(object);
        let wanted = uniques(object).iter().filter(|name| **name != by_id);
        let wanted = wanted.filter_map(|name| Some((*name, values.get(*name)?.as_str()?)));
        let wanted: Vec<_> = wanted.collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let first = (object.to_owned(), String::new());
        let others = self.records.range(first..);
        let mut others = others.take_while(|((of, _), _)| of == object);
        let taken = others.any(|((_, other), (_, held))| {
            let has = |name: &str, value: &str| {
                let held = held.get(name).and_then(Value::as_str);
                held.is_some_and(|held| held.eq_ignore_ascii_case(value))
            };
            other != id && wanted.iter().any(|(name, value)| has(name, value))
        });
        if taken {
            return Err((400, "uniqueness_conflict"));
        }
        Ok(())
    }

    /// Lets records be made without an attribute.
    pub(super) fn relax(&mut self, object: &str, attribute: &str) {
        self.required
            .retain(|required| *required != (object, attribute));
    }

    fn kind(&self, object: &str, attribute: &str) -> Option<Kind> {
        self.schema.get(object)?.get(attribute).copied()
    }

    fn note(&mut self, object: &str, id: &str, values: &Map<String, Value>) {
        self.answers.written += 1;
        self.writes.push(Write {
            object: object.to_owned(),
            id: id.to_owned(),
            values: Value::Object(values.clone()),
        });
    }

    /// The values, if Attio would take them.
    fn checked(&self, object: &str, values: &Value) -> Result<Map<String, Value>, Refusal> {
        let values = values.as_object().ok_or((400, "validation_type"))?;
        for (name, value) in values {
            if !self.schema.contains_key(object) {
                return Err((404, "not_found"));
            }
            let kind = self.kind(object, name).ok_or((400, "value_not_found"))?;
            let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
            match kind {
                Kind::Plain => {}
                Kind::Options => {
                    for item in items {
                        let title = item.as_str().ok_or((400, "validation_type"))?;
                        let known = self.options.contains(&(name.clone(), title.to_owned()));
                        known.then_some(()).ok_or((400, "value_not_found"))?;
                    }
                }
                Kind::Workspace | Kind::Workspaces => {
                    for item in items {
                        self.workspace(item)?;
                    }
                }
            }
        }
        Ok(values.clone())
    }

    /// The product's id of the workspace that a link leads to.
    fn workspace(&self, link: &Value) -> Result<String, Refusal> {
        let record = link.get("target_record_id").and_then(Value::as_str);
        let mut records = self.records.iter();
        let found = records.find(|((of, _), (id, _))| of == "workspaces" && Some(&**id) == record);
        found
            .map(|((_, id), _)| id.clone())
            .ok_or((404, "value_not_found"))
    }

    /// A record's values as Attio writes them.
    fn rendered(&self, object: &str, id: &str) -> Value {
        let held = self.records.get(&(object.to_owned(), id.to_owned()));
        let values = held.into_iter().flat_map(|(_, values)| values);
        let values = values.map(|(name, value)| {
            let rendered = |item: &Value| match self.kind(object, name) {
                Some(Kind::Options) => json!({ "option": { "title": item } }),
                Some(Kind::Workspace | Kind::Workspaces) => item.clone(),
                Some(Kind::Plain) | None => json!({ "value": item }),
            };
            let values = match value {
                Value::Array(items) => items.iter().map(rendered).collect(),
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Object(_) => vec![rendered(value)],
            };
            (name.clone(), Value::Array(values))
        });
        Value::Object(values.collect())
    }

    pub(super) fn shown(&self, object: &str, id: &str) -> Option<Value> {
        let (_, values) = self.records.get(&(object.to_owned(), id.to_owned()))?;
        let shown = values.iter().map(|(name, value)| {
            let is_link = matches!(
                self.kind(object, name),
                Some(Kind::Workspace | Kind::Workspaces)
            );
            let links = value.as_array().filter(|_| is_link);
            let links =
                links.map(|links| links.iter().filter_map(|link| self.workspace(link).ok()));
            let value = links.map_or(value.clone(), |links| links.collect::<Vec<_>>().into());
            (name.clone(), value)
        });
        Some(Value::Object(shown.collect()))
    }

    pub(super) fn count(&self, object: &str) -> usize {
        self.records.keys().filter(|(of, _)| of == object).count()
    }

    pub(super) fn add(&mut self, object: &str, id: &str, list: &str, value: &str) {
        self.options.insert((list.to_owned(), value.to_owned()));
        let held = self.records.get_mut(&(object.to_owned(), id.to_owned()));
        let Some((_, values)) = held else { return };
        let held = values.entry(list).or_insert_with(|| json!([]));
        if let Some(held) = held.as_array_mut() {
            held.push(json!(value));
        }
    }

    pub(super) fn set(&mut self, object: &str, id: &str, name: &str, value: &Value) {
        let held = self.records.get_mut(&(object.to_owned(), id.to_owned()));
        let Some((_, values)) = held else { return };
        values.insert(name.to_owned(), value.clone());
    }

    pub(super) fn remove(&mut self, object: &str, id: &str) {
        self.records.remove(&(object.to_owned(), id.to_owned()));
    }

    pub(super) fn remember(&mut self) {
        self.schema = schema();
    }

    pub(super) fn forget(&mut self, object: &str, attribute: Option<&str>) {
        match attribute {
            Some(attribute) => {
                let object = self.schema.get_mut(object);
                object.map(|attributes| attributes.remove(attribute));
            }
            None => {
                self.schema.remove(object);
            }
        }
    }
}

//! Records and tasks as Attio reads and writes them.

use std::collections::BTreeMap;

use paygraph_domain::crm::{Belongs, Field, Object, Record};
use paygraph_domain::time::Timestamp;
use paygraph_engine::crm::{Task, There};
use serde_json::{Map, Value, json};

use super::names::{WORKSPACE, attribute, id, slug};

/// Where a record says when somebody was in touch last: an attribute that the tenant may make.
const CONTACTED: &str = "/data/values/last_contacted_at/0/value";
/// How long there is for a task, in seconds.
const WEEK: i64 = 7 * 86_400;

/// A record without its lists.
pub(super) fn asserted(record: &Record, workspaces: &[String]) -> Value {
    let mut values = Map::new();
    values.insert(id(record.object).to_owned(), json!(record.id));
    for (field, value) in &record.fields {
        values.insert(attribute(field).to_owned(), value_of(value));
    }
    match record.belongs {
        Belongs::To(_) => {
            let links: Vec<_> = workspaces.iter().map(|id| link(id)).collect();
            values.insert(WORKSPACE.to_owned(), json!(links));
        }
        Belongs::Nowhere | Belongs::Among(_) => {}
    }
    json!({ "data": { "values": values } })
}

fn value_of(field: &Field) -> Value {
    match field {
        Field::Text(text) => json!(text),
        // By way of its text, since it is exact.
        Field::Number(number) => serde_json::from_str(&number.to_string()).unwrap_or_default(),
        Field::Day(day) => json!(day.to_string().split('T').next()),
    }
}

fn link(workspace: &str) -> Value {
    json!({ "target_object": slug(Object::Workspace), "target_record_id": workspace })
}

/// The record of an answer; none where there is no id.
pub(super) fn there(answer: &Value) -> Option<There> {
    let text = |place| answer.pointer(place).and_then(Value::as_str);
    Some(There {
        id: text("/data/id/record_id")?.to_owned(),
        page: text("/data/web_url").map(str::to_owned),
        contacted: text(CONTACTED).and_then(|at| Timestamp::parse(at).ok()),
    })
}

/// What lists lack, by attribute.
#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct Lacking {
    options: BTreeMap<&'static str, Vec<String>>,
    workspaces: Vec<String>,
}

impl Lacking {
    pub(super) fn is_empty(&self) -> bool {
        self.options.is_empty() && self.workspaces.is_empty()
    }

    /// Each with its list.
    pub(super) fn options(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let lists = self.options.iter();
        lists.flat_map(|(list, options)| options.iter().map(|option| (*list, option.as_str())))
    }
}

/// What the lists of a record lack that is there.
pub(super) fn lacking(record: &Record, workspaces: &[String], there: &Value) -> Lacking {
    let has = |list: &str, place: &str, wanted: &str| {
        let values = there.pointer(&format!("/data/values/{list}"));
        let mut values = values.and_then(Value::as_array).into_iter().flatten();
        values.any(|value| value.pointer(place).and_then(Value::as_str) == Some(wanted))
    };
    let mut lacking = Lacking::default();
    for (list, wanted) in &record.added {
        let list = attribute(list);
        let wanted = wanted.iter();
        let new = wanted.filter(|option| !has(list, "/option/title", option));
        let new: Vec<_> = new.cloned().collect();
        if !new.is_empty() {
            lacking.options.insert(list, new);
        }
    }
    if matches!(record.belongs, Belongs::Among(_)) {
        let wanted = workspaces.iter();
        let new = wanted.filter(|id| !has(WORKSPACE, "/target_record_id", id));
        lacking.workspaces = new.cloned().collect();
    }
    lacking
}

/// What is to be added to lists.
pub(super) fn to_add(lacking: &Lacking) -> Value {
    let mut values = Map::new();
    for (list, options) in &lacking.options {
        values.insert((*list).to_owned(), json!(options));
    }
    if !lacking.workspaces.is_empty() {
        let links: Vec<_> = lacking.workspaces.iter().map(|id| link(id)).collect();
        values.insert(WORKSPACE.to_owned(), json!(links));
    }
    json!({ "data": { "values": values } })
}

/// A task, with a week's time.
pub(super) fn task(task: &Task, content: &str) -> Value {
    json!({ "data": {
        "content": content, "format": "plaintext", "is_completed": false, "assignees": [],
        "deadline_at": task.alert.since.plus(WEEK).to_string(),
        "linked_records": [link(&task.workspace)],
    } })
}

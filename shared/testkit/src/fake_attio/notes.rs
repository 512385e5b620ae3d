//! Notes about records, and the search for records by a value.

use serde_json::{Map, Value, json};

use super::state::{Refusal, State};

impl State {
    /// The records whose attribute has a value, as `POST …/records/query` answers.
    pub(super) fn query(&self, object: &str, filter: &Value) -> Result<Value, Refusal> {
        let filter = filter.as_object().ok_or((400, "filter_error"))?;
        let matches = |values: &Map<String, Value>| {
            filter.iter().all(|(name, wanted)| {
                let (wanted, held) = (wanted.as_str(), values.get(name).and_then(Value::as_str));
                wanted
                    .zip(held)
                    .is_some_and(|(one, other)| one.eq_ignore_ascii_case(other))
            })
        };
        let found = self.records.iter();
        let found = found.filter(|((of, _), (_, values))| of == object && matches(values));
        let found = found.map(|((_, id), (record, _))| {
            let answer = self.answer(object, id, record);
            answer.get("data").cloned().unwrap_or_default()
        });
        Ok(json!({ "data": found.collect::<Vec<_>>() }))
    }

    /// Makes a note about a record.
    /// <https://docs.attio.com/rest-api/endpoint-reference/notes/create-a-note>
    pub(super) fn make_note(&mut self, note: &Value) -> Result<Value, Refusal> {
        self.may_note()?;
        let needed = [
            "parent_object",
            "parent_record_id",
            "title",
            "format",
            "content",
        ];
        if needed
            .iter()
            .any(|name| note.get(*name).and_then(Value::as_str).is_none())
        {
            return Err((400, "validation_type"));
        }
        let (object, record) = (&note["parent_object"], &note["parent_record_id"]);
        let mut there = self.records.iter();
        if !there.any(|((of, _), (id, _))| object == of && record == id) {
            return Err((404, "not_found"));
        }
        self.answers.written += 1;
        let note = json!({ "parent_object": object, "parent_record_id": record,
            "title": note["title"], "content_plaintext": note["content"] });
        self.notes.push(note.clone());
        Ok(json!({ "data": note }))
    }

    /// The notes about a record.
    pub(super) fn notes_of(&self, object: &str, record: &str) -> Result<Value, Refusal> {
        self.may_note()?;
        let about =
            |note: &&Value| note["parent_object"] == object && note["parent_record_id"] == record;
        let notes: Vec<_> = self.notes.iter().filter(about).collect();
        Ok(json!({ "data": notes }))
    }

    fn may_note(&self) -> Result<(), Refusal> {
        if self.refuses_notes {
            return Err((403, "unauthorized"));
        }
        Ok(())
    }
}

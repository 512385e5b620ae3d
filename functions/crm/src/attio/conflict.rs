//! Two users with one address.
//!
//! Attio takes an address of one user only, and requires one of each new user. It answers 400,
//! `uniqueness_conflict`, to the second. The first keeps the address. The second is written without
//! it, where Attio has that user already or the tenant has made the address optional; otherwise the
//! record of the first stands for both. A note says so in either case.
//! <https://docs.attio.com/docs/standard-objects/standard-objects-users>

use paygraph_domain::crm::{Field, Object, Record};
use paygraph_domain::text::single_line;
use paygraph_engine::crm::{CrmError, There};
use paygraph_runtime::http::{Answer, Method};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::names::{self, attribute};
use super::wire::{self, Lacking, asserted, lacking};
use super::{Account, code, taken};

/// The field that only one user may have.
const ADDRESS: &str = "email";
/// The title of every note about it.
const TITLE: &str = "E-mail address used twice";
/// The most notes of a record that are read; Attio lists no more at once.
const NOTES: usize = 50;

/// The address of a record that Attio has refused because another record has it.
pub(super) fn refused_address<'a>(record: &'a Record, answer: &Answer) -> Option<&'a str> {
    let is_conflict =
        answer.status == 400 && code(answer).as_deref() == Some("uniqueness_conflict");
    match record.fields.get(ADDRESS)? {
        Field::Text(address) if is_conflict => Some(address),
        Field::Text(_) | Field::Number(_) | Field::Day(_) => None,
    }
}

impl Account {
    /// Writes a user whose address another one has.
    ///
    /// # Errors
    /// [`CrmError`] when Attio does not take the user without the address either.
    pub(super) async fn assert_without_address(
        &self,
        record: &Record,
        address: &str,
        workspaces: &[String],
        until: Instant,
    ) -> Result<(There, Lacking), CrmError> {
        let mut without = record.clone();
        without.fields.remove(ADDRESS);
        let answer = self
            .put(&without, asserted(&without, workspaces), until)
            .await?;
        let id = single_line(&record.id);
        if answer.status == 400 && code(&answer).as_deref() == Some("missing_value") {
            let first = self.user_with(address, until).await?;
            let text = format!(
                "The product's user {id} has the same e-mail address as this user. Attio takes an \
                 address once and requires one, so this record stands for both."
            );
            self.note(&first.id, &text, until).await?;
            let first = There {
                contacted: None,
                ..first
            };
            return Ok((first, Lacking::default()));
        }
        let there = taken(&answer)?;
        let lacking = lacking(record, workspaces, &there);
        let there = wire::there(&there);
        let there = there.ok_or_else(|| CrmError::Again("Attio gave no record".to_owned()))?;
        let text = format!(
            "Another user's record has the e-mail address of the product's user {id}. Attio takes an \
             address once, so this record is written without it."
        );
        self.note(&there.id, &text, until).await?;
        Ok((there, lacking))
    }

    /// The user that has an address.
    /// <https://docs.attio.com/rest-api/endpoint-reference/records/list-records>
    async fn user_with(&self, address: &str, until: Instant) -> Result<There, CrmError> {
        let path = format!("objects/{}/records/query", names::slug(Object::User));
        let body = json!({ "filter": { (attribute(ADDRESS)): address }, "limit": 1 });
        let found = taken(&self.ask(Method::POST, &path, Some(body), until).await?)?;
        let first = found.pointer("/data/0").cloned().unwrap_or_default();
        let there = wire::there(&json!({ "data": first }));
        let gone = || CrmError::Again("Attio: the user with a refused address is gone".to_owned());
        there.ok_or_else(gone)
    }

    /// Adds a note to a user's record, unless it has that one. A token that may not write notes is no
    /// reason to hold the record up.
    /// <https://docs.attio.com/rest-api/endpoint-reference/notes/create-a-note>
    async fn note(&self, record: &str, text: &str, until: Instant) -> Result<(), CrmError> {
        match self.note_once(record, text, until).await {
            Err(CrmError::Never(reason)) => {
                tracing::warn!(
                    code = "crm_note_refused",
                    reason,
                    "A note about a user's address was refused"
                );
                Ok(())
            }
            done => done,
        }
    }

    async fn note_once(&self, record: &str, text: &str, until: Instant) -> Result<(), CrmError> {
        let object = names::slug(Object::User);
        let path = format!("notes?parent_object={object}&parent_record_id={record}&limit={NOTES}");
        let there = taken(&self.ask(Method::GET, &path, None, until).await?)?;
        let there = there
            .get("data")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let mut texts = there.filter_map(|note| note.get("content_plaintext")?.as_str());
        if texts.any(|there| there.trim() == text) {
            return Ok(());
        }
        let note = json!({ "data": { "parent_object": object, "parent_record_id": record,
            "title": TITLE, "format": "plaintext", "content": text } });
        taken(&self.ask_once(Method::POST, "notes", note, until).await?).map(|_| ())
    }
}

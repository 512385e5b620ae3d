//! All customers, those who have paid most first, by traits and segment.

use std::collections::{BTreeMap, HashMap};

use lambda_http::{Body, Response};
use paygraph_domain::contact::Contact;
use paygraph_domain::id::TenantId;
use paygraph_domain::time::Timestamp;
use paygraph_engine::ports::Store as _;
use paygraph_store::DynamoStore;
use paygraph_store::listing::List;
use paygraph_store::read::{Cursor, MAX_PAGE};
use serde_json::{Value, json};

use crate::answer::{ApiError, ok};
use crate::customer::{Part, records};

/// The most contacts that are read for one answer. An answer with a filter may have fewer entries
/// than it could, and a cursor that goes on.
const MAX_READ: usize = 500;

/// Who is looked for.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// In this segment.
    segment: Option<String>,
    /// With these traits.
    traits: BTreeMap<String, String>,
    /// Which part of them.
    part: Part,
}

impl Search {
    /// Reads the parameters of `GET /api/customers`.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] for a parameter or order that there is not.
    pub fn read<'a>(
        parameters: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, ApiError> {
        let mut search = Self::default();
        let mut sort = None;
        for (name, value) in parameters {
            let value = value.to_owned();
            let before = match (name, name.strip_prefix("trait.")) {
                (_, Some(name)) if !name.is_empty() => search.traits.insert(name.to_owned(), value),
                ("sort", _) => sort.replace(value),
                ("segment", _) => search.segment.replace(value),
                ("limit", _) => search.part.limit.replace(value),
                ("cursor", _) => search.part.cursor.replace(value),
                _ => {
                    return Err(ApiError::Invalid(format!(
                        "there is no parameter {name:?}; there are sort, trait.<name>, segment, \
                         limit and cursor"
                    )));
                }
            };
            if before.is_some() {
                return Err(ApiError::Invalid(format!("{name} is given twice")));
            }
        }
        match sort.as_deref() {
            None | Some("lifetime_value") => Ok(search),
            Some(other) => Err(ApiError::Invalid(format!(
                "customers cannot be sorted by {other:?}, only by lifetime_value"
            ))),
        }
    }

    fn wants(&self, contact: &Contact) -> bool {
        let segments = &contact.told.segments;
        let traits = contact.traits();
        let has = |(name, wanted): (&String, &String)| {
            traits.get(name).is_some_and(|value| is(value, wanted))
        };
        let inside = |segment: &String| segments.contains(segment);
        self.segment.as_ref().is_none_or(inside) && self.traits.iter().all(has)
    }

    fn has_filter(&self) -> bool {
        self.segment.is_some() || !self.traits.is_empty()
    }

    /// `GET /api/customers`.
    pub async fn answer(
        &self,
        store: &DynamoStore,
        tenant: &TenantId,
        now: Timestamp,
    ) -> Result<Response<Body>, ApiError> {
        let settings = store.settings(tenant).await?;
        if let Some(name) = &self.segment
            && settings.segments.get(name).is_none()
        {
            return Err(ApiError::Invalid(format!("there is no segment {name:?}")));
        }
        let (limit, cursor) = self.part.read_in(List::Customers)?;
        let (found, next) = self.find(store, tenant, cursor, limit).await?;
        ok(&json!({
            "data": records(store, tenant, &found, now).await?,
            "next_cursor": next.map(|cursor| cursor.encode()),
        }))
    }

    /// Reads on until the page is full, the list is at its end, or enough was read.
    async fn find(
        &self,
        store: &DynamoStore,
        tenant: &TenantId,
        mut cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<(Vec<Contact>, Option<Cursor>), ApiError> {
        let at_once = if self.has_filter() { MAX_PAGE } else { limit };
        let (mut found, mut read) = (Vec::new(), 0);
        loop {
            let page = store.by_worth(tenant, cursor.as_ref(), at_once).await?;
            read += page.entries.len();
            let ids: Vec<_> = page
                .entries
                .iter()
                .map(|listed| listed.id.clone())
                .collect();
            let contacts = store.contacts(tenant, &ids).await?.into_iter();
            let mut contacts: HashMap<_, _> = contacts
                .map(|contact| (contact.id.clone(), contact))
                .collect();
            let last = page.entries.last().map(|last| last.cursor.clone());
            for listed in page.entries {
                let contact = contacts.remove(&listed.id);
                found.extend(contact.filter(|contact| self.wants(contact)));
                if found.len() == limit {
                    let at_end = page.next.is_none() && Some(&listed.cursor) == last.as_ref();
                    return Ok((found, (!at_end).then_some(listed.cursor)));
                }
            }
            cursor = page.next;
            if cursor.is_none() || read >= MAX_READ {
                return Ok((found, cursor));
            }
        }
    }
}

/// Whether a trait has the value that a parameter gives as text.
fn is(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Bool(held) => wanted.parse() == Ok(*held),
        Value::Number(number) => {
            let whole = number.as_i64();
            match (whole, wanted.parse::<i64>()) {
                (Some(whole), Ok(wanted)) => whole == wanted,
                _ => number
                    .as_f64()
                    .is_some_and(|number| wanted.parse() == Ok(number)),
            }
        }
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &[(&str, &str)]) -> Result<Search, ApiError> {
        Search::read(query.iter().copied())
    }

    #[test]
    fn what_there_is_not_is_refused() {
        for (query, word) in [
            (&[("sort", "mrr")][..], "only by lifetime_value"),
            (&[("order", "asc")], "there is no parameter \"order\""),
            (&[("trait.", "x")], "there is no parameter \"trait.\""),
            (
                &[("trait.a", "x"), ("trait.a", "y")],
                "trait.a is given twice",
            ),
        ] {
            let refused = read(query).unwrap_err();
            assert!(matches!(refused, ApiError::Invalid(_)));
            assert!(refused.to_string().contains(word), "{refused}");
        }
        assert!(read(&[("sort", "lifetime_value"), ("limit", "5")]).is_ok());
    }

    #[test]
    fn traits_are_compared_by_what_they_are() {
        for (value, wanted, same) in [
            (json!("ads"), "ads", true),
            (json!("ads"), "Ads", false),
            (json!(9), "9", true),
            (json!(9), "9.0", true),
            (json!(9.5), "9.5", true),
            (json!(true), "true", true),
            (json!(true), "1", false),
            (json!(null), "null", false),
        ] {
            assert_eq!(is(&value, wanted), same, "{value} {wanted}");
        }
        let mut contact = Contact::new(paygraph_domain::id::CustomerId::parse("a").unwrap());
        contact.told.segments.insert("churned".to_owned());
        assert!(read(&[("segment", "churned")]).unwrap().wants(&contact));
        assert!(!read(&[("segment", "tier_pro")]).unwrap().wants(&contact));
        assert!(!read(&[("trait.channel", "ads")]).unwrap().wants(&contact));
    }
}

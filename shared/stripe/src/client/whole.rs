//! An object with all of its lists: Stripe cuts a list inside an object at ten.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Client, ClientError, List, Received};

/// The most pages of one list that are read: an invoice has at most 250 lines, a subscription 20
/// items.
const MAX_PAGES: usize = 10;

impl Client {
    /// One object by its path, with every list in it whole.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::Missing`] when there is none.
    pub async fn whole(
        &self,
        path: &str,
        expand: &[&str],
    ) -> Result<Received<String>, ClientError> {
        let received = self.get(path, expand).await?;
        self.complete(received).await
    }

    /// The same of an object that was received already.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn complete(
        &self,
        received: Received<Box<RawValue>>,
    ) -> Result<Received<String>, ClientError> {
        let text = received.value.get();
        // Most objects have no cut list, and are passed on as they came.
        if !text.contains("\"has_more\": true") && !text.contains("\"has_more\":true") {
            return Ok(received.map(|object| object.get().to_owned()));
        }
        let mut object: Value = serde_json::from_str(text).unwrap_or_default();
        let (mut since, mut until) = (received.since, received.until);
        let request_id = received.request_id;
        let fields = object.as_object_mut().into_iter().flatten();
        for (_, list) in fields.filter(|(_, value)| value["has_more"] == json!(true)) {
            for _ in 0..MAX_PAGES {
                let (Some(url), Some(data)) = (list["url"].as_str(), list["data"].as_array())
                else {
                    break;
                };
                let last = data.last().and_then(|last| last["id"].as_str());
                let page = self.rest(url, last).await?;
                since = since.min(page.since);
                until = until.max(page.until);
                let more = page.value.has_more;
                let rest = page.value.data.iter();
                let rest = rest.filter_map(|object| serde_json::from_str(object.get()).ok());
                let rest: Vec<Value> = rest.collect();
                if let Some(data) = list["data"].as_array_mut() {
                    data.extend(rest);
                }
                list["has_more"] = json!(more);
                if !more {
                    break;
                }
            }
        }
        Ok(Received {
            value: object.to_string(),
            since,
            until,
            request_id,
        })
    }

    /// The page of a nested list after an element. The list's own address may have a question in
    /// it: `/v1/subscription_items?subscription=sub_1`.
    async fn rest(
        &self,
        url: &str,
        last: Option<&str>,
    ) -> Result<Received<super::Page>, ClientError> {
        let (path, question) = url.split_once('?').unwrap_or((url, ""));
        let path = path.strip_prefix("/v1").unwrap_or(path);
        let subscription = question.strip_prefix("subscription=");
        let list = List {
            limit: 100,
            starting_after: last,
            subscription,
            ..List::default()
        };
        self.page(path, &list).await
    }
}

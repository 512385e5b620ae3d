//! Events as Stripe has them, of the last 30 days.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use paygraph_domain::id::{Cause, path_segment};
use paygraph_stripe::client::{ClientError, Created, List};
use paygraph_stripe::event::StripeEvent;
use paygraph_stripe::ingest::read_from_stripe;
use serde_json::json;
use serde_json::value::RawValue;

use super::{Replay, queue};
use crate::progress::Progress;
use crate::stack::{Stack, now};

/// How long Stripe keeps events, in seconds.
const KEPT: i64 = 30 * 86_400;
/// The most types that one list takes.
const MAX_TYPES: usize = 20;
/// How many events a page has.
const PAGE: u8 = 100;

impl Replay {
    /// One event.
    pub(super) async fn one_from_stripe(
        &self,
        stack: &Stack,
        id: &Cause,
    ) -> anyhow::Result<ExitCode> {
        let client = stack.stripe(&self.which.tenant).await?;
        let event = match client
            .get(&format!("/events/{}", path_segment(id.as_str())), &[])
            .await
        {
            Ok(event) => event.value,
            Err(ClientError::Missing(_)) => {
                bail!(
                    "{id} is no dead letter, and Stripe does not have it: it keeps events for 30 days"
                )
            }
            Err(error) => return Err(error.into()),
        };
        self.put(stack, &event).await?;
        self.told(&[id.to_string()]);
        Ok(ExitCode::SUCCESS)
    }

    /// All events of some types.
    pub(super) async fn of_types(&self, stack: &Stack) -> anyhow::Result<ExitCode> {
        if self.types.len() > MAX_TYPES {
            bail!("Stripe takes at most {MAX_TYPES} types at once");
        }
        let client = stack.stripe(&self.which.tenant).await?;
        let types: Vec<&str> = self.types.iter().map(String::as_str).collect();
        let earliest = now().plus(-KEPT);
        let from = self.since.unwrap_or(earliest).max(earliest);
        let before = now().plus(1);
        let progress = Progress::spinner("Reading Stripe's events …");
        let (mut ids, mut after) = (Vec::new(), None::<String>);
        loop {
            let list = List {
                limit: PAGE,
                starting_after: after.as_deref(),
                created: Some(Created::between(from, before)),
                types: &types,
                ..List::default()
            };
            let page = client.page("/events", &list).await?.value;
            for event in &page.data {
                ids.push(self.put(stack, event).await?);
                let read = format!("Reading Stripe's events: {}", ids.len());
                progress.as_bar().set_message(read);
            }
            after = ids.last().cloned();
            if !page.has_more || after.is_none() {
                break;
            }
        }
        drop(progress);
        self.told(&ids);
        Ok(ExitCode::SUCCESS)
    }

    /// Puts an event into the ingest queue, unless it is only looked at. Gives its id.
    async fn put(&self, stack: &Stack, event: &RawValue) -> anyhow::Result<String> {
        if self.list {
            let event = StripeEvent::parse(event.get()).context("Stripe's answer is no event")?;
            return Ok(event.id.to_string());
        }
        let (id, body) = read_from_stripe(&self.which.tenant, event, now())
            .context("Stripe's answer is no event")?;
        queue(stack).send(&body, 0).await?;
        Ok(id.to_string())
    }

    fn told(&self, ids: &[String]) {
        if self.json {
            let name = if self.list { "events" } else { "replayed" };
            println!("{}", json!({ name: ids }));
            return;
        }
        let done = if self.list { "left" } else { "replayed" };
        for id in ids {
            println!("{done:>8}  {id}");
        }
        if ids.is_empty() {
            println!("Stripe has no such events.");
        }
    }
}

//! Asks Stripe for what no event can tell.

use std::time::Duration;

use paygraph_domain::account::Account;
use paygraph_domain::fact::Fact;
use paygraph_domain::rollup::Context;
use paygraph_domain::totals::Totals;
use paygraph_stripe::decode::{fetched as fetched_fact, listed};
use paygraph_stripe::event::ObjectError;
use serde_json::value::RawValue;

use super::table::Table;
use super::{Engine, Origin};
use crate::fetch::{Fetch, Fetched, LONGEST_FETCH, Wanted, wanted};
use crate::ports::{Clock, Store, StoreError};

/// How often an object is asked for until its answer is later than every event.
const FETCHES: usize = 3;
/// How long to wait between two of them: until another of Stripe's seconds.
const BETWEEN_FETCHES: Duration = Duration::from_millis(1_200);

impl<S: Store, C: Clock, F: Fetch> Engine<S, C, F> {
    /// Asks Stripe who a customer is that no event has shown yet: by its address and metadata its
    /// contact is found.
    async fn first_sight(
        &self,
        origin: &Origin<'_>,
        fact: &Fact,
    ) -> Result<Option<Fact>, StoreError> {
        // Accounts and guests have no customer object to ask for.
        let customer = fact.customer.as_ref();
        let Some(customer) = customer.filter(|id| !id.is_account() && !id.is_guest()) else {
            return Ok(None);
        };
        let wanted = Wanted::Customer(customer.clone());
        let fetched = self.ask(origin, &wanted).await?;
        Ok(fetched.and_then(|fetched| readable(&wanted, &fetched, fact)))
    }

    /// Asks Stripe, if the message has time for it: else what is wanted stays marked.
    pub(super) async fn ask(
        &self,
        origin: &Origin<'_>,
        wanted: &Wanted,
    ) -> Result<Option<Fetched>, StoreError> {
        if !origin.deadline.has_time_for(LONGEST_FETCH) {
            tracing::warn!(
                code = "no_time_to_fetch",
                "Stripe is not asked: the message's time is nearly over"
            );
            return Ok(None);
        }
        self.fetch.fetch(origin.tenant, wanted).await
    }

    /// Asks Stripe for what no event can tell, and applies the answer.
    pub(super) async fn complete(
        &self,
        origin: &Origin<'_>,
        fact: &Fact,
        account: &mut Account,
        totals: &mut Totals,
        table: &mut Table,
        context: Context<'_>,
    ) -> Result<(), StoreError> {
        // Who reads lists of everything meets the customer itself, too.
        if account.customer.is_none()
            && origin.is_message
            && let Some(seen) = self.first_sight(origin, fact).await?
        {
            table.apply(account, totals, &seen, context);
        }
        for attempt in 0..FETCHES {
            let Some(wanted) = wanted(account, fact, context, attempt == 0) else {
                return Ok(());
            };
            if attempt > 0 {
                // The answer was from the second of an event: a later one tells.
                tokio::time::sleep(BETWEEN_FETCHES).await;
            }
            let Some(fetched) = self.ask(origin, &wanted).await? else {
                return Ok(());
            };
            match readable(&wanted, &fetched, fact) {
                Some(asked) if asked.body.id() == fact.body.id() => {
                    table.apply(account, totals, &asked, context);
                }
                Some(_) | None => return Ok(()),
            }
        }
        Ok(())
    }
}

/// A fetched object as a fact; none when it cannot be read.
pub(super) fn readable(wanted: &Wanted, fetched: &Fetched, because: &Fact) -> Option<Fact> {
    let interval = (fetched.since, fetched.until);
    let read = fetched_fact(wanted.event_prefix(), &fetched.object, because, interval);
    told(wanted, read)
}

/// A fetched entry of the catalog as a fact; none when it cannot be read.
pub(super) fn readable_entry(
    wanted: &Wanted,
    fetched: &Fetched,
    origin: &Origin<'_>,
) -> Option<Fact> {
    let interval = (fetched.since, fetched.until);
    let object: Result<&RawValue, _> = serde_json::from_str(&fetched.object);
    let read = object.map_err(ObjectError::from).and_then(|object| {
        let prefix = wanted.event_prefix();
        listed(prefix, object, &origin.cause, origin.source, interval)
    });
    told(wanted, read)
}

fn told(wanted: &Wanted, read: Result<Option<Fact>, ObjectError>) -> Option<Fact> {
    match read {
        Ok(fact) => fact.map(|fact| wanted.told(fact)),
        Err(error) => {
            tracing::warn!(code = "unreadable_object", error = %error, "A fetched object could not be read");
            None
        }
    }
}

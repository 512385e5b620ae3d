//! A customer: who it is, what it has, what it pays, what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lambda_http::{Body, Response};
use paygraph_domain::account::{Account, Catalog, CatalogKey};
use paygraph_domain::contact::{Contact, Profile};
use paygraph_domain::id::{Cause, CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::pattern::payment_pattern;
use paygraph_domain::rollup::{Context, catalog_keys};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_domain::view::{self, MrrView, SubscriptionMrrView, SubscriptionView};
use paygraph_engine::Deadline;
use paygraph_engine::ports::{AuditEntry, Store};
use paygraph_engine::profile::put_profile;
use paygraph_store::DynamoStore;
use paygraph_store::read::{Cursor, MAX_PAGE};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::{ApiError, ok};

/// How many entries a page has unless it is asked for more or fewer.
const PAGE: usize = 20;
/// How long a put may take.
const PUT_TIME: Duration = Duration::from_secs(10);
/// The most characters of a name or address.
const MAX_TEXT: usize = 500;
/// The most traits of a contact.
const MAX_TRAITS: usize = 50;

/// A question about one customer of a tenant.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Where everything is kept.
    pub store: &'a DynamoStore,
    /// Whose it is.
    pub tenant: &'a TenantId,
    /// Our id, or a Stripe customer's.
    pub id: &'a str,
    /// Now.
    pub now: Timestamp,
}

/// Which part of a list.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// At most so many.
    pub limit: Option<String>,
    /// After this place.
    pub cursor: Option<String>,
}

impl Part {
    fn read(&self) -> Result<(usize, Option<Cursor>), ApiError> {
        let limit = match self.limit.as_deref() {
            None => PAGE,
            Some(text) => text
                .parse()
                .ok()
                .filter(|n| (1..=MAX_PAGE).contains(n))
                .ok_or_else(|| {
                    ApiError::Invalid(format!("limit must be a number from 1 to {MAX_PAGE}"))
                })?,
        };
        let cursor = match self.cursor.as_deref() {
            None => None,
            Some(text) => Some(
                Cursor::decode(text)
                    .ok_or_else(|| ApiError::Invalid("cursor is not one of ours".to_owned()))?,
            ),
        };
        Ok((limit, cursor))
    }
}

impl Ask<'_> {
    /// The contact, found by our id or by a Stripe customer's.
    async fn contact(&self) -> Result<Contact, ApiError> {
        let missing = || ApiError::NotFound(self.id.to_owned());
        let id = CustomerId::parse(self.id).map_err(|_| missing())?;
        let linked = match StripeCustomerId::parse(self.id) {
            Ok(customer) if self.id.starts_with("cus_") => {
                self.store.contact_of(self.tenant, &customer).await?
            }
            Ok(_) | Err(_) => None,
        };
        let id = linked.unwrap_or(id);
        self.store
            .contact(self.tenant, &id)
            .await?
            .ok_or_else(missing)
    }

    async fn settings(&self) -> Result<Arc<Settings>, ApiError> {
        Ok(self.store.settings(self.tenant).await?)
    }

    /// The record.
    pub async fn record(&self) -> Result<Response<Body>, ApiError> {
        let contact = self.contact().await?;
        let settings = self.settings().await?;
        let catalog = self.plan_names(&contact).await?;
        ok(&view::customer(&contact, &settings, &catalog, self.now))
    }

    /// The products of the plans, whose names are shown as they are now.
    async fn plan_names(&self, contact: &Contact) -> Result<Catalog, ApiError> {
        let plans = contact
            .accounts
            .values()
            .flat_map(|r| [r.plan.as_ref(), r.lifetime.as_ref()]);
        let products = plans.flatten().filter_map(|plan| plan.product.clone());
        let keys: BTreeSet<_> = products.map(CatalogKey::Product).collect();
        Ok(if keys.is_empty() {
            Catalog::default()
        } else {
            self.store.catalog(self.tenant, &keys).await?
        })
    }

    /// Every subscription, over all Stripe customers.
    async fn all_subscriptions(&self) -> Result<(Contact, Vec<SubscriptionView>), ApiError> {
        let contact = self.contact().await?;
        let settings = self.settings().await?;
        let mut shown = Vec::new();
        for (customer, rollup) in &contact.accounts {
            let account: Account = self.store.account(self.tenant, customer, None).await?;
            let keys = catalog_keys(&account, &rollup.totals);
            let catalog = self.store.catalog(self.tenant, &keys).await?;
            let now = contact.evaluated_at;
            let context = Context {
                settings: &settings,
                catalog: &catalog,
                now,
            };
            for stored in account.subscriptions.values() {
                shown.push(view::subscription(
                    customer,
                    &stored.value,
                    &account,
                    context,
                ));
            }
        }
        shown.sort_by(|a, b| (b.start_date, &a.id).cmp(&(a.start_date, &b.id)));
        Ok((contact, shown))
    }

    /// The subscriptions, newest first.
    pub async fn subscriptions(&self) -> Result<Response<Body>, ApiError> {
        let (_, shown) = self.all_subscriptions().await?;
        ok(&json!({ "data": shown }))
    }

    /// The MRR with each subscription's part.
    pub async fn mrr(&self) -> Result<Response<Body>, ApiError> {
        let (contact, shown) = self.all_subscriptions().await?;
        let billing = contact.billing(&*self.settings().await?);
        let part = |s: SubscriptionView| SubscriptionMrrView {
            id: s.id,
            mrr: s.mrr,
        };
        let subscriptions = shown.into_iter().map(part).collect();
        ok(&MrrView {
            mrr: billing.mrr,
            arr: billing.arr,
            subscriptions,
        })
    }

    /// The invoices, newest first.
    pub async fn invoices(&self, part: &Part) -> Result<Response<Body>, ApiError> {
        let (limit, cursor) = part.read()?;
        let contact = self.contact().await?;
        let customers: Vec<_> = contact.accounts.keys().cloned().collect();
        let page = self
            .store
            .invoices(self.tenant, &customers, cursor.as_ref(), limit)
            .await?;
        let shown = page.entries.iter().map(|(customer, state)| {
            let rollup = contact.accounts.get(customer);
            view::invoice(customer, state, rollup.map(|rollup| &rollup.totals))
        });
        let shown: Vec<_> = shown.collect();
        let newest = match cursor {
            None if limit >= MAX_PAGE || page.next.is_none() => page.entries,
            _ => {
                let all = self.store.invoices(self.tenant, &customers, None, MAX_PAGE);
                all.await?.entries
            }
        };
        let pattern = payment_pattern(newest.iter().map(|(_, state)| state.as_ref()), self.now);
        ok(&json!({
            "data": shown,
            "next_cursor": page.next.map(|cursor| cursor.encode()),
            "payment_pattern": pattern,
        }))
    }

    /// What changed, newest first.
    pub async fn audit(&self, part: &Part) -> Result<Response<Body>, ApiError> {
        let (limit, cursor) = part.read()?;
        let contact = self.contact().await?;
        let customers: Vec<_> = contact.accounts.keys().cloned().collect();
        let after = cursor.as_ref();
        let page = self
            .store
            .audit(self.tenant, &contact.id, &customers, after, limit)
            .await?;
        let shown: Vec<_> = page.entries.iter().map(audit_view).collect();
        ok(&json!({ "data": shown, "next_cursor": page.next.map(|cursor| cursor.encode()) }))
    }

    /// Merges the given fields into the contact, or makes it.
    pub async fn put(
        &self,
        body: &[u8],
        request_id: &str,
        clock: impl Fn() -> i64 + Sync,
    ) -> Result<Response<Body>, ApiError> {
        let id =
            CustomerId::parse(self.id).map_err(|error| ApiError::Invalid(error.to_string()))?;
        let profile = Given::read(body)?;
        let cause = Cause::parse(format!("api:{request_id}"))
            .map_err(|error| ApiError::Invalid(error.to_string()))?;
        let deadline = Deadline::after(PUT_TIME);
        put_profile(
            self.store,
            &clock,
            self.tenant,
            &id,
            &profile,
            cause,
            deadline,
        )
        .await?;
        self.record().await
    }
}

fn audit_view(entry: &AuditEntry) -> Value {
    json!({
        "at": entry.at.to_string(),
        "source": entry.source,
        "cause": entry.cause,
        "changes": entry.changes,
    })
}

/// The body of a put.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    name: Option<String>,
    email: Option<String>,
    company: Option<String>,
    #[serde(default)]
    traits: BTreeMap<String, Value>,
}

impl Given {
    fn read(body: &[u8]) -> Result<Profile, ApiError> {
        let given: Self = serde_json::from_slice(body)
            .map_err(|error| ApiError::Invalid(format!("the body is not a customer: {error}")))?;
        for (field, text) in [
            ("name", &given.name),
            ("email", &given.email),
            ("company", &given.company),
        ] {
            if text
                .as_ref()
                .is_some_and(|text| text.chars().count() > MAX_TEXT)
            {
                return Err(ApiError::Invalid(format!(
                    "{field} has more than {MAX_TEXT} characters"
                )));
            }
        }
        check_traits(&given.traits)?;
        if given
            .email
            .as_ref()
            .is_some_and(|email| !email.contains('@'))
        {
            return Err(ApiError::Invalid("email has no @".to_owned()));
        }
        Ok(Profile {
            name: given.name,
            email: given.email,
            company: given.company,
            traits: given.traits,
        })
    }
}

fn check_traits(traits: &BTreeMap<String, Value>) -> Result<(), ApiError> {
    if traits.len() > MAX_TRAITS {
        let problem = format!("there are more than {MAX_TRAITS} traits");
        return Err(ApiError::Invalid(problem));
    }
    for (name, value) in traits {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if !(1..=64).contains(&name.len()) || !name.bytes().all(plain) {
            return Err(ApiError::Invalid(format!(
                "trait {name:?}: a name has 1 to 64 letters, digits and _"
            )));
        }
        let fits = match value {
            Value::String(text) => text.chars().count() <= MAX_TEXT,
            Value::Null | Value::Bool(_) | Value::Number(_) => true,
            Value::Array(_) | Value::Object(_) => false,
        };
        if !fits {
            return Err(ApiError::Invalid(format!(
                "trait {name:?} must be a text of at most {MAX_TEXT} characters, a number, true, \
                 false, or null to remove it"
            )));
        }
    }
    Ok(())
}

/// The instant of a request, for answers that tell it.
#[must_use]
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds).unwrap_or_default()
}

//! A customer: who it is, what it has, what it pays, what changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use lambda_http::{Body, Response};
use paygraph_domain::account::{Account, Catalog, CatalogKey};
use paygraph_domain::contact::Contact;
use paygraph_domain::id::{CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::pattern::payment_pattern;
use paygraph_domain::rollup::{Context, catalog_keys};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_domain::view::{self, CustomerView, MrrView, SubscriptionMrrView, SubscriptionView};
use paygraph_engine::ports::{AuditEntry, Store};
use paygraph_store::DynamoStore;
use paygraph_store::listing::List;
use paygraph_store::read::{Cursor, MAX_PAGE};
use serde_json::{Value, json};

use crate::answer::{ApiError, ok};

/// How many entries a page has unless it is asked for more or fewer.
const PAGE: usize = 20;

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
    pub(crate) fn read(&self) -> Result<(usize, Option<Cursor>), ApiError> {
        self.read_with(Cursor::decode)
    }

    /// Reads it for a list with cursors of its own.
    pub(crate) fn read_in(&self, list: List) -> Result<(usize, Option<Cursor>), ApiError> {
        self.read_with(|text| list.cursor(text))
    }

    fn read_with(
        &self,
        cursor: impl Fn(&str) -> Option<Cursor>,
    ) -> Result<(usize, Option<Cursor>), ApiError> {
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
                cursor(text)
                    .ok_or_else(|| ApiError::Invalid("cursor is not one of ours".to_owned()))?,
            ),
        };
        Ok((limit, cursor))
    }
}

impl Ask<'_> {
    /// The contact, found by our id or by a Stripe customer's.
    pub(crate) async fn contact(&self) -> Result<Contact, ApiError> {
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
        let contacts = std::slice::from_ref(&contact);
        ok(&records(self.store, self.tenant, contacts, self.now)
            .await?
            .pop())
    }

    /// Every subscription, over all Stripe customers.
    async fn all_subscriptions(&self) -> Result<(Contact, Vec<SubscriptionView>), ApiError> {
        let contact = self.contact().await?;
        let settings = self.settings().await?;
        let mut shown = Vec::new();
        for (customer, rollup) in &contact.accounts {
            let account: Account = self.store.account(self.tenant, customer).await?;
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
}

/// The records of contacts, as they stand now.
pub(crate) async fn records(
    store: &DynamoStore,
    tenant: &TenantId,
    contacts: &[Contact],
    now: Timestamp,
) -> Result<Vec<CustomerView>, ApiError> {
    let settings = store.settings(tenant).await?;
    let catalog = plan_names(store, tenant, contacts).await?;
    let show = |contact| view::customer(contact, &settings, &catalog, now);
    Ok(contacts.iter().map(show).collect())
}

/// The products of the plans, whose names are shown as they are now.
async fn plan_names(
    store: &DynamoStore,
    tenant: &TenantId,
    contacts: &[Contact],
) -> Result<Catalog, ApiError> {
    let rollups = contacts
        .iter()
        .flat_map(|contact| contact.accounts.values());
    let plans = rollups.flat_map(|r| [r.plan.as_ref(), r.lifetime.as_ref()]);
    let products = plans.flatten().filter_map(|plan| plan.product.clone());
    let keys: BTreeSet<_> = products.map(CatalogKey::Product).collect();
    Ok(if keys.is_empty() {
        Catalog::default()
    } else {
        store.catalog(tenant, &keys).await?
    })
}

fn audit_view(entry: &AuditEntry) -> Value {
    json!({
        "at": entry.at.to_string(),
        "source": entry.source,
        "cause": entry.cause,
        "changes": entry.changes,
    })
}

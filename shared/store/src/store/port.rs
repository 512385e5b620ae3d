//! The engine's store over the table.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use paygraph_domain::account::{
    Account, Catalog, CatalogEntry, CatalogKey, Object, ObjectKey, Stored,
};
use paygraph_domain::contact::Contact;
use paygraph_domain::fact::Link;
use paygraph_domain::id::{Cause, CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::identity::Name;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::ports::{
    Beside, Commit, CommitError, Due, IndexPage, LedgerEntry, MAX_CANDIDATES, ParkReason, Parked,
    Store, StoreError,
};

use super::index::Shard;
use super::{DynamoStore, call_failed, if_met};
use crate::commit::{LEDGER_SECONDS, check, refused, writes};
use crate::item::{Item, doc, get_number, get_text, keyed, number, text, with_doc};
use crate::key;

impl Store for DynamoStore {
    async fn settings(&self, tenant: &TenantId) -> Result<Arc<Settings>, StoreError> {
        if let Some(settings) = self.settings.get(tenant) {
            return Ok(settings);
        }
        let settings = match self.get(key::tenant(tenant), key::SETTINGS).await? {
            Some(item) => Arc::new(doc(&item)?),
            None => Arc::clone(&self.default_settings),
        };
        self.settings.put(tenant.clone(), Arc::clone(&settings));
        Ok(settings)
    }

    async fn contact_of(
        &self,
        tenant: &TenantId,
        customer: &StripeCustomerId,
    ) -> Result<Option<CustomerId>, StoreError> {
        let item = self
            .get(key::stripe_link(tenant, customer), key::LINK)
            .await?;
        let contact = item.as_ref().and_then(|item| get_text(item, "contact"));
        Ok(contact.and_then(|id| CustomerId::parse(id).ok()))
    }

    async fn customer_by(
        &self,
        tenant: &TenantId,
        link: &Link,
    ) -> Result<Option<StripeCustomerId>, StoreError> {
        let item = self.get(key::link(tenant, link), key::LINK).await?;
        let customer = item.as_ref().and_then(|item| get_text(item, "customer"));
        Ok(customer.and_then(|id| StripeCustomerId::parse(id).ok()))
    }

    async fn named(&self, tenant: &TenantId, name: &Name) -> Result<Vec<CustomerId>, StoreError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(key::name(tenant, name)))
            .limit(i32::try_from(MAX_CANDIDATES).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| call_failed("looking for a name", error))?;
        let contact = |item: &Item| {
            let (_, id) = get_text(item, "sk")?.split_once('#')?;
            CustomerId::parse(id).ok()
        };
        Ok(answer.items().iter().filter_map(contact).collect())
    }

    async fn contact(
        &self,
        tenant: &TenantId,
        id: &CustomerId,
    ) -> Result<Option<Contact>, StoreError> {
        let item = self.get(key::contact(tenant, id), key::CONTACT).await?;
        item.as_ref().map(doc).transpose()
    }

    async fn account(
        &self,
        tenant: &TenantId,
        customer: &StripeCustomerId,
    ) -> Result<Account, StoreError> {
        let mut account = Account::default();
        let items = self
            .query(key::stripe(tenant, customer), key::STATE)
            .await?;
        for item in items {
            // An older version leaves the kinds of a newer one where they are.
            let sort = get_text(&item, "sk").unwrap_or_default();
            if !key::STATE_KINDS.iter().any(|kind| sort.starts_with(kind)) {
                continue;
            }
            let object: Object = doc(&item)?;
            if let Some(object_key) = object.working_set_key() {
                account.insert(object_key, get_number(&item, "rev"), object);
            }
        }
        Ok(account)
    }

    async fn beside(
        &self,
        tenant: &TenantId,
        customer: &StripeCustomerId,
        keys: &BTreeSet<ObjectKey>,
    ) -> Result<Beside, StoreError> {
        let pk = key::stripe(tenant, customer);
        let by_sort: BTreeMap<_, _> = keys.iter().map(|key| (key.sort_key(), key)).collect();
        let items = match by_sort.keys().collect::<Vec<_>>().as_slice() {
            [only] => self.get(pk, only.as_str()).await?.into_iter().collect(),
            several => {
                let keys = several.iter();
                let keys = keys.map(|sort| keyed(pk.clone(), sort.as_str()));
                self.batch_get(keys.collect(), "reading objects").await?
            }
        };
        let mut beside = Beside::new();
        for item in items {
            if let Some(key) = get_text(&item, "sk").and_then(|sort| by_sort.get(sort)) {
                beside.insert((*key).clone(), (get_number(&item, "rev"), doc(&item)?));
            }
        }
        Ok(beside)
    }

    async fn catalog(
        &self,
        tenant: &TenantId,
        keys: &BTreeSet<CatalogKey>,
    ) -> Result<Catalog, StoreError> {
        let mut catalog = Catalog::default();
        let mut missing = Vec::new();
        for wanted in keys {
            match self.entries.get(&(tenant.clone(), wanted.clone())) {
                Some(entry) => catalog.insert(&entry),
                None => missing.push(wanted),
            }
        }
        let by_sort: HashMap<_, _> = missing.into_iter().map(|k| (k.sort_key(), k)).collect();
        let keys = by_sort.keys();
        let keys = keys.map(|sort| keyed(key::catalog(tenant), sort.as_str()));
        for item in self
            .batch_get(keys.collect(), "reading the catalog")
            .await?
        {
            let entry: CatalogEntry = doc(&item)?;
            catalog.insert(&entry);
            let found = get_text(&item, "sk").and_then(|sort| by_sort.get(sort));
            // An entry that is not complete yet may be so at any moment: its next reader reads anew.
            if let Some(found) = found.filter(|found| !catalog.lacks(found)) {
                self.entries.put((tenant.clone(), (*found).clone()), entry);
            }
        }
        Ok(catalog)
    }

    async fn catalog_entry(
        &self,
        tenant: &TenantId,
        entry: &CatalogKey,
    ) -> Result<Option<Stored<CatalogEntry>>, StoreError> {
        let item = self.get(key::catalog(tenant), entry.sort_key()).await?;
        let read = |item: &Item| {
            Ok(Stored {
                rev: get_number(item, "rev"),
                value: doc(item)?,
            })
        };
        item.as_ref().map(read).transpose()
    }

    async fn awaiting(
        &self,
        tenant: &TenantId,
        entry: &CatalogKey,
    ) -> Result<Vec<StripeCustomerId>, StoreError> {
        let notes = self.query(key::awaiting(tenant, entry), "").await?;
        let customer = |item: &Item| StripeCustomerId::parse(get_text(item, "sk")?).ok();
        Ok(notes.iter().filter_map(customer).collect())
    }

    async fn commit(&self, commit: &Commit) -> Result<(), CommitError> {
        let mut writes = writes(&self.table, commit)?;
        check(&writes, commit)?;
        let done = if writes.len() == 1 && commit.ledger.is_some() {
            let put = writes.pop().and_then(|write| write.put);
            self.commit_ledger(put.map(|put| put.item).unwrap_or_default())
                .await
        } else {
            let transaction = self
                .client
                .transact_write_items()
                .set_transact_items(Some(writes));
            let sent = transaction.send().await;
            sent.map(|_| ())
                .map_err(|error| refused(error, commit.ledger.is_some()))
        };
        if let Some((entry, _)) = &commit.catalog {
            self.entries.forget(&(commit.tenant.clone(), entry.clone()));
        }
        done
    }

    async fn ledger(
        &self,
        tenant: &TenantId,
        cause: &Cause,
    ) -> Result<Option<LedgerEntry>, StoreError> {
        let item = self.get(key::ledger(tenant, cause), key::EVENT).await?;
        item.as_ref().map(ledger_entry).transpose()
    }

    async fn published(&self, tenant: &TenantId, cause: &Cause) -> Result<(), StoreError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(keyed(key::ledger(tenant, cause), key::EVENT)))
            .update_expression("REMOVE pending_pk, pending_sk")
            .condition_expression("attribute_exists(pk)");
        // An entry that has lived its time: there is nothing left to note.
        if_met(update.send().await, "noting a publication").map(|_| ())
    }

    async fn set_aside(
        &self,
        tenant: &TenantId,
        cause: &Cause,
        reason: &str,
    ) -> Result<(), StoreError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(keyed(key::ledger(tenant, cause), key::EVENT)))
            .update_expression("REMOVE pending_pk, pending_sk SET refused = :reason")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":reason", text(reason));
        if_met(update.send().await, "setting an event aside").map(|_| ())
    }

    async fn pending(
        &self,
        shard: u64,
        after: Option<&str>,
        before: Timestamp,
        limit: usize,
    ) -> Result<IndexPage<LedgerEntry>, StoreError> {
        let shard = Shard {
            index: "pending",
            name: key::pending(shard),
        };
        self.index_page(&shard, after, before, limit, |item| ledger_entry(item).ok())
            .await
    }

    async fn due(
        &self,
        shard: u64,
        after: Option<&str>,
        until: Timestamp,
        limit: usize,
    ) -> Result<IndexPage<Due>, StoreError> {
        let read = |item: &Item| {
            let mut parts = get_text(item, "due_sk")?.splitn(3, '#');
            Some(Due {
                at: Timestamp::from_unix(parts.next()?.parse().ok()?).ok()?,
                tenant: TenantId::parse(parts.next()?).ok()?,
                contact: CustomerId::parse(parts.next()?).ok()?,
            })
        };
        let shard = Shard {
            index: "due",
            name: key::due(shard),
        };
        self.index_page(&shard, after, until.plus(1), limit, read)
            .await
    }

    async fn park(&self, parked: &Parked) -> Result<(), StoreError> {
        let keys = keyed(
            key::parked(&parked.tenant, &parked.reason.place()),
            parked.cause.as_str(),
        );
        let mut item = with_doc(keys, parked)?;
        let listing = key::parked_listing(&parked.tenant);
        item.insert("tenant_pk".to_owned(), text(listing));
        let sort = format!("{}#{}", key::instant(parked.parked_at), parked.cause);
        item.insert("tenant_sk".to_owned(), text(sort));
        if let Some(link) = parked.reason.link() {
            // What does not come for so long is a payment without a customer.
            let expires = parked.parked_at.unix().saturating_add(LEDGER_SECONDS);
            let mut mark = keyed(key::link(&parked.tenant, &link), key::PARKED);
            for of in [&mut mark, &mut item] {
                of.insert("expires_at".to_owned(), number(expires));
            }
            self.put(mark).await?;
        }
        self.put(item).await
    }

    async fn marked(
        &self,
        tenant: &TenantId,
        links: &BTreeSet<Link>,
    ) -> Result<BTreeSet<Link>, StoreError> {
        if links.is_empty() {
            return Ok(BTreeSet::new());
        }
        let keys = links.iter();
        let keys = keys.map(|link| keyed(key::link(tenant, link), key::PARKED));
        let marks = self
            .batch_get(keys.collect(), "looking for parked messages")
            .await?;
        let marked: BTreeSet<_> = marks
            .iter()
            .filter_map(|mark| get_text(mark, "pk"))
            .collect();
        let is_marked = |link: &&Link| marked.contains(key::link(tenant, link).as_str());
        Ok(links.iter().filter(is_marked).cloned().collect())
    }

    async fn parked_links(
        &self,
        tenant: &TenantId,
        after: Option<&str>,
        before: Timestamp,
        limit: usize,
    ) -> Result<IndexPage<Option<Link>>, StoreError> {
        let prefix = key::parked(tenant, "");
        let read = |item: &Item| {
            let place = get_text(item, "pk")?.strip_prefix(&prefix)?;
            Some(ParkReason::link_of_place(place))
        };
        let listing = Shard {
            index: "tenant",
            name: key::parked_listing(tenant),
        };
        self.index_page(&listing, after, before, limit, read).await
    }

    async fn parked(&self, tenant: &TenantId, place: &str) -> Result<Vec<Parked>, StoreError> {
        let items = self.query(key::parked(tenant, place), "").await?;
        items.iter().map(doc).collect()
    }

    async fn unpark(&self, parked: &Parked) -> Result<(), StoreError> {
        let place = key::parked(&parked.tenant, &parked.reason.place());
        let keys: HashMap<String, AttributeValue> = keyed(place, parked.cause.as_str());
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(keys));
        delete
            .send()
            .await
            .map_err(|error| call_failed("releasing a message", error))?;
        Ok(())
    }
}

/// A ledger entry; its outbox is empty once it has left the `pending` index.
fn ledger_entry(item: &Item) -> Result<LedgerEntry, StoreError> {
    let mut entry: LedgerEntry = doc(item)?;
    if get_text(item, "pending_pk").is_none() {
        entry.outbox.clear();
    }
    Ok(entry)
}

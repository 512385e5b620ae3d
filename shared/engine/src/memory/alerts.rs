//! Alerts in memory, with the conditions of the table.

use paygraph_domain::alert::subscription::Subscription;
use paygraph_domain::alert::{Acknowledged, Alert, AlertId, Status};
use paygraph_domain::id::TenantId;

use super::MemoryStore;
use super::inner::Inner;
use crate::alert::{Alerts, Change, Taken, Unresolved, Whose};
use crate::ports::limits::{ItemKey, ItemWrite, check_transaction};
use crate::ports::{CommitError, StoreError, put};

impl MemoryStore {
    /// Every alert, by id.
    #[must_use]
    pub fn all_alerts(&self) -> Vec<Alert> {
        self.lock().alerts.values().cloned().collect()
    }
}

impl Inner {
    /// Whether a change may be made.
    fn allows(&self, change: &Change) -> bool {
        let tenant = &change.tenant;
        let key = (tenant.clone(), change.whose.clone());
        let known = self.unresolved.get(&key).map_or(0, |known| known.rev);
        let version = change.whose.customer().map(|id| {
            let contact = self.contacts.get(&(tenant.clone(), id.clone()));
            contact.map_or(0, |contact| contact.version)
        });
        let is_new = |alert: &Alert| {
            !self
                .alerts
                .contains_key(&(tenant.clone(), alert.id.clone()))
        };
        known + 1 == change.unresolved.rev
            && change
                .contact_version
                .is_none_or(|expected| Some(expected) == version)
            && change.raise.iter().all(is_new)
    }
}

/// The operations of a change's transaction, each on an item of its own.
fn writes(change: &Change) -> Vec<ItemWrite> {
    let key = |sort: String| ItemKey::new(format!("T#{}#ALERTS", change.tenant), sort);
    let list = put(
        key("ALERTS".to_owned()),
        &change.unresolved,
        "the list of alerts".to_owned(),
    );
    let checked = change
        .contact_version
        .map(|_| put(key("CONTACT".to_owned()), &(), "a contact".to_owned()));
    let raised = change.raise.iter().map(|alert| {
        put(
            key(alert.id.to_string()),
            alert,
            format!("alert {}", alert.id),
        )
    });
    let resolved = change
        .resolve
        .iter()
        .map(|id| put(key(id.to_string()), &(), format!("alert {id}")));
    std::iter::once(list)
        .chain(checked)
        .chain(raised)
        .chain(resolved)
        .collect()
}

impl Alerts for MemoryStore {
    async fn unresolved(&self, tenant: &TenantId, whose: &Whose) -> Result<Unresolved, StoreError> {
        let key = (tenant.clone(), whose.clone());
        let known = self.lock().unresolved.get(&key).cloned();
        Ok(known.unwrap_or_default())
    }

    async fn change(&self, change: &Change) -> Result<(), CommitError> {
        check_transaction(&writes(change)).map_err(StoreError::from)?;
        let mut inner = self.lock();
        if !inner.allows(change) {
            return Err(CommitError::Conflict);
        }
        let tenant = &change.tenant;
        for alert in &change.raise {
            let key = (tenant.clone(), alert.id.clone());
            inner.alerts.insert(key, alert.clone());
        }
        for id in &change.resolve {
            if let Some(alert) = inner.alerts.get_mut(&(tenant.clone(), id.clone())) {
                (alert.status, alert.resolved_at) = (Status::Resolved, Some(change.at));
            }
        }
        let key = (tenant.clone(), change.whose.clone());
        inner.unresolved.insert(key, change.unresolved.clone());
        Ok(())
    }

    async fn alert(&self, tenant: &TenantId, id: &AlertId) -> Result<Option<Alert>, StoreError> {
        let key = (tenant.clone(), id.clone());
        Ok(self.lock().alerts.get(&key).cloned())
    }

    async fn acknowledge(
        &self,
        tenant: &TenantId,
        id: &AlertId,
        by: &Acknowledged,
    ) -> Result<Option<Taken>, StoreError> {
        let mut inner = self.lock();
        let alert = inner.alerts.get_mut(&(tenant.clone(), id.clone()));
        Ok(alert.map(|alert| {
            let now = alert.status == Status::Open;
            if now {
                (alert.status, alert.acknowledged) = (Status::Acknowledged, Some(by.clone()));
            }
            Taken {
                alert: alert.clone(),
                now,
            }
        }))
    }

    async fn subscriptions(&self, tenant: &TenantId) -> Result<Vec<Subscription>, StoreError> {
        let inner = self.lock();
        let own = inner
            .subscriptions
            .iter()
            .filter(|((of, _), _)| of == tenant);
        Ok(own.map(|(_, subscription)| subscription.clone()).collect())
    }

    async fn subscribe(
        &self,
        tenant: &TenantId,
        subscription: &Subscription,
    ) -> Result<(), StoreError> {
        let key = (tenant.clone(), subscription.id());
        self.lock().subscriptions.insert(key, subscription.clone());
        Ok(())
    }

    async fn unsubscribe(&self, tenant: &TenantId, id: &str) -> Result<bool, StoreError> {
        let key = (tenant.clone(), id.to_owned());
        Ok(self.lock().subscriptions.remove(&key).is_some())
    }
}

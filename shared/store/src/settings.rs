//! A tenant's own settings: read as they stand, put, and taken away again.
//!
//! Those who use settings ask [`Store::settings`](paygraph_engine::ports::Store::settings), which
//! may be some seconds old; this is for those who change them.

use paygraph_domain::id::TenantId;
use paygraph_domain::settings::Settings;
use paygraph_engine::ports::StoreError;

use crate::item::{SCHEMA, get_number, get_text, keyed, text, with_doc};
use crate::key;
use crate::store::{DynamoStore, if_met};

/// The condition of a change: the document that was read still stands there.
const UNMOVED: &str = "doc = :doc";

/// A tenant's settings as they stand in the table, whether this version reads them or not: those
/// that nobody reads are to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnSettings(String);

impl OwnSettings {
    /// The document, in JSON.
    #[must_use]
    pub fn document(&self) -> &str {
        &self.0
    }
}

/// Why settings were not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Somebody else changed them meanwhile.
    #[error("somebody else changed the settings meanwhile")]
    Moved,
    /// A newer version of paygraph wrote them.
    #[error("the settings are of schema {0}, which this version does not know")]
    Newer(u64),
    /// The table did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DynamoStore {
    /// A tenant's own settings, read consistently; none where those of the example hold.
    ///
    /// # Errors
    /// [`ChangeError::Newer`] when a newer version wrote them; [`ChangeError::Store`] when the table
    /// cannot be read.
    pub async fn own_settings(
        &self,
        tenant: &TenantId,
    ) -> Result<Option<OwnSettings>, ChangeError> {
        let Some(item) = self.get(key::tenant(tenant), key::SETTINGS).await? else {
            return Ok(None);
        };
        let schema = get_number(&item, "schema");
        if schema > u64::from(SCHEMA) {
            return Err(ChangeError::Newer(schema));
        }
        let document = get_text(&item, "doc").unwrap_or_default();
        Ok(Some(OwnSettings(document.to_owned())))
    }

    /// Puts settings in the place of those that were read.
    ///
    /// # Errors
    /// [`ChangeError::Moved`] when others stand there by now.
    pub async fn put_settings(
        &self,
        tenant: &TenantId,
        settings: &Settings,
        before: Option<&OwnSettings>,
    ) -> Result<(), ChangeError> {
        let item = with_doc(keyed(key::tenant(tenant), key::SETTINGS), settings)?;
        let put = self.client().put_item().table_name(self.table());
        let put = put.set_item(Some(item));
        let put = match before {
            Some(before) => put
                .condition_expression(UNMOVED)
                .expression_attribute_values(":doc", text(before.document())),
            None => put.condition_expression("attribute_not_exists(pk)"),
        };
        let sent = put.send().await;
        self.forget_settings(tenant);
        unmoved(if_met(sent, "changing the settings")?)
    }

    /// Takes a tenant's own settings away: those of the example hold again.
    ///
    /// # Errors
    /// [`ChangeError::Moved`] when others than those that were read stand there by now.
    pub async fn remove_settings(
        &self,
        tenant: &TenantId,
        before: &OwnSettings,
    ) -> Result<(), ChangeError> {
        let delete = self
            .client()
            .delete_item()
            .table_name(self.table())
            .set_key(Some(keyed(key::tenant(tenant), key::SETTINGS)))
            .condition_expression(UNMOVED)
            .expression_attribute_values(":doc", text(before.document()));
        let sent = delete.send().await;
        self.forget_settings(tenant);
        unmoved(if_met(sent, "changing the settings")?)
    }
}

/// Whether the condition was met.
fn unmoved<T>(met: Option<T>) -> Result<(), ChangeError> {
    met.map(|_| ()).ok_or(ChangeError::Moved)
}

//! Users of the product, an item each.

use paygraph_domain::id::TenantId;
use paygraph_domain::user::User;
use paygraph_engine::ports::{CommitError, StoreError};
use paygraph_engine::user::Users;

use crate::item::{doc, keyed, number, with_doc};
use crate::key;
use crate::store::{DynamoStore, if_met};

impl Users for DynamoStore {
    async fn user(&self, tenant: &TenantId, id: &str) -> Result<Option<User>, StoreError> {
        let item = self.get(key::user(tenant, id), key::USER).await?;
        item.as_ref().map(doc).transpose()
    }

    async fn put_user(&self, tenant: &TenantId, user: &User) -> Result<(), CommitError> {
        let mut item = with_doc(keyed(key::user(tenant, &user.id), key::USER), user)?;
        item.insert("version".to_owned(), number(user.version));
        let put = self
            .client()
            .put_item()
            .table_name(self.table())
            .set_item(Some(item));
        let put = if user.version <= 1 {
            put.condition_expression("attribute_not_exists(pk)")
        } else {
            put.condition_expression("version = :version")
                .expression_attribute_values(":version", number(user.version - 1))
        };
        let written = if_met(put.send().await, "writing a user")?;
        written.map(|_| ()).ok_or(CommitError::Conflict)
    }
}

//! Which tenant each account of the platform's belongs to, as the function `webhook` reads it.
//!
//! The table is the truth and the secret its copy: whoever changes the table writes the copy, and
//! writes again if the table has moved on meanwhile. So the last one to write has seen everything.

use paygraph_domain::id::StripeId;
use paygraph_runtime::secrets::SecretKeeper;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::{ConnectError, Connector};
use crate::connection::{ConnectionStore, StartImport, busy};

/// The secret of the platform's endpoint.
pub(super) const PLATFORM: &str = "webhook/platform";
/// How often the table may move on meanwhile.
const ATTEMPTS: u32 = 5;

/// Brings the copy up to date. `gone` is an account that may be in it and not in the table.
pub(super) async fn sync(
    store: &impl ConnectionStore,
    keeper: &impl SecretKeeper,
    gone: Option<&StripeId>,
) -> Result<(), ConnectError> {
    for _ in 0..ATTEMPTS {
        let mut document = read(keeper).await?;
        let before = document.get("accounts").cloned();
        let mut accounts = match before.clone() {
            Some(Value::Object(accounts)) => accounts,
            None => Map::new(),
            Some(_) => return Err(unreadable()),
        };
        if let Some(gone) = gone {
            accounts.remove(gone.as_str());
        }
        for (account, tenant) in store.platform_accounts().await? {
            accounts.insert(account.into(), json!(tenant));
        }
        let accounts = Value::Object(accounts);
        if before.as_ref() == Some(&accounts) {
            return Ok(());
        }
        document.insert("accounts".to_owned(), accounts);
        let text: SecretString = Value::Object(document).to_string().into();
        keeper.put(PLATFORM, &text).await?;
    }
    Err(busy("the platform's accounts were changed by others all the time").into())
}

/// The secret's document; an empty one with no signing secret when there is none.
pub(super) async fn read(keeper: &impl SecretKeeper) -> Result<Map<String, Value>, ConnectError> {
    let Some(text) = keeper.fetch(PLATFORM).await? else {
        return Ok(Map::from_iter([("secrets".to_owned(), json!([]))]));
    };
    serde_json::from_str(text.expose_secret()).map_err(|_| unreadable())
}

fn unreadable() -> ConnectError {
    ConnectError::Unreadable(PLATFORM.to_owned())
}

impl<T, K, I> Connector<T, K, I>
where
    T: ConnectionStore,
    K: SecretKeeper + Clone + Sync,
    I: StartImport,
{
    pub(super) async fn sync_platform(&self, gone: Option<&StripeId>) -> Result<(), ConnectError> {
        sync(&self.store, &self.secrets, gone).await
    }
}

//! Who asks, for which account, and whether they may.

use std::sync::Arc;

use super::account::Account;
use super::call::Call;
use super::config::{Key, Right, Rights};
use super::refusal::{Refusal, masked};
use super::state::State;

/// A request whose key is known.
#[derive(Debug)]
pub(super) struct Access {
    key: Key,
    pub account: Arc<Account>,
}

impl Access {
    /// The key of a request, and the account that it asks for.
    pub(super) fn of(state: &State, call: &Call) -> Result<Self, Refusal> {
        let secret = call.key().ok_or_else(|| {
            Refusal::unauthorized(
                "You did not provide an API key. You need to provide your API key in the \
                 Authorization header, using Bearer auth (e.g. 'Authorization: Bearer \
                 YOUR_SECRET_KEY').",
            )
        })?;
        let key = state.key(&secret).ok_or_else(|| {
            let message = format!("Invalid API Key provided: {}", masked(&secret));
            Refusal::unauthorized(&message)
        })?;
        let id = call.header("stripe-account").unwrap_or(&key.account);
        let account = state.account(id).filter(|account| {
            account.id == key.account || (state.is_platform(&key.account) && account.is_connected())
        });
        let account = account.ok_or_else(|| Refusal::foreign_account(&secret, id))?;
        Ok(Self { key, account })
    }

    /// Whether the key belongs to live mode.
    pub(super) fn is_live(&self) -> bool {
        self.key.is_live()
    }

    /// Refuses what the key may not do.
    pub(super) fn needs(&self, permission: &str, right: Right) -> Result<(), Refusal> {
        let allowed = match &self.key.rights {
            Rights::All => true,
            Rights::Only(rights) => rights.get(permission).is_some_and(|has| *has >= right),
        };
        if allowed {
            return Ok(());
        }
        let word = match right {
            Right::Read => "read",
            Right::Write => "write",
        };
        let name = format!("rak_{permission}_{word}");
        Err(Refusal::forbidden(
            &self.key.secret,
            &self.account.id,
            &name,
        ))
    }
}

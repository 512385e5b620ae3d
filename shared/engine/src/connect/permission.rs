//! What a key may do, found out by trying.

use futures::future::{join, join_all};
use paygraph_domain::id::StripeId;
use paygraph_domain::time::Timestamp;
use paygraph_stripe::client::{Client, ClientError, List};
use serde::{Deserialize, Serialize};

use crate::run::Kind;

/// What else is listed beside what the import reads.
const ALSO_LISTED: [(&str, &str); 2] = [
    ("payment_methods", "/payment_methods"),
    ("events", "/events"),
];
/// Where webhook endpoints are.
pub(super) const ENDPOINTS: &str = "/webhook_endpoints";

/// Something that a key may do, or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Permission {
    /// What it is for: `subscriptions`, `account`, `webhook_endpoints`.
    #[serde(rename = "for")]
    pub object: &'static str,
    /// `read` or `write`.
    pub right: &'static str,
    /// Whether nothing goes without it.
    pub needed: bool,
    /// Stripe's name of it, when the key lacks it: `rak_subscription_read`.
    pub missing: Option<String>,
}

/// What was found out about a key.
pub(super) struct Probe {
    pub permissions: Vec<Permission>,
    /// The account, if Stripe says which.
    pub account: Option<StripeId>,
    /// Its name, if it may be read.
    pub name: Option<String>,
    /// When this was so, by Stripe's clock.
    pub at: Timestamp,
}

impl Probe {
    /// What is needed and missing.
    pub fn lacking(&self) -> Vec<Permission> {
        let lacking = self.permissions.iter();
        let lacking = lacking.filter(|of| of.needed && of.missing.is_some());
        lacking.cloned().collect()
    }
}

/// An account, as far as it matters here.
#[derive(Deserialize)]
struct Account {
    id: StripeId,
    #[serde(default)]
    settings: Option<Settings>,
    #[serde(default)]
    business_profile: Option<Profile>,
}

#[derive(Deserialize)]
struct Settings {
    dashboard: Option<Dashboard>,
}

#[derive(Deserialize)]
struct Dashboard {
    display_name: Option<String>,
}

#[derive(Deserialize)]
struct Profile {
    name: Option<String>,
}

/// An empty form: too little to make an endpoint of.
#[derive(Serialize)]
struct Nothing {}

/// Tries everything that a key is needed for; `own` when it is the account's own key, whose webhook
/// endpoint is to be made. Nothing is changed.
pub(super) async fn probe(client: &Client, own: bool) -> Result<Probe, ClientError> {
    let kinds = Kind::all().map(|kind| (kind.name(), kind.path()));
    let lists = kinds.chain(ALSO_LISTED).map(|of| listed(client, of));
    let (lists, account) = join(join_all(lists), account(client)).await;
    let mut permissions = Vec::new();
    let mut at = Timestamp::default();
    for list in lists {
        let (permission, answered) = list?;
        permissions.push(permission);
        at = at.max(answered);
    }
    let (permission, account, name) = account?;
    permissions.push(permission);
    if own {
        permissions.push(endpoints(client).await?);
    }
    Ok(Probe {
        permissions,
        account,
        name,
        at,
    })
}

async fn listed(
    client: &Client,
    (object, path): (&'static str, &str),
) -> Result<(Permission, Timestamp), ClientError> {
    let list = List {
        limit: 1,
        ..List::default()
    };
    let (missing, at) = match client.page(path, &list).await {
        Ok(page) => (None, page.until),
        Err(error) => (Some(lacks(error, object)?.0), Timestamp::default()),
    };
    let (right, needed) = ("read", true);
    let permission = Permission {
        object,
        right,
        needed,
        missing,
    };
    Ok((permission, at))
}

/// The account that a key is of. Many restricted keys cannot be let read it; then Stripe's refusal
/// says which it is.
async fn account(
    client: &Client,
) -> Result<(Permission, Option<StripeId>, Option<String>), ClientError> {
    let (missing, id, name) = match client.get("/account", &[]).await {
        Ok(answer) => match serde_json::from_str::<Account>(answer.value.get()) {
            Ok(account) => {
                let name = account.name();
                (None, Some(account.id), name)
            }
            Err(error) => return Err(ClientError::Unavailable(error.to_string())),
        },
        Err(error) => {
            let (permission, told) = lacks(error, "account")?;
            (Some(permission), named_in(&told), None)
        }
    };
    let permission = Permission {
        object: "account",
        right: "read",
        needed: false,
        missing,
    };
    Ok((permission, id, name))
}

/// Whether endpoints can be made: who may is told what is missing to make one, who may not is not.
async fn endpoints(client: &Client) -> Result<Permission, ClientError> {
    let missing = match client.post(ENDPOINTS, &Nothing {}).await {
        Ok(_) | Err(ClientError::Refused { .. }) => None,
        Err(error) => Some(lacks(error, "webhook_endpoints")?.0),
    };
    Ok(Permission {
        object: "webhook_endpoints",
        right: "write",
        needed: false,
        missing,
    })
}

/// The name of the permission that is missing, and Stripe's words; any other error stays one.
fn lacks(error: ClientError, object: &str) -> Result<(String, String), ClientError> {
    if let ClientError::Forbidden {
        permission,
        message,
    } = error
    {
        let permission = permission.unwrap_or_else(|| format!("the permission for {object}"));
        Ok((permission, message))
    } else {
        Err(error)
    }
}

/// The account that a refusal names: `… on account 'acct_…'. …`
fn named_in(message: &str) -> Option<StripeId> {
    let words = message.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let id = words.into_iter().find(|word| word.starts_with("acct_"))?;
    StripeId::parse(id).ok()
}

impl Account {
    fn name(&self) -> Option<String> {
        let shown = self.settings.as_ref().and_then(|of| of.dashboard.as_ref());
        let shown = shown.and_then(|of| of.display_name.clone());
        let business = self
            .business_profile
            .as_ref()
            .and_then(|of| of.name.clone());
        shown.or(business).filter(|name| !name.trim().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_account() {
        let told = "The provided key 'rk_test_***1234' does not have the required permissions for \
                    this endpoint on account 'acct_1PJ'. Having the 'rak_x_read' permission …";
        assert_eq!(named_in(told), StripeId::parse("acct_1PJ").ok());
        assert_eq!(named_in("no"), None);
    }

    #[test]
    fn an_account_is_called_as_its_owner_calls_it() {
        let name = |json: &str| serde_json::from_str::<Account>(json).unwrap().name();
        let both = r#"{"id":"acct_1","settings":{"dashboard":{"display_name":"Acme"}},
            "business_profile":{"name":"Acme Ltd"}}"#;
        assert_eq!(name(both).as_deref(), Some("Acme"));
        let one = r#"{"id":"acct_1","settings":{"dashboard":{"display_name":null}},
            "business_profile":{"name":"Acme Ltd"}}"#;
        assert_eq!(name(one).as_deref(), Some("Acme Ltd"));
        assert_eq!(name(r#"{"id":"acct_1"}"#), None);
    }
}

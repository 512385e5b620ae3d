//! Connect: codes become access, and access is given up.

use serde_json::{Value, json};

use super::call::Call;
use super::refusal::Refusal;
use super::state::State;

/// `POST /oauth/token`: a code gives access to the account that gave it, once.
pub(super) fn token(state: &State, call: &Call) -> Result<Value, Refusal> {
    let form = call.form();
    let field = |name: &str| field_of(&form, name);
    authenticated(state, call, field("client_secret"))?;
    match field("grant_type") {
        Some("authorization_code") => {}
        Some(other) => {
            let description = format!("Unsupported grant type: {other}");
            return Err(Refusal::oauth("unsupported_grant_type", &description));
        }
        None => return Err(Refusal::oauth("invalid_request", "No grant type specified")),
    }
    let Some(code) = field("code") else {
        return Err(Refusal::oauth(
            "invalid_request",
            "No authorization code provided",
        ));
    };
    let account = state.take_code(code).and_then(|id| state.account(&id));
    let account = account.ok_or_else(|| {
        let description = format!("Authorization code does not exist: {code}");
        Refusal::oauth("invalid_grant", &description)
    })?;
    account.connect(true);
    let secret = format!("sk_test_of_{}", account.id);
    state.add_key(super::config::Key::secret(&secret, &account.id));
    Ok(json!({
        "access_token": secret, "livemode": false, "token_type": "bearer",
        "refresh_token": format!("rt_{}", account.id), "scope": "read_only",
        "stripe_publishable_key": format!("pk_test_of_{}", account.id),
        "stripe_user_id": account.id,
    }))
}

/// `POST /oauth/deauthorize`: the platform gives up its access.
pub(super) fn deauthorize(state: &State, call: &Call) -> Result<Value, Refusal> {
    let form = call.form();
    authenticated(state, call, field_of(&form, "client_secret"))?;
    let id = field_of(&form, "stripe_user_id").unwrap_or_default();
    let account = state.account(id).filter(|account| account.is_connected());
    let account = account.ok_or_else(|| {
        let description = format!(
            "This application is not connected to stripe account {id}, or that account does not \
             exist."
        );
        Refusal::oauth("invalid_client", &description)
    })?;
    account.connect(false);
    state.remove_keys(&format!("sk_test_of_{}", account.id));
    Ok(json!({ "stripe_user_id": account.id }))
}

fn authenticated(state: &State, call: &Call, secret: Option<&str>) -> Result<(), Refusal> {
    let secret = secret.map(str::to_owned).or_else(|| call.key());
    let known = secret.is_some_and(|secret| state.key(&secret).is_some());
    known
        .then_some(())
        .ok_or_else(|| Refusal::oauth("invalid_client", "Invalid API key provided"))
}

fn field_of<'a>(form: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = form.iter().find(|(field, _)| field == name);
    found.map(|(_, value)| value.as_str())
}

//! `/_control`: what a test says to a fake Stripe in a process of its own.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::account::Account;
use super::call::Call;
use super::delivery::{self, Delivery};
use super::fault::Fault;
use super::refusal::Refusal;
use super::state::State;
use super::stats;

/// An object to put, with the type of the event of it if there is to be one.
#[derive(Deserialize)]
struct Put {
    account: Option<String>,
    object: Value,
    event: Option<String>,
    #[serde(default)]
    delivered: bool,
}

/// An object to delete.
#[derive(Deserialize)]
struct Delete {
    account: Option<String>,
    id: String,
}

/// An authorization code to know.
#[derive(Deserialize)]
struct Code {
    code: String,
    account: String,
}

/// A time to show, in Unix seconds; 0 for that of the machine.
#[derive(Deserialize)]
struct Clock {
    now: i64,
}

/// Events to send.
#[derive(Deserialize)]
struct Deliver {
    account: Option<String>,
    #[serde(default)]
    delivery: Delivery,
}

/// Does what is asked.
pub(super) async fn answer(state: &State, call: &Call) -> Result<Value, Refusal> {
    let done = json!({ "done": true });
    match (call.method.as_str(), call.path.as_str()) {
        ("GET", "/_control/stats") => Ok(json!(stats(state))),
        ("POST", "/_control/stats/reset") => {
            state.traffic.reset();
            Ok(done)
        }
        ("POST", "/_control/faults") => {
            state.faults.set(body::<Vec<Fault>>(call)?);
            Ok(done)
        }
        ("POST", "/_control/objects") => put(state, body(call)?),
        ("POST", "/_control/delete") => {
            let delete: Delete = body(call)?;
            account(state, delete.account.as_deref())?.remove(&delete.id);
            Ok(done)
        }
        ("POST", "/_control/codes") => {
            let code: Code = body(call)?;
            state.add_code(&code.code, &code.account);
            Ok(done)
        }
        ("POST", "/_control/clock") => {
            state.set_now(body::<Clock>(call)?.now);
            Ok(done)
        }
        ("POST", "/_control/deliver") => {
            let deliver: Deliver = body(call)?;
            let account = account(state, deliver.account.as_deref())?;
            Ok(json!(
                delivery::deliver(state, &account, &deliver.delivery).await
            ))
        }
        _ => Err(Refusal::no_such_path(&call.method, &call.path)),
    }
}

fn put(state: &State, put: Put) -> Result<Value, Refusal> {
    let account = account(state, put.account.as_deref())?;
    let unfit = || Refusal::bad("An object needs an `id` and a known `object`.");
    let Some(kind) = put.event else {
        let is_put = account.put(put.object);
        return is_put.then(|| json!({ "done": true })).ok_or_else(unfit);
    };
    let event = account
        .happen(&kind, put.object, state.now())
        .ok_or_else(unfit)?;
    if put.delivered
        && let Some(id) = event.get("id").and_then(Value::as_str)
    {
        account.held_mut().mark(id, true);
    }
    Ok(event)
}

fn account(state: &State, id: Option<&str>) -> Result<Arc<Account>, Refusal> {
    match id {
        None => Ok(Arc::clone(state.platform())),
        Some(id) => state
            .account(id)
            .ok_or_else(|| Refusal::missing("account", id, "account")),
    }
}

fn body<T: DeserializeOwned>(call: &Call) -> Result<T, Refusal> {
    serde_json::from_slice(&call.body).map_err(|error| Refusal::bad(&error.to_string()))
}

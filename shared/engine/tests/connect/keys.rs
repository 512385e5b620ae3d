//! By a restricted key of the account's own.

use paygraph_domain::id::Cause;
use paygraph_engine::connect::{ConnectError, Connected, Webhooks};
use paygraph_engine::connection::{ConnectionStore, Status, set_status};
use paygraph_engine::fetch::Fetch;
use paygraph_stripe::client::{Connections, Limits};
use paygraph_stripe::event_types::REQUIRED;
use paygraph_testkit::fake_stripe::{Key, Right, needed_rights};
use serde_json::{Value, json};

use super::{RK, URL, World, offer, tenant};

impl World {
    /// The endpoints of acct_acme, as its key sees them.
    fn endpoints(&self) -> Vec<Value> {
        let url = format!("{}/v1/webhook_endpoints", self.stripe.url());
        let key = format!("Bearer {RK}");
        let answer = ureq::get(&url).header("authorization", &key).call();
        let list: Value = answer.unwrap().body_mut().read_json().unwrap();
        list["data"].as_array().unwrap().clone()
    }

    fn endpoint_of(done: &Webhooks) -> &str {
        match done {
            Webhooks::Created { endpoint } | Webhooks::Adopted { endpoint } => endpoint,
            Webhooks::Platform | Webhooks::ByHand(_) => panic!("{done:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_connects_makes_the_endpoint_and_begins_the_import() {
    let world = World::new().await;
    let done = world.by_key("acme", RK).await.unwrap();
    assert!(done.import_started);
    assert_eq!(done.connection.account.as_str(), "acct_acme");
    assert_eq!(done.connection.status, Status::Connected);
    assert_eq!(world.connection("acme").await, done.connection);
    assert_eq!(
        world.secrets.json("stripe/acme"),
        json!({ "key": RK, "account": null })
    );
    let [endpoint] = world.endpoints().try_into().unwrap();
    assert_eq!(
        endpoint["url"],
        format!("{URL}/api/integrations/stripe/webhook/acme")
    );
    assert_eq!(endpoint["enabled_events"], json!(REQUIRED));
    assert_eq!(endpoint["api_version"], "2026-10-28.endive");
    assert_eq!(endpoint["metadata"]["paygraph_tenant"], "acme");
    let secret = world.secrets.json("webhook/tenant/acme");
    assert_eq!(secret["account"], "acct_acme");
    assert_eq!(secret["endpoint"], endpoint["id"]);
    assert_eq!(secret["secrets"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn n15_a_known_endpoint_is_adopted_and_an_unknown_secret_is_replaced() {
    let world = World::new().await;
    let first = world.by_key("acme", RK).await.unwrap();
    let id = World::endpoint_of(&first.webhooks).to_owned();
    // Somebody has taken types away and disabled it.
    let form = "enabled_events[0]=invoice.paid&disabled=true";
    let url = format!("{}/v1/webhook_endpoints/{id}", world.stripe.url());
    let key = format!("Bearer {RK}");
    ureq::post(&url)
        .header("authorization", &key)
        .send(form)
        .unwrap();
    let again = world.by_key("acme", RK).await.unwrap();
    assert_eq!(
        again.webhooks,
        Webhooks::Adopted {
            endpoint: id.clone()
        }
    );
    let [endpoint] = world.endpoints().try_into().unwrap();
    assert_eq!(endpoint["enabled_events"], json!(REQUIRED));
    assert_eq!(endpoint["status"], "enabled");
    // Its secret is not known any more: a new one is made, and the old one ends.
    let mut secret = world.secrets.json("webhook/tenant/acme");
    let old = secret["secrets"][0].clone();
    secret["endpoint"] = Value::Null;
    world.secrets.set("webhook/tenant/acme", &secret);
    let made = world.by_key("acme", RK).await.unwrap();
    let [endpoint] = world.endpoints().try_into().unwrap();
    assert_eq!(endpoint["id"], World::endpoint_of(&made.webhooks));
    assert_ne!(endpoint["id"], id);
    let secret = world.secrets.json("webhook/tenant/acme");
    assert_eq!(secret["secrets"][1], old, "what is on its way still counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn n13_every_missing_permission_is_named_and_nothing_is_kept() {
    let world = World::new().await;
    let lacks = |name: &(&str, Right)| !["invoice", "coupon"].contains(&name.0);
    let some: Vec<_> = needed_rights().into_iter().filter(lacks).collect();
    world
        .stripe
        .add_key(Key::restricted(RK, "acct_acme", &some));
    let error = world.by_key("acme", RK).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the key lacks rak_coupon_read, rak_invoice_read"
    );
    world.stripe.revoke(RK);
    let error = world.by_key("acme", RK).await.unwrap_err();
    assert!(matches!(error, ConnectError::Stripe(_)), "{error}");
    assert_eq!(world.store.connection(&tenant("acme")).await.unwrap(), None);
    assert_eq!(world.secrets.json("stripe/acme"), Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_make_endpoints_it_is_said_how() {
    let world = World::new().await;
    let mut some = needed_rights();
    some.pop();
    world
        .stripe
        .add_key(Key::restricted(RK, "acct_acme", &some));
    let done = world.by_key("acme", RK).await.unwrap();
    let Webhooks::ByHand(by_hand) = done.webhooks else {
        panic!("{:?}", done.webhooks);
    };
    assert!(by_hand.url.ends_with("/webhook/acme") && !by_hand.secret_held);
    let check = world
        .connector(false)
        .check(&tenant("acme"), URL)
        .await
        .unwrap();
    let codes: Vec<_> = check.troubles.iter().map(|of| of.code).collect();
    assert_eq!(codes, ["secret"]);
    let given = offer(RK, Some("whsec_by_hand"));
    let connector = world.connector(false);
    connector
        .by_key(&tenant("acme"), &given, URL)
        .await
        .unwrap();
    let secret = world.secrets.json("webhook/tenant/acme");
    assert_eq!(secret["secrets"], json!(["whsec_by_hand"]));
    let check = connector.check(&tenant("acme"), URL).await.unwrap();
    assert!(check.troubles.is_empty(), "{:?}", check.troubles);
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_a_key_is_for_the_deployments_kind_of_money() {
    let world = World::new().await;
    let connector = world.connector(true);
    let given = offer(RK, None);
    let error = connector.by_key(&tenant("acme"), &given, URL).await;
    let error = error.unwrap_err();
    assert_eq!(
        error.to_string(),
        "this is a test account or key, and the deployment takes live ones only"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_one_tenants_and_a_tenant_has_one_account() {
    let world = World::new().await;
    world.by_key("acme", RK).await.unwrap();
    let error = world.by_key("other", RK).await.unwrap_err();
    assert!(matches!(error, ConnectError::Taken(_)), "{error}");
    assert_eq!(world.secrets.json("stripe/other"), Value::Null);
    let globex = "rk_test_globex1234567890";
    world
        .stripe
        .add_key(Key::restricted(globex, "acct_globex", &needed_rights()));
    let error = world.by_key("acme", globex).await.unwrap_err();
    assert!(matches!(error, ConnectError::Other(_)), "{error}");
    // Once it is free, another may have it.
    world
        .connector(false)
        .disconnect(&tenant("acme"), URL)
        .await
        .unwrap();
    assert!(world.endpoints().is_empty());
    assert_eq!(
        world.secrets.json("stripe/acme"),
        json!({ "key": null, "account": null })
    );
    world.by_key("other", RK).await.unwrap();
    let error = world.connector(false).check(&tenant("nobody"), URL).await;
    assert!(matches!(error, Err(ConnectError::NotConnected)));
}

#[tokio::test(flavor = "multi_thread")]
async fn n13_a_refused_key_pauses_the_tenant_and_says_why() {
    let world = World::new().await;
    world.by_key("acme", RK).await.unwrap();
    let connections =
        Connections::new(world.secrets.clone(), world.stripe.url(), Limits::default());
    let connected = Connected::new(connections, world.store.clone(), world.secrets.clone());
    let event = Cause::parse("evt_1").unwrap();
    let acme = tenant("acme");
    assert_eq!(connected.event(&acme, &event).await.unwrap(), None);
    assert!(connected.client(&acme).await.unwrap().is_some());
    let lacking: Vec<_> = needed_rights()
        .into_iter()
        .filter(|of| of.0 != "event")
        .collect();
    world
        .stripe
        .add_key(Key::restricted(RK, "acct_acme", &lacking));
    assert_eq!(connected.event(&acme, &event).await.unwrap(), None);
    let Status::Paused { reason } = world.connection("acme").await.status else {
        panic!("not paused");
    };
    assert!(
        reason.starts_with("the key lacks rak_event_read"),
        "{reason}"
    );
    assert!(connected.client(&acme).await.unwrap().is_none());
    let check = world.connector(false).check(&acme, URL).await.unwrap();
    let codes: Vec<_> = check.troubles.iter().map(|of| of.code).collect();
    assert_eq!(codes, ["paused", "permission"]);
    world
        .stripe
        .add_key(Key::restricted(RK, "acct_acme", &needed_rights()));
    set_status(&world.store, &acme, &Status::Connected)
        .await
        .unwrap();
    assert!(connected.client(&acme).await.unwrap().is_some());
}

//! Whose event it is: rows I9 and N15 of the failure catalogue, and the paths.

use crate::support::{ACME, GLOBEX, NOW, PLATFORM, World, event, platform_event};
use paygraph_testkit::signer::{GatewayRequest, PLATFORM_PATH};
use serde_json::json;

fn to_tenant(tenant: &str, account: Option<&str>, secret: &str) -> GatewayRequest {
    GatewayRequest::new(event(account))
        .to_tenant(tenant)
        .signed(secret, NOW)
}

fn mismatch() -> (u16, String, String) {
    (
        400,
        "signature_invalid".to_owned(),
        "the signature does not match".to_owned(),
    )
}

#[test]
fn the_verified_tenant_is_carried() {
    let world = World::new();
    let connected = GatewayRequest::new(event(Some("acct_acme"))).signed(PLATFORM, NOW);
    let unknown = GatewayRequest::new(event(Some("acct_unknown"))).signed(PLATFORM, NOW);
    for (request, tenant, account) in [
        (platform_event(), json!("default"), json!(null)),
        (connected, json!("acme"), json!("acct_acme")),
        (unknown, json!(null), json!("acct_unknown")),
        (to_tenant("acme", None, ACME), json!("acme"), json!(null)),
        (
            to_tenant("acme", Some("acct_acme"), ACME),
            json!("acme"),
            json!("acct_acme"),
        ),
        (
            to_tenant("globex", None, GLOBEX),
            json!("globex"),
            json!(null),
        ),
    ] {
        let message = world.taken(&request);
        assert_eq!(
            (&message["tenant"], &message["account"]),
            (&tenant, &account)
        );
    }
    assert_eq!(world.counted("account_unknown"), 1);
}

/// A thin event as Stripe sends it: its account is in `context`.
fn thin(kind: &str, context: Option<&str>) -> GatewayRequest {
    let event = json!({
        "id": "evt_thin", "object": "v2.core.event", "type": kind, "livemode": false,
        "created": "2026-11-21T04:43:03.000Z", "context": context, "changes": null, "reason": null,
        "snapshot_event": null,
        "related_object": { "id": "sub_1", "type": "subscription", "url": "/v1/subscriptions/sub_1" },
    });
    GatewayRequest::new(event.to_string())
}

/// R13 and A2: a thin event is taken and queued, under the tenant rules of any other event.
#[test]
fn a2_r13_a_thin_event_is_queued_for_the_tenant_of_its_context() {
    let world = World::new();
    for kind in [
        "v1.customer.subscription.updated",
        "v2.core.account.updated",
    ] {
        for (context, tenant, account) in [
            (None, json!("default"), json!(null)),
            (Some("acct_acme"), json!("acme"), json!("acct_acme")),
            (Some("org_1/acct_acme"), json!("acme"), json!("acct_acme")),
            (Some("acct_unknown"), json!(null), json!("acct_unknown")),
            (Some("org_1"), json!(null), json!("org_1")),
        ] {
            let message = world.taken(&thin(kind, context).signed(PLATFORM, NOW));
            assert_eq!(
                (&message["tenant"], &message["account"]),
                (&tenant, &account),
                "{kind} {context:?}"
            );
            assert_eq!(message["event"]["type"], kind);
        }
    }
    let of_acme = |context| {
        thin("v1.invoice.paid", context)
            .to_tenant("acme")
            .signed(ACME, NOW)
    };
    assert_eq!(world.taken(&of_acme(None))["tenant"], "acme");
    assert_eq!(world.taken(&of_acme(Some("acct_acme")))["tenant"], "acme");
    let (status, code, _) = world.refused(&of_acme(Some("acct_globex")));
    assert_eq!((status, code.as_str()), (400, "account_mismatch"));
}

/// An account that was connected after the secret was read is known with its first event.
#[test]
fn i8_an_account_that_was_just_connected_is_known_at_once() {
    let world = World::new();
    world.taken(&platform_event());
    let secret = json!({ "secrets": [PLATFORM], "accounts": { "acct_new": "newcomer" } });
    world.with(|outside| {
        let secrets = &mut outside.secrets;
        secrets.insert("webhook/platform".to_owned(), secret.to_string());
    });
    let event = GatewayRequest::new(event(Some("acct_new"))).signed(PLATFORM, NOW);
    assert_eq!(world.taken(&event)["tenant"], "newcomer");
    assert_eq!(world.counted("account_unknown"), 0);
}

#[test]
fn i9_tenant_cannot_sign_for_another() {
    let world = World::new();
    for request in [
        to_tenant("acme", None, GLOBEX),
        to_tenant("acme", None, PLATFORM),
        to_tenant("globex", None, ACME),
        GatewayRequest::new(event(None)).signed(ACME, NOW),
        GatewayRequest::new(event(Some("acct_acme"))).signed(ACME, NOW),
    ] {
        assert_eq!(world.refused(&request), mismatch());
    }
}

#[test]
fn i9_tenant_cannot_name_the_account_of_another() {
    let world = World::new();
    for request in [
        to_tenant("acme", Some("acct_globex"), ACME),
        to_tenant("globex", Some("acct_acme"), GLOBEX),
    ] {
        let message = "the event's account is not the tenant's".to_owned();
        assert_eq!(
            world.refused(&request),
            (400, "account_mismatch".to_owned(), message)
        );
    }
    assert_eq!(world.counted("account_mismatch"), 2);
    assert!(world.greenlight().is_empty());
}

#[test]
fn i9_an_unknown_tenant_looks_like_a_wrong_signature() {
    let world = World::new();
    for tenant in ["nobody", "nobody", "a b", "a%2Fb", "é", &"x".repeat(65)] {
        assert_eq!(
            world.refused(&to_tenant(tenant, None, PLATFORM)),
            mismatch(),
            "{tenant}"
        );
    }
    assert_eq!(world.counted("signature_invalid"), 6);
    // The second time the name is remembered, and what no tenant can be called is never looked up.
    assert_eq!(
        world.with(|outside| outside.secrets_asked.clone()),
        ["webhook/tenant/nobody"]
    );
}

#[test]
fn n15_secret_rotation_without_restart() {
    let world = World::new();
    let new = GatewayRequest::new(event(None)).signed("whsec_new", NOW);
    world.taken(&platform_event());
    let secret = |secrets: &[&str]| json!({ "secrets": secrets }).to_string();
    let set = |secrets: &[&str]| {
        let text = secret(secrets);
        world.with(|outside| outside.secrets.insert("webhook/platform".to_owned(), text));
    };
    set(&[PLATFORM, "whsec_new"]);
    world.taken(&new);
    world.taken(&platform_event());
    set(&["whsec_new"]);
    // The old one is given up once what is remembered has run out.
    world.taken(&platform_event());
    world.with(|outside| outside.now += 299);
    world.taken(&platform_event());
    world.with(|outside| outside.now += 1);
    assert_eq!(world.refused(&platform_event()), mismatch());
    world.taken(&new);
}

#[test]
fn n15_unknown_secrets_cause_one_refresh_a_minute() {
    let world = World::new();
    let wrong = GatewayRequest::new(event(None)).signed("whsec_wrong", NOW);
    for _ in 0..10 {
        assert_eq!(world.refused(&wrong), mismatch());
    }
    let asked = || world.with(|outside| outside.secrets_asked.len());
    assert_eq!(asked(), 2, "the first time, and once again");
    world.with(|outside| outside.now += 60);
    assert_eq!(world.refused(&wrong), mismatch());
    assert_eq!(asked(), 3);
}

#[test]
fn what_cannot_be_genuine_does_not_reach_the_secrets() {
    let world = World::new();
    for request in [
        GatewayRequest::new(event(None)),
        GatewayRequest::new(event(None)).signature("nonsense"),
        GatewayRequest::new(event(None)).signed(PLATFORM, NOW - 301),
    ] {
        assert_eq!(world.refused(&request).0, 400);
    }
    assert!(world.with(|outside| outside.secrets_asked.is_empty()));
}

#[test]
fn trouble_with_the_secrets_is_5xx() {
    let world = World::new();
    world.with(|outside| outside.secrets_down = true);
    assert_eq!(world.refused(&platform_event()).0, 503);
    assert_eq!(world.counted("secrets_unavailable"), 1);
    world.with(|outside| outside.secrets_down = false);
    for (text, code) in [
        (Some("whsec_plain"), "secret_unreadable"),
        (
            Some(r#"{"secrets":["whsec_hidden"],"accounts":["x"]}"#),
            "secret_unreadable",
        ),
        (Some(r#"{"secrets":[""]}"#), "secret_unreadable"),
        (None, "secret_missing"),
    ] {
        let world = World::new();
        world.with(|outside| match text {
            Some(text) => outside
                .secrets
                .insert("webhook/platform".to_owned(), text.to_owned()),
            None => outside.secrets.remove("webhook/platform"),
        });
        assert_eq!(world.refused(&platform_event()).0, 503);
        assert_eq!(world.counted(code), 1, "{code}");
        assert!(!format!("{:?}", world.log()).contains("whsec"));
    }
}

#[test]
fn only_its_own_paths_are_served() {
    let world = World::new();
    for path in ["/", "/api", "/api/integrations/stripe/webhooks"] {
        assert_eq!(world.refused(&platform_event().path(path)).0, 404);
    }
    for rest in ["/", "/acme/", "/acme/more", "x"] {
        let request = platform_event().path(&format!("{PLATFORM_PATH}{rest}"));
        assert_eq!(world.refused(&request).0, 404, "{rest}");
    }
    assert_eq!(world.refused(&platform_event().method("GET")).0, 405);
    world.taken(&platform_event().stage("prod"));
    world.taken(&to_tenant("acme", None, ACME).stage("api"));
}

//! Product events, from Segment's request to the customer's record and to whoever is told.

use paygraph_domain::id::TenantId;
use paygraph_domain::time::Timestamp;
use paygraph_store::token::Right;
use paygraph_testkit::signer::sign_as_segment;
use paygraph_tests::{now, stack, unique, wait};
use serde_json::{Value, json};

/// A tenant to which Segment sends.
struct Tenant {
    id: TenantId,
    secret: String,
    token: String,
}

impl Tenant {
    fn new() -> Self {
        let id = TenantId::parse(unique("t")).unwrap();
        let secret = unique("segment_");
        let document = json!({ "secrets": [secret] });
        stack().keep_secret(&format!("webhook/product/{id}"), &document);
        let token = stack().token(&id, &[Right::Read, Right::Write]);
        Self { id, secret, token }
    }

    /// Sends what Segment would, signed with a secret.
    fn post(&self, body: &Value, secret: &str) -> u16 {
        let url = format!("{}/api/track/{}", stack().local("api_url"), self.id);
        let body = body.to_string();
        let header = sign_as_segment(body.as_bytes(), secret);
        stack().track(&url, body.as_bytes(), &header).0
    }

    fn record(&self, customer: &str) -> Option<Value> {
        let (status, record) = self.ask(&format!("/api/stripe/customer/{customer}"));
        (status == 200).then_some(record)
    }

    fn ask(&self, path: &str) -> (u16, Value) {
        stack().ask(path, Some(&self.token))
    }
}

fn event(fields: &Value) -> Value {
    let timestamp = Timestamp::from_unix(now()).unwrap().to_string();
    let mut event = json!({ "messageId": unique("m"), "userId": "u1", "timestamp": timestamp });
    let known = event.as_object_mut().unwrap();
    known.extend(fields.as_object().unwrap().clone());
    event
}

/// A workspace and its usage become a customer with an alert, once, whatever comes twice; and its
/// user is found from both sides.
#[test]
fn usage_over_the_limit_is_one_alert() {
    let (tenant, workspace) = (Tenant::new(), unique("ws"));
    let group = event(&json!({ "type": "group", "groupId": workspace,
        "traits": { "name": "Acme", "channel": "ads" } }));
    let usage = event(&json!({ "type": "track", "event": "Usage Reported",
        "context": { "groupId": workspace }, "properties": { "used": 85, "limit": 100 } }));
    for event in [&usage, &group, &usage, &group] {
        assert_eq!(tenant.post(event, &tenant.secret), 200);
    }
    let alert = wait("the alert", || {
        let (_, answer) = tenant.ask(&format!("/api/alerts?customer={workspace}"));
        let alerts = answer["data"].as_array().cloned().unwrap_or_default();
        let of_kind = alerts
            .into_iter()
            .filter(|alert| alert["kind"] == "usage_limit");
        let of_kind: Vec<_> = of_kind.collect();
        assert!(of_kind.len() <= 1, "{of_kind:?}");
        of_kind.into_iter().next()
    });
    assert_eq!(alert["status"], "open");
    let record = wait("the company", || {
        tenant
            .record(&workspace)
            .filter(|record| record["company"] == "Acme")
    });
    let segments = record["segments"].as_array().unwrap();
    assert!(
        segments.contains(&json!("usage_limit_near")),
        "{segments:?}"
    );
    let (status, found) = tenant.ask(&format!("/api/workspaces/{workspace}"));
    assert_eq!(
        (status, &found["data"][0]["customer_id"]),
        (200, &json!(workspace))
    );
    let (status, found) = tenant.ask("/api/users/u1");
    assert_eq!(
        (status, &found["data"][0]["customer_id"]),
        (200, &json!(workspace))
    );
    assert_eq!(found["user"]["workspaces"], json!([workspace]));
    let path = "/api/customers?sort=lifetime_value&trait.channel=ads&trait.usage_percent=85";
    let (_, listed) = tenant.ask(path);
    assert_eq!(listed["data"][0]["customer_id"], json!(workspace));
}

/// Without the tenant's own secret nothing is taken, and nothing of it is seen.
#[test]
fn p1_i9_only_what_the_tenants_secret_signed_is_taken() {
    let (tenant, other, workspace) = (Tenant::new(), Tenant::new(), unique("ws"));
    let group = event(&json!({ "type": "group", "groupId": workspace, "traits": {} }));
    assert_eq!(tenant.post(&group, &other.secret), 400);
    assert_eq!(tenant.post(&json!({ "hello": 1 }), &tenant.secret), 422);
    assert_eq!(tenant.post(&json!({ "type": "page" }), &tenant.secret), 200);
    assert_eq!(tenant.post(&group, &tenant.secret), 200);
    wait("the customer", || tenant.record(&workspace));
    assert_eq!(other.record(&workspace), None);
}

//! Product events, from Segment's request to the customer's record and to whoever is told.

use paygraph_domain::time::Timestamp;
use paygraph_testkit::signer::sign_as_segment;
use paygraph_tests::{Tenant, now, stack, unique, wait};
use serde_json::{Value, json};

/// A tenant to which Segment sends, by a secret of theirs.
struct Segment {
    tenant: Tenant,
    secret: String,
}

impl Segment {
    fn new() -> Self {
        let (tenant, secret) = (Tenant::unique(), unique("segment_"));
        let document = json!({ "secrets": [secret] });
        stack().keep_secret(&format!("webhook/product/{}", tenant.id), &document);
        Self { tenant, secret }
    }

    /// Sends what Segment would, signed with a secret.
    fn post(&self, body: &Value, secret: &str) -> u16 {
        let url = format!("{}/api/track/{}", stack().local("api_url"), self.tenant.id);
        let body = body.to_string();
        let header = sign_as_segment(body.as_bytes(), secret);
        stack().track(&url, body.as_bytes(), &header).0
    }

    fn record(&self, customer: &str) -> Option<Value> {
        let path = format!("/api/stripe/customer/{customer}");
        let (status, record) = self.tenant.ask(&path);
        (status == 200).then_some(record)
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
    let (segment, workspace) = (Segment::new(), unique("ws"));
    let tenant = &segment.tenant;
    let group = event(&json!({ "type": "group", "groupId": workspace,
        "traits": { "name": "Acme", "channel": "ads" } }));
    let usage = event(&json!({ "type": "track", "event": "Usage Reported",
        "context": { "groupId": workspace }, "properties": { "used": 85, "limit": 100 } }));
    for event in [&usage, &group, &usage, &group] {
        assert_eq!(segment.post(event, &segment.secret), 200);
    }
    let alert = wait("the alert", || {
        let of_kind = tenant.alerts_of("usage_limit", &workspace);
        assert!(of_kind.len() <= 1, "{of_kind:?}");
        of_kind.into_iter().next()
    });
    assert_eq!(alert["status"], "open");
    let record = wait("the company", || {
        segment
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
    let (ours, other, workspace) = (Segment::new(), Segment::new(), unique("ws"));
    let group = event(&json!({ "type": "group", "groupId": workspace, "traits": {} }));
    assert_eq!(ours.post(&group, &other.secret), 400);
    assert_eq!(ours.post(&json!({ "hello": 1 }), &ours.secret), 422);
    assert_eq!(ours.post(&json!({ "type": "page" }), &ours.secret), 200);
    assert_eq!(ours.post(&group, &ours.secret), 200);
    wait("the customer", || ours.record(&workspace));
    assert_eq!(other.record(&workspace), None);
}

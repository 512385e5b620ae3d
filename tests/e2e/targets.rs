//! What billing sets in motion, from the webhook to whoever is told: each once, whatever comes again,
//! and over when its reason is.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use paygraph_domain::id::TenantId;
use paygraph_store::token::Right;
use paygraph_testkit::fake_attio::{FakeAttio, TOKEN, Trouble};
use paygraph_testkit::signer::sign;
use paygraph_tests::{
    DAY, customer_created, event, now, paygraph, stack, subscription, unique, wait,
};
use serde_json::{Value, json};

/// A tenant that signs for itself.
pub struct Tenant {
    pub id: TenantId,
    secret: String,
    token: String,
}

impl Tenant {
    pub fn new() -> Self {
        let id = TenantId::parse(unique("t")).unwrap();
        let secret = unique("whsec_");
        let document = json!({ "secrets": [secret], "account": null });
        stack().keep_secret(&format!("webhook/tenant/{id}"), &document);
        let token = stack().token(&id, &[Right::Read, Right::Write]);
        Self { id, secret, token }
    }

    pub fn post(&self, event: &Value) {
        let url = format!("{}/{}", stack().local("webhook_url"), self.id);
        let body = event.to_string();
        let header = sign(body.as_bytes(), &self.secret, now());
        assert_eq!(stack().send(&url, body.as_bytes(), Some(&header)).0, 200);
    }

    fn alerts(&self, customer: &str) -> Vec<Value> {
        let path = format!("/api/alerts?customer={customer}");
        let (status, answer) = stack().ask(&path, Some(&self.token));
        match status {
            200 => answer["data"].as_array().unwrap().clone(),
            _ => Vec::new(),
        }
    }
}

/// A place that takes messages as Slack does, and keeps them.
fn slack() -> (String, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let heard: Arc<Mutex<Vec<Value>>> = Arc::default();
    let hearing = Arc::clone(&heard);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = BufReader::new(stream);
            let mut length = 0;
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                let line = line.trim().to_ascii_lowercase();
                if let Some(given) = line.strip_prefix("content-length:") {
                    length = given.trim().parse().unwrap();
                }
                if line.is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let heard = serde_json::from_slice(&body).unwrap();
            hearing.lock().unwrap().push(heard);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
            stream.get_mut().write_all(answer).unwrap();
        }
    });
    (url, heard)
}

pub fn invoice(customer: &str, status: &str, t: i64) -> Value {
    let paid = if status == "paid" { 5_800 } else { 0 };
    json!({
        "id": format!("in_{customer}"), "object": "invoice", "customer": customer, "status": status,
        "currency": "usd", "created": t, "amount_due": 5_800, "amount_paid": paid,
        "amount_remaining": 5_800 - paid, "total": 5_800, "attempt_count": 1, "attempted": true,
        "next_payment_attempt": (status == "open").then_some(t + 3 * DAY),
        "collection_method": "charge_automatically", "billing_reason": "subscription_cycle",
        "parent": { "type": "subscription_details",
            "subscription_details": { "subscription": format!("sub_{customer}") } },
        "lines": { "object": "list", "has_more": false, "data": [] },
    })
}

/// A payment that failed is one alert of each kind, one message and one enrolment, though the webhook
/// comes three times; when it is paid, all of it is over.
#[test]
fn a_failed_payment_is_told_once_and_over_when_it_is_paid() {
    let (tenant, customer, t) = (Tenant::new(), unique("cus_"), now() - 60);
    let (url, heard) = slack();
    stack().keep_secret(&format!("slack/{}", tenant.id), &json!({ "url": url }));
    tenant.post(&customer_created(&unique("evt_"), &customer));
    let active = subscription(&customer, "active", t);
    tenant.post(&event(
        &unique("evt_"),
        "customer.subscription.created",
        t,
        &active,
    ));
    let open = invoice(&customer, "open", t);
    let failed = event(&unique("evt_"), "invoice.payment_failed", t + 10, &open);
    for _ in 0..3 {
        tenant.post(&failed);
    }
    let of_kind = |kind: &str| {
        let alerts = tenant.alerts(&customer);
        let of_kind = alerts.into_iter().filter(|alert| alert["kind"] == kind);
        of_kind.collect::<Vec<_>>()
    };
    let raised = wait("the alert", || of_kind("payment_failure").pop());
    assert_eq!(raised["status"], "open");
    let step = format!("sequence:failed_payment_recovery:{customer}:1:notice");
    let steps = || stack().delivered(&step);
    let (name, told) = wait("the first step", || steps().pop());
    assert_eq!(
        (name.as_str(), &told["data"]["name"]),
        ("sequence_step_due", &json!("notice"))
    );
    wait("Slack", || {
        (!heard.lock().unwrap().is_empty()).then_some(())
    });
    // Whatever else the three deliveries set off has come by now.
    tenant.post(&failed);
    let id = raised["id"].as_str().unwrap();
    let path = format!("alerts/{id}/acknowledge");
    let (status, taken) = stack().post_as(&path, &json!({ "by": "cs-team" }), &tenant.token);
    assert_eq!(
        (status, &taken["status"]),
        (200, &json!("acknowledged")),
        "{taken}"
    );

    let paid = invoice(&customer, "paid", t);
    tenant.post(&event(&unique("evt_"), "invoice.paid", t + 20, &paid));
    wait("that it is over", || {
        let alerts = tenant.alerts(&customer);
        let over = alerts.iter().all(|alert| alert["status"] == "resolved");
        (over && !alerts.is_empty()).then_some(())
    });
    assert_eq!(of_kind("payment_failure").len(), 1);
    assert_eq!(steps().len(), 1);
    let heard = heard.lock().unwrap();
    let of_failure = heard.iter().filter(|message| {
        let text = message["text"].as_str().unwrap();
        text.starts_with(raised["title"].as_str().unwrap())
    });
    assert_eq!(of_failure.count(), 1, "{heard:?}");
}

/// Attio shows a customer as it is: all of them by a sync, and what changes by the bus.
#[test]
fn attio_shows_a_customer_as_it_is() {
    let (tenant, customer, t) = (Tenant::new(), unique("cus_"), now() - 60);
    // First, since a function remembers for a minute that a tenant has no token.
    let attio = stack()
        .block_on(FakeAttio::start(Trouble::default()))
        .unwrap();
    let secret = json!({ "token": TOKEN, "url": attio.url() });
    stack().keep_secret(&format!("attio/{}", tenant.id), &secret);
    tenant.post(&customer_created(&unique("evt_"), &customer));
    let active = subscription(&customer, "active", t);
    let created = event(&unique("evt_"), "customer.subscription.created", t, &active);
    tenant.post(&created);
    let id = created["id"].as_str().unwrap();
    wait("the subscription", || {
        (!stack().delivered(id).is_empty()).then_some(())
    });
    let crm = |what: &str| {
        let ran = paygraph(&["crm", what, "--json", "--tenant", tenant.id.as_str()]);
        let error = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success(), "{error}");
        serde_json::from_slice::<Value>(&ran.stdout).unwrap()
    };
    assert_eq!(crm("check"), json!({ "missing": [] }));
    let first = crm("sync");
    assert_eq!(
        (&first["contacts"], &first["failed"]),
        (&json!(1), &json!([]))
    );
    let shown = |name: &str| attio.record("subscriptions", &customer).unwrap()[name].clone();
    assert_eq!(shown("status"), "active");
    assert_eq!(crm("sync")["written"], 0, "it has everything");

    let past_due = subscription(&customer, "past_due", t);
    tenant.post(&event(
        &unique("evt_"),
        "customer.subscription.updated",
        t + 10,
        &past_due,
    ));
    wait("Attio", || (shown("status") == "past_due").then_some(()));
    let body = json!({ "company": "Acme" }).to_string();
    assert_eq!(stack().put(&customer, &body, &tenant.token).0, 200);
    wait("the company", || {
        let workspace = attio.record("workspaces", &customer);
        (workspace.unwrap()["name"] == "Acme").then_some(())
    });
    assert!(attio.complaints().is_empty(), "{:?}", attio.complaints());
}

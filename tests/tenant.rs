//! A tenant of a test's own, and what happens to its customers.

use std::sync::atomic::{AtomicUsize, Ordering};

use paygraph_domain::id::{Cause, TenantId};
use paygraph_engine::ports::Store as _;
use paygraph_store::token::Right;
use paygraph_testkit::fake_stripe::{Config, FakeStripe};
use paygraph_testkit::signer::sign;
use serde_json::{Value, json};

use crate::{customer_created, event, invoice, now, stack, subscription, unique, wait};

/// A tenant whose events are signed with a secret of its own.
#[derive(Debug)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// A token for the API, to read and to write.
    pub token: String,
    secret: String,
}

impl Tenant {
    /// One that no other test has.
    #[must_use]
    pub fn unique() -> Self {
        Self::of(TenantId::parse(unique("t")).unwrap())
    }

    /// One that no other test has, which is connected to a fake Stripe.
    #[must_use]
    pub fn with_stripe(config: Config) -> (Self, FakeStripe) {
        let (id, stripe) = stack().with_stripe(config);
        (Self::of(id), stripe)
    }

    fn of(id: TenantId) -> Self {
        let secret = unique("whsec_");
        let document = json!({ "secrets": [secret], "account": null });
        stack().keep_secret(&format!("webhook/tenant/{id}"), &document);
        let token = stack().token(&id, &[Right::Read, Right::Write]);
        Self { id, token, secret }
    }

    /// Sends an event as Stripe does.
    pub fn post(&self, event: &Value) {
        self.post_text(&event.to_string());
    }

    /// Sends the texts of events as Stripe does, eight at a time.
    pub fn post_all(&self, events: &[String]) {
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    while let Some(event) = events.get(next.fetch_add(1, Ordering::Relaxed)) {
                        self.post_text(event);
                    }
                });
            }
        });
    }

    /// Waits until a cause is processed and published.
    pub fn settled(&self, cause: &str) {
        let cause = Cause::parse(cause).unwrap();
        wait(&format!("{cause} to be processed"), || {
            let entry = stack().block_on(stack().store.ledger(&self.id, &cause));
            entry.unwrap().filter(|entry| entry.outbox.is_empty())
        });
    }

    fn post_text(&self, body: &str) {
        let url = format!("{}/{}", stack().local("webhook_url"), self.id);
        let header = sign(body.as_bytes(), &self.secret, now());
        assert_eq!(stack().send(&url, body.as_bytes(), Some(&header)).0, 200);
    }

    /// A customer with an address, and a subscription of theirs that runs since an instant. Gives the
    /// subscription's event.
    pub fn subscribe(&self, customer: &str, email: &str, t: i64) -> String {
        let mut created = customer_created(&unique("evt_"), customer);
        created["data"]["object"]["email"] = json!(email);
        self.post(&created);
        let id = unique("evt_");
        let active = subscription(customer, "active", t);
        self.post(&event(&id, "customer.subscription.created", t, &active));
        id
    }

    /// A payment that failed at an instant, told three times. Gives the event.
    pub fn fail_payment(&self, customer: &str, t: i64) -> Value {
        let open = invoice(customer, "open", t);
        let failed = event(&unique("evt_"), "invoice.payment_failed", t, &open);
        for _ in 0..3 {
            self.post(&failed);
        }
        failed
    }

    /// The payment that had failed at an instant went through ten seconds later, told three times.
    pub fn recover_payment(&self, customer: &str, t: i64) {
        let paid = invoice(customer, "paid", t);
        let paid = event(&unique("evt_"), "invoice.paid", t + 10, &paid);
        for _ in 0..3 {
            self.post(&paid);
        }
    }

    /// Since an instant, a customer's subscription has another status. Gives the event.
    pub fn turn(&self, customer: &str, status: &str, since: i64, t: i64) -> Value {
        let subscription = subscription(customer, status, since);
        let turned = event(
            &unique("evt_"),
            "customer.subscription.updated",
            t,
            &subscription,
        );
        self.post(&turned);
        turned
    }

    /// Asks the API.
    #[must_use]
    pub fn ask(&self, path: &str) -> (u16, Value) {
        stack().ask(path, Some(&self.token))
    }

    /// The alerts about a customer.
    #[must_use]
    pub fn alerts(&self, customer: &str) -> Vec<Value> {
        let (status, answer) = self.ask(&format!("/api/alerts?customer={customer}"));
        match status {
            200 => answer["data"].as_array().unwrap().clone(),
            _ => Vec::new(),
        }
    }

    /// Waits until the alerts about a customer, of which there were some, are all over.
    pub fn wait_until_resolved(&self, customer: &str) {
        wait("that it is over", || {
            let alerts = self.alerts(customer);
            let over = alerts.iter().all(|alert| alert["status"] == "resolved");
            // An answer without any may be none at all.
            (over && !alerts.is_empty()).then_some(())
        });
    }

    /// The alerts of one kind about a customer.
    #[must_use]
    pub fn alerts_of(&self, kind: &str, customer: &str) -> Vec<Value> {
        let alerts = self.alerts(customer).into_iter();
        alerts.filter(|alert| alert["kind"] == kind).collect()
    }
}

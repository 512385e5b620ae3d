//! Every path that commits, over random histories: the store in memory refuses what DynamoDB refuses,
//! and no path is refused.

use std::time::Duration;

use paygraph_domain::contact::Profile;
use paygraph_domain::id::{Cause, CustomerId, StripeCustomerId};
use paygraph_domain::product::segment::read;
use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::identity::{Changed, IdentityError, Request};
use paygraph_engine::run::Job;
use serde_json::json;

use super::stack::{START, Stack, empty, history, holding, now, whole};
use crate::stripe_api::default;

/// A person at the API, the product and the clock, all at random.
struct Others<'a> {
    stack: &'a Stack,
    random: fastrand::Rng,
    done: usize,
}

impl Others<'_> {
    fn contact(&mut self) -> CustomerId {
        let contacts = self.stack.engine.store.contacts();
        let known = self
            .random
            .choice(&contacts)
            .filter(|_| !self.done.is_multiple_of(3));
        let new = || CustomerId::parse(format!("c{}", self.done)).unwrap();
        known.map_or_else(new, |contact| contact.id.clone())
    }

    fn names(&mut self, text: &str) -> std::collections::BTreeSet<String> {
        let count = self.random.usize(0..=50);
        (0..count)
            .map(|_| format!("{text}{}", self.random.u32(0..600)))
            .collect()
    }

    fn deadline() -> Deadline {
        Deadline::after(Duration::from_secs(60))
    }

    /// What a person may ask for at any time; only a limit or an unknown customer stops it.
    async fn ask(&mut self) {
        self.done += 1;
        let engine = &self.stack.engine;
        let cause = Cause::parse(format!("api:{}", self.done)).unwrap();
        let tenant = default();
        let request = Request {
            tenant: &tenant,
            cause: &cause,
            deadline: Self::deadline(),
        };
        let (one, other) = (self.contact(), self.contact());
        let customer = StripeCustomerId::parse(one.as_str()).unwrap();
        let done: Result<Changed, IdentityError> = match self.random.u8(0..4) {
            0 | 1 => {
                let given = Profile {
                    email: Some(format!("a{}@example.com", self.random.u8(0..5))),
                    users: self.names("u"),
                    workspaces: self.names("w"),
                    ..Profile::default()
                };
                engine.put_profile(&request, &one, &given).await
            }
            2 => engine.link(&request, &customer, Some(&other)).await,
            _ => engine.merge(&request, &one, &other).await,
        };
        if let Err(error) = done {
            let is_limit = matches!(
                error,
                IdentityError::NotFound(_)
                    | IdentityError::Full(_)
                    | IdentityError::Limit { .. }
                    | IdentityError::Refused(_)
            );
            assert!(is_limit, "{error}");
        }
    }

    async fn hear(&mut self) {
        self.done += 1;
        let workspace = format!("w{}", self.random.u32(0..600));
        let (tenant, user) = (default(), format!("u{}", self.random.u32(0..600)));
        let raw = json!({ "type": "group", "messageId": format!("m{}", self.done),
            "userId": user, "groupId": workspace });
        let came = Timestamp::from_unix(START + 86_400).unwrap();
        let event = read(&raw, came.into()).unwrap();
        let heard = self.stack.engine.hear(&tenant, &event, Self::deadline());
        heard.await.unwrap();
    }

    /// Time passes, and all contacts are computed again.
    async fn minute(&mut self) {
        self.done += 1;
        let later = START + i64::from(self.random.u32(0..400)) * 86_400;
        let later = Timestamp::from_unix(later).unwrap();
        let Stack { engine, bus, .. } = self.stack;
        let ticked = engine.tick(bus, later, Self::deadline()).await.unwrap();
        assert_eq!(ticked.failed, 0);
        let all: Vec<_> = engine.store.contacts().into_iter().map(|c| c.id).collect();
        let run = format!("run:{}", self.done);
        let ran = engine
            .reevaluate(bus, &default(), &all, &run, later)
            .await
            .unwrap();
        assert_eq!(ran.failed, 0);
    }
}

/// T2: webhooks, people, product events, time, an import and a comparison, in random order over one
/// store: none is refused.
#[tokio::test]
async fn t2_no_commit_of_any_path_is_refused() {
    for seed in 0..6 {
        let history = history(seed, 12);
        let stripe = holding(&history).await;
        let stack = Stack::new(&stripe);
        let mut others = Others {
            stack: &stack,
            random: fastrand::Rng::with_seed(seed),
            done: 0,
        };
        let mut events = history.events.clone();
        others.random.shuffle(&mut events);
        for event in &events {
            if others.random.u8(0..10) > 0 {
                stack.deliver([event]).await;
            }
            match others.random.u8(0..16) {
                0..=2 => others.ask().await,
                3 | 4 => others.hear().await,
                5 => others.minute().await,
                _ => {}
            }
        }
        for job in [Job::Backfill, Job::Reconcile] {
            let (run, _) = stack.run(job, whole()).await;
            assert!(run.counts.failed.is_empty(), "{:?}", run.counts.failed);
        }
    }
}

/// T2: objects of one customer that need more writes than one transaction takes are committed in
/// parts, and a second import has nothing to do.
#[tokio::test]
async fn t2_objects_that_do_not_fit_in_one_transaction_are_committed_in_parts() {
    let stripe = empty().await;
    stripe.put(
        json!({ "id": "cus_1", "object": "customer", "created": START,
        "invoice_settings": {}, "metadata": {} }),
    );
    for n in 0..85 {
        stripe.put(
            json!({ "id": format!("cs_{n}"), "object": "checkout.session",
            "customer": "cus_1", "payment_intent": format!("pi_{n}"), "created": now() - 1_000,
            "mode": "payment", "status": "complete", "payment_status": "paid",
            "currency": "usd", "amount_total": 100 }),
        );
    }
    let stack = Stack::new(&stripe);
    let (run, _) = stack.run(Job::Backfill, whole()).await;
    assert!(run.counts.failed.is_empty(), "{:?}", run.counts.failed);
    let (_, _, beside) = stack.engine.store.accounts().remove(0);
    assert_eq!(beside.len(), 85);
    assert_eq!(stack.told()["customer_synced"], 1);
    let (again, _) = stack.run(Job::Backfill, whole()).await;
    assert_eq!(again.counts.committed, 0);
}

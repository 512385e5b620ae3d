//! That somebody was in touch: told by our own e-mails and by the CRM, late as a rule and again and
//! again.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt as _;
use paygraph_domain::contact::{Contact, Profile};
use paygraph_domain::fact::Source;
use paygraph_domain::id::{Cause, StripeCustomerId, TenantId};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::identity::Request;
use paygraph_engine::memory::{MemoryStore, StoppedClock};
use paygraph_engine::ports::{Clock, LedgerEntry};
use paygraph_engine::process::Engine;
use serde_json::{Value, json};

use crate::common::{id, soon, tenant};

const START: i64 = 1_790_000_000;
const DAY: i64 = 86_400;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(START + seconds).unwrap()
}

/// What happens to a store's customers.
struct World(MemoryStore);

impl World {
    fn new() -> Self {
        let store = MemoryStore::new(Settings::example().unwrap());
        Self(store.keeping_history())
    }

    fn engine(&self, now: i64) -> Engine<MemoryStore, StoppedClock> {
        Engine::alone(self.0.clone(), StoppedClock(at(now)))
    }

    /// A Stripe customer is seen.
    async fn customer(&self, customer: &str, when: i64, email: Option<&str>) {
        let object = json!({ "id": customer, "object": "customer", "email": email });
        let event = json!({ "id": format!("evt_{customer}_{when}"), "type": "customer.updated",
            "created": START + when, "livemode": false, "data": { "object": object } });
        let (engine, tenant, event) = (self.engine(when), tenant(), event.to_string());
        let processed = engine.process(&tenant, &event, Source::Webhook, soon());
        processed.await.unwrap();
    }

    async fn put(&self, contact: &str, given: Profile) {
        let cause = Cause::parse(format!("api:put:{}", self.0.commits())).unwrap();
        let (engine, tenant) = (self.engine(0), tenant());
        let request = request(&tenant, &cause);
        let put = engine.put_profile(&request, &id(contact), &given).await;
        put.unwrap();
    }

    async fn contacted(&self, now: i64, contact: &str, when: i64) -> Option<LedgerEntry> {
        let (engine, tenant, contact) = (self.engine(now), tenant(), id(contact));
        let contacted = engine.contacted(&tenant, &contact, at(when), soon());
        contacted.await.unwrap()
    }

    /// Links a Stripe customer; gives what that tells.
    async fn link(&self, customer: &str, to: Option<&str>) -> Vec<(String, String)> {
        let cause = Cause::parse(format!("api:link:{}", self.0.commits())).unwrap();
        let (engine, tenant) = (self.engine(9), tenant());
        let (request, to) = (request(&tenant, &cause), to.map(id));
        let customer = StripeCustomerId::parse(customer).unwrap();
        let linked = engine.link(&request, &customer, to.as_ref()).await.unwrap();
        let told = linked.entry.into_iter().flat_map(|entry| entry.outbox);
        let told = told.map(|told| {
            let contact = told.detail.customer_id.as_ref().unwrap().to_string();
            (contact, told.detail_type)
        });
        told.collect()
    }

    /// The contacts that there are, with when somebody was in touch.
    fn contacts(&self) -> Vec<(String, Value)> {
        let contacts = self.0.contacts().into_iter();
        let contacts = contacts.map(|contact: Contact| {
            let touched = contact.traits().get("last_contacted_at").cloned();
            (contact.id.to_string(), touched.unwrap_or_default())
        });
        contacts.collect()
    }
}

fn request<'a>(tenant: &'a TenantId, cause: &'a Cause) -> Request<'a> {
    Request {
        tenant,
        cause,
        deadline: soon(),
    }
}

fn email(address: &str) -> Profile {
    Profile {
        email: Some(address.to_owned()),
        ..Profile::default()
    }
}

fn touched(contact: &str, when: i64) -> (String, Value) {
    (contact.to_owned(), json!(at(when).to_string()))
}

/// I12: of a contact that only Stripe made nothing is left when its Stripe customer goes, by hand or
/// by its address; that somebody was in touch goes along.
#[tokio::test]
async fn i12_whom_somebody_talked_to_takes_that_along() {
    for (theirs, ours, expected) in [(5, None, 5), (5, Some(3), 5), (5, Some(7), 7)] {
        for by_hand in [true, false] {
            let world = World::new();
            world.customer("cus_1", 0, None).await;
            world.contacted(9, "cus_1", theirs).await;
            assert_eq!(world.contacts(), [touched("cus_1", theirs)]);
            world.put("acme", email("zoe@acme.example")).await;
            if let Some(ours) = ours {
                world.contacted(9, "acme", ours).await;
            }
            if by_hand {
                let told = world.link("cus_1", Some("acme")).await;
                let ended = ("cus_1".to_owned(), "segment_left".to_owned());
                let of_both = |told: &(String, String)| told.0 == "acme" || *told == ended;
                assert!(told.iter().all(of_both), "{told:?}");
            } else {
                world.customer("cus_1", 9, Some("zoe@acme.example")).await;
            }
            assert_eq!(world.contacts(), [touched("acme", expected)]);
        }
    }
}

/// What the tenant itself put stays, however little it says.
#[tokio::test]
async fn what_the_tenant_put_stays_without_a_stripe_customer() {
    let world = World::new();
    world.put("acme", Profile::default()).await;
    world.customer("cus_1", 0, None).await;
    world.link("cus_1", Some("acme")).await;
    world.contacted(9, "acme", 5).await;
    world.link("cus_1", None).await;
    let nobody = ("cus_1".to_owned(), Value::Null);
    assert_eq!(world.contacts(), [touched("acme", 5), nobody]);
}

/// Our clock; when it is looked at for the first time, somebody merges a customer into another.
struct Merging<'a>(&'a World, AtomicBool);

impl Clock for Merging<'_> {
    fn now(&self) -> Timestamp {
        if !self.1.swap(true, Ordering::Relaxed) {
            let (engine, tenant) = (self.0.engine(9), tenant());
            let cause = Cause::parse("api:merge".to_owned()).unwrap();
            let (request, gone, into) = (request(&tenant, &cause), id("gone"), id("acme"));
            let merge = engine.merge(&request, &gone, &into);
            merge.now_or_never().unwrap().unwrap();
        }
        at(9)
    }
}

/// Who is merged away meanwhile does not come back.
#[tokio::test]
async fn who_is_gone_does_not_come_back() {
    let world = World::new();
    for contact in ["gone", "acme"] {
        world.put(contact, Profile::default()).await;
    }
    let clock = Merging(&world, AtomicBool::new(false));
    let engine = Engine::alone(world.0.clone(), clock);
    let (tenant, gone) = (tenant(), id("gone"));
    let entry = engine.contacted(&tenant, &gone, at(5), soon()).await;
    assert_eq!(entry.unwrap(), None);
    assert_eq!(world.contacts(), [("acme".to_owned(), Value::Null)]);
}

/// A segment that is left because somebody was in touch days ago is left now, and nobody takes it
/// for old news; to say the same, or less, is to say nothing.
#[tokio::test]
async fn what_follows_from_an_old_contact_is_news_once() {
    let world = World::new();
    let mut given = Profile::default();
    given.traits.insert("usage_percent".to_owned(), json!(82));
    world.put("acme", given).await;
    let entry = world.contacted(9, "acme", -5 * DAY).await.unwrap();
    let told = entry.outbox.iter();
    let told: Vec<_> = told
        .map(|told| (&*told.detail_type, told.detail.occurred_at))
        .collect();
    let expected = ["segment_left", "customer_updated"];
    assert_eq!(told, expected.map(|name| (name, at(9))));
    let audit = world.0.audit().pop().unwrap();
    assert_eq!((audit.at, audit.cause), (at(9), entry.cause));
    assert!(audit.changes.iter().any(|change| change.field == "traits"));

    let commits = world.0.commits();
    for when in [-5, -6] {
        // By then the segment is entered again, which is the tick's to tell.
        assert_eq!(world.contacted(4 * DAY, "acme", when * DAY).await, None);
    }
    assert_eq!(world.0.commits(), commits);
}

//! Who is who: I3–I6, I11, I12 over the store.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::BTreeSet;
use std::time::Duration;

use paygraph_domain::contact::{Contact, Profile};
use paygraph_domain::fact::Source;
use paygraph_domain::id::{Cause, CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::identity::{By, Name};
use paygraph_domain::settings::{Settings, Unmatched};
use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::identity::{Changed, IdentityError, Request};
use paygraph_engine::memory::{MemoryStore, StoppedClock};
use paygraph_engine::ports::Store;
use paygraph_engine::process::Engine;
use paygraph_testkit::world::price;
use serde_json::{Value, json};

type TestEngine = Engine<MemoryStore, StoppedClock>;

const START: i64 = 1_790_000_000;

fn engine() -> TestEngine {
    with(Settings::example().unwrap())
}

fn with(settings: Settings) -> TestEngine {
    Engine::alone(
        MemoryStore::new(settings),
        StoppedClock(Timestamp::from_unix(START).unwrap()),
    )
}

fn tenant() -> TenantId {
    TenantId::parse("default").unwrap()
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

fn id(text: &str) -> CustomerId {
    CustomerId::parse(text).unwrap()
}

fn cus(text: &str) -> StripeCustomerId {
    StripeCustomerId::parse(text).unwrap()
}

async fn feed(engine: &TestEngine, name: &str, kind: &str, object: Value) {
    let event = json!({
        "id": format!("evt_{name}"), "type": kind, "created": START, "livemode": false,
        "data": { "object": object },
    });
    deliver(engine, &event.to_string()).await;
}

async fn deliver(engine: &TestEngine, event: &str) {
    engine
        .process(&tenant(), event, Source::Webhook, soon())
        .await
        .unwrap();
}

async fn customer(engine: &TestEngine, id: &str, fields: Value) {
    let mut object = json!({ "id": id, "object": "customer", "created": START, "metadata": {} });
    let known = object.as_object_mut().unwrap();
    known.extend(fields.as_object().unwrap().clone());
    feed(engine, id, "customer.created", object).await;
}

async fn subscription(engine: &TestEngine, n: usize, customer: &str) {
    let object = json!({
        "id": format!("sub_{n}"), "customer": customer, "status": "active", "currency": "usd",
        "created": START, "items": { "data": [{ "id": "si_1", "price": price(1), "quantity": 1 }] },
    });
    let name = format!("s{n}");
    feed(engine, &name, "customer.subscription.created", object).await;
}

async fn put(engine: &TestEngine, id: &str, given: Profile) -> Changed {
    let n = engine.store.commits();
    let cause = Cause::parse(format!("api:put{n}")).unwrap();
    let request = Request {
        tenant: &tenant(),
        cause: &cause,
        deadline: soon(),
    };
    let id = CustomerId::parse(id).unwrap();
    engine.put_profile(&request, &id, &given).await.unwrap()
}

async fn link(
    engine: &TestEngine,
    customer: &str,
    to: Option<&str>,
) -> Result<Changed, IdentityError> {
    let n = engine.store.commits();
    let cause = Cause::parse(format!("api:link{n}")).unwrap();
    let request = Request {
        tenant: &tenant(),
        cause: &cause,
        deadline: soon(),
    };
    let to = to.map(id);
    engine.link(&request, &cus(customer), to.as_ref()).await
}

async fn merge(engine: &TestEngine, from: &str, into: &str) -> Result<Changed, IdentityError> {
    let n = engine.store.commits();
    let cause = Cause::parse(format!("api:merge{n}")).unwrap();
    let request = Request {
        tenant: &tenant(),
        cause: &cause,
        deadline: soon(),
    };
    engine.merge(&request, &id(from), &id(into)).await
}

fn email(address: &str) -> Profile {
    Profile {
        email: Some(address.to_owned()),
        ..Profile::default()
    }
}

fn contact(engine: &TestEngine, id: &str) -> Option<Contact> {
    let contacts = engine.store.contacts();
    contacts
        .into_iter()
        .find(|contact| contact.id.as_str() == id)
}

/// MRR in cents of a contact.
fn mrr(engine: &TestEngine, id: &str) -> i64 {
    let settings = Settings::example().unwrap();
    let billing = contact(engine, id).unwrap().billing(&settings);
    billing.mrr.iter().map(|(_, minor)| minor).sum()
}

async fn owner(engine: &TestEngine, customer: &str) -> String {
    let owner = engine.store.contact_of(&tenant(), &cus(customer)).await;
    owner.unwrap().unwrap().to_string()
}

/// The chain: metadata, then the exact address, then the company's domain, then its name.
#[tokio::test]
async fn i4_the_surest_name_counts() {
    let engine = engine();
    put(&engine, "by-email", email("zoe@acme.example")).await;
    let domain = Profile {
        domain: Some("initech.example".to_owned()),
        ..Profile::default()
    };
    put(&engine, "by-domain", domain).await;
    let company = Profile {
        company: Some("Umbrella Ltd.".to_owned()),
        ..Profile::default()
    };
    put(&engine, "by-company", company).await;
    let named =
        json!({ "email": "zoe@acme.example", "metadata": { "customer_id": "by-metadata" } });
    customer(&engine, "cus_1", named).await;
    customer(&engine, "cus_2", json!({ "email": "ZOE@acme.example" })).await;
    customer(
        &engine,
        "cus_3",
        json!({ "email": "billing@initech.example" }),
    )
    .await;
    let umbrella = json!({ "email": "x@gmail.com", "name": "UMBRELLA, Limited" });
    customer(&engine, "cus_4", umbrella).await;
    customer(
        &engine,
        "cus_5",
        json!({ "email": "y@gmail.com", "name": "Nobody" }),
    )
    .await;
    for (customer, expected) in [
        ("cus_1", "by-metadata"),
        ("cus_2", "by-email"),
        ("cus_3", "by-domain"),
        ("cus_4", "by-company"),
        ("cus_5", "cus_5"),
    ] {
        assert_eq!(owner(&engine, customer).await, expected, "{customer}");
    }
    assert!(engine.store.reviews().is_empty());
}

/// I4: two Stripe customers with a free-mail address are not one company, and a contact that Stripe
/// made is nobody's match.
#[tokio::test]
async fn i4_free_mail_and_stripes_own_contacts_match_nothing() {
    let engine = engine();
    put(&engine, "ann", email("ann@gmail.com")).await;
    customer(&engine, "cus_1", json!({ "email": "ben@gmail.com" })).await;
    customer(&engine, "cus_2", json!({ "email": "ben@gmail.com" })).await;
    assert_eq!(owner(&engine, "cus_1").await, "cus_1");
    assert_eq!(owner(&engine, "cus_2").await, "cus_2");
}

/// I4: a match is made once. Another address later moves nothing; metadata still does.
#[tokio::test]
async fn i4_a_match_is_made_once() {
    let engine = engine();
    put(&engine, "a", email("zoe@a.example")).await;
    put(&engine, "b", email("zoe@b.example")).await;
    customer(&engine, "cus_1", json!({ "email": "zoe@a.example" })).await;
    let moved =
        json!({ "id": "cus_1", "object": "customer", "email": "zoe@b.example", "metadata": {} });
    feed(&engine, "2", "customer.updated", moved).await;
    assert_eq!(owner(&engine, "cus_1").await, "a");
    let named = json!({
        "id": "cus_1", "object": "customer", "email": "zoe@b.example", "metadata": { "customer_id": "c" },
    });
    let event = json!({
        "id": "evt_3", "type": "customer.updated", "created": START + 5, "livemode": false,
        "data": { "object": named },
    });
    let text = event.to_string();
    let processed = engine
        .process(&tenant(), &text, Source::Webhook, soon())
        .await;
    processed.unwrap();
    assert_eq!(owner(&engine, "cus_1").await, "c");
}

/// I1: events before the customer: it gets a contact of its own, and moves once its address is
/// known; nothing is lost on the way.
#[tokio::test]
async fn i1_a_customer_that_comes_late_moves_to_its_contact() {
    let engine = engine();
    put(&engine, "acme", email("zoe@acme.example")).await;
    subscription(&engine, 1, "cus_1").await;
    assert_eq!(
        (
            owner(&engine, "cus_1").await.as_str(),
            mrr(&engine, "cus_1")
        ),
        ("cus_1", 5800)
    );
    customer(&engine, "cus_1", json!({ "email": "zoe@acme.example" })).await;
    assert_eq!(
        (owner(&engine, "cus_1").await.as_str(), mrr(&engine, "acme")),
        ("acme", 5800)
    );
    assert!(
        contact(&engine, "cus_1").is_none(),
        "nothing holds the first one any more"
    );
}

/// I11: two contacts with one address: nobody picks, somebody looks; a link by hand settles it for
/// good.
#[tokio::test]
async fn i11_several_matches_go_to_review() {
    let engine = engine();
    for id in ["a", "b"] {
        put(&engine, id, email("team@acme.example")).await;
    }
    customer(&engine, "cus_1", json!({ "email": "team@acme.example" })).await;
    subscription(&engine, 1, "cus_1").await;
    assert_eq!(owner(&engine, "cus_1").await, "cus_1");
    let reviews = engine.store.reviews();
    assert_eq!(reviews.len(), 1);
    let (of, review) = &reviews[0];
    assert_eq!((of.as_str(), review.by), ("cus_1", Some(By::Email)));
    assert_eq!(review.candidates, [id("a"), id("b")]);
    link(&engine, "cus_1", Some("b")).await.unwrap();
    assert!(engine.store.reviews().is_empty());
    assert_eq!(
        (owner(&engine, "cus_1").await.as_str(), mrr(&engine, "b")),
        ("b", 5800)
    );
    // What Stripe says later moves it no more.
    let named = json!({
        "id": "cus_1", "object": "customer", "metadata": { "customer_id": "a" },
    });
    feed(&engine, "9", "customer.updated", named).await;
    assert_eq!(owner(&engine, "cus_1").await, "b");
}

/// With the setting `review`, those that match nobody are listed too, and nothing is dropped.
#[tokio::test]
async fn i1_unmatched_ones_are_listed_if_the_tenant_wants() {
    let settings = Settings {
        unmatched: Unmatched::Review,
        ..Settings::example().unwrap()
    };
    let engine = with(settings);
    subscription(&engine, 1, "cus_1").await;
    customer(&engine, "cus_1", json!({ "email": "zoe@acme.example" })).await;
    assert_eq!(engine.store.reviews().len(), 1);
    assert_eq!(mrr(&engine, "cus_1"), 5800);
}

/// I12, I3: linking, unlinking and merging lose nothing, and the sums are right at once.
#[tokio::test]
async fn i12_links_and_merges_lose_nothing() {
    let engine = engine();
    put(&engine, "acme", email("zoe@acme.example")).await;
    put(&engine, "other", email("ben@other.example")).await;
    for n in 1..=3 {
        let customer = format!("cus_{n}");
        subscription(&engine, n, &customer).await;
        link(&engine, &customer, Some("acme")).await.unwrap();
    }
    assert_eq!(mrr(&engine, "acme"), 3 * 5800);
    let linked = link(&engine, "cus_3", None).await.unwrap();
    assert_eq!(linked.contact.id.as_str(), "cus_3");
    assert_eq!(
        (mrr(&engine, "acme"), mrr(&engine, "cus_3")),
        (2 * 5800, 5800)
    );
    link(&engine, "cus_3", Some("other")).await.unwrap();
    let merged = merge(&engine, "acme", "other").await.unwrap();
    assert_eq!(
        (mrr(&engine, "other"), merged.contact.accounts.len()),
        (3 * 5800, 3)
    );
    assert!(contact(&engine, "acme").is_none());
    let email = Name::email("zoe@acme.example").unwrap();
    assert!(
        engine
            .store
            .named(&tenant(), &email)
            .await
            .unwrap()
            .is_empty()
    );
    // Events after it find the new place.
    subscription(&engine, 4, "cus_1").await;
    assert_eq!(mrr(&engine, "other"), 4 * 5800);
    let changed: i64 = engine.store.commits().try_into().unwrap();
    assert!(changed > 0);
}

/// Links that make no sense are refused, and change nothing.
#[tokio::test]
async fn bad_links_are_refused() {
    let engine = engine();
    put(&engine, "acme", Profile::default()).await;
    subscription(&engine, 1, "cus_1").await;
    let commits = engine.store.commits();
    for refused in [
        link(&engine, "cus_9", Some("acme")).await,
        link(&engine, "cus_1", Some("nobody")).await,
        merge(&engine, "acme", "acme").await,
        merge(&engine, "acme", "nobody").await,
    ] {
        assert!(refused.is_err());
    }
    assert_eq!(engine.store.commits(), commits);
}

/// Users belong to several workspaces, and are found from both sides.
#[tokio::test]
async fn users_and_workspaces_are_many_to_many() {
    let engine = engine();
    for (contact, users) in [("a", ["u1", "u2"]), ("b", ["u2", "u3"])] {
        let given = Profile {
            users: users.iter().map(|user| (*user).to_owned()).collect(),
            workspaces: BTreeSet::from([format!("w-{contact}")]),
            ..Profile::default()
        };
        put(&engine, contact, given).await;
    }
    let of = async |name: Name| engine.store.named(&tenant(), &name).await.unwrap();
    assert_eq!(of(Name::User("u2".to_owned())).await, [id("a"), id("b")]);
    assert_eq!(of(Name::Workspace("w-b".to_owned())).await, [id("b")]);
}

/// A payment method that is taken away names no customer: the one that it had is what was replaced.
#[tokio::test]
async fn i5_a_detached_payment_method_was_its_customers() {
    let engine = engine();
    let on_file = || {
        let settings = Settings::example().unwrap();
        let billing = contact(&engine, "cus_example").unwrap().billing(&settings);
        billing.payment_method.on_file
    };
    for (event, expected) in [
        (
            include_str!("../../../events/stripe/payment_method.attached.json"),
            true,
        ),
        (
            include_str!("../../../events/stripe/payment_method.detached.json"),
            false,
        ),
    ] {
        deliver(&engine, event).await;
        assert_eq!(on_file(), expected);
    }
    assert_eq!(engine.store.contacts().len(), 1);
}

/// An invoice that is to come has no id yet: the bus hears of each, and nothing is kept under it.
#[tokio::test]
async fn i6_an_invoice_to_come_is_no_invoice() {
    let engine = engine();
    let event = include_str!("../../../events/stripe/invoice.upcoming.json");
    let next = event.replace("evt_example_021", "evt_example_next");
    for text in [event, &next, &next] {
        deliver(&engine, text).await;
    }
    assert_eq!(engine.store.accounts().len(), 0);
    assert_eq!(engine.store.contacts().len(), 0);
    let told = engine.store.outboxes();
    let told: Vec<_> = told.iter().map(|told| told.detail_type.as_str()).collect();
    assert_eq!(told, ["stripe.invoice.upcoming"; 2]);
}

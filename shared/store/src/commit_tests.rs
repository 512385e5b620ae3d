//! The transaction of a commit against the engine's list of its items, over random commits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use paygraph_domain::account::{CatalogKey, Object, ObjectKey};
use paygraph_domain::contact::Contact;
use paygraph_domain::fact::{Link, Source};
use paygraph_domain::id::{Cause, StripeId};
use paygraph_domain::identity::{Name, Review};
use paygraph_domain::sequence::{Enrolment, State};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::memory::{MemoryStore, StoppedClock};
use paygraph_engine::ports::limits::{MAX_PARTITION_BYTES, MAX_SORT_BYTES};
use paygraph_engine::ports::{AuditOwner, ObjectWrite};
use paygraph_engine::process::Engine;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;

/// An object as the engine makes it.
static OBJECT: LazyLock<Object> = LazyLock::new(|| {
    let engine = Engine::alone(
        MemoryStore::new(Settings::example().unwrap()),
        StoppedClock::default(),
    );
    let event = serde_json::json!({ "id": "evt_1", "type": "charge.succeeded",
        "created": 1_790_000_000, "livemode": false, "data": { "object": {
            "id": "ch_1", "object": "charge", "customer": "cus_1", "status": "succeeded",
            "currency": "usd", "amount": 100, "created": 1_790_000_000 } } });
    let (tenant, text) = (TenantId::parse("t").unwrap(), event.to_string());
    let deadline = Deadline::after(std::time::Duration::from_secs(60));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let processed = engine.process(&tenant, &text, Source::Webhook, deadline);
    runtime.block_on(processed).unwrap();
    engine.store.accounts().remove(0).2.remove(0)
});

/// A text that is an id: short, long, and with letters of several bytes.
fn id() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,3}", "[a-z0-9@._-]{200,255}", "[éß]{1,127}"]
}

fn customer_id() -> impl Strategy<Value = CustomerId> {
    id().prop_map(|text| CustomerId::parse(text).unwrap())
}

fn stripe_customer() -> impl Strategy<Value = StripeCustomerId> {
    id().prop_map(|text| StripeCustomerId::parse(text).unwrap())
}

fn stripe_id() -> impl Strategy<Value = StripeId> {
    id().prop_map(|text| StripeId::parse(text).unwrap())
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_i64).prop_map(|unix| Timestamp::from_unix(unix).unwrap())
}

fn change() -> impl Strategy<Value = RowChange> {
    prop_oneof![Just(RowChange::Put), Just(RowChange::Delete)]
}

fn object_key() -> impl Strategy<Value = ObjectKey> {
    (0..9_u8, stripe_id(), time()).prop_map(|(kind, id, created)| match kind {
        0 => ObjectKey::Customer,
        1 => ObjectKey::Subscription(id),
        2 => ObjectKey::PaymentMethod(id),
        3 => ObjectKey::Dispute(id),
        4 => ObjectKey::Discount(id),
        5 => ObjectKey::Schedule(id),
        6 => ObjectKey::Invoice(created, id),
        7 => ObjectKey::Charge(id),
        _ => ObjectKey::Checkout(id),
    })
}

fn catalog_key() -> impl Strategy<Value = CatalogKey> {
    (0..3_u8, stripe_id()).prop_map(|(kind, id)| match kind {
        0 => CatalogKey::Product(id),
        1 => CatalogKey::Price(id),
        _ => CatalogKey::Coupon(id),
    })
}

fn name() -> impl Strategy<Value = Name> {
    (0..5_u8, id()).prop_map(|(kind, text)| match kind {
        0 => Name::Email(text),
        1 => Name::Domain(text),
        2 => Name::Company(text),
        3 => Name::User(text),
        _ => Name::Workspace(text),
    })
}

fn link() -> impl Strategy<Value = Link> {
    (any::<bool>(), stripe_id()).prop_map(|(is_charge, id)| {
        if is_charge {
            Link::Charge(id)
        } else {
            Link::PaymentIntent(id)
        }
    })
}

fn contacts() -> impl Strategy<Value = Vec<ContactWrite>> {
    let segments = || btree_set("[a-z_]{1,40}", 0..8);
    let one = (
        customer_id(),
        segments(),
        segments(),
        option::of(time()),
        any::<bool>(),
    );
    let one = one.prop_map(|(id, before, after, due, remove)| {
        let mut contact = Contact::new(id);
        contact.version = 7;
        contact.told.segments = after;
        contact.told.next = due;
        ContactWrite::new(contact, 6, &before, remove)
    });
    vec(one, 0..3)
}

fn enrolment(sequence: &str) -> Enrolment {
    Enrolment {
        sequence: sequence.to_owned(),
        n: 1,
        version: 2,
        enrolled_at: Timestamp::default(),
        event: "evt_1#0".to_owned(),
        taken: Vec::new(),
        moved: 0,
        state: State::Running {
            due: Timestamp::default(),
        },
    }
}

fn ledger_entry(tenant: &TenantId, cause: &Cause) -> LedgerEntry {
    LedgerEntry {
        tenant: tenant.clone(),
        cause: cause.clone(),
        event_type: "invoice.paid".to_owned(),
        at: Timestamp::default(),
        processed_at: Timestamp::default(),
        disposition: "applied".to_owned(),
        outbox: Vec::new(),
    }
}

prop_compose! {
    /// What a commit of Stripe's objects has.
    fn objects()(
        objects in btree_map((stripe_customer(), object_key()), 1..9_u64, 0..6),
        moved in btree_map(stripe_customer(), (option::of(customer_id()), customer_id()), 0..4),
        reviews in btree_map(stripe_customer(), any::<bool>(), 0..3),
        links in btree_map(link(), stripe_customer(), 0..6),
        awaits in btree_map((catalog_key(), stripe_customer()), change(), 0..8),
    ) -> Commit {
        let mut commit = Commit::new(TenantId::parse("t").unwrap());
        let write = |rev| ObjectWrite { rev, object: OBJECT.clone() };
        commit.objects = objects.into_iter().map(|(key, rev)| (key, write(rev))).collect();
        let moved = moved.into_iter();
        commit.stripe_links =
            moved.map(|(customer, (from, to))| (customer, StripeLinkWrite { from, to })).collect();
        let review = || Review { by: None, candidates: Vec::new(), since: Timestamp::default() };
        let reviews = reviews.into_iter();
        commit.reviews = reviews.map(|(of, there)| (of, there.then(review))).collect();
        commit.links = links;
        commit.awaits = awaits;
        commit
    }
}

prop_compose! {
    /// A commit with everything that any path writes.
    fn commits()(
        mut commit in objects(),
        tenant in id(),
        contacts in contacts(),
        names in btree_map((name(), customer_id()), change(), 0..12),
        enrolments in btree_set((customer_id(), "[a-z_]{1,64}"), 0..4),
        (cause, of_contact) in (id(), any::<bool>()),
        (has_ledger, has_audit) in (any::<bool>(), any::<bool>()),
    ) -> Commit {
        commit.tenant = TenantId::parse(tenant).unwrap();
        let cause = Cause::parse(cause).unwrap();
        let distinct: BTreeMap<_, _> =
            contacts.into_iter().map(|write| (write.contact.id.clone(), write)).collect();
        distinct.into_values().for_each(|write| commit.put_contact(write));
        commit.names = names;
        for (contact, sequence) in enrolments {
            commit.put_enrolment(contact, enrolment(&sequence));
        }
        commit.ledger = has_ledger.then(|| ledger_entry(&commit.tenant, &cause));
        let owner = match of_contact {
            true => AuditOwner::Contact(CustomerId::parse("c").unwrap()),
            false => AuditOwner::Stripe(StripeCustomerId::parse("cus_1").unwrap()),
        };
        commit.audit = has_audit.then(|| AuditEntry {
            owner,
            at: Timestamp::default(),
            source: Source::Api,
            cause,
            changes: Vec::new(),
        });
        commit
    }
}

/// The attributes of an item by which it is found in an index.
fn index_keys(write: &TransactWriteItem) -> Vec<(String, String)> {
    let item = write
        .put()
        .map(|put| put.item().clone())
        .unwrap_or_default();
    let keys = item.into_iter().filter_map(|(name, value)| {
        let is_key = name.ends_with("_pk") || name.ends_with("_sk");
        is_key.then(|| (name, value.as_s().unwrap().clone()))
    });
    keys.collect()
}

proptest! {
    /// T1, T2: the transaction has each item once, the items are those that the engine lists, and
    /// the engine counts at least their bytes, and not many more.
    #[test]
    fn t2_the_transaction_has_the_items_that_the_engine_lists(commit in commits()) {
        let built = writes("table", &commit).unwrap();
        let real: BTreeMap<_, _> =
            built.iter().map(item_write).map(|item| (item.key, item.bytes)).collect();
        prop_assert_eq!(real.len(), built.len());
        let listed: BTreeMap<_, _> =
            commit.items().into_iter().map(|item| (item.key, item.bytes)).collect();
        prop_assert_eq!(commit.operations(), built.len());
        let keys = |items: &BTreeMap<ItemKey, usize>| items.keys().cloned().collect::<BTreeSet<_>>();
        prop_assert_eq!(keys(&real), keys(&listed));
        for (key, bytes) in &real {
            let counted = listed[key];
            prop_assert!(*bytes <= counted, "{key:?} has {bytes} bytes, {counted} are counted");
            prop_assert!(counted <= bytes + 3 * key.bytes() + 300, "{key:?}: {bytes}, {counted}");
        }
        prop_assert_eq!(commit.check().is_ok(), check(&built, &commit).is_ok());
    }

    /// T2: every key of an index has a length that the index takes.
    #[test]
    fn t2_the_keys_of_indexes_have_a_length_that_dynamodb_takes(commit in commits()) {
        for write in writes("table", &commit).unwrap() {
            for (name, value) in index_keys(&write) {
                let most = match name.ends_with("_pk") {
                    true => MAX_PARTITION_BYTES,
                    false => MAX_SORT_BYTES,
                };
                prop_assert!((1..=most).contains(&value.len()), "{name}: {}", value.len());
            }
        }
    }
}

/// T2: the adapter refuses, before it asks `DynamoDB`, a commit of more than a hundred operations and
/// one with an item over 400 KB. The refusal is permanent and names the object.
#[test]
fn t2_a_commit_over_a_limit_is_refused_before_it_is_sent() {
    let mut commit = Commit::new(TenantId::parse("t").unwrap());
    let contact = CustomerId::parse("acme").unwrap();
    for n in 0..101 {
        let name = Name::User(format!("u{n}"));
        commit.names.insert((name, contact.clone()), RowChange::Put);
    }
    let error = check(&writes("table", &commit).unwrap(), &commit).unwrap_err();
    let text = "101 writes are needed; a transaction takes at most 100";
    assert_eq!((error.context.as_str(), error.retry), (text, false));

    let mut commit = Commit::new(TenantId::parse("t").unwrap());
    let mut large = Contact::new(contact);
    large.told.segments = [("x".repeat(410_000))].into();
    let segments = large.told.segments.clone();
    commit.put_contact(ContactWrite::new(large, 0, &segments, false));
    let error = check(&writes("table", &commit).unwrap(), &commit).unwrap_err();
    assert!(
        error.context.starts_with("contact acme has 41"),
        "{}",
        error.context
    );
    assert!(!error.retry);
}

//! Every kind of item is there for whoever asks the store for it.

use std::collections::BTreeSet;

use paygraph_domain::account::{CatalogKey, ObjectKey};
use paygraph_domain::alert::{AlertId, Status};
use paygraph_domain::analytics::Day;
use paygraph_domain::email::Suppressed;
use paygraph_domain::fact::Link;
use paygraph_domain::id::{Cause, StripeCustomerId, StripeId};
use paygraph_domain::identity::Name;
use paygraph_engine::alert::{Alerts as _, Whose};
use paygraph_engine::analytics::Analytics as _;
use paygraph_engine::connection::ConnectionStore as _;
use paygraph_engine::crm::Shows as _;
use paygraph_engine::email::Emails as _;
use paygraph_engine::ports::{PENDING_SHARDS, Runs as _, Store as _};
use paygraph_engine::sequence::Enrolments as _;
use paygraph_engine::target::{Claim, Effect, Effects as _};
use paygraph_engine::user::Users as _;
use paygraph_engine::watch::Watches as _;
use paygraph_store::DynamoStore;
use paygraph_store::alerts::Which;

use super::super::history::{at, contact, tenant};

/// Asks for every kind of item.
pub async fn read_all(store: &DynamoStore) {
    contacts_and_objects(store).await;
    names_and_links(store).await;
    events(store).await;
    subsystems(store).await;
    people(store).await;
}

async fn contacts_and_objects(store: &DynamoStore) {
    let (tenant, id) = (tenant(), contact("acme"));
    let found = store.contact(&tenant, &id).await.unwrap().unwrap();
    let customer = StripeCustomerId::parse("cus_example").unwrap();
    let account = store.account(&tenant, &customer).await.unwrap();
    assert!(account.customer.is_some());
    for (kind, count) in [
        ("subscriptions", account.subscriptions.len()),
        ("payment methods", account.payment_methods.len()),
        ("disputes", account.disputes.len()),
        ("discounts", account.discounts.len()),
        ("schedules", account.schedules.len()),
    ] {
        assert!(count > 0, "no {kind}");
    }
    // The roll-up was computed from exactly these objects: nothing looks torn.
    assert_eq!(found.accounts[&customer].digest, account.digest());
    let customers = [customer.clone()];
    let invoices = store
        .invoices(&tenant, &customers, None, 100)
        .await
        .unwrap();
    assert!(invoices.entries.len() > 3);
    let audit = store
        .audit(&tenant, &id, &customers, None, 100)
        .await
        .unwrap();
    assert!(audit.entries.len() > 10);
    let beside = [
        ObjectKey::Charge(StripeId::parse("ch_example").unwrap()),
        ObjectKey::Checkout(StripeId::parse("cs_test_example").unwrap()),
    ];
    let beside: BTreeSet<_> = beside.into();
    let found = store.beside(&tenant, &customer, &beside).await.unwrap();
    assert_eq!(found.len(), 2);
    let id = |text| StripeId::parse(text).unwrap();
    let keys = [
        CatalogKey::Product(id("prod_Tefg4jmio5PjnR")),
        CatalogKey::Price(id("price_1ShMKtChUUSEbzyhitCMw6z3")),
        CatalogKey::Coupon(id("HALF")),
    ];
    for key in keys {
        assert!(
            store.catalog_entry(&tenant, &key).await.unwrap().is_some(),
            "{key:?}"
        );
    }
    let members = store.by_worth(&tenant, None, 100).await.unwrap();
    assert!(members.entries.len() >= 4);
}

async fn names_and_links(store: &DynamoStore) {
    let tenant = tenant();
    let customer = StripeCustomerId::parse("cus_example").unwrap();
    let linked = store.contact_of(&tenant, &customer).await.unwrap();
    assert_eq!(linked, Some(contact("acme")));
    for link in [
        Link::Charge(StripeId::parse("ch_example").unwrap()),
        Link::PaymentIntent(StripeId::parse("pi_example").unwrap()),
    ] {
        let found = store.customer_by(&tenant, &link).await.unwrap();
        assert_eq!(found.as_ref(), Some(&customer), "{link:?}");
    }
    let name = Name::Domain("initech.example".to_owned());
    assert_eq!(store.named(&tenant, &name).await.unwrap().len(), 2);
    let awaited = CatalogKey::Coupon(StripeId::parse("LATER").unwrap());
    assert_eq!(store.awaiting(&tenant, &awaited).await.unwrap().len(), 1);
    let reviews = store.reviews(&tenant, None, 10).await.unwrap();
    assert_eq!(reviews.entries.len(), 1);
}

async fn events(store: &DynamoStore) {
    let tenant = tenant();
    let entry = |cause: &str| {
        let cause = Cause::parse(cause).unwrap();
        let tenant = tenant.clone();
        async move { store.ledger(&tenant, &cause).await.unwrap().unwrap() }
    };
    assert!(
        entry("evt_example_039").await.outbox.is_empty(),
        "published"
    );
    assert!(!entry("evt_example_016").await.outbox.is_empty(), "waits");
    let mut pending = Vec::new();
    for shard in 0..PENDING_SHARDS {
        let page = store.pending(shard, None, at(1), 1_000).await.unwrap();
        assert!(page.unreadable.is_empty());
        pending.extend(page.entries);
    }
    assert!(pending.len() > 20);
    for place in [
        "charge#ch_waiting",
        "too_large",
        "account#acct_9",
        "payment_intent#pi_9",
    ] {
        assert_eq!(
            store.parked(&tenant, place).await.unwrap().len(),
            1,
            "{place}"
        );
    }
    let page = store.parked_links(&tenant, None, at(1_000), 100).await;
    let page = page.unwrap();
    assert_eq!((page.unreadable.len(), page.next), (0, None));
    let links = page.entries.iter().flatten();
    let links: BTreeSet<_> = links.map(|link| link.id().as_str()).collect();
    assert_eq!(links, BTreeSet::from(["ch_waiting", "pi_9"]));
    let effect = |what: &str| Effect::new("greenlight", what);
    let done = store
        .claim(&tenant, &effect("evt_2#0"), at(900), at(960))
        .await;
    assert_eq!(done.unwrap(), Claim::Done);
    let free = store
        .claim(&tenant, &effect("evt_1#0"), at(900), at(960))
        .await;
    assert_eq!(free.unwrap(), Claim::Ours(2));
    assert!(!store.spend(&tenant, "n0nce", at(900)).await.unwrap());
    let heartbeat = store.heartbeat(&tenant).await.unwrap();
    assert_eq!(heartbeat.processed_at, Some(at(0)));
}

async fn subsystems(store: &DynamoStore) {
    let tenant = tenant();
    let run = store.run(&tenant, "reconcile-1").await.unwrap().unwrap();
    assert_eq!(store.latest(&tenant, 10).await.unwrap().len(), 3);
    assert_eq!(store.looks(&run, None, 10).await.unwrap().len(), 2);
    assert_eq!(store.drift(&run).await.unwrap().len(), 3);
    let lease = store.lease(&tenant, at(900), at(960)).await.unwrap();
    assert_eq!(lease, Some(2), "the next token");
    let done_to = store.run_progress(&tenant, "reevaluate-1").await.unwrap();
    assert_eq!(done_to, Some(contact("acme")));
    let connection = store.connection(&tenant).await.unwrap().unwrap();
    let owner = store.owner(&connection.account).await.unwrap();
    assert_eq!(owner.as_ref(), Some(&tenant));
    assert!(
        store
            .settings(&tenant)
            .await
            .unwrap()
            .enabled_sequences
            .len()
            > 3
    );
    assert!(store.watch(&tenant).await.unwrap().unwrap().missed > 0);
    let days = (Day::of(at(-86_400)), Day::of(at(0)));
    assert_eq!(store.censuses(&tenant, days).await.unwrap().len(), 2);
    let mut facts = 0;
    let today = (Day::of(at(0)), Day::of(at(0)));
    let mut count = |_| facts += 1;
    store.facts(&tenant, today, &mut count).await.unwrap();
    assert_eq!(facts, 4);
    assert!(store.user(&tenant, "u_1").await.unwrap().is_some());
}

async fn people(store: &DynamoStore) {
    let (tenant, id) = (tenant(), contact("acme"));
    let whose = Whose::Contact(id.clone());
    let unresolved = store.unresolved(&tenant, &whose).await.unwrap();
    assert_eq!((unresolved.rev, unresolved.alerts.len()), (2, 2));
    let alerts = store
        .alerts(&tenant, &Which::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(alerts.entries.len(), 4);
    let failed = AlertId::parse("payment_failure:1790007200:in_example:acme").unwrap();
    let failed = store.alert(&tenant, &failed).await.unwrap().unwrap();
    assert_eq!(failed.status, Status::Acknowledged);
    assert_eq!(failed.acknowledged.unwrap().by, "ana");
    assert_eq!(store.subscriptions(&tenant).await.unwrap().len(), 2);
    assert_eq!(store.enrolments(&tenant, &id).await.unwrap().len(), 3);
    assert_eq!(store.outbound(&tenant, &id).await.unwrap().sent.len(), 2);
    assert_eq!(store.shown(&tenant, &id).await.unwrap().records.len(), 2);
    let bounced = store.recipient(&tenant, "2c3d", "other").await.unwrap();
    assert_eq!(bounced.suppressed, Some(Suppressed::Bounced));
    assert_eq!(bounced.token, "t0ken");
}

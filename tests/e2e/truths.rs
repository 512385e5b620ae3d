//! The records on the local stack against the truth of a simulated Stripe: by events alone, by an
//! import into an empty tenant, and by a comparison with Stripe after a tenth of the webhooks was
//! lost.
//!
//! The customers live in small worlds of all shapes, each with its own API version and seed. What
//! the table holds of a world is compared with its truth exactly as the engine's tests compare a
//! store in memory, and the API must show what the table holds.
//!
//! `PAYGRAPH_CUSTOMERS` sets how many customers each of the three tests has.

use std::collections::BTreeSet;

use paygraph_domain::account::{Account, Catalog, CatalogKey, Object, ObjectKey};
use paygraph_domain::contact::Contact;
use paygraph_domain::id::{StripeCustomerId, StripeId};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_domain::view;
use paygraph_engine::memory::MemoryStore;
use paygraph_engine::ports::{Commit, ContactWrite, ObjectWrite, Store as _};
use paygraph_store::read::MAX_PAGE;
use paygraph_testkit::fake_stripe::{Config, FakeStripe};
use paygraph_testkit::world::{History, Shape, World};
use paygraph_tests::{Tenant, now, paygraph, stack, unique};
use serde_json::{Value, json};

use crate::model::truth::{self, Way};

/// The customers of one world, and the steps of each of them.
const SIZE: (u32, u32) = (5, 8);

/// A world that ended just now.
struct Ended {
    /// A part of all its ids.
    name: String,
    history: History,
}

/// So many customers, unless the environment names another number, in worlds of their own.
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no other way to be told"
)]
fn worlds(first_seed: u64, customers: u32) -> Vec<Ended> {
    let asked = std::env::var("PAYGRAPH_CUSTOMERS").ok();
    let customers = asked.map_or(customers, |asked| asked.parse().unwrap());
    let seeds = (first_seed..).take(usize::try_from(customers / SIZE.0).unwrap());
    let world = |seed| {
        let name = unique("w");
        let history = History::ending_at(now() - 60, |start| {
            let world = World::new(&name, seed, start).with(Shape::ALL);
            world.live(SIZE.0, SIZE.1)
        });
        Ended { name, history }
    };
    seeds.map(world).collect()
}

/// U1–U10: 40 customers by their events, shuffled, and every tenth one twice.
#[test]
fn events_alone_come_to_the_truth() {
    let worlds = worlds(100, 40);
    let tenant = Tenant::unique();
    let mut random = fastrand::Rng::with_seed(1);
    let mut events = events(&worlds);
    let twice = events.iter().filter(|_| random.u32(0..10) == 0);
    let twice: Vec<_> = twice.cloned().collect();
    events.extend(twice);
    random.shuffle(&mut events);
    tenant.post_all(&events);
    for event in &events {
        tenant.settled(&id_of(event));
    }
    compare(Way::Events, &tenant, &worlds);
}

/// U11: 120 customers by an import into an empty tenant.
#[test]
fn u11_an_import_comes_to_the_truth() {
    let worlds = worlds(200, 120);
    let (tenant, _stripe) = connected(&worlds);
    let imported = report(&["backfill", "--json", "--tenant", tenant.id.as_str()]);
    assert_eq!(imported["complete"], true, "{imported}");
    compare(Way::Import, &tenant, &worlds);
}

/// T10: 40 customers by nine tenths of their events and a comparison. A second one finds nothing.
#[test]
fn t10_a_comparison_comes_to_the_truth_and_the_second_finds_nothing() {
    let worlds = worlds(300, 40);
    let (tenant, _stripe) = connected(&worlds);
    let mut random = fastrand::Rng::with_seed(3);
    let events = events(&worlds).into_iter();
    let kept: Vec<_> = events.filter(|_| random.u32(0..10) > 0).collect();
    tenant.post_all(&kept);
    // What names no customer may follow an object that was lost: it is parked, and has no entry in
    // the ledger.
    let names_customer = |event: &&String| {
        let event: Value = serde_json::from_str(event).unwrap();
        let object = &event["data"]["object"];
        object["object"] == "customer" || object["customer"].is_string()
    };
    for event in kept.iter().filter(names_customer) {
        tenant.settled(&id_of(event));
    }
    let reconcile = ["reconcile", "--tenant", tenant.id.as_str()];
    let healed = report(&reconcile);
    assert!(healed["healed"].as_u64() > Some(0), "{healed}");
    compare(Way::Comparison, &tenant, &worlds);
    let again = report(&reconcile);
    let found = [&again["drift"], &again["healed"]];
    assert_eq!(found, [&json!([]), &json!(0)], "{again}");
}

/// Every event of some worlds, one world after the other.
fn events(worlds: &[Ended]) -> Vec<String> {
    let histories = worlds.iter().map(|world| &world.history);
    histories
        .flat_map(|history| history.events.clone())
        .collect()
}

fn id_of(event: &str) -> String {
    let event: Value = serde_json::from_str(event).unwrap();
    event["id"].as_str().unwrap().to_owned()
}

/// A tenant whose Stripe holds what all worlds came to.
fn connected(worlds: &[Ended]) -> (Tenant, FakeStripe) {
    let (tenant, stripe) = Tenant::with_stripe(Config::default().unlimited());
    for world in worlds {
        stripe.own().hold(&world.history);
    }
    (tenant, stripe)
}

/// What a run came to; it must succeed.
fn report(command: &[&str]) -> Value {
    let done = paygraph(command);
    let error = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {error}");
    serde_json::from_slice(&done.stdout).unwrap()
}

/// Compares what the stack has of each world with the world's truth.
#[expect(clippy::print_stdout, reason = "a test tells what it compared")]
fn compare(way: Way, tenant: &Tenant, worlds: &[Ended]) {
    let everyone = stack().store.everyone(&tenant.id, |_| ());
    let everyone = stack().block_on(everyone).unwrap();
    let contacts = stack().store.contacts(&tenant.id, &everyone);
    let contacts = stack().block_on(contacts).unwrap();
    let (mut failed, mut undecided) = (Vec::new(), 0);
    for (place, Ended { name, history }) in worlds.iter().enumerate() {
        let is_own = |contact: &&Contact| {
            let mut accounts = contact.accounts.keys();
            accounts.any(|id| id.as_str().contains(name))
        };
        let own: Vec<Contact> = contacts.iter().filter(is_own).cloned().collect();
        let copied = stack().block_on(copy(tenant, &own, history));
        // A guest is a customer of its own here, under the session's id.
        let truths = [history.truths.as_slice(), &history.guests].concat();
        let stored = (&copied, &stack().block_on(catalog(tenant, history)));
        match truth::compare(way, stored, &truths, history.now) {
            Ok(kinds) => undecided += usize::from(!kinds.is_empty()),
            Err(error) => failed.push((place, error)),
        }
        failed.extend(own.iter().filter_map(|contact| {
            let error = is_shown(tenant, contact).err()?;
            Some((place, format!("{}: {error}", contact.id)))
        }));
    }
    let customers: usize = worlds.iter().map(|of| of.history.truths.len()).sum();
    println!(
        "{way:?}: {customers} customers, {undecided} of {} worlds undecided",
        worlds.len()
    );
    assert!(failed.is_empty(), "{way:?}, by world: {failed:#?}");
    // Only events can leave open what happened first within a second.
    assert!(undecided == 0 || way == Way::Events, "{undecided}");
}

/// The API shows what the table has.
fn is_shown(tenant: &Tenant, contact: &Contact) -> Result<(), String> {
    let (status, mut shown) = tenant.ask(&format!("/api/stripe/customer/{}", contact.id));
    if status != 200 {
        return Err(format!("the API answers {status}"));
    }
    let (settings, at) = (
        Settings::example().unwrap(),
        Timestamp::from_unix(now()).unwrap(),
    );
    let held = view::customer(contact, &settings, &Catalog::default(), at);
    let mut held = serde_json::to_value(&held).unwrap();
    // The catalog names the plan.
    for view in [&mut shown, &mut held] {
        view["billing"]["plan_name"] = json!(null);
    }
    let held = &held["billing"];
    if shown["billing"] == *held {
        Ok(())
    } else {
        Err(format!(
            "the table has {held}, the API shows {}",
            shown["billing"]
        ))
    }
}

/// Copies what the table has of some contacts into a store in memory.
async fn copy(tenant: &Tenant, contacts: &[Contact], history: &History) -> MemoryStore {
    let copied = MemoryStore::new(Settings::example().unwrap());
    for contact in contacts {
        let mut commit = Commit::new(tenant.id.clone());
        commit.put_contact(ContactWrite::new(
            contact.clone(),
            0,
            &BTreeSet::new(),
            false,
        ));
        copied.commit(&commit).await.unwrap();
        for customer in contact.accounts.keys() {
            for (key, object) in objects(tenant, customer, history).await {
                let mut commit = Commit::new(tenant.id.clone());
                let write = ObjectWrite { rev: 1, object };
                commit.objects.insert((customer.clone(), key), write);
                copied.commit(&commit).await.unwrap();
            }
        }
    }
    copied
}

/// Every object that the table has of a Stripe customer. Charges and sessions are asked for by the
/// ids that the world made.
async fn objects(
    tenant: &Tenant,
    customer: &StripeCustomerId,
    history: &History,
) -> Vec<(ObjectKey, Object)> {
    let (store, id) = (&stack().store, &tenant.id);
    let mut account = store.account(id, customer).await.unwrap();
    let mut objects = Vec::new();
    for key in working_set(&account) {
        let (_, object) = account.take(&key).unwrap();
        objects.push((key, object));
    }
    let (customers, mut after) = ([customer.clone()], None);
    loop {
        let page = store
            .invoices(id, &customers, after.as_ref(), MAX_PAGE)
            .await
            .unwrap();
        for (_, state) in page.entries {
            let invoice = state.invoice.get();
            let key = ObjectKey::Invoice(invoice.created, invoice.id.clone());
            objects.push((key, Object::Invoice(state)));
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let charges = ids(history, "charge").map(ObjectKey::Charge);
    let keys = charges.chain(ids(history, "checkout.session").map(ObjectKey::Checkout));
    let beside = store.beside(id, customer, &keys.collect()).await.unwrap();
    objects.extend(beside.into_iter().map(|(key, (_, object))| (key, object)));
    objects
}

fn working_set(account: &Account) -> Vec<ObjectKey> {
    let customer = account.customer.iter().map(|_| ObjectKey::Customer);
    let subscriptions = account
        .subscriptions
        .keys()
        .cloned()
        .map(ObjectKey::Subscription);
    let methods = account
        .payment_methods
        .keys()
        .cloned()
        .map(ObjectKey::PaymentMethod);
    let disputes = account.disputes.keys().cloned().map(ObjectKey::Dispute);
    let discounts = account.discounts.keys().cloned().map(ObjectKey::Discount);
    let schedules = account.schedules.keys().cloned().map(ObjectKey::Schedule);
    customer
        .chain(subscriptions)
        .chain(methods)
        .chain(disputes)
        .chain(discounts)
        .chain(schedules)
        .collect()
}

/// What the table has of the catalog: every entry that the world made.
async fn catalog(tenant: &Tenant, history: &History) -> Catalog {
    let products = ids(history, "product").map(CatalogKey::Product);
    let prices = ids(history, "price").map(CatalogKey::Price);
    let coupons = ids(history, "coupon").map(CatalogKey::Coupon);
    let keys = products.chain(prices).chain(coupons).collect();
    stack().store.catalog(&tenant.id, &keys).await.unwrap()
}

fn ids(history: &History, kind: &str) -> impl Iterator<Item = StripeId> {
    let objects = history.objects.get(kind).into_iter().flatten();
    objects.map(|object| StripeId::parse(object["id"].as_str().unwrap()).unwrap())
}

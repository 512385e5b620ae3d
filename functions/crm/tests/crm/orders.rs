//! Several who write of one customer while it changes, and some of them die: an older state never
//! lands last.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use paygraph_crm::handler::show;
use paygraph_domain::crm::{Field, Record};
use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::time::Timestamp;
use paygraph_engine::crm::{Crm, CrmError, Look, Task, There};
use paygraph_engine::ports::{Clock, Store as _};
use paygraph_engine::process::Engine;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use crate::board::Board;
use crate::support::{World, at, id, tenant};

/// Our clock, which goes as the test's time goes.
#[derive(Clone, Copy)]
struct Going(Instant);

impl Clock for Going {
    fn now(&self) -> Timestamp {
        at(i64::try_from(self.0.elapsed().as_secs()).unwrap())
    }
}

/// A test's time, which passes by itself.
fn in_time<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(test)
}

/// A look at a contact that is without news.
fn look<'a>(tenant: &'a TenantId, contact: &'a CustomerId) -> Look<'a> {
    static NOTHING: BTreeSet<CustomerId> = BTreeSet::new();
    Look {
        tenant,
        contact,
        news: None,
        anew: false,
        written: &NOTHING,
        until: Instant::now() + Duration::from_secs(26),
    }
}

/// An event of a customer: delivered until it is taken, each time for 26 seconds at most, and
/// sometimes cut off.
async fn delivered(world: &World, board: &Board, clock: &Going, contact: &str) {
    let (tenant, contact) = (tenant(), id(contact));
    for _ in 0..20 {
        let look = look(&tenant, &contact);
        let dies = board.below(4) == 0;
        let life = if dies { board.below(12_000) } else { 30_000 };
        let engine = Engine::alone(world.store.clone(), *clock);
        let done = show(&engine, &world.bus, board, &look);
        let done = timeout(Duration::from_millis(life), done).await;
        if matches!(done, Ok(Ok(_))) {
            return;
        }
        sleep(Duration::from_secs(180)).await;
    }
    unreachable!("twenty deliveries came to nothing");
}

/// N19, N20: whatever overlaps, is cut off, fails or comes again: in the end the newest state is
/// there.
#[test]
fn n19_n20_an_older_state_never_lands_last() {
    for seed in 0..200 {
        in_time(async {
            let (world, board) = (World::new().await, Board::new(seed));
            let clock = Going(Instant::now());
            let change = async |n: u64| {
                sleep(Duration::from_millis(n * board.below(3_000))).await;
                let profile = json!({ "company": "Acme", "traits": { "usage_percent": n } });
                world.put(0, "acme", profile).await;
                delivered(&world, &board, &clock, "acme").await;
            };
            join_all((1..=6).map(change)).await;
            let newest = world.store.contacts().remove(0);
            let newest = newest.traits()["usage_percent"].to_string();
            let shown = board.record("workspace#acme").unwrap();
            let Field::Number(shown) = &shown.fields["usage_percent"] else {
                unreachable!("usage is a number");
            };
            assert_eq!(shown.to_string(), newest, "seed {seed}");
        });
    }
}

/// N20: the same, while a Stripe customer moves from one contact to another.
#[test]
fn n20_what_has_moved_is_shown_where_it_is_now() {
    for seed in 0..200 {
        in_time(async {
            let (world, board) = (World::new().await, Board::new(seed));
            world.subscribes(0, "cus_1").await;
            world.put(0, "acme", json!({ "company": "Acme" })).await;
            let clock = Going(Instant::now());
            let look = async |contact: &str| {
                sleep(Duration::from_millis(board.below(500))).await;
                delivered(&world, &board, &clock, contact).await;
            };
            let moving = async {
                sleep(Duration::from_millis(board.below(9_000))).await;
                world.link(1, "cus_1", "acme").await;
                tokio::join!(look("acme"), look("cus_1"));
            };
            tokio::join!(look("cus_1"), moving);
            let shown = board.record("subscription#cus_1").unwrap();
            let at: Vec<_> = shown.belongs.workspaces().collect();
            assert_eq!(at, ["acme"], "seed {seed}");
        });
    }
}

/// A CRM in which somebody was in touch a second later with each record that is written; who writes
/// of one customer may find that another has changed.
struct Telling<'a> {
    world: &'a World,
    /// Whose record lets whom change.
    changes: Option<(&'static str, &'static str)>,
    written: AtomicUsize,
}

impl Crm for Telling<'_> {
    async fn upsert(&self, record: &Record, _: &[String], _: Instant) -> Result<There, CrmError> {
        let nth = self.written.fetch_add(1, Ordering::Relaxed);
        if let Some((_, changed)) = self.changes.filter(|(own, _)| *own == record.id) {
            let given = json!({ "company": "Another" });
            self.world.put(30, changed, given).await;
        }
        Ok(There {
            id: record.key(),
            page: None,
            contacted: Some(at(i64::try_from(nth).unwrap())),
        })
    }

    async fn task(&self, _: &Task, _: Instant) -> Result<(), CrmError> {
        Ok(())
    }
}

/// Shows a customer; gives how many records were written, and how often it was published that
/// somebody was in touch.
async fn told(world: &World, crm: &Telling<'_>, contact: &str) -> (usize, usize) {
    let (tenant, contact) = (tenant(), id(contact));
    let look = look(&tenant, &contact);
    let before = world.bus.published().len();
    let done = show(&world.engine(60), &world.bus, crm, &look)
        .await
        .unwrap();
    let published = world.bus.published().split_off(before).into_iter();
    let published = published.filter(|event| event.detail_type == "customer_updated");
    (done.written, published.count())
}

/// Of several records the latest counts, and is taken in once.
#[tokio::test]
async fn somebody_was_in_touch_once_with_all_records_of_a_customer() {
    let world = World::new().await;
    world.user("u1", "ann@acme.example", &[]).await;
    let given = json!({ "company": "Acme", "users": ["u1"] });
    world.put(0, "acme", given).await;
    let crm = Telling {
        world: &world,
        changes: None,
        written: AtomicUsize::new(0),
    };
    assert_eq!(told(&world, &crm, "acme").await, (2, 1));
    let contact = world.store.contact(&tenant(), &id("acme")).await.unwrap();
    let traits = contact.unwrap().traits().into_owned();
    assert_eq!(traits["last_contacted_at"], json!(at(1).to_string()));
}

/// Whatever is written on the way, of the customer itself again too, is counted and published.
#[tokio::test]
async fn all_that_a_look_takes_in_is_published() {
    let world = World::new().await;
    world.subscribes(0, "cus_1").await;
    for contact in ["cus_1", "acme"] {
        world.put(2, contact, json!({ "company": contact })).await;
    }
    let mut crm = Telling {
        world: &world,
        changes: None,
        written: AtomicUsize::new(0),
    };
    assert_eq!(told(&world, &crm, "cus_1").await, (2, 1));
    world.link(20, "cus_1", "acme").await;
    crm.changes = Some(("acme", "cus_1"));
    // Its workspace without the address, the new customer's workspace with the subscription, and what
    // has changed of the first one meanwhile.
    assert_eq!(told(&world, &crm, "cus_1").await, (4, 3));
    assert_eq!(crm.written.into_inner(), 6);
}

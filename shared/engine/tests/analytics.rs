//! The figures of a day, against a computation that takes no short cut.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed test says where"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use paygraph_domain::analytics::{Book, Day, Fact, Figure, Happened, Revenue};
use paygraph_domain::id::TenantId;
use paygraph_domain::money::{Currency, Money};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::analytics::{Analytics as _, Census, Reckoned, note_told, reckon};
use paygraph_engine::envelope::Outgoing;
use paygraph_engine::memory::{MemoryBus, MemoryStore};
use paygraph_engine::ports::{CommitError, Store as _};
use paygraph_testkit::world::World;
use proptest::prelude::*;

use crate::common::{engine, feed, run};

fn tenant() -> TenantId {
    TenantId::parse("default").unwrap()
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

/// Keeps the facts of what was published, each twice.
async fn keep(store: &MemoryStore, published: &[Outgoing]) {
    for event in published.iter().chain(published) {
        let detail = &event.detail;
        if let Some(happened) = Happened::of(&event.detail_type, &detail.data) {
            let at = detail.occurred_at;
            let fact = Fact { at, happened };
            store.keep_fact(&tenant(), &detail.id, &fact).await.unwrap();
        }
    }
}

async fn figures(store: &MemoryStore, day: Day) -> Vec<Figure> {
    match reckon(store, &tenant(), day, Timestamp::default(), soon())
        .await
        .unwrap()
    {
        Reckoned::Figures(_, figures) => figures,
        other @ (Reckoned::Told | Reckoned::Unfinished) => panic!("{other:?}"),
    }
}

/// Per mille, rounded half up.
fn rate(part: i128, all: i128) -> i64 {
    let rounded = (2_000 * part + all).div_euclid(2 * all.max(1));
    if all == 0 {
        0
    } else {
        i64::try_from(rounded).unwrap()
    }
}

/// What the day comes to by the published events, whose times are compared as text, and by all
/// contacts.
fn naive(store: &MemoryStore, published: &[Outgoing], day: &str) -> Vec<Figure> {
    let (mut revenue, mut cancellations, mut converted, mut lost) =
        (BTreeMap::<Currency, Revenue>::new(), 0, 0, 0);
    for event in published {
        let at = event.detail.occurred_at.to_string();
        let data = &event.detail.data;
        if at[..7] != day[..7] || at[..10] > *day {
            continue;
        }
        match event.detail_type.as_str() {
            "payment_succeeded" if at[..10] == *day => {
                for (code, amount) in data["amount"].as_object().unwrap() {
                    let sum = revenue.entry(Currency::parse(code).unwrap()).or_default();
                    sum.amount += amount.as_i64().unwrap();
                    sum.payments += 1;
                }
            }
            "subscription_canceled" if data["status_before"] == "trialing" => lost += 1,
            "subscription_canceled" => cancellations += 1,
            "trial_converted" => converted += 1,
            _ => {}
        }
    }
    let settings = Settings::example().unwrap();
    let (mut mrr, mut ltv, mut subscribers) = (Money::default(), BTreeMap::new(), 0);
    for contact in store.contacts() {
        let billing = contact.billing(&settings);
        mrr.add_all(&billing.mrr);
        subscribers += u64::from(!billing.mrr.is_empty());
        for (currency, value) in billing.lifetime_value.iter() {
            let (sum, n) = ltv.entry(currency.clone()).or_insert((0_i128, 0_i128));
            (*sum, *n) = (*sum + i128::from(value), *n + 1);
        }
    }
    for currency in mrr.iter().map(|(c, _)| c).chain(ltv.keys()) {
        revenue.entry(currency.clone()).or_default();
    }
    let mut figures: Vec<_> = revenue
        .iter()
        .map(|(c, r)| Figure::Revenue(c.clone(), *r))
        .collect();
    figures.extend(revenue.keys().map(|currency| Figure::Mrr {
        currency: currency.clone(),
        amount: mrr.get(currency),
        delta: 0,
    }));
    figures.push(Figure::Churn {
        rate: rate(cancellations.into(), (cancellations + subscribers).into()),
        cancellations,
    });
    figures.extend(ltv.iter().map(|(currency, (sum, n))| Figure::Ltv {
        currency: currency.clone(),
        average: i64::try_from((2 * sum + n).div_euclid(2 * n)).unwrap(),
        change: None,
    }));
    let ended = converted + lost;
    if figures
        == [Figure::Churn {
            rate: 0,
            cancellations: 0,
        }]
        && ended == 0
        && subscribers == 0
    {
        return Vec::new();
    }
    figures.push(Figure::Trials {
        rate: rate(converted.into(), ended.into()),
        converted,
        ended,
    });
    figures
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Over random worlds, for every day on which anything happened, wherever the adding up was
    /// broken off.
    #[test]
    fn figures_are_those_of_the_naive_computation(seed: u64, broken_off: u16) {
        let events = World::new("w", seed, 1_790_000_000).run(5, 40);
        let engine = engine();
        run(async {
            let bus = MemoryBus::default();
            for event in &events {
                feed(&engine, &bus, event).await;
            }
            let published = bus.published();
            keep(&engine.store, &published).await;
            let days: std::collections::BTreeSet<_> =
                published.iter().map(|event| Day::of(event.detail.occurred_at)).collect();
            // The latest first: no day finds one before it to be compared with.
            for day in days.into_iter().rev() {
                let expected = naive(&engine.store, &published, &day.to_string());
                let figures = figures_after(&engine.store, day, broken_off).await;
                assert_eq!(figures, expected, "{day}");
            }
        });
    }
}

/// The figures of a day for which a part of the contacts was added before.
async fn figures_after(store: &MemoryStore, day: Day, broken_off: u16) -> Vec<Figure> {
    let settings = store.settings(&tenant()).await.unwrap();
    let contacts = store.contacts();
    let part = usize::from(broken_off) % (contacts.len() + 1);
    let mut book = Book::default();
    contacts[..part]
        .iter()
        .for_each(|contact| book.add(contact, &settings));
    let census = Census {
        book,
        done_to: contacts[..part].last().map(|contact| contact.id.clone()),
        ..Census::new(day)
    };
    store
        .note_census(&tenant(), &census, Timestamp::default())
        .await
        .unwrap();
    figures(store, day).await
}

/// A day as it was told, with so much MRR and lifetime value, by two customers.
async fn earlier(store: &MemoryStore, on: &str, mrr: i64, paid: i64) {
    let usd = Currency::parse("usd").unwrap();
    let mut book = Book {
        mrr: Money::of(&usd, mrr),
        subscribers: 4,
        ..Book::default()
    };
    let lifetime = book.lifetime.entry(usd).or_default();
    (lifetime.paid, lifetime.customers) = (paid, 2);
    let census = Census {
        book,
        whole: true,
        told: true,
        ..Census::new(day(on))
    };
    store
        .note_census(&tenant(), &census, Timestamp::default())
        .await
        .unwrap();
}

/// On 31 March, the month began with the end of February, and a month before is its last day,
/// in a leap year and in another.
#[tokio::test]
async fn months_are_compared_by_the_calendar() {
    for (today, month_end) in [("2028-03-31", "2028-02-29"), ("2027-03-31", "2027-02-28")] {
        let store = MemoryStore::new(Settings::example().unwrap());
        earlier(&store, month_end, 1_000, 800).await;
        earlier(&store, &format!("{}-15", &today[..7]), 9_000, 9_000).await;
        let fact = |at: Timestamp| Fact {
            at,
            happened: Happened::Canceled,
        };
        let (first, before) = (
            day(today).month().start(),
            day(today).month().start().plus(-1),
        );
        for (id, at) in [
            ("evt_1#0", first),
            ("evt_2#0", before),
            ("evt_3#0", day(today).end()),
        ] {
            store.keep_fact(&tenant(), id, &fact(at)).await.unwrap();
        }
        let usd = Currency::parse("usd").unwrap();
        let told = figures(&store, day(today)).await;
        let mrr = Figure::Mrr {
            currency: usd.clone(),
            amount: 0,
            delta: -1_000,
        };
        assert!(told.contains(&mrr), "{told:?}");
        // One of the four who paid when the month began.
        let churn = Figure::Churn {
            rate: 250,
            cancellations: 1,
        };
        assert!(told.contains(&churn), "{told:?}");
    }
}

/// Two that are at one day do not both write it, and what is told is told.
#[tokio::test]
async fn a_day_is_told_by_one() {
    let store = MemoryStore::new(Settings::example().unwrap());
    let today = day("2028-03-31");
    earlier(&store, "2028-02-29", 0, 400).await;
    let now = Timestamp::default();
    let Reckoned::Figures(census, _) = reckon(&store, &tenant(), today, now, soon()).await.unwrap()
    else {
        panic!("no figures");
    };
    let (ours, theirs) = (Census::clone(&census), Census::clone(&census));
    note_told(&store, &tenant(), ours, now).await.unwrap();
    let late = note_told(&store, &tenant(), theirs, now).await;
    assert!(matches!(late, Err(CommitError::Conflict)));
    let again = reckon(&store, &tenant(), today, now, soon()).await.unwrap();
    assert_eq!(again, Reckoned::Told);
}

/// When time is up, nothing is told, and the next go has it all.
#[tokio::test]
async fn what_is_broken_off_is_taken_up() {
    let (engine, bus, today) = (engine(), MemoryBus::default(), day("2026-09-21"));
    for event in World::new("w", 7, 1_790_000_000).run(5, 40) {
        feed(&engine, &bus, &event).await;
    }
    let no_time = Deadline::after(Duration::ZERO);
    let now = Timestamp::default();
    let done = reckon(&engine.store, &tenant(), today, now, no_time)
        .await
        .unwrap();
    assert_eq!(done, Reckoned::Unfinished);
    let expected = naive(&engine.store, &[], "2026-09-21");
    assert_eq!(figures(&engine.store, today).await, expected);
}

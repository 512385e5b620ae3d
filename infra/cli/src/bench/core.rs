//! The core on one thread: signature check, decode with apply, and how the customer then stands.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use paygraph_domain::account::{Account, Catalog, ObjectKey};
use paygraph_domain::apply::apply;
use paygraph_domain::contact::Contact;
use paygraph_domain::id::StripeCustomerId;
use paygraph_domain::rollup::{Context, rollup};
use paygraph_domain::settings::Settings;
use paygraph_domain::totals::Totals;
use paygraph_stripe::decode::decode;
use paygraph_stripe::event::StripeEvent;
use paygraph_stripe::signature::verify;
use paygraph_testkit::signer::sign;
use paygraph_testkit::world::World;

use super::{Reading, median};

const ROUNDS: usize = 5;

/// Measures them.
pub fn measure() -> anyhow::Result<Vec<Reading>> {
    let [applied, settled] = decode_and_apply()?;
    Ok(vec![signature()?, applied, settled])
}

fn signature() -> anyhow::Result<Reading> {
    let body = "x".repeat(4_096);
    let t = 1_790_000_000;
    let header = sign(body.as_bytes(), "whsec_bench", t);
    let mut speeds = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mut bytes = 0_u64;
        while start.elapsed() < Duration::from_millis(300) {
            for _ in 0..100 {
                verify(&header, body.as_bytes(), ["whsec_bench"], t)?;
                bytes += 4_096;
            }
        }
        speeds.push(bytes * 1_000_000 / u64::try_from(start.elapsed().as_micros())?.max(1));
    }
    let speed = median(speeds).unwrap_or(0) / 1_000_000;
    Ok(Reading::new(
        "signature check, 4 KiB bodies",
        format!("{speed} MB/s"),
        "",
    ))
}

/// What the worker does of an event beside the store: read it and apply it; and then roll the
/// account up, and say how the contact stands.
fn decode_and_apply() -> anyhow::Result<[Reading; 2]> {
    let events = World::new("bench", 5, 1_790_000_000).run(1_500, 14);
    let settings = Settings::example()?;
    let speed = |settles| {
        let mut speeds = Vec::new();
        for _ in 0..ROUNDS {
            let start = Instant::now();
            black_box(run(&events, &settings, settles)?);
            let micros = u64::try_from(start.elapsed().as_micros())?.max(1);
            speeds.push(u64::try_from(events.len())? * 1_000_000 / micros);
        }
        let speed = median(speeds).unwrap_or(0);
        anyhow::Ok(format!("{speed} events/s"))
    };
    Ok([
        Reading::new(
            "decode + apply, one core",
            speed(false)?,
            "≥ 50000 events/s",
        ),
        Reading::new("the same, roll-up and segments too", speed(true)?, ""),
    ])
}

/// A Stripe customer's state, what its totals came to, its contact, and its invoices and the like.
#[derive(Default)]
struct Held {
    account: Account,
    totals: Totals,
    contact: Option<Contact>,
    beside: HashMap<ObjectKey, Account>,
}

fn run(events: &[String], settings: &Settings, settles: bool) -> anyhow::Result<usize> {
    let catalog = Catalog::default();
    let mut held: HashMap<StripeCustomerId, Held> = HashMap::new();
    let mut told = 0;
    for text in events {
        let event = StripeEvent::parse(text)?;
        let Some(fact) = decode(&event)? else {
            continue;
        };
        let Some(customer) = fact.customer.clone() else {
            continue;
        };
        let context = Context {
            settings,
            catalog: &catalog,
            now: fact.at,
        };
        let Held {
            account,
            totals,
            contact,
            beside,
        } = held.entry(customer.clone()).or_default();
        let key = ObjectKey::beside(&fact.body);
        if let Some(before) = key.as_ref().and_then(|key| beside.remove(key)) {
            (account.invoice, account.charge, account.checkout) =
                (before.invoice, before.charge, before.checkout);
        }
        told += apply(account, totals, &fact, context).events.len();
        if let Some(key) = key {
            let after = Account {
                invoice: account.invoice.take(),
                charge: account.charge.take(),
                checkout: account.checkout.take(),
                ..Account::default()
            };
            beside.insert(key, after);
        }
        if settles {
            let rolled = rollup(account, totals.clone(), context);
            let contact = contact.get_or_insert_with(|| Contact::new(customer.clone().into()));
            let outcome = contact.settle(&customer, rolled, settings, fact.at);
            told += outcome.events.len();
        }
    }
    Ok(told)
}

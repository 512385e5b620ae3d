//! `paygraph test --soak load`: many webhooks at once on the local stack.
//!
//! The events of a simulated Stripe come shuffled, every fifth one twice, from many senders at once.
//! Each customer's record must then be the one of the same events in order, the ingest queue empty,
//! and nothing new in the dead letters.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail, ensure};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use paygraph_bus::Queue;
use paygraph_engine::Deadline;
use paygraph_testkit::world::{History, World};
use serde_json::{Value, json};

use crate::api::Api;
use crate::fold;
use crate::local::{Local, Places};
use crate::stack::{self, Stack, now, run};
use crate::up::Up;

/// How many senders there are.
const SENDERS: usize = 16;
/// How many ledger entries are read at a time.
const READS: usize = 16;
/// How many events a customer has, about.
const EVENTS_EACH: u64 = 20;
/// How many steps each customer lives through.
const STEPS: u32 = 14;
/// How long the stack may take after the last webhook, and how long the queue may take to be empty.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long a look waits for the next one.
const PAUSE: Duration = Duration::from_millis(100);

/// Sends about so many events of a seed, and checks what comes of them. Prints counts and speed.
pub fn load(places: &Places, seed: u64, count: u64) -> anyhow::Result<()> {
    let local = Up::detached().ready(places)?;
    let stack = stack::local(&local)?;
    let events = events(seed, count)?;
    let sent = shuffled(&events, seed);
    println!(
        "load: seed {seed}, {} events, {} webhooks from {SENDERS} senders",
        events.len(),
        sent.len()
    );
    let queue = |url: &String| Queue::new(stack.sqs.clone(), url);
    let (ingest, dead_letters) = (queue(&local.queue_url), queue(&local.dlq_url));
    let dead = run(async { Ok(dead_letters.count_messages().await?) })?;
    let begun = Instant::now();
    send(&local, &sent)?;
    let answered = begun.elapsed();
    run(settle(&stack, &events))?;
    let settled = begun.elapsed();
    run(wait_until_empty(&ingest))?;
    let letters = run(async { Ok(dead_letters.count_messages().await?) })?;
    ensure!(letters == dead, "{letters} dead letters, and {dead} before");
    println!(
        "webhooks answered: {} ms, {}/s; events processed and published: {} ms, {}/s",
        answered.as_millis(),
        per_second(sent.len(), answered),
        settled.as_millis(),
        per_second(events.len(), settled)
    );
    let customers = compare(&local, stack, &events)?;
    println!(
        "{customers} customers as by the same events in order; the queue is empty, no dead letters"
    );
    Ok(())
}

/// The events of a world that ended just now.
fn events(seed: u64, count: u64) -> anyhow::Result<Vec<String>> {
    let customers = u32::try_from((count / EVENTS_EACH).max(1))?;
    let name = format!("load{:x}x", fastrand::u64(..));
    let history = History::ending_at(now().unix() - 60, |start| {
        World::new(&name, seed, start).live(customers, STEPS)
    });
    let mut events = history.events;
    events.truncate(usize::try_from(count)?);
    Ok(events)
}

/// Every event in another order, and every fifth one a second time.
fn shuffled(events: &[String], seed: u64) -> Vec<&String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let twice = events.iter().filter(|_| random.u8(0..5) == 0);
    let twice: Vec<_> = twice.collect();
    let mut sent: Vec<_> = events.iter().chain(twice).collect();
    random.shuffle(&mut sent);
    sent
}

fn send(local: &Local, events: &[&String]) -> anyhow::Result<()> {
    let next = AtomicUsize::new(0);
    let send = || {
        while let Some(event) = events.get(next.fetch_add(1, Ordering::Relaxed)) {
            local.deliver(event)?;
        }
        anyhow::Ok(())
    };
    thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS).map(|_| scope.spawn(send)).collect();
        let mut ended = senders.into_iter().map(|sender| {
            let ended = sender.join();
            ended.unwrap_or_else(|_| Err(anyhow!("a sender panicked")))
        });
        ended.try_for_each(|ended| ended)
    })
}

/// Waits until each event is processed and published.
async fn settle(stack: &Stack, events: &[String]) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let settled = stream::iter(events).map(anyhow::Ok);
    settled
        .try_for_each_concurrent(READS, async |event| {
            let event: Value = serde_json::from_str(event)?;
            stack.settle_event(&event, deadline).await
        })
        .await
}

/// Waits until the ingest queue is empty.
async fn wait_until_empty(ingest: &Queue) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let messages = ingest.count_messages().await?;
        if messages == 0 {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "{messages} messages stay in the ingest queue"
        );
        tokio::time::sleep(PAUSE).await;
    }
}

/// Compares each customer's record with the one of the same events in order. Gives their number.
fn compare(local: &Local, stack: Stack, events: &[String]) -> anyhow::Result<usize> {
    let at = now();
    // Time has passed since the last event of most customers.
    let (engine, bus) = stack.engine();
    run(async { Ok(engine.tick(&bus, at, Deadline::after(PATIENCE)).await?) })?;
    let api = Api::local(local);
    let customers = fold::customers(events, at)?;
    for customer in &customers {
        let expected = without_time(serde_json::to_value(customer)?);
        let id = expected["customer_id"].as_str().unwrap_or_default();
        let found = without_time(api.get(&format!("customer/{id}"))?);
        if found != expected {
            bail!("{id}: expected {expected:#}, found {found:#}");
        }
    }
    Ok(customers.len())
}

/// `as_of` tells when a record was computed, which differs.
fn without_time(mut record: Value) -> Value {
    record["as_of"] = json!(null);
    record
}

fn per_second(count: usize, time: Duration) -> u128 {
    let count = u128::try_from(count).unwrap_or(u128::MAX);
    count.saturating_mul(1_000) / time.as_millis().max(1)
}

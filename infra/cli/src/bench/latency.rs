//! How long an event takes, from the webhook's answer until the bus has delivered what it led to.
//! The record is written before that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use paygraph_testkit::world::World;
use serde_json::Value;

use super::{Reading, median};
use crate::api::Api;
use crate::demo::story::{FAILED, FAILURE, Story};
use crate::local::Local;
use crate::stack::{self, Stack, now, run};
use crate::tap::Tap;

const EVENTS: usize = 1_000;
/// One of so many is sent a second time.
const TWICE: usize = 10;
const PER_SECOND: u32 = 20;
/// How often the way to an alert is measured.
const ALERTS: usize = 9;
/// How long it is looked for what comes twice, once all is there.
const AFTERWARDS: Duration = Duration::from_secs(3);
/// How long the last of them may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures it, at a steady rate, in random order and with duplicates.
pub fn measure(local: &Local) -> anyhow::Result<Reading> {
    let stack = stack::local(local)?;
    let name = format!("latency{}", now().unix());
    let mut events = World::new(&name, 33, now().unix() - 86_400 * 60).run(150, 8);
    events.truncate(EVENTS);
    let expected = events.len();
    events.extend(events.clone().into_iter().step_by(TWICE));
    fastrand::Rng::with_seed(33).shuffle(&mut events);
    let tap = run(Tap::open(&stack, &local.event_bus, &name))?;
    let sending = AtomicBool::new(true);
    let (answered, seen) = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let answered = send(local, &events);
            sending.store(false, Ordering::Relaxed);
            answered
        });
        let seen = run(watch(&stack, &tap, expected, &sending));
        (sender.join(), seen)
    });
    run(tap.close(&stack))?;
    let Ok(answered) = answered else {
        bail!("the sender stopped");
    };
    let (answered, seen) = (answered?, seen?);
    let lost = answered.keys().filter(|id| !seen.first.contains_key(*id));
    let (lost, twice) = (lost.count(), seen.twice());
    let mut times: Vec<_> = answered
        .iter()
        .filter(|(_, sent)| !sent.waits)
        .filter_map(|(id, sent)| Some((seen.first.get(id)?, sent.at)))
        .map(|(seen, at)| seen.saturating_duration_since(at).as_millis())
        .collect();
    times.sort_unstable();
    let part = |percent: usize| {
        let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times.get(place).copied().unwrap_or_default()
    };
    let (half, most, all) = (part(50), part(95), part(100));
    Ok(Reading::new(
        format!("webhook to bus, {expected} events in random order, 20/s (half, 95 %, all)"),
        format!("{half} / {most} / {all} ms; {lost} lost, {twice} twice"),
        "≤ 3000 ms; 0, 0",
    ))
}

/// Measures how long it takes from the webhook's answer to a failed payment until its alert is listed.
pub fn measure_alert(local: &Local) -> anyhow::Result<Reading> {
    let api = Api::local(local);
    let mut times = Vec::new();
    for round in 0..ALERTS {
        let mut story = Story::new(&format!("alert{}x{round}", now().unix()));
        let chapters = story.tell(now().unix() + FAILURE);
        for chapter in chapters.iter().take(FAILED + 1) {
            for event in &chapter.events {
                local.deliver(&event.to_string())?;
            }
        }
        let (begun, path) = (
            Instant::now(),
            format!("alerts?customer={}", story.customer()),
        );
        // Before the record is there, nobody is known by that id.
        while !api.ask(&path).is_ok_and(|told| has_failure(&told)) {
            if begun.elapsed() > PATIENCE {
                bail!(
                    "no alert of a failed payment within {} s",
                    PATIENCE.as_secs()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        times.push(begun.elapsed().as_millis());
    }
    let most = times.iter().max().copied().unwrap_or_default();
    let half = median(times).unwrap_or_default();
    Ok(Reading::new(
        "failed payment to its alert (half, all)",
        format!("{half} / {most} ms"),
        "≤ 10000 ms",
    ))
}

fn has_failure(told: &Value) -> bool {
    let alerts = told["data"].as_array().into_iter().flatten();
    let mut kinds = alerts.map(|alert| &alert["kind"]);
    kinds.any(|kind| kind == "payment_failure")
}

/// An event that was sent.
struct Sent {
    /// When the webhook first answered.
    at: Instant,
    /// Whether it names no customer, and so may have to wait for the charge that does.
    waits: bool,
}

/// What the bus delivered.
#[derive(Default)]
struct Seen {
    /// When something of an event was first delivered, by the event's id.
    first: HashMap<String, Instant>,
    /// How often each message was delivered, by its own id.
    messages: HashMap<String, usize>,
}

impl Seen {
    /// How many messages were delivered more than once.
    fn twice(&self) -> usize {
        self.messages.values().filter(|times| **times > 1).count()
    }
}

/// Sends the events, by id.
fn send(local: &Local, events: &[String]) -> anyhow::Result<HashMap<String, Sent>> {
    let mut answered = HashMap::new();
    let mut next = Instant::now();
    for event in events {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        next += Duration::from_secs(1) / PER_SECOND;
        local.deliver(event)?;
        let event: Value = serde_json::from_str(event)?;
        let id = event["id"].as_str().unwrap_or_default();
        let sent = Sent {
            at: Instant::now(),
            waits: event["data"]["object"]["customer"].is_null()
                && event["data"]["object"]["object"] != "customer",
        };
        answered.entry(id.to_owned()).or_insert(sent);
    }
    Ok(answered)
}

/// Watches the bus until it has delivered something of so many events, and a moment longer.
async fn watch(
    stack: &Stack,
    tap: &Tap,
    events: usize,
    sending: &AtomicBool,
) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    let mut deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        for event in tap.drain(stack).await? {
            let text = |name: &str| {
                event["detail"][name]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            };
            let cause = text("cause");
            // What time changes meanwhile has causes of its own.
            if cause.starts_with("evt_") {
                seen.first.entry(cause).or_insert_with(Instant::now);
            }
            *seen.messages.entry(text("id")).or_default() += 1;
        }
        if sending.load(Ordering::Relaxed) {
            deadline = Instant::now() + PATIENCE;
        } else if seen.first.len() >= events {
            deadline = deadline.min(Instant::now() + AFTERWARDS);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(seen)
}

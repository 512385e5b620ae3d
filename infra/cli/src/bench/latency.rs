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

const EVENTS: usize = 400;
const PER_SECOND: u32 = 20;
/// How often the way to an alert is measured.
const ALERTS: usize = 9;
/// How long the last of them may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures it, at a steady rate.
pub fn measure(local: &Local) -> anyhow::Result<Reading> {
    let stack = stack::local(local)?;
    let name = format!("latency{}", now().unix());
    let mut events = World::new(&name, 33, now().unix() - 86_400 * 60).run(60, 8);
    events.truncate(EVENTS);
    let tap = run(Tap::open(&stack, &local.event_bus, &name))?;
    let sending = AtomicBool::new(true);
    let (answered, seen) = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let answered = send(local, &events);
            sending.store(false, Ordering::Relaxed);
            answered
        });
        let seen = run(watch(&stack, &tap, events.len(), &sending));
        (sender.join(), seen)
    });
    run(tap.close(&stack))?;
    let Ok(answered) = answered else {
        bail!("the sender stopped");
    };
    let (answered, seen) = (answered?, seen?);
    let mut times: Vec<_> = answered
        .iter()
        .filter_map(|(id, at)| Some(seen.get(id)?.saturating_duration_since(*at).as_millis()))
        .collect();
    if times.len() < answered.len() {
        let missing = answered.len() - times.len();
        bail!(
            "{missing} of {} events did not reach the bus",
            answered.len()
        );
    }
    times.sort_unstable();
    let part = |percent: usize| {
        let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times.get(place).copied().unwrap_or_default()
    };
    let (half, most, all) = (part(50), part(95), part(100));
    Ok(Reading::new(
        "webhook to bus, 20 events/s (half, 95 %, all)",
        format!("{half} / {most} / {all} ms"),
        "≤ 3000 ms",
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

/// Sends the events; when each was answered, by id.
fn send(local: &Local, events: &[String]) -> anyhow::Result<HashMap<String, Instant>> {
    let mut answered = HashMap::new();
    let mut next = Instant::now();
    for event in events {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        next += Duration::from_secs(1) / PER_SECOND;
        local.deliver(event)?;
        let event: Value = serde_json::from_str(event)?;
        let id = event["id"].as_str().unwrap_or_default();
        answered.insert(id.to_owned(), Instant::now());
    }
    Ok(answered)
}

/// When the bus first delivered something of an event, by the event's id.
async fn watch(
    stack: &Stack,
    tap: &Tap,
    events: usize,
    sending: &AtomicBool,
) -> anyhow::Result<HashMap<String, Instant>> {
    let mut seen = HashMap::new();
    let mut deadline = Instant::now() + PATIENCE;
    while seen.len() < events && Instant::now() < deadline {
        for event in tap.drain(stack).await? {
            let cause = event["detail"]["cause"].as_str().unwrap_or_default();
            seen.entry(cause.to_owned()).or_insert_with(Instant::now);
        }
        if sending.load(Ordering::Relaxed) {
            deadline = Instant::now() + PATIENCE;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(seen)
}

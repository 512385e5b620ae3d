//! `paygraph demo`: one customer's life through the real thing.

pub mod story;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::Value;
use tokio::time::sleep;

use crate::api::Api;
use crate::local::{Local, Places};
use crate::stack::{self, Stack, now, run};
use crate::tap::Tap;
use crate::{show, up};
use story::{Chapter, Story};

/// How long a chapter may take to come through.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tell a story through the real HTTP endpoint, queue, table and bus, and show what comes out.
///
/// Trial, payment, upgrade, failed payment, recovery, cancellation: signed webhooks, shuffled and
/// with duplicates. Starts the local stack if it is not there, and leaves it running.
#[derive(Args)]
pub struct Demo {}

impl Demo {
    /// Tells it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let places = Places::find()?;
        let local = up::Up::detached().ready(&places)?;
        let stack = stack::local(&local)?;
        run(tell(&local, &stack))?;
        println!(
            "The stack is still running: {}",
            places.local_json().display()
        );
        println!(
            "Look around with `cargo paygraph explain <customer>`; stop it with `cargo paygraph down`."
        );
        Ok(ExitCode::SUCCESS)
    }
}

async fn tell(local: &Local, stack: &Stack) -> anyhow::Result<()> {
    let start = now().unix();
    let name = format!("demo{start}");
    let tap = Tap::open(stack, &local.event_bus, &name).await?;
    let mut story = Story::new(&name);
    let chapters = story.tell(start);
    let customer = story.customer();
    let api = Api::local(local);
    println!("\nOne customer's life, as Stripe tells it: shuffled, and with duplicates.");
    let mut sent = 0;
    for (number, chapter) in chapters.iter().enumerate() {
        println!("\n{}. {}", number + 1, chapter.title);
        sent += send(local, chapter)?;
        settle(stack, chapter).await?;
        print!(
            "{}",
            show::customer(&api.get(&format!("customer/{customer}"))?)
        );
        let events = tap.drain(stack).await?;
        print!("{}", told(&events, &customer));
    }
    println!("\nThe audit trail");
    print!(
        "{}",
        show::audit(&api.get(&format!("audit/{customer}?limit=100"))?["data"])
    );
    let events: usize = chapters.iter().map(|chapter| chapter.events.len()).sum();
    println!("\n{sent} webhooks were sent for {events} events; each counted once.");
    println!("Customer: {customer}");
    tap.close(stack).await
}

/// Sends a chapter's events in a shuffled order, every second one twice. Gives how many were sent.
fn send(local: &Local, chapter: &Chapter) -> anyhow::Result<usize> {
    let twice = chapter.events.iter().step_by(2);
    let mut order: Vec<&Value> = chapter.events.iter().chain(twice).collect();
    fastrand::shuffle(&mut order);
    let kinds: Vec<_> = order
        .iter()
        .filter_map(|event| event["type"].as_str())
        .collect();
    println!("  → {}", kinds.join(", "));
    for event in &order {
        local.deliver(&event.to_string())?;
    }
    Ok(order.len())
}

/// Waits until every event of a chapter is processed and published.
async fn settle(stack: &Stack, chapter: &Chapter) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    for event in &chapter.events {
        stack.settle_event(event, deadline).await?;
    }
    // The bus delivers a moment after it has taken an event.
    sleep(Duration::from_millis(500)).await;
    Ok(())
}

/// The product's own events of a customer, with what they say.
fn told(events: &[Value], customer: &str) -> String {
    let mut lines = BTreeMap::new();
    for event in events {
        let name = event["detail-type"].as_str().unwrap_or_default();
        let detail = &event["detail"];
        let own = detail["stripe_customer_id"].as_str() == Some(customer);
        if own && !name.starts_with("stripe.") {
            let key = detail["id"].as_str().unwrap_or_default().to_owned();
            lines.insert(
                key,
                format!("    {name:<28} {}\n", show::plain(&detail["data"])),
            );
        }
    }
    let passed_on = events.len() - lines.len();
    let own: String = lines.into_values().collect();
    format!("  on the bus ({passed_on} of Stripe's own were passed on)\n{own}")
}

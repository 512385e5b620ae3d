//! `paygraph replay`: dead letters, events of the last 30 days and single ones back into the ingest
//! queue; and a target's dead letters back into its own.

mod from_stripe;

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use aws_sdk_sqs::types::Message;
use clap::{Args, ValueEnum};
use paygraph_bus::Queue;
use paygraph_bus::incoming::Incoming;
use paygraph_domain::id::Cause;
use paygraph_domain::time::Timestamp;
use paygraph_stripe::ingest::{IngestContent, IngestMessage, read_from_stripe};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::input;
use crate::local::{Local, Places};
use crate::stack::{Stack, Which, now, run};

/// How long a message that is only looked at is hidden from others, in seconds.
const LOOK_SECONDS: i32 = 5;
/// How long a message that is put back is hidden from others, in seconds.
const MOVE_SECONDS: i32 = 60;

/// Put dead letters, Stripe's events of the last 30 days, or a single event from a file, into the
/// ingest queue; or a target's dead letters into its own.
///
/// An event that was processed before is a duplicate and changes nothing, so replaying is safe.
#[derive(Args)]
pub struct Replay {
    /// A file with one Stripe event; `-` reads standard input [default: the dead letters]
    file: Option<PathBuf>,
    /// The dead letters
    #[arg(long, conflicts_with_all = ["file", "types"])]
    failed: bool,
    /// The dead letters of this target [of a deployed stack: give its queues' URLs instead]
    #[arg(long, value_name = "TARGET", conflicts_with_all = ["file", "types", "table"])]
    target: Option<Target>,
    /// Only this event: its dead letter, or a target's letters of it; else the event as Stripe has it
    #[arg(long, value_name = "EVT", conflicts_with = "file", value_parser = |id: &str| Cause::parse(id))]
    id: Option<Cause>,
    /// All events of these types that Stripe has: those of the last 30 days
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', conflicts_with_all = ["file", "id"])]
    types: Vec<String>,
    /// Only events that were made since then
    #[arg(long, value_name = "RFC3339", requires = "types", value_parser = |text: &str| Timestamp::parse(text))]
    since: Option<Timestamp>,
    /// Show what would be put back, and put nothing back
    #[arg(long, conflicts_with = "file")]
    list: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

/// What a rule of the bus brings events to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    Alert,
    Crm,
    Greenlight,
    Sequence,
}

impl Target {
    /// Its queue on the local stack, and the dead letters of that.
    fn queues(self, local: &Local) -> (String, String) {
        let (queue, dead_letters) = match self {
            Self::Alert => (&local.alert_queue_url, &local.alert_dlq_url),
            Self::Crm => (&local.crm_queue_url, &local.crm_dlq_url),
            Self::Greenlight => (&local.greenlight_queue_url, &local.greenlight_dlq_url),
            Self::Sequence => (&local.sequence_queue_url, &local.sequence_dlq_url),
        };
        (queue.clone(), dead_letters.clone())
    }
}

/// A dead letter as it is shown.
#[derive(Serialize)]
struct Letter {
    event: Option<String>,
    reason: String,
    replayed: bool,
}

impl Replay {
    /// Does it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let mut stack = self.which.open()?;
        if let Some(target) = self.target {
            let local = Local::read(&Places::find()?)?;
            (stack.queue_url, stack.dlq_url) = target.queues(&local);
        }
        if let Some(file) = &self.file {
            let mut text = String::new();
            input::open(Some(file))?.read_to_string(&mut text)?;
            let id = run(self.send(&stack, &text))?;
            if self.json {
                println!("{}", json!({ "replayed": [id] }));
            } else {
                println!("{id} is in the ingest queue.");
            }
            return Ok(ExitCode::SUCCESS);
        }
        if !self.types.is_empty() {
            return run(self.of_types(&stack));
        }
        let letters = run(self.letters(&stack))?;
        let only_letters = self.failed || self.target.is_some();
        if let Some(id) = self.id.as_ref().filter(|_| !only_letters) {
            let mut events = letters.iter().filter_map(|letter| letter.event.as_deref());
            if !events.any(|event| is_of(event, id)) {
                return run(self.one_from_stripe(&stack, id));
            }
        }
        if self.json {
            println!("{}", json!({ "dead_letters": letters }));
        } else if letters.is_empty() {
            println!("There are no dead letters.");
        }
        for letter in letters.iter().filter(|_| !self.json) {
            let event = letter.event.as_deref().unwrap_or("(unreadable)");
            let done = if letter.replayed { "replayed" } else { "left" };
            println!("{done:>8}  {event}  {}", letter.reason);
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn send(&self, stack: &Stack, text: &str) -> anyhow::Result<String> {
        let raw: &RawValue = serde_json::from_str(text).context("the input is not JSON")?;
        let (id, body) = read_from_stripe(&self.which.tenant, raw, now())
            .context("the input is not a Stripe event")?;
        queue(stack).send(&body, 0).await?;
        Ok(id.to_string())
    }

    async fn letters(&self, stack: &Stack) -> anyhow::Result<Vec<Letter>> {
        let mut letters = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        loop {
            let hidden = if self.list {
                LOOK_SECONDS
            } else {
                MOVE_SECONDS
            };
            let received = stack
                .sqs
                .receive_message()
                .queue_url(&stack.dlq_url)
                .max_number_of_messages(10)
                .visibility_timeout(hidden)
                .message_attribute_names("reason")
                .send()
                .await
                .context("cannot read the dead letters")?;
            let messages = received.messages.unwrap_or_default();
            if messages.is_empty() {
                return Ok(letters);
            }
            for message in messages {
                if !seen.insert(message.message_id.clone()) {
                    return Ok(letters);
                }
                letters.push(self.letter(stack, message).await?);
            }
        }
    }

    async fn letter(&self, stack: &Stack, message: Message) -> anyhow::Result<Letter> {
        let body = message.body.unwrap_or_default();
        let event = event_of(&body);
        let attributes = message.message_attributes.unwrap_or_default();
        let reason = attributes
            .get("reason")
            .and_then(|value| value.string_value.clone());
        let reason = reason.unwrap_or_else(|| "given up after ten deliveries".to_owned());
        let is_of = |id: &Cause| is_of(event.as_deref().unwrap_or_default(), id);
        let wanted = self.id.as_ref().is_none_or(is_of);
        let replayed = wanted && !self.list;
        let Some(handle) = message.receipt_handle else {
            bail!("a dead letter has no handle")
        };
        if replayed {
            // First in, then out: a message may be there twice, never not at all.
            queue(stack).send(&body, 0).await?;
            stack
                .sqs
                .delete_message()
                .queue_url(&stack.dlq_url)
                .receipt_handle(handle)
                .send()
                .await?;
        }
        Ok(Letter {
            event,
            reason,
            replayed,
        })
    }
}

fn queue(stack: &Stack) -> Queue {
    Queue::new(stack.sqs.clone(), &stack.queue_url)
}

/// Whether an event is this one, or one of those that it led to: `evt_1` or `evt_1#2`.
fn is_of(event: &str, id: &Cause) -> bool {
    let rest = event.strip_prefix(id.as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
}

/// The event that a message is about, if it can be read so far.
fn event_of(body: &str) -> Option<String> {
    let Ok(message) = IngestMessage::parse(body) else {
        // A target's: an event of the bus.
        return Some(Incoming::parse(body).ok()?.detail.id);
    };
    match message.content {
        IngestContent::Event(event) => {
            let value: serde_json::Value = serde_json::from_str(event.get()).ok()?;
            value.get("id")?.as_str().map(str::to_owned)
        }
        IngestContent::Pointer(pointer) => Some(pointer.id.to_string()),
    }
}

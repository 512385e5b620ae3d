//! `paygraph fold`: a history of events through the worker's own core, in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufWriter, Seek, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use paygraph_domain::account::Object;
use paygraph_domain::fact::Source;
use paygraph_domain::id::TenantId;
use paygraph_domain::rollup::{Context, rollup};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_domain::view;
use paygraph_engine::Deadline;
use paygraph_engine::envelope::Outgoing;
use paygraph_engine::fetch::NoFetch;
use paygraph_engine::memory::{MemoryStore, StoppedClock};
use paygraph_engine::ports::Store as _;
use paygraph_engine::process::{Done, Engine};
use paygraph_stripe::event::StripeEvent;
use serde::Serialize;

use crate::input;

/// How many batches the writer of events may be behind.
const AHEAD: usize = 16;
/// How many lines a worker takes together.
const BATCH: usize = 500;
/// How many batches wait for a worker.
const WAITING: usize = 8;
/// How long workers on one customer may wait for each other.
const PATIENCE: Duration = Duration::from_secs(60);

/// Fold Stripe events, in any order and with duplicates, into customers, subscriptions, invoices
/// and the events that paygraph would publish.
///
/// Works without access to Stripe: subscriptions of which only an API call could tell all are
/// listed in `needs_refetch`.
#[derive(Args)]
pub struct Fold {
    /// A file with one event per line; `-` reads standard input
    file: Option<PathBuf>,
    /// The instant at which the result is asked, in RFC 3339 [default: the newest `created`]
    #[arg(long, value_parser = input::instant)]
    now: Option<Timestamp>,
    /// The tenant's settings [default: those of infra/catalog/settings.json]
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

/// A line that is no event that paygraph can read.
#[derive(Debug, Serialize)]
struct Rejected {
    line: usize,
    error: String,
}

/// What comes out, beside the events, which wait in a file.
#[derive(Serialize)]
struct Folded {
    customers: Vec<view::CustomerView>,
    subscriptions: Vec<view::SubscriptionView>,
    invoices: Vec<view::InvoiceView>,
    needs_refetch: BTreeSet<paygraph_domain::id::StripeId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rejected: Vec<Rejected>,
}

impl Fold {
    /// Reads, folds, prints.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let settings = input::settings(self.settings.as_ref())?;
        let input = input::open(self.file.as_deref())?;
        let bus = Lines::new()?;
        let folded = fold(input, settings, self.now, &bus)?;
        let mut out = BufWriter::new(io::stdout().lock());
        out.write_all(b"{\"events\":[")?;
        bus.copy_to(&mut out)?;
        out.write_all(b"],")?;
        let rest = serde_json::to_string(&folded)?;
        out.write_all(rest.trim_start_matches('{').as_bytes())?;
        out.write_all(b"\n")?;
        out.flush()?;
        for Rejected { line, error } in &folded.rejected {
            eprintln!("error: line {line}: {error}");
        }
        let clean = folded.rejected.is_empty();
        Ok(if clean {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn fold(
    mut input: Box<dyn BufRead>,
    settings: Settings,
    now: Option<Timestamp>,
    bus: &Lines,
) -> anyhow::Result<Folded> {
    let engine = Engine {
        store: MemoryStore::new(settings.clone()),
        clock: StoppedClock::default(),
        livemode: false,
        fetch: NoFetch,
    };
    let tenant = TenantId::parse("default")?;
    // The first batch is folded in order, so that few events give the same output every time. A
    // long history is folded by several workers, as in production: the state is the same.
    let mut number = 0;
    let mut part = Part::default();
    part.process(&engine, &tenant, &next_batch(&mut input, &mut number)?, bus)?;
    let (batches, received) = sync_channel::<Vec<(usize, String)>>(WAITING);
    let received = Mutex::new(received);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let work = || {
            let mut part = Part::default();
            loop {
                let batch = received
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .recv();
                match batch {
                    Ok(batch) => part.process(&engine, &tenant, &batch, bus)?,
                    Err(_) => return anyhow::Ok(part),
                }
            }
        };
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        loop {
            let batch = next_batch(&mut input, &mut number)?;
            if batch.is_empty() || batches.send(batch).is_err() {
                break;
            }
        }
        drop(batches);
        for worker in workers {
            let done = worker.join();
            let done = done.map_err(|_| anyhow!("a worker stopped"))??;
            part.newest = part.newest.max(done.newest);
            part.rejected.extend(done.rejected);
        }
        anyhow::Ok(())
    })?;
    part.rejected.sort_by_key(|rejected| rejected.line);
    let now = now.or(part.newest).unwrap_or_default();
    let mut folded = look(&engine.store, &tenant, &settings, now);
    folded.rejected = part.rejected;
    // The process ends soon: to free it piece by piece would take a while for nothing.
    std::mem::forget(engine);
    Ok(folded)
}

/// The next lines with their numbers; none at the end.
fn next_batch(input: &mut dyn BufRead, number: &mut usize) -> anyhow::Result<Vec<(usize, String)>> {
    let mut batch = Vec::new();
    while batch.len() < BATCH {
        *number += 1;
        let mut text = String::new();
        let read = input
            .read_line(&mut text)
            .with_context(|| format!("cannot read line {number}"))?;
        if read == 0 {
            break;
        }
        if !text.trim().is_empty() {
            batch.push((*number, text));
        }
    }
    Ok(batch)
}

/// What one worker saw.
#[derive(Default)]
struct Part {
    newest: Option<Timestamp>,
    rejected: Vec<Rejected>,
}

impl Part {
    fn process(
        &mut self,
        engine: &Engine<MemoryStore, StoppedClock>,
        tenant: &TenantId,
        batch: &[(usize, String)],
        bus: &Lines,
    ) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        let mut events = Vec::new();
        runtime.block_on(async {
            for (line, text) in batch {
                let text = text.trim();
                let deadline = Deadline::after(PATIENCE);
                match engine
                    .process(tenant, text, Source::Webhook, deadline)
                    .await
                {
                    Ok(processed) => {
                        let at = match &processed.done {
                            Done::Committed(entry) | Done::Duplicate(entry) => Some(entry.at),
                            Done::Parked(_) | Done::Ignored => {
                                let event = StripeEvent::parse(text).ok();
                                event.map(|event| event.created)
                            }
                        };
                        self.newest = self.newest.max(at);
                        for entry in processed.into_entries() {
                            engine.store.published(tenant, &entry.cause).await?;
                            events.extend(entry.outbox);
                        }
                    }
                    Err(error) => self.rejected.push(Rejected {
                        line: *line,
                        error: chain(&error),
                    }),
                }
            }
            anyhow::Ok(())
        })?;
        bus.write(events)
    }
}

/// An error with what caused it, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Looks at the store as the read API would at `now`, with all that the catalog knows by then.
fn look(store: &MemoryStore, tenant: &TenantId, settings: &Settings, now: Timestamp) -> Folded {
    let catalog = store.whole_catalog(tenant);
    let context = Context {
        settings,
        catalog: &catalog,
        now,
    };
    let (mut contacts, accounts) = (store.contacts(), store.accounts());
    let mut folded = Folded {
        customers: Vec::new(),
        subscriptions: Vec::new(),
        invoices: Vec::new(),
        needs_refetch: BTreeSet::new(),
        rejected: Vec::new(),
    };
    let mut rollups: BTreeMap<_, _> = contacts
        .iter_mut()
        .flat_map(|contact| contact.accounts.iter_mut())
        .collect();
    for (customer, account, beside) in &accounts {
        if let Some(held) = rollups.get_mut(customer) {
            **held = Arc::new(rollup(account, held.totals.clone(), context));
            folded
                .needs_refetch
                .extend(held.needs_refetch.iter().cloned());
        }
        for stored in account.subscriptions.values() {
            let shown = view::subscription(customer, &stored.value, account, context);
            folded.subscriptions.push(shown);
        }
        for object in beside {
            if let Object::Invoice(state) = object {
                let totals = rollups.get(customer).map(|held| &held.totals);
                folded.invoices.push(view::invoice(customer, state, totals));
            }
        }
    }
    drop(rollups);
    for contact in &mut contacts {
        contact.evaluated_at = now;
    }
    folded.customers = contacts
        .iter()
        .map(|contact| view::customer(contact, settings, &catalog, now))
        .collect();
    folded.subscriptions.sort_by(|a, b| a.id.cmp(&b.id));
    folded
        .invoices
        .sort_by(|a, b| (b.created, &a.id).cmp(&(a.created, &b.id)));
    folded
}

/// A thread that writes each event to a file that nobody else sees, as the line it will be printed
/// as.
struct Lines {
    events: SyncSender<Vec<Outgoing>>,
    writer: JoinHandle<anyhow::Result<File>>,
}

/// An event as `fold` prints it.
#[derive(Serialize)]
struct Line<'a> {
    detail_type: &'a str,
    id: &'a str,
    customer_id: Option<&'a str>,
    stripe_customer_id: Option<&'a str>,
    occurred_at: String,
    source: Source,
    cause: &'a str,
    data: &'a serde_json::Value,
}

impl Lines {
    fn new() -> anyhow::Result<Self> {
        let file = tempfile::tempfile().context("cannot make a file for the events")?;
        let (events, received) = sync_channel::<Vec<Outgoing>>(AHEAD);
        let writer = std::thread::spawn(move || {
            let mut file = BufWriter::new(file);
            let mut first = true;
            for event in received.into_iter().flatten() {
                if !std::mem::take(&mut first) {
                    file.write_all(b",")?;
                }
                serde_json::to_writer(&mut file, &Line::of(&event))?;
            }
            Ok(file.into_inner()?)
        });
        Ok(Self { events, writer })
    }

    /// Hands events over.
    fn write(&self, events: Vec<Outgoing>) -> anyhow::Result<()> {
        let sent = self.events.send(events);
        sent.map_err(|_| anyhow!("the events could not be written"))
    }

    /// Writes the events, with commas between them.
    fn copy_to(self, out: &mut impl Write) -> anyhow::Result<()> {
        drop(self.events);
        let written = self.writer.join();
        let mut file = written.map_err(|_| anyhow!("the events could not be written"))??;
        file.rewind()?;
        io::copy(&mut file, out)?;
        Ok(())
    }
}

impl<'a> Line<'a> {
    fn of(event: &'a Outgoing) -> Self {
        let detail = &event.detail;
        Self {
            detail_type: &event.detail_type,
            id: &detail.id,
            customer_id: detail.customer_id.as_ref().map(|id| id.as_str()),
            stripe_customer_id: detail.stripe_customer_id.as_ref().map(|id| id.as_str()),
            occurred_at: detail.occurred_at.to_string(),
            source: detail.source,
            cause: detail.cause.as_str(),
            data: &detail.data,
        }
    }
}

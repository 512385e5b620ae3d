//! `paygraph fold`: a history of events through the worker's own core, in memory.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufWriter, Seek, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use paygraph_domain::account::Object;
use paygraph_domain::fact::Source;
use paygraph_domain::id::TenantId;
use paygraph_domain::rollup::{Context, Rollup, rollup};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_domain::view;
use paygraph_engine::Deadline;
use paygraph_engine::envelope::Outgoing;
use paygraph_engine::memory::{MemoryStore, StoppedClock};
use paygraph_engine::ports::Store as _;
use paygraph_engine::process::{Done, Engine};
use paygraph_stripe::event::StripeEvent;
use rayon::iter::{
    IntoParallelIterator as _, IntoParallelRefIterator as _, ParallelBridge as _,
    ParallelIterator as _,
};
use serde::Serialize;

use crate::input;

/// How many lines a worker takes together.
const BATCH: usize = 500;
/// How many bytes most lines fit in.
const LINE: usize = 2_048;
/// How many events are written together.
const WRITTEN: usize = 64;
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
    /// Print JSON, as it always does
    #[arg(long = "json")]
    _json: bool,
}

/// A line that is no event that paygraph can read.
#[derive(Debug, Serialize)]
struct Rejected {
    line: usize,
    error: String,
}

/// What comes out, beside the events, which wait in a file.
struct Folded {
    customers: Vec<view::CustomerView>,
    subscriptions: Vec<view::SubscriptionView>,
    invoices: Vec<view::InvoiceView>,
    needs_refetch: BTreeSet<paygraph_domain::id::StripeId>,
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
        out.write_all(b"]")?;
        folded.write(&mut out)?;
        out.write_all(b"}\n")?;
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

/// The customers that events come to in their order, as the API shows them at an instant.
pub fn customers(events: &[String], now: Timestamp) -> anyhow::Result<Vec<view::CustomerView>> {
    let input = Box::new(io::Cursor::new(events.join("\n")));
    let bus = Lines::new()?;
    let folded = fold(input, Settings::example()?, Some(now), &bus)?;
    Ok(folded.customers)
}

fn fold(
    input: Box<dyn BufRead + Send>,
    settings: Settings,
    now: Option<Timestamp>,
    bus: &Lines,
) -> anyhow::Result<Folded> {
    let engine = Engine::alone(MemoryStore::new(settings.clone()), StoppedClock::default());
    let tenant = TenantId::parse("default")?;
    let mut batches = Batches { input, line: 0 };
    // The first batch is folded in order, so that few events give the same output every time. A
    // long history is folded by several workers, as in production: the state is the same.
    let process = |batch: Vec<_>| Part::process(&engine, &tenant, &batch, bus);
    let first = batches.next().transpose()?.map(process).transpose()?;
    let rest = batches.par_bridge().map(|batch| process(batch?));
    let rest = rest.try_reduce(Part::default, |one, other| Ok(one.with(other)))?;
    let mut part = first.unwrap_or_default().with(rest);
    part.rejected.sort_by_key(|rejected| rejected.line);
    let now = now.or(part.newest).unwrap_or_default();
    let mut folded = look(&engine.store, &tenant, &settings, now);
    folded.rejected = part.rejected;
    // The process ends soon: to free it piece by piece would take a while for nothing.
    std::mem::forget(engine);
    Ok(folded)
}

impl Folded {
    /// Writes each field, with a comma before it: as it goes, since the whole may be long.
    fn write(&self, out: &mut impl Write) -> anyhow::Result<()> {
        fn field(out: &mut impl Write, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
            write!(out, ",\"{name}\":")?;
            Ok(serde_json::to_writer(out, value)?)
        }
        field(out, "customers", &self.customers)?;
        field(out, "subscriptions", &self.subscriptions)?;
        field(out, "invoices", &self.invoices)?;
        field(out, "needs_refetch", &self.needs_refetch)?;
        if !self.rejected.is_empty() {
            field(out, "rejected", &self.rejected)?;
        }
        Ok(())
    }
}

/// Lines with their numbers, several at a time.
struct Batches {
    input: Box<dyn BufRead + Send>,
    line: usize,
}

impl Iterator for Batches {
    type Item = anyhow::Result<Vec<(usize, String)>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            self.line += 1;
            let mut text = String::with_capacity(LINE);
            match self.input.read_line(&mut text) {
                Ok(0) => break,
                Ok(_) if text.trim().is_empty() => {}
                Ok(_) => batch.push((self.line, text)),
                Err(error) => {
                    let line = self.line;
                    let error = anyhow!(error).context(format!("cannot read line {line}"));
                    return Some(Err(error));
                }
            }
        }
        (!batch.is_empty()).then_some(Ok(batch))
    }
}

/// What came of some lines.
#[derive(Default)]
struct Part {
    newest: Option<Timestamp>,
    rejected: Vec<Rejected>,
}

impl Part {
    fn with(mut self, other: Self) -> Self {
        self.newest = self.newest.max(other.newest);
        self.rejected.extend(other.rejected);
        self
    }

    fn process(
        engine: &Engine<MemoryStore, StoppedClock>,
        tenant: &TenantId,
        batch: &[(usize, String)],
        bus: &Lines,
    ) -> anyhow::Result<Self> {
        let mut part = Self::default();
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
                            Done::Parked(_) | Done::Ignored | Done::Unchanged => {
                                let event = StripeEvent::parse(text).ok();
                                event.map(|event| event.created)
                            }
                        };
                        part.newest = part.newest.max(at);
                        for entry in processed.into_entries() {
                            engine.store.published(tenant, &entry.cause).await?;
                            events.extend(entry.outbox);
                        }
                    }
                    Err(error) => part.rejected.push(Rejected {
                        line: *line,
                        error: format!("{:#}", anyhow::Error::new(error)),
                    }),
                }
            }
            anyhow::Ok(())
        })?;
        bus.write(&events)?;
        Ok(part)
    }
}

/// Looks at the store as the read API would at `now`, with all that the catalog knows by then.
fn look(store: &MemoryStore, tenant: &TenantId, settings: &Settings, now: Timestamp) -> Folded {
    let catalog = store.whole_catalog(tenant);
    let context = Context {
        settings,
        catalog: &catalog,
        now,
    };
    let contacts = store.contacts();
    let rollups: HashMap<_, _> = contacts.iter().flat_map(|c| &c.accounts).collect();
    let looked: HashMap<_, _> = store
        .accounts()
        .into_par_iter()
        .map(|(customer, account, beside)| {
            let held = rollups.get(&customer);
            let totals = held.map(|held| &held.totals);
            let subscriptions = account.subscriptions.values();
            let subscriptions = subscriptions
                .map(|stored| view::subscription(&customer, &stored.value, &account, context));
            let mut invoices = Vec::new();
            for object in &beside {
                if let Object::Invoice(state) = object {
                    invoices.push(view::invoice(&customer, state, totals));
                }
            }
            let looked = Looked {
                subscriptions: subscriptions.collect(),
                invoices,
                rollup: totals.map(|totals| Arc::new(rollup(&account, totals.clone(), context))),
            };
            (customer, looked)
        })
        .collect();
    let customers = contacts.par_iter().map(|contact| {
        let mut contact = contact.clone();
        contact.evaluated_at = now;
        for (customer, held) in &mut contact.accounts {
            let anew = looked
                .get(customer)
                .and_then(|looked| looked.rollup.as_ref());
            if let Some(anew) = anew {
                *held = Arc::clone(anew);
            }
        }
        view::customer(&contact, settings, &catalog, now)
    });
    let customers = customers.collect();
    let mut folded = Folded {
        customers,
        subscriptions: Vec::new(),
        invoices: Vec::new(),
        needs_refetch: BTreeSet::new(),
        rejected: Vec::new(),
    };
    for looked in looked.into_values() {
        folded.subscriptions.extend(looked.subscriptions);
        folded.invoices.extend(looked.invoices);
        let needed = looked
            .rollup
            .iter()
            .flat_map(|rollup| &rollup.needs_refetch);
        folded.needs_refetch.extend(needed.cloned());
    }
    folded.subscriptions.sort_by(|a, b| a.id.cmp(&b.id));
    folded
        .invoices
        .sort_by(|a, b| (b.created, &a.id).cmp(&(a.created, &b.id)));
    folded
}

/// One Stripe customer, looked at.
struct Looked {
    subscriptions: Vec<view::SubscriptionView>,
    invoices: Vec<view::InvoiceView>,
    rollup: Option<Arc<Rollup>>,
}

/// A file that nobody else sees, with each event as the line it will be printed as.
struct Lines(Mutex<File>);

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
        Ok(Self(Mutex::new(file)))
    }

    /// Writes events, with a comma before each.
    fn write(&self, events: &[Outgoing]) -> anyhow::Result<()> {
        let mut text = Vec::new();
        for some in events.chunks(WRITTEN) {
            text.clear();
            for event in some {
                text.push(b',');
                serde_json::to_writer(&mut text, &Line::of(event))?;
            }
            let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            file.write_all(&text)?;
        }
        Ok(())
    }

    /// Writes the events, with commas between them.
    fn copy_to(self, out: &mut impl Write) -> anyhow::Result<()> {
        let mut file = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Without the first comma.
        file.seek(io::SeekFrom::Start(1))?;
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

#[cfg(test)]
mod reports;

#[cfg(test)]
mod tests {
    use paygraph_testkit::world::World;

    use super::*;

    /// All of it but the events, which tell what was learnt in the order in which it was.
    fn state(events: &[String]) -> serde_json::Value {
        let input = Box::new(io::Cursor::new(events.join("\n")));
        let bus = Lines::new().unwrap();
        let folded = fold(input, Settings::example().unwrap(), None, &bus).unwrap();
        let mut out = b"{\"events\":[]".to_vec();
        folded.write(&mut out).unwrap();
        out.push(b'}');
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn any_order_and_any_duplicates_fold_into_the_same() {
        let events = World::new("fold", 3, 1_700_000_000).run(60, 14);
        assert!(
            events.len() > 1_500,
            "more than one batch: {}",
            events.len()
        );
        let expected = state(&events);
        assert!(expected["invoices"].as_array().unwrap().len() > 100);
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..3 {
            let mut shuffled = events.clone();
            shuffled.extend(events.iter().filter(|_| random.u8(0..4) == 0).cloned());
            random.shuffle(&mut shuffled);
            assert!(state(&shuffled) == expected, "another order, another state");
        }
    }
}

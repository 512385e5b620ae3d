//! The import against a fake Stripe with Stripe's latency and limits, in a process of its own, and
//! a store that counts and keeps nothing: how much of the budget is used, and how much memory. Then
//! the largest import again over a store that refuses every tenth object, and one of four kinds of
//! objects in equal parts, which uses all of the account's budget.

mod nowhere;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use paygraph_domain::id::TenantId;
use paygraph_domain::settings::Settings;
use paygraph_engine::Deadline;
use paygraph_engine::process::Engine;
use paygraph_engine::run::{Job, Kind, Left, Run, Runner, Scope};
use paygraph_stripe::client::{Access, Budget, Client, Limits};
use paygraph_testkit::fake_stripe::LIVE_KEY;
use serde_json::Value;

use self::nowhere::{Noted, Nowhere, Refusals, Unheard};
use super::Reading;
use crate::stack::{now, run};

/// Customers of the fake Stripe, with about 24 objects each: 10,000, 50,000 and 200,000 objects.
pub const CUSTOMERS: [u64; 3] = [400, 2_000, 8_200];
/// How long the fake Stripe takes to answer, in milliseconds.
const LATENCY: u64 = 150;
/// All of Stripe's limits.
const LIMITS: Limits = Limits {
    per_endpoint: 25,
    overall: 100,
    test_overall: 25,
    share: 100,
};
/// The most objects of one kind in a second: a hundred in a page.
const BUDGET: u64 = 2_500;

/// The kinds of which a uniform world has one object for each customer.
const EQUAL: [Kind; 4] = [
    Kind::Invoices,
    Kind::Charges,
    Kind::Subscriptions,
    Kind::Customers,
];

/// Measures an import of each size, and the two variants at the largest one.
pub fn measure(sizes: &[u64]) -> anyhow::Result<Vec<Reading>> {
    let mut readings = Vec::new();
    let mut largest: Option<(u64, Import)> = None;
    for customers in sizes {
        let plain = import(&StripeWorld::usual(*customers), false)?;
        readings.extend(plain.readings());
        if largest.as_ref().is_none_or(|(most, _)| most < customers) {
            largest = Some((*customers, plain));
        }
    }
    if let Some((customers, plain)) = largest {
        let refused = import(&StripeWorld::usual(customers), true)?;
        readings.extend(refused.readings_of_refusals(&plain));
        let equal = import(&StripeWorld::uniform(customers * 6), false)?;
        readings.push(equal.reading_of_equal_parts());
    }
    Ok(readings)
}

/// The size and the form of the fake Stripe's objects.
struct StripeWorld {
    customers: u64,
    invoices: u64,
    /// Whether each customer has the same: one object of each of four kinds.
    is_uniform: bool,
}

impl StripeWorld {
    /// Customers with about 24 objects each, as accounts have them.
    fn usual(customers: u64) -> Self {
        Self {
            customers,
            invoices: 12,
            is_uniform: false,
        }
    }

    /// Customers with four objects each.
    fn uniform(customers: u64) -> Self {
        Self {
            customers,
            invoices: 1,
            is_uniform: true,
        }
    }
}

/// A finished import with its measurements.
struct Import {
    run: Run,
    took: Duration,
    noted: Noted,
    refusals: Refusals,
    /// The counts of the fake Stripe.
    asked: Asked,
}

/// How often a fake Stripe was asked.
struct Asked {
    /// Requests that it refused with 429.
    limited: u64,
    /// Requests of the kind of object that was asked for most.
    busiest: u64,
}

/// Imports a world; the store may refuse every tenth object for good.
fn import(world: &StripeWorld, refuses: bool) -> anyhow::Result<Import> {
    let stripe = Stripe::start(world)?;
    let access = Access {
        key: stripe.key.clone().into(),
        account: None,
    };
    let client = Client::new(&stripe.url, access, Budget::new(LIMITS).into())?;
    let clock: fn() -> i64 = || now().unix();
    let store = Nowhere::new(Settings::example()?);
    let store = if refuses { store.refusing() } else { store };
    let engine = Engine::alone(store, clock);
    let runner = Runner {
        engine: &engine,
        publisher: &Unheard,
        client,
        second_look_after: 0,
        pause: 0,
    };
    let tenant = TenantId::parse("default")?;
    let (id, scope) = ("run-bench".to_owned(), Scope::default());
    let mut backfill = Run::new(id, tenant, Job::Backfill, scope, now());
    let begun = Instant::now();
    let deadline = Deadline::after(Duration::from_secs(3_600));
    let left = run(async { Ok(runner.go_on(&mut backfill, deadline).await?) })?;
    let took = begun.elapsed();
    // `paygraph backfill` exits with 1 if the run is not complete.
    ensure!(
        left == Left::Nothing && backfill.is_finished() && backfill.is_complete() != refuses,
        "the import has not ended as it should: {:?}",
        backfill.counts
    );
    ensure!(engine.store.commits() > 0, "nothing was committed");
    Ok(Import {
        run: backfill,
        took,
        noted: engine.store.noted(),
        refusals: engine.store.refusals(),
        asked: stripe.asked()?,
    })
}

impl Import {
    fn readings(&self) -> Vec<Reading> {
        let objects = self.run.counts.checked();
        let name = |what: &str| format!("import of {objects} objects, {what}");
        let took = format!(
            "{} ms, {} objects/s",
            self.took.as_millis(),
            per_second(objects, self.took)
        );
        let busiest = self.noted.kinds.iter().max_by_key(|(_, (read, _))| *read);
        let budget = busiest.map_or_else(String::new, |(kind, (read, time))| {
            let speed = per_second(*read, *time);
            let percent = speed * 100 / BUDGET;
            let requests = self.asked.busiest;
            let kind = Kind::name(*kind);
            format!("{percent} %: {kind} {speed}/s, {requests} requests")
        });
        let memory = &self.noted.resident;
        let at = |part: usize| memory.get(memory.len() * part / 4).copied();
        let shown: Vec<String> = [at(1), at(2), at(3), memory.last().copied()]
            .into_iter()
            .flatten()
            .map(|kib| (kib / 1_000).to_string())
            .collect();
        let peak = memory.iter().max().copied().unwrap_or(0) / 1_000;
        let memory = format!("{} MB, peak {peak} MB", shown.join(", "));
        vec![
            Reading::new(name("time"), took, "linear"),
            Reading::new(name("share of the budget"), budget, "≥ 95 % for 200000"),
            Reading::new(name("memory by quarter"), memory, "flat, ≤ 256 MB"),
            Reading::new(name("429s"), self.asked.limited.to_string(), "0"),
        ]
    }

    /// Compares an import of which objects were refused with the same one without refusals.
    fn readings_of_refusals(&self, plain: &Self) -> Vec<Reading> {
        let objects = self.run.counts.checked();
        let name = |what: &str| format!("import of {objects} objects, 10 % refused, {what}");
        let (took, plainly) = (self.took.as_millis(), plain.took.as_millis());
        let percent = took * 100 / plainly.max(1);
        let time = format!("{took} ms, {percent} % of {plainly} ms");
        let refusals = &self.refusals;
        let named = format!(
            "{} of {}, {} kept in them",
            refusals.named(),
            refusals.refused(),
            refusals.others()
        );
        let complete = match self.run.is_complete() {
            true => "complete",
            false => "not complete",
        };
        vec![
            Reading::new(name("time"), time, "≤ 110 %"),
            Reading::new(name("named"), named, "all"),
            Reading::new(name("run"), complete.to_owned(), "not complete"),
        ]
    }

    /// How many objects of the four kinds came in a second, until the last of them.
    fn reading_of_equal_parts(&self) -> Reading {
        let seen = || EQUAL.iter().filter_map(|kind| self.noted.kinds.get(kind));
        let objects = seen().map(|(objects, _)| objects).sum();
        let time = seen().map(|(_, time)| *time).max().unwrap_or_default();
        let speed = per_second(objects, time);
        let limited = self.asked.limited;
        Reading::new(
            format!("import of {objects} objects, four kinds equally"),
            format!("{speed} objects/s, {limited} 429s"),
            "≥ 9000 objects/s, 0 429s",
        )
    }
}

fn per_second(count: u64, time: Duration) -> u64 {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    count.saturating_mul(1_000) / millis.max(1)
}

/// A fake Stripe in a process of its own, which ends with this.
struct Stripe {
    process: Child,
    url: String,
    key: String,
}

impl Stripe {
    fn start(world: &StripeWorld) -> anyhow::Result<Self> {
        let uniform = world.is_uniform.then_some("--uniform");
        let mut process = Command::new(std::env::current_exe()?)
            .args(["fake-stripe", "--json", "--port", "0"])
            .args(["--invoices", &world.invoices.to_string()])
            .args(["--customers", &world.customers.to_string()])
            .args(uniform)
            .args(["--latency-ms", &LATENCY.to_string()])
            // Test mode allows a quarter of this rate.
            .args(["--key", LIVE_KEY])
            .args(["--rate", &LIMITS.per_endpoint.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the fake Stripe")?;
        let stdout = process.stdout.take().context("no output")?;
        let mut stripe = Self {
            process,
            url: String::new(),
            key: String::new(),
        };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let told: Value = serde_json::from_str(&line).context("the fake Stripe did not start")?;
        let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
        (stripe.url, stripe.key) = (text("url"), text("key"));
        Ok(stripe)
    }

    /// How often it was asked.
    fn asked(&self) -> anyhow::Result<Asked> {
        let mut answer = ureq::get(format!("{}/_control/stats", self.url)).call()?;
        let stats: Value = answer.body_mut().read_json()?;
        let endpoints = stats["endpoints"].as_object().into_iter().flatten();
        let requests = endpoints.filter_map(|(_, of)| of["requests"].as_u64());
        Ok(Asked {
            limited: stats["limited"].as_u64().context("no count of 429s")?,
            busiest: requests.max().unwrap_or(0),
        })
    }
}

impl Drop for Stripe {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

//! `paygraph test`: everything that must hold, from format to the local stack.

mod load;

use std::num::NonZero;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};

use crate::local::build::{self, WORKSPACE};
use crate::local::emulator::Emulator;
use crate::local::{self, Places, python, reach_directly};
use crate::progress::Progress;
use crate::stack::now;
use crate::up::Up;

/// A day in seconds.
const DAY: i64 = 86_400;

/// Check everything: format, lints, docs, template, and every test, on the local stack.
///
/// A stack that was not running before is stopped afterwards.
#[derive(Args)]
pub struct Test {
    /// Only the tests, without format, lints, docs and template
    #[arg(long)]
    only_tests: bool,
    /// Only the tests over random histories, those that kill runs, or the load on the local stack,
    /// with larger counts
    #[arg(long, value_name = "KIND", value_enum)]
    soak: Option<Soak>,
    /// The first seed [default: another one each day]
    #[arg(long, requires = "soak")]
    seed: Option<u64>,
    /// How many histories, rounds of a hundred kills, or events
    #[arg(long, requires = "soak", default_value_t = 1_000)]
    count: u64,
}

/// What is tested with larger counts.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Soak {
    /// Events, imports and comparisons over random histories, against the truth.
    Histories,
    /// An import and a comparison that are killed a hundred times.
    Kills,
    /// Many webhooks at once on the local stack, with duplicates, against the same events in order.
    Load,
}

impl Soak {
    /// Its tests, and the variable that says how many there are. The load is no test.
    fn tests(self) -> Option<(&'static [&'static str], &'static str)> {
        match self {
            Self::Histories => Some((
                &[
                    "the_record_is_the_truth_in_any_order",
                    "u11_an_import_comes_to_the_truth",
                    "t10_a_comparison_restores_the_truth",
                ],
                "PAYGRAPH_HISTORIES",
            )),
            Self::Kills => Some((&["survives_a_hundred_kills"], "PAYGRAPH_KILLS")),
            Self::Load => None,
        }
    }
}

/// The features under which the engine's tests are built with everything else.
const ENGINE_FEATURES: [&str; 4] = ["-p", "paygraph", "--features", "paygraph/as-tests"];

/// Optimises the crates that large counts of histories spend their time in.
const OPTIMISED: [&str; 10] = [
    "--config",
    "profile.test.package.paygraph-domain.opt-level=1",
    "--config",
    "profile.test.package.paygraph-engine.opt-level=1",
    "--config",
    "profile.test.package.paygraph-stripe.opt-level=1",
    "--config",
    "profile.test.package.paygraph-testkit.opt-level=1",
    "--config",
    "profile.test.package.cel.opt-level=1",
];

/// How many tests run at once if there are fewer cores: those of the local stack mostly wait.
const AT_ONCE: usize = 4;

/// A step: what it is called, and cargo's arguments.
const CHECKS: [(&str, &[&str]); 3] = [
    ("format", &["fmt", "--all", "--check"]),
    (
        "lints",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ],
    ),
    // With the features of the lints, so that no dependency is checked a second time.
    (
        "docs",
        &[
            "doc",
            "--workspace",
            "--features",
            "paygraph/as-tests",
            "--no-deps",
            "--quiet",
        ],
    ),
];

impl Test {
    /// Checks everything, and stops at the first thing that does not hold.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let places = Places::find()?;
        if let Some(soak) = self.soak {
            return self.soak(&places, soak).map(|()| ExitCode::SUCCESS);
        }
        on_the_stack(&places, || self.all(&places)).map(|()| ExitCode::SUCCESS)
    }

    /// Runs some tests with larger counts, without the local stack, and prints what they say; or the
    /// load, on the local stack.
    fn soak(&self, places: &Places, soak: Soak) -> anyhow::Result<()> {
        let Some((tests, variable)) = soak.tests() else {
            let seed = self.seed.unwrap_or_else(seed_of_the_day);
            return on_the_stack(places, || load::load(places, seed, self.count));
        };
        let engine = [
            "-p",
            "paygraph-engine",
            "--test",
            "engine",
            "--",
            "--nocapture",
        ];
        let arguments = [
            &["test"],
            OPTIMISED.as_slice(),
            ENGINE_FEATURES.as_slice(),
            &engine,
            tests,
        ]
        .concat();
        let mut variables = vec![(variable, self.count.to_string().into())];
        if let Some(seed) = self.seed {
            variables.push(("PAYGRAPH_SEED", seed.to_string().into()));
        }
        cargo(places, "soak", &arguments, &variables)
    }

    fn all(&self, places: &Places) -> anyhow::Result<()> {
        if !self.only_tests {
            for (name, arguments) in CHECKS {
                cargo(places, name, arguments, &[])?;
            }
            template(places)?;
        }
        let start = Instant::now();
        Up::detached().ready(places)?;
        build::build_tests(places)?;
        done("build and local stack", start);
        let arguments = [&["test", "--no-fail-fast"], WORKSPACE.as_slice()].concat();
        let nats = python::test_tool(places, "nats-server")?;
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let at_once = cores.max(AT_ONCE).to_string();
        let variables = [
            ("PAYGRAPH_NATS_SERVER", nats),
            ("RUST_TEST_THREADS", at_once.into()),
        ];
        cargo(places, "tests", &arguments, &variables)
    }
}

/// Does something, and stops the local stack afterwards if it was not running before.
fn on_the_stack(places: &Places, run: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let was_running = Emulator::running(places).is_some();
    let done = run();
    if !was_running && let Some(emulator) = Emulator::running(places) {
        emulator.stop(places)?;
    }
    done
}

/// Another seed each day.
fn seed_of_the_day() -> u64 {
    u64::try_from(now().unix() / DAY).unwrap_or_default()
}

fn done(name: &str, start: Instant) {
    eprintln!("✓ {name} ({} s)", start.elapsed().as_secs());
}

fn cargo(
    places: &Places,
    name: &'static str,
    arguments: &[&str],
    variables: &[(&str, PathBuf)],
) -> anyhow::Result<()> {
    let start = Instant::now();
    let _progress = Progress::lines(name);
    let mut command = local::cargo(places);
    reach_directly(&mut command);
    let status = command
        .args(arguments)
        .env("RUSTDOCFLAGS", "-D warnings")
        // The tests are to use the stack that is there, and not to build the functions another way.
        .env("PAYGRAPH_LOCAL", places.local_json())
        .envs(variables.iter().cloned())
        .status()
        .context("cannot start cargo")?;
    if !status.success() {
        bail!("{name}: does not hold");
    }
    done(name, start);
    Ok(())
}

/// What `sam validate --lint` runs.
fn template(places: &Places) -> anyhow::Result<()> {
    let start = Instant::now();
    let lint = python::test_tool(places, "cfn-lint")?;
    let _progress = Progress::lines("template");
    let template = places.root.join("template.yaml");
    python::run(Command::new(lint).arg(template), "template.yaml")?;
    done("template", start);
    Ok(())
}

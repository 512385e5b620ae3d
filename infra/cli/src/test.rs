//! `paygraph test`: everything that must hold, from format to the local stack.

mod load;

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};

use crate::local::build::{Build, WORKSPACE};
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

/// The tests of a build of everything.
const TEST: [&str; 2] = ["test", "--no-fail-fast"];
/// Tests that share no stack with others: they break it, or let time pass on it.
const ALONE_ON_STACK: [&str; 4] = ["--test", "kill", "--test", "time"];
/// Tests that call no function of the stack.
const WITHOUT_STACK: [&str; 2] = ["--exclude", "paygraph-tests"];
/// The other tests of what is deployed.
const BESIDE_ON_STACK: [&str; 6] = [
    "--test",
    "architecture",
    "--test",
    "template",
    "--test",
    "e2e",
];

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
        run(places, "soak", &arguments, &variables)
    }

    fn all(&self, places: &Places) -> anyhow::Result<()> {
        if !self.only_tests {
            for (name, arguments) in CHECKS {
                run(places, name, arguments, &[])?;
            }
            template(places)?;
        }
        let start = Instant::now();
        Up::detached().ready_with(places, Build::Tests)?;
        done("build and local stack", start);
        run_tests(places)
    }
}

/// Runs every test, also after one that fails.
///
/// The tests that need the stack for themselves mostly wait. They run beside the tests that need no
/// stack, and what they print comes after those.
fn run_tests(places: &Places) -> anyhow::Result<()> {
    let nats = python::test_tool(places, "nats-server")?;
    let variables = [("PAYGRAPH_NATS_SERVER", nats)];
    let tests = |targets: &[&'static str]| [TEST.as_slice(), &WORKSPACE, targets].concat();
    let printed = places.home.join("tests-alone-on-the-stack.txt");
    let alone = {
        let output = File::create(&printed)?;
        let mut command = cargo(places, &tests(&ALONE_ON_STACK), &variables);
        let command = command.stdout(output.try_clone()?).stderr(output);
        command.spawn().context("cannot start cargo")?
    };
    let without_stack = run(
        places,
        "tests without the stack",
        &tests(&WITHOUT_STACK),
        &variables,
    );
    let alone = {
        let name = "tests alone on the stack";
        let ended = wait(name, alone);
        eprint!("{}", fs::read_to_string(&printed)?);
        ended
    };
    let beside = run(
        places,
        "tests on the stack",
        &tests(&BESIDE_ON_STACK),
        &variables,
    );
    without_stack.and(alone).and(beside)
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

/// Runs cargo, which prints what it does.
fn run(
    places: &Places,
    name: &'static str,
    arguments: &[&str],
    variables: &[(&str, PathBuf)],
) -> anyhow::Result<()> {
    let mut command = cargo(places, arguments, variables);
    wait(name, command.spawn().context("cannot start cargo")?)
}

/// Waits until a step ends, and fails unless everything holds.
fn wait(name: &'static str, mut step: Child) -> anyhow::Result<()> {
    let start = Instant::now();
    let _progress = Progress::lines(name);
    if !step.wait()?.success() {
        bail!("{name}: does not hold");
    }
    done(name, start);
    Ok(())
}

fn cargo(places: &Places, arguments: &[&str], variables: &[(&str, PathBuf)]) -> Command {
    let mut command = local::cargo(places);
    reach_directly(&mut command);
    command
        .args(arguments)
        .env("RUSTDOCFLAGS", "-D warnings")
        // The tests are to use the stack that is there, and not to build the functions another way.
        .env("PAYGRAPH_LOCAL", places.local_json())
        .envs(variables.iter().cloned());
    command
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

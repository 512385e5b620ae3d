//! `paygraph function`: one function in a process of its own. The local stack starts it so: the command
//! contains every function, and nothing is compiled or linked twice.

use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::Args;
use clap::builder::PossibleValuesParser;
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use paygraph_runtime::clock::now;

/// Run one function, as Lambda does with the function's own binary.
#[derive(Args)]
pub struct RunFunction {
    #[arg(value_parser = PossibleValuesParser::new(FUNCTIONS.map(|(name, _)| name)))]
    function: String,
}

/// Starts a function, which then works until its process ends.
type StartFunction = fn() -> LocalBoxFuture<'static, Result<(), lambda_runtime::Error>>;

/// Every function, by the name of its binary.
pub const FUNCTIONS: [(&str, StartFunction); 9] = [
    ("webhook", || paygraph_webhook::wiring::run().boxed_local()),
    ("worker", || paygraph_worker::wiring::run(now).boxed_local()),
    ("tick", || paygraph_tick::wiring::run(now).boxed_local()),
    (RECONCILE, || {
        paygraph_reconcile::wiring::run(now).boxed_local()
    }),
    ("api", || paygraph_api::wiring::run(now).boxed_local()),
    ("greenlight", || {
        paygraph_greenlight::wiring::run(now).boxed_local()
    }),
    ("sequence", || {
        paygraph_sequence::wiring::run(now).boxed_local()
    }),
    ("alert", || paygraph_alert::wiring::run(now).boxed_local()),
    ("crm", || paygraph_crm::wiring::run(now).boxed_local()),
];
/// The only function with a second thread, as its `main.rs` says.
const RECONCILE: &str = "reconcile";

impl RunFunction {
    /// Answers invocations until the process ends.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let (name, start) = FUNCTIONS
            .into_iter()
            .find(|(name, _)| *name == self.function)
            .with_context(|| format!("there is no function {}", self.function))?;
        let mut runtime = if name == RECONCILE {
            tokio::runtime::Builder::new_multi_thread()
        } else {
            tokio::runtime::Builder::new_current_thread()
        };
        let runtime = runtime.worker_threads(1).enable_all().build()?;
        runtime.block_on(start()).map_err(|error| anyhow!(error))?;
        Ok(ExitCode::SUCCESS)
    }
}

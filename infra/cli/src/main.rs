//! The `paygraph` command. One file per subcommand; this one lists them.

mod api;
mod bench;
mod connect;
mod contacts;
mod crm;
mod demo;
mod down;
mod explain;
mod fake_stripe;
mod fold;
mod function;
mod input;
mod local;
mod mrr;
mod progress;
mod reevaluate;
mod replay;
mod runs;
mod segments;
mod sequences;
mod settings;
mod show;
mod stack;
mod tap;
mod test;
mod tick;
mod token;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

// Folding a history makes and drops many small values.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Stripe billing in the contact graph: the command of its engineers and operators.
#[derive(Parser)]
#[command(name = "paygraph", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Up(up::Up),
    Down(down::Down),
    Demo(demo::Demo),
    Test(test::Test),
    Bench(bench::Bench),
    Connect(connect::Connect),
    Check(connect::Check),
    Crm(crm::Crm),
    Fold(fold::Fold),
    Mrr(mrr::Mrr),
    Settings(settings::Settings),
    Token(token::Token),
    Replay(replay::Replay),
    Backfill(runs::Backfill),
    Reconcile(runs::Reconcile),
    Sync(runs::Sync),
    Segments(segments::Segments),
    Sequences(sequences::Sequences),
    Reevaluate(reevaluate::Reevaluate),
    Tick(tick::Tick),
    Explain(explain::Explain),
    FakeStripe(fake_stripe::FakeStripe),
    #[command(hide = true)]
    Function(function::RunFunction),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Up(command) => command.run(),
        Command::Down(command) => command.run(),
        Command::Demo(command) => command.run(),
        Command::Test(command) => command.run(),
        Command::Bench(command) => command.run(),
        Command::Connect(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Crm(command) => command.run(),
        Command::Fold(command) => command.run(),
        Command::Mrr(command) => command.run(),
        Command::Settings(command) => command.run(),
        Command::Token(command) => command.run(),
        Command::Replay(command) => command.run(),
        Command::Backfill(command) => command.run(),
        Command::Reconcile(command) => command.run(),
        Command::Sync(command) => command.run(),
        Command::Segments(command) => command.run(),
        Command::Sequences(command) => command.run(),
        Command::Reevaluate(command) => command.run(),
        Command::Tick(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::FakeStripe(command) => command.run(),
        Command::Function(command) => command.run(),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

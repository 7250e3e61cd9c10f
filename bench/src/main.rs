//! How fast Sojourn is, as ratios to its floor, measured in one run on one machine.
//!
//! `cargo xtask bench` builds this in release mode and runs it. It starts a private PostgreSQL (fsync and
//! synchronous_commit on) and RabbitMQ, an orchestrator and three workers as separate processes of this very program,
//! and drives them over HTTP in a closed loop; between its runs it drives the floor on the same servers.

mod floor;
mod history;
mod latency;
mod load;
mod meter;
mod parts;
mod report;
mod suite;
mod verify;
mod workload;

use clap::{Parser, Subcommand};

/// The benchmark of Sojourn.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
struct Cli {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Runs everything and prints the figures.
    Run(suite::Plan),
    /// One orchestrator with the benchmark's saga. Started by `run`.
    Orchestrator(Box<orchestrator::Cli>),
    /// One worker with one domain. Started by `run`.
    Worker(parts::WorkerCli),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().part {
        Part::Run(plan) => suite::run(plan).await,
        Part::Orchestrator(cli) => parts::run_orchestrator(*cli).await,
        Part::Worker(cli) => parts::run_worker(cli).await,
    }
}

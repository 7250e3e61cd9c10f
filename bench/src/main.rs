//! How fast Sojourn is, as ratios to its floor, measured in one run on one machine.
//!
//! `cargo xtask bench` builds this in release mode and runs it. It starts a private PostgreSQL (fsync and
//! synchronous_commit on) and RabbitMQ, an orchestrator and three workers as separate processes of this very program,
//! and drives them over HTTP in a closed loop; between its runs it drives the floor on the same servers.

mod floor;
mod history;
mod idle;
mod latency;
mod load;
mod meter;
mod orders;
mod pages;
mod parts;
mod recovery;
mod report;
mod sagas;
mod sleeping;
mod suite;
mod system;
mod verify;
mod workload;

use clap::{Parser, Subcommand};

/// The benchmark of Sojourn: runs everything and prints the figures.
#[derive(Debug, Parser)]
#[command(name = "bench", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    plan: suite::Plan,
    #[command(subcommand)]
    part: Option<Part>,
}

/// The parts that the benchmark starts as processes of their own.
#[derive(Debug, Subcommand)]
enum Part {
    /// One orchestrator with the benchmark's saga.
    Orchestrator(Box<orchestrator::Cli>),
    /// One worker with one domain.
    Worker(parts::WorkerCli),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.part {
        None => suite::run(cli.plan).await,
        Some(Part::Orchestrator(part)) => parts::run_orchestrator(*part).await,
        Some(Part::Worker(part)) => parts::run_worker(part).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_arguments_everything_runs() {
        let cli = Cli::try_parse_from(["bench"]).unwrap();
        assert!(cli.part.is_none());
        assert_eq!((cli.plan.in_flight, cli.plan.runs), (vec![1, 64, 512], 3));
        let cli = Cli::try_parse_from(["bench", "--in-flight", "8", "--history", "1000000"]).unwrap();
        assert_eq!((cli.plan.in_flight, cli.plan.history), (vec![8], 1_000_000));
        let cli = Cli::try_parse_from(["bench", "--recovery", "--idle"]).unwrap();
        assert_eq!((cli.plan.recovery, cli.plan.idle, cli.plan.orders), (Some(10_000), true, false));
        let cli = Cli::try_parse_from(["bench", "--sleeping"]).unwrap();
        assert_eq!(cli.plan.sleeping, Some(200_000));
    }
}

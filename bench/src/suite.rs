//! The measurements, one after another, as the arguments ask for them.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::{
    history::{self, History},
    idle, orders, pages, recovery,
    report::{self, Sample},
    sagas::Sagas,
    sleeping,
    system::QueueKind,
    verify,
};

/// The loads that are measured, and how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Plan {
    /// Sagas in flight, one table each.
    #[arg(long, value_delimiter = ',', default_value = "1,64,512")]
    pub(crate) in_flight: Vec<usize>,
    /// The kinds of queues that commands and replies travel by, all tables for each.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "classic,quorum")]
    pub(crate) queues: Vec<QueueKind>,
    /// Repetitions; the medians are printed.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) runs: u16,
    /// Length of one run, in seconds; Sojourn and the floor get it each.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Writes so many finished sagas into a journal instead, and measures the highest load on it and on an empty one.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..=100_000_000))]
    pub(crate) history: i64,
    /// The weeks before this one over which the finished sagas are spread, each with partitions of its own.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=520))]
    pub(crate) weeks: u16,
    /// Measures real orders instead: the `order` saga through the door of `sojourn`, flights and stays, with searches.
    #[arg(long)]
    pub(crate) orders: bool,
    /// Kills the only orchestrator instead, with so many sagas in flight (10000 unless said otherwise), and measures how
    /// soon they all move again.
    #[arg(long, num_args = 0..=1, default_missing_value = "10000", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) recovery: Option<u32>,
    /// Kills the only orchestrator instead, with so many sagas asleep (200000 unless said otherwise), and measures how
    /// soon it serves again, and the memory that they take.
    #[arg(long, num_args = 0..=1, default_missing_value = "200000", value_parser = clap::value_parser!(u32).range(4..=10_000_000))]
    pub(crate) sleeping: Option<u32>,
    /// Writes so many finished sagas into a journal instead (1000000 unless said otherwise), and measures how long the
    /// pages of operators wait for the orchestrator.
    #[arg(long, num_args = 0..=1, default_missing_value = "1000000", value_parser = clap::value_parser!(i64).range(10_000..=100_000_000))]
    pub(crate) pages: Option<i64>,
    /// Measures instead what the programs use while there is nothing to do.
    #[arg(long)]
    pub(crate) idle: bool,
}

impl Plan {
    pub(crate) const fn length(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// True when it asks for something in place of the tables.
    const fn is_special(&self) -> bool {
        self.orders
            || self.recovery.is_some()
            || self.sleeping.is_some()
            || self.pages.is_some()
            || self.history > 0
            || self.idle
    }
}

/// Runs what the plan asks for.
pub(crate) async fn run(plan: Plan) -> Result<()> {
    if plan.orders {
        orders::run(plan.runs, plan.length()).await?;
    }
    for queues in plan.queues.iter().copied() {
        if let Some(sagas) = plan.recovery {
            recovery::run(sagas, plan.runs, queues).await?;
        }
    }
    // The journal is the same under both kinds of queues.
    if let Some(queues) = plan.queues.first().copied() {
        if let Some(sleepers) = plan.sleeping {
            sleeping::run(usize::try_from(sleepers)?, queues).await?;
        }
        if let Some(sagas) = plan.pages {
            pages::run(sagas, queues).await?;
        }
        if let (1.., Some(in_flight)) = (plan.history, plan.in_flight.iter().copied().max()) {
            let (sagas, weeks, runs, length) = (plan.history, plan.weeks, plan.runs, plan.length());
            history::run(History { sagas, weeks, in_flight, runs, length }, queues).await?;
        }
    }
    if plan.idle {
        idle::run().await?;
    }
    if plan.is_special() {
        return Ok(());
    }
    println!("Sojourn's saga of 4 steps, 1 in 10 declined, against the same transactions called directly.");
    println!("{} runs of {} s each, closed loop, fsync and synchronous_commit on.", plan.runs, plan.seconds);
    for queues in plan.queues.iter().copied() {
        println!("\n# {queues} queues");
        loads(&plan, queues).await?;
    }
    Ok(())
}

/// All loads over one kind of queues.
async fn loads(plan: &Plan, queues: QueueKind) -> Result<()> {
    let sagas = Sagas::start(queues).await?;
    sagas.measure(16, Duration::from_secs(3)).await.context("the warm-up")?;
    let mut samples = Vec::new();
    for _ in 0..plan.runs {
        for in_flight in &plan.in_flight {
            samples.push(sagas.measure(*in_flight, plan.length()).await?);
        }
    }
    for in_flight in &plan.in_flight {
        let of_load: Vec<&Sample> = samples.iter().filter(|sample| sample.in_flight == *in_flight).collect();
        report::print(&of_load);
    }
    verify::check(|database| sagas.url(database)).await?;
    println!("\nEvery saga ended right, in every database.");
    sagas.stop().await;
    Ok(())
}

//! The project's tasks, called as `cargo xtask <task>`.
//!
//! A fresh machine needs only the Rust toolchain: what else a task needs it gets, starts and stops.

mod child;
mod servers;
mod tasks;

use std::{path::PathBuf, process::ExitCode};

use child::Stop;
use clap::{Parser, Subcommand};
use xtask::{migrations, workspace};

/// The project's tasks.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build and run the whole platform on its own private PostgreSQL.
    #[command(disable_help_flag = true)]
    Run {
        /// Arguments of the program `sojourn`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run every test on private servers.
    #[command(disable_help_flag = true)]
    Test {
        /// Arguments of the test runner, such as `-p journal a_part_of_a_name`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run everything that must hold before a change is taken: format, lints, tests, documentation.
    Ci,
    /// Print the agency's sagas, and what the linter finds in them.
    Sagas,
    /// Measure the speed; see `cargo xtask bench --help`.
    #[command(disable_help_flag = true)]
    Bench {
        /// Arguments of the program `bench`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run a private PostgreSQL and RabbitMQ for development until this is stopped.
    Servers {
        /// Keep the data in this folder, also over restarts.
        #[arg(long)]
        data: Option<PathBuf>,
        /// Write the servers' addresses here, as lines for a shell to `source`.
        #[arg(long)]
        env_file: Option<PathBuf>,
    },
    /// Record the checksums of new migrations, after which they may not be edited.
    MigrationsLock,
}

#[tokio::main]
async fn main() -> ExitCode {
    perform(Arguments::parse().task).await.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

async fn perform(task: Task) -> anyhow::Result<ExitCode> {
    let stop = Stop::listen()?;
    match task {
        Task::Run { arguments } => tasks::run(arguments, &stop).await,
        Task::Test { arguments } => tasks::test(arguments, &stop).await,
        Task::Ci => tasks::ci(&stop).await,
        Task::Sagas => tasks::sagas(&stop).await,
        Task::Bench { arguments } => tasks::bench(arguments, &stop).await,
        Task::Servers { data, env_file } => {
            servers::serve(data, env_file, &stop).await?;
            Ok(ExitCode::SUCCESS)
        }
        Task::MigrationsLock => {
            migrations::lock(&workspace::root())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

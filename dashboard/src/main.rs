//! The dashboard as a program of its own.

use std::process::ExitCode;

use anyhow::Context as _;
use dashboard::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dashboard: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<()> {
    let cli: Cli = kit::settings::load();
    cli.common.validate().context("the settings are wrong")?;
    if cli.common.check_config {
        println!("configuration ok");
        return Ok(());
    }
    kit::telemetry::init(&cli.common);
    dashboard::run(cli.settings(), kit::shutdown::on_signal()).await.context("the dashboard could not run")
}

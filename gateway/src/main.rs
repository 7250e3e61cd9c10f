//! The gateway as a program of its own.

use std::process::ExitCode;

use anyhow::Context as _;
use gateway::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gateway: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<()> {
    let cli: Cli = kit::settings::load();
    let settings = cli.settings();
    cli.common.validate().context("the settings are wrong")?;
    settings.validate().context("the settings are wrong")?;
    if cli.common.check_config {
        println!("configuration ok");
        return Ok(());
    }
    kit::telemetry::init(&cli.common);
    gateway::run(settings, kit::shutdown::on_signal()).await.context("the gateway could not run")
}

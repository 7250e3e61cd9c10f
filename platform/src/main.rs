//! `sojourn`: the whole agency in one process, on embedded defaults. With nothing configured it keeps its data in a
//! private PostgreSQL under the project's data folder and passes messages within the process; `DATABASE_URL` and
//! `AMQP_URL` switch to real servers.

mod admin;
mod settings;
mod system;
mod traffic;

use anyhow::Context;
use settings::{Cli, Task};
use system::System;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli: Cli = kit::settings::load();
    cli.common.validate()?;
    cli.check()?;
    if cli.common.check_config {
        println!("configuration ok");
        return Ok(());
    }
    kit::telemetry::init(&cli.common);
    if let Some(Task::Admin(task)) = &cli.task {
        return admin::run(&cli, task).await;
    }
    let stop = kit::shutdown::on_signal();
    let starting = System::start(&cli);
    let Some(started) = stop.run_until_cancelled(starting).await else { return Ok(()) };
    let system = started.context("Sojourn cannot start")?;
    system.announce(&cli);
    let traffic = system.traffic(&cli)?;
    stop.cancelled().await;
    if let Some(traffic) = traffic {
        traffic.stop().await;
    }
    system.stop().await;
    Ok(())
}

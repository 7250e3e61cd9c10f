//! The cost of doing nothing: an orchestrator, a worker for each domain, and the door, as
//! production runs them.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail};
use contract::Route;
use private_servers::{
    Postgres,
    testing::{binary, free_ports},
};
use sqlx::{Connection, PgConnection};

use crate::{
    meter,
    system::{self, Program, QueueKind, Servers},
};

/// How long the programs settle after their start: seeds, first sweeps, statistics of their last transactions.
const SETTLE: Duration = Duration::from_secs(30);

/// How long they are watched then: two minutes, so that a job of every minute is seen twice.
const WATCH: Duration = Duration::from_secs(120);

/// Transactions by which the counting itself is checked.
const COUNTED_TRANSACTIONS: i64 = 5;
/// How often it is looked for them.
const COUNTED_LOOKS_MAX: u32 = 50;
/// The pause between two looks.
const COUNTED_LOOK: Duration = Duration::from_millis(100);

/// Starts everything, waits, watches, and prints.
pub(crate) async fn run() -> Result<()> {
    let servers = Servers::start().await?;
    let folder = tempfile::tempdir()?;
    let http = system::http()?;
    let mut ports = free_ports(Route::ALL.len() + 2)?;
    let mut port = || ports.pop().context("a port for every program");
    let program =
        |name, binary_name, port| Program::new(name, name, &binary(binary_name), port).on(&servers, QueueKind::Classic);
    let mut programs = vec![program("orchestrator", "orchestrator", port()?)];
    for route in Route::ALL {
        let key = folder.path().join("jwt.pem").display().to_string();
        let worker = program(route.as_str(), "worker", port()?).arguments([route.as_str()]);
        programs.push(worker.environment("SOJOURN_JWT_SIGNING_KEY_FILE", key));
    }
    let parts = programs.iter().map(|part| format!("--{}-url={}", part.name, part.address)).collect::<Vec<_>>();
    programs.push(program("gateway", "gateway", port()?).arguments(parts));
    for program in &mut programs {
        program.start()?;
    }
    for program in &programs {
        program.until_ready(&http).await?;
    }
    // Its own transactions are none of the programs'.
    sql(&servers.postgres, "ALTER SYSTEM SET autovacuum = off").await?;
    sql(&servers.postgres, "SELECT pg_reload_conf()").await?;
    tokio::time::sleep(SETTLE).await;
    let before = transactions(&servers.postgres).await?;
    let groups = system::groups(&programs, &servers.postgres, Some(&servers.rabbitmq));
    let ((), usage) = system::metered(&groups, async {
        tokio::time::sleep(WATCH).await;
        Ok(())
    })
    .await?;
    let after = transactions(&servers.postgres).await?;
    check_counting(&servers.postgres).await?;
    let minutes = WATCH.as_secs_f64() / 60.0;
    println!("\nidle for {} s: an orchestrator, {} workers, the door", WATCH.as_secs(), Route::ALL.len());
    println!("  {:<14} {:>14} {:>10} {:>10}", "", "transactions/min", "RSS MB", "CPU-s/min");
    let mut all = 0;
    for program in &programs {
        let database = format!("sojourn_{}", program.name);
        let count = after.get(&database).unwrap_or(&0) - before.get(&database).unwrap_or(&0);
        all += count;
        let rss = program.pid().map_or(f64::NAN, meter::resident_mb);
        println!(
            "  {:<14} {:>14.1} {:>10.1} {:>10.3}",
            program.name,
            count as f64 / minutes,
            rss,
            usage[program.name].cpu_seconds / minutes,
        );
    }
    for server in ["postgresql", "rabbitmq"] {
        println!("  {server:<14} {:>14} {:>10} {:>10.3}", "", "", usage[server].cpu_seconds / minutes);
    }
    println!("  over all databases: {:.1} transactions a minute", all as f64 / minutes);
    drop(programs);
    servers.stop().await;
    Ok(())
}

/// Makes sure that a transaction is counted at all: else the zeros above would prove nothing.
async fn check_counting(postgres: &Postgres) -> Result<()> {
    let database = "sojourn_orchestrator";
    let before = transactions(postgres).await?;
    let mut connection = PgConnection::connect(&postgres.url(database)).await?;
    for _ in 0..COUNTED_TRANSACTIONS {
        sqlx::query("SELECT 1").execute(&mut connection).await?;
    }
    connection.close().await?;
    let mut counted = 0;
    for _ in 0..COUNTED_LOOKS_MAX {
        // A session tells its transactions while it ends, which its client does not wait for.
        tokio::time::sleep(COUNTED_LOOK).await;
        let after = transactions(postgres).await?;
        counted = after.get(database).unwrap_or(&0) - before.get(database).unwrap_or(&0);
        if counted >= COUNTED_TRANSACTIONS {
            return Ok(());
        }
    }
    bail!("the server counted {counted} of {COUNTED_TRANSACTIONS} transactions")
}

async fn sql(postgres: &Postgres, statement: &'static str) -> Result<()> {
    let mut connection = PgConnection::connect(&postgres.url("postgres")).await?;
    sqlx::query(statement).execute(&mut connection).await?;
    Ok(connection.close().await?)
}

/// Transactions so far by database, but for the one that is asked in.
async fn transactions(postgres: &Postgres) -> Result<BTreeMap<String, i64>> {
    let mut connection = PgConnection::connect(&postgres.url("postgres")).await?;
    let counted: Vec<(String, i64)> = sqlx::query_as(
        "SELECT datname::text, xact_commit + xact_rollback FROM pg_stat_database WHERE datname LIKE 'sojourn\\_%'",
    )
    .fetch_all(&mut connection)
    .await?;
    connection.close().await?;
    Ok(counted.into_iter().collect())
}

//! The whole benchmark: servers and processes up, runs of Sojourn and of the floor in turn, figures, checks.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use kit::settings::DEVELOPMENT_INTERNAL_TOKEN;
use private_servers::{Place, Postgres, PostgresOptions, RabbitMq, RabbitMqOptions, testing::free_ports};
use sqlx::{PgPool, postgres::PgPoolOptions};

use crate::{
    floor::Databases,
    history,
    latency::median,
    load::{self, Numbers},
    meter,
    parts::MIGRATOR,
    report::{self, Sample},
    verify,
};

/// Connections of the floor to each database: what 2 cores serve best (more only queue in the server).
const FLOOR_CONNECTIONS_MAX: u32 = 16;

/// How long a part may take until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// The loads that are measured, and how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Plan {
    /// Sagas in flight, one table each.
    #[arg(long, value_delimiter = ',', default_value = "1,64,512")]
    pub(crate) in_flight: Vec<usize>,
    /// Repetitions; the medians are printed.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) runs: u16,
    /// Length of one run, in seconds; Sojourn and the floor get it each.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// So many finished sagas are put into the journal at the end, and the highest load is measured again.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..=10_000_000))]
    pub(crate) history: i64,
}

/// Runs the benchmark.
pub(crate) async fn run(plan: Plan) -> Result<()> {
    let bench = Bench::start().await?;
    let length = Duration::from_secs(plan.seconds);
    println!("Sojourn's saga of 4 steps, 1 in 10 declined, against the same transactions called directly.");
    println!("{} runs of {} s each, closed loop, fsync and synchronous_commit on.", plan.runs, plan.seconds);
    bench.measure(16, Duration::from_secs(3)).await.context("the warm-up")?;
    let mut samples = Vec::new();
    for _ in 0..plan.runs {
        for in_flight in &plan.in_flight {
            samples.push(bench.measure(*in_flight, length).await?);
        }
    }
    for in_flight in &plan.in_flight {
        let of_load: Vec<&Sample> = samples.iter().filter(|sample| sample.in_flight == *in_flight).collect();
        report::print(&of_load);
    }
    if let (true, Some(most)) = (plan.history > 0, plan.in_flight.iter().max()) {
        bench.measure_history(plan.history, *most, plan.runs, length).await?;
    }
    verify::check(|database| bench.postgres.url(database)).await?;
    println!("\nEvery saga ended right, in every database.");
    bench.stop().await;
    Ok(())
}

struct Bench {
    http: reqwest::Client,
    orchestrator: String,
    numbers: Arc<Numbers>,
    databases: Databases,
    children: Vec<(&'static str, Child)>,
    rabbitmq: RabbitMq,
    postgres: Postgres,
}

impl Bench {
    async fn start() -> Result<Self> {
        let mut options = PostgresOptions::for_tests();
        options.durable = true;
        let mut broker = RabbitMqOptions::for_tests();
        broker.durable = true;
        debug_assert!(matches!(options.place, Place::Temporary));
        let (postgres, rabbitmq) = tokio::try_join!(Postgres::start(options), RabbitMq::start(broker))?;
        let program = std::env::current_exe()?;
        let mut children = Vec::new();
        let mut addresses = Vec::new();
        let parts = ["orchestrator", "order", "accommodation", "payment"];
        for (part, port) in parts.into_iter().zip(free_ports(parts.len())?) {
            let address = format!("127.0.0.1:{port}");
            let child = spawn(&program, part, &address, &postgres.url("postgres"), &rabbitmq.url())?;
            children.push((if part == "orchestrator" { "orchestrator" } else { "workers" }, child));
            addresses.push(format!("http://{address}"));
        }
        let http = reqwest::Client::builder().tcp_nodelay(true).build()?;
        for address in &addresses {
            until_ready(&http, address).await?;
        }
        let pool = async |domain: &str| database(&postgres.url(&format!("sojourn_{domain}"))).await;
        let databases = Databases {
            order: pool("order").await?,
            accommodation: pool("accommodation").await?,
            payment: pool("payment").await?,
        };
        let orchestrator = addresses.swap_remove(0);
        Ok(Self { http, orchestrator, numbers: Arc::default(), databases, children, rabbitmq, postgres })
    }

    /// One run of Sojourn and one of the floor, right after each other.
    async fn measure(&self, in_flight: usize, length: Duration) -> Result<Sample> {
        let mut roots: BTreeMap<&'static str, Vec<u32>> = BTreeMap::new();
        for (group, child) in &self.children {
            roots.entry(group).or_default().push(child.id());
        }
        roots.insert("postgresql", self.postgres.pid().into_iter().collect());
        roots.insert("rabbitmq", self.rabbitmq.pid().into_iter().collect());
        meter::forget_peaks(&roots);
        let before = meter::read(&roots);
        let own_before = meter::own();
        let token = DEVELOPMENT_INTERNAL_TOKEN;
        let sojourn =
            load::orchestrated(&self.http, &self.orchestrator, token, &self.numbers, in_flight, length).await?;
        let after = meter::read(&roots);
        let own_after = meter::own();
        let mut usage: BTreeMap<_, _> =
            after.into_iter().map(|(group, usage)| (group, usage.since(before[group]))).collect();
        usage.insert("load", own_after.since(own_before));
        let floor = load::direct(&self.databases, &self.numbers, in_flight, length).await?;
        Ok(Sample { in_flight, sojourn, floor, usage })
    }

    async fn measure_history(&self, sagas: i64, in_flight: usize, runs: u16, length: Duration) -> Result<()> {
        let token = DEVELOPMENT_INTERNAL_TOKEN;
        let throughput = async || -> Result<f64> {
            let mut seen = Vec::new();
            for _ in 0..runs {
                let run = load::orchestrated(&self.http, &self.orchestrator, token, &self.numbers, in_flight, length);
                seen.push(run.await?.per_second());
            }
            Ok(median(seen))
        };
        let empty = throughput().await?;
        history::fill(&self.postgres.url("sojourn_orchestrator"), sagas).await?;
        let full = throughput().await?;
        println!("\nwith {sagas} finished sagas in the journal, at {in_flight} in flight:");
        println!("  {full:.1} sagas/s, before {empty:.1}: ratio {:.2}", full / empty);
        Ok(())
    }

    async fn stop(mut self) {
        for (_, child) in &mut self.children {
            // It may have ended by itself.
            child.kill().ok();
            child.wait().ok();
        }
        self.rabbitmq.stop().await;
        self.postgres.stop().await;
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for (_, child) in &mut self.children {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

fn spawn(program: &Path, part: &str, address: &str, database_url: &str, amqp_url: &str) -> Result<Child> {
    let mut command = Command::new(program);
    match part {
        "orchestrator" => command.arg("orchestrator"),
        domain => command.args(["worker", domain]),
    };
    command
        .args(["--listen", address])
        .env("DATABASE_URL", database_url)
        .env("AMQP_URL", amqp_url)
        .env("SOJOURN_LOG", "warn")
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("starting {part}"))
}

async fn database(url: &str) -> Result<PgPool> {
    let pool = PgPoolOptions::new().max_connections(FLOOR_CONNECTIONS_MAX).connect(url).await?;
    MIGRATOR.run(&pool).await?;
    Ok(pool)
}

async fn until_ready(http: &reqwest::Client, address: &str) -> Result<()> {
    let end = tokio::time::Instant::now() + READY_WITHIN;
    loop {
        match http.get(format!("{address}/ready")).send().await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(_) | Err(_) => {}
        }
        ensure!(tokio::time::Instant::now() < end, "{address} is not ready after {READY_WITHIN:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

//! The benchmark's own saga on its parts: one orchestrator and three workers, driven over HTTP, and the floor beside it.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use kit::settings::DEVELOPMENT_INTERNAL_TOKEN;
use private_servers::testing::free_ports;
use sqlx::{PgPool, postgres::PgPoolOptions};

use crate::{
    floor::Databases,
    latency::Run,
    load::{self, Numbers},
    parts::MIGRATOR,
    report::Sample,
    system::{self, Program, QueueKind, Servers},
};

/// Connections of the floor to each database: what 2 cores serve best (more only queue in the server).
const FLOOR_CONNECTIONS_MAX: u32 = 16;

/// The domains of the saga.
const DOMAINS: [&str; 3] = ["order", "accommodation", "payment"];

pub(crate) struct Sagas {
    pub(crate) http: reqwest::Client,
    pub(crate) orchestrator: Program,
    /// In the order of the domains: order, accommodation, payment.
    pub(crate) workers: Vec<Program>,
    pub(crate) numbers: Arc<Numbers>,
    databases: Databases,
    servers: Servers,
}

impl Sagas {
    pub(crate) async fn start(queues: QueueKind) -> Result<Self> {
        let servers = Servers::start().await?;
        let http = system::http()?;
        let program = std::env::current_exe()?;
        let ports = free_ports(DOMAINS.len() + 1)?;
        let orchestrator = Program::new("orchestrator", "orchestrator", &program, ports[0]);
        let mut orchestrator = orchestrator.arguments(["orchestrator"]).on(&servers, queues);
        orchestrator.start()?;
        let mut workers = Vec::new();
        for (domain, port) in DOMAINS.into_iter().zip(&ports[1..]) {
            let worker = Program::new(domain, "workers", &program, *port).arguments(["worker", domain]);
            let mut worker = worker.on(&servers, queues);
            worker.start()?;
            workers.push(worker);
        }
        for part in workers.iter().chain([&orchestrator]) {
            part.until_ready(&http).await?;
        }
        let pool = async |domain: &str| floor_pool(&servers.postgres.url(&format!("sojourn_{domain}"))).await;
        let databases = Databases {
            order: pool("order").await?,
            accommodation: pool("accommodation").await?,
            payment: pool("payment").await?,
        };
        Ok(Self { http, orchestrator, workers, numbers: Arc::default(), databases, servers })
    }

    /// The address of a database.
    pub(crate) fn url(&self, database: &str) -> String {
        self.servers.postgres.url(database)
    }

    /// One run of Sojourn and one of the floor, right after each other.
    pub(crate) async fn measure(&self, in_flight: usize, length: Duration) -> Result<Sample> {
        let programs = self.workers.iter().chain([&self.orchestrator]);
        let groups = system::groups(programs, &self.servers.postgres, Some(&self.servers.rabbitmq));
        let (sojourn, usage) = system::metered(&groups, self.drive(in_flight, length)).await?;
        let floor = load::direct(&self.databases, &self.numbers, in_flight, length).await?;
        Ok(Sample { in_flight, sojourn, floor, usage })
    }

    /// One run of Sojourn alone.
    pub(crate) async fn drive(&self, in_flight: usize, length: Duration) -> Result<Run> {
        let (http, address) = (&self.http, &self.orchestrator.address);
        load::orchestrated(http, address, DEVELOPMENT_INTERNAL_TOKEN, &self.numbers, in_flight, length).await
    }

    pub(crate) async fn stop(self) {
        drop((self.orchestrator, self.workers));
        self.servers.stop().await;
    }
}

async fn floor_pool(url: &str) -> Result<PgPool> {
    let pool = PgPoolOptions::new().max_connections(FLOOR_CONNECTIONS_MAX).connect(url).await?;
    MIGRATOR.run(&pool).await?;
    Ok(pool)
}

//! An installation with definitions and a domain of its own: an orchestrator and a worker in this process, the programs of the dashboard
//! and the door before them, and the people of the demonstration.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use contract::orchestrator_api::SagaStarted;
use e2e::{Client, Ended, Program, Response, domains, run, wait};
use journal::{PgJournal, PgJournalOptions};
use kit::settings::DEVELOPMENT_INTERNAL_TOKEN;
use messaging::{
    Broker, Namespace,
    rabbitmq::{RabbitBroker, RabbitOptions},
};
use orchestrator::Orchestrator;
use private_servers::testing::{amqp_url, database, free_ports, unique};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use worker_runtime::Worker;

use super::{
    desk,
    visa::{self, Application},
};
use crate::agency::{LOGGED, OPEN_WITHIN, OPERATOR, PASSWORD, SETTLED_WITHIN};

/// The fewest shards that an installation can have.
const SHARDS: u16 = 1;

/// How long one call of `sagactl` may take.
const SAGACTL_WITHIN: Duration = Duration::from_secs(60);

/// The installation, and an operator who calls its interface.
pub(crate) struct Installation {
    pub(crate) door: String,
    pub(crate) operator: Client,
    gateway: Program,
    dashboard: Program,
    orchestrator: Orchestrator,
    worker: Worker,
    stop: CancellationToken,
    /// The address of the desk's database.
    desk: String,
    folder: TempDir,
}

impl Installation {
    pub(crate) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (stop, clock) = (CancellationToken::new(), kit::clock::system());
        let namespace = Namespace::new(unique("visa"));
        let broker = async || {
            let options = RabbitOptions::new(&amqp_url(), "visa").unwrap();
            let broker = RabbitBroker::connect(options.with_namespace(namespace.clone())).await.unwrap();
            Arc::new(broker) as Arc<dyn Broker>
        };
        let database = database("visa").await;

        let mut settings = worker_runtime::Settings::new(&database, DEVELOPMENT_INTERNAL_TOKEN.into());
        settings.database_prefix = format!("{}_", database.rsplit('/').next().unwrap());
        settings.listen = Some(loopback());
        let people = worker_user::Settings {
            jwt_signing_key_file: folder.path().join("jwt.pem"),
            access_token_minutes: 60,
            session_days: 1,
            demo_password: PASSWORD.into(),
            second_factor_keys: vec![worker_user::DEVELOPMENT_SECOND_FACTOR_KEY.into()],
            require_second_factor: None,
        };
        let parts = vec![desk::domain(), worker_user::domain(&people, false).unwrap()];
        let worker = worker_runtime::start(parts, settings, broker().await, clock.clone(), stop.clone());

        let options = PgJournalOptions::new(&database, SHARDS, kit::ids::instance_id(), clock.now());
        let journal = PgJournal::connect(options).await.unwrap();
        let settings = orchestrator::Settings::development(loopback());
        let orchestrator =
            orchestrator::start(settings, journal, broker().await, visa::catalog(), clock.clone(), stop.clone());
        let (worker, orchestrator) = tokio::join!(worker, orchestrator);
        let (worker, orchestrator) = (worker.unwrap(), orchestrator.unwrap());

        let (gateway, dashboard) = programs(&folder, orchestrator.address(), worker.address().unwrap());
        let (gateway, door) = gateway;
        Client::stranger(&door).until_ready(OPEN_WITHIN, || gateway.log_tail()).await;
        let operator = Client::login(&door, OPERATOR, PASSWORD).await.unwrap();
        let desk = format!("{database}_order");
        Self { door, operator, gateway, dashboard, orchestrator, worker, stop, desk, folder }
    }

    /// Starts the saga of a visa under a version of its definition; its id, once it waits for the embassy.
    pub(crate) async fn apply(&self, version: u32, visa: &str, wishes: &[&str]) -> String {
        let (express, insured) = (wishes.contains(&"express"), wishes.contains(&"insured"));
        let start = json!({
            "name": visa::VISA,
            "version": version,
            "business_key": visa,
            "input": Application { visa: visa.to_owned(), express, insured },
        });
        let caller = Client::with_token(&format!("http://{}", self.orchestrator.address()), DEVELOPMENT_INTERNAL_TOKEN);
        let started = caller.call(Method::POST, "/api/sagas", Some(start)).await.unwrap();
        assert!(started.status.is_success(), "{started:?}");
        let started: SagaStarted = serde_json::from_value(started.body).unwrap();
        let saga = started.saga_id.to_string();
        self.until(&saga, "waiting for the embassy", |saga| {
            let steps = saga["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
            steps.iter().any(|step| step["name"] == visa::AWAIT_EMBASSY && step["status"] == "waiting")
        })
        .await;
        saga
    }

    /// Waits until a saga, as operators see it, is so.
    pub(crate) async fn until(&self, saga: &str, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        wait::until(&format!("{saga} {what}"), SETTLED_WITHIN, || async {
            let shown = self.get(&format!("/sagas/{saga}")).await;
            if so(&shown.body) { Ok(shown.body) } else { Err(shown.body.to_string()) }
        })
        .await
    }

    /// Reads from the operators' interface.
    pub(crate) async fn get(&self, path: &str) -> Response {
        self.operator.get(&format!("/ops/api{path}")).await.unwrap()
    }

    /// All that the desk did for a visa, in its order.
    pub(crate) async fn work(&self, visa: &str) -> Vec<String> {
        let mut database = PgConnection::connect(&self.desk).await.unwrap();
        let work = sqlx::query_scalar("SELECT work FROM visa_work WHERE visa = $1 ORDER BY number").bind(visa);
        work.fetch_all(&mut database).await.unwrap()
    }

    /// Runs `sagactl` as the operator.
    pub(crate) async fn sagactl(&self, arguments: &[&str]) -> Ended {
        let home = self.folder.path().display().to_string();
        let environment = [
            ("SAGACTL_URL", self.door.as_str()),
            ("SAGACTL_TOKEN", self.operator.token.as_str()),
            ("XDG_CONFIG_HOME", home.as_str()),
        ];
        run("sagactl", arguments, &environment, "", SAGACTL_WITHIN).await.unwrap()
    }

    /// Ends everything; the log of the dashboard, which has each request.
    pub(crate) async fn close(mut self) -> String {
        self.gateway.kill();
        self.dashboard.kill();
        assert_eq!([self.gateway.panics(), self.dashboard.panics()].concat(), Vec::<String>::new());
        self.stop.cancel();
        self.orchestrator.join().await;
        self.worker.finished().await;
        self.dashboard.log()
    }
}

/// Starts the programs of the door and of the dashboard: the door with its address, and the dashboard.
fn programs(folder: &TempDir, orchestrator: SocketAddr, worker: SocketAddr) -> ((Program, String), Program) {
    let [door, pages] = free_ports(2).unwrap()[..] else { panic!("two ports were asked for") };
    let at = |port: u16| format!("127.0.0.1:{port}");
    let program = |name: &str, arguments: Vec<String>| {
        let arguments = arguments.into_iter().chain([format!("--log-level={LOGGED}")]).collect();
        Program::start(name, name, arguments, Vec::new(), folder.path()).unwrap()
    };
    let dashboard =
        program("dashboard", vec![format!("--listen={}", at(pages)), format!("--gateway-url=http://{}", at(door))]);
    let mut arguments = vec![
        // All people log in from one address, and none waits for an allowance.
        "--logins-per-minute=0".to_owned(),
        format!("--listen={}", at(door)),
        format!("--dashboard-url=http://{}", at(pages)),
        format!("--orchestrator-url=http://{orchestrator}"),
    ];
    // The door knows the agency's domains; those that are not here have nothing to answer.
    arguments.extend(domains().map(|domain| format!("--{domain}-url=http://{worker}")));
    let gateway = program("gateway", arguments);
    ((gateway, format!("http://{}", at(door))), dashboard)
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

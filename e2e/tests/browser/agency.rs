//! The agency whose pages are looked at: the whole of Sojourn in one process, and its clients and operators at the door.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    time::Duration,
};

use e2e::{Client, Program, Response, free_port, wait};
use messaging::rabbitmq::{RabbitBroker, RabbitOptions};
use private_servers::{RabbitMq, RabbitMqOptions};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

/// How long a start may take on a busy machine: a new cluster is made and seeded.
pub(crate) const OPEN_WITHIN: Duration = Duration::from_secs(120);

/// How long one saga may take to come where it is wanted: ten begin at once, in programs that have just been started.
pub(crate) const SETTLED_WITHIN: Duration = Duration::from_secs(180);

/// The level of the log: each request stands in it, so that it can be told at the end which pages were opened.
pub(crate) const LOGGED: &str = "info,tower_http::trace::on_request=debug";

/// The password of all people of the demonstration.
pub(crate) const PASSWORD: &str = "sojourn-development";

pub(crate) const ADMIN: &str = "admin@sojourn.example";
pub(crate) const OPERATOR: &str = "operator@sojourn.example";
pub(crate) const VIEWER: &str = "viewer@sojourn.example";

/// The agency, with an operator and an admin who call the interface.
pub(crate) struct Agency {
    // Dropped in this order: the program before its broker.
    sojourn: Program,
    rabbit: RabbitMq,
    pub(crate) door: String,
    pub(crate) operator: Client,
    pub(crate) admin: Client,
    pub(crate) client: Client,
    folder: TempDir,
}

impl Agency {
    pub(crate) async fn open() -> Self {
        // PostgreSQL's user must be able to enter it, also when root runs the tests.
        let passable = Permissions::from_mode(0o755);
        let folder = tempfile::Builder::new().permissions(passable).tempdir().unwrap();
        let address = format!("127.0.0.1:{}", free_port().unwrap());
        let rabbit = RabbitMq::start(RabbitMqOptions::for_tests()).await.unwrap();
        let arguments = vec![
            // All people log in from one address, and none waits for an allowance.
            "--logins-per-minute=0".to_owned(),
            "--four-eyes=true".to_owned(),
            format!("--log-level={LOGGED}"),
            format!("--amqp-url={}", rabbit.url()),
            format!("--data-dir={}", folder.path().join("data").display()),
            format!("--listen={address}"),
        ];
        let sojourn = Program::start("sojourn", "sojourn", arguments, Vec::new(), folder.path()).unwrap();
        let door = format!("http://{address}");
        let stranger = Client::stranger(&door);
        stranger.until_ready(OPEN_WITHIN, || sojourn.log_tail()).await;
        let log_in = async |email| Client::login(&door, email, PASSWORD).await.unwrap();
        let (client, operator, admin) = tokio::join!(log_in("client@sojourn.example"), log_in(OPERATOR), log_in(ADMIN));
        Self { sojourn, rabbit, door, operator, admin, client, folder }
    }

    /// A connection to one of its databases.
    pub(crate) async fn database(&self, name: &str) -> PgConnection {
        let folder = self.folder.path().join("data/postgresql");
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap().trim().to_owned();
        let url = format!("postgres://postgres:{}@127.0.0.1:{}/{name}", read("password"), read("port"));
        PgConnection::connect(&url).await.unwrap()
    }

    /// A stranger at its broker.
    pub(crate) async fn broker(&self) -> RabbitBroker {
        RabbitBroker::connect(RabbitOptions::new(&self.rabbit.url(), "stranger").unwrap()).await.unwrap()
    }

    /// All that its programs have logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("sojourn.log")).unwrap()
    }

    /// Acts on a saga through the interface.
    pub(crate) async fn act(&self, saga: &str, action: &str) {
        let acting = json!({ "action": action, "reason": "the client called", "request_id": kit::ids::request_id() });
        let path = format!("/ops/api/sagas/{saga}/actions");
        let answer = self.operator.call(Method::POST, &path, Some(acting)).await.unwrap();
        assert!(answer.status.is_success(), "{action} on {saga}: {answer:?}");
    }

    pub(crate) async fn until_status(&self, saga: &str, status: &str) -> Value {
        wait::until(&format!("{saga} {status}"), SETTLED_WITHIN, || async {
            let shown =
                self.operator.get(&format!("/ops/api/sagas/{saga}")).await.map_err(|error| error.to_string())?;
            if shown.body["status"] == status { Ok(shown.body) } else { Err(self.seen(&shown)) }
        })
        .await
    }

    /// An answer that is not the wished one yet, and the latest words of the agency.
    pub(crate) fn seen(&self, answer: &Response) -> String {
        format!("{} {}\n{}", answer.status, answer.body, self.sojourn.log_tail())
    }

    /// The panics of all parts.
    pub(crate) fn panics(&self) -> Vec<String> {
        self.sojourn.panics()
    }
}

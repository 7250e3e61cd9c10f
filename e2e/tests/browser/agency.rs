//! An agency with sagas in every status, made by its clients and operators through the door.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    time::Duration,
};

use chrono::{Days, NaiveDate};
use contract::SagaId;
use e2e::{Client, Program, Response, free_port, order_of, wait};
use kit::clock::Clock as _;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

/// How long a start may take on a busy machine: a new cluster is made and seeded.
const OPEN_WITHIN: Duration = Duration::from_secs(120);

/// How long one saga may take to come where it is wanted: ten begin at once, in programs that have just been started.
const SETTLED_WITHIN: Duration = Duration::from_secs(180);

/// The password of all people of the demonstration.
pub(crate) const PASSWORD: &str = "sojourn-development";

/// Leaves an entry that no program knows.
const BREAK: &str = "UPDATE saga_journal SET entries = '[{\"entry\": \"from_the_future\"}]'
    WHERE saga_id = $1 AND seq = (SELECT max(seq) FROM saga_journal WHERE saga_id = $1)";

pub(crate) const ADMIN: &str = "admin@sojourn.example";
pub(crate) const OPERATOR: &str = "operator@sojourn.example";
pub(crate) const VIEWER: &str = "viewer@sojourn.example";

/// The whole agency in one process, with an operator who calls the interface.
pub(crate) struct Agency {
    pub(crate) door: String,
    pub(crate) operator: Client,
    client: Client,
    sojourn: Program,
    folder: TempDir,
}

/// The sagas that the pages are looked at with, by their ids.
pub(crate) struct Sagas {
    pub(crate) completed: String,
    pub(crate) compensated: String,
    /// Those that need a person, one for each test that acts on one.
    pub(crate) stuck: [String; 3],
    pub(crate) abandoned: String,
    pub(crate) waiting: String,
    pub(crate) paused: String,
    pub(crate) parent: String,
    pub(crate) quarantined: String,
    pub(crate) job: String,
}

impl Agency {
    pub(crate) async fn open() -> Self {
        // PostgreSQL's user must be able to enter it, also when root runs the tests.
        let passable = Permissions::from_mode(0o755);
        let folder = tempfile::Builder::new().permissions(passable).tempdir().unwrap();
        let address = format!("127.0.0.1:{}", free_port().unwrap());
        let arguments = vec![
            // All people log in from one address, and none waits for an allowance.
            "--logins-per-minute=0".to_owned(),
            format!("--data-dir={}", folder.path().join("data").display()),
            format!("--listen={address}"),
        ];
        let sojourn = Program::start("sojourn", "sojourn", arguments, Vec::new(), folder.path()).unwrap();
        let door = format!("http://{address}");
        let stranger = Client::stranger(&door);
        stranger.until_ready(OPEN_WITHIN, || sojourn.log_tail()).await;
        let log_in = async |email| Client::login(&door, email, PASSWORD).await.unwrap();
        let (client, operator) = (log_in("client@sojourn.example").await, log_in(OPERATOR).await);
        Self { door, operator, client, sojourn, folder }
    }

    /// Brings sagas into every status.
    pub(crate) async fn sagas(&self) -> Sagas {
        let flight = self.client.flight("LHR", "MLE", in_days(30), "business", 1).await.unwrap();
        let order = async |key: &str, token: &str, status: &str| {
            let (order_id, saga) = self.client.place(key, &order_of(&[&flight], token)).await.unwrap();
            self.until_status(&saga, status).await;
            (order_id, saga)
        };
        let (completed, compensated, one, two, three, abandoned, waiting, paused, parent, broken) = tokio::join!(
            order("completed", "tok_ok", "completed"),
            order("compensated", "tok_declined", "compensated"),
            order("stuck-1", "tok_capture_fails", "needs_attention"),
            order("stuck-2", "tok_capture_fails", "needs_attention"),
            order("stuck-3", "tok_capture_fails", "needs_attention"),
            order("abandoned", "tok_capture_fails", "needs_attention"),
            self.held("waiting", &flight),
            self.held("paused", &flight),
            self.held("parent", &flight),
            self.held("broken", &flight),
        );
        self.act(&paused.1, "pause").await;
        let confirm = json!({ "payment": { "token": "tok_ok" } });
        let path = format!("/v1/flight-holds/{}/confirm", parent.0);
        let key = [("idempotency-key", "confirm")];
        accepted(self.client.call_with(Method::POST, &path, Some(confirm), &key).await.unwrap());
        self.until_status(&parent.1, "completed").await;
        self.quarantine(&broken.1).await;
        let job = json!({
            "action": "abandon", "filter": { "business_key": abandoned.0 }, "reason": "settled by hand",
            "request_id": kit::ids::request_id(),
        });
        let job = self.operator.call(Method::POST, "/ops/api/jobs", Some(job)).await.unwrap();
        let job = text_of(&job.body, "id").unwrap_or_else(|| panic!("{job:?}"));
        self.until_status(&abandoned.1, "abandoned").await;
        Sagas {
            completed: completed.1,
            compensated: compensated.1,
            stuck: [one.1, two.1, three.1],
            abandoned: abandoned.1,
            waiting: waiting.1,
            paused: paused.1,
            parent: parent.1,
            quarantined: broken.1,
            job,
        }
    }

    /// Holds a flight for four hours: the hold, and its saga once it waits for its client.
    async fn held(&self, key: &str, flight: &Value) -> (String, String) {
        let body = json!({ "offer_id": flight["offer_id"], "travellers": order_of(&[], "")["travellers"] });
        let key = [("idempotency-key", key)];
        let held = self.client.call_with(Method::POST, "/v1/flight-holds", Some(body), &key).await.unwrap();
        let held = accepted(held);
        let (hold, saga) = (text_of(&held, "hold_id").unwrap(), text_of(&held, "operation_id").unwrap());
        wait::until("a held flight", SETTLED_WITHIN, || async {
            let shown =
                self.client.get(&format!("/v1/flight-holds/{hold}")).await.map_err(|error| error.to_string())?;
            if shown.body["status"] == "held" { Ok(()) } else { Err(self.seen(&shown)) }
        })
        .await;
        (hold, saga)
    }

    /// Breaks the journal of a saga that sleeps, and wakes it: its lane sets it aside.
    async fn quarantine(&self, saga: &str) {
        let id: SagaId = saga.parse().unwrap();
        let folder = self.folder.path().join("data/postgresql");
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap().trim().to_owned();
        let url = format!("postgres://postgres:{}@127.0.0.1:{}/sojourn_orchestrator", read("password"), read("port"));
        let mut database = PgConnection::connect(&url).await.unwrap();
        let broken = sqlx::query(BREAK).bind(id.uuid()).execute(&mut database).await.unwrap();
        assert_eq!(broken.rows_affected(), 1);
        let waking = json!({ "action": "cancel", "reason": "the client called", "request_id": kit::ids::request_id() });
        let path = format!("/ops/api/sagas/{saga}/actions");
        let answer = self.operator.call(Method::POST, &path, Some(waking)).await.unwrap();
        assert_eq!(answer.body["code"], "row_broken", "{answer:?}");
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
    fn seen(&self, answer: &Response) -> String {
        format!("{} {}\n{}", answer.status, answer.body, self.sojourn.log_tail())
    }

    /// The panics of all parts.
    pub(crate) fn panics(&self) -> Vec<String> {
        self.sojourn.panics()
    }
}

fn accepted(answer: Response) -> Value {
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.body
}

fn text_of(body: &Value, name: &str) -> Option<String> {
    body[name].as_str().map(str::to_owned)
}

fn in_days(days: u64) -> NaiveDate {
    kit::clock::SystemClock.now().date_naive().checked_add_days(Days::new(days)).unwrap()
}

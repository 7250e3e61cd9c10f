//! Sagas in every status, brought there by clients and operators through the door, and a dead letter.

use chrono::{Days, NaiveDate};
use contract::SagaId;
use e2e::{Client, Response, order_of, wait};
use futures::future::join_all;
use kit::clock::Clock as _;
use messaging::{Broker as _, Exchange, Message, Outgoing};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _};

use crate::agency::{Agency, SETTLED_WITHIN};

/// The holds of one client, for acts on many sagas: more than the seconds in which a job is paused, goes on and is aborted.
const HOLDS: usize = 12;

/// Leaves an entry that no program knows.
const BREAK: &str =
    "UPDATE saga_journal SET entries = '[{\"entry\": \"from_the_future\"}]' WHERE saga_id = $1 AND seq = $2";
const MEND: &str = "UPDATE saga_journal SET entries = $3::jsonb WHERE saga_id = $1 AND seq = $2";
const NEWEST: &str = "SELECT seq, entries::text FROM saga_journal WHERE saga_id = $1 ORDER BY seq DESC LIMIT 1";

/// Keeps the hotels from releasing a room.
const NO_RELEASE: &str = "ALTER TABLE room_hold ADD CONSTRAINT no_release CHECK (status <> 'released') NOT VALID";

/// The kind of a message that no worker knows.
const RIDDLE: &str = "sojourn.riddle";

/// The sagas that the pages are looked at with, by their ids.
pub(crate) struct Sagas {
    pub(crate) completed: String,
    pub(crate) compensated: String,
    /// Those that need a person, one for each test that acts on one.
    pub(crate) stuck: Stuck,
    pub(crate) abandoned: String,
    /// A flight that is held until its client confirms, one for each test that acts on one.
    pub(crate) waiting: Waiting,
    pub(crate) paused: String,
    pub(crate) parent: String,
    /// A payment that its client has to approve at the bank.
    pub(crate) at_the_bank: String,
    /// A room that cannot be released.
    pub(crate) undoing: String,
    pub(crate) quarantined: Quarantined,
    /// Another one, whose journal is mended.
    pub(crate) mended: Quarantined,
    pub(crate) job: String,
    /// The client who holds many flights.
    pub(crate) holder: String,
}

/// Orders whose payment cannot be taken.
pub(crate) struct Stuck {
    pub(crate) seen: String,
    pub(crate) retried: String,
    pub(crate) contended: String,
    pub(crate) skipped: String,
    pub(crate) edited: String,
    pub(crate) given_up: String,
}

/// Flights that are held.
pub(crate) struct Waiting {
    pub(crate) seen: String,
    pub(crate) followed: String,
    pub(crate) signalled: String,
    pub(crate) cancelled: String,
}

/// A saga whose newest record cannot be read, and that record as it was.
pub(crate) struct Quarantined {
    pub(crate) saga: String,
    seq: i64,
    entries: String,
}

impl Agency {
    /// Brings sagas into every status.
    pub(crate) async fn sagas(&self) -> Sagas {
        let (flight, stay, many) = tokio::join!(self.flight("business"), self.stay(), self.many());
        let order = async |key: &str, offer: &Value, token: &str, status: &str| {
            let (order_id, saga) = self.client.place(key, &order_of(&[offer], token)).await.unwrap();
            self.until_status(&saga, status).await;
            (order_id, saga)
        };
        let stuck = async |key: &str| order(key, &flight, "tok_capture_fails", "needs_attention").await;
        let held = async |key: &str| self.held(&self.client, key, &flight).await;
        let (
            (completed, compensated, abandoned, at_the_bank, undoing),
            (seen, retried, contended, skipped, edited, given_up),
            (waiting, followed, signalled, cancelled),
            (paused, parent, broken, mended),
        ) = tokio::join!(
            async {
                tokio::join!(
                    order("completed", &flight, "tok_ok", "completed"),
                    order("compensated", &flight, "tok_declined", "compensated"),
                    stuck("abandoned"),
                    order("at the bank", &flight, "tok_3ds_never", "running"),
                    self.undoing(&stay),
                )
            },
            async {
                tokio::join!(
                    stuck("seen"),
                    stuck("retried"),
                    stuck("contended"),
                    stuck("skipped"),
                    stuck("edited"),
                    stuck("given up"),
                )
            },
            async { tokio::join!(held("waiting"), held("followed"), held("signalled"), held("cancelled")) },
            async { tokio::join!(held("paused"), held("parent"), held("broken"), held("mended")) },
        );
        self.act(&paused.1, "pause").await;
        let confirm = json!({ "payment": { "token": "tok_ok" } });
        let path = format!("/v1/flight-holds/{}/confirm", parent.0);
        let key = [("idempotency-key", "confirm")];
        accepted(self.client.call_with(Method::POST, &path, Some(confirm), &key).await.unwrap());
        self.until_status(&parent.1, "completed").await;
        self.dead_letter(&completed.1).await;
        let job = self.given_up_by_a_job(&abandoned.0).await;
        self.until_status(&abandoned.1, "abandoned").await;
        Sagas {
            job,
            completed: completed.1,
            compensated: compensated.1,
            stuck: Stuck {
                seen: seen.1,
                retried: retried.1,
                contended: contended.1,
                skipped: skipped.1,
                edited: edited.1,
                given_up: given_up.1,
            },
            abandoned: abandoned.1,
            waiting: Waiting { seen: waiting.1, followed: followed.1, signalled: signalled.1, cancelled: cancelled.1 },
            paused: paused.1,
            parent: parent.1,
            at_the_bank: at_the_bank.1,
            undoing,
            quarantined: self.quarantine(broken.1).await,
            mended: self.quarantine(mended.1).await,
            holder: many,
        }
    }

    async fn flight(&self, cabin: &str) -> Value {
        self.client.flight("LHR", "MLE", in_days(30), cabin, 1).await.unwrap()
    }

    async fn stay(&self) -> Value {
        self.client.stay("Maldives", in_days(31), in_days(33), 1).await.unwrap()
    }

    /// One more saga, which has begun when this returns.
    pub(crate) async fn one_more(&self, key: &str) -> String {
        let flight = self.flight("economy").await;
        self.held(&self.client, key, &flight).await.1
    }

    /// Many sagas of one client; the client's id.
    async fn many(&self) -> String {
        let holder = Client::register(&self.door, "holder").await.unwrap();
        let flight = self.flight("economy").await;
        join_all((0..HOLDS).map(|number| {
            let (holder, flight) = (&holder, &flight);
            async move { self.held(holder, &format!("hold {number}"), flight).await }
        }))
        .await;
        holder.user_id
    }

    /// Holds a flight for four hours: the hold, and its saga once it waits for its client.
    async fn held(&self, client: &Client, key: &str, flight: &Value) -> (String, String) {
        let body = json!({ "offer_id": flight["offer_id"], "travellers": order_of(&[], "")["travellers"] });
        let key = [("idempotency-key", key)];
        let held = client.call_with(Method::POST, "/v1/flight-holds", Some(body), &key).await.unwrap();
        let held = accepted(held);
        let (hold, saga) = (text_of(&held, "hold_id").unwrap(), text_of(&held, "operation_id").unwrap());
        wait::until("a held flight", SETTLED_WITHIN, || async {
            let shown = client.get(&format!("/v1/flight-holds/{hold}")).await.map_err(|error| error.to_string())?;
            if shown.body["status"] == "held" { Ok(()) } else { Err(self.seen(&shown)) }
        })
        .await;
        (hold, saga)
    }

    /// An order of a room that is declined, and cannot be undone.
    async fn undoing(&self, stay: &Value) -> String {
        self.database("sojourn_accommodation").await.execute(NO_RELEASE).await.unwrap();
        let (_, saga) = self.client.place("undoing", &order_of(&[stay], "tok_declined")).await.unwrap();
        self.until_status(&saga, "compensating").await;
        saga
    }

    /// Breaks the journal of a saga that sleeps, and wakes it: its lane sets it aside.
    async fn quarantine(&self, saga: String) -> Quarantined {
        let id: SagaId = saga.parse().unwrap();
        let mut database = self.database("sojourn_orchestrator").await;
        let newest = sqlx::query_as(NEWEST).bind(id.uuid()).fetch_one(&mut database).await;
        let (seq, entries): (i64, String) = newest.unwrap();
        let broken = sqlx::query(BREAK).bind(id.uuid()).bind(seq).execute(&mut database).await.unwrap();
        assert_eq!(broken.rows_affected(), 1);
        let waking = json!({ "action": "cancel", "reason": "the client called", "request_id": kit::ids::request_id() });
        let path = format!("/ops/api/sagas/{saga}/actions");
        let answer = self.operator.call(Method::POST, &path, Some(waking)).await.unwrap();
        assert_eq!(answer.body["code"], "row_broken", "{answer:?}");
        Quarantined { saga, seq, entries }
    }

    /// Makes the journal of a saga in quarantine readable again.
    pub(crate) async fn mend(&self, broken: &Quarantined) {
        let id: SagaId = broken.saga.parse().unwrap();
        let mut database = self.database("sojourn_orchestrator").await;
        let mend = sqlx::query(MEND).bind(id.uuid()).bind(broken.seq).bind(&broken.entries);
        assert_eq!(mend.execute(&mut database).await.unwrap().rows_affected(), 1);
        database.close().await.unwrap();
    }

    /// Puts a message before the workers of the orders that they cannot handle; it names a saga.
    async fn dead_letter(&self, saga: &str) {
        let body = json!({
            "message_id": kit::ids::message_id().to_string(), "command_id": format!("{saga}:create-order:action:1"),
            "attempt": 1, "name": "order.create", "version": 1, "route": "order", "reply_to": "replies.0",
            "expires_at": "2999-01-01T00:00:00Z", "payload": {},
        });
        let message = Message::new(kit::ids::message_id().to_string(), RIDDLE, serde_json::to_vec(&body).unwrap());
        let sent = self.broker().await.publish(vec![Outgoing::to(Exchange::Commands, "order", message)]).await;
        sent.into_iter().for_each(|sent| sent.unwrap());
        wait::until("a dead letter", SETTLED_WITHIN, || async {
            let letters = self.operator.get("/ops/api/dead-letters").await.map_err(|error| error.to_string())?;
            let count = letters.body["items"].as_array().map_or(0, Vec::len);
            if count == 1 { Ok(()) } else { Err(self.seen(&letters)) }
        })
        .await;
    }

    /// Gives the saga of an order up by a job, which an admin approves; the job.
    async fn given_up_by_a_job(&self, order: &str) -> String {
        let job = json!({
            "action": "abandon", "filter": { "business_key": order }, "reason": "settled by hand",
            "request_id": kit::ids::request_id(),
        });
        let asked = accepted(self.operator.call(Method::POST, "/ops/api/jobs", Some(job)).await.unwrap());
        let approve = format!("/ops/api/approvals/{}/approve", text_of(&asked, "id").unwrap());
        let because = json!({ "reason": "I have seen the receipt" });
        let approved = self.admin.call(Method::POST, &approve, Some(because)).await.unwrap();
        assert!(approved.status.is_success(), "{approved:?}");
        let jobs = self.operator.get("/ops/api/jobs").await.unwrap();
        text_of(&jobs.body["items"][0], "id").unwrap_or_else(|| panic!("{jobs:?}"))
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

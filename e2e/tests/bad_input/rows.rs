//! Rows of the journal that somebody broke by hand: their sagas are left alone and named, all others go on, and once
//! the rows are repaired their sagas go on too.

use std::time::Duration;

use chrono::{DateTime, Utc};
use contract::SagaId;
use e2e::{Client, Findings, Part, System, order_of, wait};
use reqwest::Method;
use serde_json::json;
use sqlx::PgConnection;

use crate::{
    SETTLED_WITHIN, flight,
    messages::{until_status, until_step},
};

const ORCHESTRATORS: [&str; 2] = ["orchestrator-1", "orchestrator-2"];

/// How a journal is broken, and how that must look.
const BREAKS: [(&str, &str, &[&str]); 5] = [
    (
        "an entry that nobody knows",
        "UPDATE saga_journal SET entries = '[{\"entry\": \"from_the_future\"}]'
         WHERE saga_id = $1 AND seq = (SELECT max(seq) FROM saga_journal WHERE saga_id = $1)",
        &["row_broken", "saga_journal", "entries", "from_the_future"],
    ),
    (
        "no list of entries",
        "UPDATE saga_journal SET entries = '\"all is well\"' WHERE saga_id = $1 AND seq = 1",
        &["row_broken", "saga_journal", "entries", "seq 1"],
    ),
    ("a gap", "DELETE FROM saga_journal WHERE saga_id = $1 AND seq = 2", &["row_broken", "saga_journal", "seq 2"]),
    ("nothing at all", "DELETE FROM saga_journal WHERE saga_id = $1", &["row_broken", "saga_journal", "no records"]),
    (
        "a version that nobody knows",
        "UPDATE saga_journal SET entries = replace(entries::text, '\"version\":2,', '\"version\":99,')::json
         WHERE saga_id = $1 AND seq = 1",
        &["definition_unknown", "version 99"],
    ),
];

struct Broken {
    what: &'static str,
    saga: SagaId,
    order_id: String,
    says: &'static [&'static str],
    rows: Vec<(i64, DateTime<Utc>, String)>,
}

pub(crate) async fn broken_by_hand(system: &mut System, client: &Client, operator: &Client, findings: &mut Findings) {
    let order = order_of(&[&flight(client, 37).await], "tok_ok");
    system.kill(Part::Program("payment"));
    let mut placed = Vec::new();
    for number in 0..BREAKS.len() + 2 {
        placed.push(client.place(&format!("broken-{number}"), &order).await.unwrap());
    }
    for (_, saga) in &placed {
        until_step(operator, saga.parse().unwrap(), "authorize-payment", "dispatched").await;
    }
    let (healthy_order, healthy) = placed.pop().unwrap();
    let (_, unknown) = placed.pop().unwrap();
    for name in ORCHESTRATORS {
        system.kill(Part::Program(name));
    }
    let mut database = system.database("sojourn_orchestrator").await.unwrap();
    let mut broken = Vec::new();
    for ((what, break_it, says), (order_id, saga)) in BREAKS.into_iter().zip(placed) {
        let saga: SagaId = saga.parse().unwrap();
        let rows = kept(&mut database, saga).await;
        let changed = sqlx::query(break_it).bind(saga.uuid()).execute(&mut database).await.unwrap();
        assert!(changed.rows_affected() > 0, "{what}");
        broken.push(Broken { what, saga, order_id, says, rows });
    }
    let unknown_id: SagaId = unknown.parse().unwrap();
    sqlx::query(BREAKS[4].1).bind(unknown_id.uuid()).execute(&mut database).await.unwrap();
    for name in ORCHESTRATORS {
        system.revive(name).await.unwrap();
    }

    given_up(operator, &unknown, findings).await;
    for one in &broken {
        named(operator, one, findings).await;
    }
    let listed = operator.get("/ops/api/sagas?status=running").await.unwrap();
    for one in &broken {
        let listed = listed.body["items"]
            .as_array()
            .is_some_and(|all| all.iter().any(|saga| saga["id"] == one.saga.to_string()));
        findings.that(&format!("{}: still listed", one.what), listed, one.saga);
        let operation = client.get(&format!("/v1/operations/{}", one.saga)).await.unwrap();
        let told = operation.status == 200 || operation.body["code"] == "bad_gateway";
        findings.that(&format!("{}: what its client sees", one.what), told, &operation);
    }
    system.revive("payment").await.unwrap();
    let settled = client.until_settled(&healthy_order, SETTLED_WITHIN).await;
    findings.that("the healthy neighbour", settled["status"] == "confirmed", &settled);
    until_status(operator, &healthy, "completed").await;
    replies_are_kept(operator, &broken).await;
    let logs: String = ORCHESTRATORS.iter().map(|name| system.program(name).log()).collect();
    for one in &broken {
        let named = logs.lines().any(|line| line.contains("left alone") && line.contains(&one.saga.to_string()));
        findings.that(&format!("{}: named in the log", one.what), named, one.saga);
    }

    // Repaired rows are taken up where they were.
    for name in ORCHESTRATORS {
        system.kill(Part::Program(name));
    }
    for one in &broken {
        repair(&mut database, one).await;
    }
    for name in ORCHESTRATORS {
        system.revive(name).await.unwrap();
    }
    for one in &broken {
        let settled = client.until_settled(&one.order_id, SETTLED_WITHIN).await;
        findings.that(&format!("{}: repaired", one.what), settled["status"] == "confirmed", &settled);
        until_status(operator, &one.saga.to_string(), "completed").await;
    }
    system.until_queues_are_empty(Duration::from_secs(60)).await;
}

/// Everything that an operator may ask about the saga says what is wrong with it.
async fn named(operator: &Client, broken: &Broken, findings: &mut Findings) {
    let (saga, code) = (broken.saga, broken.says[0]);
    let shown = operator.get(&format!("/ops/api/sagas/{saga}")).await.unwrap();
    let text = shown.body.to_string();
    let says = broken.says.iter().all(|word| text.contains(word)) && text.contains(&saga.to_string());
    findings.that(&format!("{}: shown with its reason", broken.what), says, &text);
    let cancel = json!({ "action": "cancel", "reason": "it is broken" });
    let acted = operator.call(Method::POST, &format!("/ops/api/sagas/{saga}/actions"), Some(cancel)).await.unwrap();
    if code == "row_broken" {
        findings.problem(broken.what, &shown, 500, code, &[]);
        for path in ["journal", "events"] {
            let answer = operator.get(&format!("/ops/api/sagas/{saga}/{path}")).await.unwrap();
            findings.problem(&format!("{}: its {path}", broken.what), &answer, 500, code, &[]);
        }
    } else {
        findings.that(
            &format!("{}: shown", broken.what),
            shown.status == 200 && shown.body["cause"]["code"] == code,
            &shown,
        );
    }
    // The saga's lane judges, and it leaves the saga alone.
    findings.problem(&format!("{}: an action", broken.what), &acted, 409, code, &[]);
}

/// A saga that no program knows any more can be given up; nothing else can be done to it.
async fn given_up(operator: &Client, saga: &str, findings: &mut Findings) {
    let act = async |action: &str| {
        let body = json!({ "action": action, "reason": "nobody knows it any more" });
        operator.call(Method::POST, &format!("/ops/api/sagas/{saga}/actions"), Some(body)).await.unwrap()
    };
    findings.problem("retrying what nobody knows", &act("retry").await, 409, "definition_unknown", &[]);
    let abandoned = act("abandon").await;
    let right = abandoned.status == 200 && abandoned.body["status"] == "abandoned";
    findings.that("giving up what nobody knows", right, &abandoned);
    findings.problem("giving it up again", &act("abandon").await, 409, "saga_finished", &[]);
}

/// The reply that the saga would have heard is kept among the dead letters, under its id.
async fn replies_are_kept(operator: &Client, broken: &[Broken]) {
    for one in broken {
        wait::until(&format!("{}: the letter of its reply", one.what), Duration::from_secs(30), || async {
            let path = format!("/ops/api/dead-letters?saga_id={}", one.saga);
            let letters = operator.get(&path).await.map_err(|error| error.to_string())?;
            let left = letters.body["items"].as_array().is_some_and(|all| {
                all.iter()
                    .any(|letter| letter["reason"].as_str().is_some_and(|reason| reason.contains("is left alone")))
            });
            if left { Ok(()) } else { Err(letters.body.to_string()) }
        })
        .await;
    }
}

async fn kept(database: &mut PgConnection, saga: SagaId) -> Vec<(i64, DateTime<Utc>, String)> {
    sqlx::query_as("SELECT seq, at, entries::text FROM saga_journal WHERE saga_id = $1 ORDER BY seq")
        .bind(saga.uuid())
        .fetch_all(database)
        .await
        .unwrap()
}

async fn repair(database: &mut PgConnection, broken: &Broken) {
    for (seq, at, entries) in &broken.rows {
        sqlx::query(
            "INSERT INTO saga_journal (saga_id, seq, at, entries) VALUES ($1, $2, $3, $4::json)
             ON CONFLICT (saga_id, seq) DO UPDATE SET entries = EXCLUDED.entries",
        )
        .bind(broken.saga.uuid())
        .bind(seq)
        .bind(at)
        .bind(entries)
        .execute(&mut *database)
        .await
        .unwrap();
    }
}

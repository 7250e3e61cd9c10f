//! Servers that go away while the system runs: who misses what is named, what was accepted is kept, and everything goes
//! on by itself when they are back.

use std::time::Duration;

use contract::orchestrator_api::{HEADER_ACTOR, HEADER_ROLE};
use e2e::{Client, Findings, Part, System, order_of, wait};
use reqwest::Method;
use serde_json::json;

use crate::{SETTLED_WITHIN, flight};

/// How long a lost server may stay unnoticed.
const NOTICED_WITHIN: Duration = Duration::from_secs(30);

pub(crate) async fn of_the_broker(system: &mut System, client: &Client, operator: &Client, findings: &mut Findings) {
    let order = order_of(&[&flight(client, 38).await], "tok_ok");
    let (order_id, _) = client.place("before the broker goes", &order).await.unwrap();
    client.until_settled(&order_id, SETTLED_WITHIN).await;
    system.kill(Part::RabbitMq);
    // It may be back within seconds: until then orders are taken, and wait in the journal, which is the outbox.
    let (early, saga) = client.place("as the broker goes", &order).await.unwrap();
    for name in ["orchestrator-1", "orchestrator-2", "flights", "payment"] {
        until_missing(system, name, "broker").await;
    }
    // The gateway looks every few seconds; until it has seen that no orchestrator is ready, it passes starts on.
    until_missing(system, "gateway", "orchestrator").await;
    let refused = client.order("without a broker", &order).await.unwrap();
    findings.problem("an order without a broker", &refused, 503, "service_unavailable", &[]);
    let path = format!("/api/sagas/{saga}/actions");
    let act = json!({ "action": "cancel", "reason": "is anybody there?" });
    let acted = operator.call(Method::POST, &format!("/ops{path}"), Some(act.clone())).await.unwrap();
    findings.problem("an operator's action without a broker", &acted, 503, "service_unavailable", &[]);
    let operator = [(HEADER_ACTOR, "usr_1"), (HEADER_ROLE, "operator")];
    let inside = system.internal("orchestrator-1");
    let acted = inside.call_with(Method::POST, &path, Some(act), &operator).await.unwrap();
    findings.problem("an action without a broker", &acted, 503, "broker_unavailable", &[]);
    system.restart(Part::RabbitMq).await.unwrap();
    let settled = client.until_settled(&early, SETTLED_WITHIN).await;
    // The action may have waited in the client of the broker; it says itself that it may still take effect.
    let ended = settled["status"] == "confirmed" || settled["reason"]["code"] == "saga_cancelled";
    findings.that("the order that waited for the broker", ended, &settled);
    let accepted = client.order_surely("without a broker", &order, SETTLED_WITHIN).await;
    let settled = client.until_settled(accepted.body["order_id"].as_str().unwrap(), SETTLED_WITHIN).await;
    findings.that("the order after the broker is back", settled["status"] == "confirmed", &settled);
}

pub(crate) async fn of_the_databases(system: &mut System, client: &Client, operator: &Client, findings: &mut Findings) {
    let order = order_of(&[&flight(client, 39).await], "tok_ok");
    system.kill(Part::PostgreSql);
    for (name, need) in [("orchestrator-1", "journal"), ("flights", "database flights"), ("user", "database user")] {
        until_missing(system, name, need).await;
    }
    let search = "/v1/flights/offers?from=LHR&to=MLE&date=2030-01-01&cabin=business&passengers=1";
    let login = json!({ "email": "ada@example.com", "password": "a long enough passphrase" });
    // Asked side by side: each waits for a database for as long as a reader would.
    let (searched, ordered, orders, logged_in, listed) = tokio::join!(
        client.get(search),
        client.order("without a database", &order),
        client.get("/v1/orders"),
        client.call(Method::POST, "/v1/auth/login", Some(login)),
        operator.get("/ops/api/sagas"),
    );
    let answers = [("a search", searched), ("an order", ordered), ("a list of orders", orders), ("a login", logged_in)];
    for (what, answer) in answers {
        let what = format!("{what} without a database");
        findings.problem(&what, &answer.unwrap(), 503, "service_unavailable", &[]);
    }
    let listed = listed.unwrap();
    let told = listed.body["code"] == "journal_unavailable" || listed.body["code"] == "service_unavailable";
    findings.that("a list of sagas without a journal", listed.status == 503 && told, &listed);
    system.restart(Part::PostgreSql).await.unwrap();
    let accepted = client.order_surely("without a database", &order, SETTLED_WITHIN).await;
    let settled = client.until_settled(accepted.body["order_id"].as_str().unwrap(), SETTLED_WITHIN).await;
    findings.that("the order after the databases are back", settled["status"] == "confirmed", &settled);
}

/// Waits until a program says itself that it misses this.
async fn until_missing(system: &System, name: &str, need: &str) {
    let program = Client::stranger(system.address(name));
    wait::until(&format!("{name} to miss its {need}"), NOTICED_WITHIN, || async {
        let ready = program.get("/ready").await.map_err(|error| format!("{error:#}"))?;
        let named = ready.status == 503 && ready.body["missing"][need].is_string();
        if named { Ok(()) } else { Err(format!("{ready:?}")) }
    })
    .await;
}

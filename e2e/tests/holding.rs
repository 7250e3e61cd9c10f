//! Holding a flight through the door: confirmed and ticketed, paid for in vain, released by its client, and lapsed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use chrono::{Days, NaiveDate};
use e2e::{Client, Response, System, order_of, wait};
use kit::clock::Clock;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// The flights domain's clock, in seconds behind: a hold of four hours that is made then lasts eight seconds.
const CLOCK_BEHIND_SECONDS: i64 = 4 * 3_600 - 8;

fn in_days(days: u64) -> NaiveDate {
    kit::clock::SystemClock.now().date_naive().checked_add_days(Days::new(days)).unwrap()
}

/// Asks for a hold.
async fn hold(client: &Client, key: &str, offer: &Value) -> Response {
    let body = json!({ "offer_id": offer["offer_id"], "travellers": order_of(&[], "")["travellers"] });
    client.call_with(Method::POST, "/v1/flight-holds", Some(body), &[("idempotency-key", key)]).await.unwrap()
}

/// Asks for a hold; its address.
async fn held(client: &Client, key: &str, offer: &Value) -> String {
    let accepted = hold(client, key, offer).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{accepted:?}");
    format!("/v1/flight-holds/{}", accepted.body["hold_id"].as_str().unwrap())
}

async fn confirm(client: &Client, path: &str, key: &str, token: &str) -> Response {
    let body = Some(json!({ "payment": { "token": token } }));
    client.call_with(Method::POST, &format!("{path}/confirm"), body, &[("idempotency-key", key)]).await.unwrap()
}

async fn release(client: &Client, path: &str) -> Response {
    client.call(Method::DELETE, path, None).await.unwrap()
}

async fn until_status(client: &Client, path: &str, status: &str) -> Value {
    wait::until(status, SETTLED_WITHIN, || async {
        let answer = client.get(path).await.map_err(|error| format!("{error:#}"))?;
        if answer.body["status"] == status { Ok(answer.body) } else { Err(answer.body.to_string()) }
    })
    .await
}

/// The end of everything that a client did is also the end of its operation.
async fn until_ended(client: &Client, hold: &Value, status: &str) {
    let operation = format!("/v1/operations/{}", hold["operation_id"].as_str().unwrap());
    until_status(client, &operation, status).await;
}

fn over(answer: &Response) -> (StatusCode, &str) {
    (answer.status, answer.body["code"].as_str().unwrap_or_default())
}

const OVER: (StatusCode, &str) = (StatusCode::CONFLICT, "flight_hold_over");

#[tokio::test(flavor = "multi_thread")]
async fn a_flight_is_held_until_its_client_pays_lets_it_go_or_forgets_it() {
    let system = System::start().await.unwrap();
    let (client, stranger) = (system.client("ada").await.unwrap(), system.client("eve").await.unwrap());
    let flight = client.flight("LHR", "MLE", in_days(40), "business", 1).await.unwrap();
    tokio::join!(
        confirmed(&system, &client, &stranger, &flight),
        with_an_act_of_the_client(&client, &flight),
        declined(&client, &flight),
        released(&client, &flight),
    );
    lapsed(&system, &client, &flight).await;

    system.until_queues_are_empty(SETTLED_WITHIN).await;
    let tally = wait::until("agreeing books", SETTLED_WITHIN, || async {
        system.audit().await.map_err(|error| format!("{error:#}"))
    })
    .await;
    assert_eq!((tally.confirmed, tally.rejected), (2, 3));
    let seats: Vec<String> = sqlx::query_scalar("SELECT status FROM seat_hold ORDER BY status")
        .fetch_all(&mut system.database("sojourn_flights").await.unwrap())
        .await
        .unwrap();
    assert_eq!(seats, ["confirmed", "confirmed", "released", "released", "released"], "the seats are given back");
    assert_eq!(system.panics(), Vec::<String>::new());
}

/// Held, confirmed with a card, ticketed; each request twice.
async fn confirmed(system: &System, client: &Client, stranger: &Client, flight: &Value) {
    let first = hold(client, "confirmed", flight).await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{first:?}");
    assert_eq!(hold(client, "confirmed", flight).await.body, first.body, "the same request is the same hold");
    let path = format!("/v1/flight-holds/{}", first.body["hold_id"].as_str().unwrap());
    let hold = until_status(client, &path, "held").await;
    assert_eq!((&hold["total"], &hold["price_guaranteed_until"]), (&flight["total"], &hold["expires_at"]));
    let expires_at: chrono::DateTime<chrono::Utc> = hold["expires_at"].as_str().unwrap().parse().unwrap();
    let minutes = (expires_at - kit::clock::SystemClock.now()).num_minutes();
    assert!((230..=240).contains(&minutes), "held for {minutes} minutes");

    // It is there for nobody else.
    assert_eq!(stranger.get(&path).await.unwrap().status, StatusCode::NOT_FOUND);
    assert_eq!(release(stranger, &path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(confirm(stranger, &path, "theirs", "tok_ok").await.status, StatusCode::NOT_FOUND);

    let accepted = confirm(client, &path, "pay", "tok_ok").await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{accepted:?}");
    let ticketed = until_status(client, &path, "ticketed").await;
    let order_id = ticketed["order_id"].as_str().unwrap();
    let order = client.get(&format!("/v1/orders/{order_id}")).await.unwrap().body;
    assert_eq!((&order["status"], &order["paid"]), (&json!("confirmed"), &flight["total"]), "{order}");
    assert!(order["flight_reference"].is_string(), "{order}");
    let order_id: contract::OrderId = order_id.parse().unwrap();
    let captured: Vec<String> = sqlx::query_scalar("SELECT status FROM payment WHERE order_id = $1")
        .bind(order_id.uuid())
        .fetch_all(&mut system.database("sojourn_payment").await.unwrap())
        .await
        .unwrap();
    assert_eq!(captured, ["captured"]);

    assert_eq!(confirm(client, &path, "pay", "tok_ok").await.body, accepted.body, "a repetition is answered alike");
    assert_eq!(confirm(client, &path, "pay", "tok_3ds").await.body["code"], "idempotency_key_reused");
    assert_eq!(over(&confirm(client, &path, "again", "tok_ok").await), OVER);
    assert_eq!(over(&release(client, &path).await), OVER, "what is ticketed is not released");
    until_ended(client, &ticketed, "succeeded").await;
}

/// The hold leads its client to the bank.
async fn with_an_act_of_the_client(client: &Client, flight: &Value) {
    let path = held(client, "3ds", flight).await;
    // Early: it is kept until the seats are held.
    assert_eq!(confirm(client, &path, "3ds", "tok_3ds").await.status, StatusCode::ACCEPTED);
    let page = wait::until("an act of the client", SETTLED_WITHIN, || async {
        let hold = client.get(&path).await.map_err(|error| format!("{error:#}"))?.body;
        let url = hold["next_action"]["url"].as_str();
        url.and_then(|url| Some(format!("/sandbox{}", url.split_once("/sandbox")?.1))).ok_or(hold.to_string())
    })
    .await;
    assert_eq!(client.get(&path).await.unwrap().body["status"], "confirming");
    assert_eq!(client.status_of(Method::POST, &format!("{page}/approve")).await.unwrap(), StatusCode::OK);
    let ticketed = until_status(client, &path, "ticketed").await;
    until_ended(client, &ticketed, "succeeded").await;
}

/// A card that is declined costs the hold, which says why.
async fn declined(client: &Client, flight: &Value) {
    let path = held(client, "declined", flight).await;
    until_status(client, &path, "held").await;
    assert_eq!(confirm(client, &path, "declined", "tok_declined").await.status, StatusCode::ACCEPTED);
    let hold = until_status(client, &path, "released").await;
    assert_eq!(hold["reason"]["code"], "card_declined", "{hold}");
    let payment = client.get(&format!("/v1/payments/{}", hold["payment_id"].as_str().unwrap())).await.unwrap().body;
    assert_eq!(
        (&payment["status"], &payment["failure_code"]),
        (&json!("failed"), &json!("card_declined")),
        "{payment}"
    );
    assert_eq!(hold.get("order_id"), None, "{hold}");
    assert_eq!(over(&confirm(client, &path, "another card", "tok_ok").await), OVER);
    until_ended(client, &hold, "failed").await;
}

/// Let go by its client, however often that is said.
async fn released(client: &Client, flight: &Value) {
    let path = held(client, "released", flight).await;
    until_status(client, &path, "held").await;
    for _ in 0..2 {
        let answer = release(client, &path).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    }
    let hold = until_status(client, &path, "released").await;
    assert_eq!(hold.get("reason"), None, "{hold}");
    assert_eq!(over(&confirm(client, &path, "too late", "tok_ok").await), OVER);
    until_ended(client, &hold, "failed").await;
}

/// Forgotten until its time is over.
async fn lapsed(system: &System, client: &Client, flight: &Value) {
    system.set_clock("flights", -CLOCK_BEHIND_SECONDS).unwrap();
    let path = held(client, "lapsed", flight).await;
    let hold = until_status(client, &path, "expired").await;
    // The key of another hold's confirmation.
    assert_eq!(confirm(client, &path, "pay", "tok_ok").await.body["code"], "idempotency_key_reused");
    assert_eq!(over(&confirm(client, &path, "forgotten", "tok_ok").await), OVER);
    assert_eq!(over(&release(client, &path).await), OVER);
    until_ended(client, &hold, "failed").await;
}

//! Callers who hang up while their request is carried out, at every moment between its BEGIN and its COMMIT: what they
//! began runs to its end, no connection of a pool is left in a transaction, and the next call under the same key gets
//! the answer that they did not wait for.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{collections::BTreeSet, time::Duration};

use chrono::Days;
use contract::Route;
use e2e::{Client, System, order_of, wait};
use futures::{StreamExt as _, stream};
use kit::{clock::Clock, settings::DEVELOPMENT_INTERNAL_TOKEN};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

/// So many callers hang up on each kind of call.
const CALLERS: u32 = 150;
/// So many of them at once: more than a pool has connections, so that some hang up while they wait for one.
const AT_ONCE: usize = 12;
/// The last of them wait so long before they hang up: longer than a call takes on an idle machine.
const PATIENCE_MAX: Duration = Duration::from_millis(9);
/// How long the databases may take to come to rest, and an order to its end, on a busy machine.
const SETTLED_WITHIN: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn callers_who_hang_up_leave_no_open_transaction_and_lose_no_answer() {
    let system = System::start().await.unwrap();
    let client = system.client("ada").await.unwrap();

    // At the door, and at the part behind it, whose caller is the door.
    let refresh = json!({ "refresh_token": "rt_of_nobody" });
    everyone_hangs_up(&system.gateway, |_| request("/v1/auth/refresh", "", "", &refresh)).await;
    let token = DEVELOPMENT_INTERNAL_TOKEN;
    let user = system.address("user");
    everyone_hangs_up(user, |_| request("/internal/user/sessions/refresh", token, "", &refresh)).await;
    let login = Client::stranger(&system.gateway);
    let used = used_refresh_token(&login, &system).await;
    everyone_hangs_up(user, |_| request("/internal/user/sessions/refresh", token, "", &used)).await;

    let order = order_of(&[&flight(&client, 30).await], "tok_declined");
    everyone_hangs_up(&system.gateway, |caller| request("/v1/orders", &client.token, &key(caller), &order)).await;
    let mut orders = BTreeSet::new();
    for caller in 0..CALLERS {
        let first = client.order_surely(&key(caller), &order, SETTLED_WITHIN).await;
        let again = client.order_surely(&key(caller), &order, SETTLED_WITHIN).await;
        assert_eq!((first.status.as_u16(), &first.body), (202, &again.body), "{}: {again:?}", key(caller));
        orders.insert(first.body["order_id"].as_str().unwrap().to_owned());
    }
    assert_eq!(orders.len(), usize::try_from(CALLERS).unwrap(), "each key has an order of its own");
    for order in &orders {
        let settled = client.until_settled(order, SETTLED_WITHIN).await;
        assert_eq!(settled["status"], "rejected", "{settled}");
    }

    let offer = flight(&client, 31).await;
    let starts: Vec<Value> = (0..CALLERS).map(|caller| start(&client, &offer, caller)).collect();
    let at = |caller: u32| &starts[usize::try_from(caller).unwrap()];
    everyone_hangs_up(system.address("orchestrator-1"), |caller| request("/api/sagas", token, "", at(caller))).await;
    let inside = system.internal("orchestrator-1");
    let mut sagas = BTreeSet::new();
    for caller in 0..CALLERS {
        let repeat = async || inside.call(Method::POST, "/api/sagas", Some(at(caller).clone())).await.unwrap();
        let (first, again) = (repeat().await, repeat().await);
        assert!(matches!(first.status.as_u16(), 200 | 201), "{first:?}");
        assert_eq!((again.status.as_u16(), &again.body["saga_id"]), (200, &first.body["saga_id"]));
        sagas.insert(first.body["saga_id"].to_string());
    }
    assert_eq!(sagas.len(), starts.len(), "each key has a saga of its own");

    no_open_transaction(&system).await;
    // Every pool still serves: more calls than it has connections.
    let calls = stream::iter(0..4 * AT_ONCE).map(|_| client.get("/v1/orders"));
    let answers: Vec<_> = calls.buffer_unordered(AT_ONCE).collect().await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 200)), "{answers:?}");
    assert_eq!(system.panics(), Vec::<String>::new());
}

fn key(caller: u32) -> String {
    format!("hung-up-{caller}")
}

/// A start of an order as the door would send it.
fn start(client: &Client, offer: &Value, caller: u32) -> Value {
    let order_id = kit::ids::order_id().to_string();
    let item = json!({ "offer_id": offer["offer_id"], "description": "a journey", "total": offer["total"] });
    json!({
        "name": "order",
        "version": 1,
        "business_key": order_id,
        "owner": client.user_id,
        "idempotency": { "key": key(caller), "fingerprint": "the same" },
        "input": {
            "order_id": order_id,
            "user_id": client.user_id,
            "items": [item],
            "travellers": order_of(&[offer], "")["travellers"],
            "total": offer["total"],
            "payment_token": "tok_declined",
        },
    })
}

/// A refresh token that was traded in: each further use writes and commits.
async fn used_refresh_token(stranger: &Client, system: &System) -> Value {
    let login = json!({ "email": "client@sojourn.example", "password": e2e::DEMO_PASSWORD });
    let tokens = stranger.call(Method::POST, "/v1/auth/login", Some(login)).await.unwrap();
    assert_eq!(tokens.status, 200, "{tokens:?}\n{}", system.logs());
    let used = json!({ "refresh_token": tokens.body["refresh_token"] });
    let traded = stranger.call(Method::POST, "/v1/auth/refresh", Some(used.clone())).await.unwrap();
    assert_eq!(traded.status, 200, "{traded:?}");
    used
}

async fn flight(client: &Client, day: u64) -> Value {
    let day = kit::clock::SystemClock.now().date_naive().checked_add_days(Days::new(day)).unwrap();
    client.flight("LHR", "MLE", day, "business", 1).await.unwrap()
}

/// A request as it stands on the wire.
fn request(path: &str, token: &str, key: &str, body: &Value) -> String {
    let body = body.to_string();
    let key = if key.is_empty() { String::new() } else { format!("idempotency-key: {key}\r\n") };
    let token = if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") };
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{token}{key}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Callers who send a whole request and reset the connection, each a little later than the one before.
async fn everyone_hangs_up(address: &str, request: impl Fn(u32) -> String) {
    let address = address.trim_start_matches("http://");
    let request = &request;
    stream::iter(0..CALLERS)
        .for_each_concurrent(AT_ONCE, |caller| async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(request(caller).as_bytes()).await.unwrap();
            // The moment of the end is what is tried here.
            tokio::time::sleep(PATIENCE_MAX * caller / CALLERS).await;
            stream.set_zero_linger().unwrap();
        })
        .await;
}

/// Waits until no program's connection is in a transaction; one that was left there stays for ever.
async fn no_open_transaction(system: &System) {
    let mut database = system.database("postgres").await.unwrap();
    let open = tokio::sync::Mutex::new(&mut database);
    wait::until("the end of all transactions", SETTLED_WITHIN, || async {
        let mut database = open.lock().await;
        let rows: Vec<(String, String)> = open_transactions(&mut database).await.map_err(|error| error.to_string())?;
        if rows.is_empty() { Ok(()) } else { Err(format!("{rows:?}")) }
    })
    .await;
    let domains = Route::ALL.map(|route| format!("sojourn_{}", route.as_str()));
    let seen: i64 = sqlx::query_scalar("SELECT count(DISTINCT datname) FROM pg_stat_activity WHERE datname = ANY($1)")
        .bind(&domains[..])
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert_eq!(usize::try_from(seen).unwrap(), domains.len(), "the look reaches every domain's connections");
    database.close().await.unwrap();
}

async fn open_transactions(database: &mut PgConnection) -> Result<Vec<(String, String)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT datname::text, query FROM pg_stat_activity
         WHERE state LIKE 'idle in transaction%' AND datname LIKE 'sojourn%'",
    )
    .fetch_all(database)
    .await
}

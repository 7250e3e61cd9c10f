//! Orders from the door to the databases and back.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use chrono::{Days, NaiveDate};
use contract::{OrderId, PaymentId};
use e2e::{Client, System, order_of};
use kit::clock::Clock;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const SETTLED_WITHIN: Duration = Duration::from_secs(60);

fn in_days(days: u64) -> NaiveDate {
    kit::clock::SystemClock.now().date_naive().checked_add_days(Days::new(days)).unwrap()
}

async fn trip(client: &Client, day: u64) -> (Value, Value) {
    let flight = client.flight("LHR", "MLE", in_days(day), "business", 1).await.unwrap();
    let stay = client.stay("Maldives", in_days(day + 1), in_days(day + 4), 1).await.unwrap();
    (flight, stay)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_accepted_carried_out_or_undone_and_belongs_to_its_client() {
    let system = System::start().await.unwrap();
    let client = system.client("ada").await.unwrap();
    let (flight, stay) = trip(&client, 20).await;

    // Accepted at once, visible at once, confirmed in the end.
    let order = order_of(&[&flight, &stay], "tok_ok");
    let accepted = client.order("first", &order).await.unwrap();
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{accepted:?}");
    assert_eq!(accepted.body["status"], "pending");
    let order_id = accepted.body["order_id"].as_str().unwrap();
    let operation_id = accepted.body["operation_id"].as_str().unwrap();
    assert!(accepted.headers["location"].to_str().unwrap().ends_with(order_id));
    assert!(accepted.headers["operation-location"].to_str().unwrap().ends_with(operation_id));
    assert!(accepted.headers.contains_key("retry-after"));
    let at_once = client.get(&format!("/v1/orders/{order_id}")).await.unwrap();
    assert_eq!(at_once.status, StatusCode::OK, "{at_once:?}");
    let settled = client.until_settled(order_id, SETTLED_WITHIN).await;
    assert_eq!(settled["status"], "confirmed", "{settled}\n{}", system.logs());
    let flight_total: f64 = flight["total"]["amount"].as_str().unwrap().parse().unwrap();
    let stay_total: f64 = stay["total"]["amount"].as_str().unwrap().parse().unwrap();
    let total: f64 = settled["total"]["amount"].as_str().unwrap().parse().unwrap();
    assert!((total - flight_total - stay_total).abs() < 0.001, "{settled}");

    // The operation tells its steps.
    let operation = e2e::wait::until("the end of the operation", SETTLED_WITHIN, || async {
        let operation = client.get(&format!("/v1/operations/{operation_id}")).await.map_err(|e| e.to_string())?;
        if operation.body["status"] == "succeeded" { Ok(operation.body) } else { Err(operation.body.to_string()) }
    })
    .await;
    assert!(operation["steps"].as_array().unwrap().len() >= 8, "{operation}");

    // The same request again is the same order; another body under the same key is refused.
    let repeated = client.order("first", &order).await.unwrap();
    assert_eq!((repeated.status, &repeated.body), (StatusCode::ACCEPTED, &accepted.body));
    let mut other = order.clone();
    other["payment"]["token"] = json!("tok_declined");
    assert_eq!(client.order("first", &other).await.unwrap().status, StatusCode::UNPROCESSABLE_ENTITY);

    // A declined card undoes everything.
    let declined = client.order("declined", &other).await.unwrap();
    let declined = client.until_settled(declined.body["order_id"].as_str().unwrap(), SETTLED_WITHIN).await;
    assert_eq!((&declined["status"], &declined["reason"]["code"]), (&json!("rejected"), &json!("card_declined")));

    // A total sent by the client is ignored.
    let mut cheap = order.clone();
    cheap["total"] = json!({ "amount": "1.00", "currency": "EUR" });
    let cheap = client.order("cheap", &cheap).await.unwrap();
    let cheap = client.until_settled(cheap.body["order_id"].as_str().unwrap(), SETTLED_WITHIN).await;
    assert_eq!(cheap["total"], settled["total"]);

    // The end of a listing is said, not left out.
    let orders = client.get("/v1/orders").await.unwrap();
    assert_eq!(orders.body["items"].as_array().unwrap().len(), 3, "{orders:?}");
    assert_eq!(orders.body.get("next_page_token"), Some(&Value::Null));

    // A stay alone is confirmed too: its rooms are the pivot.
    let alone = client.order("stay", &order_of(&[&stay], "tok_ok")).await.unwrap();
    let alone = client.until_settled(alone.body["order_id"].as_str().unwrap(), SETTLED_WITHIN).await;
    assert_eq!(alone["status"], "confirmed", "{alone}\n{}", system.logs());

    // A hold that its client lets go at once; how it ends is told by its own test.
    let travellers = &order["travellers"];
    let body = json!({ "offer_id": flight["offer_id"], "travellers": travellers });
    let key = [("idempotency-key", "hold")];
    let hold = client.call_with(Method::POST, "/v1/flight-holds", Some(body), &key).await.unwrap();
    assert_eq!(hold.status, StatusCode::ACCEPTED, "{hold:?}");
    let hold_id = hold.body["hold_id"].as_str().unwrap();
    let path = format!("/v1/flight-holds/{hold_id}");
    assert_eq!(client.call(Method::DELETE, &path, None).await.unwrap().status, StatusCode::ACCEPTED);
    e2e::wait::until("a released hold", SETTLED_WITHIN, || async {
        let hold = client.get(&path).await.map_err(|error| format!("{error:#}"))?.body;
        if hold["status"] == "released" { Ok(()) } else { Err(hold.to_string()) }
    })
    .await;

    // Other clients do not see it.
    let other = system.client("eve").await.unwrap();
    assert_eq!(other.get(&format!("/v1/orders/{order_id}")).await.unwrap().status, StatusCode::NOT_FOUND);
    assert_eq!(other.get(&format!("/v1/operations/{operation_id}")).await.unwrap().status, StatusCode::NOT_FOUND);
    system.until_queues_are_empty(Duration::from_secs(20)).await;
    let payment: uuid::Uuid = sqlx::query_scalar("SELECT payment_id FROM payment WHERE order_id = $1")
        .bind(order_id.parse::<OrderId>().unwrap().uuid())
        .fetch_one(&mut system.database("sojourn_payment").await.unwrap())
        .await
        .unwrap();
    let payment_id = PaymentId::from_uuid(payment).to_string();
    let admin = system.admin().await.unwrap();
    let me = admin.get("/ops/api/whoami").await.unwrap().body;
    let user_code = waiting_login(&client).await;
    let ids = [
        ("{user_id}", me["user_id"].as_str().unwrap()),
        ("{user_code}", &user_code),
        ("{order_id}", order_id),
        ("{operation_id}", operation_id),
        ("{payment_id}", &payment_id),
        ("{hold_id}", hold_id),
    ];
    let calls = reads(&flight, &stay, operation_id, &ids);
    reads_write_nothing(&system, &client, &admin, &calls).await;
    assert_eq!(system.panics(), Vec::<String>::new());
}

/// Every address of the README that is read, those of the orchestrator, and those inside that are behind the others. The
/// operators' pages are not among them: they have no database, and read at the same addresses.
fn reads(flight: &Value, stay: &Value, operation_id: &str, ids: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    let readme = include_str!("../../README.md").lines();
    let documented = readme.filter_map(|line| line.strip_prefix("| `GET ")?.split_once("` | "));
    let caller_of = |callers: &str| match callers {
        "everybody" | "clients" => Some("gateway"),
        "viewers" | "admins" => Some("admin"),
        "operators' browsers" => None,
        _ => panic!("callers that this test does not know: {callers}"),
    };
    let mut calls: Vec<_> = documented
        .filter(|(path, _)| !path.ends_with("..."))
        .filter_map(|(path, rest)| Some((path, caller_of(rest.split_once(" | ")?.0)?)))
        .map(|(path, caller)| {
            let query = match path {
                "/ops/api/device" => "?user_code={user_code}".to_owned(),
                "/v1/flights/offers" => {
                    format!("?from=LHR&to=MLE&date={}&cabin=business&passengers=1", in_days(20))
                }
                "/v1/stays/offers" => {
                    format!("?place=Maldives&check_in={}&check_out={}&guests=1", in_days(21), in_days(24))
                }
                _ => String::new(),
            };
            (caller, ids.iter().fold(format!("{path}{query}"), |path, (name, id)| path.replace(name, id)))
        })
        .collect();
    assert!(calls.len() >= 7, "the README's table has changed its form: {calls:?}");
    let saga = format!("/ops/api/sagas/{operation_id}");
    for path in ["/ops/api/sagas", &saga, &format!("{saga}/journal"), &format!("{saga}/events"), "/ops/api/definitions"]
    {
        calls.push(("admin", path.to_owned()));
    }
    calls.push(("admin", "/ops/api/dead-letters".to_owned()));
    for (domain, offer) in [("flights", flight), ("accommodation", stay)] {
        let offer_id = offer["offer_id"].as_str().unwrap();
        calls.push((domain, format!("/internal/{domain}/offer?offer_id={offer_id}")));
    }
    calls
}

/// The code under which a program waits for a login.
async fn waiting_login(client: &Client) -> String {
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let asked = client.call_raw(Method::POST, "/v1/auth/device", &form, "client_id=sagactl").await.unwrap();
    asked.body["user_code"].as_str().unwrap().to_owned()
}

/// S34: no read changes a row of any database, or locks one.
async fn reads_write_nothing(system: &System, client: &Client, admin: &Client, calls: &[(&str, String)]) {
    let before = e2e::wait::until("quiet databases", SETTLED_WITHIN, || async {
        let (one, other) = (system.rows().await, system.rows().await);
        let (one, other) = (one.map_err(|error| error.to_string())?, other.map_err(|error| error.to_string())?);
        if one == other { Ok(one) } else { Err("rows change".to_owned()) }
    })
    .await;
    for (whose, path) in calls {
        let inside;
        let caller = match *whose {
            "gateway" => client,
            "admin" => admin,
            domain => {
                inside = system.internal(domain);
                &inside
            }
        };
        for method in [Method::GET, Method::HEAD] {
            // Only the beginning of a stream: its answer is there, and its rows would be written by then.
            let status = caller.status_of(method.clone(), path).await.unwrap();
            assert!(status.is_success(), "{method} {path}: {status}\n{}", system.logs());
        }
    }
    let after = system.rows().await.unwrap();
    let changed: Vec<_> = after.iter().filter(|(table, rows)| before.get(*table) != Some(rows)).collect();
    assert!(changed.is_empty() && after.len() == before.len(), "reads have written: {changed:?}");
}

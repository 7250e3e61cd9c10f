//! Paying through the door: 3-D Secure with every way in which its news may come, a deposit and its balance, a booking.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use chrono::{Days, NaiveDate};
use e2e::{Client, System, order_of, wait};
use kit::clock::Clock;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// The definitions' times are so many times as short: a client has ten seconds to act in place of ten minutes.
const TIMES: &str = "--times-divisor=60";

fn in_days(days: u64) -> NaiveDate {
    kit::clock::SystemClock.now().date_naive().checked_add_days(Days::new(days)).unwrap()
}

/// Places an order of this offer with that token; its id.
async fn place(client: &Client, offer: &Value, token: &str) -> String {
    client.place(token, &order_of(&[offer], token)).await.unwrap().0
}

/// Waits until a resource asks for an act of the client; the path of the provider's page.
async fn page_of(client: &Client, path: &str) -> String {
    wait::until("an act of the client", SETTLED_WITHIN, || async {
        let answer = client.get(path).await.map_err(|error| format!("{error:#}"))?;
        let url = answer.body["next_action"]["url"].as_str();
        url.and_then(|url| Some(format!("/sandbox{}", url.split_once("/sandbox")?.1))).ok_or(answer.body.to_string())
    })
    .await
}

/// Acts on the provider's page, as a browser would.
async fn act(client: &Client, page: &str, act: &str) {
    assert_eq!(client.status_of(Method::GET, page).await.unwrap(), StatusCode::OK, "{page}");
    assert_eq!(client.status_of(Method::POST, &format!("{page}/{act}")).await.unwrap(), StatusCode::OK, "{page}");
}

/// Places an order and acts on the page of its payment; how the order ends.
async fn order_and_act(client: &Client, offer: &Value, token: &str, acting: &str) -> Value {
    let order_id = place(client, offer, token).await;
    let page = page_of(client, &format!("/v1/orders/{order_id}")).await;
    act(client, &page, acting).await;
    client.until_settled(&order_id, SETTLED_WITHIN).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_waits_for_its_client_whatever_becomes_of_the_providers_news() {
    let system = System::start_with_orchestrators(&[TIMES]).await.unwrap();
    let client = system.client("ada").await.unwrap();
    let stay = client.stay("Maldives", in_days(100), in_days(103), 1).await.unwrap();
    let order = |token, acting| order_and_act(&client, &stay, token, acting);
    // All of them at once: the client acts in time; some news never come, or come too late, and no payment is lost for that.
    let decliner = system.client("eve").await.unwrap();
    let (approved, twice, forged, declined, never, late) = tokio::join!(
        order("tok_3ds", "approve"),
        order("tok_3ds_twice", "approve"),
        order("tok_3ds_forged", "approve"),
        order_and_act(&decliner, &stay, "tok_3ds", "decline"),
        order("tok_3ds_never", "approve"),
        order("tok_3ds_late", "approve"),
    );
    for order in [&approved, &twice, &forged, &never, &late] {
        assert_eq!((&order["status"], &order["paid"]), (&json!("confirmed"), &order["total"]), "{}", system.logs());
        assert_eq!((&order["balance_due"]["amount"], order.get("next_action")), (&json!("0.00"), None));
    }
    // The news that come too late are heard, and change nothing.
    wait::until("the late news", SETTLED_WITHIN, || async {
        let mut sandbox = system.database("sojourn_payment").await.map_err(|error| format!("{error:#}"))?;
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM sandbox.webhook")
            .fetch_one(&mut sandbox)
            .await
            .map_err(|error| error.to_string())?;
        if left == 0 { Ok(()) } else { Err(format!("{left} webhooks are to be sent")) }
    })
    .await;
    let order_id = late["order_id"].as_str().unwrap();
    assert_eq!(client.get(&format!("/v1/orders/{order_id}")).await.unwrap().body["status"], "confirmed");
    let code = &declined["reason"]["code"];
    let rejected = (&json!("rejected"), &json!("authentication_failed"));
    assert_eq!((&declined["status"], code), rejected, "{}", system.logs());
    assert_eq!((&declined["paid"]["amount"], &declined["balance_due"]["amount"]), (&json!("0.00"), &json!("0.00")));

    // A deposit first, then the balance, which the bank asks about.
    let mut deposit = order_of(&[&stay], "tok_ok");
    deposit["payment"]["plan"] = json!("deposit");
    let (order_id, _) = client.place("deposit", &deposit).await.unwrap();
    let path = format!("/v1/orders/{order_id}");
    let settled = client.until_settled(&order_id, SETTLED_WITHIN).await;
    assert_eq!(settled["status"], "confirmed", "{settled}");
    assert_eq!(settled["balance_due_on"], json!(in_days(40)));
    let amount = |value: &Value| value["amount"].as_str().unwrap().parse::<f64>().unwrap();
    assert!((amount(&settled["paid"]) - amount(&settled["total"]) * 0.3).abs() < 0.01, "{settled}");
    assert!((amount(&settled["paid"]) + amount(&settled["balance_due"]) - amount(&settled["total"])).abs() < 0.001);
    let pay = async |key: &str, token: &str| {
        let body = Some(json!({ "token": token }));
        client.call_with(Method::POST, &format!("{path}/payments"), body, &[("idempotency-key", key)]).await.unwrap()
    };
    let paying = pay("balance", "tok_3ds").await;
    assert_eq!(paying.status, StatusCode::ACCEPTED, "{paying:?}");
    let payment = format!("/v1/payments/{}", paying.body["payment_id"].as_str().unwrap());
    let page = page_of(&client, &payment).await;
    assert_eq!(page_of(&client, &path).await, page);
    // A second payment meanwhile is turned away, and says so.
    let second = pay("second", "tok_ok").await;
    let second = format!("/v1/payments/{}", second.body["payment_id"].as_str().unwrap());
    let failed = until_status(&client, &second, "failed").await;
    assert_eq!(failed["failure_code"], "payment_under_way");
    act(&client, &page, "approve").await;
    until_status(&client, &payment, "captured").await;
    wait::until("the paid order", SETTLED_WITHIN, || async {
        let order = client.get(&path).await.map_err(|error| format!("{error:#}"))?.body;
        if order["paid"] == order["total"] { Ok(()) } else { Err(order.to_string()) }
    })
    .await;
    let nothing_left = pay("third", "tok_ok").await;
    assert_eq!((nothing_left.status, &nothing_left.body["code"]), (StatusCode::CONFLICT, &json!("order_not_payable")));

    // A booking is an order of one stay; a deposit needs time until the departure.
    let soon = client.stay("Maldives", in_days(20), in_days(23), 1).await.unwrap();
    let book = async |key: &str, offer: &Value, plan: &str| {
        let mut body = order_of(&[], "tok_ok");
        body["offer_id"] = offer["offer_id"].clone();
        body["payment"]["plan"] = json!(plan);
        let booked =
            client.call_with(Method::POST, "/v1/bookings", Some(body), &[("idempotency-key", key)]).await.unwrap();
        assert_eq!(booked.status, StatusCode::ACCEPTED, "{booked:?}");
        client.until_settled(booked.body["order_id"].as_str().unwrap(), SETTLED_WITHIN).await
    };
    let booked = book("booked", &soon, "full").await;
    assert_eq!((&booked["status"], &booked["paid"]), (&json!("confirmed"), &booked["total"]));
    assert!(booked["stay_reference"].is_string(), "{booked}");
    let refused = book("refused", &soon, "deposit").await;
    assert_eq!((&refused["status"], &refused["reason"]["code"]), (&json!("rejected"), &json!("deposit_too_late")));
    assert_eq!(system.panics(), Vec::<String>::new());
}

async fn until_status(client: &Client, path: &str, status: &str) -> Value {
    wait::until(status, SETTLED_WITHIN, || async {
        let answer = client.get(path).await.map_err(|error| format!("{error:#}"))?;
        if answer.body["status"] == status { Ok(answer.body) } else { Err(answer.body.to_string()) }
    })
    .await
}

//! The payment provider's webhooks: believed by their signature alone, and turned into signals.

use kit::signed_webhook::{DEVELOPMENT_WEBHOOK_SECRET, sign};
use reqwest::{StatusCode, header::HeaderValue};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::{
    house::{House, Said},
    parts::{Mood, at},
};

const SAGA: &str = "saga_01900000000070008000000000000001";
const PAYMENT: &str = "pay_01900000000070008000000000000006";

fn event() -> Value {
    json!({
        "id": "evt_1",
        "type": "payment_intent.amount_capturable_updated",
        "data": {"object": {"id": "pi_1", "metadata": {"saga_id": SAGA, "payment_id": PAYMENT}}},
    })
}

fn signed(secret: &str, time: &str, body: &str) -> String {
    sign(&SecretString::from(secret), at(time), body.as_bytes())
}

async fn send(house: &House, signature: &str, body: &str) -> Said {
    let request = house.http.post(house.url("/v1/webhooks/payments")).body(body.to_owned());
    let signature = HeaderValue::from_str(signature).unwrap();
    Said::of(request.header("stripe-signature", signature).header("content-type", "application/json")).await
}

async fn send_good(house: &House, body: &Value) -> Said {
    let body = body.to_string();
    send(house, &signed(DEVELOPMENT_WEBHOOK_SECRET, "2026-12-01T08:00:00Z", &body), &body).await
}

#[tokio::test]
async fn a_webhook_becomes_a_signal_and_is_answered_the_same_however_often_it_comes() {
    let house = House::open().await;
    let first = send_good(&house, &event()).await;
    assert_eq!((first.status, first.body.as_str()), (200, r#"{"received":true}"#));
    let again = send_good(&house, &event()).await;
    assert_eq!(again.shown(), first.shown());
    let signals = house.parts.memory().signals.clone();
    let signal = json!({"id": "evt_1", "payload": {"event_id": "evt_1", "payment_id": PAYMENT}});
    let sent = (format!("{SAGA}/payment-action"), signal);
    assert_eq!(signals, [sent.clone(), sent]);
}

#[tokio::test]
async fn what_is_not_signed_by_the_provider_is_not_believed() {
    let house = House::open().await;
    let body = event().to_string();
    let (now, secret) = ("2026-12-01T08:00:00Z", DEVELOPMENT_WEBHOOK_SECRET);
    let good = signed(secret, now, &body);
    for (what, signature) in [
        ("another secret", signed("whsec_other", now, &body)),
        ("another body", signed(secret, now, "{}")),
        ("an old one", signed(secret, "2026-12-01T07:54:59Z", &body)),
        ("one of tomorrow", signed(secret, "2026-12-02T08:00:00Z", &body)),
        ("no signature", String::new()),
        ("nonsense", "nonsense".to_owned()),
    ] {
        let said = send(&house, &signature, &body).await;
        assert_eq!((said.status, said.code().as_str()), (401, "webhook_forged"), "{what}");
    }
    let twice = house.http.post(house.url("/v1/webhooks/payments")).body(body.clone());
    let twice = twice.header("stripe-signature", &good).header("stripe-signature", &good);
    assert_eq!(Said::of(twice).await.status, 401);
    let none = Said::of(house.http.post(house.url("/v1/webhooks/payments")).body(body)).await;
    assert_eq!(none.status, 401);
    assert!(house.parts.memory().signals.is_empty());
}

#[tokio::test]
async fn a_signed_body_of_another_form_is_refused_and_a_large_one_is_not_read() {
    let house = House::open().await;
    for body in [json!([]), json!({"id": "evt_1"}), json!("text")] {
        let said = send_good(&house, &body).await;
        assert_eq!((said.status, said.code().as_str()), (422, "webhook_invalid"), "{body}");
    }
    let mut long = event();
    long["id"] = json!("e".repeat(129));
    assert_eq!(send_good(&house, &long).await.code(), "webhook_invalid");
    let mut large = event();
    large["more"] = json!("x".repeat(33 * 1024));
    assert_eq!(send_good(&house, &large).await.status, 413);
}

#[tokio::test]
async fn the_provider_stops_where_nothing_waits_and_comes_again_where_nothing_was_heard() {
    let house = House::open().await;
    let mut foreign = event();
    foreign["data"]["object"]["metadata"] = json!({});
    assert_eq!(send_good(&house, &foreign).await.status, 200);
    assert!(house.parts.memory().signals.is_empty());
    for status in [StatusCode::NOT_FOUND, StatusCode::CONFLICT] {
        house.parts.memory().signal_status = Some((status, "saga_finished"));
        assert_eq!(send_good(&house, &event()).await.status, 200, "{status}");
    }
    house.parts.memory().signal_status = None;
    house.parts.mood("orchestrator", Mood::Busy);
    assert_eq!(send_good(&house, &event()).await.status, 503);
}

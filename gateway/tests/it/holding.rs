//! Holding a flight: the door's view of a hold's saga, its confirmation and its release.

use contract::{
    FlightHoldId, SagaId,
    flights::HoldFlight,
    orchestrator_api::{SagaView, StepView},
    payment::{NextAction, PaymentStatus, PaymentView},
    saga::{Cause, SagaStatus, StepStatus},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    house::{House, Said, good_order},
    keys::user,
    parts::{Mood, at, money, step},
};

fn body() -> Value {
    json!({ "offer_id": format!("fof_{:032x}.abcd", 1), "travellers": good_order()["travellers"] })
}

async fn hold(house: &House, key: &str, body: &Value) -> Said {
    Said::of(house.request(Method::POST, "/v1/flight-holds").header("idempotency-key", key).json(body)).await
}

/// A hold that client 1 has asked for: its address, and its saga.
async fn held(house: &House) -> (String, SagaId) {
    let said = hold(house, "one", &body()).await;
    assert_eq!(said.status, 202, "{}", said.body);
    let saga_id = serde_json::from_value(said.json()["operation_id"].clone()).unwrap();
    (said.header("location").to_owned(), saga_id)
}

/// Lets the hold's saga have come so far.
fn stands(house: &House, id: SagaId, steps: Vec<StepView>, change: impl FnOnce(&mut SagaView)) {
    let mut memory = house.parts.memory();
    let saga = memory.sagas.get_mut(&id).unwrap();
    saga.steps = steps;
    change(saga);
}

fn done(name: &str, until: Option<&str>) -> StepView {
    StepView { reply: until.map(|until| json!({ "expires_at": until })), ..step(name, StepStatus::Done) }
}

fn turned(code: &str, refused: bool) -> impl FnOnce(&mut SagaView) {
    let (code, message) = (code.to_owned(), "because".to_owned());
    move |saga| {
        saga.summary.status = SagaStatus::Compensating;
        saga.cause = Some(Cause { step: None, code, message, refused });
    }
}

async fn confirm(house: &House, path: &str, key: &str, body: &Value) -> Said {
    let request = house.request(Method::POST, &format!("{path}/confirm")).header("idempotency-key", key);
    Said::of(request.json(body)).await
}

async fn release(house: &House, path: &str) -> Said {
    Said::of(house.request(Method::DELETE, path)).await
}

fn paid_with(token: &str) -> Value {
    json!({ "payment": { "token": token } })
}

#[tokio::test]
async fn a_hold_starts_its_saga_at_the_price_of_its_offer() {
    let house = House::open().await;
    let said = hold(&house, "one", &body()).await;
    assert_eq!(said.status, 202, "{}", said.body);
    let hold_id: FlightHoldId = serde_json::from_value(said.json()["hold_id"].clone()).unwrap();
    assert_eq!(said.header("location"), format!("/v1/flight-holds/{hold_id}"));
    let start = house.parts.memory().starts[0].clone();
    assert_eq!((start.name.as_str(), start.business_key), ("flight_hold", hold_id.to_string()));
    let input: HoldFlight = serde_json::from_value(start.input).unwrap();
    assert_eq!((input.hold_id, input.user_id, input.item.total), (hold_id, user(1), money("1200.50", "EUR")));
    assert_eq!((input.travellers.len(), input.departs_on.to_string().as_str()), (1, "2026-12-05"));
    assert_eq!(hold(&house, "one", &body()).await.shown(), said.shown(), "the same request is the same hold");

    let wrong = hold(&house, "two", &json!({ "offer_id": format!("sof_{:032x}.abcd", 2) })).await;
    assert_eq!((wrong.status, wrong.code().as_str()), (422, "flight_hold_invalid"));
    let places: Vec<Value> = wrong.json()["errors"].as_array().unwrap().iter().map(|e| e["pointer"].clone()).collect();
    assert_eq!(places, [json!("#/offer_id"), json!("#/travellers")]);
    let mut unknown = body();
    unknown["offer_id"] = json!(format!("fof_{:032x}.abcd", 9));
    let unknown = hold(&house, "three", &unknown).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (422, "offer_unknown"));
}

#[tokio::test]
async fn a_hold_stands_where_its_saga_stands() {
    let house = House::open().await;
    let (path, saga) = held(&house).await;
    let shown = async || {
        let said = house.get(&path).await;
        let hold = path.rsplit('/').next().unwrap();
        said.shown().replace(hold, "HOLD")
    };
    insta::assert_snapshot!("flight_hold_pending", shown().await);
    let (first, second) = ("2026-12-01T12:00:00Z", "2026-12-01T12:30:00Z");
    let waits = || vec![done("hold-seats", Some(first)), step("await-confirmation", StepStatus::Waiting)];
    stands(&house, saga, waits(), |_| {});
    insta::assert_snapshot!("flight_hold_held", shown().await);

    let input: HoldFlight = serde_json::from_value(house.parts.memory().starts[0].input.clone()).unwrap();
    let (url, expires_at) = ("https://bank.example/3ds/1".to_owned(), at("2026-12-01T08:10:00Z"));
    let payment = PaymentView {
        payment_id: input.payment_id,
        order_id: input.order_id,
        user_id: Some(user(1)),
        status: PaymentStatus::RequiresAction,
        amount: input.item.total,
        refunded: None,
        next_action: Some(NextAction::Redirect { url, expires_at }),
        failure_code: None,
    };
    house.parts.memory().payments.insert(input.payment_id, payment);
    let paying =
        || vec![done("hold-seats", Some(first)), done("await-confirmation", None), done("extend-seats", Some(second))];
    stands(&house, saga, paying(), |_| {});
    let payment_id = input.payment_id.to_string();
    insta::assert_snapshot!("flight_hold_confirming", shown().await.replace(&payment_id, "PAYMENT"));
    house.parts.mood("payment", Mood::Failing);
    assert_eq!(house.get(&path).await.json().get("next_action"), None, "it is shown while payments are away");

    stands(&house, saga, [paying(), vec![done("confirm-order", None)]].concat(), |_| {});
    let ticketed = shown().await.replace(&payment_id, "PAYMENT").replace(&input.order_id.to_string(), "ORDER");
    insta::assert_snapshot!("flight_hold_ticketed", ticketed);

    let status = async || {
        let hold = house.get(&path).await.json();
        (hold["status"].as_str().unwrap().to_owned(), hold["reason"]["code"].as_str().map(str::to_owned))
    };
    let is = |status: &str, code: Option<&str>| (status.to_owned(), code.map(str::to_owned));
    for (code, refused, expected) in [
        ("saga_cancelled", false, is("released", None)),
        ("card_declined", true, is("released", Some("card_declined"))),
        ("hold_expired", false, is("expired", None)),
        ("seat_hold_expired", true, is("expired", None)),
    ] {
        stands(&house, saga, paying(), turned(code, refused));
        assert_eq!(status().await, expected, "{code}");
    }
    stands(&house, saga, waits(), |saga| (saga.cause, saga.summary.status) = (None, SagaStatus::Abandoned));
    assert_eq!(status().await.0, "released");
}

#[tokio::test]
async fn a_confirmation_is_a_signal_that_its_key_names() {
    let house = House::open().await;
    let (path, saga) = held(&house).await;
    let said = confirm(&house, &path, "yes", &paid_with("tok_ok")).await;
    assert_eq!((said.status, said.header("location")), (202, path.as_str()), "{}", said.body);
    assert_eq!(said.json()["operation_id"], json!(saga));
    assert_eq!(confirm(&house, &path, "yes", &paid_with("tok_ok")).await.shown(), said.shown());
    let signals = house.parts.memory().signals.clone();
    assert_eq!(signals[0].0, format!("{saga}/hold-confirmation"));
    assert_eq!(signals[0].1["payload"], json!({ "payment_token": "tok_ok" }));
    assert_eq!(signals[0].1["only_here"], true, "the key is for this hold alone");
    assert_eq!(signals[0], signals[1], "a repetition is the same signal");
    assert_eq!(confirm(&house, &path, "other", &paid_with("tok_ok")).await.status, 202);
    assert_ne!(house.parts.memory().signals[2].1["id"], signals[0].1["id"]);

    // Nothing waits for it any more: the hold says how it stands.
    stands(&house, saga, vec![done("await-confirmation", None)], |_| {});
    house.parts.memory().signal_effect = Some(json!({ "effect": "none", "why": "no step waits for it any more" }));
    let late = confirm(&house, &path, "late", &paid_with("tok_ok")).await;
    assert_eq!((late.status, late.code().as_str()), (409, "flight_hold_over"));
    assert!(late.json()["detail"].as_str().unwrap().contains("is confirming"), "{}", late.body);
    house.parts.memory().signal_status = Some((StatusCode::CONFLICT, "saga_finished"));
    assert_eq!(confirm(&house, &path, "late", &paid_with("tok_ok")).await.code(), "flight_hold_over");
    house.parts.memory().signal_status = Some((StatusCode::CONFLICT, "signal_id_reused"));
    let reused = confirm(&house, &path, "yes", &paid_with("tok_3ds")).await;
    assert_eq!((reused.status, reused.code().as_str()), (422, "idempotency_key_reused"));
    house.parts.memory().signal_status = Some((StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused"));
    let elsewhere = confirm(&house, &path, "yes", &paid_with("tok_ok")).await;
    assert_eq!((elsewhere.status, elsewhere.code().as_str()), (422, "idempotency_key_reused"));

    let asked = house.parts.memory().signals.len();
    for (wrong, code) in [(json!({}), "payment_invalid"), (paid_with("4242 4242 4242 4242"), "card_number_refused")] {
        let said = confirm(&house, &path, "wrong", &wrong).await;
        assert_eq!((said.status, said.code().as_str()), (422, code));
    }
    let unnamed = Said::of(house.request(Method::POST, &format!("{path}/confirm")).json(&paid_with("tok_ok"))).await;
    assert_eq!((unnamed.status, unnamed.code().as_str()), (400, "idempotency_key_missing"));
    assert_eq!(house.parts.memory().signals.len(), asked);
}

#[tokio::test]
async fn a_release_is_a_cancel_in_its_clients_name() {
    let house = House::open().await;
    let (path, saga) = held(&house).await;
    let said = release(&house, &path).await;
    assert_eq!((said.status, said.header("location")), (202, path.as_str()), "{}", said.body);
    assert_eq!(release(&house, &path).await.shown(), said.shown());
    let acts = house.parts.memory().acts.clone();
    assert_eq!((&acts[0].0, &acts[0].2["action"]), (&saga, &json!("cancel")));
    assert_eq!(acts[0].1, format!("{} client", user(1)));
    assert_eq!(acts[0], acts[1], "a repetition is the same request");

    // What is over says how; what is released already stays so.
    house.parts.memory().act_status = Some(StatusCode::CONFLICT);
    stands(&house, saga, vec![done("confirm-order", None)], |_| {});
    let late = release(&house, &path).await;
    assert_eq!((late.status, late.code().as_str()), (409, "flight_hold_over"));
    stands(&house, saga, Vec::new(), turned("saga_cancelled", false));
    assert_eq!(release(&house, &path).await.status, 202);
}

#[tokio::test]
async fn holds_of_others_do_not_exist() {
    let house = House::open().await;
    let (path, _) = held(&house).await;
    let unknown = format!("/v1/flight-holds/{}", kit::ids::flight_hold_id());
    for (person, path) in [(2, &path), (1, &unknown)] {
        let by = |method, path: &str| {
            let token = house.client_token(person);
            house.http.request(method, house.url(path)).bearer_auth(token).header("idempotency-key", "k")
        };
        let requests = [
            by(Method::GET, path),
            by(Method::DELETE, path),
            by(Method::POST, &format!("{path}/confirm")).json(&paid_with("tok_ok")),
        ];
        for request in requests {
            let said = Said::of(request).await;
            assert_eq!((said.status, said.code().as_str()), (404, "flight_hold_unknown"));
        }
    }
    let memory = house.parts.memory();
    assert_eq!((memory.signals.len(), memory.acts.len()), (0, 0));
}

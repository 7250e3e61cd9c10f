//! Orders that clients place: prices, idempotency keys, and what is refused.

use std::sync::Arc;

use contract::order::PlaceOrder;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{
    house::{FAR_TOO_LONG, House, Said, good_order},
    keys::user,
    parts::{Mood, money, stay_offer},
};

#[tokio::test]
async fn an_order_is_accepted_at_the_offers_prices_whatever_the_client_says() {
    let house = House::open().await;
    let said = Said::of(house.order("one")).await;
    assert_eq!(said.status, 202, "{}", said.body);
    let body = said.json();
    assert_eq!(body["status"], "pending");
    assert_eq!(said.header("location"), format!("/v1/orders/{}", body["order_id"].as_str().unwrap()));
    assert_eq!(said.header("operation-location"), format!("/v1/operations/{}", body["operation_id"].as_str().unwrap()));
    assert_eq!(said.header("retry-after"), "1");

    let start = house.parts.memory().starts[0].clone();
    assert_eq!((start.name.as_str(), start.business_key.as_str()), ("order", body["order_id"].as_str().unwrap()));
    assert_eq!(start.owner, Some(user(1).to_string()));
    assert!(start.traceparent.is_some());
    let placed: PlaceOrder = serde_json::from_value(start.input).unwrap();
    assert_eq!(placed.total, money("2000.50", "EUR"));
    let described: Vec<_> = placed.items.iter().map(|item| item.description.as_str()).collect();
    assert_eq!(
        described,
        [
            "AZ 101 LHR to MLE, 2026-12-05, business, 1 seat",
            "Coral House, Reef villa, 2026-12-06 to 2026-12-13, 2 guests"
        ]
    );
    assert_eq!((placed.user_id, placed.travellers[0].given_name.as_str()), (user(1), "Ada"));
}

#[tokio::test]
async fn the_same_key_and_body_get_the_same_answer_even_when_offers_are_gone_and_domains_down() {
    let house = House::open().await;
    let first = Said::of(house.order("one")).await;
    let quoted = Said::of(house.order("\"one\"")).await;
    house.clock.set("2026-12-01T08:14:00Z");
    let later = Said::of(house.order("one")).await;
    house.parts.memory().flights.clear();
    let gone = Said::of(house.order("one")).await;
    house.parts.mood("flights", Mood::Failing);
    house.parts.mood("accommodation", Mood::Busy);
    let down = Said::of(house.order("one")).await;
    for again in [quoted, later, gone, down] {
        assert_eq!(again.shown(), first.shown());
    }
    assert_eq!(house.parts.memory().starts.len(), 1);
}

#[tokio::test]
async fn spacing_and_order_of_the_body_do_not_make_another_request() {
    let house = House::open().await;
    let first = Said::of(house.order("one")).await;
    let spaced = serde_json::to_string_pretty(&good_order()).unwrap();
    let request = house.request(Method::POST, "/v1/orders").header("idempotency-key", "one");
    let again = Said::of(request.header("content-type", "application/json; charset=utf-8").body(spaced)).await;
    assert_eq!(again.shown(), first.shown());
}

#[tokio::test]
async fn a_key_is_refused_for_another_order_and_free_for_another_person() {
    let house = House::open().await;
    let first = Said::of(house.order("one")).await.json();
    let mut other = good_order();
    other["payment"]["token"] = json!("tok_declined");
    let refused = Said::of(house.order_of("one", &other)).await;
    insta::assert_snapshot!("key_reused", refused.shown());
    let somebody = house.http.post(house.url("/v1/orders")).bearer_auth(house.client_token(2));
    let second = Said::of(somebody.header("idempotency-key", "one").json(&good_order())).await;
    assert_eq!(second.status, 202);
    assert_ne!(second.json()["order_id"], first["order_id"]);
}

#[tokio::test]
async fn a_missing_or_strange_key_is_refused() {
    let house = House::open().await;
    let none = Said::of(house.request(Method::POST, "/v1/orders").json(&good_order())).await;
    insta::assert_snapshot!("key_missing", none.shown());
    let long = Said::of(house.order(&"k".repeat(256))).await;
    assert_eq!((long.status, long.code().as_str()), (400, "idempotency_key_invalid"));
}

#[tokio::test]
async fn a_key_in_flight_is_a_conflict_until_its_request_is_answered() {
    let house = House::open().await;
    let gate = Arc::new(Notify::new());
    house.parts.memory().start_gate = Some(Arc::clone(&gate));
    let first = tokio::spawn(Said::of(house.order("one")));
    while house.parts.asked_for("POST /api/sagas") == 0 {
        tokio::task::yield_now().await;
    }
    let second = Said::of(house.order("one")).await;
    insta::assert_snapshot!("key_in_use", second.shown());
    gate.notify_one();
    assert_eq!(first.await.unwrap().status, 202);
    assert_eq!(Said::of(house.order("one")).await.status, 202);
    assert_eq!(house.parts.memory().starts.len(), 1);
}

#[tokio::test]
async fn two_gateways_that_get_the_same_key_at_once_start_one_saga() {
    let house = House::open().await;
    let workers = house.workers.as_ref().unwrap().url();
    let settings =
        gateway::Settings::development("127.0.0.1:0".parse().unwrap(), house.orchestrators[0].url(), workers);
    let second = gateway::start(settings, Arc::new(house.clock.clone()), house.token.clone()).await.unwrap();
    let at_second = |body: &Value| {
        let request = house.http.post(format!("http://{}/v1/orders", second.address)).json(body);
        Said::of(request.bearer_auth(house.client_token(1)).header("idempotency-key", "one"))
    };
    let gate = Arc::new(Notify::new());
    house.parts.memory().start_gate = Some(Arc::clone(&gate));
    let (one, two) = (tokio::spawn(Said::of(house.order("one"))), tokio::spawn(at_second(&good_order())));
    // Neither has found an earlier start.
    while house.parts.asked_for("POST /api/sagas") < 2 {
        tokio::task::yield_now().await;
    }
    house.parts.memory().start_gate = None;
    while !(one.is_finished() && two.is_finished()) {
        gate.notify_one();
        tokio::task::yield_now().await;
    }
    let (one, two) = (one.await.unwrap(), two.await.unwrap());
    assert_eq!((one.status, one.shown()), (202, two.shown()));
    assert_eq!(house.parts.memory().starts.len(), 1);

    let mut other = good_order();
    other["payment"]["token"] = json!("tok_declined");
    let refused = at_second(&other).await;
    assert_eq!((refused.status, refused.code().as_str()), (422, "idempotency_key_reused"));
}

#[tokio::test]
async fn an_order_whose_client_goes_away_is_started_and_its_key_is_free_again() {
    let house = House::open().await;
    let gate = Arc::new(Notify::new());
    house.parts.memory().start_gate = Some(Arc::clone(&gate));
    let first = tokio::spawn(Said::of(house.order("one")));
    while house.parts.asked_for("POST /api/sagas") == 0 {
        tokio::task::yield_now().await;
    }
    first.abort();
    first.await.unwrap_err();
    house.parts.memory().start_gate = None;
    gate.notify_one();
    let deadline = tokio::time::Instant::now() + FAR_TOO_LONG;
    loop {
        let again = Said::of(house.order("one")).await;
        match again.status {
            202 => break,
            409 => assert!(tokio::time::Instant::now() < deadline, "the key is never free again"),
            _ => panic!("{again:?}"),
        }
    }
    assert_eq!(house.parts.memory().starts.len(), 1);
}

#[tokio::test]
async fn offers_that_cannot_be_ordered_are_pointed_at() {
    let house = House::open().await;
    let order = |ids: &[String]| {
        let mut body = good_order();
        body["items"] = ids.iter().map(|id| json!({ "offer_id": id })).collect::<Vec<_>>().into();
        body
    };
    let (flight, stay) = (format!("fof_{:032x}.abcd", 1), format!("sof_{:032x}.abcd", 1));
    let unknown = order(&[flight.clone(), format!("fof_{:032x}.abcd", 99)]);
    insta::assert_snapshot!("offer_unknown", Said::of(house.order_of("a", &unknown)).await.shown());

    let gone = order(&[flight.clone(), format!("sof_{:032x}.abcd", 99)]);
    insta::assert_snapshot!("offer_expired", Said::of(house.order_of("b", &gone)).await.shown());

    let changed = order(&[flight.clone(), format!("sof_{:032x}.abce", 1)]);
    insta::assert_snapshot!("offer_altered", Said::of(house.order_of("c", &changed)).await.shown());

    let twice = order(&[stay.clone(), stay.clone()]);
    insta::assert_snapshot!("offer_twice", Said::of(house.order_of("d", &twice)).await.shown());

    let dollars = stay_offer(8, money("10", "USD"));
    house.parts.memory().stays.insert(dollars.offer_id.clone(), dollars.clone());
    let mixed = order(&[flight, dollars.offer_id.as_str().to_owned()]);
    insta::assert_snapshot!("currencies_mixed", Said::of(house.order_of("e", &mixed)).await.shown());
    assert_eq!(house.parts.memory().starts.len(), 0);
}

#[tokio::test]
async fn bodies_that_are_no_orders_are_refused() {
    let house = House::open().await;
    let raw = |body: &'static str, kind: &str| {
        let request = house.request(Method::POST, "/v1/orders").header("idempotency-key", "k");
        Said::of(request.header("content-type", kind).body(body))
    };
    let json = "application/json";
    let code = |said: Said| (said.status, said.code());
    assert_eq!(code(raw("{}", "text/plain").await), (415, "unsupported_media_type".into()));
    assert_eq!(code(raw("", json).await), (400, "json_malformed".into()));
    assert_eq!(code(raw("{\"items\": [}", json).await), (400, "json_malformed".into()));
    assert_eq!(code(raw("[]", json).await), (422, "order_invalid".into()));
    assert_eq!(code(raw("null", json).await), (422, "order_invalid".into()));
    insta::assert_snapshot!("empty_order", raw("{}", json).await.shown());
    let mut large = good_order();
    large["notes"] = Value::String("x".repeat(65 * 1024));
    assert_eq!(code(Said::of(house.order_of("k", &large)).await), (413, "body_too_large".into()));
    let deep = "[".repeat(30_000);
    let request = house.request(Method::POST, "/v1/orders").header("idempotency-key", "k");
    assert_eq!(code(Said::of(request.header("content-type", json).body(deep)).await), (400, "json_malformed".into()));
}

#[tokio::test]
async fn a_card_number_is_refused_wherever_it_would_be_stored_and_not_repeated() {
    let house = House::open().await;
    for pointer in ["/payment/token", "/travellers/0/given_name", "/travellers/0/email"] {
        for card in ["4111 1111 1111 1111", "4111 1111 1111 1111 123", "2026-11 ４２４２４２４２４２４２４２４２"]
        {
            let mut body = good_order();
            *body.pointer_mut(pointer).unwrap() = json!(card);
            let said = Said::of(house.order_of("k", &body)).await;
            assert_eq!((said.status, said.code().as_str()), (422, "card_number_refused"), "{card}");
            assert_eq!(said.json()["errors"][0]["pointer"], format!("#{pointer}"));
            assert!(!said.body.contains("1111") && !said.body.contains("４２"), "{}", said.body);
        }
    }
    assert_eq!(house.parts.asked_for("/api/"), 0);
}

#[tokio::test]
async fn what_is_not_stored_may_look_like_a_card_number_and_is_not_passed_on() {
    let house = House::open().await;
    let mut body = good_order();
    body["sent_at"] = json!(1_795_699_635_680_u64);
    body["notes"] = json!("4111 1111 1111 1111");
    assert_eq!(Said::of(house.order_of("4111 1111 1111 1111", &body)).await.status, 202);
    let start = house.parts.memory().starts[0].clone();
    assert!(!serde_json::to_string(&start).unwrap().contains("1111 1111"), "{start:?}");
}

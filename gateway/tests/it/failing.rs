//! Parts behind the door that are away, slow or broken.

use std::time::Duration;

use contract::Route;

use crate::{
    house::{FAR_TOO_LONG, House, Said},
    parts::Mood,
};

#[tokio::test]
async fn a_part_that_is_away_busy_or_broken_is_named_and_nothing_else_is_said() {
    let house = House::open().await;
    for (mood, status, code) in [
        (Mood::Busy, 503, "service_unavailable"),
        (Mood::Failing, 502, "bad_gateway"),
        (Mood::Babbling, 502, "bad_gateway"),
        (Mood::Distrustful, 502, "bad_gateway"),
    ] {
        house.parts.mood("flights", mood);
        let said = Said::of(house.order(&format!("{mood:?}"))).await;
        assert_eq!((said.status, said.code().as_str()), (status, code), "{mood:?}");
        insta::assert_snapshot!(format!("flights_{mood:?}"), said.shown());
    }
    assert_eq!(house.parts.memory().starts.len(), 0);
}

#[tokio::test]
async fn a_part_that_does_not_answer_is_given_up_in_time() {
    let house = House::open().await;
    house.parts.mood("flights", Mood::Silent);
    let begun = tokio::time::Instant::now();
    let said = Said::of(house.order("k")).await;
    assert_eq!((said.status, said.code().as_str(), said.header("retry-after")), (503, "service_unavailable", "1"));
    assert!(begun.elapsed() < FAR_TOO_LONG);
}

#[tokio::test]
async fn orders_go_to_the_next_orchestrator_when_one_is_gone() {
    let mut house = House::with_orchestrators(2, |_| {}).await;
    house.ready().await;
    house.orchestrators.remove(0).stop().await;
    for key in ["a", "b", "a"] {
        assert_eq!(Said::of(house.order(key)).await.status, 202);
    }
    assert_eq!(house.parts.memory().starts.len(), 2);
    house.orchestrators.remove(0).stop().await;
    let said = Said::of(house.order("c")).await;
    assert_eq!((said.status, said.code().as_str()), (503, "service_unavailable"));
    assert!(said.body.contains("the orchestrator service"), "{}", said.body);
}

/// Waits until the gateway has seen how its orchestrators stand now.
async fn until_seen(house: &House, ready: bool) {
    let deadline = tokio::time::Instant::now() + FAR_TOO_LONG;
    while house.gateway.readiness.missing().contains_key("orchestrator") == ready {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", house.gateway.readiness.missing());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_orchestrator_that_says_it_is_not_ready_gets_no_start_but_reads_when_it_is_the_last() {
    let house = House::with_orchestrators(2, |_| {}).await;
    house.ready().await;
    let hosts: Vec<String> = house.orchestrators.iter().map(|one| one.address.to_string()).collect();
    house.parts.memory().not_ready = hosts.clone();
    until_seen(&house, false).await;
    let before = house.parts.memory().asked_at.len();
    let said = Said::of(house.order("none")).await;
    assert_eq!((said.status, said.code().as_str()), (503, "service_unavailable"));
    let operation = house.get(&format!("/v1/operations/saga_{:032x}", 1)).await;
    assert_eq!((operation.status, operation.code().as_str()), (404, "operation_unknown"));
    house.parts.memory().not_ready.truncate(1);
    until_seen(&house, true).await;
    for number in 0..6 {
        assert_eq!(Said::of(house.order(&format!("key-{number}"))).await.status, 202);
    }
    let asked_at = house.parts.memory().asked_at.split_off(before);
    let starts = |host: &str| asked_at.iter().filter(|asked| **asked == format!("POST {host}")).count();
    assert_eq!((starts(&hosts[0]), starts(&hosts[1])), (0, 6));
}

#[tokio::test]
async fn a_start_does_not_wait_for_an_orchestrator_that_stops_answering_and_is_one_saga() {
    let house = House::with_orchestrators(2, |_| {}).await;
    house.ready().await;
    let begun = tokio::time::Instant::now();
    house.parts.memory().hung.push(house.orchestrators[0].address.to_string());
    let orders = (0..4).map(|number| Said::of(house.order(&format!("key-{number}"))));
    for said in futures::future::join_all(orders).await {
        assert_eq!(said.status, 202, "{said:?}");
    }
    // Less than one part may take to answer a write.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(house.parts.memory().starts.len(), 4);
}

#[tokio::test]
async fn starts_are_shared_out_among_the_orchestrators() {
    let house = House::with_orchestrators(2, |_| {}).await;
    house.ready().await;
    for number in 0..6 {
        assert_eq!(Said::of(house.order(&format!("key-{number}"))).await.status, 202);
    }
    for orchestrator in &house.orchestrators {
        let started = format!("POST {}", orchestrator.address);
        let count = house.parts.memory().asked_at.iter().filter(|asked| **asked == started).count();
        assert_eq!(count, 3, "{started}");
    }
}

#[tokio::test]
async fn an_answer_of_the_user_service_that_is_none_is_not_passed_on() {
    let house = House::open().await;
    house.parts.mood("user", Mood::Babbling);
    let login = serde_json::json!({"email": "a@b.org", "password": "correct horse battery"});
    let said = Said::of(house.http.post(house.url("/v1/auth/login")).json(&login)).await;
    assert_eq!((said.status, said.code().as_str()), (502, "bad_gateway"));
    assert!(!said.body.contains("html"), "{}", said.body);
}

#[tokio::test]
async fn a_busy_orchestrator_says_when_to_come_again() {
    let house = House::with_orchestrators(2, |_| {}).await;
    house.ready().await;
    house.parts.mood("orchestrator", Mood::Busy);
    let said = Said::of(house.order("k")).await;
    assert_eq!((said.status, said.header("retry-after")), (503, "7"));
    assert_eq!(house.parts.asked_for("GET /api/starts"), 2, "both were asked");
    house.parts.mood("orchestrator", Mood::Well);
    assert_eq!(Said::of(house.order("k")).await.status, 202);
}

#[tokio::test]
async fn what_is_missing_is_named_by_readiness_and_health_stays() {
    let house = House::without(Route::Flights).await;
    let deadline = tokio::time::Instant::now() + FAR_TOO_LONG;
    loop {
        let missing: Vec<_> = house.gateway.readiness.missing().into_keys().collect();
        if missing == ["flights"] {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{missing:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ready = Said::of(house.http.get(house.url("/ready"))).await;
    insta::assert_snapshot!("not_ready", ready.shown());
    assert_eq!(Said::of(house.http.get(house.url("/health"))).await.status, 200);
}

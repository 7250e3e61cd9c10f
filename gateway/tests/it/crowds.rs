//! More strangers than the door can serve: each address has its share, and the others theirs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use gateway::Settings;
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpSocket, TcpStream},
};

use crate::house::{House, Said};

const SEARCH: &str = "/v1/flights/offers?from=LHR&to=MLE&date=2026-12-20&cabin=economy&passengers=1";

async fn house(change: impl FnOnce(&mut Settings)) -> House {
    let house = House::with_orchestrators(1, change).await;
    house.ready().await;
    house
}

/// A host of its own on this machine.
fn host(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

fn http(host: IpAddr) -> reqwest::Client {
    reqwest::Client::builder().local_address(host).build().unwrap()
}

async fn login(house: &House, http: &reqwest::Client, password: &str) -> Said {
    let login = json!({ "email": "a@b.org", "password": password });
    Said::of(http.post(house.url("/v1/auth/login")).json(&login)).await
}

/// A connection from a host that says nothing; the error is that it was closed at once.
async fn idle(house: &House, host: IpAddr) -> Result<TcpStream, ()> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(host, 0)).unwrap();
    let mut stream = socket.connect(house.gateway.address).await.unwrap();
    // A refused one is closed as soon as it is accepted; one that is kept says nothing for as long as we look.
    let look = tokio::time::timeout(std::time::Duration::from_millis(20), stream.read(&mut [0; 1])).await;
    if look.is_ok() { Err(()) } else { Ok(stream) }
}

#[tokio::test]
async fn an_address_that_logs_in_or_searches_too_often_waits_and_others_are_served() {
    let house = house(|settings| {
        settings.crowd.logins_per_minute = 9;
        settings.crowd.searches_per_minute = 9;
    })
    .await;
    let (flood, other) = (http(host(3)), http(host(2)));
    for _ in 0..3 {
        assert_eq!(login(&house, &flood, "correct horse battery").await.status, 200);
        assert_eq!(Said::of(flood.get(house.url(SEARCH))).await.status, 200);
    }
    let asked = house.parts.memory().asked.len();
    for refused in [login(&house, &flood, "x").await, Said::of(flood.get(house.url(SEARCH))).await] {
        assert_eq!((refused.status, refused.code().as_str()), (429, "rate_exceeded"));
        let seconds: u64 = refused.header("retry-after").parse().unwrap();
        assert!((1..=8).contains(&seconds), "{seconds}");
    }
    // No header makes another address of it.
    let told = Said::of(flood.get(house.url(SEARCH)).header("x-forwarded-for", "203.0.113.9")).await;
    assert_eq!(told.status, 429);
    let asked_since = house.parts.memory().asked[asked..].iter().any(|asked| asked.contains("offers"));
    assert!(!asked_since, "what is refused reaches nobody");
    assert_eq!(login(&house, &other, "correct horse battery").await.status, 200);
    assert_eq!(Said::of(other.get(house.url(SEARCH))).await.status, 200);

    // The dashboard logs in for browsers that were counted when they asked it to; each has its own wrong passwords.
    for (browser, password, status) in [
        ("203.0.113.9", "correct horse battery", 200),
        ("203.0.113.9", "x", 401),
        ("203.0.113.10", "correct horse battery", 200),
    ] {
        let body = json!({ "email": "a@b.org", "password": password });
        let inside = flood.post(house.url("/v1/auth/login")).bearer_auth("development-internal-token").json(&body);
        assert_eq!(Said::of(inside.header("x-forwarded-for", browser)).await.status, status);
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_client_is_whom_the_proxy_names() {
    let house = house(|settings| {
        settings.crowd.searches_per_minute = 3;
        settings.crowd.address_connections_max = 1;
        settings.crowd.trusted_proxies = vec!["127.0.0.9/32".parse().unwrap()];
    })
    .await;
    let proxy = http(host(9));
    let via = |client: &str| Said::of(proxy.get(house.url(SEARCH)).header("x-forwarded-for", client));
    assert_eq!(via("203.0.113.9").await.status, 200);
    assert_eq!(via("203.0.113.9").await.status, 429);
    assert_eq!(via("203.0.113.9, 203.0.113.10").await.status, 200);
    let both = futures::future::join(idle(&house, host(9)), idle(&house, host(9))).await;
    assert!(both.0.is_ok() && both.1.is_ok(), "a proxy has as many connections as it needs");
}

#[tokio::test]
async fn wrong_passwords_are_given_a_pause_except_where_the_right_one_was_given() {
    let house = house(|_| {}).await;
    let (owner, stranger) = (http(host(2)), http(host(3)));
    assert_eq!(login(&house, &owner, "correct horse battery").await.status, 200);
    for _ in 0..5 {
        assert_eq!(login(&house, &stranger, "wrong").await.code(), "login_wrong");
    }
    let paused = login(&house, &stranger, "correct horse battery").await;
    assert_eq!((paused.status, paused.code().as_str(), paused.header("retry-after")), (429, "login_paused", "1"));
    assert_eq!(login(&house, &owner, "correct horse battery").await.status, 200);
}

#[tokio::test]
async fn one_address_has_so_many_connections_and_operators_a_reserve() {
    let house = house(|settings| {
        settings.crowd.connections_max = 20;
        settings.crowd.address_connections_max = 12;
    })
    .await;
    let mut held = Vec::new();
    while let Ok(stream) = idle(&house, host(3)).await {
        held.push(stream);
    }
    assert_eq!(held.len(), 12);
    assert_eq!(Said::of(http(host(2)).get(house.url(SEARCH))).await.status, 200);
    // The rest of the places, by hosts that hold fewer than one may have.
    for last in 20..40 {
        held.push(idle(&house, host(last)).await.unwrap());
    }
    let client = http(host(50));
    let full = Said::of(client.get(house.url(SEARCH))).await;
    assert_eq!((full.status, full.code().as_str(), full.header("connection")), (503, "connections_exhausted", "close"));
    assert_eq!(Said::of(client.get(house.url("/health"))).await.status, 200);
    assert_eq!(login(&house, &client, "correct horse battery").await.status, 200);
    let operator = client.request(Method::GET, house.url("/ops/api/echo/x")).bearer_auth(house.operator_token());
    // As the orchestrator behind it answers.
    assert_eq!(Said::of(operator).await.status, 418);
    drop(held);
    while Said::of(http(host(50)).get(house.url(SEARCH))).await.status != 200 {
        tokio::task::yield_now().await;
    }
}

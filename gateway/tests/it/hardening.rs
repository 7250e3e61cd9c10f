//! Requests of strangers: headers, methods, limits.

use reqwest::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::house::{House, Said};

#[tokio::test]
async fn every_answer_carries_the_careful_headers_and_no_banner() {
    let house = House::open().await;
    for path in ["/v1/orders", "/health", "/nothing", "/.well-known/jwks.json"] {
        let said = Said::of(house.http.get(house.url(path))).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ] {
            assert_eq!(said.header(name), value, "{path}");
        }
        for absent in ["server", "x-powered-by", "access-control-allow-origin", "strict-transport-security"] {
            assert_eq!(said.header(absent), "", "{path}");
        }
        assert!(!said.header("x-request-id").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn unknown_addresses_and_methods_are_problems() {
    let house = House::open().await;
    let code = |said: Said| (said.status, said.code());
    assert_eq!(code(house.get("/v2/orders").await), (404, "not_found".into()));
    assert_eq!(code(house.get("/api/sagas").await), (404, "not_found".into()));
    assert_eq!(code(house.get("/internal/user/jwks").await), (404, "not_found".into()));
    for (method, path, allowed) in [
        (Method::DELETE, "/v1/orders", "GET,HEAD,POST"),
        (Method::GET, "/v1/auth/login", "POST"),
        (Method::POST, "/health", "GET,HEAD"),
        (Method::OPTIONS, "/ops/api/sagas", "DELETE,GET,HEAD,PATCH,POST,PUT"),
    ] {
        let said = Said::of(house.request(method, path)).await;
        let mut named: Vec<_> = said.header("allow").split(',').collect();
        named.sort_unstable();
        assert_eq!((said.status, said.code().as_str(), named.join(",").as_str()), (405, "method_not_allowed", allowed));
    }
}

#[tokio::test]
async fn numbers_are_for_callers_with_the_internal_token() {
    let house = House::open().await;
    assert_eq!(Said::of(house.http.get(house.url("/metrics"))).await.code(), "not_found");
    let wrong = Said::of(house.http.get(house.url("/metrics")).bearer_auth("guess")).await;
    assert_eq!(wrong.code(), "not_found");
    house.get("/v1/orders").await;
    let right = Said::of(house.http.get(house.url("/metrics")).bearer_auth("development-internal-token")).await;
    assert_eq!(right.status, 200);
    assert!(right.body.contains("sojourn_gateway_request_seconds"), "{}", right.body);
}

#[tokio::test]
async fn a_clients_request_id_is_kept_when_it_is_harmless() {
    let house = House::open().await;
    let with = |id: &str| Said::of(house.http.get(house.url("/health")).header("x-request-id", id));
    assert_eq!(with("trip-42").await.header("x-request-id"), "trip-42");
    for bad in ["a b", "<script>", &"x".repeat(200)] {
        assert_ne!(with(bad).await.header("x-request-id"), bad);
    }
}

async fn raw(house: &House, request: &[u8]) -> String {
    let mut stream = tokio::net::TcpStream::connect(house.gateway.address).await.unwrap();
    // The other side may close while we still write.
    stream.write_all(request).await.ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn too_many_or_too_large_headers_are_refused() {
    let house = House::open().await;
    let many: String = (0..100).map(|n| format!("x-h{n}: 1\r\n")).collect();
    let answer =
        raw(&house, format!("GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{many}\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let large = "a".repeat(100_000);
    let answer = raw(&house, format!("GET /health HTTP/1.1\r\nhost: x\r\nx: {large}\r\n\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431") || answer.is_empty(), "{answer}");
    let answer = raw(&house, b"nonsense\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(Said::of(house.http.get(house.url("/health"))).await.status, 200);
}

#[tokio::test]
async fn production_insists_on_tls() {
    let house = House::with_orchestrators(1, |settings| {
        settings.production = true;
        settings.webhooks.payment_webhook_secrets = vec!["whsec_of_this_installation_alone".into()];
    })
    .await;
    let said = Said::of(house.http.get(house.url("/health"))).await;
    assert!(said.header("strict-transport-security").starts_with("max-age="));
}

//! The server around every program's routes, over real connections: whatever goes wrong is a problem document.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::from_fn_with_state,
    routing::{get, post},
};
use contract::problem::Problem;
use kit::{http::read_body_in_time, readiness::Readiness};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

/// The largest body that the test's route takes, in bytes.
const BODY_BYTES_MAX: usize = 100;

async fn served(body_time_max: Duration) -> SocketAddr {
    let bodies = post(async |body: String| body)
        .layer::<_, Infallible>(from_fn_with_state(body_time_max, read_body_in_time))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
    let router =
        Router::new().route("/bodies", bodies).route("/panics", get(async || -> () { panic!("with its insides") }));
    let router = kit::http::base(router, &kit::metrics::install(), Readiness::new());
    let (address, _server) =
        kit::http::serve("127.0.0.1:0".parse().unwrap(), router, CancellationToken::new()).await.unwrap();
    address
}

/// The answer to a request that is sent as it stands, and never ended where it is not whole.
async fn answer(address: SocketAddr, request: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    let (head, body) = said.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_lowercase(), body.to_owned())
}

/// The same, when it must be a problem: its status and code, and the answer's head.
async fn problem(address: SocketAddr, request: &str) -> (u16, String, String) {
    let (status, head, body) = answer(address, request).await;
    let problem: Problem = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
    assert!(head.contains("content-type: application/problem+json"), "{head}");
    assert_eq!(problem.status, status);
    assert!(!body.contains("insides"), "{body}");
    (status, problem.code, head)
}

fn request(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
}

const LONG: Duration = Duration::from_secs(600);

#[tokio::test]
async fn what_goes_wrong_is_a_problem() {
    let address = served(LONG).await;
    let told = async |request: String| {
        let (status, code, head) = problem(address, &request).await;
        assert!(head.contains("x-request-id: "), "{head}");
        (status, code)
    };
    assert_eq!(told(request("GET", "/nothing")).await, (404, "not_found".into()));
    assert_eq!(told(request("GET", "/bodies")).await, (405, "method_not_allowed".into()));
    assert_eq!(told(request("GET", "/panics")).await, (500, "internal".into()));
    let (_, _, head) = problem(address, &request("GET", "/bodies")).await;
    assert!(head.contains("allow: post"), "{head}");
}

#[tokio::test]
async fn a_body_is_read_whole_or_refused() {
    let chunked = |body: &str| {
        let length = body.len();
        format!(
            "POST /bodies HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n\
             {length:x}\r\n{body}\r\n0\r\n\r\n"
        )
    };
    let address = served(LONG).await;
    assert_eq!(answer(address, &chunked("hello")).await.0, 200);
    let (status, code, _) = problem(address, &chunked(&"x".repeat(BODY_BYTES_MAX + 1))).await;
    assert_eq!((status, code.as_str()), (413, "body_too_large"));

    let impatient = served(Duration::from_millis(100)).await;
    let begun = "POST /bodies HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhel";
    let (status, code, head) = problem(impatient, begun).await;
    assert_eq!((status, code.as_str()), (408, "body_timed_out"));
    assert!(head.contains("connection: close"), "{head}");
}

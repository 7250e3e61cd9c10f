//! The server around every program's routes, over real connections: every failure is a problem document.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::from_fn_with_state,
    response::sse::{Event, Sse},
    routing::{get, post},
};
use contract::problem::Problem;
use kit::{
    http::{Calls, read_body_in_time, run_to_end},
    readiness::Readiness,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

/// A free port on this machine.
const ANY_PORT: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));
/// The largest body that the test's route takes, in bytes.
const BODY_BYTES_MAX: usize = 100;

async fn served(body_time_max: Duration) -> SocketAddr {
    let bodies = post(async |body: String| body)
        .layer::<_, Infallible>(from_fn_with_state(body_time_max, read_body_in_time))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
    let router =
        Router::new().route("/bodies", bodies).route("/panics", get(async || -> () { panic!("with its insides") }));
    let router = kit::http::base(router, &kit::metrics::install(), Readiness::new());
    let (address, _server) = kit::http::serve(ANY_PORT, router, Calls::new(1), CancellationToken::new()).await.unwrap();
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

/// A server with one place for calls, and a route whose handler says when it begins and ends, and waits in between.
struct Steered {
    address: SocketAddr,
    begun: Arc<Semaphore>,
    go_on: Arc<Semaphore>,
    ended: Arc<Semaphore>,
    token: CancellationToken,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Steered {
    async fn new() -> Self {
        let [begun, go_on, ended] = [(); 3].map(|()| Arc::new(Semaphore::new(0)));
        let steered = {
            let (begun, go_on, ended) = (Arc::clone(&begun), Arc::clone(&go_on), Arc::clone(&ended));
            async move || {
                begun.add_permits(1);
                go_on.acquire().await.unwrap().forget();
                ended.add_permits(1);
                "done"
            }
        };
        let events = async || Sse::new(futures::stream::pending::<Result<Event, Infallible>>());
        let calls = Calls::new(1);
        let router = Router::new()
            .route("/steered", get(steered))
            .route("/events", get(events))
            .route("/panics", get(async || -> () { panic!("with its insides") }))
            .layer(from_fn_with_state(calls.clone(), run_to_end));
        let router = kit::http::base(router, &kit::metrics::install(), Readiness::new());
        let token = CancellationToken::new();
        let (address, server) = kit::http::serve(ANY_PORT, router, calls, token.clone()).await.unwrap();
        Self { address, begun, go_on, ended, token, server }
    }

    /// Asks, waits until the handler has begun, and resets the connection.
    async fn ask_and_hang_up(&self) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request("GET", "/steered").as_bytes()).await.unwrap();
        self.begun.acquire().await.unwrap().forget();
        stream.set_zero_linger().unwrap();
    }
}

#[tokio::test]
async fn a_call_whose_caller_hung_up_runs_to_its_end_and_the_server_waits_for_it() {
    let steered = Steered::new().await;
    steered.ask_and_hang_up().await;
    steered.token.cancel();
    // The listener is gone when the server has heard of its end; all connections of clients are, too.
    while TcpStream::connect(steered.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!steered.server.is_finished());
    steered.go_on.add_permits(1);
    steered.ended.acquire().await.unwrap().forget();
    steered.server.await.unwrap().unwrap();
}

#[tokio::test]
async fn calls_without_a_caller_keep_their_places_and_who_finds_none_is_told_when_to_come_back() {
    let steered = Steered::new().await;
    steered.ask_and_hang_up().await;
    let (status, code, head) = problem(steered.address, &request("GET", "/steered")).await;
    assert_eq!((status, code.as_str()), (503, "busy"));
    assert!(head.contains("retry-after: 1"), "{head}");
    steered.go_on.add_permits(2);
    steered.ended.acquire().await.unwrap().forget();
    // The place is free a moment after the handler's end.
    while answer(steered.address, &request("GET", "/steered")).await.0 != 200 {}
}

#[tokio::test]
async fn a_stream_of_events_holds_no_place_and_a_panic_gives_its_place_back() {
    let steered = Steered::new().await;
    let mut reader = TcpStream::connect(steered.address).await.unwrap();
    reader.write_all(request("GET", "/events").as_bytes()).await.unwrap();
    let mut head = [0; 15];
    reader.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    for _ in 0..2 {
        let (status, code, _) = problem(steered.address, &request("GET", "/panics")).await;
        assert_eq!((status, code.as_str()), (500, "internal"));
    }
    steered.go_on.add_permits(1);
    assert_eq!(answer(steered.address, &request("GET", "/steered")).await.0, 200);
}

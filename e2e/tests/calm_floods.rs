//! Floods from one address: logins, registrations, connections that ask nothing. A client at another address, who
//! behaves, is served all the while, and so is an operator when every common place is taken.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Mutex,
    time::Duration,
};

use chrono::Days;
use e2e::{Client, DEMO_PASSWORD, System, wait};
use futures::{StreamExt as _, stream};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpSocket, TcpStream},
    time::Instant,
};

/// The host that floods, and the one beside it.
const FLOOD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const OTHER_FLOOD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);
/// The hosts of those who behave.
const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const LATECOMER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 5);
const OPERATOR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);

/// The calls of a flood at least, so many of them at once.
const CALLS: usize = 400;
const AT_ONCE: usize = 60;

/// The connections that the door takes in this test, from everybody and from one address.
const CONNECTIONS_MAX: usize = 300;
const ADDRESS_CONNECTIONS_MAX: usize = 200;

/// The longest that a call of a client who behaves may take beside a flood: a debug build's hash takes half a second,
/// and sixteen wait for each turn.
const SERVED_WITHIN: Duration = Duration::from_secs(10);

/// A client keeps its latency beside a flood: the median is at most so many times what it was, and a bit for machines
/// on which everything else runs besides. Behind the flood's own sixteen hashes it would be eight seconds and more.
const SLOWER_MAX: u32 = 4;
const SLOWER_ALLOWANCE: Duration = Duration::from_secs(2);

/// The least samples of a latency. Each is taken at a host of its own, because a host that logs in without end is told to
/// wait, whoever it is.
const SAMPLES: usize = 9;

const PASSWORD: &str = "a long enough passphrase";

#[tokio::test(flavor = "multi_thread")]
async fn a_client_who_behaves_is_served_beside_floods_of_logins_registrations_and_connections() {
    let connections = format!("--connections-max={CONNECTIONS_MAX}");
    let of_address = format!("--address-connections-max={ADDRESS_CONNECTIONS_MAX}");
    let system = System::start_with_gateway(&[&connections, &of_address]).await.unwrap();
    let client = Client::stranger_at(&system.gateway, CLIENT);
    let person = json!({ "email": "ada@example.com", "password": PASSWORD, "name": "Ada" });
    let registered = client.call(Method::POST, "/v1/auth/register", Some(person)).await.unwrap();
    assert_eq!(registered.status, 201, "{registered:?}");

    let calm = Latencies::sampled(&system, 1, || true).await;
    let guess = |n: usize| json!({ "email": format!("p{n}@example.com"), "password": format!("guess number {n}") });
    beside(&system, "/v1/auth/login", guess, 2, &calm).await;
    let person = |n: usize| json!({ "email": format!("q{n}@example.com"), "password": PASSWORD, "name": "Q" });
    beside(&system, "/v1/auth/register", person, 3, &calm).await;

    // One address has its share of the connections.
    let mut held = connections_of(&system, FLOOD, CONNECTIONS_MAX * 2).await;
    served(&client).await;
    // Two of them have all that are for everybody.
    held.extend(connections_of(&system, OTHER_FLOOD, ADDRESS_CONNECTIONS_MAX).await);
    let latecomer = Client::stranger_at(&system.gateway, LATECOMER);
    wait::until("a door that is full", SERVED_WITHIN, || async {
        let full = latecomer.get(&search()).await.map_err(|error| format!("{error:#}"))?;
        let is_full = full.status == 503 && full.body["code"] == "connections_exhausted";
        if is_full { Ok(()) } else { Err(format!("{full:?}")) }
    })
    .await;
    let operator = Client::stranger_at(&system.gateway, OPERATOR);
    let login = json!({ "email": "operator@sojourn.example", "password": DEMO_PASSWORD });
    let tokens = operator.call(Method::POST, "/v1/auth/login", Some(login)).await.unwrap();
    let bearer = format!("Bearer {}", tokens.body["access_token"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str())];
    let sagas = operator.call_with(Method::GET, "/ops/api/sagas", None, &headers).await.unwrap();
    assert_eq!(sagas.status, 200, "{sagas:?}");
    drop(held);
    wait::until("a place for everybody", SERVED_WITHIN, || async {
        let answer = latecomer.get(&search()).await.map_err(|error| format!("{error:#}"))?;
        if answer.status == 200 { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
}

/// The times that calls of clients who behave took.
#[derive(Debug, Default)]
struct Latencies {
    searches: Vec<Duration>,
    logins: Vec<Duration>,
}

impl Latencies {
    /// Takes samples at the hosts of a network until they are enough.
    async fn sampled(system: &System, network: u8, is_enough: impl Fn() -> bool) -> Self {
        let mut latencies = Self::default();
        let mut hosts = 1..;
        while latencies.logins.len() < SAMPLES || !is_enough() {
            let host = Ipv4Addr::new(127, 0, network, hosts.next().unwrap());
            let (search, login) = served(&Client::stranger_at(&system.gateway, host)).await;
            latencies.searches.push(search);
            latencies.logins.push(login);
        }
        latencies
    }

    /// The medians of searches and of logins.
    fn medians(&self) -> [Duration; 2] {
        [&self.searches, &self.logins].map(|times| {
            let mut times = times.clone();
            times.sort_unstable();
            times[times.len() / 2]
        })
    }
}

/// Clients ask again and again beside a flood: always served, about as soon as before, and the flood is told to wait.
async fn beside(system: &System, path: &str, body: impl Fn(usize) -> Value, network: u8, calm: &Latencies) {
    let told = Mutex::new(BTreeMap::<u16, usize>::new());
    let total = || told.lock().unwrap().values().sum::<usize>();
    let flood = flood(system, path, body, |status| *told.lock().unwrap().entry(status).or_default() += 1);
    let beside = tokio::select! {
        () = flood => unreachable!("a flood has no end"),
        beside = Latencies::sampled(system, network, || total() >= CALLS) => beside,
    };
    let told = told.into_inner().unwrap();
    println!("beside {told:?}: {:?} where it was {:?}", beside.medians(), calm.medians());
    assert!(told.get(&429).copied().unwrap_or_default() > CALLS / 2, "{told:?}");
    assert!(told.keys().all(|status| [201, 401, 429, 503].contains(status)), "{told:?}");
    for (before, now) in calm.medians().into_iter().zip(beside.medians()) {
        assert!(now <= before * SLOWER_MAX + SLOWER_ALLOWANCE, "{now:?} where it was {before:?}: {beside:?}");
    }
}

/// A search and a login, and how long each took.
async fn served(client: &Client) -> (Duration, Duration) {
    let begun = Instant::now();
    let found = client.get(&search()).await.unwrap();
    let searched = begun.elapsed();
    assert_eq!(found.status, 200, "{found:?}");
    let login = json!({ "email": "ada@example.com", "password": PASSWORD });
    let entered = client.call(Method::POST, "/v1/auth/login", Some(login)).await.unwrap();
    let logged_in = begun.elapsed() - searched;
    assert_eq!(entered.status, 200, "{entered:?}");
    assert!(searched + logged_in < SERVED_WITHIN, "it took {searched:?} and {logged_in:?}");
    (searched, logged_in)
}

/// Floods from one host without end, and tells each status that it is answered with.
async fn flood(system: &System, path: &str, body: impl Fn(usize) -> Value, tell: impl Fn(u16)) {
    let stranger = Client::stranger_at(&system.gateway, FLOOD);
    let answers = stream::iter(0..).map(|n| stranger.call(Method::POST, path, Some(body(n))));
    let answers = answers.buffer_unordered(AT_ONCE);
    answers.for_each(async |answer| tell(answer.unwrap().status.as_u16())).await;
}

/// Opens so many connections from one host, says one letter on each and no more, and returns those that were not closed.
///
/// The letter is for a connection that overflowed the listener's queue: it is open in the client's eyes alone until it
/// says something.
async fn connections_of(system: &System, host: Ipv4Addr, count: usize) -> Vec<TcpStream> {
    let door: SocketAddr = system.gateway.strip_prefix("http://").unwrap().parse().unwrap();
    let open = |_| async move {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(IpAddr::V4(host), 0)).unwrap();
        let mut stream = socket.connect(door).await.ok()?;
        stream.write_all(b"G").await.ok()?;
        Some(stream)
    };
    let mut held: Vec<TcpStream> =
        stream::iter(0..count).map(open).buffer_unordered(count).filter_map(std::future::ready).collect().await;
    wait::until("an address that has no more than its share", SERVED_WITHIN, || {
        held.retain(is_open);
        let count = held.len();
        async move { if count <= ADDRESS_CONNECTIONS_MAX { Ok(()) } else { Err(format!("{count} are held")) } }
    })
    .await;
    held
}

/// A refused connection is closed as soon as it is accepted; the others are told nothing.
fn is_open(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0; 1]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

fn search() -> String {
    let date = kit::clock::system().now().date_naive() + Days::new(30);
    format!("/v1/flights/offers?from=LHR&to=MLE&date={date}&cabin=economy&passengers=1")
}

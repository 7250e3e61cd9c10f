//! A gateway in front of its parts, and a client that knocks.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, Utc};
use contract::{Route, problem::Problem, user::Role};
use gateway::{Gateway, Settings};
use kit::clock::Clock;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    keys::{Key, user},
    parts::{Parts, Running, at, flight_offer, money, stay_offer},
};

/// No wait of these tests takes so long unless the test fails, on however slow a machine.
pub(crate) const FAR_TOO_LONG: Duration = Duration::from_secs(60);

/// A clock that is set by hand.
#[derive(Clone)]
pub(crate) struct Hands(Arc<Mutex<DateTime<Utc>>>);

impl Clock for Hands {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

impl Hands {
    pub(crate) fn set(&self, text: &str) {
        *self.0.lock().unwrap() = at(text);
    }
}

pub(crate) struct House {
    pub(crate) parts: Parts,
    pub(crate) workers: Option<Running>,
    pub(crate) orchestrators: Vec<Running>,
    pub(crate) gateway: Gateway,
    pub(crate) clock: Hands,
    pub(crate) key: Key,
    pub(crate) token: CancellationToken,
    pub(crate) http: reqwest::Client,
}

impl House {
    /// Everything well, one orchestrator.
    pub(crate) async fn open() -> Self {
        let house = Self::with_orchestrators(1, |_| {}).await;
        house.ready().await;
        house
    }

    /// A domain's workers are where nothing listens.
    pub(crate) async fn without(domain: Route) -> Self {
        let nothing = "http://127.0.0.1:9".parse().unwrap();
        Self::with_orchestrators(1, |settings| drop(settings.domains.insert(domain, vec![nothing]))).await
    }

    /// Settings can be changed before the start.
    pub(crate) async fn with_orchestrators(count: usize, change: impl FnOnce(&mut Settings)) -> Self {
        let parts = Parts::default();
        let key = Key::new("key-1");
        parts.memory().keys.push(serde_json::to_value(&key.public).unwrap());
        for number in 1..=3 {
            let offer = flight_offer(number, money("1200.50", "EUR"));
            parts.memory().flights.insert(offer.offer_id.clone(), offer);
            let offer = stay_offer(number, money("800", "EUR"));
            parts.memory().stays.insert(offer.offer_id.clone(), offer);
        }
        let workers = Running::start(parts.workers()).await;
        let mut orchestrators = Vec::new();
        for _ in 0..count {
            orchestrators.push(Running::start(parts.orchestrator()).await);
        }
        let listen = "127.0.0.1:0".parse().unwrap();
        let mut settings = Settings::development(listen, orchestrators[0].url(), workers.url());
        settings.orchestrator = orchestrators.iter().map(Running::url).collect();
        // All clients of a test have one address.
        settings.crowd.logins_per_minute = 0;
        settings.crowd.searches_per_minute = 0;
        change(&mut settings);
        let clock = Hands(Arc::new(Mutex::new(at("2026-12-01T08:00:00Z"))));
        let token = CancellationToken::new();
        let gateway = gateway::start(settings, Arc::new(clock.clone()), token.clone()).await.unwrap();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { parts, workers: Some(workers), orchestrators, gateway, clock, key, token, http }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.gateway.address)
    }

    /// Waits until nothing is missing.
    pub(crate) async fn ready(&self) {
        let deadline = tokio::time::Instant::now() + FAR_TOO_LONG;
        while self.http.get(self.url("/ready")).send().await.unwrap().status() != StatusCode::OK {
            assert!(tokio::time::Instant::now() < deadline, "not ready: {:?}", self.gateway.readiness.missing());
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    pub(crate) fn client_token(&self, number: u128) -> String {
        self.key.token(user(number), Role::Client, self.clock.now())
    }

    pub(crate) fn operator_token(&self) -> String {
        self.key.token(user(77), Role::Operator, self.clock.now())
    }

    /// As client 1.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path)).bearer_auth(self.client_token(1))
    }

    pub(crate) async fn get(&self, path: &str) -> Said {
        Said::of(self.request(Method::GET, path)).await
    }

    /// As client 1, a good order under the key.
    pub(crate) fn order(&self, key: &str) -> RequestBuilder {
        self.order_of(key, &good_order())
    }

    pub(crate) fn order_of(&self, key: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, "/v1/orders").header("idempotency-key", key).json(body)
    }
}

pub(crate) fn good_order() -> Value {
    json!({
        "items": [{"offer_id": format!("fof_{:032x}.abcd", 1)}, {"offer_id": format!("sof_{:032x}.abcd", 2)}],
        "travellers": [{"given_name": "Ada", "family_name": "Lovelace", "born_on": "1990-12-10", "email": "ada@example.org"}],
        "payment": {"token": "tok_ok"},
        "total": {"amount": "0.01", "currency": "EUR"},
    })
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Said {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Self { status, headers, body: answer.text().await.unwrap() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The problem's code; the answer must be a proper problem.
    pub(crate) fn code(&self) -> String {
        let problem: Problem = serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"));
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(problem.status, self.status);
        assert!(problem.kind.ends_with(&problem.code));
        problem.code
    }

    /// Status, telling headers and body, for snapshots.
    pub(crate) fn shown(&self) -> String {
        let mut text = format!("{}\n", self.status);
        for name in ["location", "operation-location", "retry-after", "www-authenticate", "content-type"] {
            if let Some(value) = self.headers.get(name) {
                text.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
            }
        }
        match serde_json::from_str::<Value>(&self.body) {
            Ok(json) => text.push_str(&serde_json::to_string_pretty(&json).unwrap()),
            Err(_) => text.push_str(&self.body),
        }
        text
    }
}

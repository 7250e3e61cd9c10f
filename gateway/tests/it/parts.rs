//! The parts behind the door, as small servers over shared memory: they answer with the contract's types, can be
//! stopped, and can be told to misbehave.

pub(crate) mod credentials;
pub(crate) mod people;

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    body::Body,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use contract::{
    FlightOfferId, Money, OrderId, Page, PageToken, PaymentId, SagaId, StayOfferId,
    accommodation::StayOffer,
    command::Route,
    flights::{Cabin, FlightOffer},
    offer::{FlightOffers, OfferKind, OfferToken, StayOffers},
    orchestrator_api::{HEADER_ACTOR, HEADER_ROLE, SagaStarted, SagaSummary, SagaView, StartSaga, StepView, StepWork},
    order::OrderView,
    payment::PaymentView,
    saga::{SagaStatus, StepKind, StepStatus},
};
use kit::http::{ApiError, Json};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How a part behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mood {
    /// By the contract.
    #[default]
    Well,
    /// 503 with a Retry-After of its own.
    Busy,
    /// 503 after it may have done what was asked.
    Unsure,
    /// 504 with a Retry-After.
    Undecided,
    /// 500 with its insides in the body.
    Failing,
    /// 200 with something else.
    Babbling,
    /// Takes the request and says nothing.
    Silent,
    /// Refuses the internal token.
    Distrustful,
}

/// The memory that all parts share.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) keys: Vec<Value>,
    pub(crate) flights: HashMap<FlightOfferId, FlightOffer>,
    pub(crate) stays: HashMap<StayOfferId, StayOffer>,
    pub(crate) orders: HashMap<OrderId, OrderView>,
    pub(crate) sagas: BTreeMap<SagaId, SagaView>,
    pub(crate) payments: HashMap<PaymentId, PaymentView>,
    pub(crate) people: people::People,
    pub(crate) starts: Vec<StartSaga>,
    /// The address and the body of each signal.
    pub(crate) signals: Vec<(String, Value)>,
    /// The answer to signals and its code, when it is not 200.
    pub(crate) signal_status: Option<(StatusCode, &'static str)>,
    /// The effect of signals, when it is not that they woke a step.
    pub(crate) signal_effect: Option<Value>,
    /// The saga of each act, who asked for it in which role, and its body.
    pub(crate) acts: Vec<(SagaId, String, Value)>,
    /// The answer to acts, when it is not 200.
    pub(crate) act_status: Option<StatusCode>,
    /// Saga, business key and fingerprint of each start, by its idempotency key.
    pub(crate) started: HashMap<String, (SagaId, String, String)>,
    /// The text of the live stream of any saga.
    pub(crate) stream: Vec<String>,
    /// `METHOD path?query` of every call.
    pub(crate) asked: Vec<String>,
    /// `METHOD host` of every call.
    pub(crate) asked_at: Vec<String>,
    /// The headers of the last call.
    pub(crate) last_headers: HeaderMap,
    pub(crate) moods: HashMap<&'static str, Mood>,
    /// The orchestrators, as `host:port`, that say they are not ready, or say nothing at all.
    pub(crate) not_ready: Vec<String>,
    pub(crate) hung: Vec<String>,
    /// When set, a start waits here before it is answered.
    pub(crate) start_gate: Option<Arc<Notify>>,
}

#[derive(Clone, Default)]
pub(crate) struct Parts(Arc<Mutex<Memory>>);

impl Parts {
    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap()
    }

    pub(crate) fn mood(&self, part: &'static str, mood: Mood) {
        self.memory().moods.insert(part, mood);
    }

    pub(crate) fn asked_for(&self, what: &str) -> usize {
        self.memory().asked.iter().filter(|asked| asked.contains(what)).count()
    }

    pub(crate) fn workers(&self) -> Router {
        let part = |name: &'static str, router: Router<Parts>| {
            router.layer(middleware::from_fn_with_state((self.clone(), name), moody))
        };
        Router::new()
            .merge(part(
                "user",
                Router::new()
                    .route("/internal/user/jwks", get(jwks))
                    .route("/internal/user/users", post(register))
                    .route("/internal/user/sessions", post(login))
                    .merge(people::routes())
                    .merge(credentials::routes()),
            ))
            .merge(part(
                "flights",
                Router::new()
                    .route("/internal/flights/offers", get(flights))
                    .route("/internal/flights/offer", get(flight)),
            ))
            .merge(part("accommodation", Router::new().route("/internal/accommodation/offer", get(stay))))
            .merge(part(
                "order",
                Router::new()
                    .route("/internal/order/orders", get(orders))
                    .route("/internal/order/orders/{id}", get(order)),
            ))
            .merge(part(
                "payment",
                Router::new()
                    .route("/internal/payment/payments", get(payments))
                    .route("/internal/payment/payments/{id}", get(payment)),
            ))
            .route("/health", get(|| async { "ok" }))
            .layer(middleware::from_fn_with_state(self.clone(), remember))
            .with_state(self.clone())
    }

    pub(crate) fn orchestrator(&self) -> Router {
        Router::new()
            .route("/api/starts", get(earlier))
            .route("/api/sagas", post(start).get(sagas))
            .route("/api/sagas/{id}", get(saga))
            .route("/api/sagas/{id}/signals/{name}", post(signal))
            .route("/api/sagas/{id}/actions", post(act))
            .route("/api/sagas/{id}/events", get(events))
            .route("/api/echo/{*rest}", any(echo))
            .route("/internal/audit", post(people::audit))
            .layer(middleware::from_fn_with_state((self.clone(), "orchestrator"), moody))
            .route("/ready", get(ready))
            .layer(middleware::from_fn_with_state(self.clone(), hanging))
            .layer(middleware::from_fn_with_state(self.clone(), remember))
            .with_state(self.clone())
    }
}

/// A running server; gone when it is dropped or stopped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    token: CancellationToken,
}

impl Running {
    pub(crate) async fn start(router: Router) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let token = CancellationToken::new();
        let stop = token.clone();
        // Dropped rather than drained: a stopped part breaks its connections off, as a killed one would.
        tokio::spawn(async move {
            tokio::select! {
                _ = axum::serve(listener, router).into_future() => {}
                () = stop.cancelled() => {}
            }
        });
        Self { address, token }
    }

    pub(crate) fn url(&self) -> reqwest::Url {
        format!("http://{}", self.address).parse().unwrap()
    }

    /// Returns when no server listens there any more. Connections that are open are used up by the next calls.
    pub(crate) async fn stop(self) {
        self.token.cancel();
        while tokio::net::TcpStream::connect(self.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.token.cancel();
    }
}

async fn remember(State(parts): State<Parts>, request: Request, next: Next) -> Response {
    let asked = format!("{} {}", request.method(), request.uri());
    if !matches!(request.uri().path(), "/health" | "/ready" | "/internal/user/rights" | "/internal/user/sessions/ended")
    {
        let mut memory = parts.memory();
        memory.asked.push(asked);
        let host = request.headers()[header::HOST].to_str().unwrap();
        let asked_at = format!("{} {host}", request.method());
        memory.asked_at.push(asked_at);
        memory.last_headers = request.headers().clone();
    }
    next.run(request).await
}

async fn ready(State(parts): State<Parts>, headers: HeaderMap) -> StatusCode {
    let host = headers[header::HOST].to_str().unwrap();
    let not_ready = parts.memory().not_ready.iter().any(|one| one == host);
    if not_ready { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
}

/// A stopped process: it takes connections and says nothing.
async fn hanging(State(parts): State<Parts>, request: Request, next: Next) -> Response {
    let host = request.headers()[header::HOST].to_str().unwrap();
    let hung = parts.memory().hung.iter().any(|one| one == host);
    if hung { std::future::pending().await } else { next.run(request).await }
}

async fn moody(State((parts, part)): State<(Parts, &'static str)>, request: Request, next: Next) -> Response {
    let mood = parts.memory().moods.get(part).copied().unwrap_or_default();
    match mood {
        Mood::Well => next.run(request).await,
        Mood::Busy => ApiError::unavailable("busy", "too much is under way", 7).into_response(),
        Mood::Unsure => ApiError::unavailable("outcome_unknown", "it may have been done", 1).into_response(),
        Mood::Undecided => {
            let error = ApiError::new(StatusCode::GATEWAY_TIMEOUT, "verdict_missing", "No verdict yet");
            error.retry_after(5).into_response()
        }
        Mood::Failing => (StatusCode::INTERNAL_SERVER_ERROR, "thread panicked at src/secret.rs:1").into_response(),
        Mood::Babbling => "<html>not what you want</html>".into_response(),
        Mood::Silent => std::future::pending().await,
        Mood::Distrustful => ApiError::unauthorized("internal_token", "wrong token").into_response(),
    }
}

async fn jwks(State(parts): State<Parts>) -> Json<Value> {
    Json(json!({ "keys": parts.memory().keys }))
}

async fn register(Json(person): Json<contract::user::Register>) -> Result<Response, ApiError> {
    if person.email == "taken@example.org" {
        return Err(ApiError::conflict("email_taken", "this address has an account already"));
    }
    Ok((StatusCode::CREATED, axum::Json(json!({ "user_id": crate::keys::user(9) }))).into_response())
}

async fn login(Json(login): Json<contract::user::Login>) -> Result<Response, ApiError> {
    if login.password != "correct horse battery" {
        return Err(ApiError::unauthorized("login_wrong", "the e-mail address or the password is wrong"));
    }
    let tokens = json!({"access_token": "a", "refresh_token": "r", "token_type": "Bearer", "expires_in": 900});
    Ok(axum::Json(tokens).into_response())
}

async fn flights(
    State(parts): State<Parts>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Value>, ApiError> {
    if query["date"].as_str() < "2026-12-01" {
        let error = contract::problem::FieldError { detail: "is past".into(), pointer: "#/date".into() };
        return Err(ApiError::unprocessable("date_in_past", "the date is past", vec![error]));
    }
    let items: Vec<_> = parts.memory().flights.values().cloned().collect();
    Ok(Json(json!({ "items": items, "next_page_token": "next" })))
}

#[derive(serde::Deserialize)]
#[serde(bound = "")]
struct OfferQuery<K: OfferKind> {
    offer_id: OfferToken<K>,
}

async fn flight(
    State(parts): State<Parts>,
    Query(asked): Query<OfferQuery<FlightOffers>>,
) -> Result<Json<FlightOffer>, ApiError> {
    let found = parts.memory().flights.get(&asked.offer_id).cloned();
    found.map(Json).ok_or_else(|| ApiError::not_found("offer_unknown", "no such offer"))
}

async fn stay(
    State(parts): State<Parts>,
    Query(asked): Query<OfferQuery<StayOffers>>,
) -> Result<Json<StayOffer>, ApiError> {
    if asked.offer_id.seal() != SEAL {
        return Err(ApiError::unprocessable("offer_altered", "it was changed", Vec::new()));
    }
    let found = parts.memory().stays.get(&asked.offer_id).cloned();
    // The domain itself says when an offer's time is over.
    found.map(Json).ok_or_else(|| ApiError::new(StatusCode::GONE, "offer_expired", "The offer's time is over"))
}

async fn orders(
    State(parts): State<Parts>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Value>, ApiError> {
    let memory = parts.memory();
    let before = |id: &OrderId| query.get("before").is_none_or(|before| *id < before.parse().unwrap());
    let limit = query["limit"].parse().unwrap();
    let mut items: Vec<_> = memory.orders.values().filter(|order| before(&order.order_id)).cloned().collect();
    items.sort_by_key(|order| std::cmp::Reverse(order.order_id));
    items.truncate(limit);
    Ok(Json(json!(items)))
}

async fn order(State(parts): State<Parts>, Path(id): Path<OrderId>) -> Result<Json<OrderView>, ApiError> {
    let found = parts.memory().orders.get(&id).cloned();
    found.map(Json).ok_or_else(|| ApiError::not_found("order_unknown", "no such order"))
}

async fn payments(State(parts): State<Parts>, Query(query): Query<HashMap<String, OrderId>>) -> Json<Vec<PaymentView>> {
    let of_order = |payment: &&PaymentView| payment.order_id == query["order_id"];
    Json(parts.memory().payments.values().filter(of_order).cloned().collect())
}

async fn payment(State(parts): State<Parts>, Path(id): Path<PaymentId>) -> Result<Json<PaymentView>, ApiError> {
    let found = parts.memory().payments.get(&id).cloned();
    found.map(Json).ok_or_else(|| ApiError::not_found("payment_unknown", "no such payment"))
}

async fn signal(
    State(parts): State<Parts>,
    Path((id, name)): Path<(SagaId, String)>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, ApiError> {
    let mut memory = parts.memory();
    match memory.signal_status {
        Some((status, code)) => Err(ApiError::new(status, code, "Nothing waits")),
        None => {
            memory.signals.push((format!("{id}/{name}"), body));
            let woke = json!({"effect": "woke", "step": "await-action"});
            Ok(Json(memory.signal_effect.clone().unwrap_or(woke)))
        }
    }
}

async fn act(
    State(parts): State<Parts>,
    Path(id): Path<SagaId>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Result<Json<SagaView>, ApiError> {
    let mut memory = parts.memory();
    if let Some(status) = memory.act_status {
        return Err(ApiError::new(status, "pivot_passed", "Too late"));
    }
    let who = [HEADER_ACTOR, HEADER_ROLE].map(|name| headers[name].to_str().unwrap()).join(" ");
    memory.acts.push((id, who, body));
    memory.sagas.get(&id).cloned().map(Json).ok_or_else(|| ApiError::not_found("saga_unknown", "no such saga"))
}

async fn earlier(
    State(parts): State<Parts>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Value>, ApiError> {
    let found = parts.memory().started.get(&query["key"]).cloned();
    let (saga_id, business_key, fingerprint) =
        found.ok_or_else(|| ApiError::not_found("start_unknown", "no such start"))?;
    Ok(Json(json!({ "saga_id": saga_id, "business_key": business_key, "fingerprint": fingerprint })))
}

async fn start(State(parts): State<Parts>, Json(start): Json<StartSaga>) -> Result<Response, ApiError> {
    let gate = parts.memory().start_gate.clone();
    if let Some(gate) = gate {
        gate.notified().await;
    }
    let mut memory = parts.memory();
    let key = start.idempotency.clone().unwrap();
    if let Some((saga_id, business_key, fingerprint)) = memory.started.get(&key.key).cloned() {
        if fingerprint != key.fingerprint {
            return Err(ApiError::unprocessable("idempotency_key_reused", "another request", Vec::new()));
        }
        return Ok(axum::Json(SagaStarted { saga_id, business_key, created: false }).into_response());
    }
    let saga_id = SagaId::from_uuid(uuid::Uuid::from_u128(0x0192 + memory.starts.len() as u128));
    memory.started.insert(key.key, (saga_id, start.business_key.clone(), key.fingerprint));
    memory.sagas.insert(saga_id, saga_of(saga_id, &start));
    let started = SagaStarted { saga_id, business_key: start.business_key.clone(), created: true };
    memory.starts.push(start);
    Ok((StatusCode::CREATED, axum::Json(started)).into_response())
}

pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(crate) fn step(name: &str, status: StepStatus) -> StepView {
    StepView {
        name: name.parse().unwrap(),
        kind: StepKind::Compensatable,
        work: StepWork::Command { route: Route::Order, command: format!("order.{name}") },
        compensation: None,
        extension: None,
        after: Vec::new(),
        status,
        attempts: 1,
        retry_at: None,
        wake_at: None,
        valid_until: None,
        retrying_since: None,
        error: None,
        reply: Some(json!({"internal": "reply"})),
        child: None,
        skipped: false,
        edited: Vec::new(),
        resolved: None,
    }
}

fn saga_of(id: SagaId, start: &StartSaga) -> SagaView {
    let summary = SagaSummary {
        id,
        name: start.name.clone(),
        version: 1,
        status: SagaStatus::Running,
        business_key: start.business_key.clone(),
        owner: start.owner.clone(),
        attributes: contract::Attributes::default(),
        parent: None,
        parent_step: None,
        error: None,
        paused: false,
        created_at: at("2026-12-01T08:00:00Z"),
        updated_at: at("2026-12-01T08:00:00Z"),
        finished_at: None,
        holds_until: None,
    };
    SagaView {
        summary,
        input: start.input.clone(),
        steps: vec![step("create-order", StepStatus::Dispatched), step("authorize-payment", StepStatus::Pending)],
        cause: None,
        pause: None,
        deadline_at: None,
        next_wake_at: None,
        signals: Vec::new(),
        dead_letters: Vec::new(),
        head: 3,
    }
}

async fn sagas(State(parts): State<Parts>, Query(query): Query<HashMap<String, String>>) -> Json<Page<SagaSummary>> {
    let memory = parts.memory();
    let wanted = query.get("business_key");
    let owner = query.get("owner");
    let before: Option<SagaId> = query.get("before").map(|before| before.parse().unwrap());
    let fits = |saga: &&SagaView| {
        wanted.is_none_or(|key| *key == saga.summary.business_key)
            && owner.is_none_or(|owner| saga.summary.owner.as_ref() == Some(owner))
            && before.is_none_or(|before| saga.summary.id < before)
    };
    let size = query["page_size"].parse().unwrap();
    let found: Vec<_> = memory.sagas.values().rev().filter(fits).map(|saga| saga.summary.clone()).collect();
    Json(Page::cut(found, size, |last| PageToken::from_text(last.id.to_string())))
}

async fn saga(State(parts): State<Parts>, Path(id): Path<SagaId>) -> Result<Json<SagaView>, ApiError> {
    let found = parts.memory().sagas.get(&id).cloned();
    found.map(Json).ok_or_else(|| ApiError::not_found("saga_unknown", "no such saga"))
}

#[derive(serde::Deserialize)]
struct Followed {
    owner: Option<String>,
}

/// Says what it was told to say, then stays open unless the last word was the end. Where an owner is named, only to that
/// one; a reader who has seen the end gets 204.
async fn events(
    State(parts): State<Parts>,
    Path(id): Path<String>,
    Query(Followed { owner }): Query<Followed>,
    headers: HeaderMap,
) -> Response {
    if owner.is_some() {
        let saga = id.parse().ok().and_then(|id: SagaId| parts.memory().sagas.get(&id).cloned());
        let Some(saga) = saga.filter(|saga| saga.summary.owner == owner) else {
            return ApiError::not_found("saga_unknown", "no such saga").into_response();
        };
        let seen = headers.get("last-event-id").and_then(|seen| seen.to_str().ok()?.parse().ok()).unwrap_or(0_u64);
        if seen > 0 && seen >= saga.head && saga.summary.status.is_final() {
            return StatusCode::NO_CONTENT.into_response();
        }
    }
    let said = parts.memory().stream.clone();
    let ended = said.last().is_some_and(|last| last.contains("event: end"));
    let said = futures::stream::iter(said.into_iter().map(Ok::<_, std::io::Error>));
    let body = if ended {
        Body::from_stream(said)
    } else {
        Body::from_stream(futures::StreamExt::chain(said, futures::stream::pending()))
    };
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

async fn echo(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let said = json!({ "method": parts.method.as_str(), "uri": parts.uri.to_string(), "body": String::from_utf8_lossy(&body) });
    (StatusCode::IM_A_TEAPOT, [("x-powered-by", "secret"), ("etag", "\"7\"")], axum::Json(said)).into_response()
}

/// The seal of every offer here: `abcd` in letters.
const SEAL: &[u8] = &[0x01, 0x23];

pub(crate) fn flight_offer(number: u128, total: Money) -> FlightOffer {
    FlightOffer {
        offer_id: FlightOfferId::new(uuid::Uuid::from_u128(number), SEAL),
        flight_number: "AZ 101".into(),
        carrier: "Azure".into(),
        from: "LHR".into(),
        to: "MLE".into(),
        departs_at: at("2026-12-05T21:05:00Z"),
        departs_local: "2026-12-05T21:05".into(),
        arrives_at: at("2026-12-06T08:05:00Z"),
        arrives_local: "2026-12-06T13:05".into(),
        cabin: Cabin::Business,
        passengers: 1,
        total,
        expires_at: at("2026-12-01T08:00:00Z") + TimeDelta::minutes(20),
    }
}

pub(crate) fn stay_offer(number: u128, total: Money) -> StayOffer {
    let date = |day| NaiveDate::from_ymd_opt(2026, 12, day).unwrap();
    StayOffer {
        offer_id: StayOfferId::new(uuid::Uuid::from_u128(number), SEAL),
        property: "Coral House".into(),
        place: "Baa Atoll".into(),
        country: "MV".into(),
        room_type: "Reef villa".into(),
        check_in: date(6),
        check_out: date(13),
        guests: 2,
        total,
        expires_at: at("2026-12-01T08:00:00Z") + TimeDelta::minutes(20),
    }
}

pub(crate) fn money(amount: &str, currency: &str) -> Money {
    serde_json::from_value(json!({ "amount": amount, "currency": currency })).unwrap()
}

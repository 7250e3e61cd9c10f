//! The start of a saga that a client asked for. What one saga differs in is told by [`ClientSaga`]; the rest is the same
//! for all of them and done once, here.
//!
//! ```text
//!  key, body, fields, card numbers ---- 400, 413, 415, 422
//!   claim the key in this process ----- 409
//!    the same start before?  and, side by side,  the snapshot
//!      yes, same request  ------------- the first answer again, also when offers are gone by now
//!      yes, another request ----------- 422
//!      no ------ snapshot good? ------- 422, 503
//!                 start the saga ------ 202
//! ```

use std::fmt;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use contract::{
    SagaId, UserId,
    orchestrator_api::{SagaStarted, StartKey, StartSaga},
    problem::FieldError,
};
use futures::future::join;
use kit::http::{ApiError, Json, Path};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    access::Caller,
    app::App,
    fields::{self, Object},
    hop::Hop,
    idempotency::{ScopedKey, fingerprint},
    upstream::{Call, Repeat},
};

/// The seconds after which a first look at what was started is worth it.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// The header that names the operation by which a client follows what it started.
const OPERATION_LOCATION: HeaderName = HeaderName::from_static("operation-location");

/// A request of clients that starts a saga.
pub(crate) trait ClientSaga: Sized + Send + Sync {
    /// The saga's definition.
    const NAME: &'static str;
    /// The version of the definition that takes this input. An orchestrator of an earlier program may not know it yet.
    const VERSION: u32;
    /// The thing in the address that the request is about, as its text is part of the request.
    type Target: fmt::Display + Send + Sync;
    /// The things that the request refers to, as they are when the saga starts: the prices of offers.
    type Snapshot: Send;
    /// The saga's start input.
    type Input: Serialize;
    /// The body of the 202.
    type Accepted: Serialize;

    /// Reads the request.
    fn read(body: &Object<'_>, app: &App, target: Self::Target) -> Option<Self>;

    /// The problem of a body that is no such request.
    fn invalid(errors: Vec<FieldError>) -> ApiError;

    /// Takes the snapshot, or tells what of the request cannot be had any more.
    fn snapshot(
        &self,
        app: &App,
        hop: &Hop,
        caller: Caller,
    ) -> impl Future<Output = Result<Self::Snapshot, ApiError>> + Send;

    /// The business key and the input of a new saga.
    fn input(self, snapshot: Self::Snapshot, owner: UserId) -> Result<(String, Self::Input), ApiError>;

    /// The address of what was started, and the answer: the same for the first request and for each repetition, so made
    /// of nothing but what the first start left.
    fn accepted(operation_id: SagaId, business_key: &str) -> Result<(String, Self::Accepted), ApiError>;
}

/// The start that was made under a key: `GET /api/starts`.
#[derive(Debug, Deserialize)]
struct EarlierStart {
    saga_id: SagaId,
    business_key: String,
    fingerprint: String,
}

/// The target of a request whose address says nothing of its own.
pub(crate) struct NoTarget;

impl fmt::Display for NoTarget {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

/// Serves a route that starts a saga.
pub(crate) async fn start<S: ClientSaga<Target = NoTarget>>(
    app: State<App>,
    caller: Caller,
    hop: Hop,
    headers: HeaderMap,
    body: Json<Value>,
) -> Result<Response, ApiError> {
    start_at::<S>(app, caller, hop, headers, NoTarget, body).await
}

/// Serves a route that starts a saga for the thing in its address.
pub(crate) async fn start_for<S: ClientSaga<Target: DeserializeOwned>>(
    app: State<App>,
    caller: Caller,
    hop: Hop,
    headers: HeaderMap,
    Path(target): Path<S::Target>,
    body: Json<Value>,
) -> Result<Response, ApiError> {
    start_at::<S>(app, caller, hop, headers, target, body).await
}

async fn start_at<S: ClientSaga>(
    State(app): State<App>,
    caller: Caller,
    hop: Hop,
    headers: HeaderMap,
    target: S::Target,
    Json(body): Json<Value>,
) -> Result<Response, ApiError> {
    let fingerprint = fingerprint(&format!("{}{target}", S::NAME), &body);
    let key = ScopedKey::read(&headers, caller.user_id)?;
    let read = fields::read(&body, |object| S::read(object, &app, target));
    let request = read.map_err(|mistakes| mistakes.into_error(S::invalid))?;
    let _claim = app.in_flight.claim(&key)?;
    let start_key = StartKey { key: key.as_str().to_owned(), fingerprint };
    let (earlier, snapshot) = join(earlier_start::<S>(&app, &hop, &key), request.snapshot(&app, &hop, caller)).await;
    if let Some(earlier) = earlier? {
        if earlier.fingerprint != start_key.fingerprint {
            return Err(key_reused());
        }
        return answer::<S>(earlier.saga_id, &earlier.business_key);
    }
    let (business_key, input) = request.input(snapshot?, caller.user_id)?;
    let started = start_saga::<S>(&app, &hop, caller, start_key, business_key, &input).await?;
    answer::<S>(started.saga_id, &started.business_key)
}

async fn earlier_start<S: ClientSaga>(app: &App, hop: &Hop, key: &ScopedKey) -> Result<Option<EarlierStart>, ApiError> {
    // The key has nothing that an address would have to escape but its colon, which a query may hold.
    let path = format!("/api/starts?name={}&key={}", S::NAME, key.as_str());
    let response = app.orchestrator.call(hop, Call::get(path)).await?;
    match response.status {
        StatusCode::OK => Ok(Some(response.json()?)),
        StatusCode::NOT_FOUND => Ok(None),
        _ => Err(response.unexpected().into()),
    }
}

async fn start_saga<S: ClientSaga>(
    app: &App,
    hop: &Hop,
    caller: Caller,
    key: StartKey,
    business_key: String,
    input: &S::Input,
) -> Result<SagaStarted, ApiError> {
    let input = serde_json::to_value(input).map_err(|error| {
        tracing::error!(%error, saga = S::NAME, "the input of a saga could not be written as JSON");
        ApiError::internal()
    })?;
    let start = StartSaga {
        name: S::NAME.to_owned(),
        version: Some(S::VERSION),
        idempotency: Some(key),
        business_key,
        owner: Some(caller.user_id.to_string()),
        traceparent: hop.trace(),
        input,
    };
    // Safe to repeat, at another orchestrator too: the key makes it one saga.
    let response = app.orchestrator.call(hop, Call::post("/api/sagas", &start, Repeat::Safe)?).await?;
    match response.status {
        StatusCode::OK | StatusCode::CREATED => Ok(response.json()?),
        // Another start under this key was quicker, at another gateway.
        StatusCode::UNPROCESSABLE_ENTITY if response.code().as_deref() == Some("idempotency_key_reused") => {
            Err(key_reused())
        }
        status => {
            let (saga, code, business_key) = (S::NAME, response.code(), start.business_key);
            tracing::error!(%status, code, saga, business_key, "the orchestrator did not take a client's start");
            Err(response.unexpected().into())
        }
    }
}

/// The problem of a request under a key that was used for another one.
pub(crate) fn key_reused() -> ApiError {
    let detail = "this Idempotency-Key was used for another request; a new request needs a new key";
    ApiError::unprocessable("idempotency_key_reused", detail, Vec::new())
}

fn answer<S: ClientSaga>(operation_id: SagaId, business_key: &str) -> Result<Response, ApiError> {
    let (location, body) = S::accepted(operation_id, business_key)?;
    accepted(operation_id, location, &body)
}

/// The 202 of a request that an operation carries out, with the address of the thing that it is about.
pub(crate) fn accepted(operation_id: SagaId, location: String, body: &impl Serialize) -> Result<Response, ApiError> {
    let mut response = (StatusCode::ACCEPTED, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, RETRY_AFTER);
    let operation = format!("/v1/operations/{operation_id}");
    for (name, path) in [(header::LOCATION, location), (OPERATION_LOCATION, operation)] {
        let path = HeaderValue::from_str(&path).map_err(|error| {
            tracing::error!(%error, path, "an address cannot be a header");
            ApiError::internal()
        })?;
        headers.insert(name, path);
    }
    Ok(response)
}

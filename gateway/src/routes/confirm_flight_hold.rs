//! `POST /v1/flight-holds/{hold_id}/confirm`: signals the saga of a hold that its client confirms it, with the means of
//! payment. The client's key names the signal, so a repetition is answered as the first request.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::on,
};
use contract::{
    FlightHoldId,
    flights::{HoldConfirmation, SIGNAL_HOLD_CONFIRMATION},
    orchestrator_api::{SignalEffect, SignalRequest},
};
use kit::http::{ApiError, Json, Path};
use serde_json::Value;

use super::{
    flight_holds::{HoldStatus, over, own_hold},
    hold_flight::Accepted,
};
use crate::{
    access::{Access, Caller},
    app::App,
    client_saga::{accepted, key_reused},
    endpoint::{Endpoint, Limit, START_BYTES_MAX, Verb},
    fields,
    hop::Hop,
    idempotency::ScopedKey,
    upstream::{Call, Part, Repeat},
};

pub(crate) const CONFIRM: Endpoint = Endpoint {
    verb: Verb::Post,
    path: "/v1/flight-holds/{hold_id}/confirm",
    access: Access::Client,
    limit: Limit::Write,
    body_bytes_max: START_BYTES_MAX,
    part: Part::Orchestrator,
    about: "confirms a hold, which is then paid for and ticketed; needs an Idempotency-Key",
    handler: |methods| on(methods, confirm),
};

/// The orchestrator's code for another signal under an id that came before.
const SIGNAL_ID_REUSED: &str = "signal_id_reused";

/// The orchestrator's code for a signal under an id that another saga got.
const KEY_REUSED: &str = "idempotency_key_reused";

async fn confirm(
    State(app): State<App>,
    caller: Caller,
    hop: Hop,
    headers: HeaderMap,
    Path(hold_id): Path<FlightHoldId>,
    Json(body): Json<Value>,
) -> Result<Response, ApiError> {
    let key = ScopedKey::read(&headers, caller.user_id)?;
    let read = fields::read(&body, |body| body.object("payment")?.text("token"));
    let payment_token = read.map_err(|mistakes| {
        let invalid =
            |errors| ApiError::unprocessable("payment_invalid", "the payment is not valid; see `errors`", errors);
        mistakes.into_error(invalid)
    })?;
    let saga_id = own_hold(&app, &hop, caller, hold_id).await?.summary.id;
    let id = key.as_str().parse().map_err(|error| {
        tracing::error!(%error, "an idempotency key cannot name a signal");
        ApiError::internal()
    })?;
    let payload = serde_json::to_value(HoldConfirmation { payment_token }).map_err(|_| ApiError::internal())?;
    let path = format!("/api/sagas/{saga_id}/signals/{SIGNAL_HOLD_CONFIRMATION}");
    let request = SignalRequest { id, payload, only_here: true };
    let response = app.orchestrator.call(&hop, Call::post(path, &request, Repeat::Safe)?).await?;
    let is_heard = match response.status {
        StatusCode::OK => match response.json()? {
            SignalEffect::Woke { .. } | SignalEffect::Kept {} => true,
            SignalEffect::None { .. } => false,
        },
        StatusCode::CONFLICT if response.code().as_deref() == Some(SIGNAL_ID_REUSED) => return Err(key_reused()),
        StatusCode::UNPROCESSABLE_ENTITY if response.code().as_deref() == Some(KEY_REUSED) => return Err(key_reused()),
        // The saga has ended.
        StatusCode::CONFLICT => false,
        _ => return Err(response.unexpected().into()),
    };
    if is_heard {
        accepted(saga_id, format!("/v1/flight-holds/{hold_id}"), &Accepted { hold_id, operation_id: saga_id })
    } else {
        let saga = own_hold(&app, &hop, caller, hold_id).await?;
        Err(over(hold_id, HoldStatus::of(&saga)))
    }
}

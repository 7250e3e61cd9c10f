//! `POST /v1/webhooks/payments`: the payment provider's news. Its signature is checked over the body as it came; then it becomes
//! a signal to the saga that its metadata names. The signal only wakes the saga, which asks the provider itself.
//!
//! ```text
//!  signature missing, wrong or old --- 401   forged: nothing is done
//!  body of another form -------------- 422
//!  about no payment of ours ---------- 200   the provider is to stop
//!  saga unknown, finished ------------ 200   likewise
//!  saga woken, or woken before ------- 200
//!  orchestrator away ----------------- 503   the provider sends it again
//! ```

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::on,
};
use contract::{
    orchestrator_api::SignalRequest,
    payment::{PaymentWebhook, SIGNAL_PAYMENT_ACTION, WEBHOOK_SIGNATURE_HEADER},
};
use kit::{
    http::{ApiError, Json},
    signed_webhook,
};
use serde::Serialize;

use crate::{
    access::Access,
    app::App,
    endpoint::{Endpoint, Limit, Verb},
    hop::Hop,
    upstream::{Call, Part, Repeat},
};

/// The largest webhook, in bytes: the provider's have some four thousand.
const WEBHOOK_BYTES_MAX: usize = 32 * 1024;

pub(crate) const HEAR: Endpoint = Endpoint {
    verb: Verb::Post,
    path: "/v1/webhooks/payments",
    access: Access::Public,
    limit: Limit::Light,
    body_bytes_max: WEBHOOK_BYTES_MAX,
    part: Part::Orchestrator,
    about: "hears the payment provider, by its signature",
    handler: |methods| on(methods, hear),
};

/// The answer to every webhook that is believed, however often it comes.
#[derive(Debug, Serialize)]
struct Received {
    received: bool,
}

async fn hear(State(app): State<App>, hop: Hop, headers: HeaderMap, body: Bytes) -> Result<Json<Received>, ApiError> {
    check_signature(&app, &headers, &body)?;
    let webhook: PaymentWebhook = serde_json::from_slice(&body).map_err(|error| invalid(&error.to_string()))?;
    let Some((saga_id, action)) = webhook.signal() else { return Ok(Json(Received { received: true })) };
    let id = action.event_id.parse().map_err(|error| invalid(&format!("{error}")))?;
    let payload = serde_json::to_value(&action).map_err(|_| ApiError::internal())?;
    let path = format!("/api/sagas/{saga_id}/signals/{SIGNAL_PAYMENT_ACTION}");
    // Safe to repeat: a signal takes effect once under its id.
    let call = Call::post(path, &SignalRequest { id, payload, only_here: false }, Repeat::Safe)?;
    let response = app.orchestrator.call(&hop, call).await?;
    match response.status {
        StatusCode::OK => {}
        // The saga is over, or waits for no such thing: sending it again would change nothing.
        StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => {
            tracing::info!(%saga_id, code = response.code(), "the saga of a webhook takes no signal");
        }
        _ => return Err(response.unexpected().into()),
    }
    Ok(Json(Received { received: true }))
}

fn check_signature(app: &App, headers: &HeaderMap, body: &[u8]) -> Result<(), ApiError> {
    let mut shown = headers.get_all(WEBHOOK_SIGNATURE_HEADER).iter();
    let (one, more) = (shown.next().and_then(|value| value.to_str().ok()), shown.next());
    let checked = signed_webhook::verify(&app.webhook_secrets, app.clock.now(), one.unwrap_or_default(), body);
    match checked {
        Ok(()) if more.is_none() => Ok(()),
        Ok(()) => Err(ApiError::unauthorized("webhook_forged", "there are several signatures")),
        Err(error) => {
            tracing::warn!(%error, "a webhook is not believed");
            Err(ApiError::unauthorized("webhook_forged", error.to_string()))
        }
    }
}

fn invalid(why: &str) -> ApiError {
    ApiError::unprocessable("webhook_invalid", format!("the body is not a webhook of payments: {why}"), Vec::new())
}

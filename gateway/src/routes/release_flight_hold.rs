//! `DELETE /v1/flight-holds/{hold_id}`: cancels the saga of a hold in its client's name. A payment that is under way is
//! canceled with it, unless its money is being taken already: then the hold is ticketed all the same.

use axum::{extract::State, http::StatusCode, response::Response, routing::on};
use contract::{FlightHoldId, RequestId, orchestrator_api::ActionRequest, saga::Action};
use kit::http::{ApiError, Path};

use super::{
    flight_holds::{HoldStatus, over, own_hold},
    hold_flight::Accepted,
};
use crate::{
    access::{Access, Caller},
    app::App,
    client_saga::accepted,
    endpoint::{Endpoint, Limit, NO_BODY_BYTES_MAX, Verb},
    hop::Hop,
    upstream::{Call, Part, Repeat},
};

pub(crate) const RELEASE: Endpoint = Endpoint {
    verb: Verb::Delete,
    path: "/v1/flight-holds/{hold_id}",
    access: Access::Client,
    limit: Limit::Write,
    body_bytes_max: NO_BODY_BYTES_MAX,
    part: Part::Orchestrator,
    about: "releases a hold",
    handler: |methods| on(methods, release),
};

/// The reason in the journal.
const REASON: &str = "the client released the hold";

async fn release(
    State(app): State<App>,
    caller: Caller,
    hop: Hop,
    Path(hold_id): Path<FlightHoldId>,
) -> Result<Response, ApiError> {
    let saga_id = own_hold(&app, &hop, caller, hold_id).await?.summary.id;
    let action = ActionRequest {
        action: Action::Cancel {},
        reason: REASON.to_owned(),
        // A hold is released once: a repetition is the same request.
        request_id: Some(RequestId::from_uuid(hold_id.uuid())),
        if_head: None,
    };
    let mut call = Call::post(format!("/api/sagas/{saga_id}/actions"), &action, Repeat::Safe)?;
    caller.name_in(&mut call.headers)?;
    let response = app.orchestrator.call(&hop, call).await?;
    match response.status {
        StatusCode::OK => {}
        // It has ended, is being undone, or is past its point of no return.
        StatusCode::CONFLICT => {
            let status = HoldStatus::of(&own_hold(&app, &hop, caller, hold_id).await?);
            if status != HoldStatus::Released {
                return Err(over(hold_id, status));
            }
        }
        _ => return Err(response.unexpected().into()),
    }
    accepted(saga_id, format!("/v1/flight-holds/{hold_id}"), &Accepted { hold_id, operation_id: saga_id })
}

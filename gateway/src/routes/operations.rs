//! `GET /v1/operations/{operation_id}`: how far an order has come. Always 200 for one's own, however it stands.

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use contract::{SagaId, orchestrator_api::SagaView};
use kit::http::{ApiError, Json, Path};

use crate::{
    auth::Caller,
    door::Door,
    guard::Hop,
    public::{self, Operation},
    upstream::Call,
};

/// Serves the route.
pub(crate) async fn show(
    State(door): State<Door>,
    caller: Caller,
    hop: Hop,
    Path(id): Path<SagaId>,
) -> Result<Response, ApiError> {
    let operation = Operation::from_saga(&own_saga(&door, &hop, caller, id).await?);
    let open = operation.is_open();
    let mut response = Json(operation).into_response();
    if open {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    Ok(response)
}

/// The saga, when it is this person's; somebody else's is told apart from none by nobody.
pub(crate) async fn own_saga(door: &Door, hop: &Hop, caller: Caller, id: SagaId) -> Result<SagaView, ApiError> {
    let answer = door.orchestrator.call(hop, Call::get(format!("/api/sagas/{id}"))).await?;
    let saga = match answer.status {
        StatusCode::OK => Some(answer.json::<SagaView>()?),
        StatusCode::NOT_FOUND => None,
        _ => return Err(answer.unexpected().into()),
    };
    saga.filter(|saga| public::is_owned_by(saga, caller.user_id))
        .ok_or_else(|| ApiError::not_found("operation_unknown", format!("there is no operation {id}")))
}

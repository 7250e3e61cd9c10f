//! `POST /api/sagas/{id}/actions`: an operator's act, and the saga as it stands after it.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use contract::{SagaId, card_number, orchestrator_api::ActionRequest, problem::FieldError, saga::Action};
use journal::Door;
use kit::http::{ApiError, Json, Path};
use machine::codes::{REFUSED_COMMAND_MISMATCH, REFUSED_REPLY_MISMATCH};

use super::{Api, approvals, operator, problems, reads};
use crate::messages::{
    acts::{self, AskedAct, NoVerdict},
    wire::ActEnd,
};

/// The pause asked of a caller when no verdict came, in seconds.
const NO_ANSWER_RETRY_AFTER: u32 = 5;

/// Acts, and answers with the saga as it stands after the act was committed.
pub(super) async fn act(
    State(api): State<Api>,
    Path(saga_id): Path<SagaId>,
    headers: HeaderMap,
    Json(request): Json<ActionRequest>,
) -> Result<Response, ApiError> {
    let operator = operator::read(&headers, &request.reason)?;
    refuse_card_number(&request.action)?;
    if matches!(request.action, Action::Edit { .. }) && request.if_head.is_none() {
        let detail = "an edit names in `if_head` the record that its author has seen: the plan of the edit tells it";
        let error = FieldError { detail: detail.to_owned(), pointer: "#/if_head".to_owned() };
        return Err(ApiError::unprocessable("field_invalid", detail, vec![error]));
    }
    let ActionRequest { action, request_id, mut if_head, reason: _ } = request;
    if let Some(waits) = approvals::ask_for_act(&api, saga_id, &action, &operator, &mut if_head).await? {
        return Ok(waits.response());
    }
    carry_out(&api, AskedAct { saga_id, action, operator, request_id, if_head }).await?;
    // The act is committed: no failure of a read may look like one that changed nothing.
    let view = reads::saga_view(&api.shared, Door::Acts, saga_id).await.map_err(|error| {
        let detail = format!("the action took effect, and how the saga stands now cannot be read: {}", error.code());
        ApiError::unavailable("journal_unavailable", detail, NO_ANSWER_RETRY_AFTER)
    })?;
    Ok(Json(view).into_response())
}

/// Has an act carried out, or tells why it was not.
pub(super) async fn carry_out(api: &Api, asked: AskedAct) -> Result<(), ApiError> {
    let saga_id = asked.saga_id;
    told(saga_id, acts::act(&api.shared, asked).await)
}

/// The verdict of a saga's lane, or why there is none.
pub(super) fn told(saga_id: SagaId, end: Result<ActEnd, NoVerdict>) -> Result<(), ApiError> {
    match end {
        Ok(end) => verdict(saga_id, end),
        Err(error @ NoVerdict::Publish(_)) => {
            Err(ApiError::unavailable("broker_unavailable", error.to_string(), NO_ANSWER_RETRY_AFTER))
        }
        Err(error @ NoVerdict::TimedOut) => {
            let title = "No verdict came in time";
            let late = ApiError::new(StatusCode::GATEWAY_TIMEOUT, "verdict_missing", title);
            Err(late.detail(error.to_string()).retry_after(NO_ANSWER_RETRY_AFTER))
        }
    }
}

/// The text that an operator writes is journaled.
pub(super) fn refuse_card_number(action: &Action) -> Result<(), ApiError> {
    let place = match action {
        Action::Skip { reply, .. } => card_number::place_in(reply, "#/reply"),
        Action::Edit { patch, .. } => card_number::place_in(patch, "#/patch"),
        Action::Resolve { evidence, .. } => card_number::appears_in(evidence.as_str()).then(|| "#/evidence".to_owned()),
        Action::Retry { .. } | Action::Cancel {} | Action::Abandon {} => None,
        Action::FireTimer { .. } | Action::RescheduleTimer { .. } | Action::Migrate { .. } => None,
        Action::Pause { .. } | Action::Resume {} => None,
    };
    place.map_or(Ok(()), |place| Err(ApiError::card_number_refused(vec![place])))
}

fn verdict(id: SagaId, end: ActEnd) -> Result<(), ApiError> {
    match end {
        ActEnd::Accepted | ActEnd::Unchanged { .. } | ActEnd::Kept => Ok(()),
        ActEnd::Refused { code, message } if [REFUSED_REPLY_MISMATCH, REFUSED_COMMAND_MISMATCH].contains(&&*code) => {
            let pointer = if code == REFUSED_REPLY_MISMATCH { "#/reply" } else { "#/patch" };
            let error = FieldError { detail: message.clone(), pointer: pointer.to_owned() };
            Err(ApiError::unprocessable(code, message, vec![error]))
        }
        ActEnd::Refused { code, message } => Err(ApiError::conflict(code, message)),
        ActEnd::NoSuchSaga => Err(problems::no_saga(id)),
        ActEnd::Parked { code, detail } => Err(ApiError::conflict(code, detail)),
    }
}

//! Failures of this program as callers see them. A fault of our own is logged here and says little outside.

use axum::http::StatusCode;
use contract::{SagaId, problem::FieldError};
use journal::JournalError;
use kit::http::ApiError;
use machine::StartError;

use crate::starts::refused::StartRefused;

/// The pause asked of a caller, in seconds, when this orchestrator or one of its doors is full: a turn later there is
/// room.
const BUSY_RETRY_AFTER: u32 = 1;
/// The pause asked of a caller during a takeover, in seconds.
const TAKEOVER_RETRY_AFTER: u32 = 2;

/// A read or a write that the journal refused.
pub(super) fn journal(error: &JournalError) -> ApiError {
    tracing::warn!(error = kit::settings::error_chain(error), "the journal failed a request");
    match error {
        JournalError::Busy { .. } => ApiError::unavailable("busy", error.to_string(), BUSY_RETRY_AFTER),
        JournalError::Unavailable { .. } | JournalError::OwnershipLost { .. } => {
            let detail = "the journal's database does not answer";
            ApiError::unavailable("journal_unavailable", detail, TAKEOVER_RETRY_AFTER)
        }
        JournalError::BrokenRow { .. } => {
            let title = "A row of the journal is broken";
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "row_broken", title).detail(error.to_string())
        }
        JournalError::NewerReader { .. } => {
            let title = "A later version of this program is needed";
            ApiError::new(StatusCode::NOT_IMPLEMENTED, "reader_outdated", title).detail(error.to_string())
        }
        JournalError::Damaged { .. } => {
            let title = "A saga's journal is damaged";
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "journal_damaged", title).detail(error.to_string())
        }
    }
}

/// No saga of that id.
pub(super) fn no_saga(id: SagaId) -> ApiError {
    ApiError::not_found("saga_unknown", format!("there is no saga {id}"))
}

/// A start that was not accepted.
pub(super) fn start(refused: &StartRefused) -> ApiError {
    let (code, detail) = (refused.code(), refused.to_string());
    match refused {
        StartRefused::UnknownDefinition(_) | StartRefused::UnknownVersion { .. } => ApiError::not_found(code, detail),
        StartRefused::Field { field, detail: wrong } => {
            let error = FieldError { detail: wrong.clone(), pointer: format!("#/{field}") };
            ApiError::unprocessable(code, detail, vec![error])
        }
        StartRefused::InputTooLarge { .. } => {
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, code, "The input is too large").detail(detail)
        }
        StartRefused::Input(error) => ApiError::unprocessable(code, detail, input_errors(error)),
        StartRefused::KeyReused(_) | StartRefused::Unstorable(_) => ApiError::unprocessable(code, detail, Vec::new()),
        StartRefused::Busy(_) | StartRefused::BrokerBlocked => ApiError::unavailable(code, detail, BUSY_RETRY_AFTER),
        StartRefused::NoShard | StartRefused::Draining | StartRefused::OutcomeUnknown(_) => {
            ApiError::unavailable(code, detail, TAKEOVER_RETRY_AFTER)
        }
        StartRefused::Failed => ApiError::internal(),
    }
}

/// The places where the input is wrong.
fn input_errors(error: &StartError) -> Vec<FieldError> {
    match error {
        StartError::Unreadable { mismatch, .. } => {
            vec![FieldError { detail: mismatch.message.clone(), pointer: format!("#/input{}", mismatch.pointer) }]
        }
        StartError::TooLarge { .. }
        | StartError::Undecidable { .. }
        | StartError::AttributeUnreadable { .. }
        | StartError::AttributeUnfit { .. }
        | StartError::SeveralPivots { .. }
        | StartError::NoPivotBefore { .. } => {
            vec![FieldError { detail: error.to_string(), pointer: "#/input".to_owned() }]
        }
    }
}

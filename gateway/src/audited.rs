//! Acts of operators that another part than the orchestrator carries out, in the orchestrator's audit log: written down
//! before the act, so that none goes unwritten, and after it, with what came of it.

use axum::http::StatusCode;
use contract::orchestrator_api::{AUDIT_ASKED, AuditRecord, AuditRequest};
use kit::http::ApiError;

use crate::{
    access::Caller,
    app::App,
    hop::Hop,
    upstream::{Call, Repeat, UpstreamError},
};

/// The outcome of an act that succeeded.
const DONE: &str = "done";

/// An act, as it is written down.
pub(crate) struct Act<'a> {
    pub(crate) act: &'static str,
    pub(crate) target: String,
    pub(crate) reason: &'a str,
}

/// Carries an act out between its two rows. `target` of what was made takes the place of the act's.
pub(crate) async fn carry_out<T>(
    app: &App,
    hop: &Hop,
    caller: Caller,
    act: Act<'_>,
    carried: impl Future<Output = Result<T, ApiError>>,
    target: impl FnOnce(&T) -> String,
) -> Result<T, ApiError> {
    let request_id = hop.request_id.as_ref().and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let asked = AuditRequest {
        request_id,
        act: act.act.to_owned(),
        target: act.target,
        reason: act.reason.to_owned(),
        outcome: AUDIT_ASKED.to_owned(),
        answers: None,
    };
    // An act that cannot be written down is not carried out.
    let number = write(app, hop, caller, &asked).await?.number;
    let done = carried.await;
    let (outcome, target) = match &done {
        Ok(made) => (DONE.to_owned(), target(made)),
        Err(error) => (error.code().to_owned(), asked.target.clone()),
    };
    let ended = AuditRequest { outcome, target, answers: Some(number), ..asked };
    if write(app, hop, caller, &ended).await.is_err() {
        tracing::error!(number, outcome = ended.outcome, "an act's outcome could not be written into the audit log");
    }
    done
}

async fn write(app: &App, hop: &Hop, caller: Caller, row: &AuditRequest) -> Result<AuditRecord, ApiError> {
    let mut call = Call::post("/internal/audit", row, Repeat::Unsent)?;
    caller.name_in(&mut call.headers)?;
    let answer = app.orchestrator.call(hop, call).await.map_err(UpstreamError::for_operators)?;
    if answer.status == StatusCode::OK { Ok(answer.json()?) } else { Err(answer.problem()) }
}

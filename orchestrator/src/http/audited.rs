//! The layer that writes what operators do into the audit log: before the act, so that none goes unwritten, and after it,
//! with what came of it. It stands around every route, so that a new one is audited without a word of its own.

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use contract::{
    JobId, SagaId, card_number,
    orchestrator_api::{
        AUDIT_ASKED, AuditFact, AuditRecord, AuditRequest, HEADER_ACTOR, HEADER_ROLE, REASON_BYTES_MAX,
    },
    user::Role,
};
use kit::http::{ApiError, BODY_BYTES_MAX, Json, ProblemCode};
use machine::Operator;
use serde::Deserialize;

use super::{Api, approvals::ApprovalAwaited, operator, problems};
use crate::names;

/// The beginning of all paths.
const API: &str = "/api/";

/// The last part of the paths that only read, although they take a body.
const READING: [&str; 3] = ["plan", "plans", "preview"];

/// The longest text beside the reason, in bytes: names, ids and addresses have fewer.
const TEXT_BYTES_MAX: usize = 200;

/// The header with the request's id, which the door has set.
const REQUEST_ID: &str = "x-request-id";

/// The outcome of an act that succeeded.
const DONE: &str = "done";

/// The outcome of an act that waits for a second operator.
const APPROVAL_AWAITED: &str = "approval_awaited";

/// The members of an act's body that are written down.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    action: Option<String>,
    reason: Option<String>,
    request_id: Option<String>,
}

/// Lets reads, and calls of no operator, pass; writes everything else down. A client who lets go what was held for him acts on
/// his own saga, whose journal names him.
pub(super) async fn write_down(State(api): State<Api>, request: Request, next: Next) -> Response {
    let path = request.uri().path().strip_prefix(API).unwrap_or_default().to_owned();
    let reads = request.method().is_safe() || path.rsplit('/').next().is_some_and(|last| READING.contains(&last));
    let by_client = request.headers().get(HEADER_ROLE).is_some_and(|role| role == Role::Client.as_str());
    if reads || by_client || !request.headers().contains_key(HEADER_ACTOR) {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return ApiError::bad_request("body_unreadable", "the body broke off or is too large").into_response();
    };
    let asked = asked(&api, &path, &head.headers, &body);
    let number = match append(&api, &asked).await {
        Ok(row) => row.number,
        // An act that cannot be written down is not carried out.
        Err(problem) => return problem.into_response(),
    };
    let response = next.run(Request::from_parts(head, Body::from(body))).await;
    let ended = AuditFact {
        at: api.shared.clock.now(),
        outcome: outcome(&response),
        target: made(&response).unwrap_or_else(|| asked.target.clone()),
        answers: Some(number),
        ..asked
    };
    if append(&api, &ended).await.is_err() {
        tracing::error!(number, outcome = ended.outcome, "an act's outcome could not be written into the audit log");
    }
    response
}

/// Writes a row about an act that another part carries out.
pub(super) async fn write(
    State(api): State<Api>,
    headers: HeaderMap,
    Json(request): Json<AuditRequest>,
) -> Result<Json<AuditRecord>, ApiError> {
    let Operator { actor, role, reason } = operator::read(&headers, &request.reason)?;
    let fact = AuditFact {
        at: api.shared.clock.now(),
        actor,
        role,
        request_id: kept(&request.request_id, TEXT_BYTES_MAX),
        act: kept(&request.act, TEXT_BYTES_MAX),
        target: kept(&request.target, TEXT_BYTES_MAX),
        reason,
        outcome: kept(&request.outcome, TEXT_BYTES_MAX),
        answers: request.answers,
    };
    append(&api, &fact).await.map(Json)
}

/// Appends a row, and answers it. The head goes to the log and to the metrics too: who alters the database
/// alters neither.
async fn append(api: &Api, fact: &AuditFact) -> Result<AuditRecord, ApiError> {
    let row = api.shared.journal.audit(fact).await.map_err(|error| problems::journal(&error))?;
    // Exact for more acts than there will ever be.
    metrics::gauge!(names::AUDIT_HEAD).set(f64::from(u32::try_from(row.number).unwrap_or(u32::MAX)));
    tracing::info!(number = row.number, hash = row.hash, act = row.fact.act, "the audit log's head");
    Ok(row)
}

fn asked(api: &Api, path: &str, headers: &HeaderMap, body: &Bytes) -> AuditFact {
    let said: Said = serde_json::from_slice(body).unwrap_or_default();
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (act, target) = act_and_target(path);
    AuditFact {
        at: api.shared.clock.now(),
        actor: kept(header(HEADER_ACTOR), TEXT_BYTES_MAX),
        role: kept(header(HEADER_ROLE), TEXT_BYTES_MAX),
        request_id: kept(said.request_id.as_deref().unwrap_or_else(|| header(REQUEST_ID)), TEXT_BYTES_MAX),
        act: kept(said.action.as_deref().unwrap_or(act), TEXT_BYTES_MAX),
        target: kept(target, TEXT_BYTES_MAX),
        reason: kept(said.reason.as_deref().unwrap_or_default(), REASON_BYTES_MAX),
        outcome: AUDIT_ASKED.to_owned(),
        answers: None,
    }
}

/// The act and its object, of a path such as `dead-letters/7/redrive`. A saga and a job are named by their ids alone.
fn act_and_target(path: &str) -> (&str, &str) {
    if path == "sagas" {
        return ("start", "sagas");
    }
    let (target, act) = path.rsplit_once('/').unwrap_or((path, path));
    let id = target.rsplit('/').next().unwrap_or(target);
    let names_itself = id.parse::<SagaId>().is_ok() || id.parse::<JobId>().is_ok();
    (act, if names_itself { id } else { target })
}

/// The text as it is kept: of a bounded length, storable, and without a card number.
fn kept(text: &str, bytes_max: usize) -> String {
    let text = text.trim();
    if card_number::appears_in(text) {
        return "(withheld: it holds a card number)".to_owned();
    }
    let end = (0..=bytes_max.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    text[..end].replace('\0', "\u{fffd}")
}

fn outcome(response: &Response) -> String {
    if response.extensions().get::<ApprovalAwaited>().is_some() {
        return APPROVAL_AWAITED.to_owned();
    }
    if response.status().is_success() {
        return DONE.to_owned();
    }
    let code = response.extensions().get::<ProblemCode>();
    code.map_or_else(|| response.status().as_u16().to_string(), |ProblemCode(code)| code.to_string())
}

/// The saga or the job that was made, or had been made before.
fn made(response: &Response) -> Option<String> {
    if response.extensions().get::<ApprovalAwaited>().is_some() {
        return None;
    }
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    location.rsplit('/').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_and_its_object_are_read_from_the_path() {
        let saga = "saga_0192f0c1a2b37c4d8e5f000000000001";
        assert_eq!(act_and_target("sagas"), ("start", "sagas"));
        assert_eq!(act_and_target(&format!("sagas/{saga}/actions")), ("actions", saga));
        assert_eq!(act_and_target(&format!("quarantine/{saga}/release")), ("release", saga));
        assert_eq!(act_and_target("dead-letters/7/redrive"), ("redrive", "dead-letters/7"));
    }

    #[test]
    fn what_is_kept_is_bounded_and_holds_no_card_number() {
        assert_eq!(kept(" because\0 ", 20), "because\u{fffd}");
        assert_eq!(kept("Malé", 4), "Mal");
        assert!(!kept("paid with 4242 4242 4242 4242 123", 200).contains("4242"));
    }
}

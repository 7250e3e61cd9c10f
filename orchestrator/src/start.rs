//! Starting a saga: the checks that need no journal, admission, a lane, and the answer after the commit.

use std::{sync::Arc, time::Duration};

use contract::{
    SagaId,
    limits::{IDEMPOTENCY_KEY_BYTES_MAX, PAYLOAD_BYTES_MAX},
    orchestrator_api::{SagaStarted, StartKey, StartSaga},
};
use journal::{ExistingStart, JournalError};
use machine::{Definition, StartError};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::{
    admission::{NotAdmitted, Permit},
    hub::Waiting,
    lanes::NoLane,
    names,
    shared::Shared,
};

/// The longest business key or owner, in bytes: they are indexed columns, and ids of the business are short.
pub(crate) const BUSINESS_KEY_BYTES_MAX: usize = 200;

/// The longest fingerprint of a request, in bytes: a SHA-512 in hexadecimal.
const FINGERPRINT_BYTES_MAX: usize = 128;

/// The length of a W3C traceparent of version 00.
const TRACEPARENT_BYTES: usize = 55;

/// How long a start waits for its commit. Longer than a takeover, shorter than the server's time limit, so that the
/// answer can say that the outcome is unknown.
const COMMIT_WAIT: Duration = Duration::from_secs(25);

/// One admitted start on its way to a lane.
#[derive(Debug)]
pub(crate) struct StartRequest {
    pub(crate) saga_id: SagaId,
    pub(crate) definition: Arc<Definition>,
    pub(crate) key: Option<StartKey>,
    pub(crate) business_key: String,
    pub(crate) owner: Option<String>,
    pub(crate) traceparent: String,
    pub(crate) input: Value,
    pub(crate) answer: oneshot::Sender<LaneAnswer>,
    /// Given back when the start is answered.
    pub(crate) permit: Permit,
}

/// What a lane says about a start.
#[derive(Debug)]
pub(crate) enum LaneAnswer {
    /// It is committed.
    Created,
    /// Its key was taken by an earlier start.
    KeyTaken(ExistingStart),
    /// The machine does not take this input.
    Refused(StartError),
    /// The journal broke off: it may or may not be committed.
    Unknown,
    /// The journal cannot store it.
    Unstorable(String),
    /// It was not begun: the lane lost its shard.
    NotTaken,
    /// It was not begun: a bug, named in the log.
    Failed,
}

/// How a start ended.
#[derive(Debug, Clone)]
pub enum StartAnswer {
    /// The saga is committed and will be carried out.
    Created(SagaStarted),
    /// The same start had come before.
    Existing(SagaStarted),
}

/// Why a start was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum StartRefused {
    /// No definition of that name.
    #[error("there is no saga named `{0}`")]
    UnknownDefinition(String),
    /// No definition of that version.
    #[error("saga `{name}` has no version {version}")]
    UnknownVersion {
        /// The name.
        name: String,
        /// The version.
        version: u32,
    },
    /// A field is over its bounds.
    #[error("{field}: {detail}")]
    Field {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The input is too large.
    #[error("the input has {bytes} bytes, more than {PAYLOAD_BYTES_MAX}")]
    InputTooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The journal cannot store it.
    #[error("the start cannot be stored: {0}")]
    Unstorable(String),
    /// The input is not what the definition takes.
    #[error(transparent)]
    Input(StartError),
    /// The key belongs to a start that asked for something else.
    #[error("this idempotency key was used for another request, which started {0}")]
    KeyReused(SagaId),
    /// Too much is under way.
    #[error("{0}")]
    Busy(&'static str),
    /// This process owns no shard.
    #[error("this orchestrator owns no shard yet")]
    NoShard,
    /// This process is about to end.
    #[error("this orchestrator is stopping")]
    Draining,
    /// The journal did not answer: the saga may or may not exist.
    #[error("the journal did not confirm the start of {0}; repeat it with the same idempotency key")]
    OutcomeUnknown(SagaId),
    /// A bug, named in the log. Nothing was started.
    #[error("the saga could not be started")]
    Failed,
}

impl StartRefused {
    /// The word in metrics and problems.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownDefinition(_) => "definition_unknown",
            Self::UnknownVersion { .. } => "version_unknown",
            Self::Field { .. } => "field_invalid",
            Self::InputTooLarge { .. } => "input_too_large",
            Self::Unstorable(_) => "unstorable",
            Self::Input(_) => "input_invalid",
            Self::KeyReused(_) => "idempotency_key_reused",
            Self::Busy(_) => "busy",
            Self::NoShard => "shard_unavailable",
            Self::Draining => "draining",
            Self::OutcomeUnknown(_) => "outcome_unknown",
            Self::Failed => "internal",
        }
    }
}

/// Starts a saga, and answers once it is durable. With `waits` also a place to wait for its end, when there is one.
pub(crate) async fn start_saga(
    shared: &Shared,
    start: StartSaga,
    waits: bool,
) -> Result<(StartAnswer, Option<Waiting>), StartRefused> {
    let definition = find_definition(shared, &start)?;
    check_fields(&start)?;
    let key = start.idempotency.clone();
    let answer = match place(shared, definition, start, waits) {
        Ok(placed) => {
            let Placed { saga_id, business_key, answer, waiting } = placed;
            let answer = await_answer(saga_id, business_key, key, answer).await?;
            if let StartAnswer::Created(_) = answer {
                return Ok((answer, waiting));
            }
            answer
        }
        // A repetition is answered even when nothing new is taken in.
        Err((refused, name)) => match existing(shared, &name, key.as_ref()).await {
            Ok(Some(answer)) => answer?,
            Ok(None) | Err(_) => {
                metrics::counter!(names::NOT_ADMITTED, "reason" => refused.code()).increment(1);
                return Err(refused);
            }
        },
    };
    let (StartAnswer::Created(started) | StartAnswer::Existing(started)) = &answer;
    let waiting = if waits { shared.hub.wait(started.saga_id) } else { None };
    Ok((answer, waiting))
}

/// A start that a lane has taken.
struct Placed {
    saga_id: SagaId,
    business_key: String,
    answer: oneshot::Receiver<LaneAnswer>,
    waiting: Option<Waiting>,
}

fn place(
    shared: &Shared,
    definition: Arc<Definition>,
    start: StartSaga,
    waits: bool,
) -> Result<Placed, (StartRefused, String)> {
    let name = start.name;
    let permit = match shared.admission.enter() {
        Ok(permit) => permit,
        Err(NotAdmitted::Draining) => return Err((StartRefused::Draining, name)),
        Err(NotAdmitted::OpenSagas) => return Err((StartRefused::Busy("too many sagas are unfinished"), name)),
        Err(NotAdmitted::Unpublished) => return Err((StartRefused::Busy("the broker does not take commands"), name)),
    };
    let (sender, answer) = oneshot::channel();
    let business_key = start.business_key.clone();
    let mut place = None;
    let placed = shared.lanes.place(|shard| {
        let id = kit::ids::saga_id(shard, shared.shards);
        // Taken before the lane can begin, so that no commit is missed.
        place = Some((id, if waits { shared.hub.wait(id) } else { None }));
        StartRequest {
            saga_id: id,
            definition,
            key: start.idempotency,
            business_key: start.business_key,
            owner: start.owner,
            traceparent: start.traceparent.filter(|text| is_traceparent(text)).unwrap_or_else(kit::ids::traceparent),
            input: start.input,
            answer: sender,
            permit,
        }
    });
    match (placed, place) {
        (Ok(()), Some((saga_id, waiting))) => Ok(Placed { saga_id, business_key, answer, waiting }),
        (Err(NoLane::NoShard), _) | (Ok(()), None) => Err((StartRefused::NoShard, name)),
        (Err(NoLane::Full), _) => Err((StartRefused::Busy("too many starts wait for the journal"), name)),
    }
}

async fn await_answer(
    saga_id: SagaId,
    business_key: String,
    key: Option<StartKey>,
    answer: oneshot::Receiver<LaneAnswer>,
) -> Result<StartAnswer, StartRefused> {
    match tokio::time::timeout(COMMIT_WAIT, answer).await {
        Ok(Ok(LaneAnswer::Created)) => Ok(StartAnswer::Created(SagaStarted { saga_id, business_key, created: true })),
        Ok(Ok(LaneAnswer::KeyTaken(existing))) => same_request(key.as_ref(), existing),
        Ok(Ok(LaneAnswer::Refused(StartError::TooLarge { bytes }))) => Err(StartRefused::InputTooLarge { bytes }),
        Ok(Ok(LaneAnswer::Refused(error))) => Err(StartRefused::Input(error)),
        Ok(Ok(LaneAnswer::Unstorable(detail))) => Err(StartRefused::Unstorable(detail)),
        Ok(Ok(LaneAnswer::NotTaken)) => Err(StartRefused::Busy("the shard was lost; try again")),
        Ok(Ok(LaneAnswer::Failed)) => Err(StartRefused::Failed),
        Ok(Ok(LaneAnswer::Unknown) | Err(_)) | Err(_) => Err(StartRefused::OutcomeUnknown(saga_id)),
    }
}

async fn existing(
    shared: &Shared,
    name: &str,
    key: Option<&StartKey>,
) -> Result<Option<Result<StartAnswer, StartRefused>>, JournalError> {
    let Some(asked) = key else { return Ok(None) };
    let found = shared.journal.find_start(name, &asked.key).await?;
    Ok(found.map(|existing| same_request(key, existing)))
}

fn same_request(key: Option<&StartKey>, existing: ExistingStart) -> Result<StartAnswer, StartRefused> {
    if key.is_some_and(|key| key.fingerprint == existing.fingerprint) {
        let ExistingStart { saga_id, business_key, .. } = existing;
        Ok(StartAnswer::Existing(SagaStarted { saga_id, business_key, created: false }))
    } else {
        Err(StartRefused::KeyReused(existing.saga_id))
    }
}

fn find_definition(shared: &Shared, start: &StartSaga) -> Result<Arc<Definition>, StartRefused> {
    let newest = shared.catalog.newest(&start.name);
    let newest = newest.ok_or_else(|| StartRefused::UnknownDefinition(cut(&start.name)))?;
    match start.version {
        None => Ok(Arc::clone(newest)),
        Some(version) => match shared.catalog.get(&start.name, version) {
            Some(definition) => Ok(Arc::clone(definition)),
            None => Err(StartRefused::UnknownVersion { name: start.name.clone(), version }),
        },
    }
}

fn check_fields(start: &StartSaga) -> Result<(), StartRefused> {
    check_length("business_key", &start.business_key, 1, BUSINESS_KEY_BYTES_MAX)?;
    if let Some(owner) = &start.owner {
        check_length("owner", owner, 1, BUSINESS_KEY_BYTES_MAX)?;
    }
    if let Some(key) = &start.idempotency {
        check_length("idempotency/key", &key.key, 1, IDEMPOTENCY_KEY_BYTES_MAX)?;
        check_length("idempotency/fingerprint", &key.fingerprint, 1, FINGERPRINT_BYTES_MAX)?;
    }
    // PostgreSQL keeps neither in text nor in jsonb what JSON may well carry.
    if has_nul(&start.input) {
        return Err(StartRefused::Field { field: "input", detail: "the character U+0000 cannot be stored".to_owned() });
    }
    Ok(())
}

fn check_length(field: &'static str, text: &str, bytes_min: usize, bytes_max: usize) -> Result<(), StartRefused> {
    let detail = if !(bytes_min..=bytes_max).contains(&text.len()) {
        format!("has {} bytes; {bytes_min} to {bytes_max} are taken", text.len())
    } else if text.chars().any(char::is_control) {
        "has control characters".to_owned()
    } else {
        return Ok(());
    };
    Err(StartRefused::Field { field, detail })
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
    }
}

fn is_traceparent(text: &str) -> bool {
    let shaped = text.bytes().enumerate().all(|(i, byte)| match i {
        2 | 35 | 52 => byte == b'-',
        _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
    });
    text.len() == TRACEPARENT_BYTES && shaped
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_real_traceparent_is_carried_on() {
        assert!(is_traceparent(&kit::ids::traceparent()));
        assert!(is_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
        for bad in ["", "00-4bf9-00f0-01", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"] {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }

    #[test]
    fn a_field_over_its_bounds_is_named() {
        let start = |business_key: &str, input: Value| StartSaga {
            name: "x".to_owned(),
            version: None,
            idempotency: None,
            business_key: business_key.to_owned(),
            owner: None,
            traceparent: None,
            input,
        };
        assert!(check_fields(&start("ord_1", Value::Null)).is_ok());
        for bad in ["", "a\nb", &"x".repeat(BUSINESS_KEY_BYTES_MAX + 1)] {
            let refused = check_fields(&start(bad, Value::Null)).unwrap_err();
            assert!(matches!(refused, StartRefused::Field { field: "business_key", .. }), "{refused}");
        }
        let nul = check_fields(&start("a", serde_json::json!({"deep": ["\0"]}))).unwrap_err();
        assert!(matches!(nul, StartRefused::Field { field: "input", .. }));
    }
}

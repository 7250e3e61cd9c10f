//! Starting a saga: the checks that need no journal, admission, a lane, and the answer after the commit.

use std::{sync::Arc, time::Duration};

use contract::{
    Document, SagaId,
    orchestrator_api::{SagaStarted, StartKey, StartSaga},
};
use journal::{ExistingStart, JournalError};
use machine::{Definition, StartError};
use tokio::sync::oneshot;

use super::{
    admission::NotAdmitted,
    fields::check_fields,
    lanes::{LaneAnswer, NoLane, StartRequest},
    refused::StartRefused,
};
use crate::{names, saga_instance::bytes_of, shared::Shared, watching::watchers::Waiting};

/// How long a start waits for its commit. Longer than a takeover, shorter than the server's time limit, so that the
/// answer can say that the outcome is unknown.
const COMMIT_WAIT: Duration = Duration::from_secs(25);

/// Starts a saga, and answers once it is durable. With `waits` also a place to wait for its end, when there is one.
pub(crate) async fn start_saga(
    shared: &Shared,
    start: StartSaga,
    waits: bool,
) -> Result<(SagaStarted, Option<Waiting>), StartRefused> {
    let definition = find_definition(shared, &start)?;
    check_fields(&start)?;
    let key = start.idempotency.clone();
    let started = match place(shared, definition, start, waits) {
        Ok(placed) => {
            let Placed { saga_id, business_key, answer, waiting } = placed;
            let started = await_answer(saga_id, business_key, key, answer).await?;
            if started.created {
                return Ok((started, waiting));
            }
            started
        }
        // A repetition is answered even when nothing new is taken in.
        Err((refused, name)) => match existing(shared, &name, key.as_ref()).await {
            Ok(Some(started)) => started?,
            Ok(None) | Err(_) => {
                metrics::counter!(names::NOT_ADMITTED, "reason" => refused.code()).increment(1);
                return Err(refused);
            }
        },
    };
    let waiting = if waits { shared.watchers.wait(started.saga_id) } else { None };
    Ok((started, waiting))
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
    let input = Document::from(start.input);
    let permit = match shared.admission.enter(bytes_of(&input)) {
        Ok(permit) => permit,
        Err(NotAdmitted::Draining) => return Err((StartRefused::Draining, name)),
        Err(NotAdmitted::Blocked) => return Err((StartRefused::BrokerBlocked, name)),
        Err(full @ (NotAdmitted::OpenSagas | NotAdmitted::Bytes | NotAdmitted::Unpublished)) => {
            return Err((StartRefused::Busy(full.words()), name));
        }
    };
    let (sender, answer) = oneshot::channel();
    let business_key = start.business_key.clone();
    let mut place = None;
    let placed = shared.lanes.place(|shard| {
        let id = kit::ids::saga_id(shard, shared.shards);
        // Taken before the lane can begin, so that no commit is missed.
        place = Some((id, if waits { shared.watchers.wait(id) } else { None }));
        StartRequest {
            saga_id: id,
            definition,
            key: start.idempotency,
            business_key: start.business_key,
            owner: start.owner,
            traceparent: start.traceparent.unwrap_or_else(kit::ids::traceparent),
            input,
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
) -> Result<SagaStarted, StartRefused> {
    match tokio::time::timeout(COMMIT_WAIT, answer).await {
        Ok(Ok(LaneAnswer::Created)) => Ok(SagaStarted { saga_id, business_key, created: true }),
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
) -> Result<Option<Result<SagaStarted, StartRefused>>, JournalError> {
    let Some(asked) = key else { return Ok(None) };
    let found = shared.journal.find_start(name, &asked.key).await?;
    Ok(found.map(|existing| same_request(key, existing)))
}

fn same_request(key: Option<&StartKey>, existing: ExistingStart) -> Result<SagaStarted, StartRefused> {
    if key.is_some_and(|key| key.fingerprint == existing.fingerprint) {
        let ExistingStart { saga_id, business_key, .. } = existing;
        Ok(SagaStarted { saga_id, business_key, created: false })
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

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

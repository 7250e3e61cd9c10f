//! The roll call: every worker process is asked who it is, when a person looks. The broker counts the consumers of each
//! domain's queue, so it is known how many answers are still to come, and how many consumers none of them speaks for.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use contract::{
    InstanceId, Route,
    orchestrator_api::{QueueState, WorkerView},
    roll_call::{RollCall, WorkerPresent},
};

use crate::{
    explain,
    messages::{roll_calls::Answers, wire},
    shared::Shared,
};

/// How long workers are waited for that are there and have not answered. A worker answers within milliseconds, whatever its domains do;
/// an earlier program never answers, and the page of an upgrade is to come all the same.
const ANSWER_WAIT: Duration = Duration::from_secs(1);

/// The outcome of a roll call.
pub(crate) struct Called {
    /// How full each domain's queue is.
    pub(crate) queues: Vec<(Route, Option<QueueState>)>,
    /// The workers that answered, by domain and start.
    pub(crate) workers: Vec<WorkerView>,
}

/// Calls the roll.
pub(crate) async fn call(shared: &Shared) -> Called {
    let request_id = kit::ids::request_id();
    let mut answers = shared.roll_calls.open(request_id);
    let asked_at = shared.clock.now();
    let call = wire::roll_call(&RollCall { request_id, answer_to: shared.own_queue.as_str().to_owned() });
    let (queues, published) = tokio::join!(
        explain::depths(shared, &Route::ALL),
        tokio::time::timeout(ANSWER_WAIT, shared.broker.publish(vec![call])),
    );
    let mut workers = BTreeMap::new();
    // A call that no queue took has no worker to answer it.
    if published.is_ok_and(|published| published.iter().all(Result::is_ok)) {
        let hearing = hear(shared, asked_at, &queues, &mut answers, &mut workers);
        tokio::time::timeout(ANSWER_WAIT, hearing).await.ok();
    }
    let mut workers: Vec<_> = workers.into_values().collect();
    workers.sort_by(|a, b| (&a.domains, a.started_at).cmp(&(&b.domains, b.started_at)));
    Called { queues, workers }
}

/// Takes answers until there is one for each consumer that the broker counts.
async fn hear(
    shared: &Shared,
    asked_at: DateTime<Utc>,
    queues: &[(Route, Option<QueueState>)],
    answers: &mut Answers<'_>,
    workers: &mut BTreeMap<InstanceId, WorkerView>,
) {
    while queues.iter().any(|(route, queue)| queue.is_none_or(|queue| unknown(*route, queue, workers.values()) > 0)) {
        let Some(WorkerPresent { request_id: _, instance, version, started_at, domains }) = answers.next().await else {
            return;
        };
        let answered_ms = u64::try_from((shared.clock.now() - asked_at).num_milliseconds()).unwrap_or_default();
        workers.insert(instance, WorkerView { instance, version, started_at, domains, answered_ms });
    }
}

/// The consumers of a domain's queue that none of the workers speaks for.
pub(crate) fn unknown<'a>(route: Route, queue: QueueState, workers: impl IntoIterator<Item = &'a WorkerView>) -> u32 {
    let known = workers.into_iter().filter(|worker| worker.domains.contains(&route)).count();
    queue.consumers.saturating_sub(u32::try_from(known).unwrap_or(u32::MAX))
}

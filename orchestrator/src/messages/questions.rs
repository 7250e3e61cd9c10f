//! Questions to lanes: how a saga stands there, what a pause holds back, how the lane itself is. A lane answers on this
//! orchestrator's own queue, wherever it runs; a question changes nothing.

use std::time::Duration;

use contract::{SagaId, orchestrator_api::PauseScope};
use messaging::QueueName;

use super::wire::{self, LaneTold, PauseCount, PauseQuestion, Ping, Question, StandsInLane};
use crate::shared::Shared;

/// How long the answer is awaited: a lane that works answers within milliseconds, and the caller has to be told within the
/// five seconds of a read.
const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// Asks the saga's lane; none when it gives no answer in time.
pub(crate) async fn ask(shared: &Shared, saga_id: SagaId) -> Option<StandsInLane> {
    let request_id = kit::ids::request_id();
    let pending = shared.pending_questions.open(request_id);
    let question = Question { request_id, answer_to: shared.own_queue.as_str().to_owned(), saga_id };
    let message = wire::question(&shared.queue_of(saga_id), &question);
    let asking = async {
        let published = shared.broker.publish(vec![message]).await;
        published.into_iter().collect::<Result<(), _>>().ok()?;
        pending.wait(ANSWER_WAIT).await
    };
    // A publish alone may take longer than this.
    tokio::time::timeout(ANSWER_WAIT, asking).await.ok().flatten()
}

/// Asks a shard's lane how much a pause holds back, and what of it is under way; none when it gives no answer in time.
pub(crate) async fn count_paused(shared: &Shared, shard: u16, scope: &PauseScope) -> Option<PauseCount> {
    let request_id = kit::ids::request_id();
    let pending = shared.pending_counts.open(request_id);
    let answer_to = shared.own_queue.as_str().to_owned();
    let question = PauseQuestion { request_id, answer_to, scope: scope.clone() };
    let message = wire::pause_question(&QueueName::replies(shard), &question);
    let asking = async {
        let published = shared.broker.publish(vec![message]).await;
        published.into_iter().collect::<Result<(), _>>().ok()?;
        pending.wait(ANSWER_WAIT).await
    };
    tokio::time::timeout(ANSWER_WAIT, asking).await.ok().flatten()
}

/// Asks a shard's lane to tell of itself and its process; none when it gives no answer in time.
pub(crate) async fn ask_lane(shared: &Shared, shard: u16) -> Option<LaneTold> {
    let request_id = kit::ids::request_id();
    let pending = shared.pending_lanes.open(request_id);
    let answer_to = shared.own_queue.as_str().to_owned();
    let message = wire::ping(&QueueName::replies(shard), &Ping { shard, answer_to, request_id: Some(request_id) });
    let asking = async {
        let published = shared.broker.publish(vec![message]).await;
        published.into_iter().collect::<Result<(), _>>().ok()?;
        pending.wait(ANSWER_WAIT).await
    };
    tokio::time::timeout(ANSWER_WAIT, asking).await.ok().flatten()
}

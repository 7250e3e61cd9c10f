//! An operator's act, or a signal, on its way to the saga's lane, over its shard's queue, wherever the lane runs; its verdict comes back
//! on this orchestrator's own queue.

use std::time::Duration;

use chrono::TimeDelta;
use contract::{RequestId, SagaId, saga::Action};
use machine::{Operator, Signal};
use messaging::{Outgoing, PublishError};

use super::{
    pending_requests::PendingRequest,
    wire::{self, Act, ActEnd, Release, SignalSent},
};
use crate::shared::Shared;

/// How long the verdict is awaited: longer than a takeover takes. An act that reaches its saga later takes no effect.
const ANSWER_WAIT: Duration = Duration::from_secs(15);

/// An act that is asked for.
#[derive(Debug)]
pub(crate) struct AskedAct {
    pub(crate) saga_id: SagaId,
    pub(crate) action: Action,
    pub(crate) operator: Operator,
    /// The operator's own name for the request; a new one when absent.
    pub(crate) request_id: Option<RequestId>,
    pub(crate) if_head: Option<u64>,
}

/// The reason why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoVerdict {
    /// The broker did not take it; it may have had it all the same.
    #[error("the broker does not take the action; it may still take effect when the broker had it")]
    Publish(#[from] PublishError),
    /// The lane did not answer.
    #[error("the saga's lane gave no verdict in time; unless it was only lost, the action takes no effect any more")]
    TimedOut,
}

/// Sends the act, and waits for the verdict of the saga's lane.
pub(crate) async fn act(shared: &Shared, asked: AskedAct) -> Result<ActEnd, NoVerdict> {
    let AskedAct { saga_id, action, operator, request_id, if_head } = asked;
    let (actor, role) = (operator.actor.as_str(), operator.role.as_str());
    let request_id = request_id.unwrap_or_else(kit::ids::request_id);
    tracing::info!(%saga_id, %request_id, action = action.as_str(), actor, role, "an operator acts");
    let pending = shared.pending_requests.open(request_id);
    let answer_to = shared.own_queue.as_str().to_owned();
    let expires_at = TimeDelta::from_std(ANSWER_WAIT).ok().map(|wait| shared.clock.now() + wait);
    let act = Act { request_id, answer_to, saga_id, action, operator, expires_at, if_head };
    hear(shared, saga_id, wire::act(&shared.queue_of(saga_id), &act), pending).await
}

/// Sends a signal, and waits for the verdict of the saga's lane. It may take effect after nobody waits any more: its sender
/// repeats it under the same id, and is told then.
pub(crate) async fn signal(shared: &Shared, saga_id: SagaId, signal: Signal) -> Result<ActEnd, NoVerdict> {
    let Signal { id, name, payload, actor } = signal;
    tracing::info!(%saga_id, %id, %name, "a signal came");
    let request_id = kit::ids::request_id();
    let pending = shared.pending_requests.open(request_id);
    let answer_to = shared.own_queue.as_str().to_owned();
    let sent = SignalSent { request_id, answer_to, saga_id, id, name, payload, actor };
    hear(shared, saga_id, wire::signal(&shared.queue_of(saga_id), &sent), pending).await
}

/// Has the lane load a saga again that is left alone, and waits until it knows whether the saga goes on.
pub(crate) async fn release(shared: &Shared, saga_id: SagaId) -> Result<ActEnd, NoVerdict> {
    let request_id = kit::ids::request_id();
    let pending = shared.pending_requests.open(request_id);
    let release = Release { request_id, answer_to: shared.own_queue.as_str().to_owned(), saga_id };
    hear(shared, saga_id, wire::release(&shared.queue_of(saga_id), &release), pending).await
}

async fn hear(
    shared: &Shared,
    saga_id: SagaId,
    message: Outgoing,
    pending: PendingRequest<'_, ActEnd>,
) -> Result<ActEnd, NoVerdict> {
    let published = shared.broker.publish(vec![message]).await;
    published.into_iter().collect::<Result<(), _>>().inspect_err(|error| {
        tracing::warn!(%saga_id, %error, "an operator's act could not be sent");
    })?;
    pending.wait(ANSWER_WAIT).await.ok_or(NoVerdict::TimedOut)
}

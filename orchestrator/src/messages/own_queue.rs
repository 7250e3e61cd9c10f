//! This orchestrator's own queue: answers to its requests, and news of watched sagas that other processes advance.

use std::sync::Arc;

use journal::Record;
use messaging::Subscription;
use tokio_util::sync::CancellationToken;

use super::wire::{Committed, CommittedRecord, OwnMessage, Pong};
use crate::{shared::Shared, watching::watchers::Notice};

/// Unacknowledged messages at a time. They are small and handled at once.
const PREFETCH: u16 = 256;

/// Takes what comes to this orchestrator's own queue, until the end.
pub(crate) async fn listen(shared: Arc<Shared>, stop: CancellationToken) {
    let listening = async {
        if let Some(subscription) = shared.broker.subscribe_with_retry(&shared.own_queue, PREFETCH).await {
            take_messages(&shared, subscription).await;
        }
    };
    stop.run_until_cancelled(listening).await;
}

async fn take_messages(shared: &Shared, mut subscription: Subscription) {
    let acker = subscription.acker();
    while let Some(deliveries) = subscription.next_batch(usize::from(PREFETCH)).await {
        let mut taken = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            match OwnMessage::read(&delivery) {
                Ok(OwnMessage::Answer(answer)) => shared.pending_requests.answer(answer.request_id, &answer.end),
                Ok(OwnMessage::Told(told)) => shared.pending_questions.answer(told.request_id, &told.stands),
                Ok(OwnMessage::PauseTold(told)) => shared.pending_counts.answer(told.request_id, &told.count),
                Ok(OwnMessage::Committed(committed)) => shared.watchers.tell(committed.saga_id, notice(committed)),
                Ok(OwnMessage::Pong(Pong { told: Some(told), .. })) => {
                    shared.pending_lanes.answer(told.request_id, &told)
                }
                Ok(OwnMessage::Pong(pong)) => shared.pongs.note(&pong),
                Ok(OwnMessage::WorkerPresent(present)) => shared.roll_calls.note(present),
                Err(reason) => {
                    tracing::warn!(reason, "a message to this orchestrator is unusable");
                    acker.dead_letter(&delivery, &reason).await;
                    continue;
                }
            }
            taken.push(delivery);
        }
        acker.ack(&taken).await;
    }
}

/// The news for the followers of a saga. An older orchestrator's lane tells only that there are some.
fn notice(committed: Committed) -> Notice {
    match (committed.record, committed.head) {
        (Some(CommittedRecord { seq, at, entries }), _) => Notice::Committed(Arc::new(Record { seq, at, entries })),
        (None, Some(head)) => Notice::Head(head),
        (None, None) => Notice::Look,
    }
}

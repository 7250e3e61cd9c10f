//! This orchestrator's own queue: answers to its requests, and news of watched sagas that other processes advance.

use std::{sync::Arc, time::Duration};

use messaging::{BrokerError, Subscription};
use tokio_util::sync::CancellationToken;

use super::wire::OwnMessage;
use crate::shared::Shared;

/// Unacknowledged messages at a time. They are small and handled at once.
const PREFETCH: u16 = 256;

/// Between attempts to subscribe when the broker does not answer.
const SUBSCRIBE_AGAIN: Duration = Duration::from_millis(500);

/// Takes what comes to this orchestrator's own queue, until the end.
pub(crate) async fn listen(shared: Arc<Shared>, stop: CancellationToken) {
    stop.run_until_cancelled(async {
        loop {
            match shared.broker.subscribe(&shared.own_queue, PREFETCH).await {
                Ok(subscription) => {
                    take_messages(&shared, subscription).await;
                    return;
                }
                Err(BrokerError::Closed) => return,
                Err(error) => {
                    let error = kit::settings::error_chain(&error);
                    tracing::warn!(error, queue = %shared.own_queue, "cannot subscribe yet");
                    tokio::time::sleep(SUBSCRIBE_AGAIN).await;
                }
            }
        }
    })
    .await;
}

async fn take_messages(shared: &Shared, mut subscription: Subscription) {
    let acker = subscription.acker();
    while let Some(deliveries) = subscription.next_batch(usize::from(PREFETCH)).await {
        let mut taken = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            match OwnMessage::read(&delivery) {
                Ok(OwnMessage::Answer(answer)) => shared.pending_requests.answer(answer),
                Ok(OwnMessage::Committed(committed)) => shared.watchers.look(committed.saga_id),
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

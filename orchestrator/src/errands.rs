//! Requests that this process sent to a lane elsewhere and whose answers it awaits; and the queue on which they come.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use messaging::{BrokerError, Subscription};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::{
    notes::{ActAnswer, ActEnd, OwnNote, RequestId},
    shared::Shared,
};

/// Unacknowledged notes at a time. They are small and handled at once.
const OWN_QUEUE_PREFETCH: u16 = 256;

/// Between attempts to subscribe when the broker does not answer.
const SUBSCRIBE_AGAIN: Duration = Duration::from_millis(500);

/// Requests whose answers are awaited.
#[derive(Debug, Default)]
pub(crate) struct Errands(Mutex<HashMap<RequestId, oneshot::Sender<ActEnd>>>);

/// One awaited answer. Dropping it ends the waiting.
#[derive(Debug)]
pub(crate) struct Errand<'a> {
    errands: &'a Errands,
    id: RequestId,
    answer: oneshot::Receiver<ActEnd>,
}

impl Errands {
    /// Awaits the answer to a request that is about to be sent.
    pub(crate) fn open(&self, id: RequestId) -> Errand<'_> {
        let (sender, answer) = oneshot::channel();
        self.lock().insert(id, sender);
        Errand { errands: self, id, answer }
    }

    /// Hands an answer to whoever awaits it; nobody may any more.
    pub(crate) fn answer(&self, answer: ActAnswer) {
        if let Some(waiting) = self.lock().remove(&answer.request_id) {
            waiting.send(answer.end).ok();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RequestId, oneshot::Sender<ActEnd>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Errand<'_> {
    /// The answer, if it comes within the time.
    pub(crate) async fn wait(mut self, longest: Duration) -> Option<ActEnd> {
        tokio::time::timeout(longest, &mut self.answer).await.ok()?.ok()
    }
}

impl Drop for Errand<'_> {
    fn drop(&mut self) {
        self.errands.lock().remove(&self.id);
    }
}

/// Takes what comes to this orchestrator's own queue, until the end.
pub(crate) async fn listen(shared: Arc<Shared>, stop: CancellationToken) {
    stop.run_until_cancelled(async {
        loop {
            match shared.broker.subscribe(&shared.own_queue, OWN_QUEUE_PREFETCH).await {
                Ok(subscription) => {
                    take_notes(&shared, subscription).await;
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

async fn take_notes(shared: &Shared, mut subscription: Subscription) {
    let acker = subscription.acker();
    while let Some(deliveries) = subscription.next_batch(usize::from(OWN_QUEUE_PREFETCH)).await {
        let mut heard = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            match OwnNote::read(&delivery) {
                Ok(OwnNote::Answer(answer)) => shared.errands.answer(answer),
                Ok(OwnNote::Committed(committed)) => shared.hub.look(committed.saga_id),
                Err(reason) => {
                    tracing::warn!(reason, "a note to this orchestrator is unusable");
                    acker.dead_letter(&delivery, &reason).await;
                    continue;
                }
            }
            heard.push(delivery);
        }
        acker.ack(&heard).await;
    }
}

//! Requests that this process sent to a lane elsewhere, and whose answers are awaited.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::oneshot;

use super::wire::{ActAnswer, ActEnd, RequestId};

/// Requests whose answers are awaited.
#[derive(Debug, Default)]
pub(crate) struct PendingRequests(Mutex<HashMap<RequestId, oneshot::Sender<ActEnd>>>);

/// One awaited answer. Dropping it ends the waiting.
#[derive(Debug)]
pub(crate) struct PendingRequest<'a> {
    requests: &'a PendingRequests,
    id: RequestId,
    answer: oneshot::Receiver<ActEnd>,
}

impl PendingRequests {
    /// Awaits the answer to a request that is about to be sent.
    pub(crate) fn open(&self, id: RequestId) -> PendingRequest<'_> {
        let (sender, answer) = oneshot::channel();
        self.lock().insert(id, sender);
        PendingRequest { requests: self, id, answer }
    }

    /// Hands an answer to the request that awaits it, if it is still awaited.
    pub(crate) fn answer(&self, answer: ActAnswer) {
        if let Some(waiting) = self.lock().remove(&answer.request_id) {
            waiting.send(answer.end).ok();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RequestId, oneshot::Sender<ActEnd>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PendingRequest<'_> {
    /// The answer, if it comes within the time.
    pub(crate) async fn wait(mut self, longest: Duration) -> Option<ActEnd> {
        tokio::time::timeout(longest, &mut self.answer).await.ok()?.ok()
    }
}

impl Drop for PendingRequest<'_> {
    fn drop(&mut self) {
        self.requests.lock().remove(&self.id);
    }
}

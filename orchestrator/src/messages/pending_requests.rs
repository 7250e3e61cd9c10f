//! Requests that this process sent to a lane elsewhere, and whose answers are awaited.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use contract::RequestId;
use tokio::sync::oneshot;

use super::wire::{ActAnswer, ActEnd};

/// Requests whose answers are awaited. One that is repeated is awaited by several callers.
#[derive(Debug, Default)]
pub(crate) struct PendingRequests(Mutex<HashMap<RequestId, Vec<oneshot::Sender<ActEnd>>>>);

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
        self.lock().entry(id).or_default().push(sender);
        PendingRequest { requests: self, id, answer }
    }

    /// Hands an answer to the callers that await it, if there are any.
    pub(crate) fn answer(&self, answer: ActAnswer) {
        for waiting in self.lock().remove(&answer.request_id).into_iter().flatten() {
            waiting.send(answer.end.clone()).ok();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RequestId, Vec<oneshot::Sender<ActEnd>>>> {
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
        self.answer.close();
        let mut requests = self.requests.lock();
        if let Some(waiting) = requests.get_mut(&self.id) {
            waiting.retain(|waiting| !waiting.is_closed());
            if waiting.is_empty() {
                requests.remove(&self.id);
            }
        }
    }
}

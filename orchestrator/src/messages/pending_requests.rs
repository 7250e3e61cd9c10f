//! Requests that this process sent to a lane elsewhere, and whose answers are awaited.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use contract::RequestId;
use tokio::sync::oneshot;

/// The callers that await the answer to each request. One that is repeated is awaited by several.
type Waiting<A> = HashMap<RequestId, Vec<oneshot::Sender<A>>>;

/// Requests whose answers are awaited.
#[derive(Debug)]
pub(crate) struct PendingRequests<A>(Mutex<Waiting<A>>);

/// One awaited answer. Dropping it ends the waiting.
#[derive(Debug)]
pub(crate) struct PendingRequest<'a, A> {
    requests: &'a PendingRequests<A>,
    id: RequestId,
    answer: oneshot::Receiver<A>,
}

impl<A> Default for PendingRequests<A> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<A: Clone> PendingRequests<A> {
    /// Awaits the answer to a request that is about to be sent.
    pub(crate) fn open(&self, id: RequestId) -> PendingRequest<'_, A> {
        let (sender, answer) = oneshot::channel();
        self.lock().entry(id).or_default().push(sender);
        PendingRequest { requests: self, id, answer }
    }

    /// Hands an answer to the callers that await it, if there are any.
    pub(crate) fn answer(&self, id: RequestId, answer: &A) {
        for waiting in self.lock().remove(&id).into_iter().flatten() {
            waiting.send(answer.clone()).ok();
        }
    }
}

impl<A> PendingRequests<A> {
    fn lock(&self) -> MutexGuard<'_, Waiting<A>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A> PendingRequest<'_, A> {
    /// The answer, if it comes within the time.
    pub(crate) async fn wait(mut self, longest: Duration) -> Option<A> {
        tokio::time::timeout(longest, &mut self.answer).await.ok()?.ok()
    }
}

impl<A> Drop for PendingRequest<'_, A> {
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

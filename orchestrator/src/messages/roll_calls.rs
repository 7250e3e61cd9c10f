//! Roll calls whose answers are awaited. Unlike other questions one is answered by many, and by nobody knows how many.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use contract::{RequestId, roll_call::WorkerPresent};
use tokio::sync::mpsc;

/// The most answers to one roll call that are kept until they are looked at: far more than the workers of an installation.
const ANSWERS_MAX: usize = 1_000;

/// The roll calls that are awaited.
#[derive(Debug, Default)]
pub(crate) struct RollCalls(Mutex<HashMap<RequestId, mpsc::Sender<WorkerPresent>>>);

/// The answers to one roll call, as they come. Dropping them ends the waiting.
#[derive(Debug)]
pub(crate) struct Answers<'a> {
    calls: &'a RollCalls,
    id: RequestId,
    answers: mpsc::Receiver<WorkerPresent>,
}

impl RollCalls {
    /// Awaits the answers to a call that is about to be sent.
    pub(crate) fn open(&self, id: RequestId) -> Answers<'_> {
        let (sender, answers) = mpsc::channel(ANSWERS_MAX);
        self.lock().insert(id, sender);
        Answers { calls: self, id, answers }
    }

    /// Hands an answer on, if it is still awaited.
    pub(crate) fn note(&self, present: WorkerPresent) {
        if let Some(awaited) = self.lock().get(&present.request_id) {
            // What is beyond the bound is left out.
            awaited.try_send(present).ok();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RequestId, mpsc::Sender<WorkerPresent>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answers<'_> {
    /// The next answer.
    pub(crate) async fn next(&mut self) -> Option<WorkerPresent> {
        self.answers.recv().await
    }
}

impl Drop for Answers<'_> {
    fn drop(&mut self) {
        self.calls.lock().remove(&self.id);
    }
}

//! The work after a commit: publishing commands, sending messages, acknowledging deliveries.
//!
//! It is done by the lane's own task: what a commit lets go is handed to the broker's client in the wake-up in which the
//! journal's answer arrives, and it goes on while the lane waits for something else, so that it overlaps the next commit.
//!
//! The journal is the outbox, and nothing is kept here: the fate of every command is reported to the lane, whose flow
//! control decides what is sent again and when. If this process dies, the shard's next owner resumes from the journal.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use contract::CommandId;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use messaging::{Acker, PublishError};
use tokio::time::Instant;

use super::{
    after_commit::{AfterCommit, Command},
    unacknowledged::Unacknowledged,
};
use crate::{names, shared::Shared};

/// Publishes under way at once: enough that a slow confirm does not hold the next batch up.
const PUBLISHES_MAX: usize = 8;

/// Commands, messages and deliveries that wait for a place: what the windows to all domains and the prefetch add up to. A
/// lane that runs further ahead of its broker than this waits.
const WAITING_MAX: usize = 8 * 1_024;

/// The fate of some commands that were published together.
#[derive(Debug)]
pub(super) struct PublishReport {
    /// The time at which the broker's answers were there.
    pub(super) at: Instant,
    pub(super) commands: Vec<(CommandId, u16, Taken)>,
}

/// The broker's answer to one command.
#[derive(Debug)]
pub(super) enum Taken {
    /// It is in its queue.
    Confirmed,
    /// It is not, for now.
    No,
    /// It never will be, for this reason.
    Never(String),
}

/// The work after commits that is waiting or under way.
pub(super) struct Publisher {
    shared: Arc<Shared>,
    acker: Acker,
    unacknowledged: Arc<Unacknowledged>,
    /// Work that waits for a place.
    waiting: AfterCommit,
    under_way: FuturesUnordered<BoxFuture<'static, Option<PublishReport>>>,
    reports: Vec<PublishReport>,
}

impl Publisher {
    pub(super) fn new(shared: Arc<Shared>, acker: Acker, unacknowledged: Arc<Unacknowledged>) -> Self {
        let (waiting, under_way) = (AfterCommit::default(), FuturesUnordered::new());
        Self { shared, acker, unacknowledged, waiting, under_way, reports: Vec::new() }
    }

    /// Begins the work, and hands what has a place to the broker's client before it returns. Waits only while far too much
    /// is before it. Requests of this process are answered at once.
    pub(super) async fn submit(&mut self, mut work: AfterCommit) {
        for answer in work.own_answers.drain(..) {
            self.shared.pending_requests.answer(answer.request_id, &answer.end);
        }
        self.waiting.append(work);
        self.go_on(&mut Context::from_waker(Waker::noop()));
        while self.waiting.len() > WAITING_MAX {
            self.reports.extend(self.under_way.next().await.flatten());
            self.begin();
        }
    }

    /// Does other work of the lane, and goes on with what is under way meanwhile.
    pub(super) async fn alongside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            // The other work first: what follows from it is more urgent than what becomes of this.
            let done = work.as_mut().poll(context);
            if done.is_pending() {
                self.go_on(context);
            }
            done
        })
        .await
    }

    /// Waits until there are reports. Nothing is lost when it is dropped while it waits.
    pub(super) async fn reported(&mut self) {
        poll_fn(|context| {
            self.go_on(context);
            if self.reports.is_empty() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    /// The reports that have come since they were taken last.
    pub(super) fn take_reports(&mut self) -> Vec<PublishReport> {
        std::mem::take(&mut self.reports)
    }

    /// Waits until everything that was submitted is done, or the broker has not taken it.
    pub(super) async fn flush(&mut self) {
        self.begin();
        while let Some(report) = self.under_way.next().await {
            self.reports.extend(report);
            self.begin();
        }
    }

    /// Goes on with what is under way as far as it goes without waiting.
    fn go_on(&mut self, context: &mut Context<'_>) {
        self.begin();
        while let Poll::Ready(Some(report)) = self.under_way.poll_next_unpin(context) {
            self.reports.extend(report);
            self.begin();
        }
    }

    /// Begins what waits, all of it together, if there is a place.
    fn begin(&mut self) {
        if self.waiting.len() > 0 && self.under_way.len() < PUBLISHES_MAX {
            let work = std::mem::take(&mut self.waiting);
            let unacknowledged = Arc::clone(&self.unacknowledged);
            let work = carry_out(Arc::clone(&self.shared), self.acker.clone(), unacknowledged, work);
            self.under_way.push(work.boxed());
        }
    }
}

/// Publishes and acknowledges side by side; answers what became of the commands, if there were any.
async fn carry_out(
    shared: Arc<Shared>,
    acker: Acker,
    unacknowledged: Arc<Unacknowledged>,
    work: AfterCommit,
) -> Option<PublishReport> {
    let AfterCommit { commands, messages, acks, dead, own_answers: _ } = work;
    let acknowledge = async {
        acker.ack(&acks).await;
        for (delivery, reason) in &dead {
            acker.dead_letter(delivery, reason).await;
        }
        unacknowledged.settled(acks.iter());
        unacknowledged.settled(dead.iter().map(|(delivery, _)| delivery));
    };
    tokio::join!(publish(&shared, commands, messages), acknowledge).0
}

/// Publishes, and answers what became of each command.
async fn publish(shared: &Shared, commands: Vec<Command>, messages: Vec<messaging::Outgoing>) -> Option<PublishReport> {
    if commands.is_empty() && messages.is_empty() {
        return None;
    }
    let since = Instant::now();
    let (ids, mut batch): (Vec<_>, Vec<_>) =
        commands.into_iter().map(|command| ((command.id, command.attempt), command.outgoing)).unzip();
    // The messages stand behind the commands, so that the results of the commands come first.
    batch.extend(messages);
    let results = shared.broker.publish(batch).await;
    if ids.is_empty() {
        return None;
    }
    let at = Instant::now();
    metrics::histogram!(names::PUBLISH_SECONDS).record(at - since);
    let commands = ids.into_iter().zip(results).map(|((id, attempt), result)| {
        let taken = taken(&id, result);
        (id, attempt, taken)
    });
    Some(PublishReport { at, commands: commands.collect() })
}

fn taken(id: &CommandId, result: Result<(), PublishError>) -> Taken {
    let Err(error) = result else { return Taken::Confirmed };
    let reason = match error {
        PublishError::Unroutable { .. } => "unroutable",
        PublishError::NotConfirmed { .. } => "not_confirmed",
        PublishError::Unavailable { .. } => "unavailable",
        PublishError::TooLarge { .. } => "too_large",
    };
    metrics::counter!(names::PUBLISH_FAILED, "reason" => reason).increment(1);
    let saga_id = id.saga;
    match error {
        PublishError::Unavailable { .. } => {
            tracing::debug!(%saga_id, command = %id, %error, "a command stands");
            Taken::No
        }
        PublishError::Unroutable { .. } | PublishError::NotConfirmed { .. } => {
            tracing::warn!(%saga_id, command = %id, %error, "a command is not taken by the broker");
            Taken::No
        }
        PublishError::TooLarge { .. } => {
            tracing::error!(%saga_id, command = %id, %error, "a command is too large for the broker");
            Taken::Never(error.to_string())
        }
    }
}

//! The task that does a lane's work after a commit: it publishes commands, sends messages and acknowledges deliveries,
//! all of which overlaps the next turn's commit.
//!
//! The journal is the outbox, and this task keeps nothing: it reports the fate of every command to the lane, whose flow
//! control decides what is sent again and when. If this process dies, the shard's next owner resumes from the journal.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use contract::CommandId;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use messaging::{Acker, PublishError};
use tokio::{
    sync::{mpsc, oneshot},
    task::AbortHandle,
    time::Instant,
};

use super::after_commit::{AfterCommit, Command};
use crate::{names, shared::Shared};

/// Publishes under way at once: enough that a slow confirm does not hold the next batch up.
const PUBLISHES_MAX: usize = 8;

/// Submissions that wait for a place. A lane that runs further ahead of its broker than this waits.
const SUBMISSIONS_MAX: usize = 64;

/// Messages in one publish.
const PUBLISH_BATCH_MAX: usize = 512;

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

/// The number of deliveries of the shard's queue that were taken and not acknowledged.
pub(super) type Unacknowledged = Arc<AtomicUsize>;

/// The lane's side. Dropping it ends the task at once.
pub(super) struct Publisher {
    shared: Arc<Shared>,
    submissions: mpsc::Sender<Submission>,
    task: AbortHandle,
}

enum Submission {
    AfterCommit(AfterCommit),
    /// Answer when nothing is under way any more.
    Flush(oneshot::Sender<()>),
}

impl Publisher {
    /// Starts the task. The reports are bounded by the commands that flow control lets go.
    pub(super) fn start(
        shared: Arc<Shared>,
        acker: Acker,
        unacknowledged: Unacknowledged,
    ) -> (Self, mpsc::UnboundedReceiver<PublishReport>) {
        let (submissions, received) = mpsc::channel(SUBMISSIONS_MAX);
        let (reports, reported) = mpsc::unbounded_channel();
        let under_way = FuturesUnordered::new();
        let task = Task { shared: Arc::clone(&shared), acker, unacknowledged, reports, under_way };
        let task = tokio::spawn(task.run(received)).abort_handle();
        (Self { shared, submissions, task }, reported)
    }

    /// Hands the work over; waits while too much is before it. Requests of this process are answered at once.
    pub(super) async fn submit(&self, mut work: AfterCommit) {
        for answer in work.own_answers.drain(..) {
            self.shared.pending_requests.answer(answer);
        }
        if !work.is_empty() {
            // The task ends only with this handle.
            self.submissions.send(Submission::AfterCommit(work)).await.ok();
        }
    }

    /// Waits until everything that was submitted is done, or the broker has not taken it.
    pub(super) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.submissions.send(Submission::Flush(done)).await.is_ok() {
            flushed.await.ok();
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Task {
    shared: Arc<Shared>,
    acker: Acker,
    unacknowledged: Unacknowledged,
    reports: mpsc::UnboundedSender<PublishReport>,
    under_way: FuturesUnordered<BoxFuture<'static, ()>>,
}

impl Task {
    async fn run(mut self, mut submissions: mpsc::Receiver<Submission>) {
        let mut flushes: Vec<oneshot::Sender<()>> = Vec::new();
        loop {
            if self.under_way.is_empty() {
                for done in flushes.drain(..) {
                    done.send(()).ok();
                }
            }
            let free = self.under_way.len() < PUBLISHES_MAX;
            tokio::select! {
                Some(()) = self.under_way.next() => {}
                submission = submissions.recv(), if free => match submission {
                    None => return,
                    Some(submission) => self.take(submission, &mut submissions, &mut flushes),
                },
            }
        }
    }

    /// Takes a submission and all that came behind it into as few publishes as they fit in.
    fn take(
        &mut self,
        first: Submission,
        submissions: &mut mpsc::Receiver<Submission>,
        flushes: &mut Vec<oneshot::Sender<()>>,
    ) {
        let mut work = AfterCommit::default();
        let mut next = Some(first);
        while let Some(submission) = next {
            match submission {
                Submission::AfterCommit(more) => work.append(more),
                Submission::Flush(done) => flushes.push(done),
            }
            next = if work.commands.len() < PUBLISH_BATCH_MAX { submissions.try_recv().ok() } else { None };
        }
        self.publish(work);
    }

    fn publish(&mut self, work: AfterCommit) {
        if work.is_empty() {
            return;
        }
        let (shared, acker) = (Arc::clone(&self.shared), self.acker.clone());
        let (reports, unacknowledged) = (self.reports.clone(), Arc::clone(&self.unacknowledged));
        let under_way = async move {
            let AfterCommit { commands, messages, acks, dead, own_answers: _ } = work;
            let publish = async {
                if !commands.is_empty() || !messages.is_empty() {
                    publish(&shared, commands, messages, &reports).await;
                }
            };
            let acknowledge = async {
                acker.ack(&acks).await;
                for (delivery, reason) in &dead {
                    acker.dead_letter(delivery, reason).await;
                }
                unacknowledged.fetch_sub(acks.len() + dead.len(), Ordering::Relaxed);
            };
            tokio::join!(publish, acknowledge);
        };
        self.under_way.push(under_way.boxed());
    }
}

/// Publishes, and tells the lane what became of each command.
async fn publish(
    shared: &Shared,
    commands: Vec<Command>,
    messages: Vec<messaging::Outgoing>,
    reports: &mpsc::UnboundedSender<PublishReport>,
) {
    let since = Instant::now();
    let (ids, mut batch): (Vec<_>, Vec<_>) =
        commands.into_iter().map(|command| ((command.id, command.attempt), command.outgoing)).unzip();
    // The messages stand behind the commands, so that the results of the commands come first.
    batch.extend(messages);
    let results = shared.broker.publish(batch).await;
    if ids.is_empty() {
        return;
    }
    let at = Instant::now();
    metrics::histogram!(names::PUBLISH_SECONDS).record(at - since);
    let commands = ids.into_iter().zip(results).map(|((id, attempt), result)| {
        let taken = taken(&id, result);
        (id, attempt, taken)
    });
    // The lane may have ended meanwhile.
    reports.send(PublishReport { at, commands: commands.collect() }).ok();
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

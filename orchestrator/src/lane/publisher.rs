//! The task that does a lane's work after a commit: it publishes commands, sends messages and acknowledges deliveries,
//! all of which overlaps the next turn's commit.
//!
//! The journal is the outbox. A command that the broker does not take stays here and is sent again, until its reply's
//! deadline has passed and the step's own retry takes over; if this process dies, the shard's next owner resumes from
//! the journal. So nothing in here has to be kept, only to be tried.

use std::{
    collections::{HashMap, hash_map},
    sync::Arc,
    time::Duration,
};

use contract::CommandId;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use messaging::{Acker, BrokerState, PublishError};
use tokio::{
    sync::{mpsc, oneshot, watch},
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

/// The first pause before unpublished commands are tried again.
const AGAIN_MIN: Duration = Duration::from_millis(100);
/// The longest one. A worker's queue that appears is found within it.
const AGAIN_MAX: Duration = Duration::from_secs(5);

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
    pub(super) fn start(shared: Arc<Shared>, acker: Acker) -> Self {
        let (submissions, received) = mpsc::channel(SUBMISSIONS_MAX);
        let broker = shared.broker.state();
        let task = Task {
            shared: Arc::clone(&shared),
            acker,
            broker,
            under_way: FuturesUnordered::new(),
            waiting: HashMap::new(),
            again: Again::default(),
        };
        let task = tokio::spawn(task.run(received)).abort_handle();
        Self { shared, submissions, task }
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

    /// Waits until everything that was submitted is done or waits for the broker.
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
    broker: watch::Receiver<BrokerState>,
    under_way: FuturesUnordered<BoxFuture<'static, Published>>,
    /// Committed and not taken by the broker. A newer attempt replaces the older one.
    waiting: HashMap<CommandId, Command>,
    again: Again,
}

/// The end of a publish, with the commands that may have to be repeated.
struct Published {
    commands: Vec<Command>,
    results: Vec<Result<(), PublishError>>,
    again: bool,
    since: Instant,
}

/// The time of the next attempt with unpublished commands.
#[derive(Debug, Default)]
struct Again {
    pause: Duration,
    at: Option<Instant>,
}

impl Again {
    fn later(&mut self) {
        self.pause = (self.pause * 2).clamp(AGAIN_MIN, AGAIN_MAX);
        self.at = Some(Instant::now() + self.pause);
    }

    fn now(&mut self) {
        self.pause = Duration::ZERO;
        self.at = Some(Instant::now());
    }
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
            let again = self.again.at.filter(|_| free && !self.waiting.is_empty());
            tokio::select! {
                Some(published) = self.under_way.next() => self.published(published),
                submission = submissions.recv(), if free => match submission {
                    None => return,
                    Some(submission) => self.take(submission, &mut submissions, &mut flushes),
                },
                () = sleep_until(again), if again.is_some() => self.publish_again(),
                changed = self.broker.changed() => match changed {
                    Ok(()) if *self.broker.borrow_and_update() == BrokerState::Connected => self.again.now(),
                    Ok(()) => {}
                    // The broker's client is gone, and this task with it soon.
                    Err(_) => std::future::pending().await,
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
        if !self.waiting.is_empty() {
            // A newer attempt makes the copy that still waits pointless.
            let before = self.waiting.len();
            work.commands.iter().for_each(|command| drop(self.waiting.remove(&command.id)));
            self.count_waiting(-isize::try_from(before - self.waiting.len()).unwrap_or(0));
        }
        self.publish(work, false);
    }

    fn publish(&mut self, work: AfterCommit, again: bool) {
        if work.is_empty() {
            return;
        }
        let (shared, acker, since) = (Arc::clone(&self.shared), self.acker.clone(), Instant::now());
        let under_way = async move {
            let AfterCommit { commands, messages, acks, dead, own_answers: _ } = work;
            // The messages stand behind the commands, so that the results of the commands come first.
            let batch: Vec<_> = commands.iter().map(|command| command.outgoing.clone()).chain(messages).collect();
            let publish = async { if batch.is_empty() { Vec::new() } else { shared.broker.publish(batch).await } };
            let acknowledge = async {
                acker.ack(&acks).await;
                for (delivery, reason) in &dead {
                    acker.dead_letter(delivery, reason).await;
                }
            };
            let (results, ()) = tokio::join!(publish, acknowledge);
            Published { commands, results, again, since }
        };
        self.under_way.push(under_way.boxed());
    }

    /// A publish has ended: the commands that the broker did not take are kept.
    fn published(&mut self, published: Published) {
        let Published { commands, results, again, since } = published;
        let (mut sent, mut failed) = (0_usize, 0_usize);
        for (command, result) in commands.into_iter().zip(results) {
            match result {
                Ok(()) => sent += 1,
                Err(error) => {
                    failed += 1;
                    self.keep(command, &error);
                }
            }
        }
        if sent > 0 {
            metrics::histogram!(names::PUBLISH_SECONDS).record(since.elapsed());
        }
        if failed == 0 && again {
            // What was in the way is gone: the rest goes without a pause.
            self.again.now();
        } else if failed > 0 && (again || self.again.at.is_none()) {
            self.again.later();
        }
        if self.waiting.is_empty() {
            self.again = Again::default();
        }
    }

    fn keep(&mut self, command: Command, error: &PublishError) {
        let reason = match error {
            PublishError::Unroutable { .. } => "unroutable",
            PublishError::NotConfirmed { .. } => "not_confirmed",
            PublishError::Unavailable { .. } => "unavailable",
            PublishError::TooLarge { .. } => "too_large",
        };
        metrics::counter!(names::PUBLISH_FAILED, "reason" => reason).increment(1);
        let saga_id = command.id.saga;
        match error {
            PublishError::Unavailable { .. } => tracing::debug!(%saga_id, command = %command.id, %error, "kept"),
            PublishError::Unroutable { .. } | PublishError::NotConfirmed { .. } | PublishError::TooLarge { .. } => {
                tracing::warn!(%saga_id, command = %command.id, %error, "a command is not taken by the broker");
            }
        }
        let full = self.waiting.len() >= self.shared.settings.limits.unpublished_max;
        if matches!(error, PublishError::TooLarge { .. }) || full {
            return;
        }
        if keep_newest(&mut self.waiting, command) {
            self.count_waiting(1);
        }
    }

    fn publish_again(&mut self) {
        self.again.at = None;
        let now = self.shared.clock.now();
        let before = self.waiting.len();
        self.waiting.retain(|_, command| command.deadline > now);
        let chosen: Vec<_> = self.waiting.keys().take(PUBLISH_BATCH_MAX).cloned().collect();
        let commands: Vec<_> = chosen.iter().filter_map(|id| self.waiting.remove(id)).collect();
        self.count_waiting(isize::try_from(self.waiting.len()).unwrap_or(0) - isize::try_from(before).unwrap_or(0));
        self.publish(AfterCommit { commands, ..AfterCommit::default() }, true);
    }

    fn count_waiting(&self, change: isize) {
        self.shared.admission.count_unpublished(change);
        let amount = f64::from(i32::try_from(change.abs()).unwrap_or(i32::MAX));
        let gauge = metrics::gauge!(names::UNPUBLISHED);
        if change >= 0 { gauge.increment(amount) } else { gauge.decrement(amount) }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.count_waiting(-isize::try_from(self.waiting.len()).unwrap_or(0));
    }
}

/// Keeps a command that is to be sent again; true when none of its id was kept yet. Publishes end in any order: one of
/// an earlier attempt must not take the place of a later one.
fn keep_newest(waiting: &mut HashMap<CommandId, Command>, command: Command) -> bool {
    match waiting.entry(command.id.clone()) {
        hash_map::Entry::Vacant(place) => {
            place.insert(command);
            true
        }
        hash_map::Entry::Occupied(mut kept) => {
            if kept.get().deadline < command.deadline {
                kept.insert(command);
            }
            false
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};
    use contract::{StepName, step::Op};
    use messaging::{Message, Outgoing};

    use super::*;

    #[test]
    fn an_earlier_attempt_that_fails_late_does_not_replace_a_later_one() {
        let step = StepName::new("hold-room").unwrap();
        let id = CommandId { saga: kit::ids::saga_id(0, 1), step, op: Op::Action, generation: 1 };
        let attempt = |seconds| {
            let outgoing = Outgoing::command("order", Message::new(format!("m{seconds}"), "kind", "{}"));
            Command { id: id.clone(), deadline: DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds), outgoing }
        };
        let mut waiting = HashMap::new();
        assert!(keep_newest(&mut waiting, attempt(20)));
        assert!(!keep_newest(&mut waiting, attempt(10)));
        assert_eq!(waiting[&id].deadline, attempt(20).deadline);
        assert!(!keep_newest(&mut waiting, attempt(30)));
        assert_eq!(waiting[&id].outgoing.message.message_id, "m30");
    }
}

//! What a lane does after a commit: publish commands, send notes, acknowledge deliveries. A task of its own, so that
//! all of it overlaps the next batch's commit.
//!
//! The journal is the outbox. A command that the broker does not take stays here and is sent again, until its reply's
//! deadline has passed and the step's own retry takes over; if this process dies, the shard's next owner resumes from
//! the journal. So nothing in here has to be kept, only to be tried.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use contract::CommandId;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use messaging::{Acker, Delivery, Outgoing, PublishError};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::AbortHandle,
    time::Instant,
};

use crate::{names, shared::Shared};

/// Publishes under way at once: enough that a slow confirm does not hold the next batch up.
const PUBLISHES_MAX: usize = 8;

/// Jobs that wait for a place. A lane that runs further ahead of its broker than this waits.
const JOBS_MAX: usize = 64;

/// Messages in one publish.
const PUBLISH_BATCH_MAX: usize = 512;

/// The first pause before unpublished commands are tried again.
const AGAIN_MIN: Duration = Duration::from_millis(100);
/// The longest one. A worker's queue that appears is found within it.
const AGAIN_MAX: Duration = Duration::from_secs(5);

/// What is to be done after a commit.
#[derive(Debug, Default)]
pub(super) struct Job {
    /// Committed commands.
    pub(super) commands: Vec<Command>,
    /// Notes to orchestrators, sent once: whoever misses one asks again.
    pub(super) notes: Vec<Outgoing>,
    /// Deliveries that are done with.
    pub(super) acks: Vec<Delivery>,
    /// Deliveries that nobody can handle, with the reason.
    pub(super) dead: Vec<(Delivery, String)>,
}

/// One command on its way out.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) id: CommandId,
    /// Past it the step is asked again under a new attempt, and this copy would only be refused as expired.
    pub(super) deadline: DateTime<Utc>,
    pub(super) outgoing: Outgoing,
}

impl Job {
    fn is_empty(&self) -> bool {
        self.commands.is_empty() && self.notes.is_empty() && self.acks.is_empty() && self.dead.is_empty()
    }

    fn append(&mut self, mut more: Self) {
        self.commands.append(&mut more.commands);
        self.notes.append(&mut more.notes);
        self.acks.append(&mut more.acks);
        self.dead.append(&mut more.dead);
    }
}

/// The lane's side. Dropping it ends the task at once.
#[derive(Debug)]
pub(super) struct Publisher {
    jobs: mpsc::Sender<Order>,
    task: AbortHandle,
}

enum Order {
    Job(Job),
    /// Answer when nothing is under way any more.
    Flush(oneshot::Sender<()>),
}

impl Publisher {
    pub(super) fn start(shared: Arc<Shared>, acker: Acker) -> Self {
        let (jobs, orders) = mpsc::channel(JOBS_MAX);
        let connected = shared.broker.connected();
        let task = Task {
            shared,
            acker,
            connected,
            under_way: FuturesUnordered::new(),
            waiting: HashMap::new(),
            again: Again::default(),
        };
        let task = tokio::spawn(task.run(orders)).abort_handle();
        Self { jobs, task }
    }

    /// Hands a job over; waits while too many are before it.
    pub(super) async fn submit(&self, job: Job) {
        if !job.is_empty() {
            // The task ends only with this handle.
            self.jobs.send(Order::Job(job)).await.ok();
        }
    }

    /// Waits until everything that was submitted is done or waits for the broker.
    pub(super) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.jobs.send(Order::Flush(done)).await.is_ok() {
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
    connected: watch::Receiver<bool>,
    under_way: FuturesUnordered<BoxFuture<'static, Published>>,
    /// Committed and not taken by the broker. A newer attempt replaces the older one.
    waiting: HashMap<CommandId, Command>,
    again: Again,
}

/// How a publish ended, with what is needed to repeat it.
struct Published {
    commands: Vec<Command>,
    results: Vec<Result<(), PublishError>>,
    again: bool,
    since: Instant,
}

/// When unpublished commands are tried next.
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
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
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
                Some(published) = self.under_way.next() => self.settle(published),
                order = orders.recv(), if free => match order {
                    None => return,
                    Some(order) => self.take(order, &mut orders, &mut flushes),
                },
                () = sleep_until(again), if again.is_some() => self.publish_again(),
                changed = self.connected.changed() => match changed {
                    Ok(()) if *self.connected.borrow_and_update() => self.again.now(),
                    Ok(()) => {}
                    // The broker's client is gone, and this task with it soon.
                    Err(_) => std::future::pending().await,
                },
            }
        }
    }

    /// Takes an order and all that came behind it into as few publishes as they fit in.
    fn take(&mut self, first: Order, orders: &mut mpsc::Receiver<Order>, flushes: &mut Vec<oneshot::Sender<()>>) {
        let mut job = Job::default();
        let mut next = Some(first);
        while let Some(order) = next {
            match order {
                Order::Job(more) => job.append(more),
                Order::Flush(done) => flushes.push(done),
            }
            next = if job.commands.len() < PUBLISH_BATCH_MAX { orders.try_recv().ok() } else { None };
        }
        if !self.waiting.is_empty() {
            // A newer attempt makes the copy that still waits pointless.
            let before = self.waiting.len();
            job.commands.iter().for_each(|command| drop(self.waiting.remove(&command.id)));
            self.count_waiting(-isize::try_from(before - self.waiting.len()).unwrap_or(0));
        }
        self.publish(job, false);
    }

    fn publish(&mut self, job: Job, again: bool) {
        if job.is_empty() {
            return;
        }
        let (shared, acker, since) = (Arc::clone(&self.shared), self.acker.clone(), Instant::now());
        let work = async move {
            let Job { commands, notes, acks, dead } = job;
            // The notes stand behind the commands, so that the results of the commands come first.
            let batch: Vec<_> = commands.iter().map(|command| command.outgoing.clone()).chain(notes).collect();
            let publish = async { if batch.is_empty() { Vec::new() } else { shared.broker.publish(batch).await } };
            let settle = async {
                acker.ack(&acks).await;
                for (delivery, reason) in &dead {
                    acker.dead_letter(delivery, reason).await;
                }
            };
            let (results, ()) = tokio::join!(publish, settle);
            Published { commands, results, again, since }
        };
        self.under_way.push(work.boxed());
    }

    fn settle(&mut self, published: Published) {
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
        self.publish(Job { commands, ..Job::default() }, true);
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
        Entry::Vacant(place) => {
            place.insert(command);
            true
        }
        Entry::Occupied(mut kept) => {
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
    use chrono::TimeDelta;
    use contract::{StepName, step::Op};
    use messaging::Message;

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

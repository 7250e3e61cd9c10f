//! A lane: the one task that advances the sagas of one shard.
//!
//! ```text
//!  gather   what has arrived: replies and notes, starts, due timers        (waits only when there is nothing)
//!  decide   each input, in memory                                          turn.rs
//!  commit   all records of the batch, one a saga                           commit.rs
//!  submit   commands, acknowledgements, answers to the publisher           publisher.rs, overlaps the next commit
//! ```
//!
//! Nothing that was decided is kept before its commit: on a taken number the saga is loaded again, and after an error
//! of the journal the whole lane ends, is owned anew, and loads what the journal holds. Deliveries are acknowledged
//! after the commit, so whatever is lost on the way comes again.

mod batch;
mod commit;
mod memory;
mod publisher;
mod recovery;
mod timers;
mod turn;
mod watches;

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use contract::SagaId;
use futures::FutureExt;
use journal::{JournalError, LaneJournal};
use messaging::{BrokerError, Delivery, QueueName, Subscription};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use self::{batch::Heard, memory::Memory, publisher::Publisher, recovery::Recovery, timers::Timers, watches::Watches};
use crate::{
    messages::wire::RequestId,
    shared::Shared,
    starts::lanes::{LaneAnswer, LaneHandle, StartRequest},
};

/// How long the clock is not heard after a lane begins and after the broker comes back: the replies that waited in the
/// queue meanwhile come first, and a step that was answered in time is not asked again.
const QUIET: Duration = Duration::from_secs(1);

/// The longest sleep. A wall clock that is set forward is noticed within it.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// Between attempts to subscribe to the shard's queue.
const SUBSCRIBE_AGAIN: Duration = Duration::from_millis(500);

/// Acts remembered against redelivery: far more than operators send within a broker's reconnect.
const ACTS_MAX: usize = 1_024;

/// How long the deliveries of an ended lane may take to go back to the queue.
const CANCEL_WAIT: Duration = Duration::from_secs(5);

/// Why a lane ended.
#[derive(Debug)]
pub(crate) enum LaneEnd {
    /// It was told to, and left everything in order.
    Released,
    /// Something broke. The shard is to be owned anew.
    Lost { reason: &'static str, detail: String },
}

/// What breaks a lane.
#[derive(Debug, thiserror::Error)]
enum Lost {
    /// The outcome of an append is unknown, or nothing can be read.
    #[error("the journal failed")]
    Journal(#[source] JournalError),
    /// The session that owned the shard is over.
    #[error("the ownership of the shard is lost")]
    Session,
    /// Another writer is faster again and again: somebody else serves this shard.
    #[error("saga {0} is written by somebody else")]
    Contended(SagaId),
    /// The broker's client was closed.
    #[error("the broker's client was closed")]
    BrokerClosed,
}

impl Lost {
    const fn reason(&self) -> &'static str {
        match self {
            Self::Journal(_) => "journal",
            Self::Session => "session",
            Self::Contended(_) => "contended",
            Self::BrokerClosed => "broker_closed",
        }
    }
}

/// Everything that has arrived for one batch.
#[derive(Debug, Default)]
struct Gathered {
    deliveries: Vec<Delivery>,
    starts: Vec<StartRequest>,
    due: Vec<SagaId>,
}

struct Lane {
    shared: Arc<Shared>,
    shard: u16,
    /// The shard's queue: where replies are to be sent.
    queue: QueueName,
    journal: Box<dyn LaneJournal>,
    replies: Subscription,
    starts: mpsc::Receiver<StartRequest>,
    connected: watch::Receiver<bool>,
    publisher: Publisher,
    memory: Memory,
    timers: Timers,
    watches: Watches,
    recovery: Recovery,
    /// Inputs of sagas that are to be loaded again.
    carried: Vec<Heard>,
    /// Starts whose key another start of the batch before had.
    carried_starts: Vec<StartRequest>,
    /// Sagas whose committed commands may not have been published by this lane.
    doubtful: HashSet<SagaId>,
    quiet_until: Instant,
    /// Acts that were committed here, so that a redelivered one is not carried out twice.
    acts: VecDeque<RequestId>,
}

/// Serves a shard with the session that owns it, until the token is cancelled or something breaks.
pub(crate) async fn run(shared: Arc<Shared>, journal: Box<dyn LaneJournal>, release: CancellationToken) -> LaneEnd {
    let shard = journal.shard();
    let queue = QueueName::replies(shard);
    let replies = match release.run_until_cancelled(subscribe(&shared, &queue)).await {
        Some(Ok(replies)) => replies,
        Some(Err(lost)) => return lost.into(),
        None => {
            release_session(journal).await;
            return LaneEnd::Released;
        }
    };
    let (sender, starts) = mpsc::channel(shared.settings.limits.queued_starts_max);
    let listed = Listed { shared: Arc::clone(&shared), shard };
    let lane = Lane {
        shard,
        queue,
        journal,
        starts,
        connected: shared.broker.connected(),
        publisher: Publisher::start(Arc::clone(&shared), replies.acker()),
        replies,
        memory: Memory::new(shared.settings.limits.lane_memory_sagas_max, Arc::clone(&shared.admission)),
        timers: Timers::default(),
        watches: Watches::default(),
        recovery: Recovery::default(),
        carried: Vec::new(),
        carried_starts: Vec::new(),
        doubtful: HashSet::new(),
        quiet_until: Instant::now() + QUIET,
        acts: VecDeque::new(),
        shared,
    };
    listed.shared.lanes.add(LaneHandle { shard, starts: sender, release: release.clone() });
    lane.live(release, listed).await
}

/// The lane's place in the table, given up however the lane ends.
struct Listed {
    shared: Arc<Shared>,
    shard: u16,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.shared.lanes.remove(self.shard);
        turn::count_timers(self.shard, 0);
    }
}

impl Lane {
    async fn live(mut self, release: CancellationToken, listed: Listed) -> LaneEnd {
        let lost = loop {
            let gathered = tokio::select! {
                biased;
                () = release.cancelled() => {
                    drop(listed);
                    return self.end().await;
                }
                gathered = self.gather() => gathered,
            };
            let turned = match gathered {
                Ok(gathered) => self.turn(gathered).await,
                Err(lost) => Err(lost),
            };
            if let Err(lost) = turned {
                break lost;
            }
        };
        drop(listed);
        self.abandon(lost).await
    }

    /// Waits until there is something to do, then takes all that is there. Nothing is lost when it is dropped while it
    /// waits.
    async fn gather(&mut self) -> Result<Gathered, Lost> {
        let inputs_max = self.shared.settings.limits.batch_inputs_max;
        let mut gathered = Gathered::default();
        if self.carried.is_empty() && self.carried_starts.is_empty() && self.recovery.is_done() {
            let wake_in = self.wake_in();
            tokio::select! {
                biased;
                deliveries = self.replies.next_batch(inputs_max) => {
                    gathered.deliveries = deliveries.ok_or(Lost::BrokerClosed)?;
                }
                Some(start) = self.starts.recv() => gathered.starts.push(start),
                Ok(()) = self.connected.changed() => self.quiet_until = Instant::now() + QUIET,
                () = tokio::time::sleep(wake_in) => {}
                () = self.journal.lost() => return Err(Lost::Session),
            }
        }
        if gathered.deliveries.is_empty() {
            gathered.deliveries = match self.replies.next_batch(inputs_max).now_or_never() {
                Some(deliveries) => deliveries.ok_or(Lost::BrokerClosed)?,
                None => Vec::new(),
            };
        }
        while gathered.starts.len() < inputs_max
            && let Ok(start) = self.starts.try_recv()
        {
            gathered.starts.push(start);
        }
        if self.clock_is_heard() {
            gathered.due = self.timers.take_due(self.shared.clock.now(), inputs_max);
        }
        Ok(gathered)
    }

    /// Whether due timers count now. While the broker is away nothing can be answered, so nothing is overdue.
    fn clock_is_heard(&mut self) -> bool {
        if self.connected.has_changed().unwrap_or(false) {
            self.connected.mark_unchanged();
            self.quiet_until = Instant::now() + QUIET;
        }
        *self.connected.borrow() && Instant::now() >= self.quiet_until
    }

    fn wake_in(&self) -> Duration {
        if !*self.connected.borrow() {
            return SLEEP_MAX;
        }
        let Some(due) = self.timers.next() else { return SLEEP_MAX };
        let due_in = (due - self.shared.clock.now()).to_std().unwrap_or(Duration::ZERO);
        due_in.max(self.quiet_until.saturating_duration_since(Instant::now())).min(SLEEP_MAX)
    }

    /// Ends in order: what was accepted is committed, what was committed is published, the shard is given up.
    async fn end(mut self) -> LaneEnd {
        self.recovery = Recovery::finished();
        self.starts.close();
        loop {
            let mut gathered = Gathered::default();
            while let Ok(start) = self.starts.try_recv() {
                gathered.starts.push(start);
            }
            if gathered.starts.is_empty() && self.carried_starts.is_empty() {
                break;
            }
            if let Err(lost) = self.turn(gathered).await {
                return self.abandon(lost).await;
            }
        }
        if tokio::time::timeout(self.shared.settings.limits.drain, self.publisher.flush()).await.is_err() {
            tracing::warn!(shard = self.shard, "not everything is published; the next owner publishes it");
        }
        tokio::time::timeout(CANCEL_WAIT, self.replies.cancel()).await.ok();
        release_session(self.journal).await;
        LaneEnd::Released
    }

    /// Ends after something broke. Nothing is kept: the journal knows what is true, the queue hands out again.
    async fn abandon(mut self, lost: Lost) -> LaneEnd {
        self.starts.close();
        while let Ok(start) = self.starts.try_recv() {
            start.answer.send(LaneAnswer::NotTaken).ok();
        }
        for start in self.carried_starts.drain(..) {
            start.answer.send(LaneAnswer::NotTaken).ok();
        }
        // What earlier batches committed may still go out; the next owner sends it again anyway.
        tokio::time::timeout(CANCEL_WAIT, self.publisher.flush()).await.ok();
        tokio::time::timeout(CANCEL_WAIT, self.replies.cancel()).await.ok();
        lost.into()
    }
}

impl From<Lost> for LaneEnd {
    fn from(lost: Lost) -> Self {
        Self::Lost { reason: lost.reason(), detail: kit::settings::error_chain(&lost) }
    }
}

async fn subscribe(shared: &Shared, queue: &QueueName) -> Result<Subscription, Lost> {
    loop {
        match shared.broker.subscribe(queue, shared.settings.limits.prefetch).await {
            Ok(subscription) => return Ok(subscription),
            Err(BrokerError::Closed) => return Err(Lost::BrokerClosed),
            Err(error) => {
                let error = kit::settings::error_chain(&error);
                tracing::warn!(%queue, error, "cannot subscribe yet");
                tokio::time::sleep(SUBSCRIBE_AGAIN).await;
            }
        }
    }
}

async fn release_session(journal: Box<dyn LaneJournal>) {
    let shard = journal.shard();
    if let Err(error) = journal.release().await {
        // The connection is closed either way, and with it the ownership.
        tracing::warn!(shard, error = kit::settings::error_chain(&error), "the shard was given up the hard way");
    }
}

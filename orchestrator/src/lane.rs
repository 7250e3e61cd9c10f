//! A lane: the one task that advances the sagas of one shard.
//!
//! ```text
//!  gather   the inputs that have arrived: messages, starts, due timers   inbox.rs, waits only when there is nothing
//!  decide   each input, in memory                                        turn.rs
//!  commit   all records of the turn, one a saga                          commit.rs
//!  submit   commands, acknowledgments, answers                           publisher.rs, overlaps the next commit
//!  release  commands that a domain has room for again                    flow.rs, release.rs
//! ```
//!
//! Nothing that was decided is kept before its commit: on a taken number the saga is loaded again, and after an error
//! of the journal the whole lane ends, is owned anew, and loads the journal. Deliveries are acknowledged after the
//! commit, so an input that is lost on the way comes again.

mod after_commit;
mod batch;
mod children;
mod commit;
mod flow;
mod inbox;
mod input;
mod loading;
mod lost;
mod memory;
mod orphan_search;
mod orphans;
mod pace;
mod paused;
mod pauses;
mod publisher;
mod quarantine;
mod recovery;
mod release;
mod retrying;
mod sagas;
mod standing;
mod stands;
mod timers;
mod turn;
mod unacknowledged;
mod watches;

use std::{sync::Arc, time::Duration};

use journal::LaneJournal;
use messaging::QueueName;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use self::{
    after_commit::AfterCommit,
    commit::CommittedTurn,
    inbox::{Gathered, Inbox},
    lost::Lost,
    pace::Pace,
    publisher::Publisher,
    sagas::Sagas,
    timers::Now,
    turn::Turn,
    unacknowledged::Unacknowledged,
};
use crate::{
    shared::Shared,
    starts::lanes::{LaneAnswer, LaneHandle},
};

/// How long the deliveries of an ended lane may take to go back to the queue.
const CANCEL_WAIT: Duration = Duration::from_secs(5);

/// The end of a lane, in order or not.
#[derive(Debug)]
pub(crate) enum LaneEnd {
    /// It was told to, and left everything in order.
    Released,
    /// Something broke. The shard is to be owned anew.
    Lost { reason: &'static str, detail: String },
}

impl From<Lost> for LaneEnd {
    fn from(lost: Lost) -> Self {
        Self::Lost { reason: lost.reason(), detail: kit::settings::error_chain(&lost) }
    }
}

struct Lane {
    shared: Arc<Shared>,
    journal: Box<dyn LaneJournal>,
    inbox: Inbox,
    sagas: Sagas,
    publisher: Publisher,
    pace: Pace,
}

/// Serves a shard with the session that owns it, until the token is cancelled or something breaks.
pub(crate) async fn run(shared: Arc<Shared>, journal: Box<dyn LaneJournal>, release: CancellationToken) -> LaneEnd {
    let shard = journal.shard();
    let queue = QueueName::replies(shard);
    let mut forsaken = shared.forsaken.subscribe();
    let replies = tokio::select! {
        replies = shared.broker.subscribe_with_retry(&queue, shared.settings.limits.prefetch) => match replies {
            Some(replies) => replies,
            None => return Lost::BrokerClosed.into(),
        },
        () = is_forsaken(&mut forsaken, shard) => return Lost::BrokerAway.into(),
        () = release.cancelled() => {
            release_session(journal).await;
            return LaneEnd::Released;
        }
    };
    let (sender, starts) = mpsc::channel(shared.settings.limits.queued_starts_max);
    let listed = Listed { shared: Arc::clone(&shared), shard };
    let unacknowledged = Unacknowledged::new(Arc::clone(&shared.admission));
    let lane = Lane {
        publisher: Publisher::new(Arc::clone(&shared), replies.acker(), Arc::clone(&unacknowledged)),
        pace: Pace::default(),
        inbox: Inbox::new(Arc::clone(&shared), replies, unacknowledged, starts),
        sagas: Sagas::new(Arc::clone(&shared), shard),
        journal,
        shared,
    };
    listed.shared.lanes.add(LaneHandle { shard, starts: sender, release: release.clone() });
    lane.live(release, forsaken, listed).await
}

/// The lane's place in the table, given up however the lane ends.
struct Listed {
    shared: Arc<Shared>,
    shard: u16,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.shared.lanes.remove(self.shard);
    }
}

impl Lane {
    async fn live(
        mut self,
        release: CancellationToken,
        mut forsaken: watch::Receiver<Vec<u16>>,
        listed: Listed,
    ) -> LaneEnd {
        let shard = self.journal.shard();
        let lost = loop {
            // A turn may wait for a broker that takes nothing, so it is left too; the journal knows what it committed.
            let turned = tokio::select! {
                biased;
                () = is_forsaken(&mut forsaken, shard) => Err(Lost::BrokerAway),
                turned = self.next_turn(&release) => turned,
            };
            match turned {
                Ok(true) => {}
                Ok(false) => {
                    drop(listed);
                    return self.end().await;
                }
                Err(lost) => break lost,
            }
        };
        drop(listed);
        self.abandon(lost).await
    }

    /// Gathers and takes one turn; false when the lane is told to end in order.
    async fn next_turn(&mut self, release: &CancellationToken) -> Result<bool, Lost> {
        self.publisher.alongside(self.sagas.learn_pauses(&mut *self.journal)).await?;
        self.publisher.alongside(self.sagas.begin_recovery(&mut *self.journal)).await?;
        let Some(arrived) = release.run_until_cancelled(self.wait()).await else { return Ok(false) };
        let gathered = self.gather(arrived?).await?;
        self.turn(gathered).await.map(|()| true)
    }

    /// Waits until there is something to do. Nothing is lost when it is dropped while it waits.
    async fn wait(&mut self) -> Result<Gathered, Lost> {
        let since = Instant::now();
        let mut arrived = Gathered::default();
        while self.sagas.may_wait() {
            tokio::select! {
                biased;
                first = self.inbox.wait(self.sagas.next_due()) => {
                    arrived = first?;
                    break;
                }
                () = self.publisher.reported() => {
                    self.sagas.note(self.publisher.take_reports());
                    self.sagas.report();
                }
                () = self.sagas.pauses.changed() => break,
                () = self.journal.lost() => return Err(Lost::Session),
            }
        }
        self.pace.waited(since.elapsed());
        Ok(arrived)
    }

    /// Takes all that is there; a saturated lane lets more come first.
    async fn gather(&mut self, arrived: Gathered) -> Result<Gathered, Lost> {
        let more = self.pace.wait_for_more(arrived.inputs(), self.shared.settings.limits.batch_inputs_max);
        if !more.is_zero() {
            self.publisher.alongside(sleep(more)).await;
        }
        self.sagas.note(self.publisher.take_reports());
        self.inbox.take_all(arrived, &mut self.sagas.timers)
    }

    /// One turn, from the inputs that were gathered to the work that follows their commit.
    async fn turn(&mut self, gathered: Gathered) -> Result<(), Lost> {
        let (inputs, since) = (gathered.inputs(), Instant::now());
        let Self { shared, journal, sagas, publisher, .. } = self;
        let mut turn = Turn::new(sagas, Now::read(&*shared.clock));
        let decided_and_committed = async {
            turn.decide(gathered, &mut **journal).await?;
            turn.commit(&mut **journal).await
        };
        // After an error nothing is known, so nothing may happen: what is not acknowledged comes again.
        let CommittedTurn { after_commit, contended } = publisher.alongside(decided_and_committed).await?;
        publisher.submit(after_commit).await;
        if let Some(saga) = contended {
            return Err(Lost::Contended(saga));
        }
        let loaded_and_released = async {
            let mut commands = sagas.recover(&mut **journal).await?;
            commands.extend(sagas.release(&mut **journal).await?);
            commands.extend(sagas.repair_orphans(&mut **journal).await?);
            sagas.quarantine.keep(&mut **journal).await?;
            Ok(commands)
        };
        let commands = publisher.alongside(loaded_and_released).await?;
        publisher.submit(AfterCommit { commands, ..AfterCommit::default() }).await;
        sagas.report();
        self.pace.worked(inputs, since.elapsed());
        Ok(())
    }

    /// Ends in order: accepted starts are committed, committed commands are published, the shard is given up.
    async fn end(mut self) -> LaneEnd {
        self.sagas.recovery.stop();
        self.sagas.orphan_search.stop();
        self.inbox.close_starts();
        loop {
            let gathered = self.inbox.take_starts();
            if gathered.starts.is_empty() && self.sagas.carried.starts.is_empty() {
                break;
            }
            if let Err(lost) = self.turn(gathered).await {
                return self.abandon(lost).await;
            }
        }
        if tokio::time::timeout(self.shared.settings.limits.drain, self.publisher.flush()).await.is_err() {
            tracing::warn!(shard = self.journal.shard(), "not everything is published; the next owner publishes it");
        }
        tokio::time::timeout(CANCEL_WAIT, self.inbox.cancel()).await.ok();
        release_session(self.journal).await;
        LaneEnd::Released
    }

    /// Ends after something broke. Nothing is kept: the journal knows what is true, the queue hands out again.
    async fn abandon(mut self, lost: Lost) -> LaneEnd {
        // First of all the shard is free for its next owner.
        drop(self.journal);
        self.inbox.close_starts();
        for start in self.inbox.take_starts().starts.into_iter().chain(self.sagas.carried.starts.drain(..)) {
            start.answer.send(LaneAnswer::NotTaken).ok();
        }
        // What earlier turns committed may still go out; the next owner sends it again anyway.
        tokio::time::timeout(CANCEL_WAIT, self.publisher.flush()).await.ok();
        tokio::time::timeout(CANCEL_WAIT, self.inbox.cancel()).await.ok();
        lost.into()
    }
}

/// Waits until the shard is to be given up at once.
async fn is_forsaken(forsaken: &mut watch::Receiver<Vec<u16>>, shard: u16) {
    if forsaken.wait_for(|shards| shards.contains(&shard)).await.is_err() {
        // This process ends anyway.
        std::future::pending().await
    }
}

async fn release_session(journal: Box<dyn LaneJournal>) {
    let shard = journal.shard();
    if let Err(error) = journal.release().await {
        // The connection is closed either way, and with it the ownership.
        tracing::warn!(shard, error = kit::settings::error_chain(&error), "the shard was given up the hard way");
    }
}

//! The parts that all tasks of one orchestrator share.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use contract::SagaId;
use journal::Journal;
use kit::{clock::Clock, readiness::Readiness};
use machine::Catalog;
use messaging::{Broker, QueueName};
use tokio::sync::watch;

use crate::{
    messages::{
        pending_requests::PendingRequests,
        pongs::Pongs,
        roll_calls::RollCalls,
        unpackers::Unpackers,
        wire::{ActEnd, LaneTold, PauseCount, StandsInLane},
    },
    settings::Settings,
    starts::{admission::Admission, lanes::LaneTable},
    watchdog::Watchdog,
    watching::{job_followers::JobFollowers, watchers::Watchers},
};

/// One orchestrator's parts. Lives as long as any of its tasks.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The time at which this process began.
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) readiness: Readiness,
    /// Fixed for the installation.
    pub(crate) shards: u16,
    /// The queue on which this process hears answers to its own requests.
    pub(crate) own_queue: QueueName,
    pub(crate) admission: Arc<Admission>,
    pub(crate) lanes: LaneTable,
    pub(crate) watchers: Arc<Watchers>,
    pub(crate) job_followers: Arc<JobFollowers>,
    pub(crate) pending_requests: PendingRequests<ActEnd>,
    pub(crate) pending_questions: PendingRequests<StandsInLane>,
    pub(crate) pending_counts: PendingRequests<PauseCount>,
    pub(crate) pending_lanes: PendingRequests<LaneTold>,
    pub(crate) roll_calls: RollCalls,
    pub(crate) unpackers: Unpackers,
    pub(crate) pongs: Pongs,
    pub(crate) watchdog: Arc<Watchdog>,
    /// The shards to be given up at once, because the broker is away from this process and a peer waits for them.
    pub(crate) forsaken: watch::Sender<Vec<u16>>,
}

impl Shared {
    /// The queue that leads to a saga's lane, wherever it runs.
    pub(crate) fn queue_of(&self, saga: SagaId) -> QueueName {
        QueueName::replies(saga.shard(self.shards))
    }
}

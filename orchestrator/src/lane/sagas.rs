//! Everything that a lane holds of its sagas from one turn to the next. All of it can be dropped: the next owner of the
//! shard loads it from the journal, and the broker hands out again what was not acknowledged.

use std::{collections::VecDeque, sync::Arc};

use contract::{RequestId, SagaId};
use messaging::QueueName;
use tokio::time::Instant;

use super::{
    flow::Flow,
    input::{Carried, PendingInput},
    memory::Memory,
    orphan_search::OrphanSearch,
    paused::Paused,
    pauses::Pauses,
    publisher::{PublishReport, Taken},
    quarantine::Quarantine,
    recovery::Recovery,
    retrying::Retrying,
    standing::Standing,
    timers::{Now, Timers},
    watches::Watches,
};
use crate::{
    messages::wire::ActEnd,
    saga_instance::{Parked, SagaInstance},
    shared::Shared,
};

/// Acts remembered against redelivery: far more than operators send within a broker's reconnect.
const ACTS_MAX: usize = 1_024;

/// The sagas of one shard.
pub(super) struct Sagas {
    pub(super) shared: Arc<Shared>,
    pub(super) shard: u16,
    /// The shard's queue, to which replies are to be sent.
    pub(super) queue: QueueName,
    pub(super) memory: Memory,
    pub(super) timers: Timers,
    pub(super) flow: Flow,
    pub(super) pauses: Pauses,
    pub(super) standing: Standing,
    pub(super) retrying: Retrying,
    pub(super) paused: Paused,
    pub(super) watches: Watches,
    pub(super) recovery: Recovery,
    pub(super) quarantine: Quarantine,
    pub(super) orphan_search: OrphanSearch,
    pub(super) carried: Carried,
    pub(super) answered_acts: AnsweredActs,
}

impl Sagas {
    pub(super) fn new(shared: Arc<Shared>, shard: u16) -> Self {
        Self {
            shard,
            queue: QueueName::replies(shard),
            memory: Memory::new(shared.settings.limits.lane_memory_sagas_max, Arc::clone(&shared.admission)),
            timers: Timers::new(shard),
            flow: Flow::new(),
            pauses: Pauses::new(shared.journal.pauses_changed()),
            standing: Standing::new(shard, Arc::clone(&shared.admission)),
            retrying: Retrying::new(shard),
            paused: Paused::new(shard),
            watches: Watches::default(),
            recovery: Recovery::default(),
            quarantine: Quarantine::default(),
            orphan_search: OrphanSearch::default(),
            carried: Carried::default(),
            answered_acts: AnsweredActs::default(),
            shared,
        }
    }

    /// Keeps a saga in memory as the journal holds it.
    pub(super) fn keep(&mut self, saga: SagaInstance) {
        let held = self.pauses.hold_all_of(&saga);
        self.memory.put(saga, held);
    }

    /// Leaves a saga alone from now on, and says so.
    pub(super) fn leave_alone(&mut self, id: SagaId, parked: Parked) {
        let now = Now::read(&*self.shared.clock);
        self.timers.set(id, None, now);
        self.retrying.set(id, None);
        self.quarantine.begin(id, &parked, now.wall);
        self.memory.park(id, parked);
    }

    /// Has a saga loaded again, and its commands sent, at its next input.
    pub(super) fn take_up_again(&mut self, id: SagaId) {
        if self.memory.unpark(id) {
            self.recovery.doubt(id);
        }
    }

    /// Notes what became of published commands.
    pub(super) fn note(&mut self, reports: Vec<PublishReport>) {
        for PublishReport { at, commands } in reports {
            for (id, attempt, taken) in commands {
                match taken {
                    Taken::Confirmed => self.flow.confirmed(&id, attempt, at),
                    Taken::No => self.flow.not_taken(&id, attempt, at),
                    Taken::Never(reason) => {
                        self.flow.forget(&id);
                        self.carried.inputs.push(PendingInput::never_taken(id, attempt, reason));
                    }
                }
            }
        }
    }

    /// True when the next turn has no work but what arrives.
    pub(super) fn may_wait(&self) -> bool {
        self.carried.is_empty() && self.recovery.is_done() && !self.pauses.has_released() && !self.flow.can_release()
    }

    /// The next time at which something is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.timers.next().into_iter().chain(self.flow.next_due()).min()
    }

    /// Shows in the metrics what waits here.
    pub(super) fn report(&mut self) {
        self.timers.report();
        self.retrying.report();
        self.standing.report(&self.flow, Now::read(&*self.shared.clock));
    }
}

/// The acts that were answered last, so that one that comes again is answered alike. An act that took effect is known by
/// the journal too.
#[derive(Debug, Default)]
pub(super) struct AnsweredActs(VecDeque<(RequestId, ActEnd)>);

impl AnsweredActs {
    pub(super) fn add(&mut self, request: RequestId, end: ActEnd) {
        self.0.push_back((request, end));
        if self.0.len() > ACTS_MAX {
            self.0.pop_front();
        }
    }

    pub(super) fn get(&self, request: RequestId) -> Option<&ActEnd> {
        self.0.iter().find(|(answered, _)| *answered == request).map(|(_, end)| end)
    }
}

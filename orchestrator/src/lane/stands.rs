//! The part of a saga's standing that the journal does not know: where its commands are on their way, and what its lane
//! waits for.

use contract::{SagaId, orchestrator_api::LaneState};

use super::{sagas::Sagas, timers::Now};
use crate::messages::wire::StandsInLane;

impl Sagas {
    /// How a saga stands in this lane.
    pub(super) fn stands(&self, saga: SagaId, now: Now) -> StandsInLane {
        let lane = LaneState {
            shard: self.shard,
            taking_over: !self.recovery.is_done(),
            loaded: self.memory.get(saga).is_some(),
            broker_takes: self.flow.broker_takes(),
            wakes_at: self.timers.due(saga),
            starts_refused_for: self.shared.admission.refuses().map(|reason| reason.words().to_owned()),
        };
        StandsInLane {
            lane,
            domains: self.flow.domains(now),
            commands: self.flow.commands_of(saga),
            held_for: self.flow.held_for(saga),
            paused: self.pauses.of(saga),
        }
    }
}

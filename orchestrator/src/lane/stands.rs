//! The part of a saga's standing that the journal does not know: where its commands are on their way, and what its lane
//! waits for; and the lane itself.

use contract::{RequestId, SagaId, orchestrator_api::LaneState};

use super::{sagas::Sagas, timers::Now};
use crate::messages::wire::{LaneTold, StandsInLane};

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

    /// This lane and its process.
    pub(super) fn tell_of_lane(&self, request_id: RequestId, now: Now) -> LaneTold {
        LaneTold {
            request_id,
            instance: self.shared.settings.instance.to_string(),
            version: kit::version::VERSION.to_owned(),
            started_at: self.shared.started_at,
            at: now.wall,
            taking_over: !self.recovery.is_done(),
            orphans: self.orphan_search.found(),
            domains: self.flow.domains(now),
        }
    }
}

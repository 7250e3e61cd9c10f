//! The commands that found no room on the way to their domain before, and the probes of silent domains.

use contract::SagaId;
use journal::LaneJournal;
use tokio::time::Instant;

use super::{
    after_commit::{Command, admitted},
    flow::Way,
    loading::Loaded,
    lost::Lost,
    sagas::Sagas,
};

/// Sagas whose commands one turn takes up: some milliseconds of work.
const RELEASED_SAGAS_MAX: usize = 256;

impl Sagas {
    /// The commands that were held, or are to be probes, and may leave now.
    pub(super) async fn release(&mut self, journal: &mut dyn LaneJournal) -> Result<Vec<Command>, Lost> {
        let now = Instant::now();
        let mut released = self.pauses.take_released(RELEASED_SAGAS_MAX);
        released.extend(self.flow.release(now, RELEASED_SAGAS_MAX));
        if released.is_empty() {
            return Ok(Vec::new());
        }
        let mut loaded = Loaded::default();
        // No more at once than memory keeps until they are resumed.
        let kept = (self.shared.settings.limits.lane_memory_sagas_max / 2).max(1);
        for released in released.chunks(kept) {
            let missing: Vec<_> = released.iter().copied().filter(|id| !self.memory.knows(*id)).collect();
            self.load(&missing, journal, &mut loaded).await?;
            for id in released {
                loaded.commands.extend(self.resume(*id));
            }
        }
        self.flow.end_release(now);
        Ok(loaded.commands)
    }

    /// The commands that must be outstanding of a saga and may leave now.
    fn resume(&mut self, id: SagaId) -> Vec<Command> {
        let Some(saga) = self.memory.get(id) else { return Vec::new() };
        match saga.resume() {
            Ok(commands) => {
                let ways = (&mut self.flow, &mut self.pauses);
                let leaving = admitted(ways, &self.queue, &self.shared.unpackers, saga, commands, Way::Released);
                let held = self.pauses.hold_all_of(saga);
                self.memory.recount(id, held);
                leaving
            }
            Err(parked) => {
                self.leave_alone(id, parked);
                Vec::new()
            }
        }
    }
}

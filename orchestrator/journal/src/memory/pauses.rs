//! Pauses of domains, definitions and steps, in memory.

use async_trait::async_trait;
use chrono::SubsecRound;
use contract::orchestrator_api::{PAUSES_MAX, Pause, PauseScope};
use tokio::sync::watch;

use super::MemoryJournal;
use crate::{
    pauses::{PauseBegun, Pauses},
    port::JournalError,
};

#[async_trait]
impl Pauses for MemoryJournal {
    async fn begin_pause(&self, pause: &Pause) -> Result<PauseBegun, JournalError> {
        let mut tables = self.storage.tables();
        let scope = pause.scope.to_string();
        if let Some(known) = tables.pauses.get(&scope) {
            return Ok(PauseBegun::Known(known.clone()));
        }
        if tables.pauses.len() >= PAUSES_MAX {
            return Ok(PauseBegun::TooMany);
        }
        tables.pauses.insert(scope, Pause { since: pause.since.trunc_subsecs(6), ..pause.clone() });
        drop(tables);
        self.storage.pauses_changed.send_modify(|changes| *changes += 1);
        Ok(PauseBegun::Begun)
    }

    async fn end_pause(&self, scope: &PauseScope) -> Result<Option<Pause>, JournalError> {
        let ended = self.storage.tables().pauses.remove(&scope.to_string());
        if ended.is_some() {
            self.storage.pauses_changed.send_modify(|changes| *changes += 1);
        }
        Ok(ended)
    }

    async fn pauses(&self) -> Result<Vec<Pause>, JournalError> {
        Ok(self.storage.tables().pauses.values().cloned().collect())
    }

    fn pauses_changed(&self) -> watch::Receiver<u64> {
        self.storage.pauses_changed.subscribe()
    }
}

//! The way of sagas from the journal into a lane's memory: after a takeover all that are awake, page by page between the
//! turns, and single ones when an input comes for them or they are due.
//!
//! There is one way for both: fold the journal, then `resume`. The commands that the owner before had committed and
//! perhaps not published are published (again) here; participants know duplicates.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use contract::{SagaId, saga::Action};
use journal::{GivenUp, JournalError, LaneJournal, Sleeper, Stored};
use machine::{Entry, Input};

use super::{
    after_commit::{Command, admitted},
    flow::Way,
    input::PendingInput,
    lost::Lost,
    sagas::Sagas,
    timers::Now,
};
use crate::{
    names,
    saga_instance::{Parked, SagaInstance},
};

/// Sagas in one read: a megabyte or two, and a pause between turns of some ten milliseconds.
const PAGE_SAGAS_MAX: usize = 1_024;

/// The outcome of loading some sagas. Those that were found are in memory.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// Commands that must be outstanding, may never have been published, and may leave now.
    pub(super) commands: Vec<Command>,
    /// Sagas that do not exist.
    pub(super) absent: HashSet<SagaId>,
    /// Sagas that were given up and cannot be read, each with its parent.
    pub(super) given_up: HashMap<SagaId, Option<SagaId>>,
}

impl Sagas {
    /// Loads the next page of the sagas that are awake, if there are more; answers the commands to publish for them.
    pub(super) async fn recover(&mut self, journal: &mut dyn LaneJournal) -> Result<Vec<Command>, Lost> {
        if self.recovery.is_done() {
            return Ok(Vec::new());
        }
        let page = self.recovery.next_page(PAGE_SAGAS_MAX);
        if page.is_empty() {
            self.recovery.stop();
            tracing::info!(shard = self.shard, sagas = self.recovery.found(), "all sagas that are awake are loaded");
            return Ok(Vec::new());
        }
        let missing: Vec<_> = page.into_iter().filter(|id| !self.memory.knows(*id)).collect();
        let mut loaded = Loaded::default();
        self.load(&missing, journal, &mut loaded).await?;
        Ok(loaded.commands)
    }

    /// Reads the pauses of domains, definitions and steps, when they may have changed.
    pub(super) async fn learn_pauses(&mut self, journal: &mut dyn LaneJournal) -> Result<(), Lost> {
        if self.pauses.is_stale() {
            self.pauses.learn(journal.pauses().await.map_err(Lost::Journal)?);
            self.flow.pause(self.pauses.routes());
            metrics::gauge!(names::PAUSES).set(u32::try_from(self.pauses.in_force()).unwrap_or(u32::MAX));
        }
        Ok(())
    }

    /// Finds out once which sagas the shard has. The sleeping ones are only counted, and have their timers.
    pub(super) async fn begin_recovery(&mut self, journal: &mut dyn LaneJournal) -> Result<(), Lost> {
        if !self.recovery.has_begun() {
            self.quarantine.hold(journal.in_quarantine().await.map_err(Lost::Journal)?);
            for Sleeper { saga_id, status, wake_at } in journal.sleepers().await.map_err(Lost::Journal)? {
                if !self.memory.knows(saga_id) {
                    self.memory.note_sleeper(saga_id, status);
                    self.timers.set(saga_id, wake_at, Now::read(&*self.shared.clock));
                }
            }
            self.paused.begin(journal.paused().await.map_err(Lost::Journal)?);
            self.recovery.begin(journal.awake().await.map_err(Lost::Journal)?);
        }
        Ok(())
    }

    /// Loads those of these sagas that are not in memory.
    pub(super) async fn load_missing(
        &mut self,
        ids: impl Iterator<Item = SagaId>,
        journal: &mut dyn LaneJournal,
    ) -> Result<Loaded, Lost> {
        let missing: HashSet<_> = ids.filter(|id| !self.memory.knows(*id)).collect();
        let missing: Vec<_> = missing.into_iter().collect();
        let mut loaded = Loaded::default();
        for page in missing.chunks(PAGE_SAGAS_MAX) {
            self.load(page, journal, &mut loaded).await?;
        }
        Ok(loaded)
    }

    /// Brings sagas that are left alone back for as long as it takes to give them up, which is always possible. Those that cannot
    /// be read are given up where they are.
    pub(super) async fn load_given_up(
        &mut self,
        inputs: &[PendingInput],
        now: DateTime<Utc>,
        journal: &mut dyn LaneJournal,
        loaded: &mut Loaded,
    ) -> Result<(), Lost> {
        for PendingInput { saga, input, .. } in inputs {
            let Input::Operator { operator, action: action @ Action::Abandon {}, terms } = input else { continue };
            if self.memory.parked(*saga).is_none() || terms.expires_at.is_some_and(|expires_at| expires_at < now) {
                continue;
            }
            let stored = journal.load(&[*saga]).await.map_err(Lost::Journal)?.pop().and_then(Result::ok);
            let restored =
                stored.and_then(|stored| SagaInstance::to_be_abandoned(&self.shared.catalog, &stored, input, now));
            if let Some(restored) = restored {
                self.memory.unpark(*saga);
                self.quarantine.end(*saga);
                self.keep(restored);
                continue;
            }
            let (operator, action, request_id) = (operator.clone(), action.clone(), terms.request_id);
            let acted = Entry::OperatorActed { operator, action, request_id };
            let entries = vec![acted, Entry::SagaAbandoned];
            match journal.abandon(*saga, now, entries).await {
                Ok(Some(GivenUp { parent })) => {
                    tracing::warn!(saga_id = %saga, "a saga that cannot be read was abandoned");
                    self.memory.unpark(*saga);
                    self.quarantine.end(*saga);
                    loaded.given_up.insert(*saga, parent);
                    self.tell_parent_of_given_up(*saga, parent);
                }
                Ok(None) => {}
                // It stays where it is, and its operator hears of that.
                Err(error @ (JournalError::Damaged { .. } | JournalError::BrokenRow { .. })) => {
                    self.leave_alone(*saga, Parked::broken(&error));
                }
                Err(error) => return Err(Lost::Journal(error)),
            }
        }
        Ok(())
    }

    /// Loads sagas into memory. A broken one is left alone and disturbs no other.
    pub(super) async fn load(
        &mut self,
        ids: &[SagaId],
        journal: &mut dyn LaneJournal,
        loaded: &mut Loaded,
    ) -> Result<(), Lost> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut absent: HashSet<_> = ids.iter().copied().collect();
        let mut broken = false;
        for found in journal.load(ids).await.map_err(Lost::Journal)? {
            match found {
                Ok(stored) => {
                    absent.remove(&stored.row.id);
                    loaded.commands.extend(self.adopt(&stored));
                }
                Err(_) => broken = true,
            }
        }
        if broken {
            // The error names the row for people; one by one it is certain which saga it belongs to.
            for id in absent.clone() {
                match journal.load(&[id]).await.map_err(Lost::Journal)?.pop() {
                    Some(Ok(stored)) => loaded.commands.extend(self.adopt(&stored)),
                    Some(Err(error)) => match journal.given_up(id).await.map_err(Lost::Journal)? {
                        Some(GivenUp { parent }) => drop(loaded.given_up.insert(id, parent)),
                        None => self.leave_alone(id, Parked::broken(&error)),
                    },
                    None => continue,
                }
                absent.remove(&id);
            }
        }
        loaded.absent.extend(absent);
        Ok(())
    }

    /// Takes a saga into memory, or leaves it alone; answers the commands to publish for it.
    fn adopt(&mut self, stored: &Stored) -> Vec<Command> {
        let id = stored.row.id;
        let resumes = self.recovery.resumes(id);
        let adopted = SagaInstance::restore(&self.shared.catalog, stored).and_then(|saga| {
            let commands = if resumes { saga.resume()? } else { Vec::new() };
            Ok((saga, commands))
        });
        match adopted {
            Ok((saga, commands)) => {
                let commands = admitted(
                    (&mut self.flow, &mut self.pauses),
                    &self.queue,
                    &self.shared.unpackers,
                    &saga,
                    commands,
                    Way::Recovered,
                );
                let now = Now::read(&*self.shared.clock);
                self.timers.set(id, saga.next_wake(now.wall), now);
                self.retrying.set(id, saga.retrying_since());
                if self.quarantine.end(id) {
                    self.ask_parent(&saga);
                }
                if resumes {
                    self.ask_children(&saga);
                }
                self.keep(saga);
                commands
            }
            Err(parked) => {
                self.leave_alone(id, parked);
                Vec::new()
            }
        }
    }
}

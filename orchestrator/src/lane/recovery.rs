//! Getting sagas from the journal into a lane's memory: all open ones after a takeover, page by page between the
//! batches, and single ones when something comes for them.
//!
//! There is one way for both: fold the journal, then `resume`. What the owner before had committed and perhaps not
//! published is published (again) here; participants know duplicates.

use std::collections::HashSet;

use contract::{SagaId, saga::Action};
use journal::Stored;
use machine::Input;

use super::{Lane, Lost, batch::Heard, publisher::Job};
use crate::saga_instance::{Active, Parked};

/// Sagas in one read: some hundred kilobytes, and a pause between batches of a few milliseconds.
const PAGE_SAGAS_MAX: usize = 256;

/// How far a lane has come in loading what its shard holds.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    after: Option<SagaId>,
    done: bool,
    sagas: usize,
}

impl Recovery {
    /// Nothing is to be loaded any more.
    pub(super) const fn finished() -> Self {
        Self { after: None, done: true, sagas: 0 }
    }

    pub(super) const fn is_done(&self) -> bool {
        self.done
    }
}

impl Lane {
    /// Loads the next page of open sagas, if there are more.
    pub(super) async fn recover(&mut self) -> Result<(), Lost> {
        if self.recovery.done {
            return Ok(());
        }
        let limit = u32::try_from(PAGE_SAGAS_MAX).unwrap_or(u32::MAX);
        let page = self.journal.open_sagas(self.recovery.after, limit).await.map_err(Lost::Journal)?;
        let Some(last) = page.last().copied() else {
            self.recovery.done = true;
            tracing::info!(shard = self.shard, sagas = self.recovery.sagas, "all open sagas are loaded");
            return Ok(());
        };
        let mut job = Job::default();
        let missing: Vec<_> = page.iter().copied().filter(|id| !self.memory.knows(*id)).collect();
        self.load(&missing, &mut job).await?;
        self.publisher.submit(job).await;
        self.recovery.after = Some(last);
        self.recovery.sagas += page.len();
        Ok(())
    }

    /// Loads whatever is needed to hear these inputs; answers those that do not exist.
    pub(super) async fn load_missing(&mut self, heard: &[Heard], job: &mut Job) -> Result<HashSet<SagaId>, Lost> {
        let missing: HashSet<_> = heard.iter().map(|one| one.saga).filter(|id| !self.memory.knows(*id)).collect();
        let missing: Vec<_> = missing.into_iter().collect();
        let mut absent = HashSet::new();
        for page in missing.chunks(PAGE_SAGAS_MAX) {
            absent.extend(self.load(page, job).await?);
        }
        Ok(absent)
    }

    /// Loads sagas into memory; answers those that do not exist. A broken one is left alone and disturbs no other.
    async fn load(&mut self, ids: &[SagaId], job: &mut Job) -> Result<HashSet<SagaId>, Lost> {
        let mut absent: HashSet<_> = ids.iter().copied().collect();
        if ids.is_empty() {
            return Ok(absent);
        }
        let mut broken = false;
        for loaded in self.journal.load(ids).await.map_err(Lost::Journal)? {
            match loaded {
                Ok(stored) => {
                    absent.remove(&stored.row.id);
                    self.adopt(&stored, job);
                }
                Err(_) => broken = true,
            }
        }
        if broken {
            // The error names the row for people; one by one it is certain which saga it belongs to.
            for id in absent.clone() {
                match self.journal.load(&[id]).await.map_err(Lost::Journal)?.pop() {
                    Some(Ok(stored)) => self.adopt(&stored, job),
                    Some(Err(error)) => self.memory.park(id, Parked::broken(&error)),
                    None => continue,
                }
                absent.remove(&id);
            }
        }
        Ok(absent)
    }

    /// Brings sagas that are left alone for want of their definition back for as long as it takes to give them up:
    /// abandoning needs no definition, and is the only way out of a saga that no program knows any more.
    pub(super) async fn load_given_up(&mut self, heard: &[Heard]) -> Result<(), Lost> {
        for one in heard {
            let given_up = matches!(&one.input, Input::Operator { action: Action::Abandon {}, .. });
            if !given_up || !self.memory.parked(one.saga).is_some_and(Parked::lacks_definition) {
                continue;
            }
            let Some(Ok(stored)) = self.journal.load(&[one.saga]).await.map_err(Lost::Journal)?.pop() else { continue };
            if let Some(Ok(active)) = Active::without_definition(&self.shared.catalog, &stored) {
                self.memory.unpark(active);
            }
        }
        Ok(())
    }

    fn adopt(&mut self, stored: &Stored, job: &mut Job) {
        let id = stored.row.id;
        let resumes = self.doubtful.remove(&id) || !self.recovery.done;
        let adopted = Active::restore(&self.shared.catalog, stored).and_then(|active| {
            let commands = if resumes { active.resume()? } else { Vec::new() };
            Ok((active, commands))
        });
        match adopted {
            Ok((active, commands)) => {
                job.commands.extend(commands.into_iter().filter_map(|command| self.command(&active, command)));
                self.timers.set(id, active.next_wake());
                self.memory.put(active);
            }
            Err(parked) => self.memory.park(id, parked),
        }
    }
}

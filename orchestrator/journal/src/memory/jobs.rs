//! Bulk jobs in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, Utc};
use contract::{
    JobId,
    limits::cut_error_text,
    orchestrator_api::{JOB_SAGAS_MAX, Job, JobItem, JobOutcome, JobPreview, JobRefusals, JobState, SagaFilter},
};
use tokio::sync::watch;

use super::{MemoryJournal, kept_job::KeptJob, storage::Tables};
use crate::{
    job_choice::{chosen, group},
    jobs::{JOB_GROUPS_MAX, JOBS_OPEN_MAX, JobMade, JobResult, JobWork, Jobs, NewJob, Selection},
    port::{JournalError, SagaRow},
};

impl Tables {
    /// The rows that a filter chooses, the oldest first, and at most one more than a job takes.
    fn chosen(&self, filter: &SagaFilter) -> Vec<&SagaRow> {
        let Some(filter) = chosen(filter) else { return Vec::new() };
        self.matching(&filter).map(|(_, row)| row).take(JOB_SAGAS_MAX as usize + 1).collect()
    }
}

#[async_trait]
impl Jobs for MemoryJournal {
    async fn make_job(&self, new: &NewJob) -> Result<JobMade, JournalError> {
        let mut tables = self.storage.tables();
        let named = |kept: &&KeptJob| new.request_id.is_some() && kept.request_id == new.request_id;
        if let Some(made) = tables.jobs.values().find(named) {
            return Ok(new.repeated(made.job.clone()));
        }
        let open = tables.jobs.values().filter(|kept| !kept.job.state.is_over()).count();
        if open >= JOBS_OPEN_MAX as usize {
            return Ok(JobMade::TooManyJobs);
        }
        let (filter, parent, sagas) = match &new.selection {
            Selection::Filter(filter) => {
                let sagas: Vec<_> = tables.chosen(filter).into_iter().map(|row| row.id).collect();
                (Some(filter.clone()), None, sagas)
            }
            Selection::RefusedBy(parent) => {
                let items = tables.jobs.get(parent).into_iter().flat_map(|kept| &kept.items);
                let refused = items.filter(|item| item.outcome == JobOutcome::Refused).map(|item| item.saga_id);
                (None, Some(*parent), refused.collect())
            }
        };
        if sagas.is_empty() {
            return Ok(JobMade::NoSagas);
        }
        if sagas.len() > JOB_SAGAS_MAX as usize {
            return Ok(JobMade::TooManySagas);
        }
        let pending = |(place, saga_id)| JobItem {
            place,
            saga_id,
            outcome: JobOutcome::Pending,
            code: None,
            message: None,
            at: None,
        };
        let items: Vec<_> = (1..).zip(sagas).map(pending).collect();
        let NewJob { id, action, selection: _, actor, role, reason, pace, canary, request_id, created_at } =
            new.clone();
        let created_at = created_at.trunc_subsecs(6);
        let job = Job {
            id,
            state: JobState::Running,
            action,
            filter,
            parent,
            actor,
            role,
            reason,
            pace,
            canary,
            sagas: u32::try_from(items.len()).unwrap_or(u32::MAX),
            done: 0,
            refused: 0,
            vanished: 0,
            trouble: None,
            created_at,
            changed_at: created_at,
        };
        tables.jobs.insert(id, KeptJob { job: job.clone(), request_id, canary_passed: false, items });
        drop(tables);
        self.storage.jobs_changed.send_modify(|changes| *changes += 1);
        Ok(JobMade::Made(Box::new(job)))
    }

    async fn preview_job(&self, filter: &SagaFilter) -> Result<JobPreview, JournalError> {
        let tables = self.storage.tables();
        let rows = tables.chosen(filter);
        let mut counts: BTreeMap<_, u32> = BTreeMap::new();
        for row in &rows {
            *counts.entry((&row.name, row.version, row.status, &row.error)).or_default() += 1;
        }
        let group = |((name, version, status, error), sagas): ((&String, u32, _, &Option<String>), u32)| {
            group(name.clone(), version, status, error.as_deref(), sagas)
        };
        let mut groups: Vec<_> = counts.into_iter().map(group).collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.sagas));
        groups.truncate(JOB_GROUPS_MAX as usize);
        Ok(JobPreview { sagas: u32::try_from(rows.len()).unwrap_or(u32::MAX), groups })
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>, JournalError> {
        Ok(self.storage.tables().jobs.get(&id).map(|kept| kept.job.clone()))
    }

    async fn jobs(&self, before: Option<JobId>, limit: u32) -> Result<Vec<Job>, JournalError> {
        let tables = self.storage.tables();
        let jobs = tables.jobs.values().rev().map(|kept| &kept.job);
        Ok(jobs.filter(|job| before.is_none_or(|before| job.id < before)).take(limit as usize).cloned().collect())
    }

    async fn job_refusals(&self, id: JobId) -> Result<Vec<JobRefusals>, JournalError> {
        let tables = self.storage.tables();
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for item in tables.jobs.get(&id).into_iter().flat_map(|kept| &kept.items) {
            if item.outcome == JobOutcome::Refused {
                *counts.entry(item.code.clone().unwrap_or_default()).or_default() += 1;
            }
        }
        let mut refusals: Vec<_> = counts.into_iter().map(|(code, sagas)| JobRefusals { code, sagas }).collect();
        refusals.sort_by_key(|refusals| std::cmp::Reverse(refusals.sagas));
        Ok(refusals)
    }

    async fn job_items(
        &self,
        id: JobId,
        outcome: Option<JobOutcome>,
        after: u32,
        limit: u32,
    ) -> Result<Vec<JobItem>, JournalError> {
        let tables = self.storage.tables();
        let items = tables.jobs.get(&id).into_iter().flat_map(|kept| &kept.items);
        let wanted = items.filter(|item| item.place > after && outcome.is_none_or(|wanted| item.outcome == wanted));
        Ok(wanted.take(limit as usize).cloned().collect())
    }

    async fn move_job(
        &self,
        id: JobId,
        from: &[JobState],
        to: JobState,
        at: DateTime<Utc>,
    ) -> Result<Option<Job>, JournalError> {
        let mut tables = self.storage.tables();
        let Some(kept) = tables.jobs.get_mut(&id).filter(|kept| from.contains(&kept.job.state)) else {
            return Ok(None);
        };
        kept.canary_passed |= kept.job.state == JobState::Waiting && to == JobState::Running;
        kept.job = Job { state: to, changed_at: at.trunc_subsecs(6), trouble: None, ..kept.job.clone() };
        let moved = kept.job.clone();
        drop(tables);
        self.storage.jobs_changed.send_modify(|changes| *changes += 1);
        self.storage.jobs_moved.send_modify(|moves| *moves += 1);
        Ok(Some(moved))
    }

    async fn running_jobs(&self, shard: u16) -> Result<Vec<JobId>, JournalError> {
        let tables = self.storage.tables();
        let running = tables.jobs.values().filter(|kept| kept.job.state == JobState::Running);
        let ids = running.map(|kept| kept.job.id);
        Ok(ids.filter(|id| id.shard(self.storage.shards) == shard).collect())
    }

    async fn job_work(&self, id: JobId, limit: u32) -> Result<Option<JobWork>, JournalError> {
        let tables = self.storage.tables();
        Ok(tables.jobs.get(&id).map(|kept| {
            let pending = kept.items.iter().filter(|item| item.outcome == JobOutcome::Pending);
            let next = pending.take(limit as usize).map(|item| (item.place, item.saga_id)).collect();
            JobWork { job: kept.job.clone(), canary_passed: kept.canary_passed, next }
        }))
    }

    async fn settle_job(
        &self,
        id: JobId,
        results: &[JobResult],
        trouble: Option<&str>,
        at: DateTime<Utc>,
    ) -> Result<(), JournalError> {
        let mut tables = self.storage.tables();
        let Some(kept) = tables.jobs.get_mut(&id) else { return Ok(()) };
        let KeptJob { job, items, canary_passed: _, request_id: _ } = kept;
        for JobResult { place, outcome, code, message } in results.iter().cloned() {
            let pending = |item: &&mut JobItem| item.place == place && item.outcome == JobOutcome::Pending;
            let Some(item) = items.iter_mut().find(pending) else { continue };
            let message = message.map(cut_error_text);
            *item = JobItem { outcome, code, message, at: Some(at.trunc_subsecs(6)), ..item.clone() };
            match outcome {
                JobOutcome::Pending => {}
                JobOutcome::Done => job.done += 1,
                JobOutcome::Refused => job.refused += 1,
                JobOutcome::Vanished => job.vanished += 1,
            }
        }
        job.trouble = trouble.map(str::to_owned);
        drop(tables);
        self.storage.jobs_moved.send_modify(|moves| *moves += 1);
        Ok(())
    }

    fn jobs_changed(&self) -> watch::Receiver<u64> {
        self.storage.jobs_changed.subscribe()
    }

    fn jobs_moved(&self) -> watch::Receiver<u64> {
        self.storage.jobs_moved.subscribe()
    }

    async fn forget_jobs(&self, before: DateTime<Utc>) -> Result<u64, JournalError> {
        let mut tables = self.storage.tables();
        let known = tables.jobs.len();
        tables.jobs.retain(|_, kept| kept.job.created_at >= before);
        Ok((known - tables.jobs.len()) as u64)
    }
}

//! Requests for a second operator's approval, in memory.

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, Utc};
use contract::{
    ApprovalId,
    orchestrator_api::{APPROVALS_OPEN_MAX, Approval, ApprovalDecision, ApprovalState},
};

use super::MemoryJournal;
use crate::{
    approvals::{ApprovalAsked, ApprovalFilter, Approvals},
    port::JournalError,
};

fn waits(approval: &Approval, at: DateTime<Utc>) -> bool {
    approval.state == ApprovalState::Pending && approval.expires_at > at
}

#[async_trait]
impl Approvals for MemoryJournal {
    async fn ask_approval(&self, approval: &Approval) -> Result<ApprovalAsked, JournalError> {
        let mut tables = self.storage.tables();
        let waiting = || tables.approvals.values().filter(|one| waits(one, approval.created_at));
        let same = |one: &&Approval| one.digest == approval.digest && one.actor == approval.actor;
        if let Some(known) = waiting().find(same) {
            return Ok(ApprovalAsked::Known(Box::new(known.clone())));
        }
        if waiting().count() >= APPROVALS_OPEN_MAX {
            return Ok(ApprovalAsked::TooMany);
        }
        let (created_at, expires_at) = (approval.created_at.trunc_subsecs(6), approval.expires_at.trunc_subsecs(6));
        tables.approvals.insert(approval.id, Approval { created_at, expires_at, ..approval.clone() });
        Ok(ApprovalAsked::Asked)
    }

    async fn approvals(
        &self,
        filter: &ApprovalFilter,
        before: Option<ApprovalId>,
        limit: u32,
    ) -> Result<Vec<Approval>, JournalError> {
        let tables = self.storage.tables();
        let newest = tables.approvals.values().rev();
        let found = newest.filter(|one| {
            before.is_none_or(|before| one.id < before)
                && filter.waiting_at.is_none_or(|at| waits(one, at))
                && filter.target.as_ref().is_none_or(|target| one.target() == *target)
        });
        Ok(found.take(limit as usize).cloned().collect())
    }

    async fn approval(&self, id: ApprovalId) -> Result<Option<Approval>, JournalError> {
        Ok(self.storage.tables().approvals.get(&id).cloned())
    }

    async fn decide_approval(
        &self,
        id: ApprovalId,
        state: ApprovalState,
        decision: &ApprovalDecision,
    ) -> Result<bool, JournalError> {
        let mut tables = self.storage.tables();
        let found = tables.approvals.get_mut(&id);
        let Some(one) = found.filter(|one| waits(one, decision.at) && one.actor != decision.actor) else {
            return Ok(false);
        };
        one.state = state;
        one.decision = Some(ApprovalDecision { at: decision.at.trunc_subsecs(6), ..decision.clone() });
        Ok(true)
    }

    async fn settle_approval(&self, id: ApprovalId, outcome: &str) -> Result<(), JournalError> {
        if let Some(one) = self.storage.tables().approvals.get_mut(&id) {
            one.outcome = Some(outcome.to_owned());
        }
        Ok(())
    }

    async fn forget_approvals(&self, before: DateTime<Utc>) -> Result<u64, JournalError> {
        let mut tables = self.storage.tables();
        let old: Vec<_> = tables.approvals.values().filter(|one| one.created_at < before).map(|one| one.id).collect();
        old.iter().for_each(|id| drop(tables.approvals.remove(id)));
        Ok(old.len() as u64)
    }
}

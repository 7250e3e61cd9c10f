//! Servers that break: decorators around the real adapters that fail when a test says so.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use contract::{
    ApprovalId, JobId, SagaId,
    orchestrator_api::{
        Approval, ApprovalDecision, ApprovalState, AuditFact, AuditHead, AuditRecord, DeadLetterView, Job, JobItem,
        JobOutcome, JobPreview, JobRefusals, JobState, Pause, PauseScope, RetiredWeek, SagaCounts, SagaFilter,
    },
};
use journal::{
    Append, Appended, ApprovalAsked, ApprovalFilter, Approvals, AuditFilter, Door, Ended, EndedAsked, ErrorGroup,
    ErrorGroupsAsked, ExistingStart, Figures, Filter, GivenUp, JobMade, JobResult, JobWork, Jobs, Journal,
    JournalError, KeptDeadLetter, LaneJournal, Listing, Membership, NewDeadLetter, NewJob, OpenSaga, Owners, Ownership,
    PauseBegun, Pauses, Quarantined, Retention, RetireError, Room, Sleeper, Stored,
};
use machine::Entry;
use messaging::{
    Broker, BrokerError, BrokerState, Outgoing, PublishError, QueueDepth, QueueName, Subscription, Topology,
};
use tokio::sync::watch;

/// A broker whose connection can be cut, and that can be blocked: nothing is published meanwhile.
#[derive(Debug)]
pub(crate) struct FlakyBroker {
    inner: Arc<dyn Broker>,
    state: watch::Sender<BrokerState>,
}

impl FlakyBroker {
    pub(crate) fn new(inner: Arc<dyn Broker>) -> Arc<Self> {
        Arc::new(Self { inner, state: watch::Sender::new(BrokerState::Connected) })
    }

    pub(crate) fn cut(&self) {
        self.state.send_replace(BrokerState::Away);
    }

    pub(crate) fn block(&self) {
        self.state.send_replace(BrokerState::Blocked);
    }

    pub(crate) fn restore(&self) {
        self.state.send_replace(BrokerState::Connected);
    }
}

#[async_trait]
impl Broker for FlakyBroker {
    async fn declare(&self, topology: &Topology) -> Result<(), BrokerError> {
        self.inner.declare(topology).await
    }

    async fn publish(&self, batch: Vec<Outgoing>) -> Vec<Result<(), PublishError>> {
        if *self.state.borrow() == BrokerState::Connected {
            return self.inner.publish(batch).await;
        }
        batch.iter().map(|_| Err(PublishError::Unavailable { detail: "cut by the test".to_owned() })).collect()
    }

    async fn subscribe(&self, queue: &QueueName, prefetch: u16) -> Result<Subscription, BrokerError> {
        self.inner.subscribe(queue, prefetch).await
    }

    fn state(&self) -> watch::Receiver<BrokerState> {
        self.state.subscribe()
    }

    async fn depth(&self, queue: &QueueName) -> Result<QueueDepth, BrokerError> {
        self.inner.depth(queue).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

/// How appends fail.
#[derive(Debug, Default)]
pub(crate) struct Breakage {
    /// So many appends are committed but answered with an error.
    pub(crate) after_commit: AtomicUsize,
    /// So many appends are not committed and answered with an error.
    pub(crate) before_commit: AtomicUsize,
    /// So many appends find their numbers taken.
    pub(crate) taken: AtomicUsize,
    /// So many times the results of a job's sagas are not noted and answered with an error.
    pub(crate) before_settling: AtomicUsize,
    /// How often the journal was asked or told anything.
    pub(crate) calls: AtomicUsize,
    /// How often a saga was read.
    pub(crate) reads: AtomicUsize,
    /// How many sagas lanes have loaded.
    pub(crate) loaded: AtomicUsize,
    /// This saga is missing wherever open sagas are read.
    pub(crate) missed: Mutex<Option<SagaId>>,
    /// This saga cannot be read by its lane.
    pub(crate) row_broken: Mutex<Option<SagaId>>,
    /// This saga cannot be read by those who look at it.
    pub(crate) unreadable: Mutex<Option<SagaId>>,
    /// A saga whose row seems to be on a page that cannot be written.
    pub(crate) unwritable: Mutex<Option<SagaId>>,
    /// A saga that seems to have a record of a later program.
    pub(crate) record_of_later_program: Mutex<Option<SagaId>>,
}

/// A journal whose commits can break off.
pub(crate) struct FlakyJournal {
    inner: Arc<dyn Journal>,
    pub(crate) breakage: Arc<Breakage>,
}

impl FlakyJournal {
    pub(crate) fn new(inner: Arc<dyn Journal>) -> Arc<Self> {
        Arc::new(Self { inner, breakage: Arc::default() })
    }
}

struct FlakyLane {
    inner: Box<dyn LaneJournal>,
    breakage: Arc<Breakage>,
}

fn row_broken(id: SagaId) -> JournalError {
    JournalError::BrokenRow {
        table: "saga_journal",
        column: "entries",
        row: id.to_string(),
        detail: "by the test".to_owned(),
    }
}

fn broken() -> JournalError {
    JournalError::Unavailable { doing: "appending", source: "broken by the test".into() }
}

fn take_one(counter: &AtomicUsize) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

#[async_trait]
impl Journal for FlakyJournal {
    fn shards(&self) -> u16 {
        self.inner.shards()
    }

    async fn lane(&self, shard: u16) -> Result<Box<dyn LaneJournal>, JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        let inner = self.inner.lane(shard).await?;
        Ok(Box::new(FlakyLane { inner, breakage: Arc::clone(&self.breakage) }))
    }

    fn membership(&self) -> watch::Receiver<Membership> {
        self.inner.membership()
    }

    async fn ownership(&self, shard: u16) -> Result<Option<Ownership>, JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.ownership(shard).await
    }

    async fn evict(&self, ownership: Ownership) -> Result<bool, JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.evict(ownership).await
    }

    async fn read(&self, door: Door, id: SagaId, after: u64) -> Result<Option<Stored>, JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        self.breakage.reads.fetch_add(1, Ordering::SeqCst);
        if *self.breakage.unreadable.lock().unwrap() == Some(id) {
            return Err(row_broken(id));
        }
        self.inner.read(door, id, after).await
    }

    async fn list(&self, filter: &Filter, limit: u32) -> Result<Listing, JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.list(filter, limit).await
    }

    async fn error_groups(&self, asked: &ErrorGroupsAsked) -> Result<Vec<ErrorGroup>, JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.error_groups(asked).await
    }

    async fn find_start(&self, name: &str, key: &str) -> Result<Option<ExistingStart>, JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.find_start(name, key).await
    }

    async fn claim_key(&self, name: &str, key: &str, claim: &ExistingStart) -> Result<ExistingStart, JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.claim_key(name, key, claim).await
    }

    async fn quarantined(&self, after: Option<SagaId>, limit: u32) -> Result<Vec<Quarantined>, JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.quarantined(after, limit).await
    }

    async fn quarantine_of(&self, id: SagaId) -> Result<Option<Quarantined>, JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.quarantine_of(id).await
    }

    async fn keep_dead_letter(&self, letter: &NewDeadLetter) -> Result<(), JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.keep_dead_letter(letter).await
    }

    async fn dead_letters(
        &self,
        door: Door,
        saga: Option<SagaId>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<DeadLetterView>, JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.dead_letters(door, saga, before, limit).await
    }

    async fn dead_letter(&self, id: i64) -> Result<Option<KeptDeadLetter>, JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.dead_letter(id).await
    }

    async fn mark_redriven(&self, id: i64, at: DateTime<Utc>) -> Result<(), JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.mark_redriven(id, at).await
    }

    async fn audit(&self, fact: &AuditFact) -> Result<AuditRecord, JournalError> {
        self.inner.audit(fact).await
    }

    async fn audit_head(&self) -> Result<AuditHead, JournalError> {
        self.inner.audit_head().await
    }

    async fn audit_from(&self, number: u64, limit: u32) -> Result<Vec<AuditRecord>, JournalError> {
        self.inner.audit_from(number, limit).await
    }

    async fn audit_list(
        &self,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, JournalError> {
        self.inner.audit_list(filter, before, limit).await
    }

    async fn prepare(&self, now: DateTime<Utc>) -> Result<Room, JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.prepare(now).await
    }

    async fn ping(&self) -> Result<(), JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.ping().await
    }
}

#[async_trait]
impl Jobs for FlakyJournal {
    async fn make_job(&self, job: &NewJob) -> Result<JobMade, JournalError> {
        self.inner.make_job(job).await
    }

    async fn preview_job(&self, filter: &SagaFilter) -> Result<JobPreview, JournalError> {
        self.inner.preview_job(filter).await
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>, JournalError> {
        self.inner.job(id).await
    }

    async fn jobs(&self, before: Option<JobId>, limit: u32) -> Result<Vec<Job>, JournalError> {
        self.inner.jobs(before, limit).await
    }

    async fn job_refusals(&self, id: JobId) -> Result<Vec<JobRefusals>, JournalError> {
        self.inner.job_refusals(id).await
    }

    async fn job_items(
        &self,
        id: JobId,
        outcome: Option<JobOutcome>,
        after: u32,
        limit: u32,
    ) -> Result<Vec<JobItem>, JournalError> {
        self.inner.job_items(id, outcome, after, limit).await
    }

    async fn move_job(
        &self,
        id: JobId,
        from: &[JobState],
        to: JobState,
        at: DateTime<Utc>,
    ) -> Result<Option<Job>, JournalError> {
        self.inner.move_job(id, from, to, at).await
    }

    async fn running_jobs(&self, shard: u16) -> Result<Vec<JobId>, JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.running_jobs(shard).await
    }

    async fn job_work(&self, id: JobId, limit: u32) -> Result<Option<JobWork>, JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.job_work(id, limit).await
    }

    async fn settle_job(
        &self,
        id: JobId,
        results: &[JobResult],
        trouble: Option<&str>,
        at: DateTime<Utc>,
    ) -> Result<(), JournalError> {
        if take_one(&self.breakage.before_settling) {
            return Err(broken());
        }
        self.inner.settle_job(id, results, trouble, at).await
    }

    fn jobs_changed(&self) -> watch::Receiver<u64> {
        self.inner.jobs_changed()
    }

    fn jobs_moved(&self) -> watch::Receiver<u64> {
        self.inner.jobs_moved()
    }

    async fn forget_jobs(&self, before: DateTime<Utc>) -> Result<u64, JournalError> {
        self.inner.forget_jobs(before).await
    }
}

#[async_trait]
impl Approvals for FlakyJournal {
    async fn ask_approval(&self, approval: &Approval) -> Result<ApprovalAsked, JournalError> {
        self.inner.ask_approval(approval).await
    }

    async fn approvals(
        &self,
        filter: &ApprovalFilter,
        before: Option<ApprovalId>,
        limit: u32,
    ) -> Result<Vec<Approval>, JournalError> {
        self.inner.approvals(filter, before, limit).await
    }

    async fn approval(&self, id: ApprovalId) -> Result<Option<Approval>, JournalError> {
        self.inner.approval(id).await
    }

    async fn decide_approval(
        &self,
        id: ApprovalId,
        state: ApprovalState,
        decision: &ApprovalDecision,
    ) -> Result<bool, JournalError> {
        self.inner.decide_approval(id, state, decision).await
    }

    async fn settle_approval(&self, id: ApprovalId, outcome: &str) -> Result<(), JournalError> {
        self.inner.settle_approval(id, outcome).await
    }

    async fn forget_approvals(&self, before: DateTime<Utc>) -> Result<u64, JournalError> {
        self.inner.forget_approvals(before).await
    }
}

#[async_trait]
impl Pauses for FlakyJournal {
    async fn begin_pause(&self, pause: &Pause) -> Result<PauseBegun, JournalError> {
        self.inner.begin_pause(pause).await
    }

    async fn end_pause(&self, scope: &PauseScope) -> Result<Option<Pause>, JournalError> {
        self.inner.end_pause(scope).await
    }

    async fn pauses(&self) -> Result<Vec<Pause>, JournalError> {
        self.inner.pauses().await
    }

    fn pauses_changed(&self) -> watch::Receiver<u64> {
        self.inner.pauses_changed()
    }
}

#[async_trait]
impl Figures for FlakyJournal {
    async fn count(&self, filter: &Filter, now: DateTime<Utc>) -> Result<SagaCounts, JournalError> {
        self.inner.count(filter, now).await
    }

    async fn ended(&self, asked: &EndedAsked) -> Result<Vec<Ended>, JournalError> {
        self.inner.ended(asked).await
    }

    async fn owners(&self) -> Result<Owners, JournalError> {
        self.inner.owners().await
    }
}

#[async_trait]
impl Retention for FlakyJournal {
    async fn retire(&self, before: DateTime<Utc>, folder: &Path) -> Result<u32, RetireError> {
        self.inner.retire(before, folder).await
    }

    async fn retired(&self, limit: u32) -> Result<Vec<RetiredWeek>, JournalError> {
        self.inner.retired(limit).await
    }

    async fn export(&self, id: SagaId) -> Result<Option<String>, JournalError> {
        self.inner.export(id).await
    }
}

#[async_trait]
impl LaneJournal for FlakyLane {
    fn shard(&self) -> u16 {
        self.inner.shard()
    }

    async fn append(&mut self, batch: Vec<Append>) -> Result<Vec<Appended>, JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        if take_one(&self.breakage.before_commit) {
            return Err(broken());
        }
        if take_one(&self.breakage.taken) {
            return Ok(vec![Appended::SeqTaken; batch.len()]);
        }
        let appended = self.inner.append(batch).await;
        if take_one(&self.breakage.after_commit) { Err(broken()) } else { appended }
    }

    async fn load(&mut self, ids: &[SagaId]) -> Result<Vec<Result<Stored, JournalError>>, JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        let broken = *self.breakage.row_broken.lock().unwrap();
        let later = *self.breakage.record_of_later_program.lock().unwrap();
        let loaded = self.inner.load(ids).await?;
        self.breakage.loaded.fetch_add(loaded.len(), Ordering::SeqCst);
        let read = |one: Result<Stored, JournalError>| match one {
            Ok(stored) if Some(stored.row.id) == broken => Err(row_broken(stored.row.id)),
            Ok(stored) if Some(stored.row.id) == later => {
                Err(JournalError::NewerReader { saga_id: stored.row.id, needed: 999 })
            }
            other => other,
        };
        Ok(loaded.into_iter().map(read).collect())
    }

    async fn awake(&mut self) -> Result<Vec<SagaId>, JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        let mut awake = self.inner.awake().await?;
        let missed = *self.breakage.missed.lock().unwrap();
        awake.retain(|id| Some(*id) != missed);
        Ok(awake)
    }

    async fn sleepers(&mut self) -> Result<Vec<Sleeper>, JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        let mut sleepers = self.inner.sleepers().await?;
        let missed = *self.breakage.missed.lock().unwrap();
        sleepers.retain(|sleeper| Some(sleeper.saga_id) != missed);
        Ok(sleepers)
    }

    async fn open_sagas(&mut self, after: Option<SagaId>, limit: u32) -> Result<Vec<OpenSaga>, JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        let mut page = self.inner.open_sagas(after, limit).await?;
        let missed = *self.breakage.missed.lock().unwrap();
        page.retain(|saga| Some(saga.saga_id) != missed);
        Ok(page)
    }

    async fn in_quarantine(&mut self) -> Result<Vec<SagaId>, JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.in_quarantine().await
    }

    async fn pauses(&mut self) -> Result<Vec<Pause>, JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.pauses().await
    }

    async fn paused(&mut self) -> Result<Vec<SagaId>, JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.paused().await
    }

    async fn quarantine(&mut self, sagas: &[Quarantined]) -> Result<(), JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.quarantine(sagas).await
    }

    async fn abandon(
        &mut self,
        saga: SagaId,
        at: DateTime<Utc>,
        entries: Vec<Entry>,
    ) -> Result<Option<GivenUp>, JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        if *self.breakage.unwritable.lock().unwrap() == Some(saga) {
            return Err(JournalError::Damaged { saga_id: saga, detail: "a page of the test".to_owned() });
        }
        self.inner.abandon(saga, at, entries).await
    }

    async fn given_up(&mut self, saga: SagaId) -> Result<Option<GivenUp>, JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.given_up(saga).await
    }

    async fn end_quarantine(&mut self, sagas: &[SagaId]) -> Result<(), JournalError> {
        self.breakage.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.end_quarantine(sagas).await
    }

    async fn lost(&mut self) {
        self.inner.lost().await;
    }

    async fn release(self: Box<Self>) -> Result<(), JournalError> {
        self.inner.release().await
    }
}

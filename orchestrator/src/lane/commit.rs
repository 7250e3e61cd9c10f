//! The commit of a turn: durable decisions become the memory of their sagas, the others are thrown away.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chrono::TimeDelta;
use contract::{SagaId, saga::SagaStatus};
use journal::{Appended, Door, ExistingStart, LaneJournal, Record};
use machine::Verdict;
use tokio::time::Instant;

use super::{
    after_commit::{AfterCommit, admitted},
    batch::BatchedSaga,
    flow::Way,
    input::{Origin, PendingInput, count_input},
    lost::Lost,
    turn::Turn,
};
use crate::{
    messages::wire::{self, ActAnswer, ActEnd},
    names,
    saga_instance::{Parked, REFUSED_UNSTORABLE, SagaInstance},
    shared::Shared,
    starts::lanes::{LaneAnswer, StartRequest},
};

/// How often an input is decided again after another writer was faster. Once is a coincidence that a takeover explains;
/// more means that another process serves this shard.
const TRIES_MAX: u8 = 3;

/// The shortest pause of a timer that fired when nothing was due.
const WOKEN_IN_VAIN: TimeDelta = TimeDelta::seconds(1);

/// How long it is tried to find out whether a start was committed.
const RESOLVE_WAIT: Duration = Duration::from_secs(10);
/// Between two such attempts.
const RESOLVE_AGAIN: Duration = Duration::from_millis(200);

/// A turn whose records the journal has judged.
pub(super) struct CommittedTurn {
    pub(super) after_commit: AfterCommit,
    /// A saga that another writer was faster with too often: the lane is to end.
    pub(super) contended: Option<SagaId>,
}

impl Turn<'_> {
    /// Appends everything that the turn decided, and goes by the journal's word for each saga.
    pub(super) async fn commit(mut self, journal: &mut dyn LaneJournal) -> Result<CommittedTurn, Lost> {
        let (mut writing, mut begun) = (Vec::new(), HashMap::new());
        for saga in std::mem::take(&mut self.batch).into_sagas() {
            if let Some(parent) = saga.begins_with {
                begun.entry(parent).or_insert_with(Vec::new).push(saga);
            } else if saga.entries.is_empty() {
                self.unchanged(saga);
            } else {
                writing.push(saga);
            }
        }
        let mut contended = None;
        for (saga, children, appended) in self.append(writing, begun, journal).await? {
            match appended {
                Appended::Committed => [saga].into_iter().chain(children).for_each(|saga| self.committed(saga)),
                Appended::SeqTaken => contended = contended.or(self.taken(saga)),
                Appended::KeyTaken(existing) => key_taken(saga, existing),
                Appended::Unstorable { detail } => self.unstorable(saga, detail),
                Appended::Damaged { detail } => self.damaged(saga, detail),
            }
        }
        Ok(CommittedTurn { after_commit: self.after_commit, contended })
    }

    /// Writes all records in one transaction.
    async fn append(
        &self,
        mut writing: Vec<BatchedSaga>,
        mut begun: HashMap<SagaId, Vec<BatchedSaga>>,
        journal: &mut dyn LaneJournal,
    ) -> Result<Vec<(BatchedSaga, Vec<BatchedSaga>, Appended)>, Lost> {
        if writing.is_empty() {
            return Ok(Vec::new());
        }
        let shared = &self.sagas.shared;
        let ended: HashSet<_> =
            writing.iter().chain(begun.values().flatten()).filter_map(BatchedSaga::ends_for).collect();
        let (shard, now) = (self.sagas.shard, self.now.wall);
        let wanted = |id| shared.watchers.is_followed(id) || self.sagas.watches.has(id, now);
        let append = |saga: &mut BatchedSaga| {
            saga.stays_awake = ended.contains(&saga.id());
            let mut append = saga.append(shard, now, wanted(saga.id()));
            for child in begun.get_mut(&saga.id()).into_iter().flatten() {
                child.stays_awake = ended.contains(&child.id());
                append.family.begun.push(child.begin_append(shard, now, wanted(child.id())));
            }
            append
        };
        let appends: Vec<_> = writing.iter_mut().map(append).collect();
        metrics::histogram!(names::COMMIT_SIZE).record(f64::from(u32::try_from(appends.len()).unwrap_or(u32::MAX)));
        let since = Instant::now();
        let appended = journal.append(appends).await;
        metrics::histogram!(names::COMMIT_SECONDS).record(since.elapsed());
        match appended {
            Ok(appended) => {
                let with_children = |(saga, appended): (BatchedSaga, Appended)| {
                    let children = begun.remove(&saga.id()).unwrap_or_default();
                    (saga, children, appended)
                };
                Ok(writing.into_iter().zip(appended).map(with_children).collect())
            }
            Err(error) => {
                let starts: Vec<_> = writing.into_iter().filter_map(|saga| saga.start).collect();
                tokio::spawn(resolve(Arc::clone(shared), starts));
                Err(Lost::Journal(error))
            }
        }
    }

    /// Nothing was decided: the memory is as true as before.
    fn unchanged(&mut self, saga: BatchedSaga) {
        let mut wake = saga.instance.next_wake(self.now.wall);
        if saga.was_woken_in_vain() {
            wake = wake.map(|wake| wake.max(self.now.wall + WOKEN_IN_VAIN));
        }
        self.sagas.timers.set(saga.id(), wake, self.now);
        if saga.is_asked() {
            self.sagas.tell_parent(&saga.instance);
        }
        self.settle_all(saga.heard);
        self.sagas.keep(saga.instance);
    }

    /// It is durable: the decisions become the memory, and their commands may be sent.
    fn committed(&mut self, saga: BatchedSaga) {
        let tells = saga.is_asked() || saga.ends_for().is_some();
        let BatchedSaga { mut instance, before, commands, children, heard, start, record, .. } = saga;
        let (id, status) = (instance.id(), instance.state.status);
        instance.head += 1;
        self.sagas.orphan_search.committed();
        self.sagas.pauses.prune(&instance);
        let admitted = admitted(
            (&mut self.sagas.flow, &mut self.sagas.pauses),
            &self.sagas.queue,
            &self.sagas.shared.unpackers,
            &instance,
            commands,
            Way::Fresh,
        );
        self.after_commit.commands.extend(admitted);
        self.sagas.timers.set(id, instance.next_wake(self.now.wall), self.now);
        self.sagas.retrying.set(id, instance.retrying_since());
        self.sagas.paused.set(id, instance.paused);
        self.sagas.carried.inputs.extend(children.into_iter().filter_map(PendingInput::from_parent));
        if tells {
            self.sagas.tell_parent(&instance);
        }
        if before.is_none() {
            started(start, &instance);
        }
        if before != Some(status) {
            status_changed(&instance);
        }
        self.settle_all(heard);
        self.tell_watching_orchestrators(&instance, record.as_deref());
        self.sagas.shared.watchers.committed(id, status, record);
        if status.is_final() {
            self.sagas.watches.forget(id);
        }
        let held = self.sagas.pauses.hold_all_of(&instance);
        self.sagas.memory.put_committed(instance, held);
    }

    /// Other processes get the record by message; this one has it already.
    fn tell_watching_orchestrators(&mut self, saga: &SagaInstance, record: Option<&Record>) {
        let own = self.sagas.shared.own_queue.as_str();
        let queues = self.sagas.watches.of(saga.id(), self.now.wall).iter().map(|(queue, _)| queue);
        let mut queues = queues.filter(|queue| *queue != own).peekable();
        if queues.peek().is_none() {
            return;
        }
        let record = record.map(|record| {
            let Record { seq, at, entries } = record.clone();
            wire::CommittedRecord { seq, at, entries }
        });
        let told = wire::Committed { saga_id: saga.id(), head: Some(saga.head), record };
        let messages = queues.map(|queue| wire::committed(queue, &told));
        self.after_commit.messages.extend(messages);
    }

    /// Another writer was faster: this memory is outdated. The inputs are heard again after a reload. Answers the saga
    /// when that has happened too often.
    fn taken(&mut self, saga: BatchedSaga) -> Option<SagaId> {
        let id = saga.id();
        metrics::counter!(names::SEQ_TAKEN).increment(1);
        tracing::warn!(saga_id = %id, seq = saga.instance.head + 1, "another writer was faster; loading again");
        self.sagas.recovery.doubt(id);
        if let Some(start) = saga.start {
            start.answer.send(LaneAnswer::Failed).ok();
        }
        let mut contended = None;
        for (mut input, _) in saga.heard {
            input.tries += 1;
            if input.tries > TRIES_MAX {
                contended = Some(id);
            }
            self.sagas.carried.inputs.push(input);
        }
        contended
    }

    /// The journal refuses what one of the inputs brings, and would refuse it again. Each is tried by itself; the one
    /// that cannot be stored is turned away. The other sagas of the turn are not affected.
    fn unstorable(&mut self, saga: BatchedSaga, detail: String) {
        let id = saga.id();
        tracing::error!(saga_id = %id, detail, "the decided records cannot be stored");
        if let Some(start) = saga.start {
            start.answer.send(LaneAnswer::Unstorable(detail)).ok();
            return;
        }
        self.sagas.recovery.doubt(id);
        let mut inputs: Vec<_> = saga.heard.into_iter().map(|(input, _)| input).collect();
        if inputs.len() > 1 {
            let alone = inputs.into_iter().map(|input| PendingInput { alone: true, ..input });
            return self.sagas.carried.inputs.extend(alone);
        }
        let Some(input) = inputs.pop() else { return };
        if matches!(input.origin, Origin::Timer | Origin::Family) {
            return self.sagas.leave_alone(id, Parked::Unstorable(detail));
        }
        let reason = format!("it cannot be stored: {detail}");
        self.turn_away(input, ActEnd::Refused { code: REFUSED_UNSTORABLE.to_owned(), message: detail }, reason);
    }

    /// The storage fails on this saga alone: it is left alone.
    fn damaged(&mut self, saga: BatchedSaga, detail: String) {
        let BatchedSaga { instance, heard, start, .. } = saga;
        if let Some(start) = start {
            start.answer.send(LaneAnswer::Failed).ok();
        }
        let inputs = heard.into_iter().map(|(input, _)| input);
        self.leave_alone(instance.id(), Parked::Damaged(detail), inputs);
    }

    fn settle_all(&mut self, heard: Vec<(PendingInput, Verdict)>) {
        for (input, verdict) in heard {
            self.settle(input, verdict);
        }
    }

    /// Acknowledges and answers an input whose decision counts from now on.
    fn settle(&mut self, input: PendingInput, verdict: Verdict) {
        let (saga_id, kind) = (input.saga, input.kind());
        let end = match verdict {
            Verdict::Accepted => {
                count_input(kind, "accepted");
                ActEnd::Accepted
            }
            Verdict::Ignored(why) => {
                count_input(kind, "ignored");
                tracing::debug!(%saga_id, kind, why, "an input changed nothing");
                ActEnd::Unchanged { why: why.to_owned() }
            }
            Verdict::Unknown(reason) => {
                count_input(kind, "unknown");
                tracing::warn!(%saga_id, kind, reason, "an input fits no command that was sent");
                let end = ActEnd::Refused { code: "command_unknown".to_owned(), message: reason.clone() };
                return self.turn_away(input, end, reason);
            }
            Verdict::Refused { code, message } => {
                count_input(kind, "refused");
                ActEnd::Refused { code: code.to_owned(), message }
            }
        };
        match input.origin {
            Origin::Timer | Origin::Family => {}
            Origin::Message(delivery) => self.after_commit.acks.push(delivery),
            Origin::Act { delivery, request_id, answer_to, .. } => {
                self.sagas.answered_acts.add(request_id, end.clone());
                self.after_commit.acks.push(delivery);
                self.answer(answer_to, ActAnswer { request_id, end });
            }
        }
    }
}

fn started(start: Option<StartRequest>, saga: &SagaInstance) {
    metrics::counter!(names::STARTED, "name" => saga.state.name.clone()).increment(1);
    tracing::debug!(saga_id = %saga.id(), name = saga.state.name, "started");
    let Some(StartRequest { answer, permit, .. }) = start else { return };
    drop(permit);
    answer.send(LaneAnswer::Created).ok();
}

fn key_taken(saga: BatchedSaga, existing: ExistingStart) {
    if let Some(start) = saga.start {
        tracing::info!(saga_id = %existing.saga_id, "a repeated start found its saga");
        start.answer.send(LaneAnswer::KeyTaken(existing)).ok();
    }
}

fn status_changed(saga: &SagaInstance) {
    let (saga_id, name, status) = (saga.id(), &saga.state.name, saga.state.status);
    let error = saga.error.as_deref().unwrap_or("");
    match status {
        SagaStatus::NeedsAttention => tracing::warn!(%saga_id, name, error, "the saga needs a person"),
        SagaStatus::Abandoned => tracing::info!(%saga_id, name, error, "the saga was given up by hand"),
        SagaStatus::Running | SagaStatus::Compensating | SagaStatus::Completed | SagaStatus::Compensated => {
            tracing::debug!(%saga_id, name, status = status.as_str(), error, "the saga's status changed");
        }
    }
    if status.is_final() {
        metrics::counter!(names::FINISHED, "name" => name.clone(), "status" => status.as_str()).increment(1);
    }
}

/// Finds out whether starts of a broken commit exist. A start that is not found may still appear: the answer says that
/// nothing is known, and the same key makes the repetition safe.
async fn resolve(shared: Arc<Shared>, starts: Vec<StartRequest>) {
    let until = Instant::now() + RESOLVE_WAIT;
    for start in starts {
        let found = loop {
            match shared.journal.read(Door::Acts, start.saga_id, u64::MAX).await {
                Ok(found) => break found.is_some(),
                Err(_) if Instant::now() < until => tokio::time::sleep(RESOLVE_AGAIN).await,
                Err(_) => break false,
            }
        };
        start.answer.send(if found { LaneAnswer::Created } else { LaneAnswer::Unknown }).ok();
    }
}

//! Committing a batch and settling it: what is durable becomes the memory, the rest is thrown away.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    SagaId,
    envelope::{CommandEnvelope, KIND_COMMAND},
    saga::SagaStatus,
};
use journal::{Appended, ExistingStart};
use machine::CommandToSend;
use messaging::{Message, Outgoing, headers};
use tokio::time::Instant;

use super::{
    Lane, Lost,
    batch::{Batch, Work},
    publisher::{Command, Job},
};
use crate::{
    messages::wire::{ActAnswer, ActEnd, Committed, act_answer, committed},
    names,
    saga_instance::{Active, Parked},
    shared::Shared,
    starts::lanes::{LaneAnswer, StartRequest},
};

/// How often an input is decided again after another writer was faster. Once is a coincidence that a takeover explains;
/// more means that somebody else serves this shard.
const TRIES_MAX: u8 = 3;

/// When a timer fired and nothing was due, it fires again no sooner.
const WOKEN_IN_VAIN: TimeDelta = TimeDelta::seconds(1);

/// How long it is tried to find out whether a start was committed.
const RESOLVE_WAIT: Duration = Duration::from_secs(10);
/// Between two such attempts.
const RESOLVE_AGAIN: Duration = Duration::from_millis(200);

impl Lane {
    /// Appends what the batch decided, and settles each saga by the journal's word.
    pub(super) async fn commit(&mut self, batch: Batch, now: DateTime<Utc>, job: &mut Job) -> Result<(), Lost> {
        let mut writing = Vec::new();
        for work in batch.into_works() {
            if work.entries.is_empty() {
                self.unchanged(work, now, job);
            } else {
                writing.push(work);
            }
        }
        if writing.is_empty() {
            return Ok(());
        }
        let watchers = &self.shared.watchers;
        let appends: Vec<_> = writing.iter_mut().map(|work| work.append(self.shard, now, watchers)).collect();
        record_size(appends.len());
        let since = Instant::now();
        let appended = self.journal.append(appends).await;
        metrics::histogram!(names::COMMIT_SECONDS).record(since.elapsed());
        let answers = match appended {
            Ok(answers) => answers,
            Err(error) => {
                let starts: Vec<_> = writing.into_iter().filter_map(|work| work.start).collect();
                tokio::spawn(resolve(Arc::clone(&self.shared), starts));
                return Err(Lost::Journal(error));
            }
        };
        let mut contended = None;
        for (work, answer) in writing.into_iter().zip(answers) {
            match answer {
                Appended::Committed => self.committed(work, now, job),
                Appended::SeqTaken => contended = contended.or(self.taken(work)),
                Appended::KeyTaken(existing) => key_taken(work, existing),
                Appended::Unstorable { detail } => self.unstorable(work, detail, job),
            }
        }
        contended.map_or(Ok(()), |saga| Err(Lost::Contended(saga)))
    }

    /// Nothing was decided: the memory is as true as before.
    fn unchanged(&mut self, work: Work, now: DateTime<Utc>, job: &mut Job) {
        let Work { active, heard, answers, woken_in_vain, .. } = work;
        let mut wake = active.next_wake();
        if woken_in_vain {
            wake = wake.map(|wake| wake.max(now + WOKEN_IN_VAIN));
        }
        self.timers.set(active.id(), wake);
        self.settle(heard, answers, job);
        self.memory.put(active);
    }

    /// It is durable: the decisions become the memory, and the effects may happen.
    fn committed(&mut self, work: Work, now: DateTime<Utc>, job: &mut Job) {
        let Work { mut active, before, commands, heard, answers, start, record, .. } = work;
        let id = active.id();
        active.head += 1;
        let status = active.state.status;
        job.commands.extend(commands.into_iter().filter_map(|command| self.command(&active, command)));
        self.timers.set(id, active.next_wake());
        if let Some(StartRequest { answer, permit, .. }) = start {
            metrics::counter!(names::STARTED, "name" => active.state.name.clone()).increment(1);
            tracing::debug!(saga_id = %id, name = active.state.name, "started");
            drop(permit);
            answer.send(LaneAnswer::Created).ok();
        }
        if before != Some(status) {
            self.status_changed(&active);
        }
        self.settle(heard, answers, job);
        let note = Committed { saga_id: id, head: Some(active.head) };
        self.shared.watchers.committed(id, status, record);
        let own = self.shared.own_queue.as_str();
        let told = self.watches.of(id, now).iter().map(|(queue, _)| queue).filter(|queue| *queue != own);
        job.notes.extend(told.map(|queue| committed(queue, &note)));
        if status.is_final() {
            self.watches.forget(id);
        }
        self.memory.put(active);
    }

    fn status_changed(&self, active: &Active) {
        let (saga_id, name, status) = (active.id(), &active.state.name, active.state.status);
        let error = active.error.as_deref().unwrap_or("");
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

    /// Another writer was faster: this memory is outdated. The inputs are heard again after a reload. Answers the saga
    /// when that has happened too often.
    fn taken(&mut self, work: Work) -> Option<SagaId> {
        let saga = work.active.id();
        metrics::counter!(names::SEQ_TAKEN).increment(1);
        tracing::warn!(saga_id = %saga, seq = work.active.head + 1, "another writer was faster; loading again");
        self.doubtful.insert(saga);
        if let Some(start) = work.start {
            start.answer.send(LaneAnswer::Failed).ok();
        }
        let mut contended = None;
        for mut heard in work.heard {
            heard.tries += 1;
            if heard.tries > TRIES_MAX {
                contended = Some(saga);
            }
            self.carried.push(heard);
        }
        contended
    }

    /// The journal refuses what one of the inputs brings, and would refuse it again. Each is tried by itself; the one
    /// that cannot be stored is nobody's to handle. The others of the batch are not affected.
    fn unstorable(&mut self, work: Work, detail: String, job: &mut Job) {
        let saga = work.active.id();
        tracing::error!(saga_id = %saga, detail, "what was decided cannot be stored");
        if let Some(start) = work.start {
            start.answer.send(LaneAnswer::Unstorable(detail)).ok();
            return;
        }
        self.doubtful.insert(saga);
        let mut heard = work.heard;
        if heard.len() > 1 {
            self.carried.extend(heard.into_iter().map(|one| super::Heard { alone: true, ..one }));
            return;
        }
        let Some(one) = heard.pop() else { return };
        match (one.answer_to, one.delivery) {
            (Some((request_id, queue)), delivery) => {
                job.acks.extend(delivery);
                let end = ActEnd::Refused { code: "unstorable".to_owned(), message: detail };
                self.answer(queue, ActAnswer { request_id, end }, job);
            }
            (None, Some(delivery)) => job.dead.push((delivery, format!("it cannot be stored: {detail}"))),
            (None, None) => self.memory.park(saga, Parked::Unstorable(detail)),
        }
    }

    fn settle(&mut self, heard: Vec<super::Heard>, answers: Vec<(String, ActAnswer)>, job: &mut Job) {
        for (_, answer) in &answers {
            self.acts.push_back(answer.request_id);
            if self.acts.len() > super::ACTS_MAX {
                self.acts.pop_front();
            }
        }
        job.acks.extend(heard.into_iter().filter_map(|heard| heard.delivery));
        for (queue, answer) in answers {
            self.answer(queue, answer, job);
        }
    }

    /// Answers an act: here when it came from here, else over the broker.
    pub(super) fn answer(&self, queue: String, answer: ActAnswer, job: &mut Job) {
        if queue == self.shared.own_queue.as_str() {
            self.shared.pending_requests.answer(answer);
        } else {
            job.notes.push(act_answer(&queue, &answer));
        }
    }

    /// A committed command as it travels.
    pub(super) fn command(&self, active: &Active, command: CommandToSend) -> Option<Command> {
        let CommandToSend { command_id, attempt, name, version, route, deadline, payload } = command;
        let envelope = CommandEnvelope {
            message_id: kit::ids::message_id(),
            command_id,
            attempt,
            name: name.to_owned(),
            version,
            route,
            reply_to: self.queue.as_str().to_owned(),
            deadline,
            traceparent: active.traceparent.clone(),
            payload,
        };
        let body = match serde_json::to_vec(&envelope) {
            Ok(body) => body,
            Err(error) => {
                // The payload is JSON already and the rest cannot fail; the step's deadline would notice all the same.
                tracing::error!(saga_id = %active.id(), %error, "a command cannot be written");
                return None;
            }
        };
        let mut message = Message::new(envelope.message_id.to_string(), KIND_COMMAND, body);
        if let Some(traceparent) = envelope.traceparent {
            message = message.with_header(headers::TRACEPARENT, traceparent);
        }
        let outgoing = Outgoing::command(route.as_str(), message);
        Some(Command { id: envelope.command_id, deadline, outgoing })
    }
}

fn key_taken(work: Work, existing: ExistingStart) {
    if let Some(start) = work.start {
        tracing::info!(saga_id = %existing.saga_id, "a repeated start found its saga");
        start.answer.send(LaneAnswer::KeyTaken(existing)).ok();
    }
}

/// Finds out whether starts of a broken commit exist. A start that is not found may still appear: the answer says that
/// nothing is known, and the same key makes the repetition safe.
async fn resolve(shared: Arc<Shared>, starts: Vec<StartRequest>) {
    let until = Instant::now() + RESOLVE_WAIT;
    for start in starts {
        let found = loop {
            match shared.journal.get(start.saga_id).await {
                Ok(found) => break found.is_some(),
                Err(_) if Instant::now() < until => tokio::time::sleep(RESOLVE_AGAIN).await,
                Err(_) => break false,
            }
        };
        start.answer.send(if found { LaneAnswer::Created } else { LaneAnswer::Unknown }).ok();
    }
}

fn record_size(appends: usize) {
    metrics::histogram!(names::COMMIT_SIZE).record(as_f64(appends));
}

fn as_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

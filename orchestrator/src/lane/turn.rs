//! Deciding a batch: every input that was gathered is heard by its saga, in memory.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use contract::SagaId;
use machine::{Decision, Input, Verdict};
use messaging::Delivery;
use tokio::time::Instant;

use super::{
    Gathered, Lane, Lost,
    batch::{Batch, Heard, Work, start_key},
    publisher::Job,
};
use crate::{
    messages::wire::{ActAnswer, ActEnd, Committed, LaneMessage, Watch, committed},
    names,
    saga_instance::{Active, Begun, Parked},
    starts::lanes::{LaneAnswer, StartRequest},
};

impl Lane {
    /// One batch from what was gathered to what is to be published.
    pub(super) async fn turn(&mut self, gathered: Gathered) -> Result<(), Lost> {
        let now = self.shared.clock.now();
        let mut job = Job::default();
        let heard = self.read(gathered.deliveries, gathered.due, now, &mut job);
        let absent = self.load_missing(&heard, &mut job).await?;
        self.load_given_up(&heard).await?;

        let since = Instant::now();
        let mut batch = Batch::default();
        self.begin(gathered.starts, now, &mut batch);
        for one in heard {
            self.hear(one, &absent, now, &mut batch, &mut job);
        }
        metrics::histogram!(names::DECIDE_SECONDS).record(since.elapsed());

        let committed = self.commit(batch, now, &mut job).await;
        if matches!(committed, Err(Lost::Journal(_))) {
            // Nothing is known, so nothing may happen: what is not acknowledged comes again.
            return committed;
        }
        self.publisher.submit(job).await;
        committed?;
        self.recover().await?;
        count_timers(self.shard, self.timers.len());
        Ok(())
    }

    /// Reads deliveries and timers as inputs; what was carried over comes first.
    fn read(&mut self, deliveries: Vec<Delivery>, due: Vec<SagaId>, now: DateTime<Utc>, job: &mut Job) -> Vec<Heard> {
        let mut heard = std::mem::take(&mut self.carried);
        heard.reserve(deliveries.len() + due.len());
        for delivery in deliveries {
            let note = LaneMessage::read(&delivery).and_then(|note| self.check_shard(note));
            match note {
                Ok(LaneMessage::Watch(watch)) => {
                    self.watch(watch, now, job);
                    job.acks.push(delivery);
                }
                Ok(LaneMessage::Act(act)) if self.acts.contains(&act.request_id) => job.acks.push(delivery),
                Ok(note) => heard.extend(to_input(note, delivery)),
                Err(reason) => {
                    tracing::warn!(shard = self.shard, reason, "a message of the shard's queue is unusable");
                    count_input("unreadable", "dead");
                    job.dead.push((delivery, reason));
                }
            }
        }
        heard.extend(due.into_iter().map(|saga| Heard {
            saga,
            input: Input::TimePassed,
            kind: "timer",
            answer_to: None,
            delivery: None,
            tries: 0,
            alone: false,
        }));
        heard
    }

    fn check_shard(&self, note: LaneMessage) -> Result<LaneMessage, String> {
        let saga = note.saga_id();
        let shard = saga.shard(self.shared.shards);
        if shard == self.shard { Ok(note) } else { Err(format!("saga {saga} belongs to shard {shard}")) }
    }

    /// Notes a watcher, and tells it at once where the saga stands: what was committed between its reading and now
    /// must not stay unseen.
    fn watch(&mut self, watch: Watch, now: DateTime<Utc>, job: &mut Job) {
        count_input("watch", "accepted");
        let Watch { saga_id, notify_to, until } = watch;
        let head = self.memory.get(saga_id).map(|active| active.head);
        job.notes.push(committed(&notify_to, &Committed { saga_id, head }));
        self.watches.add(saga_id, notify_to, until, now);
    }

    /// Begins the sagas that were asked for.
    fn begin(&mut self, starts: Vec<StartRequest>, now: DateTime<Utc>, batch: &mut Batch) {
        let mut starts: Vec<_> = self.carried_starts.drain(..).chain(starts).collect();
        // Lanes that write the same keys at the same time do so in the same order, and cannot lock each other out.
        starts.sort_by_cached_key(start_key);
        let mut keys = HashSet::new();
        for mut start in starts {
            if let Some(key) = start_key(&start)
                && !keys.insert(key)
            {
                self.carried_starts.push(start);
                continue;
            }
            let input = std::mem::take(&mut start.input);
            let begun = Active::begin(&start.definition, start.saga_id, input, start.traceparent.clone(), now);
            match begun {
                Ok(Ok(Begun { active, entries, commands })) => {
                    let mut work = Work::on(active);
                    work.before = None;
                    work.entries = entries;
                    work.commands = commands;
                    work.start = Some(start);
                    batch.add(work);
                }
                Ok(Err(refused)) => {
                    start.answer.send(LaneAnswer::Refused(refused)).ok();
                }
                Err(parked) => {
                    tracing::error!(saga_id = %start.saga_id, reason = %parked, "a start failed");
                    start.answer.send(LaneAnswer::Failed).ok();
                }
            }
        }
    }

    /// Lets one saga hear one input.
    fn hear(&mut self, heard: Heard, absent: &HashSet<SagaId>, now: DateTime<Utc>, batch: &mut Batch, job: &mut Job) {
        let saga = heard.saga;
        if batch.get(saga).is_none() {
            match self.memory.take(saga) {
                Some(active) => batch.add(Work::on(active)),
                None => return self.nobody_hears(heard, absent, job),
            }
        }
        let Some(work) = batch.get(saga) else { return };
        if !work.heard.is_empty() && (heard.alone || work.heard.iter().any(|other| other.alone)) {
            return self.carried.push(heard);
        }
        let decision = match work.active.hear(&heard.input, now) {
            Ok(decision) => decision,
            Err(parked) => {
                let others = batch.remove(saga).map(|work| work.heard).unwrap_or_default();
                for one in others.into_iter().chain([heard]) {
                    self.refuse_parked(one, &parked, job);
                }
                self.timers.set(saga, None);
                return self.memory.park(saga, parked);
            }
        };
        let Decision { entries, state, commands, verdict } = decision;
        work.active.state = state;
        work.entries.extend(entries);
        work.commands.extend(commands);
        settle_verdict(work, heard, verdict, job);
    }

    /// The saga is not in memory: it does not exist, is left alone, or was dropped again to make room.
    fn nobody_hears(&mut self, heard: Heard, absent: &HashSet<SagaId>, job: &mut Job) {
        if let Some(parked) = self.memory.parked(heard.saga).cloned() {
            return self.refuse_parked(heard, &parked, job);
        }
        if !absent.contains(&heard.saga) {
            return self.carried.push(heard);
        }
        count_input(heard.kind, "no_saga");
        let Heard { saga, input, answer_to, delivery, .. } = heard;
        match (answer_to, delivery) {
            (Some((request_id, queue)), delivery) => {
                job.acks.extend(delivery);
                self.answer(queue, ActAnswer { request_id, end: ActEnd::NoSuchSaga }, job);
            }
            (None, Some(delivery)) => bury(&input, delivery, format!("no saga {saga}"), job),
            (None, None) => {}
        }
    }

    fn refuse_parked(&self, heard: Heard, parked: &Parked, job: &mut Job) {
        count_input(heard.kind, "parked");
        let Heard { answer_to, input, delivery, saga, .. } = heard;
        match (answer_to, delivery) {
            (Some((request_id, queue)), delivery) => {
                job.acks.extend(delivery);
                let end = ActEnd::Parked { code: parked.code().to_owned(), detail: parked.to_string() };
                self.answer(queue, ActAnswer { request_id, end }, job);
            }
            (None, Some(delivery)) => bury(&input, delivery, format!("saga {saga} is left alone: {parked}"), job),
            (None, None) => {}
        }
    }
}

/// What nobody can hear goes to the dead letters; but not the news of a dead command, whose own letter is kept.
fn bury(input: &Input, delivery: Delivery, reason: String, job: &mut Job) {
    if matches!(input, Input::DeadLettered { .. }) {
        job.acks.push(delivery);
    } else {
        job.dead.push((delivery, reason));
    }
}

fn to_input(note: LaneMessage, delivery: Delivery) -> Option<Heard> {
    let (saga, kind) = (note.saga_id(), note.kind());
    let (input, answer_to) = match note {
        LaneMessage::Reply(reply) => {
            let (command_id, attempt, outcome) = (reply.command_id, reply.attempt, reply.outcome);
            (Input::Replied { command_id, attempt, outcome }, None)
        }
        LaneMessage::DeadCommand(dead) => {
            let (command_id, attempt, reason) = (dead.command_id, dead.attempt, dead.reason);
            (Input::DeadLettered { command_id, attempt, reason }, None)
        }
        LaneMessage::Act(act) => {
            let (operator, action) = (act.operator, act.action);
            (Input::Operator { operator, action }, Some((act.request_id, act.answer_to)))
        }
        LaneMessage::Watch(_) => return None,
    };
    Some(Heard { saga, input, kind, answer_to, delivery: Some(delivery), tries: 0, alone: false })
}

/// Keeps what is to be told and acknowledged once the saga's part of the batch is committed.
fn settle_verdict(work: &mut Work, mut heard: Heard, verdict: Verdict, job: &mut Job) {
    let (word, end) = match verdict {
        Verdict::Accepted => ("accepted", ActEnd::Accepted),
        Verdict::Ignored(why) => {
            tracing::debug!(saga_id = %heard.saga, kind = heard.kind, why, "an input changed nothing");
            work.woken_in_vain |= heard.delivery.is_none();
            ("ignored", ActEnd::Unchanged { why: why.to_owned() })
        }
        Verdict::Unknown(reason) => {
            tracing::warn!(saga_id = %heard.saga, kind = heard.kind, reason, "an input fits nothing that was sent");
            if let Some(delivery) = heard.delivery.take() {
                bury(&heard.input, delivery, reason.clone(), job);
            }
            ("unknown", ActEnd::Refused { code: "command_unknown".to_owned(), message: reason })
        }
        Verdict::Refused { code, message } => ("refused", ActEnd::Refused { code: code.to_owned(), message }),
    };
    count_input(heard.kind, word);
    if let Some((request_id, queue)) = &heard.answer_to {
        work.answers.push((queue.clone(), ActAnswer { request_id: *request_id, end }));
    }
    work.heard.push(heard);
}

/// How many timers this process holds for a shard: none once its lane has ended.
pub(super) fn count_timers(shard: u16, timers: usize) {
    let timers = u32::try_from(timers).unwrap_or(u32::MAX);
    metrics::gauge!(names::TIMERS, "shard" => shard.to_string()).set(timers);
}

fn count_input(kind: &'static str, verdict: &'static str) {
    metrics::counter!(names::INPUTS, "kind" => kind, "verdict" => verdict).increment(1);
}

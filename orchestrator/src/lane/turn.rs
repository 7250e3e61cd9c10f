//! A turn: one batch of inputs, decided in memory. Nothing of it counts before `commit`.

use std::collections::HashSet;

use contract::{
    Attributes, SagaId,
    command::{FAULT_COMMAND_EXPIRED, Fault, Outcome},
    envelope::ReplyEnvelope,
    saga::Action,
};
use journal::LaneJournal;
use machine::{Input, codes::REFUSED_SAGA_FINISHED};
use messaging::Delivery;
use tokio::time::Instant;

use super::{
    after_commit::AfterCommit,
    batch::{Batch, BatchedSaga},
    inbox::{BrokerChange, Gathered},
    input::{Origin, PendingInput, count_input},
    loading::Loaded,
    lost::Lost,
    sagas::Sagas,
    timers::Now,
};
use crate::{
    messages::wire::{
        ActAnswer, ActEnd, Committed, LaneMessage, PauseQuestion, PauseTold, Ping, Pong, Question, Release, Told,
        Watch, act_answer, committed, pause_told, pong, told,
    },
    names,
    saga_instance::{Names, Parked, SagaInstance},
    starts::lanes::{LaneAnswer, StartRequest},
};

/// The reason why a saga that was given up unread takes nothing.
const WHY_GIVEN_UP: &str = "the saga is abandoned, and cannot be read: nothing can be done to it any more";

/// One batch on its way from inputs to records.
pub(super) struct Turn<'a> {
    pub(super) sagas: &'a mut Sagas,
    /// The time of every decision and record of the turn.
    pub(super) now: Now,
    pub(super) batch: Batch,
    pub(super) after_commit: AfterCommit,
    /// Sagas that operators want to go on, to be answered when it is known whether they can.
    releases: Vec<Release>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(sagas: &'a mut Sagas, now: Now) -> Self {
        let (batch, after_commit) = (Batch::default(), AfterCommit::default());
        Self { sagas, now, batch, after_commit, releases: Vec::new() }
    }

    /// Decides everything that was gathered, after loading the sagas that it is for.
    pub(super) async fn decide(&mut self, gathered: Gathered, journal: &mut dyn LaneJournal) -> Result<(), Lost> {
        let Gathered { deliveries, starts, broker, due, heard_until } = gathered;
        let mut inputs = std::mem::take(&mut self.sagas.carried.inputs);
        match broker {
            Some(BrokerChange::TakesNone) => self.sagas.flow.broker_takes_none(),
            Some(BrokerChange::TakesAgain) => self.sagas.flow.broker_takes_again(),
            Some(BrokerChange::Back) => self.sagas.flow.begin_anew(),
            None => {}
        }
        self.read(deliveries, &mut inputs);
        // After the replies of the same turn: what they answer is not missing.
        if let Some(heard_until) = heard_until {
            inputs.extend(self.sagas.flow.judge(heard_until).into_iter().map(PendingInput::missing));
        }
        inputs.extend(due.into_iter().map(PendingInput::timer));
        let mut loaded = match self.load(&inputs, journal).await {
            Ok(loaded) => loaded,
            Err(lost) => {
                // Nothing of these was begun, and their callers may know it.
                starts.into_iter().for_each(|start| drop(start.answer.send(LaneAnswer::NotTaken)));
                return Err(lost);
            }
        };
        self.after_commit.commands.append(&mut loaded.commands);

        self.answer_releases();
        let since = Instant::now();
        self.begin(starts);
        for input in inputs {
            self.hear(input, &loaded);
        }
        metrics::histogram!(names::DECIDE_SECONDS).record(since.elapsed());
        Ok(())
    }

    async fn load(&mut self, inputs: &[PendingInput], journal: &mut dyn LaneJournal) -> Result<Loaded, Lost> {
        let released = self.releases.iter().map(|release| release.saga_id);
        let ids = inputs.iter().map(|input| input.saga).chain(released);
        let mut loaded = self.sagas.load_missing(ids, journal).await?;
        self.sagas.load_given_up(inputs, self.now.wall, journal, &mut loaded).await?;
        Ok(loaded)
    }

    /// Reads deliveries as inputs.
    fn read(&mut self, deliveries: Vec<Delivery>, inputs: &mut Vec<PendingInput>) {
        inputs.reserve(deliveries.len());
        for delivery in deliveries {
            match LaneMessage::read(&delivery).and_then(|message| self.check_shard(message)) {
                Ok(LaneMessage::Reply(reply)) => {
                    if let Some(route) = reply.parcels {
                        self.sagas.shared.unpackers.note(route);
                    }
                    self.answered(&reply);
                    inputs.push(PendingInput::reply(reply, delivery));
                }
                Ok(LaneMessage::DeadCommand(dead)) => {
                    self.sagas.flow.answered(&dead.command_id, dead.attempt, self.now.steady);
                    inputs.push(PendingInput::dead_command(dead, delivery));
                }
                Ok(LaneMessage::Act(act)) => match self.sagas.answered_acts.get(act.request_id).cloned() {
                    Some(end) => {
                        self.answer(act.answer_to, ActAnswer { request_id: act.request_id, end });
                        self.after_commit.acks.push(delivery);
                    }
                    None => inputs.push(PendingInput::act(act, delivery)),
                },
                Ok(LaneMessage::Signal(signal)) => inputs.push(PendingInput::signal(signal, delivery)),
                Ok(LaneMessage::Watch(watch)) => {
                    self.watch(watch);
                    self.after_commit.acks.push(delivery);
                }
                Ok(LaneMessage::Release(release)) => {
                    self.sagas.take_up_again(release.saga_id);
                    self.releases.push(release);
                    self.after_commit.acks.push(delivery);
                }
                Ok(LaneMessage::Question(question)) => {
                    self.tell(question);
                    self.after_commit.acks.push(delivery);
                }
                Ok(LaneMessage::PauseQuestion(question)) => {
                    self.tell_of_pause(question);
                    self.after_commit.acks.push(delivery);
                }
                Ok(LaneMessage::Ping(Ping { answer_to, shard, request_id })) => {
                    let told = request_id.map(|request_id| self.sagas.tell_of_lane(request_id, self.now));
                    self.after_commit.messages.push(pong(&answer_to, &Pong { shard, own: false, told }));
                    self.after_commit.acks.push(delivery);
                }
                Err(reason) => {
                    tracing::warn!(shard = self.sagas.shard, reason, "a message of the shard's queue is unusable");
                    count_input("unreadable", "dead");
                    self.after_commit.dead.push((delivery, reason));
                }
            }
        }
    }

    /// Tells flow control of a reply, and people of a worker's clock that is ahead.
    fn answered(&mut self, reply: &ReplyEnvelope) {
        let ReplyEnvelope { command_id, attempt, outcome, .. } = reply;
        if let Outcome::Faulted(Fault { code, .. }) = outcome
            && code == FAULT_COMMAND_EXPIRED
            && let Some(route) = self.sagas.flow.expires_after(command_id, self.now.wall)
        {
            metrics::counter!(names::CLOCK_SKEW, "route" => route.as_str()).increment(1);
            tracing::error!(%command_id, route = route.as_str(), "a worker's clock is ahead: it found a command expired");
        }
        self.sagas.flow.answered(command_id, *attempt, self.now.steady);
    }

    fn check_shard(&self, message: LaneMessage) -> Result<LaneMessage, String> {
        let Some(saga) = message.saga_id() else { return Ok(message) };
        let shard = saga.shard(self.sagas.shared.shards);
        if shard == self.sagas.shard { Ok(message) } else { Err(format!("saga {saga} belongs to shard {shard}")) }
    }

    /// Notes a watcher, and tells it at once where the saga stands: a commit between its reading and now must not stay
    /// unseen.
    fn watch(&mut self, watch: Watch) {
        count_input("watch", "accepted");
        let Watch { saga_id, notify_to, until } = watch;
        let head = self.sagas.memory.get(saga_id).map(|saga| saga.head);
        let told = committed(&notify_to, &Committed { saga_id, head, record: None });
        let renewed = self.sagas.watches.add(saga_id, notify_to, until, self.now.wall);
        // A saga that is not in memory has had no commit since the watcher was last answered.
        if head.is_some() || !renewed {
            self.after_commit.messages.push(told);
        }
    }

    /// Answers how a saga stands here: in memory when this process asks, else over the broker.
    fn tell(&mut self, question: Question) {
        count_input("question", "accepted");
        let Question { request_id, answer_to, saga_id } = question;
        let stands = self.sagas.stands(saga_id, self.now);
        if answer_to == self.sagas.shared.own_queue.as_str() {
            self.sagas.shared.pending_questions.answer(request_id, &stands);
        } else {
            self.after_commit.messages.push(told(&answer_to, &Told { request_id, stands }));
        }
    }

    /// Answers how much a pause holds back here, and what of it is under way.
    fn tell_of_pause(&mut self, question: PauseQuestion) {
        count_input("pause_question", "accepted");
        let PauseQuestion { request_id, answer_to, scope } = question;
        let Sagas { pauses, flow, memory, .. } = &mut *self.sagas;
        let count = pauses.count(&scope, flow, memory, self.now.wall);
        self.after_commit.messages.push(pause_told(&answer_to, &PauseTold { request_id, count }));
    }

    /// Tells operators whether the sagas that they released go on.
    fn answer_releases(&mut self) {
        for Release { request_id, answer_to, saga_id } in std::mem::take(&mut self.releases) {
            let end = match self.sagas.memory.parked(saga_id) {
                Some(parked) => ActEnd::Parked { code: parked.code().to_owned(), detail: parked.to_string() },
                None if self.sagas.memory.knows(saga_id) => ActEnd::Accepted,
                None => ActEnd::NoSuchSaga,
            };
            self.answer(answer_to, ActAnswer { request_id, end });
        }
    }

    /// Begins the sagas that were asked for.
    fn begin(&mut self, starts: Vec<StartRequest>) {
        let mut starts: Vec<_> = self.sagas.carried.starts.drain(..).chain(starts).collect();
        // Lanes that write the same keys at the same time do so in the same order, and cannot lock each other out.
        starts.sort_by_cached_key(start_key);
        let mut keys = HashSet::new();
        for mut start in starts {
            if let Some(key) = start_key(&start)
                && !keys.insert(key)
            {
                self.sagas.carried.starts.push(start);
                continue;
            }
            let input = std::mem::take(&mut start.input);
            let (business_key, owner) = (start.business_key.clone(), start.owner.clone());
            let names = Names { business_key, owner, attributes: Attributes::default() };
            let (id, named) = (start.saga_id, (Some(start.traceparent), names));
            match SagaInstance::begin(&start.definition, id, None, input, named, self.now.wall) {
                Ok(Ok(begun)) => {
                    self.batch.add(BatchedSaga::begun(begun, start));
                    self.begin_children(id);
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
    fn hear(&mut self, input: PendingInput, loaded: &Loaded) {
        let id = input.saga;
        if self.batch.get(id).is_none() {
            match self.sagas.memory.take(id) {
                Some(saga) => self.batch.add(BatchedSaga::loaded(saga)),
                None => return self.hear_without_saga(input, loaded),
            }
        }
        let Some(saga) = self.batch.get(id) else { return };
        if !saga.goes_with(&input) {
            return self.sagas.carried.inputs.push(input);
        }
        match saga.decide(&self.sagas.shared.catalog, &input, self.now.wall) {
            Ok(verdict) => {
                saga.heard.push((input, verdict));
                self.begin_children(id);
            }
            Err(parked) => self.park(input, parked),
        }
    }

    /// The saga is not in memory: it does not exist, was given up unread, is left alone, or was dropped again to make room.
    fn hear_without_saga(&mut self, input: PendingInput, Loaded { absent, given_up, .. }: &Loaded) {
        let id = input.saga;
        if let Some(parent) = given_up.get(&id) {
            self.turn_away_from_given_up(input, *parent);
        } else if let Some(parked) = self.sagas.memory.parked(id).cloned() {
            self.turn_away_from_parked(input, &parked);
        } else if absent.contains(&id) {
            count_input(input.kind(), "no_saga");
            self.turn_away(input, ActEnd::NoSuchSaga, format!("no saga {id}"));
        } else {
            self.sagas.carried.inputs.push(input);
        }
    }

    /// The machine failed on the saga: it is left alone, and all that it was to hear in this turn is turned away.
    fn park(&mut self, input: PendingInput, parked: Parked) {
        let id = input.saga;
        let heard = self.batch.remove(id).map(|saga| saga.heard).unwrap_or_default();
        self.leave_alone(id, parked, heard.into_iter().map(|(input, _)| input).chain([input]));
    }

    /// Leaves a saga alone from now on, and turns away what it was to hear.
    pub(super) fn leave_alone(&mut self, id: SagaId, parked: Parked, inputs: impl Iterator<Item = PendingInput>) {
        for input in inputs {
            self.turn_away_from_parked(input, &parked);
        }
        self.sagas.leave_alone(id, parked);
    }

    /// Tells whoever still speaks to a saga that was given up unread what became of it.
    fn turn_away_from_given_up(&mut self, input: PendingInput, parent: Option<SagaId>) {
        count_input(input.kind(), "given_up");
        if matches!(input.origin, Origin::Family) {
            self.sagas.tell_parent_of_given_up(input.saga, parent);
        }
        let is_done = matches!(input.input, Input::Operator { action: Action::Abandon {}, .. });
        let (code, message) = (REFUSED_SAGA_FINISHED.to_owned(), WHY_GIVEN_UP.to_owned());
        let end = if is_done { ActEnd::Accepted } else { ActEnd::Refused { code, message } };
        self.turn_away(input, end, WHY_GIVEN_UP.to_owned());
    }

    fn turn_away_from_parked(&mut self, input: PendingInput, parked: &Parked) {
        count_input(input.kind(), "parked");
        let reason = format!("saga {} is left alone: {parked}", input.saga);
        let end = ActEnd::Parked { code: parked.code().to_owned(), detail: parked.to_string() };
        self.turn_away(input, end, reason);
    }

    /// Does away with an input that no saga can hear: its act is answered, its message goes to the dead letters. But the
    /// news of a dead command does not, whose own letter is kept.
    pub(super) fn turn_away(&mut self, input: PendingInput, end: ActEnd, reason: String) {
        match input.origin {
            Origin::Timer | Origin::Family => {}
            Origin::Message(delivery) if matches!(input.input, Input::DeadLettered { .. }) => {
                self.after_commit.acks.push(delivery);
            }
            Origin::Message(delivery) => self.after_commit.dead.push((delivery, reason)),
            // Its sender is done with it: it is kept with the replies, and heard when the saga goes on.
            Origin::Act { delivery, request_id, answer_to, .. }
                if matches!((&input.input, &end), (Input::Signaled(_), ActEnd::Parked { .. })) =>
            {
                self.after_commit.dead.push((delivery, reason));
                self.answer(answer_to, ActAnswer { request_id, end: ActEnd::Kept });
            }
            Origin::Act { delivery, request_id, answer_to, .. } => {
                self.after_commit.acks.push(delivery);
                self.answer(answer_to, ActAnswer { request_id, end });
            }
        }
    }

    /// Answers an act: in memory when this process sent it, else over the broker.
    pub(super) fn answer(&mut self, answer_to: String, answer: ActAnswer) {
        if answer_to == self.sagas.shared.own_queue.as_str() {
            self.after_commit.own_answers.push(answer);
        } else {
            self.after_commit.messages.push(act_answer(&answer_to, &answer));
        }
    }
}

/// The start key that a request takes: two of the same cannot stand in one batch.
fn start_key(start: &StartRequest) -> Option<(String, String)> {
    let key = start.key.as_ref()?;
    Some((start.definition.name().to_owned(), key.key.clone()))
}

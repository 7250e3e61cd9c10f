//! Participants with an inbox and tombstones, whose faults are scripted.

use std::collections::BTreeMap;

use contract::{
    Document,
    command::{FAULT_COMMAND_EXPIRED, Outcome, REFUSED_STEP_COMPENSATED},
    step::{CommandId, Op, StepName},
};

use super::dice::Dice;
use crate::{decision::CommandToSend, definition::Definition};

/// The fate of one sending of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It takes effect and is answered.
    Do,
    /// It is refused by the business.
    Refuse,
    /// It meets a technical fault, which is answered.
    Fault,
    /// The command never arrives.
    LoseCommand,
    /// It takes effect, and the answer never arrives.
    LoseReply,
    /// The command arrives only when everything else is over.
    Late,
    /// It takes effect, and is answered with something that is no reply.
    Garble,
    /// It fells each worker that takes it up, and ends in the dead letters.
    DeadLetter,
    /// A worker whose clock is ahead finds it expired, if it can expire.
    Expire,
    /// Its domain answers nothing until everything else is over.
    Away,
    /// The signal that a step waits for comes before the step is reached.
    Early,
}

/// The fates of each direction of each step: one for each attempt, the last one for all that follow.
#[derive(Debug, Clone, Default)]
pub struct Script {
    fates: BTreeMap<(StepName, Op), Vec<Fate>>,
}

/// The participants of one saga, with what they did.
#[derive(Debug, Clone, Default)]
pub struct Participants {
    script: Script,
    inbox: BTreeMap<CommandId, Outcome<Document>>,
    /// How often each step took effect, and how often that was undone.
    pub effects: BTreeMap<StepName, (u32, u32)>,
    /// The steps whose compensation came.
    tombstones: BTreeMap<StepName, ()>,
}

impl Script {
    /// A script in which everything goes well.
    #[must_use]
    pub fn clean() -> Self {
        Self::default()
    }

    /// The same script, with other fates for one direction of a step.
    #[must_use]
    pub fn with(mut self, step: &StepName, op: Op, fates: &[Fate]) -> Self {
        self.fates.insert((step.clone(), op), fates.to_vec());
        self
    }

    /// A script in which some things go wrong in some attempts; compensations are never refused.
    #[must_use]
    pub fn random(definition: &Definition, dice: &mut Dice) -> Self {
        let mut script = Self::default();
        for step in definition.steps() {
            for op in [Op::Action, Op::Compensation, Op::Extension] {
                let attempts = dice.below(4);
                let fates: Vec<_> = (0..attempts).map(|_| random_fate(op, dice)).chain([Fate::Do]).collect();
                script.fates.insert((step.name().clone(), op), fates);
            }
        }
        script
    }

    /// A script in which some domains are away for a while, and nothing else goes wrong.
    #[must_use]
    pub fn away(definition: &Definition, dice: &mut Dice) -> Self {
        let mut script = Self::default();
        for step in definition.steps() {
            for op in [Op::Action, Op::Compensation] {
                let fate = if dice.below(2) == 0 { Fate::Away } else { Fate::Do };
                script.fates.insert((step.name().clone(), op), vec![fate]);
            }
        }
        script
    }

    /// The same script, with compensations that all go well.
    #[must_use]
    pub fn undone_well(mut self) -> Self {
        self.fates.retain(|(_, op), _| *op == Op::Action);
        self
    }

    /// The fate of the signal that a step waits for: the first that is scripted.
    pub(super) fn fate_of_signal(&self, step: &StepName) -> Fate {
        let fates = self.fates.get(&(step.clone(), Op::Action));
        fates.and_then(|fates| fates.first()).copied().unwrap_or(Fate::Do)
    }

    /// The fate of a sending. Only the first generation is scripted: what an operator asks for anew goes well.
    pub(super) fn fate(&self, command: &CommandToSend) -> Fate {
        let CommandId { step, op, generation, .. } = &command.command_id;
        let fates = self.fates.get(&(step.clone(), *op)).filter(|_| *generation == 1);
        let attempt = usize::from(command.attempt.saturating_sub(1));
        fates.and_then(|fates| fates.get(attempt).or(fates.last())).copied().unwrap_or(Fate::Do)
    }
}

fn random_fate(op: Op, dice: &mut Dice) -> Fate {
    match (dice.below(15), op) {
        (0 | 1, _) => Fate::Fault,
        (2 | 3, _) => Fate::LoseReply,
        (4, _) => Fate::LoseCommand,
        (5, _) => Fate::Late,
        (6, Op::Action) => Fate::Refuse,
        (7, _) => Fate::Garble,
        (8, _) => Fate::DeadLetter,
        (9, _) => Fate::Expire,
        (10, _) => Fate::Away,
        (11, Op::Action) => Fate::Early,
        _ => Fate::Do,
    }
}

impl Participants {
    pub(super) fn new(script: Script) -> Self {
        Self { script, ..Self::default() }
    }

    pub(super) const fn script(&self) -> &Script {
        &self.script
    }

    /// Lets everything go well from here on.
    pub(super) fn heal(&mut self) {
        self.script = Script::clean();
    }

    /// True when the step's effect stands.
    #[must_use]
    pub fn stands(&self, step: &StepName) -> bool {
        self.effects.get(step).is_some_and(|(done, undone)| done > undone)
    }

    /// Carries a command out, once, and answers it; `None` when the answer gets lost.
    pub(super) fn handle(&mut self, command: &CommandToSend, fate: Fate, reply: Document) -> Option<Outcome<Document>> {
        let id = &command.command_id;
        if let Some(stored) = self.inbox.get(id) {
            return (fate != Fate::LoseReply).then(|| stored.clone());
        }
        if id.op != Op::Compensation && self.tombstones.contains_key(&id.step) {
            let outcome = Outcome::refused(REFUSED_STEP_COMPENSATED, "its compensation came first");
            self.inbox.insert(id.clone(), outcome.clone());
            return Some(outcome);
        }
        let outcome = match fate {
            Fate::Fault => return Some(Outcome::faulted("broken", "it broke")),
            Fate::Expire if command.expires_at.is_some() => {
                return Some(Outcome::faulted(FAULT_COMMAND_EXPIRED, "it is later here"));
            }
            Fate::Refuse => Outcome::refused("no", "the business says no"),
            Fate::Garble => Outcome::done(Document::from(serde_json::Value::from("not a reply"))),
            Fate::Do
            | Fate::LoseReply
            | Fate::Late
            | Fate::LoseCommand
            | Fate::DeadLetter
            | Fate::Expire
            | Fate::Away
            | Fate::Early => Outcome::done(reply),
        };
        if fate != Fate::Refuse {
            self.take_effect(id);
        }
        self.inbox.insert(id.clone(), outcome.clone());
        (fate != Fate::LoseReply).then_some(outcome)
    }

    fn take_effect(&mut self, id: &CommandId) {
        let (done, undone) = self.effects.entry(id.step.clone()).or_default();
        match id.op {
            Op::Action => *done += 1,
            // It makes an effect last, which it is not itself.
            Op::Extension => {}
            Op::Compensation => {
                if *done > *undone {
                    *undone += 1;
                }
                self.tombstones.insert(id.step.clone(), ());
            }
        }
    }
}

//! The plan of an operator's action: the decision without its commit, and what follows when each command takes effect.
//!
//! What follows is read off the graph by the same questions that [`crate::decide()`] asks, with replies in which nothing
//! is said. Which step comes next depends on what a reply says only where a step may turn out not to be needed: that one is
//! planned, and says so. A wait sends nothing: where it turns out not to be needed, what follows it comes sooner than planned.

use chrono::{DateTime, Utc};
use contract::{
    Document,
    orchestrator_api::{LeftEffect, PlannedCommand, PlannedWhen},
    saga::{Action, FieldChange, SagaStatus},
    step::{CommandId, Op, StepName},
};

use crate::{
    decision::{Decision, Verdict},
    definition::Definition,
    entry::Entry,
    evolve::evolve,
    input::{Operator, Terms},
    migrate::migrate,
    operate::operate,
    queries::{ahead, needs_undo, ops},
    state::{Phase, State, StepState},
    step::{Step, Work},
};

/// The consequences that an action would have.
#[derive(Debug)]
pub struct Plan {
    /// The verdict that the action would get.
    pub verdict: Verdict,
    /// The fields of a command that the action would change.
    pub changes: Vec<FieldChange>,
    /// The commands: those that the action sends and those that are under way, then those that follow, round by round.
    pub commands: Vec<PlannedCommand>,
    /// The status that the saga comes to when every command takes effect.
    pub end: SagaStatus,
    /// The effects that stay although the saga is over and not completed.
    pub left: Vec<LeftEffect>,
}

/// Plans an operator's action on a saga as it stands. Nothing is decided by it.
#[must_use]
pub fn plan(definition: &Definition, state: State, action: &Action, now: DateTime<Utc>) -> Plan {
    follow(definition, operate(definition, state, &Operator::default(), action, Terms::default(), now), now)
}

/// Plans the migration of a saga from the version that it was started under to another.
#[must_use]
pub fn plan_migration(from: &Definition, to: &Definition, state: State, now: DateTime<Utc>) -> Plan {
    let decision = migrate(from, to, state, &Operator::default(), Terms::default(), now);
    let definition = if decision.verdict == Verdict::Accepted { to } else { from };
    follow(definition, decision, now)
}

/// Reads off what follows from a decision.
fn follow(definition: &Definition, decision: Decision, now: DateTime<Utc>) -> Plan {
    let Decision { state, commands, children: _, verdict, entries } = decision;
    let changed = |entry| if let Entry::CommandEdited { changes, .. } = entry { Some(changes) } else { None };
    let changes = entries.into_iter().find_map(changed).unwrap_or_default();
    let state = if verdict == Verdict::Accepted { turned_with_its_child(state) } else { state };
    let mut outlook = Outlook { definition, state, now, planned: Vec::new() };
    match verdict {
        Verdict::Accepted => {
            let sent: Vec<_> = commands.into_iter().map(|command| command.command_id).collect();
            outlook.run(&sent);
        }
        Verdict::Ignored(_) | Verdict::Unknown(_) | Verdict::Refused { .. } => {}
    }
    let Outlook { state, planned, .. } = outlook;
    Plan { verdict, changes, commands: planned, end: state.status, left: left(definition, &state) }
}

/// The saga after a cancel that went on to the child of its pivot, and took effect there.
fn turned_with_its_child(mut state: State) -> State {
    let Some((child, cause)) = state.cancelled_child.clone().filter(|_| state.cause.is_none()) else { return state };
    let awaits = |(_, step): &(&StepName, &StepState)| step.action.awaited_child() == Some(child);
    let child_step = state.steps.iter().find(awaits).map(|(name, _)| name.clone());
    if let Some(step) = child_step {
        let (op, code, message) = (Op::Action, cause.code.clone(), cause.message.clone());
        evolve(&mut state, &Entry::CommandRefused { step, op, code, message });
        evolve(&mut state, &Entry::CompensationStarted { cause });
    }
    state
}

/// A saga on its way to the end that it has when nothing goes wrong.
struct Outlook<'d> {
    definition: &'d Definition,
    state: State,
    now: DateTime<Utc>,
    planned: Vec<PlannedCommand>,
}

impl Outlook<'_> {
    /// Goes on to the end. Each round but the last concludes a step, so there are no more than steps.
    fn run(&mut self, sent: &[CommandId]) {
        if self.state.status.is_final() {
            return;
        }
        self.plan_open(sent);
        let mut round = 1;
        loop {
            self.conclude_open();
            let op = self.state.direction();
            let (ahead, end) = ahead(self.definition, &self.state);
            if ahead.finished {
                evolve(&mut self.state, &end);
                return;
            }
            if ahead.ready.is_empty() || self.state.holds_back(op) {
                // What is left waits for a person, or for the end of a pause.
                return;
            }
            let before = self.planned.len();
            for step in ahead.ready {
                let perhaps = op == Op::Action && step.is_perhaps_needed();
                let when = if perhaps { PlannedWhen::IfNeeded } else { PlannedWhen::AfterReplies };
                self.planned.extend(planned(step, op, round, when, None));
                let (generation, attempt, reply_by) = (1, 1, self.now);
                let step = step.name.clone();
                evolve(&mut self.state, &Entry::CommandDispatched { step, op, generation, attempt, reply_by });
            }
            // Where steps only wait, nothing is sent.
            round += u16::from(self.planned.len() > before);
        }
    }

    /// The commands that need no further reply: what the action sends first.
    fn plan_open(&mut self, sent: &[CommandId]) {
        let at_work = self.definition.at_work(&self.state);
        let open = ops(&self.state).iter().flat_map(|op| at_work.iter().map(|step| (step, *op)));
        for (step, op) in open {
            let Some(progress) = self.state.progress(&step.name, op) else { continue };
            let (when, retry_at) = match progress.phase {
                Phase::Outstanding { .. } if sent.iter().any(|id| id.step == step.name && id.op == op) => {
                    (PlannedWhen::Now, None)
                }
                Phase::Outstanding { .. } => (PlannedWhen::UnderWay, None),
                Phase::Waiting { .. } if self.state.holds_back(op) => continue,
                Phase::Waiting { retry_at } => (PlannedWhen::AtRetry, Some(retry_at)),
                // A wait sends nothing, and is taken to end. A child has its own plan.
                Phase::AwaitingSignal { .. } | Phase::AwaitingTime { .. } | Phase::AwaitingChild { .. } => continue,
                Phase::Idle | Phase::Done { .. } | Phase::Refused | Phase::GivenUp | Phase::Stuck => continue,
            };
            self.planned.extend(planned(step, op, 0, when, retry_at));
        }
        self.planned.sort_by_key(|command| command.when);
    }

    fn conclude_open(&mut self) {
        let op = self.state.direction();
        let goes_on = !self.state.holds_back(op);
        for step in self.definition.at_work(&self.state) {
            let Some(progress) = self.state.progress(&step.name, op) else { continue };
            let waits =
                progress.is_a_wait() || matches!(progress.phase, Phase::Waiting { .. } | Phase::AwaitingChild { .. });
            if (goes_on && waits) || matches!(progress.phase, Phase::Outstanding { .. }) {
                let (step, reply) = (step.name.clone(), Document::default());
                evolve(&mut self.state, &Entry::CommandDone { step, op, reply });
            }
        }
    }
}

fn planned(
    step: &Step,
    op: Op,
    round: u16,
    when: PlannedWhen,
    retry_at: Option<DateTime<Utc>>,
) -> Option<PlannedCommand> {
    let spec = step.command(op)?;
    let undo = match op {
        Op::Action => step.compensation(),
        Op::Compensation | Op::Extension => None,
    };
    Some(PlannedCommand {
        round,
        when,
        retry_at,
        step: step.name.clone(),
        op,
        command: spec.name.to_owned(),
        route: spec.route,
        undone_by: undo.map(|undo| undo.name.to_owned()),
    })
}

/// The effects that nothing will undo any more, because the saga is over.
fn left(definition: &Definition, state: &State) -> Vec<LeftEffect> {
    match state.status {
        SagaStatus::Abandoned | SagaStatus::Compensated => {}
        SagaStatus::Completed | SagaStatus::Running | SagaStatus::Compensating | SagaStatus::NeedsAttention => {
            return Vec::new();
        }
    }
    let stays = state.steps.iter().filter(|(_, step)| needs_undo(step) && !step.action.refused);
    let stays = stays.filter(|(_, step)| !step.compensation.is_done());
    // A wait has no effect.
    let is_a_wait = |step: &Step| matches!(step.work(), Work::Signal(_) | Work::Timer);
    let stays = stays.filter(|(name, _)| !definition.step(name).is_some_and(is_a_wait));
    // What closed the business object is meant to stay.
    let stays = stays.filter(|(name, _)| definition.closing().is_none_or(|closing| closing.name() != *name));
    let left = stays.map(|(name, step)| {
        let undo = &step.compensation;
        // Its undoing was sent, and may take effect yet.
        let undone_perhaps = undo.in_doubt || matches!(undo.phase, Phase::Outstanding { .. });
        LeftEffect { step: name.clone(), in_doubt: !step.action.is_done() || undone_perhaps, child: step.child }
    });
    left.collect()
}

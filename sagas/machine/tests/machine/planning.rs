//! The plan of an act is what the act and good replies lead to: for each state of the example saga as a snapshot, and
//! for definitions of any shape as a law.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use contract::{
    SagaId, StepName,
    command::Outcome,
    orchestrator_api::{PlannedCommand, PlannedWhen},
    saga::{Action, SagaStatus},
    step::Op,
};
use machine::{
    Decision, Definition, Input, Phase, Plan, State, Step, Verdict, Work, decide, next_wake, plan, resume, start,
    testing::Dice,
};
use proptest::prelude::*;

use crate::{
    children::{child_compensated, child_completed},
    common::{Talk, act, journey, name, pause, replies, signal, trip},
    plans::plans,
    table::{ROWS, good},
};

#[test]
fn the_table_of_state_and_planned_act() {
    let mut table = String::new();
    for (state, reach, step, op) in ROWS {
        table += &format!("## {state}\n");
        let skip = Action::Skip { step: name(step), reply: good(*op), force: true };
        let pauses = [pause(), Action::Resume {}];
        for action in
            [Action::Retry { step: None }, skip, Action::Cancel {}, Action::Abandon {}].into_iter().chain(pauses)
        {
            let mut talk = Talk::begin(journey(), 0);
            reach(&mut talk);
            let planned = plan(&talk.definition, talk.state.clone(), &action, talk.now);
            table += &format!("{:<8} {}\n", action.as_str(), words(&planned));
        }
        table += "\n";
    }
    insta::assert_snapshot!("plan_by_state", table);
}

fn words(plan: &Plan) -> String {
    if let Verdict::Refused { code, .. } = &plan.verdict {
        return format!("refused: {code}");
    }
    let mut words = Vec::new();
    for command in &plan.commands {
        let way = if command.op == Op::Compensation { "undo " } else { "" };
        let last = if command.op == Op::Action && command.undone_by.is_none() { "!" } else { "" };
        words.push(match command.when {
            PlannedWhen::AfterReplies => format!("{}. {way}{}{last}", command.round, command.step),
            when => format!("{} {way}{}{last}", when.as_str(), command.step),
        });
    }
    words.push(format!("=> {}", plan.end.as_str()));
    for left in &plan.left {
        words.push(format!("{} stays{}", left.step, if left.in_doubt { ", in doubt" } else { "" }));
    }
    words.join("; ")
}

proptest! {
    #[test]
    fn a_plan_is_what_the_act_and_good_replies_lead_to(shape in plans(), flags in 0..8_u8, seed: u64, paused: bool) {
        let definition = shape.unhurried().build().unwrap();
        let mut dice = Dice::new(seed);
        let (state, now) = somewhere(&definition, flags, &mut dice);
        let state = if paused { decide(&definition, state, &act(pause()), now).state } else { state };
        let acts = [Action::Retry { step: None }, Action::Cancel {}, Action::Abandon {}, pause(), Action::Resume {}];
        let skips = definition.steps().iter().map(|step| {
            let reply = replies(step.command(state.direction()).map_or("", |spec| spec.name));
            Action::Skip { step: step.name().clone(), reply, force: true }
        });
        for action in acts.into_iter().chain(skips) {
            let planned = plan(&definition, state.clone(), &action, now);
            let acted = decide(&definition, state.clone(), &act(action.clone()), now);
            prop_assert_eq!(&planned.verdict, &acted.verdict);
            if acted.verdict != Verdict::Accepted {
                prop_assert!(planned.commands.is_empty() && planned.end == state.status);
                continue;
            }
            let now_sent: BTreeSet<_> = sent(&acted).into_iter().collect();
            let planned_now = planned.commands.iter().filter(|command| command.when == PlannedWhen::Now);
            let planned_now: BTreeSet<_> = planned_now.map(|command| (command.step.clone(), command.op)).collect();
            prop_assert_eq!(planned_now, now_sent, "{:?}", action);
            if acted.state.pause.is_some() {
                continue;
            }
            let (rounds, end) = run_on(&definition, acted.state.clone(), now);
            let mut planned_rounds = vec![BTreeSet::new(); rounds.len()];
            for command in planned.commands.iter().filter(|command| command.round > 0) {
                let round = usize::from(command.round);
                planned_rounds.resize(planned_rounds.len().max(round), BTreeSet::new());
                planned_rounds[round - 1].insert((command.step.clone(), command.op));
            }
            // A step that turns out not to be needed lets those behind it come earlier than planned: a command, which the
            // plan shows as such, or a wait, which no plan shows.
            let may_pass = |step: &&Step| {
                let idle = acted.state.progress(step.name(), Op::Action).is_none_or(|action| action.phase == Phase::Idle);
                step.is_perhaps_needed() && idle
            };
            let waits = definition.steps().iter().filter(|step| !matches!(step.work(), Work::Command(_)));
            let open = planned.commands.iter().any(|command| command.when == PlannedWhen::IfNeeded)
                || (acted.state.direction() == Op::Action && waits.filter(may_pass).count() > 0);
            if open {
                let sent: BTreeSet<_> = rounds.into_iter().flatten().collect();
                let is_sent = |command: &&PlannedCommand| sent.contains(&(command.step.clone(), command.op));
                let follows = || planned.commands.iter().filter(|command| command.round > 0);
                prop_assert_eq!(follows().filter(is_sent).count(), sent.len(), "{:?} is not planned", action);
                let certain = follows().filter(|command| command.when != PlannedWhen::IfNeeded);
                prop_assert!(certain.clone().all(|command| is_sent(&command)), "{:?} plans too much", action);
            } else {
                prop_assert_eq!(planned_rounds, rounds, "{:?}", action);
            }
            prop_assert_eq!(planned.end, end);
        }
    }
}

/// A saga somewhere on its way, which met faults and refusals.
fn somewhere(definition: &Definition, flags: u8, dice: &mut Dice) -> (State, DateTime<Utc>) {
    let saga_id = SagaId::from_uuid(uuid::Uuid::from_u128(7));
    let mut now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let mut state = start(definition, saga_id, None, trip(flags).into(), now).unwrap().state;
    for _ in 0..dice.below(12) {
        let out = resume(definition, &state);
        let input = if out.is_empty() || dice.below(4) == 0 {
            now = next_wake(definition, &state, now).unwrap_or(now);
            Input::TimePassed
        } else {
            let command = &out[dice.below(out.len())];
            let outcome = match dice.below(8) {
                0 => Outcome::refused("no", "no"),
                1 | 2 => Outcome::faulted("broken", "it broke"),
                3 => Outcome::done(serde_json::json!(7).into()),
                _ => Outcome::done(replies(command.name).into()),
            };
            Input::Replied { command_id: command.command_id.clone(), attempt: command.attempt, outcome }
        };
        state = decide(definition, state, &input, now).state;
    }
    (state, now)
}

/// Lets everything take effect, round by round: the commands that each round leads to, and the status at the end.
fn run_on(
    definition: &Definition,
    mut state: State,
    now: DateTime<Utc>,
) -> (Vec<BTreeSet<(StepName, Op)>>, SagaStatus) {
    let mut rounds = Vec::new();
    loop {
        let op = state.direction();
        let open: Vec<_> =
            definition.at_work(&state).iter().filter(|step| is_awaited(&state, step.name(), op)).collect();
        if state.status.is_final() || open.is_empty() {
            return (rounds, state.status);
        }
        let mut round = BTreeSet::new();
        for step in open {
            let progress = state.progress(step.name(), op).unwrap();
            if let Phase::AwaitingChild { child } = progress.phase {
                let goes_on = op == Op::Action && state.cancelled_child.is_none();
                let end = if goes_on { child_completed() } else { child_compensated() };
                let decision = decide(definition, state, &Input::ChildEnded { child, end }, now);
                round.extend(sent(&decision));
                state = decision.state;
                continue;
            }
            if progress.is_a_wait() {
                let decision = decide(definition, state, &end_of_wait(step), now);
                round.extend(sent(&decision));
                state = decision.state;
                continue;
            }
            let command_id = contract::CommandId {
                saga: state.saga_id,
                step: step.name().clone(),
                op,
                generation: progress.generation,
            };
            let outcome = Outcome::done(replies(step.command(op).unwrap().name).into());
            let input = Input::Replied { command_id, attempt: progress.attempt, outcome };
            let decision = decide(definition, state, &input, now);
            round.extend(sent(&decision));
            state = decision.state;
        }
        if !round.is_empty() {
            rounds.push(round);
        }
    }
}

fn is_awaited(state: &State, step: &StepName, op: Op) -> bool {
    state.progress(step, op).is_some_and(|progress| {
        let awaits_child = matches!(progress.phase, Phase::AwaitingChild { .. });
        progress.due_at().is_some() || progress.is_a_wait() || awaits_child
    })
}

/// The input that ends a step's wait well.
fn end_of_wait(step: &Step) -> Input {
    match step.work() {
        Work::Signal(spec) => signal(spec.name.as_str(), step.name().as_str(), replies(spec.name.as_str())),
        Work::Command(_) | Work::Child(_) | Work::Timer => act(Action::FireTimer { step: step.name().clone() }),
    }
}

fn sent(decision: &Decision) -> Vec<(StepName, Op)> {
    decision.commands.iter().map(|command| (command.command_id.step.clone(), command.command_id.op)).collect()
}

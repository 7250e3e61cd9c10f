//! The laws of the machine, over definitions of any shape and scripts of any faults.
//!
//! 1. After a crash at any prefix of the journal, fold + `resume` reaches the same end as the uncrashed run.
//! 2. Any input delivered twice changes nothing the second time.
//! 3. Any permutation of independent replies ends equal.
//! 4. After the pivot no compensation is ever emitted; before it every done or in-doubt step is compensated exactly
//!    once, in reverse dependency order.
//! 5. `decide` never emits an entry that `evolve` cannot apply.
//! 6. The number of effects is bounded by the definition.
//!
//! Laws 4, 5 and 6 are checked in every run by `machine::testing`.

use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    SagaId,
    command::Outcome,
    orchestrator_api::{Action, SagaStatus},
    step::{CommandId, Op},
};
use machine::{
    Definition, Entry, Input, Operator, State, Verdict, decide, evolve, resume, start,
    testing::{Crash, Dice, Script, Simulation, check_definition},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common::{self, plans, replies, trip};

proptest! {
    #[test]
    fn a_crash_at_any_decision_reaches_the_same_end(plan in plans(), flags in 0..8_u8, seed: u64) {
        let definition = plan.build().unwrap();
        let script = script(&definition, seed);
        let simulation = || Simulation::new(&definition, trip(flags), &replies).script(script.clone());
        let plain = simulation().run().unwrap();
        for decision in 0..plain.journal.len() {
            let crashed = simulation().crash(Crash::After(decision)).run().unwrap();
            prop_assert!(crashed.ends_like(&plain), "{:?} instead of {:?}", crashed.outcome(), plain.outcome());
        }
        let crashed = simulation().crash(Crash::Always).run().unwrap();
        prop_assert!(crashed.ends_like(&plain), "{:?} instead of {:?}", crashed.outcome(), plain.outcome());
    }

    #[test]
    fn repeated_messages_change_nothing(plan in plans(), flags in 0..8_u8, seed: u64) {
        let definition = plan.build().unwrap();
        let script = script(&definition, seed);
        let simulation = || Simulation::new(&definition, trip(flags), &replies).script(script.clone());
        let plain = simulation().run().unwrap();
        let repeated = simulation().repeat().run().unwrap();
        prop_assert!(repeated.ends_like(&plain), "{:?} instead of {:?}", repeated.outcome(), plain.outcome());
    }

    #[test]
    fn the_order_of_independent_replies_changes_nothing(plan in plans(), flags in 0..8_u8, seed: u64) {
        let definition = plan.build().unwrap();
        let script = script(&definition, seed);
        let simulation = || Simulation::new(&definition, trip(flags), &replies).script(script.clone());
        let plain = simulation().run().unwrap();
        let shuffled = simulation().shuffle(Dice::new(seed)).run().unwrap();
        // What is on its way when the saga turns around is undone, whether it took effect or not: so even then the
        // same stands in the end.
        prop_assert!(shuffled.ends_like(&plain), "{:?} instead of {:?}", shuffled.outcome(), plain.outcome());
        if plain.state.status == SagaStatus::Completed {
            // The states are equal up to the moments at which they were reached.
            prop_assert_eq!(&shuffled.state, &plain.state);
        }
    }

    #[test]
    fn impatience_loss_disorder_and_repetition_together_break_nothing(plan in plans(), flags in 0..8_u8, seed: u64) {
        let definition = plan.build().unwrap();
        let mut dice = Dice::new(seed);
        let script = Script::random(&definition, &mut dice);
        let simulation = || Simulation::new(&definition, trip(flags), &replies).script(script.clone()).shuffle(dice.clone());
        simulation().impatient().repeat().run().unwrap();
        simulation().impatient().crash(Crash::Always).run().unwrap();
    }

    #[test]
    fn whatever_a_saga_hears_it_neither_panics_nor_contradicts_itself(
        plan in plans(), flags in 0..8_u8, inputs in prop::collection::vec(any_input(), 1..80),
    ) {
        let definition = plan.build().unwrap();
        let mut now = DateTime::UNIX_EPOCH;
        let mut state = State::new(saga_id());
        let started = start(&definition, saga_id(), trip(flags), now).unwrap();
        started.entries.iter().for_each(|entry| evolve(&mut state, entry));
        for (wait_ms, raw) in inputs {
            now += TimeDelta::milliseconds(wait_ms);
            let input = raw.made_for(&definition, &state);
            let before = state.clone();
            let decision = decide(&definition, &state, &input, now);
            decision.entries.iter().for_each(|entry| evolve(&mut state, entry));
            if decision.entries.is_empty() {
                prop_assert!(decision.effects.is_empty());
                prop_assert_ne!(decision.verdict, Verdict::Accepted);
            } else {
                prop_assert_eq!(decision.verdict, Verdict::Accepted);
                prop_assert!(!before.status.is_final(), "a saga that has ended changed");
            }
            let second = decide(&definition, &state, &input, now);
            prop_assert!(second.entries.is_empty(), "{:?} twice: {:?}", input, second.entries);
            prop_assert!(!resume(&definition, &state).is_empty());
            let _ = machine::describe(&definition, &state);
        }
    }

    #[test]
    fn any_journal_at_all_can_be_replayed(plan in plans(), entries in prop::collection::vec(any_entry(), 0..40)) {
        let definition = plan.build().unwrap();
        let mut state = State::new(saga_id());
        for entry in &entries {
            evolve(&mut state, entry);
        }
        // Not even a nonsensical state makes the machine panic; with the definition's name it is asked for real.
        state.name = definition.name().to_owned();
        state.version = definition.version();
        state.fingerprint = definition.fingerprint().clone();
        let operator = Operator { actor: "a".into(), role: "r".into(), reason: "because".into() };
        let act = |action| Input::Operator { operator: operator.clone(), action };
        for now in [DateTime::<Utc>::MIN_UTC, DateTime::UNIX_EPOCH, DateTime::<Utc>::MAX_UTC] {
            let inputs = [Input::TimePassed, act(Action::Retry { step: None }), act(Action::Cancel), act(Action::Abandon)];
            for input in inputs {
                let _ = decide(&definition, &state, &input, now);
            }
        }
        let _ = (resume(&definition, &state), machine::describe(&definition, &state), state.error_fingerprint());
    }
}

#[test]
fn the_free_tests_hold_for_the_example() {
    check_definition(&common::journey(), &trip(0), &replies).unwrap();
}

/// Half of the scripts undo without trouble; then every run of them must end exactly alike.
fn script(definition: &Definition, seed: u64) -> Script {
    let script = Script::random(definition, &mut Dice::new(seed));
    if seed.is_multiple_of(2) { script.undone_well() } else { script }
}

fn saga_id() -> SagaId {
    SagaId::from_uuid(uuid::Uuid::from_u128(42))
}

/// An input before it is known which commands there are.
#[derive(Debug, Clone)]
enum RawInput {
    Time,
    Reply { step: usize, undo: bool, generation: u16, attempt: u16, kind: u8 },
    Operator { step: usize, kind: u8 },
}

fn any_input() -> impl Strategy<Value = (i64, RawInput)> {
    let reply = (0..10_usize, any::<bool>(), 0..3_u16, 0..5_u16, 0..5_u8)
        .prop_map(|(step, undo, generation, attempt, kind)| RawInput::Reply { step, undo, generation, attempt, kind });
    let operator = (0..10_usize, 0..12_u8).prop_map(|(step, kind)| RawInput::Operator { step, kind });
    (0..5_000_i64, prop_oneof![3 => Just(RawInput::Time), 12 => reply, 2 => operator])
}

impl RawInput {
    fn made_for(self, definition: &Definition, state: &State) -> Input {
        let step_at = |at: usize| definition.steps()[at % definition.steps().len()].name().clone();
        match self {
            Self::Time => Input::TimePassed,
            Self::Reply { step, undo, generation, attempt, kind } => {
                let op = if undo { Op::Compensation } else { Op::Action };
                let command_id = CommandId { saga: state.saga_id, step: step_at(step), op, generation };
                let outcome = match kind {
                    0 | 1 => Outcome::done(if undo { json!({}) } else { json!({"said": "yes"}) }),
                    2 => Outcome::refused("no", "no"),
                    3 => Outcome::faulted("broken", "broken"),
                    _ => Outcome::done(Value::Null),
                };
                Input::Replied { command_id, attempt, outcome }
            }
            Self::Operator { step, kind } => {
                let operator = Operator { actor: "a".into(), role: "r".into(), reason: "because".into() };
                let action = match kind {
                    0..4 => Action::Retry { step: None },
                    4..7 => Action::Retry { step: Some(step_at(step)) },
                    7..9 => Action::Skip { step: step_at(step), reply: json!({"said": "by hand"}) },
                    9..11 => Action::Cancel,
                    _ => Action::Abandon,
                };
                Input::Operator { operator, action }
            }
        }
    }
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let step = (0..8_usize).prop_map(|number| common::name(&format!("step-{number}")));
    let op = prop_oneof![Just(Op::Action), Just(Op::Compensation)];
    let time = (0..100_i64).prop_map(|seconds| DateTime::from_timestamp(seconds, 0).unwrap());
    let number = prop_oneof![0..4_u16, Just(u16::MAX)];
    (step, op, time, number.clone(), number, 0..12_u8).prop_map(|(step, op, at, attempt, generation, kind)| {
        let (code, message) = ("code".to_owned(), "message".to_owned());
        let cause = machine::Cause { step: Some(step.clone()), code: code.clone(), message: message.clone() };
        match kind {
            0..4 => Entry::CommandDispatched { step, op, generation, attempt, reply_by: at },
            4 | 5 => Entry::CommandDone { step, op, reply: json!({"said": "yes"}) },
            6 => Entry::CommandRefused { step, op, code, message },
            7 => Entry::CommandFailed { step, op, attempt, in_doubt: true, code, message, retry_at: Some(at) },
            8 => Entry::CommandFailed { step, op, attempt, in_doubt: false, code, message, retry_at: None },
            9 => Entry::CompensationStarted { cause },
            10 => Entry::AttentionNeeded { step, op, code, message },
            _ => Entry::StepSkipped { step, op, reply: json!(null) },
        }
    })
}

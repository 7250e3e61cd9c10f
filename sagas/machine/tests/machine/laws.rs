//! The laws of the machine, over definitions of any shape and scripts of any faults.
//!
//! 1. After a crash at any prefix of the journal, fold + `resume` reaches the same end as the uncrashed run.
//! 2. Any input delivered twice changes nothing the second time.
//! 3. Any permutation of independent replies ends equal.
//! 4. After the pivot no compensation is ever emitted; before it every done or in-doubt step is compensated exactly
//!    once, in reverse dependency order.
//! 5. `decide` never emits an entry that `evolve` cannot apply.
//! 6. The number of commands is bounded by the definition.
//!
//! Laws 4, 5 and 6 are checked in every run by `machine::testing`.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    Document, SagaId, StepName,
    command::{FAULT_COMMAND_EXPIRED, Outcome},
    saga::{Action, PauseClock, PausedHolds, SagaStatus},
    step::{CommandId, Op},
};
use machine::{
    ChildEnd, Definition, Entry, Input, Operator, State, Terms, Verdict, decide, evolve, resume, start,
    testing::{Crash, Dice, Ended, Script, Simulation, check_definition},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    children,
    common::{self, pause, replies, trip},
    plans::plans,
    repairs::evidence,
};

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
        for crash in [Crash::Always, Crash::AlwaysOncePublished] {
            let crashed = simulation().crash(crash).run().unwrap();
            prop_assert!(crashed.ends_like(&plain), "{:?} instead of {:?}", crashed.outcome(), plain.outcome());
        }
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
            // How long a clock stood depends on the order, and the deadline with it.
            // Signals are kept in the order in which they came.
            let in_order = |mut state: State| {
                state.signals.sort_by(|one, other| one.id.cmp(&other.id));
                state
            };
            let state = State { deadline_at: plain.state.deadline_at, ..shuffled.state.clone() };
            prop_assert_eq!(in_order(state), in_order(plain.state.clone()));
            prop_assert_eq!(sent(&shuffled), sent(&plain));
        }
    }

    #[test]
    fn a_cancel_at_any_moment_undoes_everything_or_is_refused(plan in plans(), flags in 0..8_u8, seed: u64) {
        let definition = plan.build().unwrap();
        let script = Script::random(&definition, &mut Dice::new(seed)).undone_well();
        let simulation = || Simulation::new(&definition, trip(flags), &replies).script(script.clone());
        let plain = simulation().run().unwrap();
        for decision in 0..plain.journal.len() {
            let cancelled = simulation().act(decision, Action::Cancel {}).run().unwrap();
            if cancelled.was_acted_on() {
                prop_assert_eq!(cancelled.state.status, SagaStatus::Compensated);
            } else {
                prop_assert_eq!(&cancelled.state, &plain.state);
            }
        }
    }

    #[test]
    fn an_outage_costs_time_and_no_attempt(plan in plans(), flags in 0..8_u8, seed: u64) {
        let definition = plan.unhurried().build().unwrap();
        let mut dice = Dice::new(seed);
        let simulation = |script: Script| Simulation::new(&definition, trip(flags), &replies).script(script);
        let clean = simulation(Script::clean()).run().unwrap();
        let away = Script::away(&definition, &mut dice);
        let attempts = |ended: &Ended| -> Vec<_> {
            let steps = ended.state.steps.values();
            steps.map(|step| (step.action.attempts, step.compensation.attempts)).collect()
        };
        for crash in [Crash::Never, Crash::Always] {
            let ended = simulation(away.clone()).crash(crash).run().unwrap();
            prop_assert_eq!(ended.outcome(), clean.outcome());
            prop_assert_eq!(attempts(&ended), attempts(&clean));
        }
    }

    #[test]
    fn a_pause_with_a_frozen_clock_at_any_moment_changes_no_end(plan in plans(), flags in 0..8_u8, seed: u64) {
        let definition = plan.without_deadline().build().unwrap();
        let script = script(&definition, seed);
        let simulation = || Simulation::new(&definition, trip(flags), &replies).script(script.clone());
        let plain = simulation().run().unwrap();
        for decision in 0..plain.journal.len() {
            for crash in [Crash::Never, Crash::Always] {
                let paused = simulation().act(decision, pause()).crash(crash).run().unwrap();
                prop_assert!(paused.ends_like(&plain), "{:?} instead of {:?}", paused.outcome(), plain.outcome());
                prop_assert_eq!(paused.state.pause, None);
            }
        }
    }

    #[test]
    fn a_pivot_is_issued_only_while_all_that_it_needs_is_held(
        plan in plans(), flags in 0..8_u8, seed: u64, held_s in 1..4_000_i64, act in 0..40_usize,
    ) {
        let definition = plan.build().unwrap();
        let mut dice = Dice::new(seed);
        let script = Script::random(&definition, &mut dice);
        let simulation = |script: &Script| {
            let simulation = Simulation::new(&definition, trip(flags), &holding_replies).script(script.clone());
            simulation.holding("until", TimeDelta::seconds(held_s))
        };
        // What becomes of holds depends on time, so only the laws of any run are asked for.
        simulation(&script).run().unwrap();
        simulation(&script).shuffle(dice.clone()).impatient().crash(Crash::Always).run().unwrap();
        simulation(&script).shuffle(dice.clone()).impatient().repeat().run().unwrap();
        simulation(&script).shuffle(dice.clone()).impatient().act(act, Action::Retry { step: None }).run().unwrap();
        for (clock, holds) in [(PauseClock::Freeze, PausedHolds::Keep), (PauseClock::Run, PausedHolds::Lapse)] {
            simulation(&script).shuffle(dice.clone()).impatient().act(act, Action::Pause { clock, holds }).run().unwrap();
        }
        let away = Script::away(&definition, &mut dice);
        simulation(&away).run().unwrap();
        simulation(&away).shuffle(dice).impatient().crash(Crash::AlwaysOncePublished).run().unwrap();
    }

    #[test]
    fn whatever_operators_do_and_whenever_no_law_is_broken(
        plan in plans(), flags in 0..8_u8, seed: u64,
        acts in prop::collection::vec((0..20_usize, 0..8_usize, 0..22_u8), 1..8),
    ) {
        let definition = plan.build().unwrap();
        let mut dice = Dice::new(seed);
        let script = Script::random(&definition, &mut dice);
        let simulation = || {
            let simulation = Simulation::new(&definition, trip(flags), &replies).script(script.clone());
            let meddled = acts.iter().fold(simulation, |simulation, (decision, step, kind)| {
                simulation.act(*decision, any_action(step_at(&definition, *step), *kind))
            });
            meddled.shuffle(dice.clone()).impatient()
        };
        simulation().run().unwrap();
        simulation().repeat().run().unwrap();
        simulation().crash(Crash::Always).run().unwrap();
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
        let mut state = start(&definition, saga_id(), None, trip(flags).into(), now).unwrap().state;
        for (wait_ms, raw) in inputs {
            now += TimeDelta::milliseconds(wait_ms);
            let input = raw.made_for(&definition, &state);
            let before = state.clone();
            let decision = decide(&definition, state.clone(), &input, now);
            decision.entries.iter().for_each(|entry| evolve(&mut state, entry));
            prop_assert_eq!(&decision.state, &state, "the state that was reached is not what the entries add up to");
            if decision.entries.is_empty() {
                prop_assert!(decision.commands.is_empty());
                prop_assert_ne!(decision.verdict, Verdict::Accepted);
            } else {
                prop_assert_eq!(decision.verdict, Verdict::Accepted);
                prop_assert!(!before.status.is_final(), "a saga that has ended changed");
            }
            let second = decide(&definition, state.clone(), &input, now);
            prop_assert!(second.entries.is_empty(), "{:?} twice: {:?}", input, second.entries);
            let _ = (resume(&definition, &state), machine::describe(&definition, &state));
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
        let act = |action| Input::Operator { operator: operator.clone(), action, terms: Terms::default() };
        for now in [DateTime::<Utc>::MIN_UTC, DateTime::UNIX_EPOCH, DateTime::<Utc>::MAX_UTC] {
            let acts = [Action::Retry { step: None }, Action::Cancel {}, Action::Abandon {}, pause(), Action::Resume {}];
            let answers = definition.steps().iter().flat_map(|step| answers(&state, step.name()));
            for input in acts.into_iter().map(act).chain(answers).chain([Input::TimePassed]) {
                let _ = decide(&definition, state.clone(), &input, now);
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

/// Every sending, in an order of its own.
fn sent(ended: &Ended) -> BTreeSet<(CommandId, u16)> {
    ended.sent.iter().map(|command| (command.command_id.clone(), command.attempt)).collect()
}

fn step_at(definition: &Definition, at: usize) -> StepName {
    definition.steps()[at % definition.steps().len()].name().clone()
}

/// Kinds below 12 are an action each; the rarer ones end a saga.
fn any_action(step: StepName, kind: u8) -> Action {
    match kind {
        0..4 => Action::Retry { step: None },
        4..7 => Action::Retry { step: Some(step) },
        7..9 => Action::Skip { step, reply: json!({"said": "by hand"}), force: kind == 8 },
        9..11 => Action::Cancel {},
        11 => Action::Abandon {},
        12..14 => Action::FireTimer { step },
        16 | 17 => Action::Pause { clock: PauseClock::Freeze, holds: PausedHolds::Keep },
        18 => Action::Pause { clock: PauseClock::Run, holds: PausedHolds::Keep },
        19 => Action::Pause { clock: PauseClock::Run, holds: PausedHolds::Lapse },
        20 | 21 => Action::Resume {},
        22 | 23 => Action::Edit { step, patch: json!({"note": "by hand"}) },
        24.. => Action::Resolve { step, evidence: evidence() },
        14 => Action::Migrate { version: 9 },
        15 => Action::RescheduleTimer { step, at: DateTime::from_timestamp(1_800_000_100, 0).unwrap() },
    }
}

fn saga_id() -> SagaId {
    SagaId::from_uuid(uuid::Uuid::from_u128(42))
}

/// An input before it is known which commands there are.
#[derive(Debug, Clone)]
enum RawInput {
    Time,
    Reply { step: usize, undo: bool, generation: u16, attempt: u16, kind: u8 },
    DeadLetter { step: usize, undo: bool, attempt: u16 },
    ReplyMissing { step: usize, undo: bool, attempt: u16 },
    Operator { step: usize, kind: u8 },
    Signal { step: usize, id: u8, kind: u8 },
    Child { step: usize, kind: u8 },
    Undo,
}

fn any_input() -> impl Strategy<Value = (i64, RawInput)> {
    let reply = (0..10_usize, any::<bool>(), 0..3_u16, 0..5_u16, 0..6_u8)
        .prop_map(|(step, undo, generation, attempt, kind)| RawInput::Reply { step, undo, generation, attempt, kind });
    let signal = (0..10_usize, 0..6_u8, 0..8_u8).prop_map(|(step, id, kind)| RawInput::Signal { step, id, kind });
    let child = (0..10_usize, 0..4_u8).prop_map(|(step, kind)| RawInput::Child { step, kind });
    let operator = (0..10_usize, 0..26_u8).prop_map(|(step, kind)| RawInput::Operator { step, kind });
    let dead = (0..10_usize, any::<bool>(), 0..5_u16).prop_map(|(step, undo, attempt)| RawInput::DeadLetter {
        step,
        undo,
        attempt,
    });
    let missing = (0..10_usize, any::<bool>(), 0..5_u16).prop_map(|(step, undo, attempt)| RawInput::ReplyMissing {
        step,
        undo,
        attempt,
    });
    (
        0..5_000_i64,
        prop_oneof![3 => Just(RawInput::Time), 12 => reply, 2 => dead, 2 => missing, 2 => operator, 4 => signal, 4 => child, 1 => Just(RawInput::Undo)],
    )
}

impl RawInput {
    fn made_for(self, definition: &Definition, state: &State) -> Input {
        let op = |undo: bool| if undo { Op::Compensation } else { Op::Action };
        let command_id = |step: usize, undo: bool, generation: u16| CommandId {
            saga: state.saga_id,
            step: step_at(definition, step),
            op: op(undo),
            generation,
        };
        match self {
            Self::Time => Input::TimePassed,
            Self::DeadLetter { step, undo, attempt } => {
                Input::DeadLettered { command_id: command_id(step, undo, 1), attempt, reason: "delivery limit".into() }
            }
            Self::ReplyMissing { step, undo, attempt } => {
                Input::ReplyMissing { command_id: command_id(step, undo, 1), attempt }
            }
            Self::Reply { step, undo, generation, attempt, kind } => {
                let command_id = command_id(step, undo, generation);
                let outcome = match kind {
                    0 | 1 => Outcome::done(if undo { json!({}) } else { json!({"said": "yes"}) }),
                    2 => Outcome::refused("no", "no"),
                    3 => Outcome::faulted("broken", "broken"),
                    4 => Outcome::faulted(FAULT_COMMAND_EXPIRED, "too late"),
                    _ => Outcome::done(Value::Null),
                };
                Input::Replied { command_id, attempt, outcome: outcome.map(Document::from) }
            }
            Self::Signal { step, id, kind } => {
                let name = if kind == 0 { "other".to_owned() } else { format!("signal-{step}") };
                let payload = if kind == 1 { json!(7) } else { json!({"approved_by": "ann"}) };
                common::signal(&name, &format!("id-{id}"), payload)
            }
            Self::Child { step, kind } => {
                let touched = state.steps.get(&step_at(definition, step));
                let child = touched.and_then(|touched| touched.child).unwrap_or(state.saga_id);
                let end = match kind {
                    0 => ChildEnd::Completed { result: json!(7).into() },
                    1 => children::child_completed(),
                    2 => children::child_compensated(),
                    _ => ChildEnd::Abandoned,
                };
                Input::ChildEnded { child, end }
            }
            Self::Undo => {
                let (code, message) = ("undone".to_owned(), "by its parent".to_owned());
                Input::Undo { cause: machine::Cause { step: None, code, message, refused: false } }
            }
            Self::Operator { step, kind } => {
                let operator = Operator { actor: "a".into(), role: "r".into(), reason: "because".into() };
                Input::Operator {
                    operator,
                    action: any_action(step_at(definition, step), kind),
                    terms: Terms::default(),
                }
            }
        }
    }
}

/// Each kind of answer to both directions of a step, to the attempt that the state knows.
fn answers(state: &State, step: &StepName) -> Vec<Input> {
    let answer = |op: Op, outcome: Outcome<Value>| {
        let (generation, attempt) =
            state.progress(step, op).map_or((1, 1), |progress| (progress.generation, progress.attempt));
        let command_id = CommandId { saga: state.saga_id, step: step.clone(), op, generation };
        Input::Replied { command_id, attempt, outcome: outcome.map(Document::from) }
    };
    let both = [Op::Action, Op::Compensation].into_iter();
    both.flat_map(|op| {
        [
            answer(op, Outcome::done(json!({"said": "yes"}))),
            answer(op, Outcome::refused("no", "no")),
            answer(op, Outcome::faulted("broken", "it broke")),
        ]
    })
    .collect()
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let step = (0..8_usize).prop_map(|number| common::name(&format!("step-{number}")));
    let op = prop_oneof![Just(Op::Action), Just(Op::Compensation)];
    let time = (0..100_i64).prop_map(|seconds| DateTime::from_timestamp(seconds, 0).unwrap());
    let number = prop_oneof![0..4_u16, Just(u16::MAX)];
    (step, op, time, number.clone(), number, 0..68_u8).prop_map(|(step, op, at, attempt, generation, kind)| {
        let (code, message) = ("code".to_owned(), "message".to_owned());
        let cause =
            machine::Cause { step: Some(step.clone()), code: code.clone(), message: message.clone(), refused: true };
        match kind {
            0..12 => Entry::CommandDispatched { step, op, generation, attempt, reply_by: at },
            12..18 => Entry::CommandDone { step, op, reply: json!({"said": "yes"}).into() },
            18..21 => Entry::CommandRefused { step, op, code, message },
            21..24 => Entry::CommandFailed { step, op, attempt, in_doubt: true, code, message, retry_at: Some(at) },
            24..27 => Entry::CommandFailed { step, op, attempt, in_doubt: false, code, message, retry_at: None },
            27..29 => Entry::CompensationStarted { cause },
            29..33 => Entry::AttentionNeeded { step, op, code, message },
            33..36 => Entry::StepSkipped { step, op, reply: Document::default() },
            36..38 => {
                let operator = Operator { actor: "a".into(), role: "r".into(), reason: "because".into() };
                Entry::OperatorActed {
                    operator,
                    action: any_action(step, attempt.to_le_bytes()[0] % 12),
                    request_id: None,
                }
            }
            38 => Entry::SagaStarted {
                name: "planned".into(),
                version: 1,
                fingerprint: machine::Fingerprint::from_text("other"),
                deadline_at: Some(at),
                input: json!({"flags": "not a number"}).into(),
                not_applicable: vec![step],
                parent: None,
            },
            42..44 => Entry::SignalAwaited { step, signal: "approval".parse().unwrap(), miss_at: Some(at) },
            44..46 => Entry::SignalReceived {
                id: format!("id-{}", attempt % 3).parse().unwrap(),
                signal: "approval".parse().unwrap(),
                actor: None,
                payload: json!("no approval").into(),
            },
            46..48 => Entry::SignalTaken { step, id: format!("id-{}", generation % 3).parse().unwrap() },
            48..50 => Entry::SignalMissed { step, message },
            50..52 => Entry::TimerSet { step, fire_at: at },
            52..54 => Entry::TimerFired { step },
            54 | 55 => Entry::StepNotNeeded { step },
            56 => Entry::SagaPaused { at, clock: PauseClock::Freeze, holds: PausedHolds::Keep },
            57 => Entry::SagaPaused { at, clock: PauseClock::Run, holds: PausedHolds::Lapse },
            58 | 59 => Entry::SagaResumed { at },
            60 | 61 => Entry::ClosingStarted { cause },
            62 | 63 => Entry::CommandEdited { step, op, changes: Vec::new(), payload: Document::default() },
            64 | 65 => Entry::CompensationResolved { step, evidence: evidence() },
            66.. => Entry::ChildAwaited { step, op, child: saga_id() },
            39 | 40 => Entry::ClockStood { since: DateTime::from_timestamp(50, 0).unwrap(), until: at },
            _ => [Entry::SagaCompleted, Entry::SagaCompensated, Entry::SagaAbandoned][usize::from(attempt % 3)].clone(),
        }
    })
}

/// Replies that say until when something is held; the simulation says how long that is.
fn holding_replies(command: &str) -> Value {
    let mut reply = replies(command);
    if command == "order.probe" {
        reply["until"] = Value::Null;
    }
    reply
}

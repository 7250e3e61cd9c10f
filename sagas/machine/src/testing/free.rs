//! The tests that every definition gets for free: each step fails, each command comes twice, and the orchestrator
//! dies after each of its decisions.

use contract::{
    saga::{Action, SagaStatus, StepKind},
    step::Op,
};
use serde_json::Value;

use super::{
    dice::Dice,
    ended::Ended,
    participants::{Fate, Script},
    simulation::{Crash, Simulation},
};
use crate::{
    definition::Definition,
    input::{Input, Operator, Terms},
    lint::ends_with_a_hold,
    start::StartError,
    step::{Step, Work},
};

/// The number of random scripts that each definition and input is run with.
const RANDOM_RUNS: u64 = 50;

/// The most decisions of one run after which the orchestrator dies: all of an ordinary run, and of a long row of
/// retries some, evenly.
const CRASHES_MAX: usize = 12;

/// The fates of a step other than success.
const FAILURES: [Fate; 9] = [
    Fate::Refuse,
    Fate::Fault,
    Fate::LoseCommand,
    Fate::LoseReply,
    Fate::Late,
    Fate::Garble,
    Fate::DeadLetter,
    Fate::Expire,
    Fate::Away,
];

/// How often something fails that is retried until it succeeds.
const FAILS: usize = 60;

/// Runs one definition with one input through everything that can go wrong, and panics where a law is broken.
///
/// # Errors
/// When the saga does not start with this input.
pub fn check_definition(
    definition: &Definition,
    input: &Value,
    replies: &dyn Fn(&str) -> Value,
) -> Result<(), StartError> {
    let simulation = |script: &Script| Simulation::new(definition, input.clone(), replies).script(script.clone());
    let clean = simulation(&Script::clean()).run()?;
    assert_eq!(clean.state.status, SagaStatus::Completed, "nothing goes wrong, and still it does not complete");
    assert_variations(&clean, &simulation, &Script::clean())?;
    check_cancel(&clean, &simulation)?;
    for step in definition.steps() {
        if clean.state.steps.get(step.name()).is_some_and(|step| step.not_applicable) {
            continue;
        }
        if matches!(step.work(), Work::Child(_)) {
            let refused = Script::clean().with(step.name(), Op::Action, &[Fate::Refuse]);
            let ended = simulation(&refused).run()?;
            assert_eq!(
                ended.state.status,
                status_after(step, Fate::Refuse),
                "the child of `{}` is refused",
                step.name()
            );
            assert_variations(&ended, &simulation, &refused)?;
            assert_repairable(ended, definition, replies);
            continue;
        }
        if step.command(Op::Action).is_none() {
            check_wait(definition, &simulation, step, replies)?;
            continue;
        }
        for fate in FAILURES {
            let script = Script::clean().with(step.name(), Op::Action, &fates(step, fate));
            let failed = simulation(&script).run()?;
            assert_eq!(failed.state.status, status_after(step, fate), "`{}` meets {fate:?}", step.name());
            match fate {
                Fate::Refuse | Fate::LoseReply => {
                    assert_variations(&failed, &simulation, &script)?;
                    check_stuck_undo(definition, &simulation, step, fate, replies)?;
                }
                Fate::Do | Fate::Early | Fate::Fault | Fate::LoseCommand | Fate::Late | Fate::Garble => {}
                Fate::DeadLetter | Fate::Expire | Fate::Away => {}
            }
            assert_repairable(failed, definition, replies);
        }
        check_passing_faults(&simulation, step)?;
    }
    for seed in 0..RANDOM_RUNS {
        let mut dice = Dice::new(seed);
        let script = Script::random(definition, &mut dice);
        simulation(&script).shuffle(dice.clone()).run()?;
        simulation(&script).shuffle(dice.clone()).impatient().crash(Crash::Always).run()?;
        simulation(&script).shuffle(dice.clone()).impatient().crash(Crash::AlwaysOncePublished).run()?;
        simulation(&script).shuffle(dice).impatient().repeat().run()?;
    }
    Ok(())
}

/// A step takes its signal whether it came early or in time, and how often; one that never comes is missed, done without, or
/// waited for until a hold lapses.
fn check_wait<'d>(
    definition: &Definition,
    simulation: &dyn Fn(&Script) -> Simulation<'d>,
    step: &Step,
    replies: &dyn Fn(&str) -> Value,
) -> Result<(), StartError> {
    let Work::Signal(signal) = step.work() else { return Ok(()) };
    let with = |fate| Script::clean().with(step.name(), Op::Action, &[fate]);
    let early = with(Fate::Early);
    let ended = simulation(&early).run()?;
    assert_eq!(ended.state.status, SagaStatus::Completed, "the signal of `{}` comes early", step.name());
    assert_variations(&ended, simulation, &early)?;
    if signal.within.is_none() && !ends_with_a_hold(definition, step) {
        return Ok(());
    }
    let never = with(Fate::LoseCommand);
    let ended = simulation(&never).run()?;
    let expected = match step.kind() {
        _ if signal.is_optional => SagaStatus::Completed,
        StepKind::Compensatable => SagaStatus::Compensated,
        StepKind::Pivot | StepKind::Retriable => SagaStatus::NeedsAttention,
    };
    assert_eq!(ended.state.status, expected, "the signal of `{}` never comes", step.name());
    assert_variations(&ended, simulation, &never)?;
    assert_repairable(ended, definition, replies);
    Ok(())
}

/// A step's fates: before the pivot one for all attempts, from it on one for many.
fn fates(step: &Step, fate: Fate) -> Vec<Fate> {
    match step.kind() {
        StepKind::Compensatable => vec![fate],
        StepKind::Pivot | StepKind::Retriable => [vec![fate; FAILS], vec![Fate::Do]].concat(),
    }
}

/// The end of a saga after a step's fate: before the pivot is issued everything is undone; from it on the step is
/// retried until it succeeds, and only where that cannot help a person is asked.
fn status_after(step: &Step, fate: Fate) -> SagaStatus {
    match (step.kind(), fate) {
        (_, Fate::Do | Fate::Early | Fate::Expire | Fate::Away) => SagaStatus::Completed,
        (StepKind::Compensatable, _) | (StepKind::Pivot, Fate::Refuse) => SagaStatus::Compensated,
        (StepKind::Retriable, Fate::Refuse) | (StepKind::Pivot | StepKind::Retriable, Fate::Garble) => {
            SagaStatus::NeedsAttention
        }
        (StepKind::Pivot | StepKind::Retriable, Fate::Fault | Fate::LoseCommand | Fate::LoseReply) => {
            SagaStatus::Completed
        }
        (StepKind::Pivot | StepKind::Retriable, Fate::Late | Fate::DeadLetter) => SagaStatus::Completed,
    }
}

/// Runs with each command twice, each reply twice, and a crash after each decision reach the same end.
fn assert_variations<'d>(
    plain: &Ended,
    simulation: &dyn Fn(&Script) -> Simulation<'d>,
    script: &Script,
) -> Result<(), StartError> {
    let outcome = plain.outcome();
    assert_eq!(simulation(script).repeat().run()?.outcome(), outcome, "repeated messages change the end");
    for crash in [Crash::Always, Crash::AlwaysOncePublished] {
        assert_eq!(simulation(script).crash(crash).run()?.outcome(), outcome, "{crash:?}: crashes change the end");
    }
    let decisions = plain.journal.len();
    for crash in 0..decisions.min(CRASHES_MAX) {
        // All of a short run; evenly spread over a long one.
        let decision = if decisions <= CRASHES_MAX { crash } else { crash * decisions / CRASHES_MAX };
        let crashed = simulation(script).crash(Crash::After(decision)).run()?;
        assert_eq!(crashed.outcome(), outcome, "a crash after decision {decision} changes the end");
    }
    Ok(())
}

/// A saga that waits for a person goes on when the person says so.
fn assert_repairable(ended: Ended, definition: &Definition, replies: &dyn Fn(&str) -> Value) {
    if ended.state.status != SagaStatus::NeedsAttention {
        return;
    }
    let end = if ended.state.cause.is_some() { SagaStatus::Compensated } else { SagaStatus::Completed };
    // A garbled reply is kept for ever: only a person can say what it should have been.
    let stuck = |(name, step): (&contract::StepName, &crate::state::StepState)| {
        let op = ended.state.direction();
        let error = step.progress(op).error.as_ref();
        let garbled = error.is_some_and(|error| error.code == crate::codes::FAILURE_REPLY_UNREADABLE);
        let command = definition.step(name).and_then(|step| step.command(op));
        command.filter(|_| garbled && step.progress(op).is_open()).map(|command| (name.clone(), replies(command.name)))
    };
    let action = match ended.state.steps.iter().find_map(stuck) {
        Some((step, reply)) => Action::Skip { step, reply, force: true },
        None => Action::Retry { step: None },
    };
    let operator = Operator { actor: "op".into(), role: "operator".into(), reason: "well again".into() };
    let repaired =
        Simulation::go_on(definition, ended, replies, &Input::Operator { operator, action, terms: Terms::default() });
    assert_eq!(repaired.state.status, end, "a repaired saga goes on to its end");
}

/// A cancel after any decision undoes everything, or is refused and changes nothing (S19).
fn check_cancel<'d>(clean: &Ended, simulation: &dyn Fn(&Script) -> Simulation<'d>) -> Result<(), StartError> {
    for decision in 0..clean.journal.len() {
        let cancelled = simulation(&Script::clean()).act(decision, Action::Cancel {}).repeat().run()?;
        if cancelled.was_acted_on() {
            assert_eq!(cancelled.state.status, SagaStatus::Compensated, "cancelled after decision {decision}");
        } else {
            assert_eq!(cancelled.outcome(), clean.outcome(), "refused to cancel after decision {decision}");
        }
    }
    Ok(())
}

/// A refused or unreadable compensation waits for a person, while what is independent of it is undone.
fn check_stuck_undo<'d>(
    definition: &Definition,
    simulation: &dyn Fn(&Script) -> Simulation<'d>,
    failing: &Step,
    fate: Fate,
    replies: &dyn Fn(&str) -> Value,
) -> Result<(), StartError> {
    let turned = Script::clean().with(failing.name(), Op::Action, &[fate]);
    if status_after(failing, fate) != SagaStatus::Compensated {
        return Ok(());
    }
    for step in definition.steps().iter().filter(|step| step.compensation().is_some()) {
        for undo_fate in [Fate::Refuse, Fate::Garble] {
            let script = turned.clone().with(step.name(), Op::Compensation, &[undo_fate]);
            let ended = simulation(&script).run()?;
            let undone = ended.state.progress(step.name(), Op::Compensation).is_some_and(|undo| undo.was_issued());
            let expected = if undone { SagaStatus::NeedsAttention } else { SagaStatus::Compensated };
            assert_eq!(ended.state.status, expected, "undoing `{}` meets {undo_fate:?}", step.name());
            assert_repairable(ended, definition, replies);
        }
    }
    Ok(())
}

/// A saga completes when some faults and lost messages are followed by success.
fn check_passing_faults<'d>(simulation: &dyn Fn(&Script) -> Simulation<'d>, step: &Step) -> Result<(), StartError> {
    let allowed = step.command(Op::Action).is_some_and(|command| command.retry.bound().is_none_or(|bound| bound >= 4));
    if allowed {
        let fates = [Fate::Fault, Fate::LoseReply, Fate::LoseCommand, Fate::Do];
        let script = Script::clean().with(step.name(), Op::Action, &fates);
        let ended = simulation(&script).run()?;
        assert_eq!(ended.state.status, SagaStatus::Completed, "passing faults of `{}` do not pass", step.name());
        assert_variations(&ended, simulation, &script)?;
    }
    Ok(())
}

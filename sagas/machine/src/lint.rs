//! The linter: what a definition is allowed to be, and its author probably did not mean.
//!
//! The builder refuses what could never be run safely. Here stands what runs, but ends otherwise than it reads: a wait
//! that the deadline always cuts short, retries that no time is left for, a pivot that stays in doubt past its holds.

use std::{fmt, time::Duration};

use contract::{
    saga::StepKind,
    step::{Op, StepName},
};

use crate::{
    definition::Definition,
    holds::is_renewed_later,
    step::{CommandSpec, Step, Work},
};

/// A rule of the linter. Its text is its name in logs and in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LintRule {
    /// A step before the pivot waits for a signal without any end, and the saga has no deadline either.
    WaitEndless,
    /// A signal may come later than the saga's deadline, which turns the saga around first.
    WaitOutlastsDeadline,
    /// A signal may come later than a hold lasts that was taken before the wait.
    WaitOutlastsHold,
    /// Two steps may wait for one signal at the same time, so which of them it wakes is chance to its sender.
    SignalAmbiguous,
    /// The saga's deadline leaves no time to send each command once more.
    DeadlineTooShort,
    /// A step's retries take longer than the deadline, so that the last of them never happen.
    RetriesOutlastDeadline,
    /// A pivot that is issued last and gets no reply cannot be asked again before a hold ends.
    PivotDoubtOutlastsHold,
    /// A pivot that is a child saga is given no time in which what is held for it must last.
    ChildWithoutMargin,
    /// A compensation is a command that another step sends on its way forward.
    CompensationIsAction,
}

/// A finding of the linter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule that the definition breaks.
    pub rule: LintRule,
    /// The step that breaks it.
    pub step: StepName,
    /// The finding in words, with the way to put it right.
    pub message: String,
}

impl LintRule {
    /// The name of the rule, in the form of error codes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WaitEndless => "wait_endless",
            Self::WaitOutlastsDeadline => "wait_outlasts_deadline",
            Self::WaitOutlastsHold => "wait_outlasts_hold",
            Self::SignalAmbiguous => "signal_ambiguous",
            Self::DeadlineTooShort => "deadline_too_short",
            Self::RetriesOutlastDeadline => "retries_outlast_deadline",
            Self::PivotDoubtOutlastsHold => "pivot_doubt_outlasts_hold",
            Self::ChildWithoutMargin => "child_without_margin",
            Self::CompensationIsAction => "compensation_is_action",
        }
    }
}

impl fmt::Display for LintRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// All findings about a definition that the builder accepted, in the order of its steps.
#[must_use]
pub fn lint(definition: &Definition) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (position, step) in definition.steps().iter().enumerate() {
        let found = [
            wait(definition, step),
            ambiguous(definition, position, step),
            too_short(definition, step),
            retries(definition, step),
            doubt(definition, step),
            without_margin(definition, step),
            undone_by_an_action(definition, step),
        ];
        let of_step = |(rule, message)| Finding { rule, step: step.name().clone(), message };
        findings.extend(found.into_iter().flatten().map(of_step));
    }
    findings
}

type Found = Option<(LintRule, String)>;

/// A wait before the pivot must end by itself, before the things do that end it otherwise.
fn wait(definition: &Definition, step: &Step) -> Found {
    let Work::Signal(signal) = step.work() else { return None };
    if step.kind() != StepKind::Compensatable {
        return None;
    }
    let (name, within) = (&signal.name, signal.within);
    let held = definition.steps_in(step.ancestors).filter_map(|held| held.holds_for().map(|time| (held, time)));
    let shortest = held.min_by_key(|(_, time)| *time);
    match (within, definition.deadline()) {
        (None, None) if ends_with_a_hold(definition, step) => None,
        (None, None) => Some((
            LintRule::WaitEndless,
            format!("it waits for `{name}` without end: say `within`, or give the saga a deadline"),
        )),
        (Some(within), _) if shortest.is_some_and(|(_, hold)| within >= hold) => shortest.map(|(held, hold)| {
            let held = held.name();
            let (within, hold) = (told(within), told(hold));
            let text = format!("`{name}` may come for {within}, but `{held}` holds for {hold}: wait for less");
            (LintRule::WaitOutlastsHold, text)
        }),
        (Some(within), Some(deadline)) if within >= deadline => Some((
            LintRule::WaitOutlastsDeadline,
            format!(
                "`{name}` may come for {}, but the saga's deadline is {}: the wait never ends by itself",
                told(within),
                told(deadline)
            ),
        )),
        (Some(_), _) | (None, Some(_)) => None,
    }
}

/// True for a wait that ends when something lapses that is held before it and not extended.
pub(crate) fn ends_with_a_hold(definition: &Definition, step: &Step) -> bool {
    let mut held = definition.steps_in(step.ancestors).filter(|held| held.holds());
    step.kind() == StepKind::Compensatable && held.any(|held| held.extension().is_none())
}

fn ambiguous(definition: &Definition, position: usize, step: &Step) -> Found {
    let Work::Signal(signal) = step.work() else { return None };
    let earlier = definition.steps().iter().take(position).find(|earlier| {
        let same = matches!(earlier.work(), Work::Signal(other) if other.name == signal.name);
        same && !definition.steps_in(step.ancestors).any(|ancestor| ancestor.name() == earlier.name())
    })?;
    let (name, earlier) = (&signal.name, earlier.name());
    let text = format!(
        "`{earlier}` may wait for `{name}` at the same time: give the signals two names, or let one step come after the other"
    );
    Some((LintRule::SignalAmbiguous, text))
}

/// On the way to this step each command before it, and its own, may need a second sending.
fn too_short(definition: &Definition, step: &Step) -> Found {
    let deadline = definition.deadline()?;
    let needed = twice_sent(definition, step)?;
    let before = step.after().iter().filter_map(|name| definition.step(name));
    // Told once, at the first step that the time does not reach.
    let is_known = before.filter_map(|before| twice_sent(definition, before)).any(|needed| needed > deadline);
    (needed > deadline && !is_known).then(|| {
        let (deadline, needed) = (told(deadline), told(needed));
        let text =
            format!("the deadline is {deadline}, but sending each command up to this one twice can take {needed}");
        (LintRule::DeadlineTooShort, text)
    })
}

/// The longest time until the step has its reply, when each command before the pivot is lost once.
fn twice_sent(definition: &Definition, step: &Step) -> Option<Duration> {
    let command = (step.kind() == StepKind::Compensatable).then(|| step.command(Op::Action))?;
    let own = command.map_or(Duration::ZERO, |command| {
        let (first_wait, _) = command.retry.waits();
        command.reply_within.saturating_mul(2).saturating_add(first_wait)
    });
    let before = step.after().iter().filter_map(|name| twice_sent(definition, definition.step(name)?)).max();
    Some(own.saturating_add(before.unwrap_or_default()))
}

fn retries(definition: &Definition, step: &Step) -> Found {
    let deadline = definition.deadline()?;
    let command = (step.kind() == StepKind::Compensatable).then(|| step.command(Op::Action))??;
    let attempts = command.retry.bound()?;
    let longest = longest_round(command, attempts);
    (attempts > 1 && longest > deadline).then(|| {
        let (longest, deadline) = (told(longest), told(deadline));
        let text = format!("its {attempts} attempts can take {longest}, but the saga's deadline is {deadline}: the last of them never happen");
        (LintRule::RetriesOutlastDeadline, text)
    })
}

/// The time that so many unanswered sendings take with the longest wait between two.
fn longest_round(command: &CommandSpec, attempts: u16) -> Duration {
    let (first, cap) = command.retry.waits();
    let mut longest = command.reply_within.saturating_mul(u32::from(attempts));
    let mut wait = first;
    for _ in 1..attempts {
        longest = longest.saturating_add(wait.min(cap));
        wait = wait.saturating_mul(2);
    }
    longest
}

/// A pivot is issued at the deadline at the latest; if its reply is lost it is in doubt, and is asked again while what
/// it confirms is still held.
fn doubt(definition: &Definition, step: &Step) -> Found {
    let pivot = (step.kind() == StepKind::Pivot).then(|| step.command(Op::Action))??;
    let deadline = definition.deadline()?;
    let held = definition.steps_in(step.ancestors).filter_map(|held| held.holds_for().map(|time| (held, time)));
    let (held, hold) = held.min_by_key(|(_, time)| *time)?;
    let (first_wait, _) = pivot.retry.waits();
    let asked_again = deadline.saturating_add(pivot.reply_within.saturating_mul(2)).saturating_add(first_wait);
    (asked_again > hold).then(|| {
        let (held, asked_again, hold) = (held.name(), told(asked_again), told(hold));
        let text = format!("its second answer can come after {asked_again}, but `{held}` holds for {hold}: a lost reply could cost the hold");
        (LintRule::PivotDoubtOutlastsHold, text)
    })
}

/// A child that is started when a hold lapses in a moment takes the money for what is no longer held.
fn without_margin(definition: &Definition, step: &Step) -> Found {
    let Work::Child(child) = step.work() else { return None };
    if step.kind() != StepKind::Pivot || !child.margin.is_zero() {
        return None;
    }
    let mut steps = definition.steps().iter().enumerate().filter(|(at, _)| step.ancestors.contains(*at));
    let (_, held) = steps.find(|(at, held)| held.holds() && !is_renewed_later(definition, *at))?;
    let (held, child) = (held.name(), child.name);
    let text = format!("`{child}` may be started when the hold of `{held}` is as good as over: say its `margin`");
    Some((LintRule::ChildWithoutMargin, text))
}

fn undone_by_an_action(definition: &Definition, step: &Step) -> Found {
    let undo = step.compensation()?;
    let other = definition.steps().iter().find(|other| {
        other.command(Op::Action).is_some_and(|action| action.name == undo.name && action.version == undo.version)
    })?;
    let text = format!(
        "`{}` undoes it, which `{}` sends on its way forward: an undo must not be able to do",
        undo.name,
        other.name()
    );
    Some((LintRule::CompensationIsAction, text))
}

/// A length of time in words, such as `4 d 3 h 16 min 40 s`; what is shorter than a second as the language writes it.
fn told(length: Duration) -> String {
    let seconds = length.as_secs();
    let parts = [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let words: Vec<_> =
        parts.iter().filter(|(number, _)| *number > 0).map(|(number, unit)| format!("{number} {unit}")).collect();
    if words.is_empty() { format!("{length:?}") } else { words.join(" ") }
}

//! A definition's shape as text, for its fingerprint. Every line of it is part of the promise: changing how it is
//! written changes every published fingerprint.

use contract::step::Op;

use crate::{
    definition::Definition,
    retry::Retry,
    step::{ChildSpec, CommandSpec, SignalSpec, Step, Work, kind_word},
};

/// The names, kinds, edges, commands, retries and timings of a definition.
pub(super) fn shape_text(definition: &Definition) -> String {
    let deadline = definition.deadline().map_or(0, |deadline| deadline.as_millis());
    let mut text = format!("saga {} {} deadline {deadline}\n", definition.name(), definition.version());
    for step in definition.steps() {
        let after: Vec<_> = step.after().iter().map(|step| step.as_str()).collect();
        let kind = kind_word(step.kind());
        let conditional = step.is_conditional();
        text += &format!("step {} {kind} conditional {conditional} after {}\n", step.name(), after.join(","));
        if step.is_perhaps_needed() {
            text += "if needed\n";
        }
        text += &match step.work() {
            Work::Command(command) => command_line(Op::Action, command),
            Work::Signal(SignalSpec { name, within, is_optional, .. }) => {
                let otherwise = if *is_optional { " or go on" } else { "" };
                format!("signal {name} within {}{otherwise}\n", within.map_or(0, |within| within.as_millis()))
            }
            Work::Child(ChildSpec { name, version, margin, .. }) => {
                let margin = if margin.is_zero() { String::new() } else { format!(" margin {}", margin.as_millis()) };
                format!("child {name} {version}{margin}\n")
            }
            Work::Timer => "timer\n".to_owned(),
        };
        if let Some(compensation) = step.compensation() {
            text += &command_line(Op::Compensation, compensation);
        }
        if step.holds() {
            text += "valid until\n";
        }
        if let Some(extension) = step.extension() {
            text += &command_line(Op::Extension, extension);
        }
        let renews: Vec<_> = definition.steps_in(step.renews).map(|step| step.name.as_str()).collect();
        if !renews.is_empty() {
            text += &format!("renews {}\n", renews.join(","));
        }
    }
    if let Some(Work::Command(command)) = definition.closing().map(Step::work) {
        text += &format!("close {}", command_line(Op::Action, command));
    }
    text
}

fn command_line(op: Op, spec: &CommandSpec) -> String {
    let CommandSpec { name, version, route, retry, reply_within, .. } = spec;
    let within = reply_within.as_millis();
    format!("{} {name} {version} {} {} within {within}\n", op.as_str(), route.as_str(), retry_text(retry))
}

fn retry_text(retry: &Retry) -> String {
    let (base, cap) = retry.waits();
    let bound = retry.bound().map_or_else(|| "unbounded".to_owned(), |bound| bound.to_string());
    format!("retry {} {} {bound}", base.as_millis(), cap.as_millis())
}

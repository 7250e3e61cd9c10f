//! The drawing of a definition as Mermaid text, which the documentation keeps and a test holds fresh.

use std::fmt::Write as _;

use contract::saga::StepKind;

use crate::{
    definition::Definition,
    step::{Step, Work, kind_word},
};

/// The definition as a Mermaid flowchart. Boxes say when they depend on the input, or on what was learned; the pivot has a
/// double border.
#[must_use]
pub fn mermaid(definition: &Definition) -> String {
    let mut text = String::from("flowchart TD\n");
    for step in definition.steps() {
        text += &node(step);
    }
    for step in definition.steps() {
        for before in step.after() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "    {before} --> {}", step.name());
        }
    }
    if let Some(Work::Command(command)) = definition.closing().map(Step::work) {
        let _ = writeln!(text, "    abandoned([\"when abandoned: {}\"])", command.name);
    }
    for kind in [StepKind::Compensatable, StepKind::Pivot, StepKind::Retriable] {
        let of_kind = definition.steps().iter().filter(|step| step.kind() == kind);
        let names: Vec<_> = of_kind.map(|step| step.name().as_str()).collect();
        if !names.is_empty() {
            let _ = writeln!(text, "    class {} {}", names.join(","), kind_word(kind));
        }
    }
    text += "    classDef compensatable fill:#fff7e0,stroke:#a07000\n";
    text += "    classDef pivot fill:#ffe3e3,stroke:#a00000,stroke-width:3px\n";
    text += "    classDef retriable fill:#e3f5e3,stroke:#107010\n";
    text
}

fn node(step: &Step) -> String {
    let work = match step.work() {
        Work::Command(command) => command.name.to_owned(),
        Work::Signal(signal) => format!("waits for the signal {}", signal.name),
        Work::Child(child) => format!("starts the saga {} {}", child.name, child.version),
        Work::Timer => "waits for its time".to_owned(),
    };
    let mut label = format!("<b>{}</b><br/>{work}", step.name());
    if let Some(undo) = step.compensation() {
        let _ = write!(label, "<br/><i>undo: {}</i>", undo.name);
    }
    if let Some(extension) = step.extension() {
        let _ = write!(label, "<br/><i>extend: {}</i>", extension.name);
    }
    if step.is_conditional() {
        label += "<br/>(if it applies)";
    }
    if step.is_perhaps_needed() {
        label += "<br/>(if it is needed)";
    }
    match step.kind() {
        StepKind::Pivot => format!("    {}[[\"{label}\"]]\n", step.name()),
        StepKind::Compensatable | StepKind::Retriable => format!("    {}[\"{label}\"]\n", step.name()),
    }
}

//! `cargo xtask sagas`: the agency's sagas as text, with what the linter finds in them. Ends with 1 when it finds
//! something, so that a build can stand on it.

use std::process::ExitCode;

use contract::saga::StepKind;
use machine::{Definition, Work, lint};

fn main() -> ExitCode {
    let catalog = match catalog::all() {
        Ok(catalog) => catalog,
        Err(broken) => {
            eprintln!("error: {broken}");
            return ExitCode::FAILURE;
        }
    };
    let findings: usize = catalog.iter().map(|definition| tell(definition)).sum();
    if findings == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints one definition, and answers how many findings it has.
fn tell(definition: &Definition) -> usize {
    let deadline = definition.deadline().map_or("no deadline".to_owned(), |time| format!("deadline {time:?}"));
    println!("{} version {}, {deadline}, {}", definition.name(), definition.version(), definition.fingerprint());
    let width = definition.steps().iter().map(|step| step.name().as_str().len()).max().unwrap_or_default();
    for step in definition.steps() {
        let kind = match step.kind() {
            StepKind::Compensatable => "compensatable",
            StepKind::Pivot => "pivot",
            StepKind::Retriable => "retriable",
        };
        let work = match step.work() {
            Work::Command(command) => format!("{} v{}", command.name, command.version),
            Work::Signal(signal) => format!("waits for the signal {}", signal.name),
            Work::Child(child) => format!("starts the saga {} {}", child.name, child.version),
            Work::Timer => "waits for its time".to_owned(),
        };
        let undo = step.compensation().map(|undo| format!(", undone by {} v{}", undo.name, undo.version));
        println!("  {:width$}  {kind:13}  {work}{}", step.name().as_str(), undo.unwrap_or_default());
    }
    let findings = lint(definition);
    for finding in &findings {
        println!("  found: {} at {}: {}", finding.rule, finding.step, finding.message);
    }
    println!();
    findings.len()
}

//! The pure core of the saga engine: definitions, and the decisions on what a saga does next.
//!
//! Three functions decide everything, and live running, recovery, simulation and tests share them:
//!
//! ```text
//! decide(definition, state, input, now) -> Decision { entries, state, commands, children, verdict }
//! evolve(state, entry)                  -> state      total: replaying a journal cannot fail
//! resume(definition, state)             -> commands   all that must be outstanding right now
//! ```
//!
//! There is no clock, no randomness and no I/O in here: time is a parameter, and jitter is drawn from the saga's id.

#![warn(missing_docs)]

pub mod builder;
pub mod catalog;
pub mod definition;
mod fields;
mod fingerprint;
mod holds;
mod json;
pub mod mapping;
mod next_wake;
mod panics;
mod reading;
pub mod retry;
pub mod step;
mod step_set;
pub mod wake;

pub mod child;
mod child_id;
pub mod codes;
pub mod decision;
pub mod entry;
pub mod input;
pub mod record;
pub mod state;

pub mod decide;
pub mod describe;
pub mod diagram;
mod draft;
mod edit;
pub mod evolve;
pub mod lint;
pub mod migrate;
mod operate;
pub mod payload;
pub mod plan;
mod queries;
pub mod resume;
mod signal;
pub mod start;
#[cfg(feature = "testing")]
pub mod testing;

pub use contract::saga::Cause;

pub use builder::{Builder, DefinitionError, StepHandle};
pub use catalog::{Catalog, CatalogError};
pub use child::owed_to_children;
pub use decide::decide;
pub use decision::{ChildCall, ChildStart, CommandToSend, Decision, Verdict};
pub use definition::Definition;
pub use describe::describe;
pub use diagram::mermaid;
pub use edit::differences;
pub use entry::{Entry, Parent};
pub use evolve::evolve;
pub use fingerprint::Fingerprint;
pub use holds::{holds_until, valid_until};
pub use input::{ChildEnd, Input, Operator, Signal, Terms};
pub use json::Mismatch;
pub use lint::{Finding, LintRule, lint};
pub use migrate::{Obstacle, migrate, obstacles};
pub use next_wake::next_wake;
pub use panics::catch_panic;
pub use plan::{Plan, plan, plan_migration};
pub use queries::{clock_stands_since, deadline, ops, pivot_issued, retrying_since};
pub use record::{READER, RecordError, read_record, write_record};
pub use resume::resume;
pub use retry::Retry;
pub use start::{StartError, attributes, start};
pub use state::{Pause, Phase, Progress, ReceivedSignal, State, StepState};
pub use step::{ChildSpec, CommandSpec, SignalSpec, Step, Work};
pub use wake::Wake;

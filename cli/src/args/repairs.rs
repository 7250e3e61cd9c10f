//! The flags of `sagactl retry`, `skip`, `edit` and `resolve`: the repairs of one step.

use clap::Args;
use contract::{Evidence, StepName};

use super::{Act, parse_json};

#[derive(Debug, Args)]
pub(crate) struct Retry {
    #[command(flatten)]
    pub(crate) act: Act,
    /// Only this step
    #[arg(long)]
    pub(crate) step: Option<StepName>,
}

#[derive(Debug, Args)]
pub(crate) struct Skip {
    #[command(flatten)]
    pub(crate) act: Act,
    /// The step that is skipped
    #[arg(long)]
    pub(crate) step: StepName,
    /// Skip it also while its command is under way; its worker may still carry it out, or refuse it
    #[arg(long)]
    pub(crate) force: bool,
    /// Its reply, as JSON
    #[arg(long, value_parser = parse_json)]
    pub(crate) reply: serde_json::Value,
}

#[derive(Debug, Args)]
pub(crate) struct Edit {
    #[command(flatten)]
    pub(crate) act: Act,
    /// The step whose command is changed
    #[arg(long)]
    pub(crate) step: StepName,
    /// The changes, as JSON
    #[arg(long, value_parser = parse_json)]
    pub(crate) patch: serde_json::Value,
}

#[derive(Debug, Args)]
pub(crate) struct Resolve {
    #[command(flatten)]
    pub(crate) act: Act,
    /// The step that was undone
    #[arg(long)]
    pub(crate) step: StepName,
    /// Where it can be looked up that it was
    #[arg(long)]
    pub(crate) evidence: Evidence,
}

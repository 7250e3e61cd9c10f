//! The flags of `sagactl signal` and `timer`.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use contract::{SignalId, SignalName, StepName};

use super::{Act, parse_json};

#[derive(Debug, Args)]
pub(crate) struct Signal {
    /// The saga's id
    pub(crate) id: String,
    /// The signal's name
    pub(crate) name: SignalName,
    /// Its payload, as JSON
    #[arg(long, value_parser = parse_json)]
    pub(crate) payload: serde_json::Value,
    /// Its own id, by which a repetition is known; a new one when absent
    #[arg(long, value_name = "ID")]
    pub(crate) signal_id: Option<SignalId>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Timer {
    /// Let the time of a step come now
    #[command(after_help = "\
Examples:
  sagactl timer fire SAGA --step cool-down --reason 'the client waived it'")]
    Fire {
        #[command(flatten)]
        act: Act,
        /// The step that waits
        #[arg(long)]
        step: StepName,
    },
    /// Set the time anew at which a step goes on, or misses its signal
    #[command(after_help = "\
Examples:
  sagactl timer reschedule SAGA --step approval --at 2026-12-24T12:00:00Z --reason 'the client asked for more time'")]
    Reschedule {
        #[command(flatten)]
        act: Act,
        /// The step that waits
        #[arg(long)]
        step: StepName,
        /// The new time (RFC 3339)
        #[arg(long)]
        at: DateTime<Utc>,
    },
}

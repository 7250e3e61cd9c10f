//! The flags of everything that acts on sagas: which of them, why, and at what pace.

use std::num::{NonZeroU16, NonZeroU32};

use clap::Args;
use contract::RequestId;

#[derive(Debug, Clone, Args)]
pub(crate) struct Selection {
    /// Ids of sagas; `-` reads them from stdin, one a line
    #[arg(required_unless_present = "query", conflicts_with = "query", value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// All sagas that match, in the words of the dashboard's query bar, such as 'status:needs_attention age>1h'
    #[arg(short, long)]
    pub(crate) query: Option<String>,
}

/// The reason that every change needs.
#[derive(Debug, Clone, Args)]
pub(crate) struct Act {
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) consent: Consent,
    #[command(flatten)]
    pub(crate) pace: Pace,
    /// Only if this record (SEQ of `sagactl journal`) is still the last one
    #[arg(long, value_name = "SEQ")]
    pub(crate) if_head: Option<u64>,
    /// Names the request: one that is sent again under its name, because its answer was lost, changes nothing more
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<RequestId>,
    /// Wait until the sagas that took it have ended, and print how they ended
    #[arg(long)]
    pub(crate) wait: bool,
    /// Do nothing; print what would be sent
    #[arg(long, conflicts_with = "wait")]
    pub(crate) dry_run: bool,
}

/// Why, and whether to ask.
#[derive(Debug, Clone, Args)]
pub(crate) struct Consent {
    /// Why; it is kept in the journal with your name
    #[arg(long)]
    pub(crate) reason: String,
    /// Do not ask before changing more than one
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// How fast several are changed.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Pace {
    /// Change these first, and the others only when every one of them took the change
    #[arg(long, value_name = "COUNT")]
    pub(crate) canary: Option<NonZeroU32>,
    /// The most changes a second; as fast as the answers come when absent
    #[arg(long, value_name = "COUNT")]
    pub(crate) rate: Option<NonZeroU16>,
}

//! The flags of `sagactl approvals`.

use clap::{Args, Subcommand};
use contract::ApprovalId;

use super::LIST_LIMIT_DEFAULT;

#[derive(Debug, Subcommand)]
pub(crate) enum Approvals {
    /// List the acts that wait for a second operator, newest first
    List {
        /// Also those that are decided, or whose time has passed
        #[arg(long)]
        all: bool,
        /// The most requests; 0 is all of them
        #[arg(long, default_value_t = LIST_LIMIT_DEFAULT)]
        limit: u32,
    },
    /// Show one request, exactly as it was asked for
    #[command(after_help = "\
Examples:
  sagactl approvals show APPROVAL
  sagactl approvals show APPROVAL -o json | jq .request")]
    Show {
        /// The request's id
        id: ApprovalId,
    },
    /// Have an act of a colleague carried out as it was asked for
    #[command(after_help = "\
Examples:
  sagactl approvals list
  sagactl approvals approve APPROVAL --reason 'checked with the hotel'")]
    Approve(Decision),
    /// Refuse an act of a colleague
    Reject(Decision),
}

#[derive(Debug, Args)]
pub(crate) struct Decision {
    /// The request's id
    pub(crate) id: ApprovalId,
    /// Why; it is kept in the audit log with your name
    #[arg(long)]
    pub(crate) reason: String,
}

impl Approvals {
    /// True for what changes nothing.
    pub(crate) const fn only_reads(&self) -> bool {
        match self {
            Self::List { .. } | Self::Show { .. } => true,
            Self::Approve(_) | Self::Reject(_) => false,
        }
    }
}

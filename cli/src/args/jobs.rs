//! The flags of `sagactl jobs`.

use clap::{Args, Subcommand, ValueEnum};
use contract::{JobId, RequestId, StepName};

use super::{Consent, Filters, LIST_LIMIT_DEFAULT, parse_json};

#[derive(Debug, Subcommand)]
pub(crate) enum Jobs {
    /// Make a job over all open sagas that match now
    #[command(after_help = "\
Examples:
  sagactl jobs create retry --error confirm-rooms/reply_missing --canary 5 --reason 'the hotel is back'
  sagactl jobs create cancel --name order --since 2h --dry-run --reason 'wrong prices'
  sagactl jobs create skip --error notify-user/reply_missing --step notify-user --reply '{}' --reason 'told by phone'
  sagactl jobs create migrate --name order --to 2 --reason 'version 1 ends'

At least one condition is needed. The sagas are chosen once, the oldest first; what matches later is none of the job's.
Sagas that have ended are never among them.")]
    Create(Box<JobCreate>),
    /// List jobs, newest first
    List {
        /// The most jobs to list; 0 for all of them
        #[arg(long, default_value_t = LIST_LIMIT_DEFAULT)]
        limit: u32,
    },
    /// Show how far a job is, and with which codes sagas refused
    Show {
        /// The job's id
        id: JobId,
    },
    /// Follow a job until it is over, or waits for a person
    #[command(after_help = "\
Examples:
  sagactl jobs watch JOB
  sagactl jobs watch JOB -o jsonl

It ends with 0 when every saga took the act, with 5 when some did not or were left.")]
    Watch {
        /// The job's id
        id: JobId,
    },
    /// List the sagas of a job with their results
    #[command(after_help = "\
Examples:
  sagactl jobs items JOB --outcome refused
  sagactl jobs items JOB --outcome pending -o ids")]
    Items {
        /// The job's id
        id: JobId,
        /// Only this result
        #[arg(long, value_parser = ["pending", "done", "refused", "vanished"])]
        outcome: Option<String>,
        /// The most sagas to list; 0 for all of them
        #[arg(long, default_value_t = LIST_LIMIT_DEFAULT)]
        limit: u32,
    },
    /// Pause a running job
    Pause {
        /// The job's id
        id: JobId,
        /// Why; it is kept in the audit log with your name
        #[arg(long)]
        reason: String,
    },
    /// Let a job go on that is paused, or waits after its canary
    Resume {
        /// The job's id
        id: JobId,
        /// Why; it is kept in the audit log with your name
        #[arg(long)]
        reason: String,
    },
    /// End a job; the sagas without a result are left alone
    Abort {
        /// The job's id
        id: JobId,
        /// Why; it is kept in the audit log with your name
        #[arg(long)]
        reason: String,
    },
    /// Make a new job over the sagas that refused
    Rerun {
        /// The id of the job that is over
        id: JobId,
        /// Why; it is kept in the audit log with your name
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        rate: JobRate,
    },
}

impl Jobs {
    /// True for what changes nothing.
    pub(crate) const fn only_reads(&self) -> bool {
        match self {
            Self::List { .. } | Self::Show { .. } | Self::Watch { .. } | Self::Items { .. } => true,
            Self::Create(_) | Self::Pause { .. } | Self::Resume { .. } | Self::Abort { .. } | Self::Rerun { .. } => {
                false
            }
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct JobCreate {
    /// The action on each saga
    pub(crate) act: JobAct,
    /// The one step that is retried, or the step that is skipped
    #[arg(long)]
    pub(crate) step: Option<StepName>,
    /// The reply of a skipped step, as JSON
    #[arg(long, value_parser = parse_json)]
    pub(crate) reply: Option<serde_json::Value>,
    /// Skip the step also while its command is under way
    #[arg(long)]
    pub(crate) force: bool,
    /// The version that takes the sagas over
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<u32>,
    #[command(flatten)]
    pub(crate) filter: Filters,
    /// All conditions in the words of the dashboard's query bar, such as 'status:needs_attention age>1h'
    #[arg(short, long, conflicts_with = "Filters")]
    pub(crate) query: Option<String>,
    #[command(flatten)]
    pub(crate) rate: JobRate,
    #[command(flatten)]
    pub(crate) consent: Consent,
    /// Do nothing; print how many sagas match, by definition, status and error
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum JobAct {
    /// Send again what is stuck or waiting
    Retry,
    /// Undo what was done
    Cancel,
    /// Say what a step's outcome was
    Skip,
    /// Let another version of their definition take the sagas over, where it could
    Migrate,
    /// Give the sagas up as they are
    Abandon,
    /// Have the sagas send nothing new; their clocks stand, and what they hold is kept
    Pause,
    /// Let paused sagas go on
    Resume,
}

#[derive(Debug, Args)]
pub(crate) struct JobRate {
    /// The most sagas a second; 10 when absent
    #[arg(long)]
    pub(crate) pace: Option<u16>,
    /// Act on this many first, then wait until the job is resumed
    #[arg(long, value_name = "SAGAS")]
    pub(crate) canary: Option<u32>,
    /// Do not wait after a canary of which every saga took the act
    #[arg(long, requires = "canary")]
    pub(crate) go_on: bool,
    /// Names the request: one that is sent again under its name, because its answer was lost, makes no second job
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<RequestId>,
}

//! The flags of `sagactl dead-letters`.

use clap::{Args, Subcommand};

use super::{Consent, LIST_LIMIT_DEFAULT, Pace};

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetters {
    /// List them, newest first
    #[command(after_help = "\
Examples:
  sagactl dead-letters list
  sagactl dead-letters list --saga SAGA -o json")]
    List {
        /// Only those of this saga
        #[arg(long, value_name = "ID")]
        saga: Option<String>,
        /// Only those that were not sent again
        #[arg(long)]
        waiting: bool,
        /// The most letters to list; 0 for all of them
        #[arg(long, default_value_t = LIST_LIMIT_DEFAULT)]
        limit: u32,
    },
    /// Send them again to where they were going
    #[command(after_help = "\
Examples:
  sagactl dead-letters redrive 17 --reason 'the worker reads version 2 now'
  sagactl dead-letters list --waiting -o ids | sagactl dead-letters redrive - --reason 'fixed' --yes")]
    Redrive {
        #[command(flatten)]
        selection: Letters,
        #[command(flatten)]
        consent: Consent,
        #[command(flatten)]
        pace: Pace,
    },
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Letters {
    /// Numbers of dead letters; `-` reads them from stdin, one a line
    #[arg(required = true, value_name = "NUMBER")]
    pub(crate) ids: Vec<String>,
}

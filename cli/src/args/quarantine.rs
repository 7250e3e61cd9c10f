//! The flags of `sagactl quarantine`.

use clap::Subcommand;
use contract::SagaId;

use super::{Act, Consent, LIST_LIMIT_DEFAULT, Pace, Selection};

#[derive(Debug, Subcommand)]
pub(crate) enum Quarantine {
    /// List the sagas that are left alone, with the reasons
    #[command(after_help = "\
Examples:
  sagactl quarantine list
  sagactl quarantine list -o jsonl | jq -r .detail")]
    List {
        /// The most sagas to list; 0 for all of them
        #[arg(long, default_value_t = LIST_LIMIT_DEFAULT)]
        limit: u32,
    },
    /// Show why a saga is left alone, in full
    Show {
        /// The saga's id
        id: SagaId,
    },
    /// Have sagas loaded again, after the reason is gone
    #[command(after_help = "\
Examples:
  sagactl quarantine release SAGA --reason 'version 3 is deployed'
  sagactl quarantine list -o ids | sagactl quarantine release - --reason 'the journal is repaired' --yes

A saga that still cannot go on is a conflict, and stays where it is.")]
    Release {
        #[command(flatten)]
        selection: Selection,
        #[command(flatten)]
        consent: Consent,
        #[command(flatten)]
        pace: Pace,
    },
    /// Give sagas up that cannot be read; what they did stays
    #[command(after_help = "\
Examples:
  sagactl quarantine abandon SAGA --reason 'settled by hand, ticket 4711'

It is the act of `sagactl abandon`. The order of a saga that cannot be read stays open.")]
    Abandon(Act),
}

impl Quarantine {
    /// True for what changes nothing.
    pub(crate) const fn only_reads(&self) -> bool {
        match self {
            Self::List { .. } | Self::Show { .. } => true,
            Self::Release { .. } | Self::Abandon(_) => false,
        }
    }
}

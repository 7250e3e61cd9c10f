//! The flags of `sagactl pauses`.

use clap::Subcommand;
use contract::orchestrator_api::PauseScope;

#[derive(Debug, Subcommand)]
pub(crate) enum Pauses {
    /// List the pauses in force, and whether something is under way still
    List,
    /// Hold back the commands of a domain, a definition or a step from now on
    #[command(after_help = "\
Examples:
  sagactl pauses begin payment --reason 'the provider is moved'
  sagactl pauses begin order@2 --reason 'wrong prices'
  sagactl pauses begin order@2:confirm-seats --reason 'the airline is changed'

Sagas start all the same, and stop before the first command that is held back. Their deadlines stand. Of a definition or a
step the actions are held back; what is undone or extended goes on.")]
    Begin {
        /// A domain as `payment`, a definition as `order@2`, or a step as `order@2:hold-seats`
        scope: PauseScope,
        /// Why; it is kept in the audit log with your name
        #[arg(long)]
        reason: String,
    },
    /// Let go on what was held back
    End {
        /// The scope of the pause, as the list shows it
        scope: PauseScope,
        /// Why; it is kept in the audit log with your name
        #[arg(long)]
        reason: String,
    },
}

impl Pauses {
    /// True for what changes nothing.
    pub(crate) const fn only_reads(&self) -> bool {
        match self {
            Self::List => true,
            Self::Begin { .. } | Self::End { .. } => false,
        }
    }
}

//! The flags of `sagactl watch`.

use clap::Args;

use super::One;

#[derive(Debug, Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) one: One,
    /// End with 1 when the saga has ended otherwise than completed
    #[arg(long)]
    pub(crate) exit_status: bool,
}

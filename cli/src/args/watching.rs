//! The flags of `sagactl watch` and `wait`.

use clap::Args;

use super::{Ids, One};

#[derive(Debug, Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) one: One,
    /// End with 1 when the saga has ended otherwise than completed
    #[arg(long)]
    pub(crate) exit_status: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Wait {
    #[command(flatten)]
    pub(crate) selection: Ids,
    /// The longest wait, in seconds; without end when absent
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u32>,
}

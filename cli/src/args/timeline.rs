//! The flags of `sagactl timeline`.

use clap::Args;

use super::One;

#[derive(Debug, Args)]
pub(crate) struct Timeline {
    #[command(flatten)]
    pub(crate) one: One,
    /// Draw idle time as long as it was
    #[arg(long)]
    pub(crate) to_scale: bool,
}

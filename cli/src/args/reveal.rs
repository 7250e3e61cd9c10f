//! The flags of `sagactl reveal`.

use clap::Args;

use super::One;

#[derive(Debug, Args)]
pub(crate) struct Reveal {
    #[command(flatten)]
    pub(crate) one: One,
    /// Only fields of this name, such as guest_name; may be repeated
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) field: Vec<String>,
    /// Why; it is kept in the audit log with your name
    #[arg(long)]
    pub(crate) reason: String,
}

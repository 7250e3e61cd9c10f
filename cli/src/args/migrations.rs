//! The flags of `sagactl migrate` and `migrations`.

use clap::Args;

use super::{Act, LIST_LIMIT_DEFAULT};

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    pub(crate) act: Act,
    /// The version that takes it over
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Migrations {
    /// The saga's name, such as `order`
    pub(crate) name: String,
    /// The version that would take them over
    pub(crate) version: u32,
    /// The most sagas to look at; 0 for all of them
    #[arg(long, default_value_t = LIST_LIMIT_DEFAULT)]
    pub(crate) limit: u32,
}

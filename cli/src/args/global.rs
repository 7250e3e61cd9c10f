//! The flags of every command.

use clap::{Args, ValueEnum};
use serde::Deserialize;

/// The flags of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Global {
    /// The gateway's address; http://127.0.0.1:8080 when nothing says otherwise
    #[arg(long, global = true, env = "SAGACTL_URL", hide_env_values = true)]
    pub(crate) url: Option<String>,
    /// An operator's access token; otherwise the stored login is used
    #[arg(long, global = true, env = "SAGACTL_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// How to print; a table when nothing says otherwise
    #[arg(short, long, global = true, env = "SAGACTL_OUTPUT", value_enum, hide_env_values = true)]
    pub(crate) output: Option<Output>,
    /// A profile of sagactl.toml, for what neither a flag nor the environment says
    #[arg(long, global = true, env = "SAGACTL_PROFILE", hide_env_values = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// The longest time for the whole command, in seconds; without end when absent
    #[arg(long, global = true, value_name = "SECONDS")]
    pub(crate) timeout: Option<u32>,
}

/// The shapes of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Output {
    /// A table for people
    Table,
    /// One JSON document
    Json,
    /// One JSON document a line
    Jsonl,
    /// Ids only, one a line
    Ids,
    /// One YAML document
    Yaml,
}

//! Logs: structured, to standard error, one way for all programs.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

use crate::settings::{Common, LogFormat};

/// Filters that hold at every level that is asked for.
const NEVER_LOGGED: [&str; 1] = ["lapin::returned_messages=off"];

/// Sets up logging for the process. A second call changes nothing, so that several parts can run in one process.
pub fn init(common: &Common) {
    let filter = EnvFilter::try_new(&common.log_level).unwrap_or_else(|error| {
        let wrong = &common.log_level;
        eprintln!("the log level `{wrong}` cannot be read ({error}); using `info`");
        EnvFilter::new("info")
    });
    // lapin writes the whole body of a returned message into the log, and bodies hold personal data.
    let filter = NEVER_LOGGED.iter().filter_map(|never| never.parse().ok()).fold(filter, EnvFilter::add_directive);
    let registry = tracing_subscriber::registry().with(filter);
    // Colors are for people at a terminal who did not switch them off (no-color.org); a file gets plain text.
    let colors = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let set = match common.log_format {
        LogFormat::Text => {
            registry.with(tracing_subscriber::fmt::layer().with_writer(stderr).with_ansi(colors).compact()).try_init()
        }
        LogFormat::Json => registry.with(tracing_subscriber::fmt::layer().with_writer(stderr).json()).try_init(),
    };
    if set.is_err() {
        tracing::debug!("logging was set up already");
    }
}

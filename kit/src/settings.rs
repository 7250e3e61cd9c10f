//! Settings: flags over environment over a TOML file over defaults, for every program the same way.
//!
//! A program declares its settings once, as clap arguments with `env = "SOJOURN_..."`. The file named by `--config`
//! holds the same long names as keys (`listen = "127.0.0.1:8080"`); its values become the arguments' defaults, so
//! that flags and environment win over it. Unknown keys are errors: a typo must not pass silently.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Parser, ValueEnum};
use secrecy::{ExposeSecret, SecretString};

use crate::clock::{Clock, ShiftedClock};

/// The internal token of development. Production refuses it.
pub const DEVELOPMENT_INTERNAL_TOKEN: &str = "development-internal-token";

/// The shortest internal token that production takes, in bytes: 128 bits in hexadecimal.
const INTERNAL_TOKEN_BYTES_MIN: usize = 32;

/// The name of the setting that shifts the clock.
const CLOCK_SHIFT_ENV: &str = "SOJOURN_CLOCK_SHIFT_FILE";

/// The settings of every program.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// A TOML file with the same names as the flags.
    #[arg(long, env = "SOJOURN_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Checks the settings, says what is wrong, and ends.
    #[arg(long)]
    pub check_config: bool,
    /// Production refuses every secret that has a default.
    #[arg(long, env = "SOJOURN_ENVIRONMENT", value_enum, default_value = "development")]
    pub environment: Environment,
    /// How logs are written.
    #[arg(long, env = "SOJOURN_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// Which logs are written, as `level` or `module=level,...`.
    #[arg(long, env = "SOJOURN_LOG", default_value = "info")]
    pub log_level: String,
    /// The token that the parts of one installation show each other. The same for all of them.
    #[arg(long, env = "SOJOURN_INTERNAL_TOKEN", default_value = DEVELOPMENT_INTERNAL_TOKEN, hide_default_value = true, hide_env_values = true)]
    pub internal_token: SecretString,
    /// A file that holds the seconds by which the clock is shifted, for tests of clocks that differ. Production refuses it.
    #[arg(long, env = CLOCK_SHIFT_ENV, hide = true)]
    pub clock_shift_file: Option<PathBuf>,
}

/// Where a program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Environment {
    /// On somebody's own machine.
    Development,
    Production,
}

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the settings file {path}")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("the settings file {path} is not TOML: {detail}")]
    NotToml {
        path: PathBuf,
        /// Where and why.
        detail: String,
    },
    /// A key that no flag has.
    #[error("the settings file {path} has `{key}`, which is no setting of this program; it knows: {known}")]
    UnknownKey {
        path: PathBuf,
        key: String,
        /// The right ones.
        known: String,
    },
    /// A value that is a table or a date.
    #[error(
        "the settings file {path} has `{key}` as something other than a text, a number, true, false or a list of those"
    )]
    WrongValue { path: PathBuf, key: String },
    /// Not something that logs are chosen by.
    #[error("the log level `{level}` cannot be read: {detail}")]
    WrongLogLevel {
        /// As it was given.
        level: String,
        detail: String,
    },
    /// A secret that everybody knows.
    #[error("production refuses {what}: set {env}")]
    DefaultSecret {
        /// The text of the refusal, with the place.
        what: &'static str,
        /// How to set it.
        env: &'static str,
    },
    /// A setting that only tests may use.
    #[error("production refuses {env}: it is for tests")]
    ForTests {
        /// The setting's name.
        env: &'static str,
    },
}

impl Common {
    /// Refuses what cannot work, and what production must not run with.
    ///
    /// # Errors
    /// [`SettingsError::WrongLogLevel`], [`SettingsError::DefaultSecret`].
    pub fn validate(&self) -> Result<(), SettingsError> {
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&self.log_level) {
            return Err(SettingsError::WrongLogLevel { level: self.log_level.clone(), detail: error.to_string() });
        }
        let token = self.internal_token.expose_secret();
        if self.environment == Environment::Production
            && (token == DEVELOPMENT_INTERNAL_TOKEN || token.len() < INTERNAL_TOKEN_BYTES_MIN)
        {
            return Err(SettingsError::DefaultSecret {
                what: "a default or short internal token (32 bytes at least)",
                env: "SOJOURN_INTERNAL_TOKEN",
            });
        }
        self.validate_for_tests(CLOCK_SHIFT_ENV, self.clock_shift_file.is_some())
    }

    /// The clock of the program.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        match &self.clock_shift_file {
            Some(file) => Arc::new(ShiftedClock { file: file.clone() }),
            None => crate::clock::system(),
        }
    }

    /// Refuses in production a setting that is for tests.
    ///
    /// # Errors
    /// [`SettingsError::ForTests`] when it is set.
    pub fn validate_for_tests(&self, env: &'static str, is_set: bool) -> Result<(), SettingsError> {
        if is_set && self.is_production() { Err(SettingsError::ForTests { env }) } else { Ok(()) }
    }

    /// True in production.
    #[must_use]
    pub fn is_production(&self) -> bool {
        self.environment == Environment::Production
    }
}

/// Reads a program's settings from its command line, the environment and the file. On `--help`, `--version` and wrong
/// settings it prints and ends the process as clap does (exit code 2 for what is wrong).
#[must_use]
pub fn load<T: Parser>() -> T {
    match try_load::<T>(std::env::args_os().collect()) {
        Ok(settings) => settings,
        Err(LoadError::Clap(error)) => error.exit(),
        Err(LoadError::Settings(error)) => {
            T::command().error(clap::error::ErrorKind::InvalidValue, error_chain(&error)).exit()
        }
    }
}

/// Why settings cannot be loaded.
#[derive(Debug)]
pub enum LoadError {
    /// Help, version, or a wrong flag.
    Clap(clap::Error),
    Settings(SettingsError),
}

/// As [`load`], for the given command line.
///
/// # Errors
/// What [`load`] would print.
pub fn try_load<T: Parser>(args: Vec<OsString>) -> Result<T, LoadError> {
    let mut command = T::command();
    if let Some(path) = config_path(&args) {
        let file = read_file(&path, &command).map_err(LoadError::Settings)?;
        command = command.mut_args(|arg| match arg.get_long().and_then(|long| file.get(long)) {
            // What is not shown from the environment is not shown from the file either.
            Some(values) if arg.is_hide_env_values_set() => {
                arg.default_values(values.clone()).required(false).hide_default_value(true)
            }
            Some(values) => arg.default_values(values.clone()).required(false),
            None => arg,
        });
    }
    let matches = command.try_get_matches_from(args).map_err(LoadError::Clap)?;
    T::from_arg_matches(&matches).map_err(LoadError::Clap)
}

/// An error and all its causes in one line.
#[must_use]
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let more = source.to_string();
        // Some libraries repeat their cause in their own text.
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = source.source();
    }
    text
}

/// The file must be known before clap can be told its values, so `--config` is looked for by hand.
fn config_path(args: &[OsString]) -> Option<PathBuf> {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--config" {
            return args.next().map(PathBuf::from);
        }
        if let Some(path) = arg.to_str().and_then(|arg| arg.strip_prefix("--config=")) {
            return Some(PathBuf::from(path));
        }
    }
    std::env::var_os("SOJOURN_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn read_file(path: &Path, command: &clap::Command) -> Result<BTreeMap<String, Vec<String>>, SettingsError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| SettingsError::Unreadable { path: path.to_owned(), source })?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| SettingsError::NotToml {
        path: path.to_owned(),
        detail: error.to_string(),
    })?;
    let known: Vec<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
    let mut values = BTreeMap::new();
    for (key, value) in table {
        if !known.contains(&key.as_str()) {
            return Err(SettingsError::UnknownKey { path: path.to_owned(), key, known: known.join(", ") });
        }
        let wrong = || SettingsError::WrongValue { path: path.to_owned(), key: key.clone() };
        let texts = match &value {
            toml::Value::Array(items) => items.iter().map(scalar).collect::<Option<Vec<_>>>().ok_or_else(wrong)?,
            one => vec![scalar(one).ok_or_else(wrong)?],
        };
        values.insert(key, texts);
    }
    Ok(values)
}

fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        common: Common,
        #[arg(long, env = "SOJOURN_TEST_ONLY_LISTEN", default_value = "127.0.0.1:1")]
        listen: String,
        #[arg(long, default_value_t = 7)]
        shards: u16,
        #[arg(long, env = "SOJOURN_TEST_ONLY_DATABASE_URL", hide_env_values = true)]
        database_url: Option<SecretString>,
    }

    fn with_file(text: &str, flags: &[&str]) -> Result<Program, String> {
        let file = std::env::temp_dir().join(format!("sojourn-settings-{}.toml", crate::ids::uuid_random()));
        std::fs::write(&file, text).unwrap();
        let mut args: Vec<OsString> = vec!["program".into(), "--config".into(), file.clone().into()];
        args.extend(flags.iter().map(OsString::from));
        let loaded = try_load(args).map_err(|error| match error {
            LoadError::Clap(error) => error.to_string(),
            LoadError::Settings(error) => error_chain(&error),
        });
        std::fs::remove_file(file).unwrap();
        loaded
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let program = with_file("listen = \"127.0.0.1:2\"\nshards = 3", &["--shards", "5"]).unwrap();
        assert_eq!((program.listen.as_str(), program.shards), ("127.0.0.1:2", 5));
        assert_eq!(with_file("", &[]).unwrap().shards, 7);
    }

    #[test]
    fn a_wrong_file_is_named_with_what_is_wrong() {
        assert!(with_file("lisen = 1", &[]).unwrap_err().contains("`lisen`, which is no setting"));
        assert!(with_file("listen", &[]).unwrap_err().contains("is not TOML"));
        assert!(with_file("[listen]\na = 1", &[]).unwrap_err().contains("other than a text"));
        assert!(with_file("shards = \"many\"", &[]).unwrap_err().contains("many"));
    }

    #[test]
    fn a_log_level_that_cannot_be_read_is_named() {
        let wrong = with_file("log-level = \"gateway=loud\"", &[]).unwrap().common.validate().unwrap_err().to_string();
        assert!(wrong.contains("gateway=loud"), "{wrong}");
        assert!(with_file("log-level = \"warn,gateway=debug\"", &[]).unwrap().common.validate().is_ok());
    }

    #[test]
    fn a_secret_of_the_file_is_not_shown_by_the_help() {
        let secrets = "internal-token = \"token-of-the-file\"\ndatabase-url = \"postgres://me:password-of-the-file@x\"";
        let help = with_file(&format!("{secrets}\nlisten = \"plain-of-the-file\""), &["--help"]).unwrap_err();
        assert!(help.contains("--database-url") && help.contains("plain-of-the-file"), "{help}");
        assert!(!help.contains("token-of-the-file") && !help.contains("password-of-the-file"), "{help}");
        let given = with_file(secrets, &[]).unwrap().database_url.unwrap();
        assert_eq!(given.expose_secret(), "postgres://me:password-of-the-file@x");
    }

    #[test]
    fn production_refuses_the_development_token() {
        let program = with_file("environment = \"production\"", &[]).unwrap();
        assert!(program.common.validate().is_err());
        let token = "0123456789abcdef0123456789abcdef";
        let program = with_file("environment = \"production\"", &["--internal-token", token]).unwrap();
        assert!(program.common.validate().is_ok());
        assert!(!format!("{:?}", program.common).contains(token));
        let refused = program.common.validate_for_tests("SOJOURN_FOR_TESTS", true).unwrap_err().to_string();
        assert_eq!(refused, "production refuses SOJOURN_FOR_TESTS: it is for tests");
        assert!(program.common.validate_for_tests("SOJOURN_FOR_TESTS", false).is_ok());
    }
}

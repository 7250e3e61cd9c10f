//! Pauses of many sagas at once: of a worker domain, of a definition and version, or of one of its steps.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{command::Route, saga::PauseClock, step::StepName};

/// The most pauses at a time: each command is compared with all of them.
pub const PAUSES_MAX: usize = 50;

/// The longest name of a definition in a scope, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// The commands that a pause holds back. On the wire it is one word: `payment`, `order@2`, `order@2:hold-seats`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PauseScope {
    /// All commands to a domain.
    Domain(Route),
    /// The actions of all steps of a definition and version.
    Definition {
        /// The definition's name.
        name: String,
        /// The definition's version.
        version: u32,
    },
    /// The action of one step of a definition and version.
    Step {
        /// The definition's name.
        name: String,
        /// The definition's version.
        version: u32,
        /// The step's name.
        step: StepName,
    },
}

/// The error of a text that names no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names nothing that can be paused: a domain as `payment`, a definition as `order@2`, a step as `order@2:hold-seats`"
)]
pub struct PauseScopeError(String);

impl fmt::Display for PauseScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(route) => f.write_str(route.as_str()),
            Self::Definition { name, version } => write!(f, "{name}@{version}"),
            Self::Step { name, version, step } => write!(f, "{name}@{version}:{step}"),
        }
    }
}

impl FromStr for PauseScope {
    type Err = PauseScopeError;

    fn from_str(text: &str) -> Result<Self, PauseScopeError> {
        let wrong = || PauseScopeError(text.chars().take(NAME_BYTES_MAX).collect());
        let Some((name, rest)) = text.split_once('@') else {
            let route = Route::ALL.into_iter().find(|route| route.as_str() == text);
            return route.map(Self::Domain).ok_or_else(wrong);
        };
        let shaped = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(shaped) {
            return Err(wrong());
        }
        let (version, step) = rest.split_once(':').map_or((rest, None), |(version, step)| (version, Some(step)));
        let (name, version) = (name.to_owned(), version.parse().map_err(|_| wrong())?);
        Ok(match step {
            None => Self::Definition { name, version },
            Some(step) => Self::Step { name, version, step: step.parse().map_err(|_| wrong())? },
        })
    }
}

impl Serialize for PauseScope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PauseScope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A request for a pause.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// The commands that are held back.
    pub scope: PauseScope,
    /// The reason that the operator gives.
    pub reason: String,
}

/// A pause that is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// The commands that are held back.
    pub scope: PauseScope,
    /// The person who asked for it.
    pub actor: String,
    /// The role of that person.
    pub role: String,
    /// The reason that was given.
    pub reason: String,
    /// The time at which it began.
    pub since: DateTime<Utc>,
}

/// A pause with what the lanes know of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseView {
    /// The pause itself.
    #[serde(flatten)]
    pub pause: Pause,
    /// The rule for the times of the sagas that it holds up: while a command of a saga is held back, its deadline stands.
    pub clock: PauseClock,
    /// The commands that it would hold back, but which were sent before and are not answered.
    pub under_way: u64,
    /// The sagas with a command that it holds back.
    pub held_sagas: u64,
    /// The shards whose lanes gave no answer, or have not heard of the pause yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silent_shards: Vec<u16>,
    /// True when every lane answered, and nothing is under way any more.
    pub quiescent: bool,
}

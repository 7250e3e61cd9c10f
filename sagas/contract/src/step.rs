//! The names of one command of a saga: its step, its direction, and the command id that is the same over all retries.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize, de};

use crate::ids::SagaId;

/// The longest step name, in bytes. It is part of the keys in every inbox.
pub const STEP_NAME_BYTES_MAX: usize = 48;

/// The name of a step, as definitions, journals and inboxes keep it: lower-case letters, digits and hyphens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepName(Arc<str>);

/// The error of a text that is not a step's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a step's name: 1 to {STEP_NAME_BYTES_MAX} of a-z, 0-9 and `-`, starting with a letter")]
pub struct StepNameError(String);

impl StepName {
    /// The name, when the text is one.
    ///
    /// # Errors
    /// When the text is empty, too long, or has other characters.
    pub fn new(text: &str) -> Result<Self, StepNameError> {
        let shaped = text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if shaped && text.len() <= STEP_NAME_BYTES_MAX {
            Ok(Self(text.into()))
        } else {
            Err(StepNameError(text.chars().take(STEP_NAME_BYTES_MAX).collect()))
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for StepName {
    type Err = StepNameError;

    fn from_str(text: &str) -> Result<Self, StepNameError> {
        Self::new(text)
    }
}

impl Serialize for StepName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for StepName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::new(&text).map_err(de::Error::custom)
    }
}

/// The direction of a command: forward, back, or onward in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// The command carries the step out.
    Action,
    /// The command undoes the step.
    Compensation,
    /// The command makes what the step holds last longer.
    Extension,
}

impl Op {
    /// The word on the wire and in columns.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Compensation => "compensation",
            Self::Extension => "extension",
        }
    }
}

/// The identity of a command, the same over every retry of it. The participant's inbox knows the command by this key
/// (invariant S11), and only a reply to the outstanding one counts (S13).
///
/// As text: `saga_<hex>:hold-seats:action:1`. The generation is 1 and rises only when an operator retries a command
/// that was definitely refused: a refusal is sticky (S10), so asking again needs a new key. Of extensions each is a generation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId {
    /// The saga that sends the command.
    pub saga: SagaId,
    /// The step that the command belongs to.
    pub step: StepName,
    /// The direction of the command.
    pub op: Op,
    /// The generation: 1, or more after an operator's retry of a refusal.
    pub generation: u16,
}

/// The error of a text that is not a command's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a command id such as `saga_<32 hex digits>:hold-seats:action:1`")]
pub struct CommandIdError(String);

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}", self.saga, self.step, self.op.as_str(), self.generation)
    }
}

impl FromStr for CommandId {
    type Err = CommandIdError;

    fn from_str(text: &str) -> Result<Self, CommandIdError> {
        let parse = || {
            let mut parts = text.split(':');
            let id = Self {
                saga: parts.next()?.parse().ok()?,
                step: parts.next()?.parse().ok()?,
                op: match parts.next()? {
                    "action" => Op::Action,
                    "compensation" => Op::Compensation,
                    "extension" => Op::Extension,
                    _ => return None,
                },
                generation: parts.next()?.parse().ok()?,
            };
            parts.next().is_none().then_some(id)
        };
        parse().ok_or_else(|| CommandIdError(text.chars().take(128).collect()))
    }
}

impl Serialize for CommandId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CommandId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_id_reads_back_from_its_text() {
        let id = CommandId {
            saga: SagaId::from_uuid(uuid::Uuid::from_u128(7)),
            step: StepName::new("hold-seats").unwrap(),
            op: Op::Compensation,
            generation: 2,
        };
        assert_eq!(id.to_string(), "saga_00000000000000000000000000000007:hold-seats:compensation:2");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("saga_7:x:action:1".parse::<CommandId>().is_err());
        assert!("".parse::<CommandId>().is_err());
    }

    #[test]
    fn step_names_are_narrow() {
        for bad in ["", "Hold", "1st", "a_b", "a b", &"a".repeat(49)] {
            assert!(StepName::new(bad).is_err(), "{bad}");
        }
        assert!(StepName::new("hold-seats-2").is_ok());
    }
}

//! The bridge between a definition's typed functions and the JSON of journals and messages.
//!
//! A definition's functions are plain `fn`s over its own types; in here they are erased, so that one orchestrator
//! holds definitions of any types. Nothing that they do may take a lane down with them: a value that does not read, a
//! panic and an oversized command are all a [`MappingError`].

use std::{any::Any, fmt::Display, sync::Arc};

use chrono::{DateTime, Utc};
use contract::{
    Command, Document,
    limits::{PAYLOAD_BYTES_MAX, cut_error_text},
    saga::Cause,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{
    json::{Mismatch, read},
    panics::catch_panic,
    wake::Wake,
};

/// A saga's input in the definition's type.
pub(crate) type AnyInput = Arc<dyn Any + Send + Sync>;
/// Builds a forward command from the input and the facts.
pub(crate) type BuildAction = Box<dyn Fn(&dyn Any, &dyn Any) -> Result<Box<RawValue>, MappingError> + Send + Sync>;
/// Builds a compensation from the input and the cause.
pub(crate) type BuildUndo = Box<dyn Fn(&dyn Any, &Cause) -> Result<Box<RawValue>, MappingError> + Send + Sync>;
/// Puts a reply into the facts.
pub(crate) type Learn = Box<dyn Fn(&mut dyn Any, &Document) -> Result<(), MappingError> + Send + Sync>;
/// Says until when a step waits.
pub(crate) type BuildWake = Box<dyn Fn(&dyn Any, &dyn Any) -> Result<Wake, MappingError> + Send + Sync>;
/// Reads from a reply until when what it tells of is valid.
pub(crate) type Validity = Box<dyn Fn(&Document) -> Option<DateTime<Utc>> + Send + Sync>;
/// Says whether a step is needed, once all before it is done.
pub(crate) type Needed = Box<dyn Fn(&dyn Any, &dyn Any) -> Result<bool, MappingError> + Send + Sync>;
/// Reads a search attribute from an input; an input may lack it.
pub(crate) type ReadAttribute = Box<dyn Fn(&dyn Any) -> Result<Option<String>, MappingError> + Send + Sync>;
/// Says whether a step applies to an input.
pub(crate) type Condition = Box<dyn Fn(&dyn Any) -> Result<bool, MappingError> + Send + Sync>;

/// The reason why a definition's function gave nothing usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// The journaled input is not the definition's input.
    #[error("the saga's input is not what its definition takes: {0}")]
    Input(Mismatch),
    /// A journaled reply is not the command's reply.
    #[error("the reply of `{step}` is not what its definition reads: {mismatch}")]
    Reply {
        /// The step whose reply it is.
        step: String,
        /// The place in the reply, and what is wrong there.
        mismatch: Mismatch,
    },
    /// The function panicked.
    #[error("a function of the definition panicked: {0}")]
    Panicked(String),
    /// The command cannot be written as JSON.
    #[error("the command cannot be written as JSON: {0}")]
    Unwritable(String),
    /// The command is larger than a message may be.
    #[error("the command has {0} bytes, more than {PAYLOAD_BYTES_MAX}")]
    TooLarge(usize),
    /// Functions of two definitions were mixed; the builder's types prevent it.
    #[error("a function was given another definition's types")]
    Mixed,
}

impl MappingError {
    /// The stable code for causes and entries.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Input(_) => "input_unreadable",
            Self::Reply { .. } => "reply_unreadable",
            Self::Panicked(_) => "mapping_panicked",
            Self::Unwritable(_) => "command_unwritable",
            Self::TooLarge(_) => "command_too_large",
            Self::Mixed => "mapping_mixed",
        }
    }
}

/// [`read`] with its type erased.
pub(crate) fn read_any<T: DeserializeOwned + Send + Sync + 'static>(document: &Document) -> Result<AnyInput, Mismatch> {
    read::<T>(document).map(|read| read as AnyInput)
}

pub(crate) fn erase_action<I: 'static, F: 'static, C: Serialize + 'static>(function: fn(&I, &F) -> C) -> BuildAction {
    Box::new(move |input, facts| {
        let (input, facts) = (typed::<I>(input)?, typed::<F>(facts)?);
        write(&guarded(|| function(input, facts))?)
    })
}

pub(crate) fn erase_undo<I: 'static, C: Command>(function: fn(&I, &Cause) -> C) -> BuildUndo {
    Box::new(move |input, cause| {
        let input = typed::<I>(input)?;
        write(&guarded(|| function(input, cause))?)
    })
}

pub(crate) fn erase_wake<I: 'static, F: 'static>(function: fn(&I, &F) -> Wake) -> BuildWake {
    Box::new(move |input, facts| {
        let (input, facts) = (typed::<I>(input)?, typed::<F>(facts)?);
        guarded(|| function(input, facts))
    })
}

pub(crate) fn erase_learn<F: 'static, R: DeserializeOwned + Send + Sync + 'static>(
    step: String,
    function: fn(&mut F, &R),
) -> Learn {
    Box::new(move |facts, reply| {
        let facts = facts.downcast_mut::<F>().ok_or(MappingError::Mixed)?;
        let reply = read::<R>(reply).map_err(|mismatch| MappingError::Reply { step: step.clone(), mismatch })?;
        guarded(|| function(facts, &reply))
    })
}

pub(crate) fn erase_attribute<I: 'static, V: Display + 'static>(function: fn(&I) -> Option<V>) -> ReadAttribute {
    Box::new(move |input| {
        let input = typed::<I>(input)?;
        guarded(|| function(input).map(|value| value.to_string()))
    })
}

pub(crate) fn erase_condition<I: 'static>(function: fn(&I) -> bool) -> Condition {
    Box::new(move |input| {
        let input = typed::<I>(input)?;
        guarded(|| function(input))
    })
}

pub(crate) fn erase_needed<I: 'static, F: 'static>(function: fn(&I, &F) -> bool) -> Needed {
    Box::new(move |input, facts| {
        let (input, facts) = (typed::<I>(input)?, typed::<F>(facts)?);
        guarded(|| function(input, facts))
    })
}

/// A reply that does not read says nothing: it was checked when it came.
pub(crate) fn erase_validity<R: DeserializeOwned + Send + Sync + 'static>(
    function: fn(&R) -> Option<DateTime<Utc>>,
) -> Validity {
    Box::new(move |reply| {
        let reply = read::<R>(reply).ok()?;
        guarded(|| function(&reply)).ok().flatten()
    })
}

fn typed<T: 'static>(value: &dyn Any) -> Result<&T, MappingError> {
    value.downcast_ref().ok_or(MappingError::Mixed)
}

/// Runs a definition's function. The orchestrator carries many sagas in one task: one saga's mistake stays its own.
fn guarded<T>(function: impl FnOnce() -> T) -> Result<T, MappingError> {
    catch_panic(function).map_err(MappingError::Panicked)
}

fn write(command: &impl Serialize) -> Result<Box<RawValue>, MappingError> {
    let json = guarded(|| serde_json::value::to_raw_value(command))?;
    let json = json.map_err(|error| MappingError::Unwritable(cut_error_text(error.to_string())))?;
    let bytes = json.get().len();
    if bytes > PAYLOAD_BYTES_MAX { Err(MappingError::TooLarge(bytes)) } else { Ok(json) }
}

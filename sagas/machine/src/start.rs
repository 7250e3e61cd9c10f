//! The start of a saga: its input is checked once and for all, and its first commands go out.

use chrono::{DateTime, Utc};
use contract::{
    Attributes, Document, SagaId, attributes::AttributeError, limits::PAYLOAD_BYTES_MAX, saga::StepKind, step::StepName,
};

use crate::{
    decision::Decision,
    definition::Definition,
    draft::Draft,
    entry::{Entry, Parent},
    json::{Mismatch, check_readable},
    mapping::{AnyInput, MappingError},
    retry::later,
    state::State,
    step::Step,
    step_set::StepSet,
};

/// The reason why a saga cannot start. Nothing is journaled then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The input is larger than any message may be.
    #[error("the input has {bytes} bytes, more than {PAYLOAD_BYTES_MAX}")]
    TooLarge {
        /// The length of the input as JSON.
        bytes: usize,
    },
    /// The input is not of the definition's input type.
    #[error("the input is not what `{name}` version {version} takes: {mismatch}")]
    Unreadable {
        /// The name of the saga.
        name: String,
        /// The version of the definition.
        version: u32,
        /// The place in the input, and what is wrong there.
        mismatch: Mismatch,
    },
    /// A condition of the definition failed on the input.
    #[error("whether step `{step}` applies cannot be told: {source}")]
    Undecidable {
        /// The step whose condition it is.
        step: StepName,
        /// The failure of the condition.
        #[source]
        source: MappingError,
    },
    /// A search attribute cannot be read from the input.
    #[error("the attribute `{name}` cannot be told: {source}")]
    AttributeUnreadable {
        /// The name of the attribute.
        name: String,
        /// The failure of its function.
        #[source]
        source: MappingError,
    },
    /// A search attribute is not of the form that attributes have.
    #[error("an attribute of `{name}` cannot be kept: {source}")]
    AttributeUnfit {
        /// The name of the saga.
        name: String,
        /// The flaw of the attribute.
        #[source]
        source: AttributeError,
    },
    /// Two pivots apply to the input.
    #[error("for this input both `{first}` and `{second}` are the pivot; only one may be")]
    SeveralPivots {
        /// The first of them.
        first: StepName,
        /// The second of them.
        second: StepName,
    },
    /// A retriable step applies to the input, but no pivot before it does: it could not be undone.
    #[error(
        "for this input `{step}` comes after no pivot that applies: it could run while the saga may still be undone"
    )]
    NoPivotBefore {
        /// The retriable step.
        step: StepName,
    },
}

/// Decides the start of a saga, or of the child of a saga's step.
///
/// # Errors
/// [`StartError`] when the input is not one of this saga.
pub fn start(
    definition: &Definition,
    saga_id: SagaId,
    parent: Option<Parent>,
    input: Document,
    now: DateTime<Utc>,
) -> Result<Decision, StartError> {
    let bytes = input.text().len();
    if bytes > PAYLOAD_BYTES_MAX {
        return Err(StartError::TooLarge { bytes });
    }
    let not_applicable = names_not_applicable(definition, &input)?;
    let mut draft = Draft::new(definition, State::new(saga_id), now);
    draft.record(Entry::SagaStarted {
        name: definition.name.clone(),
        version: definition.version,
        fingerprint: definition.fingerprint.clone(),
        deadline_at: definition.deadline.map(|deadline| later(now, deadline)),
        not_applicable,
        input,
        parent,
    });
    draft.advance();
    Ok(draft.finish())
}

/// The search attributes of a saga that starts with that input.
///
/// # Errors
/// [`StartError`] when the input is not one of this saga, or one of its attributes is not of the form that attributes have.
pub fn attributes(definition: &Definition, input: &Document) -> Result<Attributes, StartError> {
    let mut attributes = Attributes::default();
    if definition.attributes.is_empty() {
        return Ok(attributes);
    }
    let read = read_input(definition, input)?;
    for (name, attribute) in &definition.attributes {
        let value = attribute(&*read);
        let value = value.map_err(|source| StartError::AttributeUnreadable { name: (*name).to_owned(), source })?;
        if let Some(value) = value {
            let unfit = |source| StartError::AttributeUnfit { name: definition.name.clone(), source };
            attributes.add(name, &value).map_err(unfit)?;
        }
    }
    Ok(attributes)
}

/// The names of the steps that do not apply to an input which the definition can be started with.
pub(crate) fn names_not_applicable(definition: &Definition, input: &Document) -> Result<Vec<StepName>, StartError> {
    let not_applicable = not_applicable(definition, input)?;
    check_order(definition, not_applicable)?;
    let names = definition.steps_in(not_applicable).map(|step| step.name.clone());
    Ok(names.collect())
}

/// The steps whose condition does not hold for this input.
fn not_applicable(definition: &Definition, input: &Document) -> Result<StepSet, StartError> {
    let read = read_input(definition, input)?;
    let mut set = StepSet::default();
    for (position, step) in definition.steps.iter().enumerate() {
        let Some(when) = &step.when else { continue };
        let applies = when(&*read).map_err(|source| StartError::Undecidable { step: step.name.clone(), source })?;
        if !applies {
            set.insert(position);
        }
    }
    Ok(set)
}

fn read_input(definition: &Definition, input: &Document) -> Result<AnyInput, StartError> {
    let read = check_readable(input).and_then(|()| (definition.read_input)(input));
    read.map_err(|mismatch| StartError::Unreadable {
        name: definition.name.clone(),
        version: definition.version,
        mismatch,
    })
}

/// Checks what the builder cannot know: which of the conditional pivots applies, and whether the steps that cannot be
/// undone come after it.
fn check_order(definition: &Definition, not_applicable: StepSet) -> Result<(), StartError> {
    let applies = |(position, _): &(usize, &Step)| !not_applicable.contains(*position);
    let mut pivot: Option<(usize, &Step)> = None;
    for (position, step) in definition.steps.iter().enumerate().filter(applies) {
        match step.kind {
            StepKind::Compensatable => {}
            StepKind::Pivot => match pivot {
                None => pivot = Some((position, step)),
                Some((_, first)) => {
                    let (first, second) = (first.name.clone(), step.name.clone());
                    return Err(StartError::SeveralPivots { first, second });
                }
            },
            StepKind::Retriable => {
                if !pivot.is_some_and(|(position, _)| step.ancestors.contains(position)) {
                    return Err(StartError::NoPivotBefore { step: step.name.clone() });
                }
            }
        }
    }
    Ok(())
}

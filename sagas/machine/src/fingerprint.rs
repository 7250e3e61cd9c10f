//! A digest of a definition's shape: a saga started under one shape is never continued under another.

use std::{fmt, sync::Arc};

use contract::step::Op;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{definition::Definition, retry::Retry, step::Shape};

/// How many bytes of the digest are kept: 128 bits cannot collide by accident.
const DIGEST_BYTES: usize = 16;

/// What identifies a definition's shape: names, kinds, edges, commands, retries and timings. 32 hexadecimal digits;
/// empty before a saga's start.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(Arc<str>);

impl Fingerprint {
    /// Takes a stored fingerprint as it is.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self(text.into())
    }

    /// The text, as columns keep it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Of a definition. Every line of the text that is hashed is part of the promise: changing how it is written
    /// changes every published fingerprint.
    pub(crate) fn of(definition: &Definition) -> Self {
        let digest = Sha256::digest(shape_text(definition).as_bytes());
        let hex: String = digest.iter().take(DIGEST_BYTES).map(|byte| format!("{byte:02x}")).collect();
        Self(hex.into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn shape_text(definition: &Definition) -> String {
    let deadline = definition.deadline().map_or(0, |deadline| deadline.as_millis());
    let mut text = format!("saga {} {} deadline {deadline}\n", definition.name(), definition.version());
    for step in definition.steps() {
        let after: Vec<_> = step.after().iter().map(|step| step.as_str()).collect();
        let kind = crate::step::kind_word(step.kind());
        let conditional = step.is_conditional();
        text += &format!("step {} {kind} conditional {conditional} after {}\n", step.name(), after.join(","));
        text += &shape_line(Op::Action, step.action());
        if let Some(compensation) = step.compensation() {
            text += &shape_line(Op::Compensation, compensation);
        }
    }
    text
}

fn shape_line(op: Op, shape: &Shape) -> String {
    let Shape { name, version, route, retry, reply_within, .. } = shape;
    let within = reply_within.as_millis();
    format!("{} {name} {version} {} {} within {within}\n", op.as_str(), route.as_str(), retry_text(retry))
}

fn retry_text(retry: &Retry) -> String {
    let (base, cap) = retry.waits();
    let bound = retry.bound().map_or_else(|| "unbounded".to_owned(), |bound| bound.to_string());
    format!("retry {} {} {bound}", base.as_millis(), cap.as_millis())
}

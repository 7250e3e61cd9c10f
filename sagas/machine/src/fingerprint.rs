//! A digest of a definition's shape: a saga started under one shape is never continued under another.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The number of bytes of the digest that are kept: 128 bits cannot collide by accident.
const DIGEST_BYTES: usize = 16;

/// The identity of a definition's shape: names, kinds, edges, commands, retries and timings. 32 hexadecimal digits;
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

    /// The digest of a definition's shape, written as text.
    pub(crate) fn of_shape(text: &str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let hex: String = digest.iter().take(DIGEST_BYTES).map(|byte| format!("{byte:02x}")).collect();
        Self(hex.into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

//! W3C trace context: which trace a message belongs to, and the hop that sent it.

use std::{
    fmt,
    num::{NonZeroU64, NonZeroU128},
    str::FromStr,
};

use serde::{Deserialize, Serialize, de};

/// The bytes of a `traceparent` of version 00: `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`.
const TRACEPARENT_BYTES: usize = 55;

/// The flag of a trace that is recorded.
const SAMPLED: u8 = 1;

/// A `traceparent` header of version 00. A program that gets a text which is none begins a trace of its own, as the
/// standard asks.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Traceparent {
    trace: NonZeroU128,
    parent: NonZeroU64,
    flags: u8,
}

/// Why a text is not a trace parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a traceparent looks like 00-<32 hexadecimal digits>-<16 hexadecimal digits>-<2 hexadecimal digits>, in small \
     letters and not all zero"
)]
pub struct TraceparentError;

impl Traceparent {
    /// A trace that begins here and is recorded.
    #[must_use]
    pub const fn begin(trace: NonZeroU128, parent: NonZeroU64) -> Self {
        Self { trace, parent, flags: SAMPLED }
    }

    /// The same trace, sent by the hop that `parent` names.
    #[must_use]
    pub const fn continued_by(self, parent: NonZeroU64) -> Self {
        Self { parent, ..self }
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.parent, self.flags)
    }
}

impl fmt::Debug for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Traceparent {
    type Err = TraceparentError;

    fn from_str(text: &str) -> Result<Self, TraceparentError> {
        // The parsers of numbers take capital letters and signs; the standard takes neither.
        let plain = |byte: u8| byte == b'-' || byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != TRACEPARENT_BYTES || !text.bytes().all(plain) {
            return Err(TraceparentError);
        }
        let parse = || {
            let mut fields = text.split('-');
            let mut field = |digits: usize| fields.next().filter(|field| field.len() == digits);
            let (version, trace, parent, flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
            (version == "00").then_some(())?;
            Some(Self {
                trace: NonZeroU128::new(u128::from_str_radix(trace, 16).ok()?)?,
                parent: NonZeroU64::new(u64::from_str_radix(parent, 16).ok()?)?,
                flags: u8::from_str_radix(flags, 16).ok()?,
            })
        };
        parse().ok_or(TraceparentError)
    }
}

impl Serialize for Traceparent {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Traceparent {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Reads an optional trace parent and leaves out a text that is none: a message is not lost for it.
///
/// # Errors
/// When the value is neither a text nor null.
pub fn if_valid<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Traceparent>, D::Error> {
    let text = Option::<std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_trace_parent_reads_back_from_its_text() {
        let read: Traceparent = GOOD.parse().unwrap();
        assert_eq!(read.to_string(), GOOD);
        let begun = Traceparent::begin(NonZeroU128::MIN, NonZeroU64::MAX);
        assert_eq!(begun.to_string(), "00-00000000000000000000000000000001-ffffffffffffffff-01");
        assert_eq!(begun.to_string().parse(), Ok(begun));
        assert_eq!(
            read.continued_by(NonZeroU64::MIN).to_string(),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000001-01"
        );
    }

    #[test]
    fn what_the_standard_does_not_know_is_no_trace_parent() {
        for bad in [
            "",
            "00-4bf9-00f0-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-0f067aa0ba902b7-01",
        ] {
            assert_eq!(bad.parse::<Traceparent>(), Err(TraceparentError), "{bad}");
        }
    }
}

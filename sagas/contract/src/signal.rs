//! The names and ids of signals, which tell a saga something from outside, such as that a person has approved.

use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize, de};

/// The longest name of a signal, in bytes: as long as a step's.
pub const SIGNAL_NAME_BYTES_MAX: usize = 48;

/// The longest id of a signal, in bytes: longer than the event ids of any provider of webhooks.
pub const SIGNAL_ID_BYTES_MAX: usize = 128;

/// The largest payload of a signal, in bytes of JSON. A saga keeps at most one early signal a step, so that all that it
/// keeps stays within a megabyte.
pub const SIGNAL_BYTES_MAX: usize = 16 * 1024;

/// The longest piece of a wrong text that an error repeats, in characters; what is longer is cut.
const ECHO_CHARS_MAX: usize = 64;

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $error:ident, $message:literal, $shaped:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        #[doc = concat!("The error of a text that is no [`", stringify!($name), "`].")]
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        #[error($message)]
        pub struct $error(String);

        impl $name {
            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                let shaped: fn(&str) -> bool = $shaped;
                if shaped(text) { Ok(Self(text.into())) } else { Err($error(text.chars().take(ECHO_CHARS_MAX).collect())) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

text!(
    /// The name of a signal, as definitions say it: lower-case letters, digits and hyphens.
    SignalName,
    SignalNameError,
    "`{0}` is not a signal's name: 1 to 48 of a-z, 0-9 and `-`, starting with a letter",
    |text| {
        let mut bytes = text.bytes();
        text.len() <= SIGNAL_NAME_BYTES_MAX
            && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
            && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    }
);
text!(
    /// The id of one signal, chosen by its sender: a signal that comes again under the same id is the same.
    SignalId,
    SignalIdError,
    "`{0}` is not a signal's id: 1 to 128 visible ASCII characters",
    |text| (1..=SIGNAL_ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_of_signals_are_narrow() {
        for good in ["approval", "card-approved-2"] {
            assert_eq!(good.parse::<SignalName>().unwrap().as_str(), good);
        }
        for bad in ["", "Approval", "2nd", "a_b", &"a".repeat(49)] {
            assert!(bad.parse::<SignalName>().is_err(), "{bad}");
        }
        assert!("evt_1Nx/é".parse::<SignalId>().is_err());
        assert!("evt 1".parse::<SignalId>().is_err());
        assert!("".parse::<SignalId>().is_err());
        assert!("x".repeat(129).parse::<SignalId>().is_err());
        assert_eq!("evt_1Nx:7".parse::<SignalId>().unwrap().to_string(), "evt_1Nx:7");
    }
}

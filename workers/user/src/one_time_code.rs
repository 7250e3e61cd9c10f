//! Codes that work once: what an admin hands over for a new password, and what a person keeps for the day without the app.
//! They are read aloud and typed, so they have no letters that look like digits, and any spelling of one is the same code.

use aws_lc_rs::rand;
use sha2::{Digest as _, Sha256};

/// The letters of a code, after Crockford: I, L, O and U are left out.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The letters of a code. 80 bits are guessed by nobody, also not by one who has the hash.
const CODE_CHARS: usize = 16;

/// The letters that stand together when a code is shown.
const GROUP_CHARS: usize = 4;

/// The longest text that is read as a code, in bytes: each letter with spaces around it.
const TYPED_BYTES_MAX: usize = 4 * CODE_CHARS;

/// A code, in its one spelling.
pub(crate) struct OneTimeCode([u8; CODE_CHARS]);

/// The system has no randomness to give.
#[derive(Debug, thiserror::Error)]
#[error("the system has no randomness")]
pub(crate) struct NoRandomness;

impl OneTimeCode {
    /// A new code that nobody knows.
    pub(crate) fn new() -> Result<Self, NoRandomness> {
        let mut letters = [0; CODE_CHARS];
        rand::fill(&mut letters).map_err(|_| NoRandomness)?;
        Ok(Self(letters.map(|byte| LETTERS[usize::from(byte) % LETTERS.len()])))
    }

    /// The code that a person typed, when it can be one.
    pub(crate) fn parse(typed: &str) -> Option<Self> {
        if typed.len() > TYPED_BYTES_MAX {
            return None;
        }
        let meant =
            typed.bytes().filter(|byte| !matches!(byte, b' ' | b'-')).map(|byte| match byte.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                letter => letter,
            });
        let letters: [u8; CODE_CHARS] = meant.collect::<Vec<_>>().try_into().ok()?;
        letters.iter().all(|letter| LETTERS.contains(letter)).then_some(Self(letters))
    }

    /// The code as it is shown, in groups.
    pub(crate) fn shown(&self) -> String {
        let groups = self.0.chunks(GROUP_CHARS).map(|group| group.iter().copied().map(char::from).collect::<String>());
        groups.collect::<Vec<_>>().join("-")
    }

    /// The hash that is stored.
    pub(crate) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_the_same_in_every_spelling_of_it() {
        let code = OneTimeCode::parse("7H2K-M4QX-01WD-9RZB").unwrap();
        assert_eq!(code.shown(), "7H2K-M4QX-01WD-9RZB");
        for typed in ["7h2k m4qx olwd 9rzb", "7H2KM4QXOIWD9RZB", "  7H2K-m4qx-01wd-9rzb "] {
            assert_eq!(OneTimeCode::parse(typed).unwrap().hash(), code.hash(), "{typed}");
        }
        for typed in
            ["", "7H2K-M4QX-01WD-9RZ", "7H2K-M4QX-01WD-9RZBB", "7H2K-M4QX-01WD-9RZU", "7H2K-M4QX-01WD-9RZ\u{e9}"]
        {
            assert!(OneTimeCode::parse(typed).is_none(), "{typed}");
        }
        assert!(OneTimeCode::parse(&" ".repeat(1_000_000)).is_none());
    }

    #[test]
    fn a_new_code_reads_as_itself_and_is_no_other() {
        let (one, two) = (OneTimeCode::new().unwrap(), OneTimeCode::new().unwrap());
        assert_eq!(OneTimeCode::parse(&one.shown()).unwrap().hash(), one.hash());
        assert_ne!(one.hash(), two.hash());
    }
}

//! A password as it is hashed: prepared, so that one password has one form on every keyboard.

use contract::{EmailAddress, text};
use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory, HangulSyllableType},
};

/// The shortest new password, in characters (NIST SP 800-63B asks for 8; without a second factor we ask for more).
pub(crate) const PASSWORD_CHARS_MIN: usize = 12;
/// The longest password, in characters: hashing time grows with it, and no phrase that a person remembers is longer.
pub(crate) const PASSWORD_CHARS_MAX: usize = 128;
/// The longest text that is prepared, in bytes: as many characters, each typed as a letter and three marks of four bytes.
const TYPED_BYTES_MAX: usize = 16 * PASSWORD_CHARS_MAX;

/// The start of what people choose when they must choose something; compared in lower case.
const COMMON: [&str; 10] = [
    "123456789012",
    "password1234",
    "passwordpassword",
    "qwertyuiop12",
    "qwertyuiopas",
    "abcdefghijkl",
    "letmeinletmein",
    "111111111111",
    "000000000000",
    "iloveyou1234",
];

/// A password that can be hashed and compared.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Password(String);

/// Why a text is no password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasswordError {
    #[error("a password is not empty")]
    Empty,
    #[error("a password has at most {PASSWORD_CHARS_MAX} characters")]
    TooLong,
    #[error("a password has no control characters and no characters that Unicode does not know: U+{:04X}", u32::from(*.0))]
    Disallowed(char),
}

impl Password {
    /// Prepares what a person typed, by the rules of the OpaqueString profile (RFC 8265, 4.2.2): no mapping of widths or
    /// case, any space becomes U+0020, then NFC. NFKC, which is sometimes named for passwords, was SASLprep's (RFC 4013):
    /// it made different passwords the same, and RFC 8265 gave it up.
    ///
    /// The text is then of the FreeformClass (RFC 8264, 4.3 and 8), with one rule left out: letters that an identifier
    /// may have in certain places only (joiners, middle dots) may stand anywhere, since a password is not looked at.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub(crate) fn parse(typed: &str) -> Result<Self, PasswordError> {
        if typed.len() > TYPED_BYTES_MAX {
            return Err(PasswordError::TooLong);
        }
        let spaced = typed.chars().map(|character| if is_space(character) { ' ' } else { character });
        let password: String = ComposingNormalizerBorrowed::new_nfc().normalize_iter(spaced).collect();
        if password.is_empty() {
            return Err(PasswordError::Empty);
        }
        if password.chars().count() > PASSWORD_CHARS_MAX {
            return Err(PasswordError::TooLong);
        }
        password
            .chars()
            .find(|character| !is_freeform(*character))
            .map_or(Ok(Self(password)), |disallowed| Err(PasswordError::Disallowed(disallowed)))
    }

    /// The prepared text, to be hashed.
    pub(crate) fn into_text(self) -> String {
        self.0
    }

    /// Why it is refused as a new password, if it is.
    pub(crate) fn weakness(&self, email: Option<&EmailAddress>) -> Option<String> {
        if self.0.chars().count() < PASSWORD_CHARS_MIN {
            return Some(format!("a password has at least {PASSWORD_CHARS_MIN} characters"));
        }
        let mut letters: Vec<char> = self.0.to_lowercase().chars().collect();
        letters.sort_unstable();
        letters.dedup();
        let plain = text::search_form(&self.0);
        if letters.len() < 4 || COMMON.iter().any(|common| plain.starts_with(common)) {
            return Some("this password is among the first that anybody would try".to_owned());
        }
        let is_email =
            EmailAddress::parse(&self.0).is_ok_and(|typed| email.is_some_and(|own| own.key() == typed.key()));
        is_email.then(|| "a password must not be the e-mail address".to_owned())
    }
}

fn is_space(character: char) -> bool {
    CodePointMapData::<GeneralCategory>::new().get(character) == GeneralCategory::SpaceSeparator
}

/// The FreeformClass: what Unicode has assigned, except controls, formats, private characters, what draws nothing, and the
/// old letters of Hangul that NFC does not put together.
fn is_freeform(character: char) -> bool {
    use GeneralCategory::{Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, Surrogate, Unassigned};
    let joiner = matches!(character, '\u{200c}' | '\u{200d}');
    let old_hangul = matches!(
        CodePointMapData::<HangulSyllableType>::new().get(character),
        HangulSyllableType::LeadingJamo | HangulSyllableType::VowelJamo | HangulSyllableType::TrailingJamo
    );
    let category = CodePointMapData::<GeneralCategory>::new().get(character);
    let unknown =
        matches!(category, Control | Format | LineSeparator | ParagraphSeparator | PrivateUse | Surrogate | Unassigned);
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character);
    joiner || !(unknown || ignorable || old_hangul)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(typed: &str) -> String {
        Password::parse(typed).unwrap_or_else(|error| panic!("{typed:?}: {error}")).into_text()
    }

    #[test]
    fn one_password_has_one_form_on_every_keyboard() {
        for (typed, form) in [
            ("correct horse battery", "correct horse battery"),
            ("  spaces stay  ", "  spaces stay  "),
            ("Correct Horse", "Correct Horse"),
            ("cafe\u{301} au lait", "caf\u{e9} au lait"),
            ("\u{212b}ngstr\u{f6}m", "\u{c5}ngstr\u{f6}m"),
            ("\u{1112}\u{1161}\u{11ab}", "\u{d55c}"),
            ("no\u{a0}break\u{3000}wide\u{1680}ogham", "no break wide ogham"),
            ("\u{2000}\u{2001}", "  "),
            // Neither width nor compatibility is mapped (RFC 8265): these stay what they are.
            ("\u{ff21}\u{ff22}", "\u{ff21}\u{ff22}"),
            ("\u{fb01}", "\u{fb01}"),
            ("\u{3c0}\u{df}\u{5d0}\u{1f98a}\u{265a}", "\u{3c0}\u{df}\u{5d0}\u{1f98a}\u{265a}"),
            (
                "\u{639}\u{644}\u{6cc}\u{200c}\u{631}\u{636}\u{627}",
                "\u{639}\u{644}\u{6cc}\u{200c}\u{631}\u{636}\u{627}",
            ),
        ] {
            assert_eq!(prepared(typed), form, "{typed:?}");
            assert_eq!(prepared(&prepared(typed)), form, "{typed:?}, twice");
        }
    }

    #[test]
    fn what_no_keyboard_types_is_no_password() {
        for bad in [
            "a\0", "\n", "a\tb", "\u{7f}", "\u{85}", "\u{2028}", "\u{200b}", "\u{202e}", "\u{feff}", "\u{ad}",
            "\u{3164}",
        ]
        .into_iter()
        .chain(["\u{fe0f}", "\u{e000}", "\u{378}", "\u{ffff}", "\u{e0041}", "\u{1100}\u{301}", "\u{600}"])
        {
            assert!(matches!(Password::parse(bad), Err(PasswordError::Disallowed(_))), "{bad:?}");
        }
        assert!(matches!(Password::parse(""), Err(PasswordError::Empty)));
    }

    #[test]
    fn the_limit_of_a_password_counts_characters() {
        for character in ["a", "\u{e9}", "\u{3042}", "\u{1f98a}", "\u{1112}\u{1161}\u{11ab}", "\u{1e69}"] {
            assert!(Password::parse(&character.repeat(PASSWORD_CHARS_MAX)).is_ok(), "{character}");
            let longer = Password::parse(&character.repeat(PASSWORD_CHARS_MAX + 1));
            assert!(matches!(longer, Err(PasswordError::TooLong)), "{character}");
        }
        assert!(matches!(Password::parse(&"a".repeat(100_000)), Err(PasswordError::TooLong)));
    }

    #[test]
    fn weak_passwords_are_refused_with_the_reason() {
        let email = EmailAddress::parse("somebody@example.com").unwrap();
        let weakness = |typed: &str| Password::parse(typed).unwrap().weakness(Some(&email));
        assert!(weakness("short").unwrap().contains("at least 12"));
        assert!(weakness("\u{65e5}\u{672c}\u{8a9e}").unwrap().contains("at least 12"));
        assert!(weakness("aaaabbbbaaaa").unwrap().contains("first that anybody"));
        assert!(weakness("Password12345").unwrap().contains("first that anybody"));
        assert!(weakness("\u{ff30}assword12345").unwrap().contains("first that anybody"));
        assert!(weakness("Somebody@example.com").unwrap().contains("e-mail"));
        assert_eq!(weakness("a long enough passphrase"), None);
        assert_eq!(weakness(&"\u{3042}\u{3044}\u{3046}\u{3048}".repeat(11)), None);
    }
}

//! An e-mail address, by one rule for people who register and for travellers.
//!
//! The shape only: whether mail arrives, only mail can tell. The local part is a dot-string (RFC 5321), in any script (RFC
//! 6531); the domain is whatever name UTS 46 can write in the DNS, which includes the symbols that some registries
//! sell. Quoted local parts and address literals are refused: no person has one, and they carry anything.

use std::{borrow::Cow, fmt, str::FromStr};

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use serde::{Deserialize, Serialize, de};

use crate::text::{self, UnfitCharacter};

/// The longest address, in bytes: a path of 256 (RFC 5321, 4.5.3.1.3) without its angle brackets.
pub const EMAIL_BYTES_MAX: usize = 254;

/// The longest local part, in bytes (RFC 5321, 4.5.3.1.1).
pub const EMAIL_LOCAL_BYTES_MAX: usize = 64;

/// The longest text that is read as an address, in bytes: three times an address, for those that are typed decomposed.
const TYPED_BYTES_MAX: usize = 3 * EMAIL_BYTES_MAX;

/// An address that mail can be sent to, as people write it: the local part composed, the domain in its own script and
/// in small letters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress {
    text: String,
    local_bytes: usize,
}

/// Why a text is not an e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmailAddressError {
    /// No `@`, or nothing before it.
    #[error("an e-mail address looks like ada@example.com")]
    Shape,
    /// More than [`EMAIL_BYTES_MAX`], or [`EMAIL_LOCAL_BYTES_MAX`] before the `@`.
    #[error("an e-mail address has at most {EMAIL_BYTES_MAX} bytes, {EMAIL_LOCAL_BYTES_MAX} of them before the @")]
    TooLong,
    /// The part before the `@` has a quote, a space or another character that no mailbox has.
    #[error("an e-mail address has letters, digits, single dots and some signs such as + and - before the @")]
    Local,
    /// The part before the `@` has a character that cannot be seen.
    #[error("before the @ of an e-mail address, {0}")]
    Unfit(#[from] UnfitCharacter),
    /// The part after the `@` is not a name of the DNS.
    #[error("an e-mail address has the name of a mail domain such as example.com after the @")]
    Domain,
}

impl EmailAddress {
    /// Reads what a person typed as an e-mail address.
    ///
    /// # Errors
    /// [`EmailAddressError`].
    pub fn parse(typed: &str) -> Result<Self, EmailAddressError> {
        let typed = typed.trim();
        if typed.len() > TYPED_BYTES_MAX {
            return Err(EmailAddressError::TooLong);
        }
        let typed = text::composed(typed);
        let (local, domain) = typed.rsplit_once('@').ok_or(EmailAddressError::Shape)?;
        if local.is_empty() {
            return Err(EmailAddressError::Shape);
        }
        if local.len() > EMAIL_LOCAL_BYTES_MAX {
            return Err(EmailAddressError::TooLong);
        }
        text::check(local)?;
        if local.split('.').any(str::is_empty) || !local.chars().all(|c| c == '.' || is_local(c)) {
            return Err(EmailAddressError::Local);
        }
        let ascii = domain_in_ascii(domain).ok_or(EmailAddressError::Domain)?;
        let (domain, _) = Uts46::new().to_unicode(ascii.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast);
        let text = format!("{local}@{domain}");
        if local.len() + 1 + ascii.len() > EMAIL_BYTES_MAX || text.len() > EMAIL_BYTES_MAX {
            return Err(EmailAddressError::TooLong);
        }
        Ok(Self { local_bytes: local.len(), text })
    }

    /// The text as it is stored and shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The form that all spellings of one mailbox have in common: the local part in small letters, the domain as the DNS has it.
    ///
    /// RFC 5321 lets a mail server tell `Ada@` from `ada@`; none that people use does, and two accounts for one person
    /// are worse.
    #[must_use]
    pub fn key(&self) -> String {
        let (local, domain) = self.text.split_at(self.local_bytes);
        let domain = domain.strip_prefix('@').unwrap_or(domain);
        // The domain was read once, so it reads again; the text itself is the next best key.
        let ascii = domain_in_ascii(domain).unwrap_or_else(|| domain.to_owned());
        format!("{}@{ascii}", text::composed(&local.to_lowercase()))
    }
}

/// The signs of an atom (RFC 5322, 3.2.3), and everything beyond ASCII that can be seen (RFC 6531).
fn is_local(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || "!#$%&'*+-/=?^_`{|}~".contains(character)
        || !character.is_ascii() && !character.is_whitespace()
}

/// The domain as the DNS has it, when it can be one that mail goes to: two labels or more, the last of them no number.
fn domain_in_ascii(domain: &str) -> Option<String> {
    let ascii = Uts46::new()
        .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
        .ok()?;
    let (_, last) = ascii.rsplit_once('.')?;
    (!last.bytes().all(|byte| byte.is_ascii_digit())).then(|| ascii.into_owned())
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl FromStr for EmailAddress {
    type Err = EmailAddressError;

    fn from_str(typed: &str) -> Result<Self, EmailAddressError> {
        Self::parse(typed)
    }
}

impl Serialize for EmailAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for EmailAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

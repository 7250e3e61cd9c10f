//! Passwords: argon2id with OWASP's parameters, off the asynchronous threads, a bounded number at a time.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::Semaphore;

/// Memory of one hash, in KiB (OWASP's first choice: 19 MiB, two passes, one lane).
const MEMORY_KIB: u32 = 19_456;
/// Passes over that memory.
const PASSES: u32 = 2;
/// Hashes that are computed at once: they hold 19 MiB and a core each, and logins must not starve everything else.
const AT_ONCE_MAX: usize = 4;
/// The shortest password, in characters (NIST SP 800-63B asks for 8; without a second factor we ask for more).
pub(crate) const PASSWORD_CHARS_MIN: usize = 12;
/// The longest password, in bytes: hashing time grows with it.
pub(crate) const PASSWORD_BYTES_MAX: usize = 128;

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

/// Hashes and checks passwords.
#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    /// The hash of no password at all: checked when there is no such person, so that the time tells nothing.
    nobody: Arc<str>,
}

/// What broke; never why a password is wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    #[error("hashing a password failed: {0}")]
    Hash(String),
    #[error("the hashing task ended early")]
    Task(#[source] tokio::task::JoinError),
}

impl Passwords {
    pub(crate) async fn new() -> Result<Self, PasswordError> {
        let turns = Arc::new(Semaphore::new(AT_ONCE_MAX));
        let mut passwords = Self { turns, nobody: "".into() };
        passwords.nobody = passwords.hash("nobody has this password".to_owned()).await?.into();
        Ok(passwords)
    }

    /// The PHC string to store.
    pub(crate) async fn hash(&self, password: String) -> Result<String, PasswordError> {
        self.in_turn(move || {
            let hashed: PasswordHash = hasher()?.hash_password(password.as_bytes()).map_err(hash_error)?;
            Ok(hashed.to_string())
        })
        .await
    }

    /// Whether the password is the stored one. Takes as long when there is nothing stored.
    pub(crate) async fn matches(&self, password: String, stored: Option<String>) -> Result<bool, PasswordError> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.nobody.to_string());
        let equal =
            self.in_turn(move || Ok(hasher()?.verify_password(password.as_bytes(), stored.as_str()).is_ok())).await?;
        Ok(known && equal)
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        // The turn goes along: who asked may go away at any moment, and the hash is computed to its end all the same.
        let hashing = move || {
            let _turn = turn;
            work()
        };
        tokio::task::spawn_blocking(hashing).await.map_err(PasswordError::Task)?
    }
}

/// Why a new password is refused, if it is.
pub(crate) fn weakness(password: &str, email: &str) -> Option<String> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Some(format!("a password has at least {PASSWORD_CHARS_MIN} characters"));
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Some(format!("a password has at most {PASSWORD_BYTES_MAX} bytes"));
    }
    let lower = password.to_lowercase();
    let mut letters: Vec<char> = lower.chars().collect();
    letters.sort_unstable();
    letters.dedup();
    if letters.len() < 4 || COMMON.iter().any(|common| lower.starts_with(common)) {
        return Some("this password is among the first that anybody would try".to_owned());
    }
    (lower == email.to_lowercase()).then(|| "a password must not be the e-mail address".to_owned())
}

fn hasher() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|error| PasswordError::Hash(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash_error(error: argon2::password_hash::Error) -> PasswordError {
    PasswordError::Hash(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only_and_nobody_matches_nothing() {
        let passwords = Passwords::new().await.unwrap();
        let hash = passwords.hash("correct horse battery".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.matches("correct horse battery".to_owned(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.matches("correct horse".to_owned(), Some(hash)).await.unwrap());
        assert!(!passwords.matches("nobody has this password".to_owned(), None).await.unwrap());
        assert!(!passwords.matches("anything".to_owned(), Some("broken".to_owned())).await.unwrap());
    }

    #[tokio::test]
    async fn an_unknown_person_costs_a_hash_like_everybody_else() {
        let passwords = Passwords::new().await.unwrap();
        let all = passwords.turns.acquire_many(u32::try_from(AT_ONCE_MAX).unwrap()).await.unwrap();
        let mut answer = std::pin::pin!(passwords.matches("anything".to_owned(), None));
        tokio::select! {
            biased;
            early = &mut answer => panic!("answered without a hash: {early:?}"),
            () = tokio::task::yield_now() => {}
        }
        drop(all);
        assert!(!answer.await.unwrap());
    }

    #[tokio::test]
    async fn who_goes_away_takes_no_turn_from_the_hash_that_is_still_computed() {
        let passwords = Passwords::new().await.unwrap();
        let (begin, begun) = tokio::sync::oneshot::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let asking = passwords.clone();
        let asked = tokio::spawn(async move {
            let slow = move || {
                begin.send(()).unwrap();
                ended.recv().unwrap();
                Ok(())
            };
            asking.in_turn(slow).await
        });
        begun.await.unwrap();
        asked.abort();
        assert!(asked.await.unwrap_err().is_cancelled());
        assert_eq!(passwords.turns.available_permits(), AT_ONCE_MAX - 1);
        end.send(()).unwrap();
        let all = u32::try_from(AT_ONCE_MAX).unwrap();
        drop(passwords.turns.acquire_many(all).await.unwrap());
    }

    #[test]
    fn weak_passwords_are_refused_with_the_reason() {
        assert!(weakness("short", "a@b.c").unwrap().contains("at least 12"));
        assert!(weakness(&"long".repeat(40), "a@b.c").unwrap().contains("at most 128"));
        assert!(weakness("aaaabbbbaaaa", "a@b.c").unwrap().contains("first that anybody"));
        assert!(weakness("Password12345", "a@b.c").unwrap().contains("first that anybody"));
        assert!(weakness("Somebody@example.com", "somebody@example.com").unwrap().contains("e-mail"));
        assert_eq!(weakness("a long enough passphrase", "a@b.c"), None);
    }
}

//! Hashes of passwords: argon2id with OWASP's parameters, off the asynchronous threads, a bounded number at a time.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::Semaphore;

use crate::password::{PASSWORD_CHARS_MAX, Password};

/// Memory of one hash, in KiB (OWASP's first choice: 19 MiB, two passes, one lane).
const MEMORY_KIB: u32 = 19_456;
/// Passes over that memory.
const PASSES: u32 = 2;
/// Hashes that are computed at once: they hold 19 MiB and a core each, and logins must not starve everything else.
const AT_ONCE_MAX: usize = 4;

/// Hashes and checks passwords.
#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    /// The hash of no password at all: checked when there is no such person, so that the time tells nothing.
    no_person: Arc<str>,
}

/// A failure of hashing itself; a wrong password is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashingError {
    #[error("hashing a password failed: {0}")]
    Hash(String),
    #[error("the hashing task ended early")]
    Task(#[source] tokio::task::JoinError),
}

impl Passwords {
    pub(crate) async fn new() -> Result<Self, HashingError> {
        let turns = Arc::new(Semaphore::new(AT_ONCE_MAX));
        let mut passwords = Self { turns, no_person: "".into() };
        // Longer than any password, so that no login can match it.
        passwords.no_person = passwords.hash_text("-".repeat(PASSWORD_CHARS_MAX + 1)).await?.into();
        Ok(passwords)
    }

    /// The PHC string to store.
    pub(crate) async fn hash(&self, password: Password) -> Result<String, HashingError> {
        self.hash_text(password.into_text()).await
    }

    async fn hash_text(&self, password: String) -> Result<String, HashingError> {
        self.in_turn(move || {
            let hashed: PasswordHash = hasher()?.hash_password(password.as_bytes()).map_err(hash_error)?;
            Ok(hashed.to_string())
        })
        .await
    }

    /// Whether the password is the stored one. Takes as long when there is nothing stored.
    pub(crate) async fn matches(&self, password: Password, stored: Option<String>) -> Result<bool, HashingError> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.no_person.to_string());
        let password = password.into_text();
        let equal =
            self.in_turn(move || Ok(hasher()?.verify_password(password.as_bytes(), stored.as_str()).is_ok())).await?;
        Ok(known && equal)
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HashingError> + Send + 'static,
    ) -> Result<T, HashingError> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        // The turn goes along: who asked may go away at any moment, and the hash is computed to its end all the same.
        let hashing = move || {
            let _turn = turn;
            work()
        };
        tokio::task::spawn_blocking(hashing).await.map_err(HashingError::Task)?
    }
}

fn hasher() -> Result<Argon2<'static>, HashingError> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|error| HashingError::Hash(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash_error(error: argon2::password_hash::Error) -> HashingError {
    HashingError::Hash(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Password {
        Password::parse(text).unwrap()
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only_and_nobody_matches_nothing() {
        let passwords = Passwords::new().await.unwrap();
        let hash = passwords.hash(typed("correct horse battery")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.matches(typed("correct horse battery"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.matches(typed("correct horse"), Some(hash)).await.unwrap());
        assert!(!passwords.matches(typed("nobody has this password"), None).await.unwrap());
        assert!(!passwords.matches(typed("anything"), Some("broken".to_owned())).await.unwrap());
    }

    #[tokio::test]
    async fn an_unknown_person_costs_a_hash_like_everybody_else() {
        let passwords = Passwords::new().await.unwrap();
        let all = passwords.turns.acquire_many(u32::try_from(AT_ONCE_MAX).unwrap()).await.unwrap();
        let mut answer = std::pin::pin!(passwords.matches(typed("anything"), None));
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
}

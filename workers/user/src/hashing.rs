//! Hashes of passwords: argon2id with OWASP's parameters, off the asynchronous threads. As many are computed at a time
//! as there are cores, a bounded number waits, and what comes past that is refused at once: a queue that grows would
//! make everybody wait longer than they have patience for.

use std::{num::NonZeroUsize, sync::Arc, thread::available_parallelism};

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
/// The hashes that wait for a turn, for each turn: at some 30 ms each, whoever is taken in waits about half a second.
const WAITING_PER_TURN_MAX: usize = 16;

/// Hashes and checks passwords.
#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    /// A hash holds 19 MiB and a core.
    turns: Arc<Semaphore>,
    /// Of those whose turn it is, and of those who wait for one.
    places: Arc<Semaphore>,
    /// The hash of no password at all: checked when there is no such person, so that the time tells nothing.
    no_person: Arc<str>,
}

/// A failure of hashing itself; a wrong password is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashingError {
    #[error("too many passwords wait to be looked at")]
    Busy,
    #[error("hashing a password failed: {0}")]
    Hash(String),
    #[error("the hashing task ended early")]
    Task(#[source] tokio::task::JoinError),
}

impl Passwords {
    pub(crate) async fn new() -> Result<Self, HashingError> {
        Self::with_turns(available_parallelism().map_or(1, NonZeroUsize::get)).await
    }

    async fn with_turns(turns: usize) -> Result<Self, HashingError> {
        let places = Arc::new(Semaphore::new(turns * (1 + WAITING_PER_TURN_MAX)));
        let mut passwords = Self { turns: Arc::new(Semaphore::new(turns)), places, no_person: "".into() };
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
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| HashingError::Busy)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        // The turn goes along: who asked may go away at any moment, and the hash is computed to its end all the same.
        let hashing = move || {
            let _held = (place, turn);
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
    use futures::FutureExt as _;

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
        let passwords = Passwords::with_turns(1).await.unwrap();
        let all = passwords.turns.acquire().await.unwrap();
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
        let passwords = Passwords::with_turns(1).await.unwrap();
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
        assert_eq!(passwords.turns.available_permits(), 0);
        end.send(()).unwrap();
        drop(passwords.turns.acquire().await.unwrap());
    }

    #[tokio::test]
    async fn past_a_bounded_queue_a_password_is_refused_at_once_and_those_in_it_are_looked_at() {
        let passwords = Passwords::with_turns(1).await.unwrap();
        let all = passwords.turns.acquire().await.unwrap();
        let ask = || passwords.matches(typed("anything"), None);
        let mut queue: Vec<_> = (0..=WAITING_PER_TURN_MAX).map(|_| Box::pin(ask())).collect();
        for waiting in &mut queue {
            assert!(waiting.now_or_never().is_none());
        }
        assert!(matches!(ask().now_or_never(), Some(Err(HashingError::Busy))));
        drop(all);
        for waiting in queue {
            assert!(!waiting.await.unwrap());
        }
        assert!(!ask().await.unwrap(), "there are places again");
    }
}

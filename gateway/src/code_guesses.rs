//! Codes of waiting logins that are nobody's, counted by the person who typed them: after a few, each further one has to wait
//! twice as long. A code has some 34 bits and lasts minutes; so nobody finds one that a stranger's program shows.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use contract::UserId;
use kit::http::ApiError;
use tokio::time::Instant;

use crate::{guesses::Tally, throttle::too_many};

/// The wrong codes of one person that cost no wait: mistyped ones.
const FREE: u32 = 5;

/// The wrong codes of all people.
pub(crate) struct CodeGuesses(Mutex<Tally<UserId>>);

impl CodeGuesses {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Tally::new(FREE)))
    }

    /// Counts a code, or refuses it: its person has to wait.
    pub(crate) fn begin(&self, person: UserId, now: Instant) -> Result<(), ApiError> {
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wait) = tally.wait(&person, now) {
            return Err(paused(wait));
        }
        tally.count(person, now);
        Ok(())
    }

    /// Counts a code for nothing after all: it was right, or nothing was told.
    pub(crate) fn forgive(&self, person: UserId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).forgive(&person);
    }
}

fn paused(wait: Duration) -> ApiError {
    too_many("device_codes_paused", "too many codes were typed under which no login waits", wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_codes_cost_their_person_a_wait_and_nobody_else() {
        let (guesses, now) = (CodeGuesses::new(), Instant::now());
        let person = |number| UserId::from_uuid(uuid::Uuid::from_u128(number));
        let taken = (0..50).filter(|_| guesses.begin(person(1), now).is_ok()).count();
        assert_eq!(taken, 5);
        assert_eq!(guesses.begin(person(1), now).unwrap_err().code(), "device_codes_paused");
        for _ in 0..50 {
            guesses.begin(person(2), now).unwrap();
            guesses.forgive(person(2));
        }
    }
}

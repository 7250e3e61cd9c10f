//! Logins between their two steps: the password was right, and the code of the second factor is still to come. The
//! credentials wait here for some minutes, so that no page has the password in it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use contract::user::Login;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

/// How long the second step may take: a phone is found in that time.
const STEP_MAX: TimeDelta = TimeDelta::minutes(5);

/// The most logins between their steps; the oldest one makes room.
const HALF_LOGINS_MAX: usize = 1_000;

struct HalfLogin {
    email: String,
    password: SecretString,
    begun: DateTime<Utc>,
}

/// All of them, by the digest of their names.
#[derive(Default)]
pub(crate) struct HalfLogins(Mutex<HashMap<[u8; 32], HalfLogin>>);

impl HalfLogins {
    /// Keeps the credentials of a login under a name that nobody guesses.
    pub(crate) fn begin(&self, name: &str, login: Login, now: DateTime<Utc>) {
        let mut halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        halves.retain(|_, half| now - half.begun < STEP_MAX);
        if halves.len() >= HALF_LOGINS_MAX {
            let oldest = halves.iter().min_by_key(|(_, half)| half.begun).map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                halves.remove(&oldest);
            }
        }
        let half = HalfLogin { email: login.email, password: login.password.into(), begun: now };
        halves.insert(digest(name), half);
    }

    /// The whole login, with its code.
    pub(crate) fn complete(&self, name: &str, code: String, now: DateTime<Utc>) -> Option<Login> {
        let halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let half = halves.get(&digest(name)).filter(|half| now - half.begun < STEP_MAX)?;
        let password = half.password.expose_secret().to_owned();
        Some(Login { email: half.email.clone(), password, code: Some(code) })
    }

    /// Forgets a login that is through.
    pub(crate) fn end(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest(name));
    }
}

fn digest(name: &str) -> [u8; 32] {
    Sha256::digest(name.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(email: &str) -> Login {
        Login { email: email.to_owned(), password: "a passphrase".to_owned(), code: None }
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
    }

    #[test]
    fn a_login_waits_some_minutes_for_its_code_and_is_forgotten_once_it_is_through() {
        let halves = HalfLogins::default();
        halves.begin("a", login("ann@example.com"), at(0));
        let whole = halves.complete("a", "492039".to_owned(), at(299)).unwrap();
        assert_eq!((whole.email.as_str(), whole.code.as_deref()), ("ann@example.com", Some("492039")));
        assert!(halves.complete("b", String::new(), at(299)).is_none());
        assert!(halves.complete("a", String::new(), at(300)).is_none());
        halves.end("a");
        assert!(halves.complete("a", String::new(), at(1)).is_none());
    }

    #[test]
    fn past_the_limit_the_oldest_one_makes_room() {
        let halves = HalfLogins::default();
        for number in 0..=HALF_LOGINS_MAX {
            let moment = at(0) + TimeDelta::milliseconds(number.try_into().unwrap());
            halves.begin(&number.to_string(), login("ann@example.com"), moment);
        }
        assert!(halves.complete("0", String::new(), at(2)).is_none());
        assert!(halves.complete("1", String::new(), at(2)).is_some());
    }
}

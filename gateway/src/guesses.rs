//! Wrong passwords, counted by account and by address: after a few, each further one has to wait twice as long.
//!
//! An attempt counts from its begin, so that a hundred at once are no way around; it is forgiven when the password was
//! right or nothing was told. A stranger who guesses at an account keeps its owner out only where the owner has never
//! logged in from: an address that is known to an account does not wait for it.

use std::{
    hash::Hash,
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use contract::{EmailAddress, UserId};
use kit::http::ApiError;
use lru::LruCache;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::{address::ClientAddress, throttle::too_many};

/// Accounts, addresses, and pairs of them that are remembered, the latest of each: some 10 MB each.
const REMEMBERED_MAX: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();

/// The attempts of one account that cost no wait: a person's tries at an old password.
const ACCOUNT_FREE: u32 = 5;

/// The attempts of one address that cost no wait: an office in the morning.
const ADDRESS_FREE: u32 = 20;

/// The wait after the first attempt that is too many; it doubles with each further one.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest wait: a person who has found the right password again is not kept out for a day.
const PAUSE_MAX: Duration = Duration::from_secs(15 * 60);

/// The time in which one attempt is forgiven: an office may mistype twenty times an hour for ever, and so many guesses are
/// of no use.
const FORGIVEN_EVERY: Duration = Duration::from_secs(3 * 60);

/// The name of an account in memory: its e-mail address shows in no dump.
type Account = [u8; 32];

/// The guesses of all accounts and addresses.
pub(crate) struct Guesses(Mutex<Tallies>);

struct Tallies {
    accounts: Tally<Account>,
    addresses: Tally<ClientAddress>,
    /// The addresses from which accounts were logged into.
    known: LruCache<(Account, ClientAddress), ()>,
}

/// One attempt to log in, from its begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    account: Account,
    /// None for a guess of somebody who is logged in: the account is given, so that the address tells nothing more.
    address: Option<ClientAddress>,
}

/// The end of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Right,
    Wrong,
    /// The user service did not say.
    Untold,
}

/// The user service's words for a guess that was wrong.
const WRONG_CODES: [&str; 4] = ["login_wrong", "password_wrong", "second_factor_wrong", "reset_code_wrong"];

impl Outcome {
    /// The outcome that an answer of the user service tells.
    pub(crate) fn of<T>(answer: &Result<T, ApiError>) -> Self {
        match answer {
            Ok(_) => Self::Right,
            Err(error) if WRONG_CODES.contains(&error.code()) => Self::Wrong,
            Err(_) => Self::Untold,
        }
    }
}

impl Guesses {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Tallies {
            accounts: Tally::new(ACCOUNT_FREE),
            addresses: Tally::new(ADDRESS_FREE),
            known: LruCache::new(REMEMBERED_MAX),
        }))
    }

    /// Counts an attempt, or refuses it: its account or its address has to wait.
    pub(crate) fn begin(&self, email: &str, address: ClientAddress, now: Instant) -> Result<Attempt, ApiError> {
        // What is no address is no account either; it is counted all the same.
        let key = EmailAddress::parse(email).map_or_else(|_| email.to_owned(), |email| email.key().to_owned());
        let account = account(&key);
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = tallies.known.get(&(account, address)).is_some();
        let of_account = if known { None } else { tallies.accounts.wait(&account, now) };
        refuse(of_account.max(tallies.addresses.wait(&address, now)))?;
        tallies.accounts.count(account, now);
        tallies.addresses.count(address, now);
        Ok(Attempt { account, address: Some(address) })
    }

    /// Counts an attempt of a person who is logged in and shows its password or code once more. It is counted apart from
    /// the logins of its address, so that strangers who guess at those do not stand in its way.
    pub(crate) fn begin_own(&self, person: UserId, now: Instant) -> Result<Attempt, ApiError> {
        let account = account(&person.to_string());
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refuse(tallies.accounts.wait(&account, now))?;
        tallies.accounts.count(account, now);
        Ok(Attempt { account, address: None })
    }

    /// Notes the outcome of an attempt.
    pub(crate) fn end(&self, attempt: Attempt, outcome: Outcome) {
        let Attempt { account, address } = attempt;
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Outcome::Wrong => {}
            Outcome::Right => {
                tallies.accounts.forget(&account);
                if let Some(address) = address {
                    tallies.addresses.forgive(&address);
                    tallies.known.put((account, address), ());
                }
            }
            Outcome::Untold => {
                tallies.accounts.forgive(&account);
                if let Some(address) = address {
                    tallies.addresses.forgive(&address);
                }
            }
        }
    }
}

fn account(key: &str) -> Account {
    Sha256::digest(key.as_bytes()).into()
}

fn refuse(wait: Option<Duration>) -> Result<(), ApiError> {
    let detail = "too many wrong passwords were given for this account or from this address";
    wait.map_or(Ok(()), |wait| Err(too_many("login_paused", detail, wait)))
}

/// Counted attempts by key.
pub(crate) struct Tally<K: Hash + Eq> {
    free: u32,
    counts: LruCache<K, Count>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    attempts: u32,
    last_at: Instant,
    /// The time up to which attempts were forgiven.
    forgiven_at: Instant,
}

impl Count {
    /// The same after the time that has passed since.
    fn at(self, now: Instant) -> Self {
        let passed = now.saturating_duration_since(self.forgiven_at).as_secs() / FORGIVEN_EVERY.as_secs();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        let attempts = self.attempts.saturating_sub(passed);
        // With nothing to forgive, time is saved up for no later attempt.
        let forgiven_at = if attempts == 0 { now } else { self.forgiven_at + FORGIVEN_EVERY.saturating_mul(passed) };
        Self { attempts, forgiven_at, ..self }
    }
}

impl<K: Hash + Eq> Tally<K> {
    pub(crate) fn new(free: u32) -> Self {
        Self { free, counts: LruCache::new(REMEMBERED_MAX) }
    }

    /// The time that the next attempt has to wait.
    pub(crate) fn wait(&self, key: &K, now: Instant) -> Option<Duration> {
        let count = self.counts.peek(key)?.at(now);
        let since = now.saturating_duration_since(count.last_at);
        let doublings = count.attempts.checked_sub(self.free)?;
        let pause = PAUSE.saturating_mul(2_u32.saturating_pow(doublings)).min(PAUSE_MAX);
        pause.checked_sub(since).filter(|wait| !wait.is_zero())
    }

    pub(crate) fn count(&mut self, key: K, now: Instant) {
        let count = self.counts.get_or_insert_mut(key, || Count { attempts: 0, last_at: now, forgiven_at: now });
        let known = count.at(now);
        *count = Count { attempts: known.attempts.saturating_add(1), last_at: now, ..known };
    }

    pub(crate) fn forgive(&mut self, key: &K) {
        if let Some(count) = self.counts.get_mut(key) {
            count.attempts = count.attempts.saturating_sub(1);
        }
    }

    fn forget(&mut self, key: &K) {
        self.counts.pop(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> ClientAddress {
        ClientAddress::of([192, 0, 2, last].into())
    }

    fn wrong(guesses: &Guesses, email: &str, address: ClientAddress, now: Instant) -> bool {
        let attempt = guesses.begin(email, address, now);
        attempt.map(|attempt| guesses.end(attempt, Outcome::Wrong)).is_ok()
    }

    #[test]
    fn each_wrong_password_too_many_costs_twice_the_wait() {
        let guesses = Guesses::new();
        let mut now = Instant::now();
        let free = (0..100).filter(|n| wrong(&guesses, "Ada@example.com", address(*n), now)).count();
        assert_eq!(free, 5);
        for wait in [1, 2, 4, 8] {
            now += Duration::from_secs(wait) - Duration::from_millis(1);
            assert!(!wrong(&guesses, "ada@example.com", address(200), now), "{wait}");
            now += Duration::from_millis(1);
            assert!(wrong(&guesses, "ada@example.com", address(200), now), "{wait}");
        }
        assert!(wrong(&guesses, "grace@example.com", address(200), now), "another account waits for nothing");
        now += FORGIVEN_EVERY * 9;
        assert!((0..5).all(|_| wrong(&guesses, "ada@example.com", address(201), now)));
    }

    #[test]
    fn an_office_that_mistypes_now_and_then_never_waits() {
        let guesses = Guesses::new();
        let mut now = Instant::now();
        for person in 0..500 {
            assert!(wrong(&guesses, &format!("p{person}@example.com"), address(1), now), "{person}");
            let right = guesses.begin("grace@example.com", address(1), now).unwrap();
            guesses.end(right, Outcome::Right);
            now += FORGIVEN_EVERY;
        }
    }

    #[test]
    fn an_address_that_tries_many_accounts_waits() {
        let guesses = Guesses::new();
        let now = Instant::now();
        let taken = (0..100).filter(|n| wrong(&guesses, &format!("p{n}@example.com"), address(1), now)).count();
        assert_eq!(taken, 20);
        assert!(wrong(&guesses, "p1@example.com", address(2), now));
    }

    #[test]
    fn a_guessing_stranger_does_not_keep_the_owner_out() {
        let guesses = Guesses::new();
        let now = Instant::now();
        let right = guesses.begin("ada@example.com", address(1), now).unwrap();
        guesses.end(right, Outcome::Right);
        while wrong(&guesses, "ada@example.com", address(66), now) {}
        assert!(guesses.begin("ada@example.com", address(2), now).is_err());
        let owner = guesses.begin("ada@example.com", address(1), now).unwrap();
        guesses.end(owner, Outcome::Right);
    }

    #[test]
    fn somebody_who_is_logged_in_guesses_no_faster_and_is_not_kept_out_by_strangers() {
        let guesses = Guesses::new();
        let (now, ann) = (Instant::now(), UserId::from_uuid(uuid::Uuid::from_u128(1)));
        while wrong(&guesses, "ann@example.com", address(66), now) {}
        let own = || guesses.begin_own(ann, now).map(|attempt| guesses.end(attempt, Outcome::Wrong)).is_ok();
        assert_eq!((0..100).filter(|_| own()).count(), 5);
        let later = now + Duration::from_secs(1);
        let right = guesses.begin_own(ann, later).unwrap();
        guesses.end(right, Outcome::Right);
        assert!(guesses.begin_own(ann, later).is_ok());
    }

    #[test]
    fn what_was_right_or_not_told_counts_for_nothing() {
        let guesses = Guesses::new();
        let now = Instant::now();
        for outcome in [Outcome::Untold, Outcome::Right] {
            for _ in 0..100 {
                let attempt = guesses.begin("ada@example.com", address(1), now).unwrap();
                guesses.end(attempt, outcome);
            }
        }
    }
}

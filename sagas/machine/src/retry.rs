//! A retry policy: how often and how late a command is sent again, with exponential backoff, full jitter and a cap.
//!
//! The jitter is drawn from the command's id and the attempt, not from a random source: a decision stays a
//! function of its arguments, while different sagas still spread out after an outage.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use contract::step::{CommandId, Op};

/// The wait between two sendings when a definition names no cap.
const CAP_DEFAULT: Duration = Duration::from_secs(60);

/// The shortest wait: something must be able to change before the next sending.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// A retry policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    base: Duration,
    cap: Duration,
    attempts_max: Option<u16>,
}

impl Retry {
    /// Waits up to `base` after the first failed attempt, up to twice that after the second, and so on; at most a
    /// minute, without a bound on the attempts.
    #[must_use]
    pub const fn exponential(base: Duration) -> Self {
        Self { base, cap: CAP_DEFAULT, attempts_max: None }
    }

    /// The longest wait.
    #[must_use]
    pub const fn cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// The number of sendings after which it is given up, the first one included.
    #[must_use]
    pub const fn attempts_max(mut self, attempts_max: u16) -> Self {
        self.attempts_max = Some(attempts_max);
        self
    }

    /// The bound on the sendings, when there is one.
    #[must_use]
    pub const fn bound(&self) -> Option<u16> {
        self.attempts_max
    }

    /// The shortest and the longest upper bound of a wait.
    #[must_use]
    pub const fn waits(&self) -> (Duration, Duration) {
        (self.base, self.cap)
    }

    /// True when another sending may follow `attempts` failed ones.
    pub(crate) const fn allows_another(&self, attempts: u16) -> bool {
        match self.attempts_max {
            Some(max) => attempts < max,
            None => true,
        }
    }

    /// The same policy with waits that are so many times as short.
    pub(crate) fn divided(self, divisor: u32) -> Self {
        Self { base: divided(self.base, divisor), cap: divided(self.cap, divisor), ..self }
    }

    /// The wait after the `attempts`th failed sending of this round.
    pub(crate) fn wait(&self, id: &CommandId, attempts: u16) -> Duration {
        let doublings = u32::from(attempts.saturating_sub(1)).min(31);
        let longest = self.base.saturating_mul(1 << doublings).min(self.cap);
        let longest_ms = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        let drawn_ms = draw(id, attempts) % longest_ms.saturating_add(1);
        Duration::from_millis(drawn_ms).max(WAIT_MIN)
    }

    /// The flaws of the policy, as clauses.
    pub(crate) fn mistakes(&self) -> impl Iterator<Item = &'static str> {
        let all = [
            (self.base < WAIT_MIN, "its first wait is shorter than a millisecond"),
            (self.cap < self.base, "its longest wait is shorter than its first"),
            (self.attempts_max == Some(0), "it allows no attempt at all"),
        ];
        all.into_iter().filter_map(|(wrong, mistake)| wrong.then_some(mistake))
    }
}

/// A time that is so many times as short, but at least the shortest wait.
pub(crate) fn divided(time: Duration, divisor: u32) -> Duration {
    time.checked_div(divisor).unwrap_or(time).max(WAIT_MIN)
}

/// `now` and `wait` later, or the end of time.
pub(crate) fn later(now: DateTime<Utc>, wait: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(wait).ok().and_then(|wait| now.checked_add_signed(wait)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// 64 bits that look random and are the same on every machine: FNV-1a with a final mix (splitmix64).
fn draw(id: &CommandId, attempts: u16) -> u64 {
    let op: u8 = match id.op {
        Op::Action => 0,
        Op::Compensation => 1,
        Op::Extension => 2,
    };
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let saga = id.saga.uuid();
    let tail = [op, 0xff];
    let numbers = [id.generation.to_be_bytes(), attempts.to_be_bytes()];
    let bytes = saga.as_bytes().iter().chain(id.step.as_str().as_bytes()).chain(&tail).chain(numbers.iter().flatten());
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use contract::{SagaId, StepName};

    use super::*;

    fn command_id(saga: u128) -> CommandId {
        let saga = SagaId::from_uuid(uuid::Uuid::from_u128(saga));
        CommandId { saga, step: StepName::new("hold").unwrap(), op: Op::Action, generation: 1 }
    }

    #[test]
    fn waits_double_up_to_the_cap_and_are_spread_over_their_whole_range() {
        let retry = Retry::exponential(Duration::from_millis(200)).cap(Duration::from_secs(10));
        for (attempts, longest_ms) in [(1, 200), (2, 400), (3, 800), (6, 6_400), (7, 10_000), (u16::MAX, 10_000)] {
            let waits: Vec<_> = (0..1_000).map(|saga| retry.wait(&command_id(saga), attempts)).collect();
            let longest = Duration::from_millis(longest_ms);
            assert!(waits.iter().all(|wait| *wait <= longest && *wait >= WAIT_MIN));
            assert!(waits.iter().any(|wait| *wait > longest.mul_f32(0.9)), "attempt {attempts}");
            assert!(waits.iter().any(|wait| *wait < longest.mul_f32(0.1)), "attempt {attempts}");
            let mean = waits.iter().sum::<Duration>() / 1_000;
            assert!(mean > longest.mul_f32(0.45) && mean < longest.mul_f32(0.55), "attempt {attempts}: {mean:?}");
        }
    }

    #[test]
    fn the_same_command_and_attempt_always_waits_the_same() {
        let retry = Retry::exponential(Duration::from_secs(1));
        assert_eq!(retry.wait(&command_id(7), 3), retry.wait(&command_id(7), 3));
        assert_ne!(retry.wait(&command_id(7), 3), retry.wait(&command_id(8), 3));
    }

    #[test]
    fn extreme_policies_do_not_overflow() {
        let retry = Retry::exponential(Duration::MAX).cap(Duration::MAX);
        let wait = retry.wait(&command_id(1), u16::MAX);
        assert_eq!(later(DateTime::<Utc>::MAX_UTC, wait), DateTime::<Utc>::MAX_UTC);
        assert!(retry.allows_another(u16::MAX));
    }
}

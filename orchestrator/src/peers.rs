//! The watch of a waiting process over the owner of a shard.
//!
//! ```text
//!  every round:  ping --replies.<shard>--> the owner's lane --pong--> own queue     it takes, and it can answer
//!                pong to itself ----------------------------------> own queue     this process's own way is free
//! ```
//!
//! An owner that answers nothing for some rounds, while this process's own way is free, is cut off, hangs or was stopped:
//! its session is ended from outside, and the process that has waited longest has the shard. A pong of any round counts,
//! so that a queue with a long backlog is no silence.

use std::time::Duration;

use journal::Ownership;
use messaging::QueueName;
use tokio::time::timeout;

use crate::{
    messages::wire::{Ping, Pong, ping, pong},
    names,
    shared::Shared,
};

/// The length of a round.
const ROUND: Duration = Duration::from_secs(2);

/// An owner is evicted after so many silent rounds: ten seconds are longer than any pause of a lane that works.
const SILENT_ROUNDS_MAX: u32 = 5;

/// The most rounds between two evictions of one shard, about five minutes: where evicting does not help, it must not make
/// things worse.
const SILENT_ROUNDS_LONGEST: u32 = 160;

/// The outcome of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    /// The owner answers.
    Answered,
    /// This process's own way over the broker or to the journal is not free, so nothing can be said.
    Unclear,
    /// Only the owner is silent, and this is its ownership.
    Silent(Ownership),
}

/// The silence of an owner so far.
#[derive(Debug)]
struct Silence {
    of: Option<Ownership>,
    rounds: u32,
    rounds_max: u32,
}

impl Default for Silence {
    fn default() -> Self {
        Self { of: None, rounds: 0, rounds_max: SILENT_ROUNDS_MAX }
    }
}

impl Silence {
    /// Takes one more round in; the ownership to be ended, when it has been silent for long enough.
    fn hear(&mut self, round: Round) -> Option<Ownership> {
        match round {
            Round::Answered => *self = Self::default(),
            Round::Unclear => self.rounds = 0,
            Round::Silent(ownership) => {
                self.rounds = if self.of == Some(ownership) { self.rounds + 1 } else { 1 };
                self.of = Some(ownership);
                if self.rounds >= self.rounds_max {
                    self.rounds = 0;
                    self.rounds_max = (self.rounds_max * 2).min(SILENT_ROUNDS_LONGEST);
                    return Some(ownership);
                }
            }
        }
        None
    }
}

/// Watches over the owner of a shard that this process waits for.
pub(crate) async fn watch_owner(shared: &Shared, shard: u16) {
    let mut silence = Silence::default();
    loop {
        let round = round(shared, shard).await;
        let Some(silent) = silence.hear(round) else { continue };
        match shared.journal.evict(silent).await {
            Ok(true) => {
                metrics::counter!(names::OWNERS_EVICTED).increment(1);
                tracing::warn!(shard, "the shard's owner did not answer and is evicted");
            }
            Ok(false) => tracing::info!(shard, "the shard's silent owner is gone already"),
            Err(error) => {
                let error = kit::settings::error_chain(&error);
                tracing::warn!(shard, error, "the shard's silent owner cannot be evicted");
            }
        }
    }
}

/// Waits until a message of this process has come back to it over the broker: one that is cut off from the broker without
/// knowing it must not be given a shard.
pub(crate) async fn way_is_free(shared: &Shared, shard: u16) {
    let own_queue = shared.own_queue.as_str();
    loop {
        let asking = async {
            shared.broker.publish(vec![pong(own_queue, &Pong { shard, own: true, told: None })]).await;
            shared.pongs.own(shard).await;
        };
        if timeout(ROUND, asking).await.is_ok() {
            return;
        }
    }
}

async fn round(shared: &Shared, shard: u16) -> Round {
    let own_queue = shared.own_queue.as_str();
    let asked = [
        ping(&QueueName::replies(shard), &Ping { shard, answer_to: own_queue.to_owned(), request_id: None }),
        pong(own_queue, &Pong { shard, own: true, told: None }),
    ];
    let asking = async {
        shared.broker.publish(asked.into()).await;
        std::future::pending::<()>().await;
    };
    timeout(ROUND, asking).await.ok();
    let own = shared.pongs.take(shard, true);
    if shared.pongs.take(shard, false) {
        return Round::Answered;
    }
    if !own {
        return Round::Unclear;
    }
    match timeout(ROUND, shared.journal.ownership(shard)).await {
        Ok(Ok(Some(ownership))) => Round::Silent(ownership),
        Ok(Ok(None) | Err(_)) | Err(_) => Round::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Ownership = Ownership { shard: 1, epoch: 1 };
    const SECOND: Ownership = Ownership { shard: 1, epoch: 2 };

    /// How many silent rounds it takes.
    fn rounds_until_evicted(silence: &mut Silence, of: Ownership) -> u32 {
        (1..).find(|_| silence.hear(Round::Silent(of)) == Some(of)).unwrap()
    }

    #[test]
    fn an_owner_is_evicted_after_some_silent_rounds_in_a_row() {
        let mut silence = Silence::default();
        for interruption in [Round::Answered, Round::Unclear] {
            for _ in 1..SILENT_ROUNDS_MAX {
                assert_eq!(silence.hear(Round::Silent(FIRST)), None);
            }
            assert_eq!(silence.hear(interruption), None);
        }
        assert_eq!(rounds_until_evicted(&mut silence, FIRST), SILENT_ROUNDS_MAX);
    }

    #[test]
    fn another_owner_has_its_own_time() {
        let mut silence = Silence::default();
        for _ in 1..SILENT_ROUNDS_MAX {
            assert_eq!(silence.hear(Round::Silent(FIRST)), None);
        }
        assert_eq!(rounds_until_evicted(&mut silence, SECOND), SILENT_ROUNDS_MAX);
    }

    #[test]
    fn evictions_that_do_not_help_grow_rare_until_an_owner_answers() {
        let mut silence = Silence::default();
        let mut before = 0;
        for epoch in 1..9 {
            let rounds = rounds_until_evicted(&mut silence, Ownership { shard: 1, epoch });
            assert!(rounds > before || rounds == SILENT_ROUNDS_LONGEST, "{before} {rounds}");
            before = rounds;
        }
        silence.hear(Round::Answered);
        assert_eq!(rounds_until_evicted(&mut silence, FIRST), SILENT_ROUNDS_MAX);
    }
}

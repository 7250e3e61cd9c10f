//! The loop of a sweeper: it takes back what has run out, at its hour.
//!
//! A sweeper sleeps until the next thing is due. What is set aside meanwhile, here or in another process, lasts at least
//! as long as the sweeper ever sleeps; so looking once in that time misses nothing, and an idle system asks its database
//! about nothing more often.

use std::{error::Error, future::Future, time::Duration};

use chrono::{DateTime, Utc};
use kit::{clock::Clock, settings::error_chain};
use tokio_util::sync::CancellationToken;

/// How soon a sweeper looks again at what another transaction had locked, or after a failure.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Sweeps until the token is cancelled. `sweep` takes back everything that is due at the time it is given and answers
/// when the next thing will be, if there is one. The pause until then is at most `idle_for`. A sweep that fails is
/// logged as `what` and made again after a second.
pub async fn run_sweeper<E: Error + 'static, F: Future<Output = Result<Option<DateTime<Utc>>, E>>>(
    what: &'static str,
    clock: &dyn Clock,
    idle_for: Duration,
    token: CancellationToken,
    mut sweep: impl FnMut(DateTime<Utc>) -> F,
) {
    loop {
        let now = clock.now();
        let pause = match sweep(now).await {
            Ok(next_due) => pause_until(next_due, now, idle_for),
            Err(error) => {
                tracing::warn!(what, error = error_chain(&error), "a sweep failed; it is made again");
                LOOK_AGAIN_AFTER
            }
        };
        if token.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

fn pause_until(next_due: Option<DateTime<Utc>>, now: DateTime<Utc>, idle_for: Duration) -> Duration {
    let Some(due) = next_due else { return idle_for };
    let left = (due - now).to_std().unwrap_or(Duration::ZERO);
    left.clamp(LOOK_AGAIN_AFTER, idle_for.max(LOOK_AGAIN_AFTER))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_sweeper_sleeps_until_the_next_thing_is_due_and_never_longer_than_it_may() {
        let now = DateTime::UNIX_EPOCH;
        let idle_for = Duration::from_secs(1200);
        let pause = |seconds: i64| pause_until(Some(now + TimeDelta::seconds(seconds)), now, idle_for);
        assert_eq!(pause_until(None, now, idle_for), idle_for);
        assert_eq!(pause(300), Duration::from_secs(300));
        assert_eq!(pause(5000), idle_for);
        // Due already, and still there: another transaction had it.
        assert_eq!((pause(0), pause(-300)), (LOOK_AGAIN_AFTER, LOOK_AGAIN_AFTER));
    }

    #[tokio::test]
    async fn a_sweep_that_fails_is_made_again_and_the_token_ends_the_loop() {
        let token = CancellationToken::new();
        let mut sweeps = 0;
        let sweep = |_| {
            sweeps += 1;
            if sweeps == 2 {
                token.cancel();
            }
            std::future::ready(if sweeps == 1 { Err(std::fmt::Error) } else { Ok(None) })
        };
        let clock = kit::clock::system();
        run_sweeper("the test's sweep", clock.as_ref(), Duration::from_secs(60), token.clone(), sweep).await;
        assert_eq!(sweeps, 2);
    }
}

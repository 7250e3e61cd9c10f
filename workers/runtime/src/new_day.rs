//! Work that every new day brings, for processes that run for months.

use std::{error::Error, future::Future, time::Duration};

use chrono::NaiveDate;
use kit::clock::Clock;
use tokio_util::sync::CancellationToken;

/// Does the day's work (UTC) on every day but `done_for`, which is done, until the token is cancelled. Looks at the
/// clock this often, and at nothing else on a day that is done. Work that fails is logged as `what` and tried again at
/// the next look.
pub(crate) async fn on_each_new_day<E: Error + 'static, F: Future<Output = Result<(), E>>>(
    what: &'static str,
    clock: &dyn Clock,
    mut done_for: NaiveDate,
    look_every: Duration,
    token: CancellationToken,
    mut work: impl FnMut(NaiveDate) -> F,
) {
    while token.run_until_cancelled(tokio::time::sleep(look_every)).await.is_some() {
        let today = clock.now().date_naive();
        if today == done_for {
            continue;
        }
        match work(today).await {
            Ok(()) => done_for = today,
            Err(error) => {
                let error = kit::settings::error_chain(&error);
                tracing::warn!(what, error, "a new day's work failed; it is tried again");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use chrono::{DateTime, TimeDelta, Utc};

    use super::*;

    /// A clock that stands at noon, and ends everything when it has been looked at often enough.
    struct Noon {
        looks_left: AtomicUsize,
        token: CancellationToken,
    }

    impl Clock for Noon {
        fn now(&self) -> DateTime<Utc> {
            if self.looks_left.fetch_sub(1, Ordering::Relaxed) == 1 {
                self.token.cancel();
            }
            DateTime::UNIX_EPOCH + TimeDelta::hours(12)
        }
    }

    /// How often the first day's work is tried within five looks, when the first try fails.
    async fn tries(done_for: NaiveDate) -> usize {
        let token = CancellationToken::new();
        let clock = Noon { looks_left: AtomicUsize::new(5), token: token.clone() };
        let mut tries = 0;
        let work = |_| {
            tries += 1;
            std::future::ready(if tries == 1 { Err(std::fmt::Error) } else { Ok(()) })
        };
        on_each_new_day("the test's work", &clock, done_for, Duration::from_millis(1), token, work).await;
        tries
    }

    #[tokio::test]
    async fn a_new_days_work_is_tried_until_it_is_done_and_then_no_more() {
        let today = NaiveDate::default();
        assert_eq!(tries(today.pred_opt().unwrap()).await, 2);
        assert_eq!(tries(today).await, 0);
    }
}

//! The work by the clock, for no saga in particular: room in the journal, readiness of the servers.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use journal::Room;
use kit::readiness::Readiness;
use messaging::BrokerState;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{names, settings::Retirement, shared::Shared};

/// How often room is made in the journal: partitions are made days ahead.
const PREPARE_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// The pause before another attempt while room is short: a reader such as a backup holds the tables for hours, and there
/// are weeks left.
const PREPARE_AGAIN: Duration = Duration::from_secs(60 * 60);

/// The pause before another attempt when there is no room for the present week: its sagas land in the default pieces.
const PREPARE_SOON: Duration = Duration::from_secs(10 * 60);

/// How long a job and its results are kept after it was made: the journals of its sagas tell of it longer.
const JOB_KEPT: TimeDelta = TimeDelta::days(90);

/// How often a journal that failed is asked whether it is back. A journal that works is not asked.
const PING_AGAIN: Duration = Duration::from_secs(1);

/// How long the broker may be away before this process counts as one that lacks it: longer than a broker takes to restart. Until then
/// starts are taken in, and wait in the journal; after it the door sends them elsewhere, and peers get the shards.
pub(crate) const BROKER_AWAY_MAX: Duration = Duration::from_secs(10);

/// Makes room in the journal and forgets what is old once a day, until the end.
pub(crate) async fn prepare_daily(shared: Arc<Shared>, stop: CancellationToken) {
    let work = async {
        loop {
            let pause = match shared.journal.prepare(shared.clock.now()).await {
                Ok(Room::Enough) => PREPARE_EVERY,
                Ok(Room::Short) => PREPARE_AGAIN,
                Err(error) => {
                    tracing::warn!(error = kit::settings::error_chain(&error), "the journal could not be prepared");
                    PREPARE_SOON
                }
            };
            if let Err(error) = shared.journal.forget_approvals(shared.clock.now() - JOB_KEPT).await {
                tracing::warn!(error = kit::settings::error_chain(&error), "old approvals could not be forgotten");
            }
            if let Err(error) = shared.journal.forget_jobs(shared.clock.now() - JOB_KEPT).await {
                tracing::warn!(error = kit::settings::error_chain(&error), "old jobs could not be forgotten");
            }
            retire(&shared).await;
            tokio::time::sleep(pause).await;
        }
    };
    stop.run_until_cancelled(work).await;
}

/// Retires the weeks whose time is over, where a folder for their exports is set.
async fn retire(shared: &Shared) {
    let Some(Retirement { folder, age }) = &shared.settings.retirement else { return };
    match shared.journal.retire(shared.clock.now() - *age, folder).await {
        Ok(weeks) => metrics::counter!(names::WEEKS_RETIRED).increment(u64::from(weeks)),
        Err(error) => {
            metrics::counter!(names::RETIRING_FAILED).increment(1);
            tracing::warn!(
                error = kit::settings::error_chain(&error),
                "a week could not be retired; it is tried again"
            );
        }
    }
}

/// Tells readiness the state of the broker, until the end.
pub(crate) async fn report_broker(shared: Arc<Shared>, stop: CancellationToken) {
    stop.run_until_cancelled(report(shared.broker.state(), &shared.readiness, BROKER_AWAY_MAX)).await;
}

/// A broker that is away for a moment is not missed: what is committed meanwhile is published when it is back, and how much that may be
/// is admission's to say. One that is blocked is missed at once, because further work is what it lacks least.
async fn report(mut state: watch::Receiver<BrokerState>, readiness: &Readiness, away_max: Duration) {
    loop {
        let known = *state.borrow_and_update();
        if known == BrokerState::Away {
            let back = state.wait_for(|state| *state != BrokerState::Away);
            match tokio::time::timeout(away_max, back).await {
                Ok(Ok(_)) => continue,
                Ok(Err(_)) => return,
                Err(_) => {}
            }
        }
        readiness.set(names::NEED_BROKER, known.ready());
        if state.changed().await.is_err() {
            return;
        }
    }
}

/// Asks a journal that failed until it answers again. The task that met the failure calls it.
pub(crate) async fn await_journal(shared: &Shared, stop: &CancellationToken) {
    while let Err(error) = shared.journal.ping().await {
        let detail = "the journal's database does not answer".to_owned();
        tracing::debug!(error = kit::settings::error_chain(&error), detail);
        shared.readiness.set(names::NEED_JOURNAL, Err(detail));
        if stop.run_until_cancelled(tokio::time::sleep(PING_AGAIN)).await.is_none() {
            return;
        }
    }
    shared.readiness.set(names::NEED_JOURNAL, Ok(()));
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn a_broker_is_missed_when_it_is_away_for_long_or_blocked_at_all() {
        let (broker, state) = watch::channel(BrokerState::Connected);
        let readiness = Readiness::new();
        let is_missed = || readiness.missing().contains_key(names::NEED_BROKER);
        let mut for_long = pin!(report(state, &readiness, Duration::from_secs(3_600)));
        for (state, missed) in [
            (BrokerState::Away, false),
            (BrokerState::Connected, false),
            (BrokerState::Blocked, true),
            (BrokerState::Away, true),
            (BrokerState::Connected, false),
            (BrokerState::Away, false),
        ] {
            broker.send_replace(state);
            assert!(futures::poll!(for_long.as_mut()).is_pending());
            assert_eq!(is_missed(), missed, "{state:?}");
        }
        let missed = async {
            while !is_missed() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = report(broker.subscribe(), &readiness, Duration::from_millis(1)) => {}
            () = missed => {}
        }
        broker.send_replace(BrokerState::Connected);
        assert!(futures::poll!(for_long.as_mut()).is_pending());
        assert!(!is_missed());
    }
}

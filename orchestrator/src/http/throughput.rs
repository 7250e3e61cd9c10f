//! `GET /api/throughput`: the sagas that ended, interval by interval, and how long they took.

use axum::extract::State;
use chrono::{DateTime, TimeDelta, Utc};
use contract::orchestrator_api::{THROUGHPUT_MINUTES_MAX, THROUGHPUT_SAGAS_MAX, Throughput, ThroughputPoint};
use journal::{Ended, EndedAsked};
use kit::http::{ApiError, Json, Query};
use serde::Deserialize;

use super::{Api, problems};

/// The time that is told unless said otherwise.
const MINUTES_DEFAULT: u32 = 60;

const SECONDS_PER_MINUTE: u32 = 60;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// The time that is told, up to now.
    minutes: Option<u32>,
    /// The length of an interval.
    step_minutes: Option<u32>,
}

/// The intervals, those without any ended saga too.
pub(super) async fn show(State(api): State<Api>, Query(asked): Query<Asked>) -> Result<Json<Throughput>, ApiError> {
    let minutes = within("minutes", asked.minutes.unwrap_or(MINUTES_DEFAULT))?;
    let step = within("step_minutes", asked.step_minutes.unwrap_or(1))?;
    let asked = intervals(api.shared.clock.now(), minutes, step);
    let ended = api.shared.journal.ended(&asked).await.map_err(|error| problems::journal(&error))?;
    Ok(Json(told(asked, &ended)))
}

fn within(name: &str, minutes: u32) -> Result<u32, ApiError> {
    if (1..=THROUGHPUT_MINUTES_MAX).contains(&minutes) {
        return Ok(minutes);
    }
    let detail = format!("`{name}` is {minutes}; 1 to {THROUGHPUT_MINUTES_MAX} are taken");
    Err(ApiError::bad_request("query_invalid", detail))
}

/// Intervals that lie on the clock, so that two looks cut time alike; the last one holds the present.
fn intervals(now: DateTime<Utc>, minutes: u32, step: u32) -> EndedAsked {
    let (intervals, interval_seconds) = (minutes.div_ceil(step), step * SECONDS_PER_MINUTE);
    let length = i64::from(interval_seconds);
    let last = now.timestamp().div_euclid(length) * length;
    let last = DateTime::from_timestamp(last, 0).unwrap_or(now);
    let from = last - TimeDelta::seconds(i64::from(intervals - 1) * length);
    EndedAsked { from, intervals, interval_seconds, limit: THROUGHPUT_SAGAS_MAX }
}

fn told(asked: EndedAsked, ended: &[Ended]) -> Throughput {
    let begin =
        |interval: u32| asked.from + TimeDelta::seconds(i64::from(interval) * i64::from(asked.interval_seconds));
    let sagas: u64 = ended.iter().map(|ended| ended.completed + ended.compensated + ended.abandoned).sum();
    // The oldest interval that was reached is not whole.
    let cut = ended.first().filter(|_| sagas >= u64::from(asked.limit)).map(|first| first.interval + 1);
    let counted_from = cut.unwrap_or(0);
    let point = |interval: u32| {
        let ended = ended.iter().find(|ended| ended.interval == interval && interval >= counted_from);
        ThroughputPoint {
            at: begin(interval),
            completed: ended.map_or(0, |ended| ended.completed),
            compensated: ended.map_or(0, |ended| ended.compensated),
            abandoned: ended.map_or(0, |ended| ended.abandoned),
            durations: ended.map(|ended| ended.durations),
        }
    };
    Throughput {
        step_seconds: asked.interval_seconds,
        points: (0..asked.intervals).map(point).collect(),
        counted_from: cut.map(begin),
    }
}

#[cfg(test)]
mod tests {
    use contract::orchestrator_api::Durations;

    use super::*;

    #[test]
    fn intervals_lie_on_the_clock_and_what_is_not_counted_whole_is_left_out() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(3_601);
        let asked = intervals(now, 60, 15);
        assert_eq!((asked.from.timestamp(), asked.intervals, asked.interval_seconds), (900, 4, 900));
        let durations = Durations { p50_ms: 1, p95_ms: 2, p99_ms: 3 };
        let ended = |interval| Ended { interval, completed: 2, compensated: 1, abandoned: 0, durations };
        let whole = told(asked, &[ended(1), ended(3)]);
        let sagas: Vec<_> = whole.points.iter().map(|point| (point.completed, point.durations.is_some())).collect();
        assert_eq!(sagas, [(0, false), (2, true), (0, false), (2, true)]);
        assert_eq!((whole.points[3].at.timestamp(), whole.counted_from), (3_600, None));
        let cut = told(EndedAsked { limit: 6, ..asked }, &[ended(1), ended(3)]);
        assert_eq!(cut.points[1].durations, None);
        assert_eq!(cut.counted_from.map(|from| from.timestamp()), Some(2_700));
    }
}

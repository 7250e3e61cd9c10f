//! `GET /api/errors`: failures grouped by definition, step and code, and counted over time.

use axum::extract::State;
use chrono::{DateTime, Utc};
use contract::{
    Page, PageToken, StepName,
    orchestrator_api::{ERROR_OF_SAGA, ErrorGroup as View},
    page::page_size,
};
use journal::{ErrorGroup, ErrorGroupKey, ErrorGroupsAsked, FAILURES_COUNTED_MAX};
use kit::http::{ApiError, Json, Query, page_token};
use serde::Deserialize;

use super::{Api, problems};

/// The hours of the clock that are told one by one.
const HOURS: usize = 24;
/// The days that are told one by one.
const DAYS: usize = 30;

const HOURS_PER_DAY: i64 = 24;
const SECONDS_PER_HOUR: i64 = 3_600;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Only failures of this definition.
    name: Option<String>,
    page_size: Option<u32>,
    page_token: Option<PageToken>,
}

/// The groups, by definition and error.
pub(super) async fn list(State(api): State<Api>, Query(asked): Query<Asked>) -> Result<Json<Page<View>>, ApiError> {
    let name = asked.name.filter(|name| !name.is_empty());
    let listing = format!("errors of {name:?}");
    let after: Option<(String, String)> =
        asked.page_token.map(|token| page_token::read(&token, &listing)).transpose()?;
    let after = after.map(|(name, error)| ErrorGroupKey { name, error });
    let size = page_size(asked.page_size);
    let hour = api.shared.clock.now().timestamp().div_euclid(SECONDS_PER_HOUR);
    let asked = ErrorGroupsAsked { name, after, since: begin_of(first_hour(hour)), limit: size + 1 };
    let groups = api.shared.journal.error_groups(&asked).await.map_err(|error| problems::journal(&error))?;
    let page = Page::cut(groups, size as usize, |last: &ErrorGroup| {
        page_token::write(&listing, &(&last.key.name, &last.key.error))
    });
    Ok(Json(page.map(|group| view(group, hour))))
}

/// The first hour that is counted: the begin of the first day that is told.
fn first_hour(hour: i64) -> i64 {
    (hour.div_euclid(HOURS_PER_DAY) + 1 - i64::try_from(DAYS).unwrap_or(i64::MAX)) * HOURS_PER_DAY
}

fn begin_of(hour: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(hour * SECONDS_PER_HOUR, 0).unwrap_or(DateTime::UNIX_EPOCH)
}

/// A group as it is told in the hour `now`, counted since 1970.
fn view(group: ErrorGroup, now: i64) -> View {
    let ErrorGroup { key: ErrorGroupKey { name, error }, first_at, last_at, needing_attention, hours: counts } = group;
    let (mut hours, mut days, mut count) = (vec![0; HOURS], vec![0; DAYS], 0);
    let today = now.div_euclid(HOURS_PER_DAY);
    for (hour, failed) in counts {
        count += failed;
        add(&mut hours, now - hour, failed);
        add(&mut days, today - hour.div_euclid(HOURS_PER_DAY), failed);
    }
    let (step, code) = error.split_once('/').unwrap_or(("", &error));
    let (step, code) = (step.parse::<StepName>().ok().filter(|step| step.as_str() != ERROR_OF_SAGA), code.to_owned());
    let count_is_cut = count >= FAILURES_COUNTED_MAX;
    View { name, error, step, code, first_at, last_at, needing_attention, count, count_is_cut, hours, days }
}

/// Adds to the place that lies so far back from the last one. A clock that is ahead counts for the present.
fn add(counts: &mut [u64], back: i64, failed: u64) {
    let back = usize::try_from(back.max(0)).unwrap_or(usize::MAX);
    if let Some(place) = counts.iter_mut().rev().nth(back) {
        *place += failed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_by_the_hour_and_by_the_day() {
        // 1970-01-31, 05:00.
        let now = 30 * HOURS_PER_DAY + 5;
        assert_eq!(first_hour(now), HOURS_PER_DAY);
        let key = ErrorGroupKey { name: "order".to_owned(), error: "hold-rooms/room_sold_out".to_owned() };
        let hours = vec![(first_hour(now), 1), (now - 24, 2), (now - 23, 3), (now - 5, 4), (now, 5), (now + 1, 6)];
        let at = begin_of(now);
        let told = view(ErrorGroup { key, first_at: at, last_at: at, needing_attention: 7, hours }, now);
        assert_eq!((told.count, told.count_is_cut, told.needing_attention), (21, false, 7));
        assert_eq!((told.hours[0], told.hours[18], told.hours[23]), (3, 4, 11));
        assert_eq!((told.days[0], told.days[28], told.days[29]), (1, 5, 15));
        assert_eq!((told.step.unwrap().as_str(), told.code.as_str()), ("hold-rooms", "room_sold_out"));
    }
}

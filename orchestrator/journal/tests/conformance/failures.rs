//! Groups of failures, one for each definition and error, counted by the hour; ended sagas, counted by the interval.

use chrono::{DateTime, TimeDelta, Utc};
use contract::{orchestrator_api::Durations, saga::SagaStatus};
use journal::{Append, Change, Ended, EndedAsked, ErrorGroup, ErrorGroupKey, ErrorGroupsAsked, Family, Record, Sleep};

use crate::{adapters::Storage, fixtures::*};

fn begin() -> DateTime<Utc> {
    "2026-12-01T10:00:00Z".parse().unwrap()
}

fn asked(limit: u32) -> ErrorGroupsAsked {
    ErrorGroupsAsked { name: None, after: None, since: begin(), limit }
}

fn key(name: &str, error: &str) -> ErrorGroupKey {
    ErrorGroupKey { name: name.to_owned(), error: error.to_owned() }
}

/// A change of status at a time.
fn at(append: Append, at: DateTime<Utc>) -> Append {
    Append { record: Record { at, ..append.record }, ..append }
}

pub(crate) async fn failures_are_grouped_and_counted_by_the_hour_in_which_they_failed(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(0).await.unwrap();
    let ids: Vec<_> = (0..6).map(|_| saga_on(0)).collect();
    commit(&mut *lane, ids.iter().map(|id| start(row(*id), None)).collect()).await;
    assert_eq!(journal.error_groups(&asked(10)).await.unwrap(), []);
    let minutes = TimeDelta::minutes;
    let sold_out = Some("hold-rooms/room_sold_out");
    let fails = |place: usize, seq: u64, status, error, after| {
        at(status_on(ids[place], seq, status, error), begin() + minutes(after))
    };
    commit(
        &mut *lane,
        vec![
            // Before the time from which failures are counted.
            fails(0, 2, SagaStatus::Compensating, sold_out, -5),
            fails(1, 2, SagaStatus::Compensating, sold_out, 5),
            fails(2, 2, SagaStatus::NeedsAttention, sold_out, 50),
            fails(3, 2, SagaStatus::Compensating, sold_out, 65),
            fails(4, 2, SagaStatus::NeedsAttention, Some("authorize/reply_missing"), 70),
            fails(5, 2, SagaStatus::NeedsAttention, sold_out, 75),
        ],
    )
    .await;
    // What follows moves none of them in time, and one that is well again has not failed.
    commit(
        &mut *lane,
        vec![
            fails(1, 3, SagaStatus::Compensated, sold_out, 500),
            fails(4, 3, SagaStatus::NeedsAttention, Some("confirm/row_broken"), 130),
            fails(5, 3, SagaStatus::Running, None, 140),
        ],
    )
    .await;
    let hour = begin().timestamp() / 3_600;
    let groups = [
        ErrorGroup {
            key: key("order", "confirm/row_broken"),
            first_at: begin() + minutes(130),
            last_at: begin() + minutes(130),
            needing_attention: 1,
            hours: vec![(hour + 2, 1)],
        },
        ErrorGroup {
            key: key("order", "hold-rooms/room_sold_out"),
            first_at: begin() - minutes(5),
            last_at: begin() + minutes(65),
            needing_attention: 1,
            hours: vec![(hour, 2), (hour + 1, 1)],
        },
    ];
    assert_eq!(journal.error_groups(&asked(10)).await.unwrap(), groups);
}

pub(crate) async fn groups_are_read_page_by_page(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(0).await.unwrap();
    let mut expected = Vec::new();
    let mut starts = Vec::new();
    for (name, error) in [("booking", "a/x"), ("order", "a/x"), ("order", "b/x"), ("order", "b/y")] {
        for _ in 0..2 {
            let mut row = row(saga_on(0));
            (row.name, row.error) = (name.to_owned(), Some(error.to_owned()));
            let change = Change::Started { row: Box::new(row.clone()), key: None };
            starts.push(Append {
                saga_id: row.id,
                record: record(1),
                holds_until: None,
                change,
                sleep: Sleep::Unchanged,
                family: Family::default(),
            });
        }
        expected.push(key(name, error));
    }
    commit(&mut *lane, starts).await;
    let keys = async |asked: ErrorGroupsAsked| {
        let groups = journal.error_groups(&asked).await.unwrap();
        groups.into_iter().map(|group| group.key).collect::<Vec<_>>()
    };
    let mut paged = Vec::new();
    while let Some(last) = keys(ErrorGroupsAsked { after: paged.last().cloned(), ..asked(3) }).await.into_iter().next()
    {
        paged.push(last);
    }
    assert_eq!(paged, expected);
    assert_eq!(keys(asked(3)).await, expected[..3]);
    let orders = ErrorGroupsAsked { name: Some("order".to_owned()), ..asked(10) };
    assert_eq!(keys(orders.clone()).await, expected[1..]);
    assert_eq!(keys(ErrorGroupsAsked { after: Some(key("order", "a/x")), ..orders }).await, expected[2..]);
    for nothing in [ErrorGroupsAsked { name: Some("a\0".to_owned()), ..asked(10) }, asked(0)] {
        assert_eq!(keys(nothing).await, []);
    }
}

pub(crate) async fn sagas_that_ended_are_counted_by_the_interval_with_how_long_they_took(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(0).await.unwrap();
    let ids: Vec<_> = (0..7).map(|_| saga_on(0)).collect();
    let started = ids.iter().map(|id| {
        let mut row = row(*id);
        (row.created_at, row.updated_at) = (begin(), begin());
        start(row, None)
    });
    commit(&mut *lane, started.collect()).await;
    let ends = |place: usize, status, seconds: i64| {
        at(status_on(ids[place], 2, status, None), begin() + TimeDelta::seconds(seconds))
    };
    let ended = vec![
        // Before the first interval, and behind the last one.
        ends(0, SagaStatus::Completed, 59),
        ends(1, SagaStatus::Completed, 240),
        ends(2, SagaStatus::Completed, 60),
        ends(3, SagaStatus::Compensated, 70),
        ends(4, SagaStatus::Abandoned, 119),
        ends(5, SagaStatus::Completed, 200),
        // Not at its end.
        ends(6, SagaStatus::Compensating, 100),
    ];
    commit(&mut *lane, ended).await;
    let asked = EndedAsked { from: begin() + TimeDelta::minutes(1), intervals: 3, interval_seconds: 60, limit: 100 };
    let durations = |p50: u64, p99: u64| Durations { p50_ms: p50 * 1_000, p95_ms: p99 * 1_000, p99_ms: p99 * 1_000 };
    let first = Ended { interval: 0, completed: 1, compensated: 1, abandoned: 1, durations: durations(70, 119) };
    let last = Ended { interval: 2, completed: 1, compensated: 0, abandoned: 0, durations: durations(200, 200) };
    assert_eq!(journal.ended(&asked).await.unwrap(), [first, last]);
    let newest = Ended { interval: 0, completed: 0, compensated: 0, abandoned: 1, durations: durations(119, 119) };
    assert_eq!(journal.ended(&EndedAsked { limit: 2, ..asked }).await.unwrap(), [newest, last]);
}

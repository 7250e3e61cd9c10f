//! Lists: every filter alone and together, newest first, page by page.

use chrono::{DateTime, TimeDelta, Utc};
use contract::{SagaId, saga::SagaStatus};
use journal::{Append, Change, Filter, Journal, LaneJournal, Listing, Order, Place, SagaRow, Sleep};
use uuid::Uuid;

use crate::{adapters::SHARDS, adapters::Storage, fixtures::*};

/// An id of that time: 48 bits of milliseconds, then what tells ids of one moment apart.
fn id_at(at: DateTime<Utc>, low: u128) -> SagaId {
    let ms = u128::try_from(at.timestamp_millis()).unwrap();
    SagaId::from_uuid(Uuid::from_u128(ms << 80 | 0x7 << 76 | low)).placed_on(0, SHARDS)
}

/// A saga a day, through several weeks and beyond the prepared ones, with some of everything.
async fn many(lane: &mut dyn LaneJournal) -> Vec<SagaRow> {
    let first = now() - TimeDelta::days(30);
    let rows: Vec<_> = (0..60)
        .map(|day| {
            let at = first + TimeDelta::days(day);
            let mut row = row(id_at(at, 1 << 20));
            row.status = SagaStatus::ALL[usize::try_from(day % 6).unwrap()];
            row.name = ["order", "booking"][usize::try_from(day % 2).unwrap()].to_owned();
            row.owner = (day % 3 > 0).then(|| format!("usr_{}", day % 3));
            row.error = (day % 5 == 0).then(|| "hold-rooms:sold_out".to_owned());
            row.business_key = format!("ord_{}", day / 2);
            row.paused = day % 7 == 0;
            (row.created_at, row.updated_at) = (at, at);
            row
        })
        .collect();
    commit(lane, rows.iter().map(|row| start(row.clone(), None)).collect()).await;
    rows
}

async fn check(journal: &dyn Journal, rows: &[SagaRow], filter: Filter, keep: impl Fn(&SagaRow) -> bool) {
    let expected: Vec<_> = rows.iter().rev().filter(|row| keep(row)).cloned().collect();
    assert!(!expected.is_empty(), "{filter:?} must be asked for something");
    assert_eq!(journal.list(&filter, 100).await.unwrap(), Listing { rows: expected.clone(), next: None }, "{filter:?}");
    let next = (expected.len() > 1).then_some(Place { id: expected[0].id, holds_until: expected[0].holds_until });
    assert_eq!(journal.list(&filter, 1).await.unwrap(), Listing { rows: expected[..1].to_vec(), next }, "{filter:?}");
}

pub(crate) async fn each_filter_finds_its_sagas_newest_first(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(0).await.unwrap();
    let rows = many(&mut *lane).await;
    let journal = &*journal;
    let text = |text: &str| Some(text.to_owned());

    check(journal, &rows, Filter::default(), |_| true).await;
    for status in SagaStatus::ALL {
        let filter = Filter { statuses: vec![status], ..Filter::default() };
        check(journal, &rows, filter, |row| row.status == status).await;
    }
    let open = vec![SagaStatus::Running, SagaStatus::NeedsAttention, SagaStatus::Compensating, SagaStatus::Running];
    let filter = Filter { statuses: open.clone(), ..Filter::default() };
    check(journal, &rows, filter, |row| !row.status.is_final()).await;
    let filter = Filter { statuses: SagaStatus::ALL.to_vec(), ..Filter::default() };
    check(journal, &rows, filter, |_| true).await;
    let filter = Filter { name: text("booking"), ..Filter::default() };
    check(journal, &rows, filter, |row| row.name == "booking").await;
    let filter = Filter { business_key: text("ord_7"), ..Filter::default() };
    check(journal, &rows, filter, |row| row.business_key == "ord_7").await;
    let filter = Filter { owner: text("usr_2"), ..Filter::default() };
    check(journal, &rows, filter, |row| row.owner.as_deref() == Some("usr_2")).await;
    let filter = Filter { error: text("hold-rooms:sold_out"), ..Filter::default() };
    check(journal, &rows, filter, |row| row.error.is_some()).await;
    let filter = Filter { paused: true, ..Filter::default() };
    check(journal, &rows, filter, |row| row.paused).await;
    let (from, to) = (rows[10].created_at, rows[20].created_at);
    let filter = Filter { created_after: Some(from), created_before: Some(to), ..Filter::default() };
    check(journal, &rows, filter, |row| row.created_at >= from && row.created_at < to).await;
    let filter = Filter {
        statuses: open,
        name: text("order"),
        owner: text("usr_1"),
        created_after: Some(from),
        before: Some(rows[40].id),
        ..Filter::default()
    };
    check(journal, &rows, filter, |row| {
        !row.status.is_final()
            && row.name == "order"
            && row.owner.as_deref() == Some("usr_1")
            && row.created_at >= from
            && row.id < rows[40].id
    })
    .await;

    for nothing in ["usr_9", "", "a\0b"] {
        let filter = Filter { owner: text(nothing), ..Filter::default() };
        assert_eq!(journal.list(&filter, 100).await.unwrap().rows, []);
    }
    for (after, before) in [(DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MAX_UTC), (from, DateTime::<Utc>::MIN_UTC)] {
        let filter = Filter { created_after: Some(after), created_before: Some(before), ..Filter::default() };
        assert_eq!(journal.list(&filter, 100).await.unwrap().rows, []);
    }
}

pub(crate) async fn pages_follow_each_other_without_gaps(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(0).await.unwrap();
    let rows = many(&mut *lane).await;
    let mut filter = Filter { statuses: vec![SagaStatus::Running, SagaStatus::Completed], ..Filter::default() };
    let mut paged = Vec::new();
    loop {
        let part = journal.list(&filter, 7).await.unwrap();
        paged.extend(part.rows);
        filter.before = part.next.map(|place| place.id);
        if part.next.is_none() {
            break;
        }
    }
    let expected: Vec<_> = rows.into_iter().rev().filter(|row| filter.statuses.contains(&row.status)).collect();
    assert_eq!(paged, expected);
}

pub(crate) async fn what_lapses_first_is_listed_first_and_the_row_follows_the_hold(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(0).await.unwrap();
    let first = now();
    let until = |minutes| Some(first + TimeDelta::minutes(minutes));
    let minutes = [30, 10, 20, 10];
    let rows: Vec<_> = (0..)
        .zip(minutes)
        .map(|(low, minutes)| SagaRow { holds_until: until(minutes), ..row(id_at(first, low << 20)) })
        .collect();
    let free = row(id_at(first, 9 << 20));
    commit(&mut *lane, rows.iter().chain([&free]).map(|row| start(row.clone(), None)).collect()).await;

    let mut filter = Filter { order: Order::HoldsUntil, ..Filter::default() };
    let mut paged = Vec::new();
    loop {
        let part = journal.list(&filter, 1).await.unwrap();
        paged.extend(part.rows.into_iter().map(|row| row.id));
        let Some(Place { id, holds_until }) = part.next else { break };
        filter.behind = holds_until.map(|until| (until, id));
    }
    assert_eq!(paged, [rows[1].id, rows[3].id, rows[2].id, rows[0].id]);
    let soon = Filter { holds_before: until(20), ..Filter::default() };
    let soon: Vec<_> = journal.list(&soon, 9).await.unwrap().rows.into_iter().map(|row| row.id).collect();
    assert_eq!(soon, [rows[3].id, rows[1].id]);

    // The hold is extended, which is no change of status, and then given back.
    let (id, status) = (rows[1].id, rows[1].status);
    for (seq, holds_until) in [(2, until(40)), (3, None)] {
        let change = Change::Row { status, error: None, holds_until, taken_over_by: None, paused: false };
        commit(&mut *lane, vec![Append { saga_id: id, record: record(seq), change, sleep: Sleep::Unchanged }]).await;
        let found = journal.get(id).await.unwrap().unwrap().row;
        assert_eq!((found.holds_until, found.updated_at), (holds_until, rows[1].updated_at));
    }
}

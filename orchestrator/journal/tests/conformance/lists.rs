//! Lists: every filter alone and together, newest first, page by page.

use chrono::{DateTime, TimeDelta, Utc};
use contract::{SagaId, orchestrator_api::SagaGroup, saga::SagaStatus};
use journal::{Append, Filter, Journal, LaneJournal, Listed, Listing, Order, Place, Quarantined, SagaRow};
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
            row.error = (day % 5 == 0).then(|| "hold-rooms/sold_out".to_owned());
            row.business_key = format!("ord_{}", day / 2);
            row.paused = day % 7 == 0;
            let part = ["first", "second"][usize::try_from(day / 30).unwrap()];
            let place = [None, Some("rome"), Some("oslo")][usize::try_from(day % 3).unwrap()];
            let place = place.map(|place| format!("place:{place},part:{part}")).unwrap_or_default();
            row.attributes = place.parse().unwrap();
            row.version = 3 + u32::try_from(day % 3).unwrap();
            // Two end at one time, and later sagas end before earlier ones.
            row.finished_at = row.status.is_final().then(|| first + TimeDelta::days(100 - day / 2));
            (row.created_at, row.updated_at) = (at, at);
            row
        })
        .collect();
    commit(lane, rows.iter().map(|row| start(row.clone(), None)).collect()).await;
    rows
}

async fn check(journal: &dyn Journal, rows: &[SagaRow], filter: Filter, keep: impl Fn(&SagaRow) -> bool) {
    let listed = |row: &SagaRow| Listed { row: row.clone(), holds_until: None };
    let expected: Vec<_> = rows.iter().rev().filter(|row| keep(row)).map(listed).collect();
    assert!(!expected.is_empty(), "{filter:?} must be asked for something");
    assert_eq!(
        journal.list(&filter, 100).await.unwrap(),
        Listing { sagas: expected.clone(), next: None },
        "{filter:?}"
    );
    let next = (expected.len() > 1).then(|| Place {
        id: expected[0].row.id,
        holds_until: None,
        finished_at: expected[0].row.finished_at,
    });
    assert_eq!(journal.list(&filter, 1).await.unwrap(), Listing { sagas: expected[..1].to_vec(), next }, "{filter:?}");
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
    let filter = Filter { error: text("hold-rooms/sold_out"), ..Filter::default() };
    check(journal, &rows, filter, |row| row.error.is_some()).await;
    let filter = Filter { name: text("booking"), version: Some(4), ..Filter::default() };
    check(journal, &rows, filter, |row| row.name == "booking" && row.version == 4).await;
    let filter = Filter { name: text("booking"), statuses: open.clone(), ..Filter::default() };
    check(journal, &rows, filter, |row| row.name == "booking" && !row.status.is_final()).await;
    let filter = Filter { step: "hold-rooms".parse().ok(), version: Some(3), ..Filter::default() };
    check(journal, &rows, filter, |row| row.error.is_some() && row.version == 3).await;
    for (step, version) in [("hold", 3), ("hold-rooms", 2)] {
        let filter = Filter { step: step.parse().ok(), version: Some(version), ..Filter::default() };
        assert_eq!(journal.list(&filter, 100).await.unwrap().sagas, []);
    }
    let filter = Filter { ids: vec![rows[7].id, rows[3].id, rows[7].id], ..Filter::default() };
    check(journal, &rows, filter, |row| row.id == rows[3].id || row.id == rows[7].id).await;
    let filter = Filter { paused: true, ..Filter::default() };
    check(journal, &rows, filter, |row| row.paused).await;
    let in_rome = |row: &SagaRow| row.attributes.get("place") == Some("rome");
    let attributes = |text: &str| text.parse().unwrap();
    let filter = Filter { attributes: attributes("place:rome"), ..Filter::default() };
    check(journal, &rows, filter, in_rome).await;
    let filter = Filter { attributes: attributes("place:rome,part:second"), ..Filter::default() };
    check(journal, &rows, filter, |row| in_rome(row) && row.attributes.get("part") == Some("second")).await;
    let filter = Filter {
        attributes: attributes("place:rome"),
        name: text("booking"),
        statuses: open.clone(),
        before: Some(rows[50].id),
        ..Filter::default()
    };
    check(journal, &rows, filter, |row| {
        in_rome(row) && row.name == "booking" && !row.status.is_final() && row.id < rows[50].id
    })
    .await;
    for nowhere in ["place:paris", "part:rome", "place:rome,part:third"] {
        let filter = Filter { attributes: attributes(nowhere), ..Filter::default() };
        assert_eq!(journal.list(&filter, 100).await.unwrap().sagas, [], "{nowhere}");
    }
    let ended = rows.iter().filter_map(|row| row.finished_at);
    let (from, to) = (ended.clone().min().unwrap() + TimeDelta::days(5), ended.max().unwrap() - TimeDelta::days(5));
    let filter = Filter { finished_after: Some(from), finished_before: Some(to), ..Filter::default() };
    check(journal, &rows, filter, |row| row.finished_at.is_some_and(|at| at >= from && at < to)).await;
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
        assert_eq!(journal.list(&filter, 100).await.unwrap().sagas, []);
    }
    for (after, before) in [(DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MAX_UTC), (from, DateTime::<Utc>::MIN_UTC)] {
        let filter = Filter { created_after: Some(after), created_before: Some(before), ..Filter::default() };
        assert_eq!(journal.list(&filter, 100).await.unwrap().sagas, []);
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
        paged.extend(part.sagas.into_iter().map(|saga| saga.row));
        filter.before = part.next.map(|place| place.id);
        if part.next.is_none() {
            break;
        }
    }
    let mut expected: Vec<_> = rows.into_iter().rev().filter(|row| filter.statuses.contains(&row.status)).collect();
    assert_eq!(paged, expected);

    filter = Filter { order: Order::Oldest, before: None, ..filter };
    paged_by_attribute(&*journal, &expected).await;
    let mut paged = Vec::new();
    loop {
        let part = journal.list(&filter, 7).await.unwrap();
        paged.extend(part.sagas.into_iter().map(|saga| saga.row));
        filter.after = part.next.map(|place| place.id);
        if part.next.is_none() {
            break;
        }
    }
    expected.reverse();
    assert_eq!(paged, expected);
}

/// A list by an attribute has its pages in both orders too.
async fn paged_by_attribute(journal: &dyn Journal, newest_first: &[SagaRow]) {
    let statuses = vec![SagaStatus::Running, SagaStatus::Completed];
    let of_rome = newest_first.iter().filter(|row| row.attributes.get("place") == Some("rome"));
    let mut expected: Vec<_> = of_rome.map(|row| row.id).collect();
    for order in [Order::Newest, Order::Oldest] {
        let attributes = "place:rome".parse().unwrap();
        let mut filter = Filter { attributes, statuses: statuses.clone(), order, ..Filter::default() };
        let mut paged = Vec::new();
        loop {
            let part = journal.list(&filter, 2).await.unwrap();
            paged.extend(part.sagas.into_iter().map(|saga| saga.row.id));
            let Some(Place { id, .. }) = part.next else { break };
            match order {
                Order::Oldest => filter.after = Some(id),
                _ => filter.before = Some(id),
            }
        }
        assert_eq!(paged, expected, "{order:?}");
        expected.reverse();
    }
}

pub(crate) async fn what_ended_last_is_listed_first_page_by_page(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(0).await.unwrap();
    let rows = many(&mut *lane).await;
    let mut expected: Vec<_> = rows.iter().filter_map(|row| Some((row.finished_at?, row.id))).collect();
    expected.sort_unstable_by(|one, other| other.cmp(one));
    let mut filter = Filter { order: Order::Ended, ..Filter::default() };
    let mut paged = Vec::new();
    loop {
        let part = journal.list(&filter, 3).await.unwrap();
        paged.extend(part.sagas.into_iter().filter_map(|saga| Some((saga.row.finished_at?, saga.row.id))));
        let Some(Place { id, finished_at, .. }) = part.next else { break };
        filter.behind = finished_at.map(|at| (at, id));
    }
    assert_eq!(paged, expected);

    let (from, name) = (Some(expected[9].0), Some("booking".to_owned()));
    filter = Filter {
        finished_after: from,
        attributes: "place:oslo".parse().unwrap(),
        statuses: vec![SagaStatus::Completed, SagaStatus::Abandoned],
        name,
        behind: None,
        ..filter
    };
    let few = rows.iter().filter(|row| filter.statuses.contains(&row.status) && row.name == "booking");
    let few = few.filter(|row| row.attributes.get("place") == Some("oslo"));
    let few = few.filter(|row| row.finished_at >= from).map(|row| row.id).collect::<Vec<_>>();
    let listed = journal.list(&filter, 100).await.unwrap().sagas.into_iter().map(|saga| saga.row.id);
    let listed: Vec<_> = listed.collect();
    assert_eq!(listed, expected.iter().map(|(_, id)| *id).filter(|id| few.contains(id)).collect::<Vec<_>>());
    assert!(!listed.is_empty());
}

pub(crate) async fn what_lapses_first_is_listed_first_as_the_last_record_says(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(0).await.unwrap();
    let first = now();
    let until = |minutes| Some(first + TimeDelta::minutes(minutes));
    let minutes = [Some(30), Some(10), Some(20), Some(10), None];
    let ids: Vec<_> = (0..5).map(|low| id_at(first, low << 20)).collect();
    let starts = ids.iter().zip(minutes);
    let starts = starts.map(|(id, minutes)| Append { holds_until: minutes.and_then(until), ..start(row(*id), None) });
    commit(&mut *lane, starts.collect()).await;

    let mut filter = Filter { order: Order::HoldsUntil, ..Filter::default() };
    let mut paged = Vec::new();
    loop {
        let part = journal.list(&filter, 1).await.unwrap();
        paged.extend(part.sagas.into_iter().map(|saga| saga.row.id));
        let Some(Place { id, holds_until, .. }) = part.next else { break };
        filter.behind = holds_until.map(|until| (until, id));
    }
    assert_eq!(paged, [ids[1], ids[3], ids[2], ids[0]]);
    let soon = Filter { holds_before: until(20), ..Filter::default() };
    let soon: Vec<_> = journal.list(&soon, 9).await.unwrap().sagas.into_iter().map(|saga| saga.row.id).collect();
    assert_eq!(soon, [ids[3], ids[1]]);
    let attributes: contract::Attributes = "place:rome".parse().unwrap();
    let alone = SagaRow { attributes: attributes.clone(), ..row(id_at(first, 9 << 20)) };
    commit(&mut *lane, vec![Append { holds_until: until(15), ..start(alone.clone(), None) }]).await;
    let soon = Filter { holds_before: until(20), attributes, ..Filter::default() };
    let soon: Vec<_> = journal.list(&soon, 9).await.unwrap().sagas.into_iter().map(|saga| saga.row.id).collect();
    assert_eq!(soon, [alone.id]);

    // The hold is extended, which changes nothing of the row, and then given back.
    let before = journal.get(ids[1]).await.unwrap().unwrap().row;
    for (seq, holds_until) in [(2, until(40)), (3, None)] {
        commit(&mut *lane, vec![Append { holds_until, ..step_on(ids[1], seq) }]).await;
        let listed = journal.list(&Filter::default(), 9).await.unwrap().sagas;
        let listed = listed.into_iter().find(|saga| saga.row.id == ids[1]);
        assert_eq!(listed, Some(Listed { row: before.clone(), holds_until }));
    }
}

pub(crate) async fn sagas_are_counted_as_they_are_listed(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(0).await.unwrap();
    let rows = many(&mut *lane).await;
    let last = rows.last().unwrap().created_at;
    let text = |text: &str| Some(text.to_owned());
    let filters = [
        Filter::default(),
        Filter { statuses: vec![SagaStatus::Running, SagaStatus::Completed], ..Filter::default() },
        Filter { name: text("booking"), owner: text("usr_1"), created_before: Some(last), ..Filter::default() },
        Filter { error: text("hold-rooms/sold_out"), paused: true, ..Filter::default() },
        Filter { ids: vec![rows[3].id], ..Filter::default() },
        Filter { attributes: "place:oslo,part:first".parse().unwrap(), name: text("order"), ..Filter::default() },
    ];
    for filter in filters {
        let listed = journal.list(&filter, 100).await.unwrap().sagas;
        assert!(!listed.is_empty(), "{filter:?} must be asked for something");
        let counts = journal.count(&filter, last).await.unwrap();
        assert_eq!(counts.sagas, listed.len() as u64, "{filter:?}");
        for SagaGroup { name, version, status, sagas } in &counts.groups {
            let of = |row: &SagaRow| row.name == *name && row.version == *version && row.status == *status;
            assert_eq!(*sagas, listed.iter().filter(|saga| of(&saga.row)).count() as u64, "{filter:?}");
        }
        let open: Vec<_> = listed.iter().map(|saga| &saga.row).filter(|row| !row.status.is_final()).collect();
        assert_eq!(counts.ages.iter().map(|age| age.sagas).sum::<u64>(), open.len() as u64, "{filter:?}");
        for (place, age) in counts.ages.iter().enumerate() {
            let next = counts.ages.get(place + 1).map_or(i64::MAX, |next| i64::from(next.from_seconds));
            let is = |row: &&&SagaRow| {
                let seconds = (last - row.created_at).num_seconds();
                seconds <= next && (place == 0 || seconds > i64::from(age.from_seconds))
            };
            assert_eq!(age.sagas, open.iter().filter(is).count() as u64, "{filter:?}: {age:?}");
        }
        let oldest = counts.oldest_open.map(|oldest| (oldest.id, oldest.created_at));
        assert_eq!(oldest, open.last().map(|row| (row.id, row.created_at)), "{filter:?}");
        assert_eq!((counts.quarantined, counts.earliest_hold), (0, None));
    }
    for nothing in
        [Filter { owner: text("a\0b"), ..Filter::default() }, Filter { name: text("x"), ..Filter::default() }]
    {
        let counts = journal.count(&nothing, last).await.unwrap();
        assert_eq!((counts.sagas, counts.groups, counts.oldest_open), (0, vec![], None));
    }

    let holding = id_at(last, 1 << 22);
    let until = last + TimeDelta::minutes(5);
    commit(&mut *lane, vec![Append { holds_until: Some(until), ..start(row(holding), None) }]).await;
    let alone = Quarantined { saga_id: holding, code: "x".to_owned(), detail: "x".to_owned(), since: last };
    lane.quarantine(&[alone]).await.unwrap();
    let counts = journal.count(&Filter::default(), last).await.unwrap();
    assert_eq!((counts.sagas, counts.quarantined), (61, 1));
    assert_eq!(counts.earliest_hold.map(|hold| (hold.id, hold.holds_until)), Some((holding, until)));
    let others = Filter { name: text("booking"), ..Filter::default() };
    assert_eq!(journal.count(&others, last).await.unwrap().quarantined, 0);
}

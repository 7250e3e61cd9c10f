//! Writing: the key arbitrates, the start key makes starts idempotent, and what is refused leaves no trace.

use std::{collections::HashSet, sync::Arc};

use contract::{SagaId, saga::SagaStatus};
use journal::{
    Append, Appended, Begun, Change, Door, ExistingStart, Family, Filter, Journal, LaneJournal, Record, SagaRow, Sleep,
    Stored, TakenOver,
};

use crate::{adapters::Storage, fixtures::*};

async fn stored(journal: &Arc<dyn Journal>, id: SagaId) -> Stored {
    journal.get(id).await.unwrap().expect("the saga is there")
}

pub(crate) async fn a_started_saga_reads_back_as_it_was_written(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(1).await.unwrap();
    let row = row(saga_on(1));
    let start = start(row.clone(), Some("key"));
    let record = start.record.clone();
    commit(&mut *lane, vec![start]).await;

    let expected = Stored { row: row.clone(), records: vec![record] };
    assert_eq!(stored(&journal, row.id).await, expected);
    let loaded = lane.load(&[row.id]).await.unwrap();
    assert_eq!(loaded.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [expected]);
    assert_eq!(journal.list(&Filter::default(), 10).await.unwrap().sagas[0].row, row);
    let found = journal.find_start("order", "key").await.unwrap().expect("the start is found");
    assert_eq!((found.saga_id, &found.business_key), (row.id, &row.business_key));
    assert_eq!(journal.find_start("order", "other").await.unwrap(), None);
    // A key that is claimed for one saga stays its, beside that of its start.
    let claims = [row.id, row.id, saga_on(1)].map(|saga_id| ExistingStart { saga_id, ..found.clone() });
    for claim in &claims {
        assert_eq!(journal.claim_key("signal a", "key", claim).await.unwrap(), claims[0]);
    }
    assert_eq!(journal.find_start("signal a", "key").await.unwrap(), Some(claims[0].clone()));
    assert_eq!(journal.get(saga_on(1)).await.unwrap(), None);
    journal.ping().await.unwrap();
}

pub(crate) async fn every_kind_of_entry_reads_back_equal(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(0).await.unwrap();
    let id = saga_on(0);
    let entries = every_entry();
    let mut append = start(row(id), None);
    append.record.entries = entries.clone();
    commit(&mut *lane, vec![append]).await;
    assert_eq!(stored(&journal, id).await.records[0].entries, entries);
    // Each of them alone, as the only entry of its record.
    for (entry, seq) in entries.into_iter().zip(2..) {
        let record = Record { seq, at: now(), entries: vec![entry.clone()] };
        commit(
            &mut *lane,
            vec![Append {
                saga_id: id,
                record,
                holds_until: None,
                change: Change::None,
                sleep: Sleep::Unchanged,
                family: Family::default(),
            }],
        )
        .await;
        assert_eq!(stored(&journal, id).await.records.last().unwrap().entries, [entry]);
    }
}

pub(crate) async fn each_change_of_status_shows_in_the_row(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(0).await.unwrap();
    let id = saga_on(0);
    commit(&mut *lane, vec![start(row(id), None)]).await;
    let changes = [
        (SagaStatus::NeedsAttention, Some("hold-rooms:timeout")),
        (SagaStatus::Running, None),
        (SagaStatus::Compensating, Some("hold-rooms:sold_out")),
        (SagaStatus::Compensated, Some("hold-rooms:sold_out")),
    ];
    for ((status, error), seq) in changes.into_iter().zip(2..) {
        let append = status_on(id, seq, status, error);
        let at = append.record.at;
        commit(&mut *lane, vec![append]).await;
        let row = stored(&journal, id).await.row;
        assert_eq!((row.status, row.error.as_deref(), row.updated_at), (status, error, at));
        assert_eq!(row.finished_at, status.is_final().then_some(at));
    }
    commit(&mut *lane, vec![step_on(id, 6)]).await;
    assert_eq!(stored(&journal, id).await.row.status, SagaStatus::Compensated, "a step leaves the row alone");
    assert_eq!(stored(&journal, id).await.records.len(), 6);
}

pub(crate) async fn a_version_that_takes_a_saga_over_shows_in_its_row(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(0).await.unwrap();
    let (taken, other) = (row(saga_on(0)), row(saga_on(0)));
    commit(&mut *lane, vec![start(taken.clone(), None), start(other.clone(), None)]).await;
    let taken_over_by = Some(TakenOver { version: 4, fingerprint: "fedcba9876543210fedcba9876543210".to_owned() });
    let change = Change::Row { status: taken.status, error: None, taken_over_by, paused: false };
    let append = Append { change, ..step_on(taken.id, 2) };
    commit(&mut *lane, vec![append, status_on(other.id, 2, SagaStatus::Compensating, None)]).await;
    let version = async |id| {
        let row = journal.get(id).await.unwrap().unwrap().row;
        (row.version, row.fingerprint)
    };
    assert_eq!(version(taken.id).await, (4, "fedcba9876543210fedcba9876543210".to_owned()));
    assert_eq!(version(other.id).await, (other.version, other.fingerprint));
}

pub(crate) async fn only_the_records_after_a_number_are_read(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(0).await.unwrap();
    let id = saga_on(0);
    commit(&mut *lane, vec![start(row(id), None)]).await;
    for seq in 2..=5 {
        commit(&mut *lane, vec![step_on(id, seq)]).await;
    }
    let whole = stored(&journal, id).await;
    for after in [0, 1, 3, 5, 6, u64::MAX] {
        for door in [Door::Reads, Door::Acts] {
            let read = journal.read(door, id, after).await.unwrap().expect("the saga is there");
            assert_eq!(read.row, whole.row);
            let wanted: Vec<_> = whole.records.iter().filter(|record| record.seq > after).cloned().collect();
            assert_eq!(read.records, wanted, "after {after}");
        }
    }
    assert_eq!(journal.read(Door::Reads, saga_on(0), 3).await.unwrap(), None);
}

pub(crate) async fn of_two_sessions_that_write_the_same_seq_exactly_one_commits(storage: &dyn Storage) {
    let (one, other) = (storage.process().await, storage.process().await);
    let (mut a, mut b) = (one.lane(0).await.unwrap(), other.lane(1).await.unwrap());
    let id = saga_on(0);
    commit(&mut *a, vec![start(row(id), None)]).await;
    for seq in 2..20 {
        let completes = status_on(id, seq, SagaStatus::NeedsAttention, Some("a"));
        let compensates = status_on(id, seq, SagaStatus::Compensating, Some("b"));
        let (first, second) = tokio::join!(a.append(vec![completes]), b.append(vec![compensates]));
        let (first, second) = (first.unwrap().remove(0), second.unwrap().remove(0));
        let row = stored(&one, id).await.row;
        match (first, second) {
            (Appended::Committed, Appended::SeqTaken) => assert_eq!(row.error.as_deref(), Some("a")),
            (Appended::SeqTaken, Appended::Committed) => assert_eq!(row.error.as_deref(), Some("b")),
            both => panic!("exactly one must be committed, not {both:?}"),
        }
        assert_eq!(stored(&one, id).await.records.len() as u64, seq);
    }
}

pub(crate) async fn an_append_with_a_taken_seq_leaves_no_trace(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(0).await.unwrap();
    let id = saga_on(0);
    commit(&mut *lane, vec![start(row(id), None)]).await;
    commit(&mut *lane, vec![step_on(id, 2)]).await;
    let before = stored(&journal, id).await;
    let late = lane.append(vec![status_on(id, 2, SagaStatus::Completed, None)]).await.unwrap();
    assert_eq!(late, [Appended::SeqTaken]);
    let again = lane.append(vec![start(row(id), Some("fresh key"))]).await.unwrap();
    assert_eq!(again, [Appended::SeqTaken]);
    assert_eq!(stored(&journal, id).await, before);
    assert_eq!(journal.find_start("order", "fresh key").await.unwrap(), None, "nor is its key taken");
}

pub(crate) async fn a_record_that_does_not_follow_is_refused(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(0).await.unwrap();
    let (id, unknown) = (saga_on(0), saga_on(0));
    commit(&mut *lane, vec![start(row(id), None)]).await;
    let batch = vec![status_on(id, 3, SagaStatus::Completed, None), step_on(unknown, 2)];
    assert_eq!(lane.append(batch).await.unwrap(), [Appended::SeqTaken, Appended::SeqTaken]);
    assert_eq!(stored(&journal, id).await.row.status, SagaStatus::Running);
    assert_eq!(stored(&journal, id).await.records.len(), 1);
    assert_eq!(journal.get(unknown).await.unwrap(), None);
}

pub(crate) async fn a_second_append_of_the_same_saga_in_a_batch_is_refused(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(0).await.unwrap();
    let id = saga_on(0);
    let answers = lane.append(vec![start(row(id), None), step_on(id, 2)]).await.unwrap();
    assert_eq!(answers, [Appended::Committed, Appended::SeqTaken]);
    assert_eq!(stored(&journal, id).await.records.len(), 1);
    assert_eq!(lane.append(Vec::new()).await.unwrap(), []);
}

pub(crate) async fn a_repeated_start_key_finds_the_first_start(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(0).await.unwrap();
    let (first, second) = (row(saga_on(0)), row(saga_on(0)));
    commit(&mut *lane, vec![start(first.clone(), Some("key"))]).await;
    let answer = lane.append(vec![start(second.clone(), Some("key"))]).await.unwrap().remove(0);
    let existing = ExistingStart {
        saga_id: first.id,
        business_key: first.business_key,
        fingerprint: format!("asked by {}", first.id),
    };
    assert_eq!(answer, Appended::KeyTaken(existing));
    assert_eq!(journal.get(second.id).await.unwrap(), None);
}

pub(crate) async fn a_start_repeated_with_its_own_id_finds_itself(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(0).await.unwrap();
    let row = row(saga_on(0));
    commit(&mut *lane, vec![start(row.clone(), Some("key"))]).await;
    match lane.append(vec![start(row.clone(), Some("key"))]).await.unwrap().remove(0) {
        Appended::KeyTaken(existing) => assert_eq!(existing.saga_id, row.id),
        other => panic!("{other:?}"),
    }
    assert_eq!(stored(&journal, row.id).await.records.len(), 1);
}

pub(crate) async fn two_lanes_that_race_with_one_key_start_one_saga(storage: &dyn Storage) {
    let (one, other) = (storage.process().await, storage.process().await);
    let (mut a, mut b) = (one.lane(0).await.unwrap(), other.lane(1).await.unwrap());
    for round in 0..20 {
        // Several keys at once, in opposite orders: the two must not wait for each other in a circle.
        let keys: Vec<_> = (0..8).map(|key| format!("round {round} key {key}")).collect();
        let ours: Vec<_> = keys.iter().map(|key| start(row(saga_on(0)), Some(key))).collect();
        let theirs: Vec<_> = keys.iter().rev().map(|key| start(row(saga_on(1)), Some(key))).collect();
        let ids: Vec<_> = ours.iter().chain(theirs.iter().rev()).map(|append| append.saga_id).collect();
        let (first, second) = tokio::join!(a.append(ours), b.append(theirs));
        let (first, mut second) = (first.unwrap(), second.unwrap());
        second.reverse();
        for (key, pair) in first.into_iter().zip(second).enumerate() {
            let (our_id, their_id) = (ids[key], ids[keys.len() + key]);
            let (winner, loser) = match pair {
                (Appended::Committed, Appended::KeyTaken(existing)) => {
                    assert_eq!(existing.saga_id, our_id);
                    (our_id, their_id)
                }
                (Appended::KeyTaken(existing), Appended::Committed) => {
                    assert_eq!(existing.saga_id, their_id);
                    (their_id, our_id)
                }
                both => panic!("exactly one must start, not {both:?}"),
            };
            assert!(one.get(winner).await.unwrap().is_some());
            assert_eq!(one.get(loser).await.unwrap(), None);
        }
    }
}

pub(crate) async fn two_starts_with_one_key_in_one_batch_start_one_saga(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(0).await.unwrap();
    let (first, second) = (saga_on(0), saga_on(0));
    let answers = lane.append(vec![start(row(first), Some("key")), start(row(second), Some("key"))]).await.unwrap();
    let winner = journal.find_start("order", "key").await.unwrap().unwrap().saga_id;
    assert_eq!(answers.iter().filter(|answer| **answer == Appended::Committed).count(), 1);
    assert!(answers.iter().any(|answer| matches!(answer, Appended::KeyTaken(start) if start.saga_id == winner)));
    assert_eq!(journal.list(&Filter::default(), 10).await.unwrap().sagas.len(), 1);
    assert!(journal.get(winner).await.unwrap().is_some());
}

pub(crate) async fn the_same_key_under_another_name_is_another_start(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(0).await.unwrap();
    let mut booking = row(saga_on(0));
    booking.name = "booking".to_owned();
    commit(&mut *lane, vec![start(row(saga_on(0)), Some("key")), start(booking.clone(), Some("key"))]).await;
    assert_eq!(journal.find_start("booking", "key").await.unwrap().unwrap().saga_id, booking.id);
}

pub(crate) async fn a_conflict_in_a_batch_leaves_the_others_committed(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(0).await.unwrap();
    let ids: Vec<_> = (0..4).map(|_| saga_on(0)).collect();
    commit(&mut *lane, vec![start(row(ids[0]), Some("key")), start(row(ids[1]), None)]).await;
    let batch = vec![
        status_on(ids[0], 2, SagaStatus::Completed, None),
        status_on(ids[1], 1, SagaStatus::Completed, None),
        start(row(ids[2]), Some("key")),
        start(row(ids[3]), Some("other key")),
    ];
    let answers = lane.append(batch).await.unwrap();
    assert_eq!(answers[0], Appended::Committed);
    assert_eq!(answers[1], Appended::SeqTaken);
    assert!(matches!(&answers[2], Appended::KeyTaken(start) if start.saga_id == ids[0]));
    assert_eq!(answers[3], Appended::Committed);
    assert_eq!(stored(&journal, ids[0]).await.row.status, SagaStatus::Completed);
    assert_eq!(stored(&journal, ids[1]).await.row.status, SagaStatus::Running);
    assert_eq!(journal.get(ids[2]).await.unwrap(), None);
    assert!(journal.get(ids[3]).await.unwrap().is_some());
}

pub(crate) async fn a_batch_of_a_thousand_is_committed_whole(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(2).await.unwrap();
    let ids: Vec<_> = (0..1000).map(|_| saga_on(2)).collect();
    let keys: Vec<_> = (0..1000).map(|key| format!("key {key}")).collect();
    commit(&mut *lane, ids.iter().zip(&keys).map(|(id, key)| start(row(*id), Some(key))).collect()).await;
    commit(&mut *lane, ids.iter().map(|id| status_on(*id, 2, SagaStatus::Completed, None)).collect()).await;
    let loaded = lane.load(&ids).await.unwrap();
    assert_eq!(loaded.len(), 1000);
    for (stored, id) in loaded.into_iter().map(Result::unwrap).zip(sorted(ids)) {
        assert_eq!((stored.row.id, stored.row.status, stored.records.len()), (id, SagaStatus::Completed, 2));
    }
}

fn sorted(mut ids: Vec<SagaId>) -> Vec<SagaId> {
    ids.sort_unstable();
    ids
}

pub(crate) async fn a_child_begins_with_the_record_of_its_parent_or_not_at_all(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(1).await.unwrap();
    let (parent, mut ids) = (saga_on(1), [saga_on(1), saga_on(1), saga_on(1)]);
    ids.sort_unstable();
    let [first, second, third] = ids;
    let child = |id: SagaId, sleep| {
        let row = SagaRow { parent: Some(parent), parent_step: Some(step("pay")), ..row(id) };
        Begun { row, record: record(1), sleep }
    };
    let asleep = Sleep::Asleep { status: SagaStatus::Running, wake_at: None };
    let begins = |begun: Vec<Begun>, append: Append| Append { family: Family { begun, woken: None }, ..append };
    // With the parent's first record, and with a later one, which puts the parent to sleep.
    commit(&mut *lane, vec![begins(vec![child(first, Sleep::Unchanged)], start(row(parent), Some("key")))]).await;
    let two = vec![child(second, asleep)];
    commit(&mut *lane, vec![Append { sleep: asleep, ..begins(two, step_on(parent, 2)) }]).await;
    // Another writer was faster: there is no third child.
    let late = begins(vec![child(third, Sleep::Unchanged)], step_on(parent, 2));
    assert_eq!(lane.append(vec![late]).await.unwrap(), [Appended::SeqTaken]);
    assert_eq!(journal.get(third).await.unwrap(), None);
    let found = journal.list(&Filter { parent: Some(parent), ..Filter::default() }, 10).await.unwrap().sagas;
    let found: Vec<_> = found.into_iter().map(|listed| listed.row).collect();
    assert_eq!(found.iter().map(|row| row.id).collect::<Vec<_>>(), [second, first]);
    assert_eq!((found[0].parent, &found[0].parent_step), (Some(parent), &Some(step("pay"))));
    assert_eq!(stored(&journal, first).await.records.len(), 1);

    let sleeping = async |lane: &mut dyn LaneJournal| {
        let sleepers = lane.sleepers().await.unwrap();
        sleepers.iter().map(|sleeper| sleeper.saga_id).collect::<HashSet<_>>()
    };
    assert_eq!(sleeping(&mut *lane).await, HashSet::from([parent, second]));
    // The end of a child wakes its parent; an end that is not written does not.
    let ends = |seq| {
        let family = Family { begun: Vec::new(), woken: Some(parent) };
        Append { family, ..status_on(first, seq, SagaStatus::Completed, None) }
    };
    assert_eq!(lane.append(vec![ends(3)]).await.unwrap(), [Appended::SeqTaken]);
    assert!(sleeping(&mut *lane).await.contains(&parent));
    commit(&mut *lane, vec![ends(2)]).await;
    assert_eq!(sleeping(&mut *lane).await, HashSet::from([second]));
}

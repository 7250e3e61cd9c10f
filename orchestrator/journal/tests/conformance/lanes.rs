//! Ownership: one session a shard, and the next one takes over from it, however it ended.

use std::sync::Arc;

use chrono::TimeDelta;
use contract::saga::SagaStatus;
use journal::{
    Append, Appended, GivenUp, Journal, JournalError, LaneJournal, OpenSaga, Quarantined, SagaRow, Sleep, Sleeper,
};
use machine::Entry;
use tokio::task::JoinHandle;

use crate::{adapters::SHARDS, adapters::Storage, fixtures::*};

fn wait_for(journal: &Arc<dyn Journal>, shard: u16) -> JoinHandle<Box<dyn LaneJournal>> {
    let journal = Arc::clone(journal);
    tokio::spawn(async move { journal.lane(shard).await.unwrap() })
}

pub(crate) async fn a_lane_waits_until_the_shard_is_released(storage: &dyn Storage) {
    let (one, other) = (storage.process().await, storage.process().await);
    let first = soon(one.lane(1)).await.unwrap();
    assert_eq!(first.shard(), 1);
    let second = wait_for(&other, 1);
    // Another shard can be had meanwhile, so waiting for the first is not just slow.
    drop(soon(other.lane(2)).await.unwrap());
    assert!(!second.is_finished());
    first.release().await.unwrap();
    let mut second = soon(second).await.unwrap();
    commit(&mut *second, vec![start(row(saga_on(1)), None)]).await;
}

pub(crate) async fn a_dropped_lane_frees_its_shard(storage: &dyn Storage) {
    let (one, other) = (storage.process().await, storage.process().await);
    let first = soon(one.lane(1)).await.unwrap();
    let second = wait_for(&other, 1);
    drop(first);
    soon(second).await.unwrap();
}

pub(crate) async fn a_dropped_wait_gives_up_its_place(storage: &dyn Storage) {
    let (one, other) = (storage.process().await, storage.process().await);
    let first = soon(one.lane(1)).await.unwrap();
    let second = wait_for(&one, 1);
    let third = wait_for(&other, 1);
    drop(soon(other.lane(2)).await.unwrap());
    second.abort();
    assert!(soon(second).await.is_err_and(|error| error.is_cancelled()));
    drop(first);
    soon(third).await.unwrap();
}

pub(crate) async fn shards_are_owned_independently(storage: &dyn Storage) {
    let journal = storage.process().await;
    assert_eq!(journal.shards(), SHARDS);
    let mut lanes = Vec::new();
    for shard in 0..SHARDS {
        lanes.push(soon(journal.lane(shard)).await.unwrap());
    }
    for lane in &mut lanes {
        let id = saga_on(lane.shard());
        commit(&mut **lane, vec![start(row(id), None)]).await;
        assert_eq!(lane.awake().await.unwrap(), [id]);
    }
    assert!(journal.lane(SHARDS).await.is_err(), "there is no such shard");
}

pub(crate) async fn a_new_owner_finds_the_open_sagas_of_its_shard(storage: &dyn Storage) {
    let (one, other) = (storage.process().await, storage.process().await);
    let mut first = one.lane(1).await.unwrap();
    let mut ids: Vec<_> = (0..25).map(|_| saga_on(1)).collect();
    ids.sort_unstable();
    commit(&mut *first, ids.iter().map(|id| start(row(*id), None)).collect()).await;
    commit(&mut *first, vec![start(row(saga_on(2)), None)]).await;
    let ends = [SagaStatus::Completed, SagaStatus::Compensated, SagaStatus::Abandoned];
    let goes_on = [SagaStatus::Compensating, SagaStatus::NeedsAttention];
    let changed = ends.into_iter().chain(goes_on).zip(&ids);
    commit(&mut *first, changed.map(|(status, id)| status_on(*id, 2, status, None)).collect()).await;
    drop(first);

    let mut second = soon(other.lane(1)).await.unwrap();
    let found = second.awake().await.unwrap();
    assert_eq!(found, ids[ends.len()..]);
    let loaded = second.load(&found).await.unwrap();
    assert_eq!(loaded.into_iter().map(|stored| stored.unwrap().row.id).collect::<Vec<_>>(), found);
    // Further on from where the first owner was.
    commit(&mut *second, vec![step_on(ids[3], 3)]).await;
}

pub(crate) async fn sagas_that_sleep_are_told_apart_from_those_that_are_awake(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(1).await.unwrap();
    let mut ids: Vec<_> = (0..4).map(|_| saga_on(1)).collect();
    ids.sort_unstable();
    commit(&mut *lane, ids.iter().map(|id| start(row(*id), None)).collect()).await;
    let asleep = |id, seq, status, wake_at| Append {
        sleep: Sleep::Asleep { status, wake_at },
        ..status_on(id, seq, status, None)
    };
    let wake_at = Some(now() + TimeDelta::hours(1));
    let batch = vec![
        asleep(ids[0], 2, SagaStatus::Running, wake_at),
        asleep(ids[1], 2, SagaStatus::NeedsAttention, None),
        asleep(ids[2], 2, SagaStatus::Running, None),
        // Another writer is faster: this one sleeps not.
        asleep(ids[3], 3, SagaStatus::Running, None),
    ];
    let answers = lane.append(batch).await.unwrap();
    assert_eq!(answers[3], Appended::SeqTaken);
    commit(&mut *lane, vec![Append { sleep: Sleep::Awake, ..step_on(ids[2], 3) }, step_on(ids[0], 3)]).await;
    commit(&mut *lane, vec![asleep(ids[1], 3, SagaStatus::Compensating, wake_at)]).await;
    let sleeper = |saga_id, status, wake_at| Sleeper { saga_id, status, wake_at };
    let expected = [sleeper(ids[0], SagaStatus::Running, wake_at), sleeper(ids[1], SagaStatus::Compensating, wake_at)];
    let mut sleepers = lane.sleepers().await.unwrap();
    sleepers.sort_unstable_by_key(|sleeper| sleeper.saga_id);
    assert_eq!(sleepers, expected);
    assert_eq!(lane.awake().await.unwrap(), ids[2..]);
    let mut other = journal.lane(2).await.unwrap();
    assert!(other.sleepers().await.unwrap().is_empty() && other.awake().await.unwrap().is_empty());
}

pub(crate) async fn sagas_that_are_left_alone_are_kept_until_they_go_on(storage: &dyn Storage) {
    let (one, other) = (storage.process().await, storage.process().await);
    let mut first = one.lane(1).await.unwrap();
    let mut ids: Vec<_> = (0..3).map(|_| saga_on(1)).collect();
    ids.sort_unstable();
    let since = now();
    let left = |id, detail: &str| Quarantined { saga_id: id, code: "row_broken".into(), detail: detail.into(), since };
    first.quarantine(&[left(ids[0], "a"), left(ids[1], "b"), left(ids[2], "c")]).await.unwrap();
    let again = Quarantined { since: since + TimeDelta::hours(1), ..left(ids[1], "b again") };
    first.quarantine(&[again]).await.unwrap();
    first.end_quarantine(&ids[..1]).await.unwrap();
    drop(first);
    let mut second = soon(other.lane(1)).await.unwrap();
    let mut found = second.in_quarantine().await.unwrap();
    found.sort_unstable();
    assert_eq!(found, ids[1..]);
    assert_eq!(one.quarantined(None, 10).await.unwrap(), [left(ids[1], "b again"), left(ids[2], "c")]);
    assert_eq!(one.quarantined(Some(ids[1]), 10).await.unwrap(), [left(ids[2], "c")]);
    assert_eq!(one.quarantined(None, 1).await.unwrap().len(), 1);
    assert!(other.lane(2).await.unwrap().in_quarantine().await.unwrap().is_empty());
}

pub(crate) async fn a_saga_is_abandoned_without_being_read(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(1).await.unwrap();
    let (parent, saga) = (saga_on(1), saga_on(1));
    commit(&mut *lane, vec![start(row(parent), None)]).await;
    let asleep = Sleep::Asleep { status: SagaStatus::Running, wake_at: None };
    let child = SagaRow { parent: Some(parent), ..row(saga) };
    commit(&mut *lane, vec![start(child, None), Append { sleep: asleep, ..step_on(parent, 2) }]).await;
    let left = Quarantined { saga_id: saga, code: "row_broken".into(), detail: "a".into(), since: now() };
    lane.quarantine(&[left]).await.unwrap();
    assert_eq!(lane.given_up(saga).await.unwrap(), None);
    let mut abandon = async |saga| lane.abandon(saga, now(), vec![Entry::SagaAbandoned]).await.unwrap();
    let given_up = Some(GivenUp { parent: Some(parent) });
    assert_eq!(abandon(saga).await, given_up);
    assert_eq!(abandon(saga).await, given_up, "it has ended");
    assert_eq!(abandon(saga_on(1)).await, None, "there is none");
    assert_eq!(lane.given_up(saga).await.unwrap(), given_up);
    let stored = journal.get(saga).await.unwrap().unwrap();
    assert_eq!((stored.row.status, stored.row.finished_at.is_some()), (SagaStatus::Abandoned, true));
    let record = stored.records.last().unwrap();
    assert_eq!((record.seq, &record.entries), (2, &vec![Entry::SagaAbandoned]));
    assert!(lane.in_quarantine().await.unwrap().is_empty());
    assert_eq!(lane.awake().await.unwrap(), [parent], "it is to hear of that");
}

pub(crate) async fn missing_sagas_are_left_out_of_a_load(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(1).await.unwrap();
    let id = saga_on(1);
    commit(&mut *lane, vec![start(row(id), None)]).await;
    let loaded = lane.load(&[saga_on(1), id, saga_on(2), id]).await.unwrap();
    assert_eq!(loaded.into_iter().map(|stored| stored.unwrap().row.id).collect::<Vec<_>>(), [id]);
    assert!(lane.load(&[]).await.unwrap().is_empty());
    assert!(lane.load(&[saga_on(1)]).await.unwrap().is_empty());
}

pub(crate) async fn the_open_sagas_of_a_shard_are_read_page_by_page(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(1).await.unwrap();
    let mut ids: Vec<_> = (0..4).map(|_| saga_on(1)).collect();
    ids.sort_unstable();
    commit(&mut *lane, ids.iter().map(|id| start(row(*id), None)).collect()).await;
    let asleep = Sleep::Asleep { status: SagaStatus::NeedsAttention, wake_at: None };
    let sleeps = Append { sleep: asleep, ..status_on(ids[1], 2, SagaStatus::NeedsAttention, Some("a/b")) };
    let wake_at = Some(now());
    let wakes = Append { sleep: Sleep::Asleep { status: SagaStatus::Running, wake_at }, ..step_on(ids[2], 2) };
    commit(&mut *lane, vec![sleeps, wakes, status_on(ids[3], 2, SagaStatus::Completed, None)]).await;
    let open = |saga_id, asleep, wake_at| OpenSaga { saga_id, asleep, wake_at };
    let expected = [open(ids[0], false, None), open(ids[1], true, None), open(ids[2], true, wake_at)];
    assert_eq!(lane.open_sagas(None, 10).await.unwrap(), expected);
    assert_eq!(lane.open_sagas(None, 2).await.unwrap(), expected[..2]);
    assert_eq!(lane.open_sagas(Some(ids[1]), 2).await.unwrap(), expected[2..]);
    assert_eq!(lane.open_sagas(Some(ids[3]), 2).await.unwrap(), []);
}

pub(crate) async fn a_lane_that_lost_its_shard_cannot_write(storage: &dyn Storage) {
    let (one, other) = (storage.process().await, storage.process().await);
    let mut first = one.lane(1).await.unwrap();
    let id = saga_on(1);
    commit(&mut *first, vec![start(row(id), None)]).await;
    let second = wait_for(&other, 1);
    storage.lose_lane(1).await;
    let mut second = soon(second).await.unwrap();
    // The first one wrote nothing, whichever error it met on its way, and from now on it knows.
    soon(first.append(vec![status_on(id, 2, SagaStatus::Completed, None)])).await.unwrap_err();
    for _ in 0..2 {
        let error = soon(first.append(vec![step_on(id, 2)])).await.unwrap_err();
        assert!(matches!(error, JournalError::OwnershipLost { shard: 1 }), "{error}");
        assert!(matches!(first.load(&[id]).await, Err(JournalError::OwnershipLost { shard: 1 })));
    }
    soon(first.lost()).await;
    commit(&mut *second, vec![step_on(id, 2)]).await;
    assert_eq!(one.get(id).await.unwrap().unwrap().row.status, SagaStatus::Running);
}

pub(crate) async fn an_evicted_owner_cannot_write_and_learns_of_it(storage: &dyn Storage) {
    let (one, other) = (storage.process().await, storage.process().await);
    assert_eq!(other.ownership(1).await.unwrap(), None);
    let mut first = one.lane(1).await.unwrap();
    let id = saga_on(1);
    commit(&mut *first, vec![start(row(id), None)]).await;
    let ownership = other.ownership(1).await.unwrap().expect("the shard has an owner");
    let second = wait_for(&other, 1);
    assert!(other.evict(ownership).await.unwrap());
    let mut second = soon(second).await.unwrap();
    soon(first.lost()).await;
    soon(first.append(vec![step_on(id, 2)])).await.unwrap_err();
    // The next owner is another one: who still means the first one does it no harm.
    assert!(!other.evict(ownership).await.unwrap());
    commit(&mut *second, vec![step_on(id, 2)]).await;
    assert_ne!(one.ownership(1).await.unwrap(), Some(ownership));
    second.release().await.unwrap();
    let last = one.ownership(1).await.unwrap().expect("the shard had an owner");
    assert!(!one.evict(last).await.unwrap(), "it is not in force any more");
}

pub(crate) async fn everybody_learns_which_shards_are_waited_for(storage: &dyn Storage) {
    let (one, other) = (storage.process().await, storage.process().await);
    let mut membership = one.membership();
    let owned = [one.lane(0).await.unwrap(), one.lane(2).await.unwrap()];
    assert!(membership.borrow_and_update().waited_for.is_empty());
    let (first, second) = (wait_for(&other, 2), wait_for(&other, 0));
    soon(membership.wait_for(|seen| seen.waited_for == [0_u16, 2])).await.unwrap();
    drop(owned);
    soon(first).await.unwrap();
    soon(second).await.unwrap();
    soon(membership.wait_for(|seen| seen.waited_for.is_empty())).await.unwrap();
}

pub(crate) async fn processes_are_counted_when_they_come_and_when_their_shards_pass_on(storage: &dyn Storage) {
    let one = storage.process().await;
    let mut membership = one.membership();
    let alone = membership.borrow_and_update().members;
    let other = storage.process().await;
    let both = soon(membership.wait_for(|seen| seen.members == alone + 1)).await.unwrap().clone();
    let theirs = other.membership().borrow().clone();
    assert_eq!(theirs.members, alone + 1);
    assert_ne!(theirs.place, both.place, "no two stand in one place");

    let theirs = other.lane(0).await.unwrap();
    let ours = wait_for(&one, 0);
    drop((theirs, other));
    soon(ours).await.unwrap();
    soon(membership.wait_for(|seen| seen.members == alone)).await.unwrap();
}

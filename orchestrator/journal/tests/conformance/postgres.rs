//! The conduct of PostgreSQL alone: lost servers, broken rows, refused content, partitions, opening.

use std::{error::Error, future::poll_fn, sync::Arc, task::Poll};

use chrono::TimeDelta;
use contract::{SagaId, saga::SagaStatus};
use journal::{Appended, Door, Filter, Journal, JournalError, OpenJournalError, PgJournal, PgJournalOptions, Room};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use uuid::Uuid;

use crate::{
    adapters::{Postgres, SHARDS},
    fixtures::*,
};

/// Ends every session of the journal, as a restart of the server does.
pub(crate) async fn end_all_sessions(admin: &mut PgConnection) {
    admin
        .execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await
        .unwrap();
}

/// The address of a relay to the server, run by the test's own thread: no answer passes while the test itself works.
async fn through_a_relay(url: &str) -> String {
    let port = url.parse::<PgConnectOptions>().unwrap().get_port();
    let relay = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let relayed = url.replace(&format!(":{port}/"), &format!(":{}/", relay.local_addr().unwrap().port()));
    assert_ne!(relayed, url);
    tokio::spawn(async move {
        while let Ok((mut here, _)) = relay.accept().await {
            let mut there = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut here, &mut there).await.ok() });
        }
    });
    relayed
}

#[tokio::test]
async fn content_that_the_database_refuses_holds_no_other_saga_up() {
    let storage = Postgres::new().await;
    let journal = storage.connect().await;
    let mut lane = journal.lane(0).await.unwrap();
    let mut batch: Vec<_> = (0..100).map(|_| start(row(saga_on(0)), None)).collect();
    let bad = |break_it: &dyn Fn(&mut journal::SagaRow)| {
        let mut row = row(saga_on(0));
        break_it(&mut row);
        start(row, None)
    };
    let incompressible: String = (0..500).map(|_| kit::ids::uuid_v7().to_string()).collect();
    batch[7] = bad(&|row| row.business_key = "a\0b".to_owned());
    batch[50] = bad(&|row| row.owner = Some(incompressible.clone()));
    batch[51] = bad(&|row| row.created_at = chrono::DateTime::<chrono::Utc>::MAX_UTC);
    let places = [7, 50, 51];
    let ids: Vec<_> = batch.iter().map(|append| append.saga_id).collect();

    let answers = lane.append(batch).await.unwrap();
    for (place, answer) in answers.iter().enumerate() {
        match answer {
            Appended::Unstorable { detail } => {
                assert!(places.contains(&place) && !detail.is_empty(), "{place}: {detail}")
            }
            Appended::Committed => assert!(!places.contains(&place), "{place}"),
            other => panic!("{place}: {other:?}"),
        }
    }
    assert_eq!(lane.load(&ids).await.unwrap().len(), 97);
    // The session is as good as before.
    commit(&mut *lane, vec![step_on(ids[0], 2), start(row(saga_on(0)), Some("key"))]).await;
    let key = start(row(saga_on(0)), Some(&incompressible));
    assert!(matches!(lane.append(vec![key]).await.unwrap()[0], Appended::Unstorable { .. }));
}

#[tokio::test]
async fn a_broken_record_is_named_and_hides_no_other_saga() {
    let storage = Postgres::new().await;
    let journal = storage.connect().await;
    let mut lane = journal.lane(0).await.unwrap();
    let mut ids: Vec<_> = (0..4).map(|_| saga_on(0)).collect();
    ids.sort_unstable();
    commit(&mut *lane, ids.iter().map(|id| start(row(*id), None)).collect()).await;
    commit(&mut *lane, ids.iter().map(|id| step_on(*id, 2)).collect()).await;
    let mut admin = storage.admin().await;
    for (statement, id) in [
        (r#"UPDATE saga_journal SET entries = '[{"entry":"martian"}]' WHERE saga_id = $1 AND seq = 2"#, ids[1]),
        ("DELETE FROM saga_journal WHERE saga_id = $1 AND seq = 1", ids[2]),
        ("DELETE FROM saga_journal WHERE saga_id = $1", ids[3]),
    ] {
        sqlx::query(statement).bind(id.uuid()).execute(&mut admin).await.unwrap();
    }
    let loaded = lane.load(&ids).await.unwrap();
    assert_eq!(loaded[0].as_ref().unwrap().row.id, ids[0]);
    let told: Vec<_> = loaded[1..].iter().map(|broken| broken.as_ref().unwrap_err().to_string()).collect();
    assert!(told[0].contains(&format!("row {} seq 2 of saga_journal", ids[1])), "{told:?}");
    assert!(told[0].contains("column entries") && told[0].contains("martian"), "{told:?}");
    assert!(told[1].contains(&format!("row {} seq 1 of saga_journal", ids[2])), "{told:?}");
    assert!(told[2].contains(&ids[3].to_string()), "{told:?}");
    assert!(matches!(journal.get(ids[1]).await, Err(JournalError::BrokenRow { table: "saga_journal", .. })));
    assert_eq!(journal.list(&Filter::default(), 10).await.unwrap().sagas.len(), 4);
}

#[tokio::test]
async fn a_record_of_a_later_program_keeps_its_own_saga_from_being_read_and_no_other() {
    let storage = Postgres::new().await;
    let journal = storage.connect().await;
    let mut lane = journal.lane(0).await.unwrap();
    let ids = [saga_on(0), saga_on(0)];
    commit(&mut *lane, ids.iter().map(|id| start(row(*id), None)).collect()).await;
    let mut admin = storage.admin().await;
    let asks_for =
        "UPDATE saga_journal SET entries = json_build_object('reader', $2, 'entries', entries) WHERE saga_id = $1";
    sqlx::query(asks_for).bind(ids[1].uuid()).bind(999).execute(&mut admin).await.unwrap();
    let loaded = lane.load(&ids).await.unwrap();
    let refused = |read: &Result<journal::Stored, JournalError>| matches!(read, Err(JournalError::NewerReader { saga_id, needed: 999 }) if *saga_id == ids[1]);
    assert_eq!(
        (loaded.iter().filter(|read| read.is_ok()).count(), loaded.iter().filter(|read| refused(read)).count()),
        (1, 1)
    );
    assert!(matches!(journal.get(ids[1]).await, Err(JournalError::NewerReader { needed: 999, .. })));
    let understood = "UPDATE saga_journal SET entries = json_build_object('reader', 2, 'entries', entries -> 'entries') WHERE saga_id = $1";
    sqlx::query(understood).bind(ids[1].uuid()).execute(&mut admin).await.unwrap();
    assert!(lane.load(&ids).await.unwrap().iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_broken_row_does_not_make_its_part_of_a_listing_the_last_one() {
    let storage = Postgres::new().await;
    let journal = storage.connect().await;
    let mut lane = journal.lane(0).await.unwrap();
    let mut ids: Vec<_> = (0..6).map(|_| saga_on(0)).collect();
    ids.sort_unstable();
    commit(&mut *lane, ids.iter().map(|id| start(row(*id), None)).collect()).await;
    let mut admin = storage.admin().await;
    admin.execute("ALTER TABLE saga DROP CONSTRAINT saga_status_known").await.unwrap();
    for broken in [ids[4], ids[3]] {
        let break_it = sqlx::query("UPDATE saga SET status = 'martian' WHERE id = $1").bind(broken.uuid());
        break_it.execute(&mut admin).await.unwrap();
    }
    let (mut filter, mut listed) = (Filter::default(), Vec::new());
    loop {
        let part = journal.list(&filter, 2).await.unwrap();
        listed.extend(part.sagas.into_iter().map(|saga| saga.row.id));
        filter.before = part.next.map(|place| place.id);
        if part.next.is_none() {
            break;
        }
    }
    assert_eq!(listed, [ids[5], ids[2], ids[1], ids[0]]);
}

#[tokio::test]
async fn a_crowd_of_readers_is_told_so_and_keeps_no_operator_out() {
    let storage = Postgres::new().await;
    let journal = storage.connect().await;
    let mut lane = journal.lane(0).await.unwrap();
    let id = saga_on(0);
    commit(&mut *lane, vec![start(row(id), None)]).await;
    // Lists wait for a table that somebody holds.
    let mut admin = storage.admin().await;
    admin.execute("BEGIN; LOCK TABLE dead_letter IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let slow = (0..4).map(|_| {
        let journal = Arc::clone(&journal);
        tokio::spawn(async move { journal.dead_letters(Door::Reads, None, None, 10).await })
    });
    let slow: Vec<_> = slow.collect();
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    let mut looker = storage.admin().await;
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut looker).await.unwrap() < 4 {
        tokio::task::yield_now().await;
    }
    assert!(matches!(journal.get(id).await, Err(JournalError::Busy { .. })));
    assert!(journal.read(Door::Acts, id, 0).await.unwrap().is_some());
    journal.ping().await.unwrap();
    admin.execute("ROLLBACK").await.unwrap();
    for read in slow {
        assert!(read.await.unwrap().unwrap().is_empty());
    }
    assert!(journal.get(id).await.unwrap().is_some());
}

#[tokio::test]
async fn the_database_refuses_rows_that_no_program_can_read() {
    let storage = Postgres::new().await;
    let journal = storage.connect().await;
    let mut lane = journal.lane(0).await.unwrap();
    commit(&mut *lane, vec![start(row(saga_on(0)), None)]).await;
    let mut admin = storage.admin().await;
    for change in ["status = 'martian'", "version = -1", "shard = 70000", "created_at = 'infinity'"] {
        let error = admin.execute(AssertSqlSafe(format!("UPDATE saga SET {change}"))).await.unwrap_err();
        assert!(error.to_string().contains("check constraint"), "{change}: {error}");
    }
}

#[tokio::test]
async fn an_abandoned_wait_leaves_the_servers_queue() {
    let storage = Postgres::new().await;
    let journal = storage.connect().await;
    let _owner = journal.lane(1).await.unwrap();
    let waiting = {
        let journal = Arc::clone(&journal);
        tokio::spawn(async move { journal.lane(1).await.map(drop) })
    };
    let queue = async || -> i64 {
        let count = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        sqlx::query_scalar(count).fetch_one(&mut storage.admin().await).await.unwrap()
    };
    until(async || queue().await == 1).await;
    waiting.abort();
    until(async || queue().await == 0).await;
}

#[tokio::test]
async fn an_idle_lane_notices_that_the_server_is_lost() {
    let storage = Postgres::new().await;
    let journal = storage.connect().await;
    let mut lane = journal.lane(1).await.unwrap();
    let mut admin = storage.admin().await;
    assert!(
        tokio::time::timeout(std::time::Duration::from_millis(50), lane.lost()).await.is_err(),
        "nothing is lost yet, and asking does no harm"
    );
    end_all_sessions(&mut admin).await;
    soon(lane.lost()).await;
    let error = lane.append(vec![start(row(saga_on(1)), None)]).await.unwrap_err();
    assert!(matches!(error, JournalError::OwnershipLost { shard: 1 }), "{error}");
    let mut lane = soon(journal.lane(1)).await.unwrap();
    commit(&mut *lane, vec![start(row(saga_on(1)), None)]).await;
}

#[tokio::test]
async fn a_lane_that_looks_after_itself_in_vain_loses_nothing_by_it() {
    let storage = Postgres::new().await;
    let options = PgJournalOptions { url: through_a_relay(&storage.url).await, ..storage.options() };
    let journal = PgJournal::connect(options).await.unwrap();
    let mut lane = journal.lane(1).await.unwrap();
    let mut admin = storage.admin().await;
    let link = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
                AND application_name = 'sojourn journal link'";
    let before: i32 = sqlx::query_scalar(link).fetch_one(&mut admin).await.unwrap();
    // Only the other connection of this process is lost: a reason to look, but not to give up.
    sqlx::query("SELECT pg_terminate_backend($1, 5000)").bind(before).execute(&mut admin).await.unwrap();
    until(async || {
        let now: Option<i32> = sqlx::query_scalar(link).fetch_optional(&mut storage.admin().await).await.unwrap();
        now.is_some_and(|now| now != before)
    })
    .await;
    // Something else comes for the lane before the server has answered.
    for _ in 0..3 {
        let mut lost = lane.lost();
        assert!(poll_fn(|context| Poll::Ready(lost.as_mut().poll(context).is_pending())).await);
    }
    commit(&mut *lane, vec![start(row(saga_on(1)), None)]).await;
}

#[tokio::test]
async fn reads_and_membership_survive_the_loss_of_every_session() {
    let storage = Postgres::new().await;
    let (journal, other) = (storage.connect().await, storage.connect().await);
    let mut lane = journal.lane(0).await.unwrap();
    let id = saga_on(0);
    commit(&mut *lane, vec![start(row(id), None)]).await;
    journal.ping().await.unwrap();
    end_all_sessions(&mut storage.admin().await).await;
    assert!(journal.get(id).await.unwrap().is_some());
    // Both join again, and a third one is counted by both.
    let third = storage.connect().await;
    for journal in [&journal, &other, &third] {
        soon(journal.membership().wait_for(|seen| seen.members == 3)).await.unwrap();
    }
}

#[tokio::test]
async fn a_lane_dropped_in_the_middle_of_a_commit_frees_its_shard() {
    let storage = Postgres::new().await;
    let journal = storage.connect().await;
    let mut lane = journal.lane(0).await.unwrap();
    let id = saga_on(0);
    commit(&mut *lane, vec![start(row(id), None)]).await;
    // Another session holds the next record back, so the commit hangs.
    let mut admin = storage.admin().await;
    let mut blocking = admin.begin().await.unwrap();
    sqlx::query("INSERT INTO saga_journal (saga_id, seq, at, entries) VALUES ($1, 2, now(), '[]')")
        .bind(id.uuid())
        .execute(&mut *blocking)
        .await
        .unwrap();
    let hanging = tokio::time::timeout(std::time::Duration::from_millis(100), lane.append(vec![step_on(id, 2)])).await;
    assert!(hanging.is_err());
    let error = lane.append(vec![step_on(id, 2)]).await.unwrap_err();
    assert!(matches!(error, JournalError::OwnershipLost { shard: 0 }), "its outcome is unknown: {error}");
    let mut lane = soon(journal.lane(0)).await.unwrap();
    blocking.rollback().await.unwrap();
    commit(&mut *lane, vec![step_on(id, 2)]).await;
}

#[tokio::test]
async fn rows_outside_the_prepared_weeks_are_moved_when_their_week_is_prepared() {
    let storage = Postgres::new().await;
    let journal = storage.connect().await;
    let mut lane = journal.lane(0).await.unwrap();
    let later = now() + TimeDelta::days(100);
    let ms = u128::try_from(later.timestamp_millis()).unwrap();
    let id = SagaId::from_uuid(Uuid::from_u128(ms << 80 | 4)).placed_on(0, SHARDS);
    commit(&mut *lane, vec![start(row(id), None), start(row(saga_on(0)), None)]).await;
    let mut admin = storage.admin().await;
    let mut in_default = async || -> (i64, i64) {
        let count = "SELECT (SELECT count(*) FROM saga_default), (SELECT count(*) FROM saga_journal_default)";
        sqlx::query_as(count).fetch_one(&mut admin).await.unwrap()
    };
    assert_eq!(in_default().await, (1, 1));

    let (first, second) = tokio::join!(journal.prepare(later), journal.prepare(later));
    first.unwrap();
    second.unwrap();
    assert_eq!(in_default().await, (0, 0));
    commit(&mut *lane, vec![status_on(id, 2, SagaStatus::Completed, None)]).await;
    assert_eq!(journal.get(id).await.unwrap().unwrap().records.len(), 2);
    assert_eq!(journal.list(&Filter::default(), 1).await.unwrap().sagas[0].row.id, id);
}

/// Sessions of the journal that wait for a lock on a table.
const WAITING_FOR_TABLES: &str = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity USING (pid) \
     WHERE datname = current_database() AND l.locktype = 'relation' AND NOT l.granted";

#[tokio::test]
async fn an_append_touches_no_week_but_its_own() {
    let storage = Postgres::new().await;
    let journal = storage.connect().await;
    let mut lane = journal.lane(0).await.unwrap();
    let ids = [saga_on(0), saga_on(0), saga_on(0)];
    commit(&mut *lane, vec![start(row(ids[0]), None), start(row(ids[1]), None)]).await;
    // Another session holds a record back, so that the locks of the append that waits for it can be looked at.
    let mut admin = storage.admin().await;
    let mut blocking = admin.begin().await.unwrap();
    sqlx::query("INSERT INTO saga_journal (saga_id, seq, at, entries) VALUES ($1, 2, now(), '[]')")
        .bind(ids[0].uuid())
        .execute(&mut *blocking)
        .await
        .unwrap();
    let completes = status_on(ids[1], 2, SagaStatus::Completed, None);
    let appending = lane.append(vec![start(row(ids[2]), Some("key")), completes, step_on(ids[0], 2)]);
    let looking = async {
        let held = "SELECT array_agg(DISTINCT relation::regclass::text) FROM pg_locks l JOIN pg_stat_activity USING (pid) \
                    WHERE datname = current_database() AND l.locktype = 'relation' \
                      AND application_name = 'sojourn journal lane' AND wait_event_type = 'Lock'";
        let held = async || -> Vec<String> {
            let held: Option<_> = sqlx::query_scalar(held).fetch_one(&mut storage.admin().await).await.unwrap();
            held.unwrap_or_default()
        };
        until(async || !held().await.is_empty()).await;
        let tables = held().await;
        let mut admin = storage.admin().await;
        let all = "SELECT array_agg(inhrelid::regclass::text) FROM pg_inherits JOIN pg_class p ON p.oid = inhparent \
                   WHERE p.relkind = 'p'";
        let all: Vec<String> = sqlx::query_scalar(all).fetch_one(&mut admin).await.unwrap();
        blocking.rollback().await.unwrap();
        (tables, all)
    };
    let (appended, (tables, all)) = tokio::join!(appending, looking);
    assert_eq!(appended.unwrap(), vec![Appended::Committed; 3]);
    let pieces: Vec<_> = tables.iter().filter(|table| all.contains(table)).collect();
    assert_eq!(pieces.len(), 2, "one piece of each table: {tables:?}");
    let whole = |table: &&String| ["saga", "saga_journal"].contains(&table.as_str());
    assert_eq!(tables.iter().find(whole), None, "{tables:?}");
}

#[tokio::test]
async fn a_reader_of_all_tables_holds_no_append_up_and_no_start() {
    let storage = Postgres::new().await;
    let journal = storage.connect().await;
    let mut lane = journal.lane(0).await.unwrap();
    let id = saga_on(0);
    commit(&mut *lane, vec![start(row(id), Some("before"))]).await;
    // A backup, or a person who looks at everything and forgets to finish.
    let mut reader = storage.admin().await;
    let mut reading = reader.begin().await.unwrap();
    reading.execute("SELECT count(*) FROM saga, saga_journal, saga_start").await.unwrap();
    // A week is to be made meanwhile: it is not, the program says so, and another one may start all the same.
    let next_week = now() + TimeDelta::days(7);
    assert_eq!(journal.prepare(next_week).await.unwrap(), Room::Short);
    let opened = PgJournalOptions { now: next_week, ..storage.options() };
    PgJournal::connect(opened).await.unwrap();
    // Even a change of the tables that waits for the reader holds no append up.
    let changing = tokio::spawn({
        let mut changer = storage.admin().await;
        async move { changer.execute("BEGIN; LOCK TABLE saga_default, saga_journal_default; ROLLBACK").await.map(drop) }
    });
    let waiting =
        async || -> i64 { sqlx::query_scalar(WAITING_FOR_TABLES).fetch_one(&mut storage.admin().await).await.unwrap() };
    until(async || waiting().await == 1).await;
    let completes = status_on(id, 2, SagaStatus::Completed, None);
    commit(&mut *lane, vec![start(row(saga_on(0)), Some("after")), completes]).await;
    assert_eq!(waiting().await, 1, "the change of the tables still waits, and nothing behind it");
    reading.rollback().await.unwrap();
    soon(changing).await.unwrap().ok();
    assert_eq!(journal.prepare(next_week).await.unwrap(), Room::Enough);
}

#[tokio::test]
async fn no_owner_is_evicted_while_the_journal_takes_no_append() {
    let storage = Postgres::new().await;
    let journal = storage.connect().await;
    let mut lane = journal.lane(0).await.unwrap();
    let ownership = journal.ownership(0).await.unwrap().expect("the shard has an owner");
    let mut admin = storage.admin().await;
    let mut changing = admin.begin().await.unwrap();
    changing.execute("LOCK TABLE saga_journal IN SHARE MODE").await.unwrap();
    journal.evict(ownership).await.unwrap_err();
    changing.rollback().await.unwrap();
    commit(&mut *lane, vec![start(row(saga_on(0)), None)]).await;
    assert!(journal.evict(ownership).await.unwrap());
}

#[tokio::test]
async fn the_number_of_shards_is_fixed_when_the_journal_is_made() {
    let storage = Postgres::new().await;
    storage.connect().await;
    let options = PgJournalOptions { shards: SHARDS + 1, ..storage.options() };
    let error = PgJournal::connect(options).await.unwrap_err();
    assert!(matches!(error, OpenJournalError::ShardsDiffer { stored: SHARDS, .. }), "{error}");
    let error = PgJournal::connect(PgJournalOptions { shards: 0, ..storage.options() }).await.unwrap_err();
    assert!(matches!(error, OpenJournalError::NoShards), "{error}");
    storage.connect().await;
}

#[tokio::test]
async fn several_processes_may_make_a_missing_database_at_once() {
    let storage = Postgres::new().await;
    let name = private_servers::testing::unique("journal_missing");
    let open = || PgJournal::connect(storage.options().with_database(&name));
    let (a, b, c) = tokio::join!(open(), open(), open());
    let journals = [a.unwrap(), b.unwrap(), c.unwrap()];
    for journal in &journals {
        soon(journal.membership().wait_for(|seen| seen.members == 3)).await.unwrap();
    }
}

#[tokio::test]
async fn a_missing_server_is_named_without_its_password() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url = format!("postgres://someone:hunter2@127.0.0.1:{port}/journal");
    let options = PgJournalOptions::new(url, SHARDS, kit::ids::instance_id(), now());
    assert!(!format!("{options:?}").contains("hunter2"));
    let error = PgJournal::connect(options).await.unwrap_err();
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        told.push_str(&error.to_string());
        source = error.source();
    }
    assert!(told.contains(&format!("127.0.0.1:{port}")) && told.contains("xtask run"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

#[tokio::test]
async fn an_open_journal_does_not_show_its_password() {
    let storage = Postgres::new().await;
    let (_, password) = storage.url.split_once("//postgres:").unwrap();
    let (password, _) = password.split_once('@').unwrap();
    let journal = PgJournal::connect(storage.options()).await.unwrap();
    assert!(!password.is_empty() && !format!("{journal:?}").contains(password));
}

#[tokio::test]
async fn who_owns_a_shard_is_noted_for_people() {
    let storage = Postgres::new().await;
    let options = storage.options();
    let instance = options.instance.to_string();
    let journal = PgJournal::connect(options).await.unwrap();
    drop(soon(journal.lane(2)).await.unwrap());
    let _lane = soon(journal.lane(2)).await.unwrap();
    let noted: (i32, String, i64) = sqlx::query_as("SELECT shard, instance, epoch FROM shard_owner")
        .fetch_one(&mut storage.admin().await)
        .await
        .unwrap();
    assert_eq!(noted, (2, instance, 2));
}

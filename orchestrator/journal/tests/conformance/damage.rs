//! A journal on a failing disk: pages that cannot be read cost their own sagas, and no other.

use chrono::TimeDelta;
use contract::{SagaId, saga::SagaStatus};
use journal::{Append, Appended, Figures, Filter, GivenUp, Journal, JournalError, Order, Record, Sleep};
use machine::Entry;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use uuid::Uuid;

use crate::{adapters::Postgres, fixtures::*, postgres::end_all_sessions};

/// A copy of a journal's database in which the first page of this week's piece of a table is overwritten, as by a failing disk.
/// The copy is made file by file, so nothing of it is in the server's memory yet.
async fn with_a_damaged_page(storage: &Postgres, table: &str) -> Postgres {
    let mut admin = storage.admin().await;
    let piece = AssertSqlSafe(format!("SELECT DISTINCT tableoid::regclass::text FROM {table}"));
    let piece: String = sqlx::query_scalar(piece).fetch_one(&mut admin).await.unwrap();
    let file: String =
        sqlx::query_scalar("SELECT pg_relation_filepath($1)").bind(&piece).fetch_one(&mut admin).await.unwrap();
    let original: String = sqlx::query_scalar("SELECT current_database()").fetch_one(&mut admin).await.unwrap();
    let folder: String = sqlx::query_scalar("SHOW data_directory").fetch_one(&mut admin).await.unwrap();
    end_all_sessions(&mut admin).await;
    drop(admin);
    let copy = private_servers::testing::unique("journal_damaged");
    let url = storage.url.replace(&original, &copy);
    let mut server = PgConnection::connect(&storage.url.replace(&original, "postgres")).await.unwrap();
    let copying = format!("CREATE DATABASE {copy} TEMPLATE {original} STRATEGY file_copy");
    until_copied(&mut server, copying).await;
    let oid = "SELECT oid::bigint FROM pg_database WHERE datname = $1";
    let oid: i64 = sqlx::query_scalar(oid).bind(&copy).fetch_one(&mut server).await.unwrap();
    let node = file.rsplit('/').next().unwrap();
    let path = std::path::Path::new(&folder).join("base").join(oid.to_string()).join(node);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[..8192].fill(0xdb);
    std::fs::write(&path, bytes).unwrap();
    Postgres { url }
}

/// The original may be in use for a moment yet.
async fn until_copied(server: &mut PgConnection, copying: String) {
    let server = tokio::sync::Mutex::new(server);
    until(async || {
        let mut server = server.lock().await;
        server.execute(AssertSqlSafe(copying.clone())).await.is_ok()
    })
    .await;
}

/// A saga without a parent that was given up.
const NO_CHILD: GivenUp = GivenUp { parent: None };

#[tokio::test]
async fn damaged_sagas_are_told_apart_and_hold_no_other_up() {
    let storage = Postgres::new().await;
    let journal = storage.connect().await;
    let mut lane = journal.lane(0).await.unwrap();
    let mut ids: Vec<_> = (0..300).map(|_| saga_on(0)).collect();
    ids.sort_unstable();
    let holds_until = Some(now() + TimeDelta::days(1));
    let holding = |id: &SagaId| Append { holds_until, ..start(row(*id), None) };
    commit(&mut *lane, ids.iter().map(holding).collect()).await;
    drop((lane, journal));

    let damaged = with_a_damaged_page(&storage, "saga_journal").await;
    let journal = damaged.connect().await;
    let mut lane = journal.lane(0).await.unwrap();
    let loaded = lane.load(&ids).await.unwrap();
    assert_eq!(loaded.len(), ids.len());
    let whole: Vec<_> = loaded.iter().filter_map(|one| one.as_ref().ok()).map(|stored| stored.row.id).collect();
    let lost: Vec<_> = loaded
        .iter()
        .filter_map(|one| match one {
            Err(JournalError::Damaged { saga_id, .. }) => Some(*saga_id),
            Err(other) => panic!("{other}"),
            Ok(_) => None,
        })
        .collect();
    assert!(!whole.is_empty() && !lost.is_empty(), "{} whole, {} lost", whole.len(), lost.len());
    assert!(matches!(journal.get(lost[0]).await, Err(JournalError::Damaged { .. })));
    // Their rows can be read, so they are listed; only what they hold is unknown.
    assert_eq!(journal.list(&Filter::default(), 1000).await.unwrap().sagas.len(), ids.len());
    // By hold they stand in no place, and so the others are listed and counted without them, page by page.
    let by_hold = Filter { order: Order::HoldsUntil, ..Filter::default() };
    let mut listed = Vec::new();
    let mut behind = None;
    loop {
        let page = journal.list(&Filter { behind, ..by_hold.clone() }, 100).await.unwrap();
        listed.extend(page.sagas.iter().map(|saga| saga.row.id));
        let Some(last) = page.next else { break };
        behind = last.holds_until.map(|until| (until, last.id));
    }
    listed.sort_unstable();
    assert_eq!(listed, whole);
    let soon = Filter { holds_before: Some(now() + TimeDelta::days(2)), ..Filter::default() };
    assert_eq!(journal.count(&soon, now()).await.unwrap().sagas, whole.len() as u64);
    assert!(journal.count(&Filter::default(), now()).await.unwrap().earliest_hold.is_some());

    let answers = lane.append(ids.iter().map(|id| step_on(*id, 2)).collect()).await.unwrap();
    for (id, answer) in ids.iter().zip(answers) {
        match answer {
            Appended::Committed => assert!(whole.contains(id)),
            Appended::Damaged { detail } => assert!(lost.contains(id) && detail.contains("page"), "{detail}"),
            other => panic!("{other:?}"),
        }
    }
    // One alone is told apart as well, and the session is as good as before.
    let alone = lane.append(vec![step_on(lost[0], 2)]).await.unwrap();
    assert!(matches!(alone[0], Appended::Damaged { .. }));
    // It can be given up all the same, without a record.
    let given_up = lane.abandon(lost[0], now(), vec![Entry::SagaAbandoned]).await.unwrap();
    assert_eq!((given_up, lane.given_up(lost[0]).await.unwrap()), (Some(NO_CHILD), Some(NO_CHILD)));
    let abandoned = Filter { statuses: vec![SagaStatus::Abandoned], ..Filter::default() };
    let listed = journal.list(&abandoned, 10).await.unwrap().sagas;
    assert_eq!(listed.iter().map(|listed| listed.row.id).collect::<Vec<_>>(), [lost[0]]);
    commit(&mut *lane, vec![start(row(saga_on(0)), Some("key"))]).await;
}

#[tokio::test]
async fn a_takeover_gets_around_rows_that_cannot_be_read() {
    let storage = Postgres::new().await;
    let journal = storage.connect().await;
    let (mut lane, mut neighbor) = (journal.lane(0).await.unwrap(), journal.lane(1).await.unwrap());
    let mut ids: Vec<_> = (0..700).map(|_| saga_on(0)).collect();
    ids.sort_unstable();
    // A few of the first ones have ended, one sleeps, and one belongs to another shard.
    let (ended, asleep, foreign) = (&ids[..5], ids[5], saga_on(1));
    commit(&mut *neighbor, vec![start(row(foreign), None)]).await;
    commit(&mut *lane, ids.iter().map(|id| start(row(*id), None)).collect()).await;
    let end = |id: &SagaId| Append {
        record: Record { entries: vec![Entry::SagaCompleted], ..record(2) },
        ..status_on(*id, 2, SagaStatus::Completed, None)
    };
    let sleep = Sleep::Asleep { status: SagaStatus::Running, wake_at: None };
    let ends = ended.iter().map(end).chain([Append { sleep, ..step_on(asleep, 2) }]);
    commit(&mut *lane, ends.collect()).await;
    let first_page = "SELECT id FROM saga WHERE ctid < '(1,0)' AND shard = 0 AND finished_at IS NULL ORDER BY id";
    let first_page: Vec<Uuid> = sqlx::query_scalar(first_page).fetch_all(&mut storage.admin().await).await.unwrap();
    assert!(first_page.len() > 10 && first_page.contains(&asleep.uuid()), "{}", first_page.len());
    drop((lane, neighbor, journal));

    let damaged = with_a_damaged_page(&storage, "saga").await;
    let journal = damaged.connect().await;
    let mut lane = journal.lane(0).await.unwrap();
    let awake = lane.awake().await.unwrap();
    // The storage cannot tell whether the sleeper is awake, so it is among them.
    assert_eq!(awake, ids[5..], "{} of {}", awake.len(), ids.len());
    let mut lost = Vec::new();
    for one in lane.load(&awake).await.unwrap() {
        match one {
            Ok(_) => {}
            Err(JournalError::Damaged { saga_id, .. }) => lost.push(saga_id.uuid()),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(lost, first_page);
    let first = SagaId::from_uuid(lost[0]);
    let refused = lane.abandon(first, now(), vec![Entry::SagaAbandoned]).await;
    assert!(matches!(refused, Err(JournalError::Damaged { .. })), "{refused:?}");
    assert_eq!(lane.given_up(first).await.unwrap(), None);
    // The others go on, to their ends too.
    let newcomer = saga_on(0);
    commit(&mut *lane, vec![step_on(ids[300], 2), end(&ids[400]), start(row(newcomer), Some("key"))]).await;
    drop((lane, journal));

    // Where the records of some of them cannot be read either, they are not found, and the others still are.
    let journal = with_a_damaged_page(&damaged, "saga_journal").await.connect().await;
    let awake = journal.lane(0).await.unwrap().awake().await.unwrap();
    let readable = ids[5..].iter().filter(|id| !lost.contains(&id.uuid()) && **id != ids[400]).chain([&newcomer]);
    let missed: Vec<_> = readable.filter(|id| !awake.contains(id)).collect();
    assert!(missed.is_empty(), "{missed:?}");
    assert!(awake.len() < ids.len(), "{}", awake.len());
}

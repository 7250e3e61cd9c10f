//! Old weeks leave the journal: exported whole, and dropped; what is open stays.

use std::{fs::File, io::Read as _, path::Path};

use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    SagaId,
    orchestrator_api::{AUDIT_HASH_NONE, AuditFact, AuditHead, AuditRecord, RetiredState, find_break},
    saga::SagaStatus,
};
use flate2::read::GzDecoder;
use journal::{Append, Filter, Journal, PgJournal, PgJournalOptions, Retention as _, RetireError};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    adapters::{Postgres, SHARDS},
    fixtures::*,
};

/// A time whose week is over for long.
fn long_ago() -> DateTime<Utc> {
    now() - TimeDelta::days(200)
}

fn older_than_100_days() -> DateTime<Utc> {
    now() - TimeDelta::days(100)
}

fn saga_of(at: DateTime<Utc>, number: u128) -> SagaId {
    let ms = u128::try_from(at.timestamp_millis()).unwrap();
    SagaId::from_uuid(Uuid::from_u128(ms << 80 | 0x7000_8000_0000_0000_0000 | number << 16)).placed_on(0, SHARDS)
}

/// A process that made the pieces of that week while it was the present one.
async fn process_since(storage: &Postgres, at: DateTime<Utc>) -> std::sync::Arc<PgJournal> {
    PgJournal::connect(PgJournalOptions { now: at, ..storage.options() }).await.unwrap()
}

fn started_then(at: DateTime<Utc>, number: u128, key: &str) -> Append {
    let mut row = row(saga_of(at, number));
    (row.created_at, row.updated_at) = (at, at);
    row.attributes = "departs_on:2026-12-24".parse().unwrap();
    start(row, Some(key))
}

fn lines(folder: &Path, name: &str) -> Vec<Value> {
    let mut text = String::new();
    GzDecoder::new(File::open(folder.join(name)).unwrap()).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn listed(journal: &PgJournal) -> Vec<SagaId> {
    journal.list(&Filter::default(), 100).await.unwrap().sagas.into_iter().map(|saga| saga.row.id).collect()
}

fn acted(at: DateTime<Utc>) -> AuditFact {
    AuditFact {
        at,
        actor: "usr_1".to_owned(),
        role: "operator".to_owned(),
        request_id: "req_1".to_owned(),
        act: "cancel".to_owned(),
        target: "saga_1".to_owned(),
        reason: "because".to_owned(),
        outcome: "done".to_owned(),
        answers: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_week_is_exported_and_dropped_and_its_open_sagas_go_on() {
    let (storage, folder) = (Postgres::new().await, tempfile::tempdir().unwrap());
    let at = long_ago();
    let writer = process_since(&storage, at).await;
    let mut lane = writer.lane(0).await.unwrap();
    let [ended, open, stuck] = [1, 2, 3].map(|number| saga_of(at, number));
    let started = [1, 2, 3].map(|number| started_then(at, number, &format!("k-{number}")));
    commit(&mut *lane, started.into()).await;
    commit(&mut *lane, vec![step_on(ended, 2), step_on(open, 2)]).await;
    commit(&mut *lane, vec![status_on(ended, 3, SagaStatus::Completed, None)]).await;
    commit(&mut *lane, vec![status_on(stuck, 2, SagaStatus::NeedsAttention, Some("hold-rooms/sold_out"))]).await;
    for fact in [acted(at), acted(at), acted(now())] {
        writer.audit(&fact).await.unwrap();
    }
    let one = writer.export(ended).await.unwrap().unwrap();

    // Another process retires; the one that writes learns of it by its next append.
    let journal = storage.connect().await;
    let retired = journal.retire(older_than_100_days(), folder.path()).await.unwrap();
    assert!(retired >= 1);
    assert_eq!(journal.retire(older_than_100_days(), folder.path()).await.unwrap(), 0, "once");
    let weeks = journal.retired(100).await.unwrap();
    assert!(weeks.iter().all(|week| week.state == RetiredState::Dropped));
    let first = weeks.last().unwrap();
    assert_eq!(first.sagas, 1);

    let exported = lines(folder.path(), first.saga_file.as_ref().unwrap());
    assert_eq!(exported, [serde_json::from_str::<Value>(&one).unwrap()], "as a saga is exported alone");
    let records = exported[0]["records"].as_array().unwrap();
    assert_eq!((exported[0]["id"].clone(), exported[0]["status"].clone()), (json!(ended), json!("completed")));
    let numbers: Vec<_> = records.iter().map(|record| record["seq"].clone()).collect();
    assert_eq!(numbers, [json!(1), json!(2), json!(3)]);
    assert!(records[0]["entries"].to_string().contains("hold-rooms"), "{}", records[0]);
    assert_eq!(exported[0]["attributes"], json!({ "departs_on": "2026-12-24" }));
    assert_eq!(listed(&journal).await, [stuck, open]);
    let with_the_attribute: Vec<Uuid> = sqlx::query_scalar("SELECT saga_id FROM saga_attribute ORDER BY saga_id")
        .fetch_all(&mut storage.admin().await)
        .await
        .unwrap();
    assert_eq!(with_the_attribute, [open.uuid(), stuck.uuid()], "they stay with their sagas");
    assert_eq!(journal.find_start("order", "k-1").await.unwrap(), None, "a key lives as long as its saga");
    assert_eq!(journal.find_start("order", "k-2").await.unwrap().unwrap().saga_id, open);

    // The whole chain of the time is in the file, and no row more.
    let rows = lines(folder.path(), first.audit_file.as_ref().unwrap());
    let rows: Vec<AuditRecord> = rows.into_iter().map(|row| serde_json::from_value(row).unwrap()).collect();
    let (begin, head) = (AuditHead { number: 0, hash: AUDIT_HASH_NONE.to_owned() }, rows.last().unwrap());
    assert_eq!(head.number, 2);
    let head = AuditHead { number: head.number, hash: head.hash.clone() };
    assert_eq!(find_break(&begin, &rows, &head, true), None);
    assert_eq!(journal.audit_head().await.unwrap().number, 3, "the log keeps its rows");

    commit(&mut *lane, vec![step_on(open, 3)]).await;
    commit(&mut *lane, vec![status_on(open, 4, SagaStatus::Compensated, None)]).await;
    let loaded = journal.get(open).await.unwrap().unwrap();
    assert_eq!((loaded.records.len(), loaded.row.status), (4, SagaStatus::Compensated));

    // What has ended since leaves with the next week.
    journal.retire(now() + TimeDelta::days(60), folder.path()).await.unwrap();
    assert_eq!(listed(&journal).await, [stuck]);
    let late: Vec<_> = journal.retired(100).await.unwrap().into_iter().filter(|week| week.sagas > 0).collect();
    let exported = lines(folder.path(), late[0].saga_file.as_ref().unwrap());
    assert_eq!(exported[0]["id"], json!(open));
    assert_eq!(exported[0]["records"].as_array().unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_export_drops_nothing_and_is_gone_on_with_where_it_stood() {
    let (storage, folder) = (Postgres::new().await, tempfile::tempdir().unwrap());
    let at = long_ago();
    let writer = process_since(&storage, at).await;
    let mut lane = writer.lane(0).await.unwrap();
    let ended = saga_of(at, 1);
    commit(&mut *lane, vec![started_then(at, 1, "k-1")]).await;
    commit(&mut *lane, vec![status_on(ended, 2, SagaStatus::Completed, None)]).await;

    // A file stands where the folder should be.
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let failed = writer.retire(older_than_100_days(), &file).await.unwrap_err();
    assert!(matches!(failed, RetireError::File { .. }), "{failed}");
    let weeks = writer.retired(100).await.unwrap();
    assert_eq!((weeks.len(), weeks[0].state), (1, RetiredState::Detached), "only the first was begun");
    assert!(writer.find_start("order", "k-1").await.unwrap().is_some());

    // The next attempt died when its file was half written.
    let name = format!("sagas-{}.jsonl.gz", weeks[0].week);
    std::fs::write(folder.path().join(format!("{name}.partial")), "half").unwrap();
    drop(lane);
    let successor = storage.connect().await;
    assert!(successor.retire(older_than_100_days(), folder.path()).await.unwrap() >= 1);
    assert_eq!(lines(folder.path(), &name)[0]["id"], json!(ended));
    assert!(!folder.path().join(format!("{name}.partial")).exists());
    assert_eq!(successor.find_start("order", "k-1").await.unwrap(), None);
    let again = successor.prepare(at).await;
    assert!(again.is_ok(), "the pieces of a week that is gone can be made again: {again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_the_tables_puts_a_retirement_off() {
    use sqlx::{Connection as _, Executor as _};

    let (storage, folder) = (Postgres::new().await, tempfile::tempdir().unwrap());
    let journal = process_since(&storage, long_ago()).await;
    let mut reader = storage.admin().await;
    let mut reading = reader.begin().await.unwrap();
    reading.execute("SELECT count(*) FROM saga").await.unwrap();
    let put_off = journal.retire(older_than_100_days(), folder.path()).await.unwrap_err();
    assert!(matches!(put_off, RetireError::Journal(_)), "{put_off}");
    assert_eq!(journal.retired(100).await.unwrap(), []);
    reading.rollback().await.unwrap();
    assert!(journal.retire(older_than_100_days(), folder.path()).await.unwrap() >= 1);
}

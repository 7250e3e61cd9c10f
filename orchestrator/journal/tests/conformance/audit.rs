//! The audit log: one order for all writers, and a chain that shows what is done to it.

use std::sync::Arc;

use contract::orchestrator_api::{AUDIT_HASH_NONE, AuditFact, AuditHead, find_break};
use journal::{AuditFilter, Journal};
use sqlx::Executor;

use crate::{
    adapters::{Postgres, Storage},
    fixtures::*,
};

fn fact(actor: &str) -> AuditFact {
    AuditFact {
        at: now(),
        actor: actor.to_owned(),
        role: "operator".to_owned(),
        request_id: "req_1".to_owned(),
        act: "cancel".to_owned(),
        target: "saga_1".to_owned(),
        reason: "because".to_owned(),
        outcome: "done".to_owned(),
        answers: None,
    }
}

/// The first row that breaks the chain.
async fn broken_at(journal: &dyn Journal) -> Option<u64> {
    let start = AuditHead { number: 0, hash: AUDIT_HASH_NONE.to_owned() };
    let head = journal.audit_head().await.unwrap();
    let rows = journal.audit_from(0, 100).await.unwrap();
    find_break(&start, &rows, &head, true).map(|broken| broken.number)
}

pub(crate) async fn writers_in_several_processes_make_one_chain(storage: &dyn Storage) {
    let mut writing = tokio::task::JoinSet::new();
    for writer in 0..3 {
        let journal = storage.process().await;
        writing.spawn(async move {
            for _ in 0..5 {
                journal.audit(&fact(&format!("usr_{writer}"))).await.unwrap();
            }
        });
    }
    while let Some(written) = writing.join_next().await {
        written.unwrap();
    }
    let journal: Arc<dyn Journal> = storage.process().await;
    assert_eq!(journal.audit_head().await.unwrap().number, 15);
    assert_eq!(broken_at(&*journal).await, None);
    let filter = AuditFilter { actor: Some("usr_1".to_owned()), ..AuditFilter::default() };
    let newest = journal.audit_list(&filter, None, 2).await.unwrap();
    let older = journal.audit_list(&filter, Some(newest[1].number), 10).await.unwrap();
    assert_eq!((newest.len(), older.len()), (2, 3));
    assert!(newest[0].number > newest[1].number && newest[1].number > older[0].number);
}

#[tokio::test]
async fn a_row_that_is_altered_or_taken_away_by_sql_is_named() {
    let storage = Postgres::new().await;
    let journal = storage.connect().await;
    for _ in 0..5 {
        journal.audit(&fact("usr_1")).await.unwrap();
    }
    assert_eq!(broken_at(&*journal).await, None);
    let mut admin = storage.admin().await;
    let refused = admin.execute("UPDATE audit_log SET reason = 'another' WHERE number = 3").await.unwrap_err();
    assert!(refused.to_string().contains("only appended to"), "{refused}");
    admin.execute("ALTER TABLE audit_log DISABLE TRIGGER audit_log_stays").await.unwrap();
    admin.execute("UPDATE audit_log SET reason = 'another' WHERE number = 3").await.unwrap();
    assert_eq!(broken_at(&*journal).await, Some(3));
    admin.execute("UPDATE audit_log SET reason = 'because' WHERE number = 3").await.unwrap();
    assert_eq!(broken_at(&*journal).await, None);
    admin.execute("DELETE FROM audit_log WHERE number >= 4").await.unwrap();
    assert_eq!(broken_at(&*journal).await, Some(4), "the last rows are missed too");
}

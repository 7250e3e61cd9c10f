//! `export`, `exports`, and the chain of the audit log in files.

use std::{fs::File, io::Write as _, path::Path};

use contract::{
    orchestrator_api::{AUDIT_HASH_NONE, AuditFact, AuditHead, AuditRecord, next_row},
    saga::SagaStatus,
};
use flate2::{Compression, write::GzEncoder};

use crate::{
    door::{Door, saga_id, view},
    run::Sagactl,
};

#[tokio::test]
async fn a_saga_is_printed_as_the_server_wrote_it() {
    let door = Door::open().await;
    let id = door.add(view(1, SagaStatus::Completed)).to_string();
    let one = Sagactl::at(&door, &["export", &id]).run().await;
    assert_eq!(one.stdout, format!("{{\"id\" : \"{id}\", \"records\" : [{{\"seq\" : 1}}]}}\n"), "{}", one.stderr);
    let some = Sagactl::at(&door, &["export", &id, &saga_id(2).to_string()]).run().await;
    assert_eq!((some.code, some.stdout.lines().count()), (5, 1), "{}", some.stderr);
}

#[tokio::test]
async fn the_weeks_that_left_the_journal_are_listed() {
    let door = Door::open().await;
    let listed = Sagactl::at(&door, &["exports"]).run().await;
    assert_eq!(listed.code, 0, "{}", listed.stderr);
    insta::assert_snapshot!("exports", listed.stdout);
}

fn rows(count: u64) -> Vec<AuditRecord> {
    let mut head = AuditHead { number: 0, hash: AUDIT_HASH_NONE.to_owned() };
    let mut rows = Vec::new();
    for number in 0..count {
        let row = next_row(&head, &fact(number));
        head = AuditHead { number: row.number, hash: row.hash.clone() };
        rows.push(row);
    }
    rows
}

fn fact(number: u64) -> AuditFact {
    AuditFact {
        at: "2026-12-01T08:00:00Z".parse().unwrap(),
        actor: "usr_1".to_owned(),
        role: "operator".to_owned(),
        request_id: format!("req_{number}"),
        act: "cancel".to_owned(),
        target: "saga_1".to_owned(),
        reason: "because".to_owned(),
        outcome: "done".to_owned(),
        answers: None,
    }
}

fn write(folder: &Path, name: &str, rows: &[AuditRecord]) -> String {
    let path = folder.join(name);
    let mut file = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
    for row in rows {
        writeln!(file, "{}", serde_json::to_string(row).unwrap()).unwrap();
    }
    file.finish().unwrap();
    path.to_string_lossy().into_owned()
}

#[tokio::test]
async fn the_chain_is_followed_through_files_and_whatever_was_done_to_them_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let rows = rows(5);
    let first = write(folder.path(), "1.gz", &rows[..3]);
    let second = write(folder.path(), "2.gz", &rows[3..]);
    let whole = Sagactl::new(&["audit", "verify-export", &first, &second]).run().await;
    let head = format!("5 rows follow each other; head 5:{}\n", rows[4].hash);
    assert_eq!((whole.code, whole.stdout), (0, head), "{}", whole.stderr);
    let part = Sagactl::new(&["audit", "verify-export", &second, "-o", "ids"]).run().await;
    assert_eq!((part.code, part.stdout.as_str()), (0, "5\n"), "{}", part.stderr);

    let mut altered = rows[3..].to_vec();
    altered[0].fact.reason = "another".to_owned();
    let altered = write(folder.path(), "altered.gz", &altered);
    let short = write(folder.path(), "short.gz", &rows[..2]);
    for (files, row) in [([&first, &altered], "row 4"), ([&short, &second], "row 3"), ([&second, &first], "row 6")] {
        let broken = Sagactl::new(&["audit", "verify-export", files[0], files[1]]).run().await;
        assert_eq!((broken.code, broken.stdout.as_str()), (1, ""), "{files:?}");
        assert!(broken.stderr.contains(row), "{}", broken.stderr);
    }
}

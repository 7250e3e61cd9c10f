//! The chain of the audit log: the hash of a row, and the check of rows that follow each other. It belongs to the contract
//! because an export is checked by programs that have no journal.

use chrono::{DateTime, SecondsFormat, SubsecRound as _, Utc};
use sha2::{Digest as _, Sha256};

use super::{AuditBreak, AuditFact, AuditHead, AuditRecord};

/// The row that follows `head`. Times are kept to the microsecond, as the database keeps them.
#[must_use]
pub fn next_row(head: &AuditHead, fact: &AuditFact) -> AuditRecord {
    let fact = AuditFact { at: fact.at.trunc_subsecs(6), ..fact.clone() };
    let number = head.number + 1;
    let hash = hash(number, &fact, &head.hash);
    AuditRecord { number, fact, previous_hash: head.hash.clone(), hash }
}

/// Checks that `rows` follow `before` without a gap and lead to `head`, which was read before them. `last` says that no
/// row follows them.
#[must_use]
pub fn find_break(before: &AuditHead, rows: &[AuditRecord], head: &AuditHead, last: bool) -> Option<AuditBreak> {
    let broken = |number, detail: &str| Some(AuditBreak { number, detail: detail.to_owned() });
    let (mut number, mut previous) = (before.number, before.hash.as_str());
    for row in rows {
        number += 1;
        if row.number != number {
            return broken(number, "the row is missing");
        }
        if row.previous_hash != previous {
            return broken(number, "it does not follow the row before it");
        }
        if hash(row.number, &row.fact, &row.previous_hash) != row.hash {
            return broken(number, "it was altered: its hash is that of another content");
        }
        if number == head.number && row.hash != head.hash {
            return broken(number, "it is not the row that is noted as the log's last");
        }
        previous = &row.hash;
    }
    if last && number < head.number { broken(number + 1, "the row is missing from the end of the log") } else { None }
}

/// SHA-256 over the texts of a row, each as a netstring (`<bytes>:<text>,`), so that no two rows have the same form.
fn hash(number: u64, fact: &AuditFact, previous_hash: &str) -> String {
    let AuditFact { at, actor, role, request_id, act, target, reason, outcome, answers } = fact;
    let (number, at) = (number.to_string(), time(*at));
    let answers = answers.map(|number| number.to_string()).unwrap_or_default();
    let mut digest = Sha256::new();
    for text in [previous_hash, &number, &at, actor, role, request_id, act, target, reason, outcome, answers.as_str()] {
        digest.update(format!("{}:{text},", text.len()));
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orchestrator_api::AUDIT_HASH_NONE;

    fn rows() -> (AuditHead, Vec<AuditRecord>, AuditHead) {
        let start = AuditHead { number: 0, hash: AUDIT_HASH_NONE.to_owned() };
        let mut head = start.clone();
        let mut rows = Vec::new();
        for number in 1..=4 {
            let fact = AuditFact {
                at: DateTime::from_timestamp(1_800_000_000 + number, 0).unwrap_or_default(),
                actor: "usr_1".to_owned(),
                role: "operator".to_owned(),
                request_id: format!("req_{number}"),
                act: "cancel".to_owned(),
                target: "saga_1".to_owned(),
                reason: "because".to_owned(),
                outcome: "done".to_owned(),
                answers: None,
            };
            let row = next_row(&head, &fact);
            head = AuditHead { number: row.number, hash: row.hash.clone() };
            rows.push(row);
        }
        (start, rows, head)
    }

    fn broken_at(rows: &[AuditRecord]) -> Option<u64> {
        let (start, _, head) = self::rows();
        find_break(&start, rows, &head, true).map(|broken| broken.number)
    }

    #[test]
    fn the_documented_form_gives_the_hash() {
        let (_, rows, _) = rows();
        let form = format!(
            "64:{AUDIT_HASH_NONE},1:1,27:2027-01-15T08:00:01.000000Z,5:usr_1,8:operator,5:req_1,6:cancel,6:saga_1,\
             7:because,4:done,0:,"
        );
        let hash: String = Sha256::digest(form).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(rows[0].hash, hash);
    }

    #[test]
    fn whatever_is_done_to_the_rows_is_found() {
        let (_, rows, _) = rows();
        assert_eq!(broken_at(&rows), None);
        for index in 0..rows.len() {
            let mut altered = rows.clone();
            altered[index].fact.reason = "another".to_owned();
            assert_eq!(broken_at(&altered), Some(index as u64 + 1));
            let mut short = rows.clone();
            short.remove(index);
            assert_eq!(broken_at(&short), Some(index as u64 + 1), "also the last");
        }
        let mut forged = rows.clone();
        forged[1].fact.actor = "usr_2".to_owned();
        forged[1].hash = hash(2, &forged[1].fact, &forged[1].previous_hash);
        assert_eq!(broken_at(&forged), Some(3), "with its own hash made anew it no longer leads to the next");
    }
}

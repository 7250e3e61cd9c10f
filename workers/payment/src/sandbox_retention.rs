//! The sandbox remembers its answers for as long as the inbox remembers the commands that asked, and what it has given
//! back for as long.

use worker_runtime::{Retention, limits::INBOX_RETENTION};

/// Answers, and how often each was tried.
pub(crate) const OPERATIONS: Retention = Retention {
    rows: "operations of the sandbox",
    kept_for: INBOX_RETENTION,
    batch_rows_max: 1_000,
    delete: "WITH old AS MATERIALIZED (
                 SELECT key FROM sandbox.operation WHERE at < $1 ORDER BY at LIMIT $2
             ), tries AS (
                 DELETE FROM sandbox.try WHERE key IN (SELECT key FROM old)
             )
             DELETE FROM sandbox.operation WHERE key IN (SELECT key FROM old)",
};

/// Charges that were given back, when no answer names them any more.
pub(crate) const CHARGES: Retention = Retention {
    rows: "ended charges of the sandbox",
    kept_for: INBOX_RETENTION,
    batch_rows_max: 1_000,
    delete: "DELETE FROM sandbox.charge WHERE reference IN (
                 SELECT reference FROM sandbox.charge c
                 WHERE status IN ('voided', 'refunded') AND capture_before < $1
                   AND NOT EXISTS (SELECT FROM sandbox.operation o WHERE o.reference = c.reference)
                 ORDER BY capture_before LIMIT $2
             )",
};

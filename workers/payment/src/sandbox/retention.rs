//! The sandbox remembers what is over for as long as the inbox remembers the commands that asked.

use worker_runtime::{Retention, limits::INBOX_RETENTION};

/// The operations that were tried.
pub(crate) const TRIES: Retention = Retention {
    rows: "tries of the sandbox",
    kept_for: INBOX_RETENTION,
    batch_rows_max: 1_000,
    delete: "DELETE FROM sandbox.try WHERE operation IN (
                 SELECT operation FROM sandbox.try WHERE at < $1 ORDER BY at LIMIT $2
             )",
};

/// Charges that are over.
pub(crate) const CHARGES: Retention = Retention {
    rows: "ended charges of the sandbox",
    kept_for: INBOX_RETENTION,
    batch_rows_max: 1_000,
    delete: "DELETE FROM sandbox.charge WHERE reference IN (
                 SELECT reference FROM sandbox.charge
                 WHERE status IN ('voided', 'refunded', 'failed') AND updated_at < $1 ORDER BY updated_at LIMIT $2
             )",
};

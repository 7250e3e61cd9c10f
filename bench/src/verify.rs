//! The truths after a run, by SQL: every saga ended as it had to, in every database.

use anyhow::{Result, ensure};
use sqlx::{Connection, PgConnection};

/// Checks all sagas of the benchmark. `url` gives the address of a database.
pub(crate) async fn check(url: impl Fn(&str) -> String) -> Result<()> {
    let mut journal = PgConnection::connect(&url("sojourn_orchestrator")).await?;
    let (completed, compensated, other): (i64, i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE status = 'completed'), count(*) FILTER (WHERE status = 'compensated'),
                count(*) FILTER (WHERE status NOT IN ('completed', 'compensated'))
         FROM saga WHERE fingerprint <> 'history'",
    )
    .fetch_one(&mut journal)
    .await?;
    ensure!(other == 0, "{other} sagas did not end");
    let expected = [
        ("sojourn_order", [("confirmed", completed), ("rejected", compensated)]),
        ("sojourn_accommodation", [("held", completed), ("released", compensated)]),
        ("sojourn_payment", [("authorized", completed), ("voided", 0)]),
    ];
    for (database, counts) in expected {
        let mut connection = PgConnection::connect(&url(database)).await?;
        for (status, count) in counts {
            // The floor's rows have an entry in its own inbox, the orchestrated ones have not.
            let found: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM bench_row r WHERE status = $1
                 AND NOT EXISTS (SELECT FROM bench_inbox i WHERE i.saga_id = r.saga_id)",
            )
            .bind(status)
            .fetch_one(&mut connection)
            .await?;
            ensure!(found == count, "{database} has {found} rows that are {status}; the journal says {count}");
        }
    }
    Ok(())
}

//! A journal that is old: a given number of finished sagas, written straight into it, so that a run can tell whether
//! history costs anything.

use anyhow::Result;
use sqlx::{Connection, PgConnection};

/// Rows of one statement.
const CHUNK: i64 = 50_000;

/// Writes `sagas` finished sagas of the last days, each with the journal that the benchmark's own sagas leave, and lets
/// PostgreSQL tidy up as it would have over time.
pub(crate) async fn fill(database_url: &str, sagas: i64) -> Result<()> {
    let mut journal = PgConnection::connect(database_url).await?;
    let mut done = 0;
    while done < sagas {
        let chunk = CHUNK.min(sagas - done);
        // An id as the orchestrator makes them: 48 bits of milliseconds, version 7, variant 2, random bits.
        sqlx::query(
            "WITH made AS MATERIALIZED (
                 SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - ($1 + n) * 20), 12, '0')
                         || '7' || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid AS id,
                        now() - interval '20 milliseconds' * ($1 + n) AS at
                 FROM generate_series(1, $2) n
             ), rows AS (
                 INSERT INTO saga (id, name, version, fingerprint, shard, status, business_key, created_at, updated_at, finished_at)
                 SELECT id, 'bench', 1, 'history', 0, 'completed', id::text, at, at, at FROM made
             ), starts AS (
                 INSERT INTO saga_start (name, key, saga_id, business_key, fingerprint, created_at)
                 SELECT 'bench', id::text, id, id::text, id::text, at FROM made
             )
             INSERT INTO saga_journal (saga_id, seq, at, entries)
             SELECT id, seq, at, json_build_array(json_build_object('entry', 'history', 'filler', repeat('x', 300)))
             FROM made, generate_series(1, 5) seq",
        )
        .bind(done)
        .bind(chunk)
        .execute(&mut journal)
        .await?;
        done += chunk;
    }
    sqlx::query("VACUUM ANALYZE saga, saga_journal, saga_start").execute(&mut journal).await?;
    sqlx::query("CHECKPOINT").execute(&mut journal).await?;
    Ok(journal.close().await?)
}

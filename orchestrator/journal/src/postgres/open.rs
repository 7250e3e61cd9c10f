//! A page of the open sagas of a shard, and which of them sleep: what a lane compares with its own memory.

use chrono::{DateTime, Utc};
use contract::SagaId;
use sqlx::PgConnection;
use uuid::Uuid;

use super::session::{Meaning, meaning};
use crate::port::OpenSaga;

/// The literal words let the partial index over open sagas be used.
const PAGE: &str = "\
SELECT s.id, z.saga_id IS NOT NULL, z.wake_at FROM saga s LEFT JOIN saga_sleep z ON z.saga_id = s.id \
WHERE s.shard = $1 AND s.status IN ('running', 'compensating', 'needs_attention') AND s.id > $2 \
ORDER BY s.id LIMIT $3";

/// The open sagas behind `after`, in the order of their ids. Nothing where the storage cannot read them: a takeover
/// finds such sagas another way.
pub(super) async fn page(
    connection: &mut PgConnection,
    shard: u16,
    after: Option<SagaId>,
    limit: u32,
) -> Result<Vec<OpenSaga>, sqlx::Error> {
    let query = sqlx::query_as(PAGE).bind(i32::from(shard)).bind(after.map_or(Uuid::nil(), SagaId::uuid));
    let rows: Vec<(Uuid, bool, Option<DateTime<Utc>>)> = match query.bind(i64::from(limit)).fetch_all(connection).await
    {
        Err(error) if meaning(&error) == Meaning::Damaged => {
            tracing::error!(shard, %error, "the open sagas cannot be compared with those of the lane");
            Vec::new()
        }
        found => found?,
    };
    let open = |(id, asleep, wake_at)| OpenSaga { saga_id: SagaId::from_uuid(id), asleep, wake_at };
    Ok(rows.into_iter().map(open).collect())
}

//! The sagas of which a failing disk does not tell until when they hold something. A list that goes by that leaves them out, and
//! shows the others.

use sqlx::{PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use super::{
    list_query::push_candidates,
    session::{Meaning, meaning},
};
use crate::port::Filter;

/// The holds of some sagas. They are counted, so that each is read.
const HOLDS: &str = "\
SELECT count(hold.holds_until) FROM unnest($1::uuid[]) AS candidate(id) LEFT JOIN LATERAL ( \
    SELECT j.holds_until FROM saga_journal j WHERE j.saga_id = candidate.id ORDER BY j.seq DESC LIMIT 1) AS hold ON true";

/// Sagas in one look: a page of the journal holds the records of a few dozen, and a look that fails is made again by halves.
const SAGAS_MAX: usize = 512;

/// Looks that may fail: as for a takeover, more is a broken disk.
const FAILURES_MAX: usize = 4_096;

/// Those of the sagas of a list by hold whose holds cannot be read.
pub(super) async fn find(connection: &mut PgConnection, filter: &Filter) -> Result<Vec<Uuid>, sqlx::Error> {
    let mut query = QueryBuilder::<Postgres>::new("SELECT id");
    push_candidates(&mut query, filter);
    let candidates: Vec<Uuid> = query.build_query_scalar().fetch_all(&mut *connection).await?;
    let mut unread = Vec::new();
    let mut failures = 0;
    let mut parts: Vec<_> = candidates.chunks(SAGAS_MAX).collect();
    while let Some(part) = parts.pop() {
        let read = sqlx::query_scalar::<_, i64>(HOLDS).bind(part).fetch_one(&mut *connection).await;
        let Err(error) = read else { continue };
        failures += 1;
        match (meaning(&error), part) {
            (Meaning::Damaged, [id]) => unread.push(*id),
            (Meaning::Damaged, part) if failures <= FAILURES_MAX => {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
            }
            _ => return Err(error),
        }
    }
    tracing::error!(sagas = unread.len(), "holds that cannot be read are left out");
    Ok(unread)
}

//! The sagas that a new owner must load, also where a page of the table `saga` cannot be read.
//!
//! A range of ids that fails is halved, down to single sagas. Their ids come from `saga_journal`, which lies on other pages.
//! A saga that cannot be read is answered with the others: loading it tells its damage, and sets it alone aside.

use contract::SagaId;
use machine::{Entry, read_record};
use sqlx::PgConnection;
use uuid::Uuid;

use super::session::{Meaning, meaning};

/// The open sagas of a shard that do not sleep, in a range of ids. The literal words let the partial index be used.
const AWAKE: &str = "\
SELECT s.id FROM saga s WHERE s.shard = $1 AND s.status IN ('running', 'compensating', 'needs_attention') \
  AND s.id BETWEEN $2 AND $3 AND NOT EXISTS (SELECT FROM saga_sleep z WHERE z.saga_id = s.id AND z.shard = $1)";

/// The sagas in a range of ids that have a journal.
const KNOWN: &str = "\
SELECT saga_id FROM saga_journal WHERE saga_id BETWEEN $1 AND $2 AND seq = 1 ORDER BY saga_id LIMIT $3";

/// The last record of a saga.
const LAST: &str = "SELECT entries::text FROM saga_journal WHERE saga_id = $1 ORDER BY seq DESC LIMIT 1";

/// Ids in one look at what is known: a range with fewer is halved by them, a longer one by its bounds.
const KNOWN_MAX: usize = 256;

/// Ranges that may fail: a page of the table holds some forty sagas, which take a hundred. Damage beyond a few dozen pages
/// is a broken disk, and takes more than seconds to get around.
const FAILURES_MAX: usize = 4_096;

/// The low bits of an id in which a range may still differ where `saga_journal` cannot be read either: half of the random
/// ones, so that hardly two sagas lie in it.
const NARROW_BITS: u32 = 32;

/// A range of ids, both ends included.
#[derive(Debug, Clone, Copy)]
struct Range {
    low: Uuid,
    high: Uuid,
}

impl Range {
    const ALL: Self = Self { low: Uuid::nil(), high: Uuid::max() };

    /// The parts below `middle`, and from it on. It must lie above the lowest id.
    fn split(self, middle: u128) -> [Self; 2] {
        [Self { high: Uuid::from_u128(middle - 1), ..self }, Self { low: Uuid::from_u128(middle), ..self }]
    }

    /// The two halves of a range of two ids or more.
    fn halves(self) -> [Self; 2] {
        let (low, high) = (self.low.as_u128(), self.high.as_u128());
        self.split(low + (high - low) / 2 + 1)
    }

    fn is_narrow(self) -> bool {
        self.low.as_u128() >> NARROW_BITS == self.high.as_u128() >> NARROW_BITS
    }
}

/// The shard's sagas that are neither final nor asleep, oldest first, and those of which the storage cannot tell.
pub(super) async fn awake(connection: &mut PgConnection, shard: u16, shards: u16) -> Result<Vec<SagaId>, sqlx::Error> {
    let mut awake = Vec::new();
    let mut ranges = vec![Range::ALL];
    let mut failures = 0;
    while let Some(range) = ranges.pop() {
        let query = sqlx::query_scalar(AWAKE).bind(i32::from(shard)).bind(range.low).bind(range.high);
        let error = match query.fetch_all(&mut *connection).await {
            Ok(ids) => {
                let ids: Vec<Uuid> = ids;
                awake.extend(ids.into_iter().map(SagaId::from_uuid));
                continue;
            }
            Err(error) => error,
        };
        failures += 1;
        if meaning(&error) != Meaning::Damaged || failures > FAILURES_MAX {
            return Err(error);
        }
        match known(connection, range).await? {
            Known::These(ids) if ids.len() > 1 => ranges.extend(range.split(ids[ids.len() / 2].as_u128())),
            Known::These(ids) => {
                for id in ids {
                    let saga_id = SagaId::from_uuid(id);
                    if saga_id.shard(shards) == shard && !has_ended(connection, id).await? {
                        tracing::error!(%saga_id, %error, "the saga's row cannot be read");
                        awake.push(saga_id);
                    }
                }
            }
            Known::Damaged if range.is_narrow() => {
                tracing::error!(?range, %error, "nothing is known of the sagas in this range");
            }
            Known::Many | Known::Damaged => ranges.extend(range.halves()),
        }
    }
    awake.sort_unstable();
    Ok(awake)
}

/// The ids that are known in a range.
enum Known {
    /// All of them, in order.
    These(Vec<Uuid>),
    /// More than are looked at.
    Many,
    /// `saga_journal` cannot be read either.
    Damaged,
}

async fn known(connection: &mut PgConnection, range: Range) -> Result<Known, sqlx::Error> {
    let limit = i64::try_from(KNOWN_MAX + 1).unwrap_or(i64::MAX);
    let query = sqlx::query_scalar(KNOWN).bind(range.low).bind(range.high).bind(limit);
    let found: Result<Vec<Uuid>, _> = query.fetch_all(connection).await;
    match found {
        Ok(ids) if ids.len() <= KNOWN_MAX => Ok(Known::These(ids)),
        Ok(_) => Ok(Known::Many),
        Err(error) if meaning(&error) == Meaning::Damaged => Ok(Known::Damaged),
        Err(error) => Err(error),
    }
}

/// True when the journal says that the saga has ended: nobody waits for it.
async fn has_ended(connection: &mut PgConnection, id: Uuid) -> Result<bool, sqlx::Error> {
    let last: Option<String> = match sqlx::query_scalar(LAST).bind(id).fetch_optional(connection).await {
        Ok(last) => last,
        Err(error) if meaning(&error) == Meaning::Damaged => return Ok(false),
        Err(error) => return Err(error),
    };
    let entries = last.and_then(|entries| read_record(&entries).ok()).unwrap_or_default();
    let ends = |entry: &Entry| matches!(entry, Entry::SagaCompleted | Entry::SagaCompensated | Entry::SagaAbandoned);
    Ok(entries.iter().any(ends))
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Connection};

    use super::*;
    use crate::postgres::{PgJournal, PgJournalOptions};

    #[tokio::test]
    async fn open_sagas_are_found_by_their_own_small_index() {
        let url = private_servers::testing::database("journal").await;
        let options = PgJournalOptions::new(url, 1, kit::ids::instance_id(), kit::clock::system().now());
        let journal = PgJournal::connect(options).await.unwrap();
        let mut connection = PgConnection::connect_with(&journal.lanes).await.unwrap();
        let explain = sqlx::query_scalar(AssertSqlSafe(format!("EXPLAIN {AWAKE}")));
        let explain = explain.bind(0).bind(Range::ALL.low).bind(Range::ALL.high);
        let plan: Vec<String> = explain.fetch_all(&mut connection).await.unwrap();
        assert!(plan.iter().any(|line| line.contains("shard_id_idx")), "{plan:#?}");
        assert!(!plan.iter().any(|line| line.contains("Seq Scan") || line.contains("pkey on saga_2")), "{plan:#?}");
    }

    #[test]
    fn a_range_is_halved_until_it_is_narrow() {
        let mut range = Range::ALL;
        let mut halvings = 0;
        while !range.is_narrow() {
            let [low, high] = range.halves();
            assert_eq!((low.low, high.high), (range.low, range.high));
            assert_eq!(low.high.as_u128() + 1, high.low.as_u128());
            range = if halvings % 2 == 0 { low } else { high };
            halvings += 1;
        }
        assert_eq!(halvings, 96);
    }
}

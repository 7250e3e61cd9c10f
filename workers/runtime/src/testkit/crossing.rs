//! Two workers whose batches with commands of several kinds want the same rows the other way round.

use contract::envelope::CommandEnvelope;
use sqlx::{AssertSqlSafe, Executor, postgres::PgPoolOptions};

use super::{Harness, pause::wait_for};

/// Two sessions wait for locks.
const BOTH_WAIT: &str = "SELECT 2 <= (
     SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')";

/// The sessions of the workers have ended. What a session counts is surely told only at its end.
const ALONE: &str = "SELECT NOT EXISTS (
     SELECT FROM pg_stat_activity
     WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid())";

/// The end of two batches that crossed.
#[derive(Debug)]
pub struct Crossed {
    /// How often the database had to end one of two transactions that waited for each other.
    pub deadlocks: i64,
    /// How each command of each batch ended.
    pub texts: [Vec<String>; 2],
}

/// Carries out a batch in each of two workers on one database, while a third session holds the rows that `hold_up`
/// selects. The first kind of commands of each batch has to want what the second kind of the other batch wants, and the
/// second kind of each also a row of `hold_up`, which comes before that in the order of locks: so without one order for
/// the whole batch each worker holds what the other one needs.
///
/// # Panics
/// When the database does not get to the crossing.
pub async fn cross(workers: [Harness; 2], batches: [Vec<CommandEnvelope>; 2], hold_up: &str) -> Crossed {
    let options = workers[0].pool().connect_options();
    let third = PgPoolOptions::new().max_connections(1).connect_lazy_with((*options).clone());
    let mut holding = third.begin().await.expect("a transaction");
    holding.execute(AssertSqlSafe(format!("{hold_up} FOR UPDATE"))).await.expect("the rows can be locked");
    let rest = async {
        wait_for(workers[0].pool(), "both workers to wait", BOTH_WAIT).await;
        holding.commit().await.expect("the rows can be let go");
    };
    let (first, second, ()) =
        tokio::join!(workers[0].deliver_all(&batches[0]), workers[1].deliver_all(&batches[1]), rest);
    for Harness { engine, idle, .. } in workers {
        drop(idle);
        engine.bulkheads.reads.close().await;
        engine.bulkheads.jobs.close().await;
    }
    wait_for(&third, "the workers' sessions to end", ALONE).await;
    let deadlocks = sqlx::query_scalar("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()");
    let deadlocks: i64 = deadlocks.fetch_one(&third).await.expect("the database tells its deadlocks");
    Crossed { deadlocks, texts: [first, second] }
}

impl Harness {
    /// Takes the domain's order of locks away: what is left locks one kind's rows after the other's. A crossing must
    /// deadlock now, or the test of it tests nothing.
    pub fn mutate_into_locks_by_kind(&mut self) {
        self.engine.lock_order = None;
    }
}

//! The overlap of an action and its compensation (S9): the action's transaction is paused by an advisory lock, at
//! either side of its inbox row, while the compensation arrives.

use std::time::Duration;

use contract::{CommandId, command::Command};
use sqlx::{AssertSqlSafe, Executor, PgPool};

use super::{Harness, Snapshot, compensation_of};

/// The advisory lock that holds the action up.
const LOCK: i64 = 0x0050_6175_7365;

/// How often a state of the database is looked at while it is waited for, and how often at most.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// See [`LOOK_EVERY`]; together four seconds, less than a transaction may wait for a lock.
const LOOKS_MAX: u32 = 800;

/// Where the action's transaction is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseAt {
    /// The handler has run, the inbox row is not inserted yet.
    BeforeTheInboxRow,
    /// Everything is written, the commit is still to come.
    BeforeTheCommit,
}

/// What an overlap left behind.
#[derive(Debug)]
pub struct Overlap {
    /// The snapshot before.
    pub before: Vec<String>,
    /// The snapshot after.
    pub after: Vec<String>,
    /// What the action was answered.
    pub action: String,
    /// What the compensation was answered.
    pub compensation: String,
}

impl Harness {
    /// Delivers an action, pauses its transaction, delivers its compensation, and lets both go on when the
    /// compensation has either ended or waits for the action.
    ///
    /// # Panics
    /// When the database does not get to the pause.
    pub async fn overlap<A: Command, C: Command>(
        &self,
        snapshot: &Snapshot,
        at: PauseAt,
        id: &CommandId,
        action: &A,
        compensation: &C,
    ) -> Overlap {
        let before = snapshot.take(self.pool()).await;
        self.install_pause(at, id).await;
        let mut holder = self.pool().acquire().await.expect("a connection");
        holder.execute(AssertSqlSafe(format!("SELECT pg_advisory_lock({LOCK})"))).await.expect("the lock is free");

        let undo = compensation_of(id);
        let action = async { self.deliver_text(id, action).await };
        let rest = async {
            wait_for(self.pool(), "the action at its pause", WAITS_FOR_LOCK).await;
            let compensation = async { self.deliver_text(&undo, compensation).await };
            let release = async {
                wait_for(self.pool(), "the compensation, ended or waiting", UNDONE_OR_WAITING).await;
                let unlock = AssertSqlSafe(format!("SELECT pg_advisory_unlock({LOCK})"));
                holder.execute(unlock).await.expect("the lock can be let go");
            };
            tokio::join!(compensation, release).0
        };
        let (action, compensation) = tokio::join!(action, rest);
        self.remove_pause().await;
        Overlap { before, after: snapshot.take(self.pool()).await, action, compensation }
    }

    async fn install_pause(&self, at: PauseAt, id: &CommandId) {
        let saga = id.saga.uuid();
        let function = format!(
            "CREATE FUNCTION runtime.testkit_pause() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF NEW.op = 'a' AND NEW.state <> 't' AND NEW.saga_id = '{saga}' THEN
                     PERFORM pg_advisory_xact_lock_shared({LOCK});
                 END IF;
                 RETURN NEW;
             END $$"
        );
        let trigger = match at {
            PauseAt::BeforeTheInboxRow => {
                "CREATE TRIGGER testkit_pause BEFORE INSERT ON runtime.inbox
                 FOR EACH ROW EXECUTE FUNCTION runtime.testkit_pause()"
            }
            PauseAt::BeforeTheCommit => {
                "CREATE CONSTRAINT TRIGGER testkit_pause AFTER INSERT ON runtime.inbox
                 DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION runtime.testkit_pause()"
            }
        };
        self.pool().execute(AssertSqlSafe(function)).await.expect("the function can be made");
        self.pool().execute(trigger).await.expect("the trigger can be made");
        let watched = format!(
            "CREATE VIEW runtime.testkit_undo AS SELECT 1 FROM runtime.inbox WHERE op = 'c' AND saga_id = '{saga}'"
        );
        self.pool().execute(AssertSqlSafe(watched)).await.expect("the view can be made");
    }

    async fn remove_pause(&self) {
        for drop in [
            "DROP VIEW runtime.testkit_undo",
            "DROP TRIGGER testkit_pause ON runtime.inbox",
            "DROP FUNCTION runtime.testkit_pause()",
        ] {
            self.pool().execute(drop).await.expect("the pause can be removed");
        }
    }
}

/// One session waits for the advisory lock.
const WAITS_FOR_LOCK: &str = "SELECT EXISTS (SELECT FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
     WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted)";

/// The compensation has committed, or a second session waits for a lock.
const UNDONE_OR_WAITING: &str = "SELECT EXISTS (SELECT FROM runtime.testkit_undo) OR 2 <= (
     SELECT count(*) FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock')";

async fn wait_for(pool: &PgPool, what: &str, sql: &'static str) {
    for _ in 0..LOOKS_MAX {
        if sqlx::query_scalar::<_, bool>(sql).fetch_one(pool).await.expect("the state can be asked for") {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    panic!("waited in vain for {what}");
}

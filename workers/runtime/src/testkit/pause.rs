//! The overlap of an action and its compensation (S9): the transaction of the one is paused by an advisory lock, at
//! either side of its inbox row, while the other arrives.

use std::time::Duration;

use contract::{CommandId, Op, command::Command};
use sqlx::{AssertSqlSafe, Executor, PgPool};

use super::{Harness, Snapshot, compensation_of};

/// The advisory lock that holds the first of the two up.
const LOCK: i64 = 0x0050_6175_7365;

/// How often a state of the database is looked at while it is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How long it is waited for: far longer than it takes on a busy machine.
const LOOK_FOR: Duration = Duration::from_secs(60);

/// Where the first transaction is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseAt {
    /// The handler has run, the inbox row is not inserted yet.
    BeforeTheInboxRow,
    /// Everything is written, the commit is still to come.
    BeforeTheCommit,
}

/// The traces of an overlap.
#[derive(Debug)]
pub struct Overlap {
    /// The snapshot before.
    pub before: Vec<String>,
    /// The snapshot after.
    pub after: Vec<String>,
    /// The outcome of the action.
    pub action: String,
    /// The outcome of the compensation.
    pub compensation: String,
}

impl Harness {
    /// Delivers an action or its compensation (`paused` says which), pauses its transaction, delivers the other one,
    /// and lets both go on when the other one has either ended or waits for the first.
    ///
    /// # Panics
    /// When the database does not get to the pause.
    pub async fn overlap<A: Command, C: Command>(
        &self,
        snapshot: &Snapshot,
        paused: Op,
        at: PauseAt,
        id: &CommandId,
        (action, compensation): (&A, &C),
    ) -> Overlap {
        let before = snapshot.take(self.pool()).await;
        self.install_pause(paused, at, id).await;
        let mut holder = self.pool().acquire().await.expect("a connection");
        holder.execute(AssertSqlSafe(format!("SELECT pg_advisory_lock({LOCK})"))).await.expect("the lock is free");

        let undo = compensation_of(id);
        let deliver = async |op: Op| match op {
            Op::Action | Op::Extension => self.deliver_text(id, action).await,
            Op::Compensation => self.deliver_text(&undo, compensation).await,
        };
        let rest = async {
            wait_for(self.pool(), "the first at its pause", WAITS_FOR_LOCK).await;
            let release = async {
                wait_for(self.pool(), "the other one, ended or waiting", ENDED_OR_WAITING).await;
                let unlock = AssertSqlSafe(format!("SELECT pg_advisory_unlock({LOCK})"));
                holder.execute(unlock).await.expect("the lock can be let go");
            };
            tokio::join!(deliver(opposite(paused)), release).0
        };
        let (first, other) = tokio::join!(deliver(paused), rest);
        self.remove_pause().await;
        let after = snapshot.take(self.pool()).await;
        let (action, compensation) = match paused {
            Op::Action | Op::Extension => (first, other),
            Op::Compensation => (other, first),
        };
        Overlap { before, after, action, compensation }
    }

    async fn install_pause(&self, paused: Op, at: PauseAt, id: &CommandId) {
        let saga = id.saga.uuid();
        // The tombstone of an action is a row of its compensation's transaction.
        let (pauses, other) = match paused {
            Op::Action | Op::Extension => ("NEW.op = 'a' AND NEW.state <> 't'", "op = 'c'"),
            Op::Compensation => ("(NEW.op = 'c' OR NEW.state = 't')", "op = 'a' AND state <> 't'"),
        };
        // The runtime's limit on waiting for locks is not what is tested here, and a busy machine may reach it.
        let function = format!(
            "CREATE FUNCTION runtime.testkit_pause() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF {pauses} AND NEW.saga_id = '{saga}' THEN
                     PERFORM set_config('lock_timeout', '0', true);
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
            "CREATE VIEW runtime.testkit_other AS SELECT 1 FROM runtime.inbox WHERE {other} AND saga_id = '{saga}'"
        );
        self.pool().execute(AssertSqlSafe(watched)).await.expect("the view can be made");
    }

    async fn remove_pause(&self) {
        for drop in [
            "DROP VIEW runtime.testkit_other",
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

/// The other one has committed, or a second session waits for a lock.
const ENDED_OR_WAITING: &str = "SELECT EXISTS (SELECT FROM runtime.testkit_other) OR 2 <= (
     SELECT count(*) FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock')";

const fn opposite(op: Op) -> Op {
    match op {
        Op::Action | Op::Extension => Op::Compensation,
        Op::Compensation => Op::Action,
    }
}

pub(super) async fn wait_for(pool: &PgPool, what: &str, sql: &'static str) {
    let looking = async {
        while !sqlx::query_scalar::<_, bool>(sql).fetch_one(pool).await.expect("the state can be asked for") {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(LOOK_FOR, looking).await.unwrap_or_else(|_| panic!("waited in vain for {what}"));
}

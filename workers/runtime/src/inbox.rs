//! The inbox's rows in PostgreSQL: read once and written once per transaction, however many commands it holds.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use contract::{CommandId, Op, SagaId, StepName};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::{
    barrier::{InboxEntry, Known},
    erased::StoredOutcome,
    handler_error::HandlerError,
};

const OP_ACTION: i8 = b'a' as i8;
const OP_COMPENSATION: i8 = b'c' as i8;
/// A capital, because it sorts before the others: however often a hold is extended, its step's other rows are read first.
const OP_EXTENSION: i8 = b'E' as i8;
const STATE_DONE: i8 = b'd' as i8;
const STATE_REFUSED: i8 = b'r' as i8;
const STATE_TOMBSTONE: i8 = b't' as i8;
const STATE_PREPARED: i8 = b'p' as i8;

/// A row that a transaction is about to write.
#[derive(Debug, Clone)]
pub(crate) struct NewInboxEntry {
    pub(crate) id: CommandId,
    pub(crate) command: &'static str,
    pub(crate) entry: InboxEntry,
}

/// The result of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// All rows are in.
    All,
    /// Somebody else had a row first: roll back and rule anew.
    Conflict,
}

#[derive(FromRow)]
struct Row {
    saga_id: Uuid,
    step: String,
    op: i8,
    generation: i32,
    state: i8,
    outcome: Option<String>,
    prepared: Option<String>,
}

/// Reads what is known of the steps of these commands, both directions, in one statement.
pub(crate) async fn load<'a>(
    tx: &mut PgConnection,
    commands: impl Iterator<Item = &'a CommandId>,
) -> Result<Known, HandlerError> {
    let steps: BTreeSet<(Uuid, &str)> = commands.map(|id| (id.saga.uuid(), id.step.as_str())).collect();
    let (sagas, steps): (Vec<Uuid>, Vec<&str>) = steps.into_iter().unzip();
    // The subquery's limit makes it one index probe a step, however large the planner thinks the table is. The
    // latest generations come first, and nothing is ruled by a refusal as old as those beyond the limit.
    let rows = sqlx::query_as::<_, Row>(
        "SELECT i.* FROM unnest($1::uuid[], $2::text[]) AS k (saga_id, step)
         CROSS JOIN LATERAL (
             SELECT saga_id, step, op, generation, state, outcome, prepared FROM runtime.inbox
             WHERE saga_id = k.saga_id AND step = k.step
             ORDER BY saga_id DESC, step DESC, op DESC, generation DESC LIMIT 64
         ) AS i",
    )
    .bind(sagas)
    .bind(steps)
    .fetch_all(tx)
    .await?;
    let mut known = Known::default();
    for row in rows {
        let (id, entry) = row.read()?;
        known.note(id, entry);
    }
    Ok(known)
}

/// Inserts new rows in one statement. In the order of the key, so that two copies of a batch wait for each other
/// instead of deadlocking.
pub(crate) async fn insert(
    tx: &mut PgConnection,
    mut rows: Vec<NewInboxEntry>,
    now: DateTime<Utc>,
) -> Result<Written, sqlx::Error> {
    if rows.is_empty() {
        return Ok(Written::All);
    }
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    let columns = Columns::of(&rows);
    let inserted = sqlx::query(
        "INSERT INTO runtime.inbox (saga_id, step, op, generation, state, command, outcome, prepared, created_at)
         SELECT *, $9 FROM unnest(
             $1::uuid[], $2::text[], $3::\"char\"[], $4::int[], $5::\"char\"[], $6::text[], $7::text[], $8::text[]
         )",
    )
    .bind(columns.sagas)
    .bind(columns.steps)
    .bind(columns.ops)
    .bind(columns.generations)
    .bind(columns.states)
    .bind(rows.iter().map(|row| row.command).collect::<Vec<_>>())
    .bind(columns.outcomes)
    .bind(columns.prepared)
    .bind(now)
    .execute(tx)
    .await;
    match inserted {
        Ok(_) => Ok(Written::All),
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(Written::Conflict),
        Err(error) => Err(error),
    }
}

/// Turns prepared rows into recorded ones or tombstones, in one statement.
pub(crate) async fn close_prepared(
    tx: &mut PgConnection,
    mut rows: Vec<NewInboxEntry>,
) -> Result<Written, sqlx::Error> {
    if rows.is_empty() {
        return Ok(Written::All);
    }
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    let columns = Columns::of(&rows);
    let closed = sqlx::query(
        "UPDATE runtime.inbox AS i SET state = n.state, outcome = n.outcome, prepared = NULL
         FROM unnest($1::uuid[], $2::text[], $3::\"char\"[], $4::int[], $5::\"char\"[], $6::text[])
              AS n (saga_id, step, op, generation, state, outcome)
         WHERE i.saga_id = n.saga_id AND i.step = n.step AND i.op = n.op AND i.generation = n.generation
           AND i.state = 'p'",
    )
    .bind(columns.sagas)
    .bind(columns.steps)
    .bind(columns.ops)
    .bind(columns.generations)
    .bind(columns.states)
    .bind(columns.outcomes)
    .execute(tx)
    .await?;
    Ok(if closed.rows_affected() == rows.len() as u64 { Written::All } else { Written::Conflict })
}

/// The rows as arrays, a column each.
struct Columns<'a> {
    sagas: Vec<Uuid>,
    steps: Vec<&'a str>,
    ops: Vec<i8>,
    generations: Vec<i32>,
    states: Vec<i8>,
    outcomes: Vec<Option<&'a str>>,
    prepared: Vec<Option<&'a str>>,
}

impl<'a> Columns<'a> {
    fn of(rows: &'a [NewInboxEntry]) -> Self {
        Self {
            sagas: rows.iter().map(|row| row.id.saga.uuid()).collect(),
            steps: rows.iter().map(|row| row.id.step.as_str()).collect(),
            ops: rows.iter().map(|row| op_column(row.id.op)).collect(),
            generations: rows.iter().map(|row| i32::from(row.id.generation)).collect(),
            states: rows.iter().map(|row| row.entry.state()).collect(),
            outcomes: rows.iter().map(|row| row.entry.outcome()).collect(),
            prepared: rows.iter().map(|row| row.entry.prepared()).collect(),
        }
    }
}

impl InboxEntry {
    const fn state(&self) -> i8 {
        match self {
            Self::Done(_) => STATE_DONE,
            Self::Refused(_) => STATE_REFUSED,
            Self::Tombstone(_) => STATE_TOMBSTONE,
            Self::Prepared(_) => STATE_PREPARED,
        }
    }

    fn outcome(&self) -> Option<&str> {
        match self {
            Self::Done(outcome) | Self::Refused(outcome) | Self::Tombstone(outcome) => Some(&outcome.0),
            Self::Prepared(_) => None,
        }
    }

    fn prepared(&self) -> Option<&str> {
        match self {
            Self::Prepared(prepared) => Some(prepared),
            Self::Done(_) | Self::Refused(_) | Self::Tombstone(_) => None,
        }
    }
}

impl Row {
    fn read(self) -> Result<(CommandId, InboxEntry), HandlerError> {
        let place = format!(
            "runtime.inbox, row ({}, {}, {}, {})",
            self.saga_id, self.step, self.op as u8 as char, self.generation
        );
        let broken = |column: &str| HandlerError::fault(format!("{place}: column `{column}` holds what it cannot"));
        let op = match self.op {
            OP_ACTION => Op::Action,
            OP_COMPENSATION => Op::Compensation,
            OP_EXTENSION => Op::Extension,
            _ => return Err(broken("op")),
        };
        let id = CommandId {
            saga: SagaId::from_uuid(self.saga_id),
            step: StepName::new(&self.step).map_err(|_| broken("step"))?,
            op,
            generation: u16::try_from(self.generation).map_err(|_| broken("generation"))?,
        };
        let outcome = self.outcome.map(StoredOutcome);
        let entry = match (self.state, outcome, self.prepared) {
            (STATE_DONE, Some(outcome), None) => InboxEntry::Done(outcome),
            (STATE_REFUSED, Some(outcome), None) => InboxEntry::Refused(outcome),
            (STATE_TOMBSTONE, Some(outcome), None) => InboxEntry::Tombstone(outcome),
            (STATE_PREPARED, None, Some(prepared)) => InboxEntry::Prepared(prepared),
            _ => return Err(broken("state")),
        };
        Ok((id, entry))
    }
}

const fn op_column(op: Op) -> i8 {
    match op {
        Op::Action => OP_ACTION,
        Op::Compensation => OP_COMPENSATION,
        Op::Extension => OP_EXTENSION,
    }
}

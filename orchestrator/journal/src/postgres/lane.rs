//! The session that owns one shard: it waits for the shard's lock inside the server, and commits over the same
//! connection, so that losing the one means losing the other.

use std::{collections::HashSet, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use contract::{InstanceId, SagaId, orchestrator_api::Pause};
use machine::Entry;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{
    append::{Ready, write},
    awake, open,
    pauses::{self, PauseColumns},
    quarantine, reads,
    rows::SleepColumns,
    session::{CHANNEL_MEMBERS, LOCK_CLASS_SHARD, Meaning, meaning, unavailable},
    weeks::Weeks,
};
use crate::port::{Append, Appended, GivenUp, JournalError, LaneJournal, OpenSaga, Quarantined, Sleeper, Stored};

/// How long it may take to reach the server: a host that does not answer at all would else hold a lane for minutes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// After how long a wait is begun anew over a fresh connection. A server that vanished without a word would else be
/// waited for in vain; the place in the queue that is lost by it does not matter.
const WAIT_RENEWED_AFTER: Duration = Duration::from_secs(900);

/// How long a statement of a lane may take. A stall beyond it is taken for a lost server: the session is given up and
/// the shard queued for again.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// A commit beyond this is worth a line in the log.
const APPEND_SLOW: Duration = Duration::from_secs(1);

/// How often a batch that lost against another session is written again. One lane a shard makes even one rare.
const AGAIN_MAX: u32 = 3;

/// Notes the new owner for people, and makes everybody count the members: a shard often changes hands because one is
/// gone.
const NOTE_OWNER: &str = "\
WITH noted AS ( \
    INSERT INTO shard_owner (shard, instance, epoch, backend_pid, since) \
    VALUES ($1, $2, 1, pg_backend_pid(), now()) \
    ON CONFLICT (shard) DO UPDATE SET instance = excluded.instance, epoch = shard_owner.epoch + 1, \
        backend_pid = excluded.backend_pid, since = excluded.since \
) SELECT pg_notify($3, '')";

/// A write that has nothing to do with any saga.
const OTHER_WRITE: &str = "UPDATE shard_owner SET since = since WHERE shard = $1";

/// A session that owns a shard, for as long as it has its connection.
#[derive(Debug)]
pub(super) struct PgLane {
    shard: u16,
    /// The number of shards of the installation.
    shards: u16,
    connection: Option<PgConnection>,
    weeks: Weeks,
    /// Counts the reasons to look whether this session is still there.
    doubts: watch::Receiver<u64>,
    doubts_seen: u64,
}

impl PgLane {
    /// Waits until the shard is ours. Dropping the future closes the connection, and the server forgets the wait
    /// within a second.
    pub(super) async fn own(
        options: &PgConnectOptions,
        shard: u16,
        shards: u16,
        instance: InstanceId,
        weeks: Weeks,
        doubts: watch::Receiver<u64>,
    ) -> Result<Self, JournalError> {
        let failed = unavailable("waiting for a shard");
        loop {
            let connecting = timeout(CONNECT_TIMEOUT, PgConnection::connect_with(options)).await;
            let mut connection = connecting.map_err(|_| silent("connecting for a shard"))?.map_err(&failed)?;
            let doubts_seen = *doubts.borrow();
            let trying = timeout(STATEMENT_TIMEOUT, try_lock(&mut connection, shard)).await;
            let owned = trying.map_err(|_| silent("asking for a shard"))?.map_err(&failed)?;
            if !owned {
                let waiting = sqlx::query("SELECT pg_advisory_lock($1, $2)")
                    .bind(LOCK_CLASS_SHARD)
                    .bind(i32::from(shard))
                    .execute(&mut connection);
                match timeout(WAIT_RENEWED_AFTER, waiting).await {
                    Ok(locked) => locked.map_err(&failed)?,
                    Err(_) => continue,
                };
            }
            let noting = sqlx::query(NOTE_OWNER)
                .bind(i32::from(shard))
                .bind(instance.to_string())
                .bind(CHANNEL_MEMBERS)
                .execute(&mut connection);
            let noted = timeout(STATEMENT_TIMEOUT, noting).await;
            noted.map_err(|_| silent("noting the owner of a shard"))?.map_err(&failed)?;
            return Ok(Self { shard, shards, connection: Some(connection), weeks, doubts, doubts_seen });
        }
    }

    /// Runs one piece of work on the session. When the session turns out to be gone it is dropped, and so is one that
    /// does not answer in time: its lock must not outlive our use of it.
    async fn with<T>(
        &mut self,
        doing: &'static str,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, JournalError> {
        // Taken out while it works: a caller that drops this future drops the connection with it, since a statement in
        // flight may still commit, unknown to this process.
        let Some(mut connection) = self.connection.take() else {
            return Err(JournalError::OwnershipLost { shard: self.shard });
        };
        match timeout(STATEMENT_TIMEOUT, work(&mut connection)).await {
            Ok(Ok(done)) => {
                self.connection = Some(connection);
                Ok(done)
            }
            Ok(Err(error)) => {
                if meaning(&error) != Meaning::Lost {
                    self.connection = Some(connection);
                }
                Err(unavailable(doing)(error))
            }
            Err(_) => Err(silent(doing)),
        }
    }
}

#[async_trait]
impl LaneJournal for PgLane {
    fn shard(&self) -> u16 {
        self.shard
    }

    async fn append(&mut self, batch: Vec<Append>) -> Result<Vec<Appended>, JournalError> {
        let since = Instant::now();
        let (weeks, shard) = (self.weeks.clone(), self.shard);
        let append = async |connection: &mut PgConnection| append(connection, &weeks, shard, &batch).await;
        let appended = self.with("appending to the journal", append).await;
        let took = since.elapsed();
        if took > APPEND_SLOW {
            tracing::warn!(shard = self.shard, sagas = batch.len(), ?took, "a slow commit");
        }
        appended
    }

    async fn load(&mut self, ids: &[SagaId]) -> Result<Vec<Result<Stored, JournalError>>, JournalError> {
        self.with("loading sagas", async |connection| reads::load_with(connection, ids).await).await
    }

    async fn awake(&mut self) -> Result<Vec<SagaId>, JournalError> {
        let (shard, shards) = (self.shard, self.shards);
        self.with("reading the open sagas", async |connection| awake::awake(connection, shard, shards).await).await
    }

    async fn sleepers(&mut self) -> Result<Vec<Sleeper>, JournalError> {
        let shard = self.shard;
        let found =
            self.with("reading the sleeping sagas", async |connection| reads::sleepers(connection, shard).await);
        found.await?.into_iter().map(SleepColumns::into_sleeper).collect()
    }

    async fn open_sagas(&mut self, after: Option<SagaId>, limit: u32) -> Result<Vec<OpenSaga>, JournalError> {
        let shard = self.shard;
        let page = async |connection: &mut PgConnection| open::page(connection, shard, after, limit).await;
        self.with("comparing the open sagas", page).await
    }

    async fn in_quarantine(&mut self) -> Result<Vec<SagaId>, JournalError> {
        let shard = self.shard;
        self.with("reading who is left alone", async |connection| quarantine::of_shard(connection, shard).await).await
    }

    async fn pauses(&mut self) -> Result<Vec<Pause>, JournalError> {
        let found = self.with("reading pauses", async |connection| pauses::all(connection).await).await?;
        found.into_iter().map(PauseColumns::into_pause).collect()
    }

    async fn paused(&mut self) -> Result<Vec<SagaId>, JournalError> {
        let shard = self.shard;
        self.with("reading who is paused", async |connection| reads::paused(connection, shard).await).await
    }

    async fn quarantine(&mut self, sagas: &[Quarantined]) -> Result<(), JournalError> {
        let shard = self.shard;
        self.with("noting who is left alone", async |connection| quarantine::add(connection, shard, sagas).await).await
    }

    async fn abandon(
        &mut self,
        saga: SagaId,
        at: DateTime<Utc>,
        entries: Vec<Entry>,
    ) -> Result<Option<GivenUp>, JournalError> {
        let entries = machine::write_record(&entries).map_err(|error| JournalError::BrokenRow {
            table: "saga_journal",
            column: "entries",
            row: saga.to_string(),
            detail: error.to_string(),
        })?;
        let cannot_be_written = |error: &_| matches!(meaning(error), Meaning::Content | Meaning::Damaged);
        let abandon = async |connection: &mut PgConnection| {
            let with_record = quarantine::abandon(connection, saga, at, Some(&entries)).await;
            let ended = match with_record {
                // The page of its records is beyond writing; its row may not be.
                Err(error) if cannot_be_written(&error) => quarantine::abandon(connection, saga, at, None).await,
                ended => ended,
            };
            match ended {
                // Its row cannot be written either; others can.
                Err(error) if cannot_be_written(&error) => Ok(Err(reads::damaged(saga.uuid(), &error))),
                ended => ended.map(Ok),
            }
        };
        self.with("abandoning who is left alone", abandon).await?
    }

    async fn given_up(&mut self, saga: SagaId) -> Result<Option<GivenUp>, JournalError> {
        let given_up = async |connection: &mut PgConnection| match quarantine::given_up(connection, saga).await {
            Err(error) if matches!(meaning(&error), Meaning::Damaged) => Ok(None),
            found => found,
        };
        self.with("reading whether a saga was given up", given_up).await
    }

    async fn end_quarantine(&mut self, sagas: &[SagaId]) -> Result<(), JournalError> {
        self.with("noting who goes on", async |connection| quarantine::remove(connection, sagas).await).await
    }

    async fn lost(&mut self) {
        while self.connection.is_some() {
            let seen = self.doubts_seen;
            let Ok(doubts) = self.doubts.wait_for(|doubts| *doubts != seen).await.map(|doubts| *doubts) else {
                // The journal itself is gone, and this process with it.
                return std::future::pending().await;
            };
            // The server was lost over this process's other connection, or a shard has a new owner. This session is
            // asked where it stands, not taken out: a caller who drops this future keeps the session, which reads a late
            // answer before its next use.
            let Some(connection) = self.connection.as_mut() else { return };
            match timeout(STATEMENT_TIMEOUT, connection.ping()).await {
                Ok(Ok(())) => self.doubts_seen = doubts,
                Ok(Err(_)) | Err(_) => self.connection = None,
            }
        }
    }

    async fn release(mut self: Box<Self>) -> Result<(), JournalError> {
        let shard = i32::from(self.shard);
        let unlocked = self.with("giving a shard up", async |connection| {
            sqlx::query("SELECT pg_advisory_unlock($1, $2)")
                .bind(LOCK_CLASS_SHARD)
                .bind(shard)
                .execute(connection)
                .await
        });
        unlocked.await?;
        if let Some(connection) = self.connection.take() {
            connection.close().await.map_err(unavailable("closing a shard's session"))?;
        }
        Ok(())
    }
}

/// Takes the shard's lock when it is free; else tells everybody that the shard is waited for from now on.
async fn try_lock(connection: &mut PgConnection, shard: u16) -> Result<bool, sqlx::Error> {
    let owned: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1, $2)")
        .bind(LOCK_CLASS_SHARD)
        .bind(i32::from(shard))
        .fetch_one(&mut *connection)
        .await?;
    if !owned {
        sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL_MEMBERS).execute(connection).await?;
    }
    Ok(owned)
}

/// Writes a batch in one statement. What the database refuses, or cannot reach, is looked for by halves, so that one bad
/// saga cannot hold up the others, and costs them only a few statements more.
async fn append(
    connection: &mut PgConnection,
    weeks: &Weeks,
    shard: u16,
    batch: &[Append],
) -> Result<Vec<Appended>, sqlx::Error> {
    // What is not written below stays so: a second append of the same saga.
    let mut answers = vec![Appended::SeqTaken; batch.len()];
    let mut seen = HashSet::with_capacity(batch.len());
    let (mut places, mut ready) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
    for (place, append) in batch.iter().enumerate().filter(|(_, append)| seen.insert(append.saga_id)) {
        match prepare(shard, append) {
            Ok(prepared) => {
                places.push(place);
                ready.push(prepared);
            }
            Err(detail) => answers[place] = Appended::Unstorable { detail },
        }
    }
    let mut parts = Vec::new();
    if !ready.is_empty() {
        parts.push(0..ready.len());
    }
    let mut again = 0;
    let mut failed_before = None;
    while let Some(part) = parts.pop() {
        let error = match write(connection, weeks, &ready[part.clone()]).await {
            Ok(written) => {
                for (place, answer) in places[part].iter().zip(written) {
                    answers[*place] = answer;
                }
                continue;
            }
            Err(error) => error,
        };
        match meaning(&error) {
            Meaning::Content if part.len() == 1 => {
                answers[places[part.start]] = Appended::Unstorable { detail: error.to_string() };
            }
            Meaning::Damaged if part.len() == 1 && failed_before == Some(part.start) => {
                answers[places[part.start]] = Appended::Damaged { detail: error.to_string() };
            }
            // Is it this saga, or the whole storage? Another write tells; then this one has a second chance.
            Meaning::Damaged if part.len() == 1 => {
                sqlx::query(OTHER_WRITE).bind(i32::from(shard)).execute(&mut *connection).await?;
                failed_before = Some(part.start);
                parts.push(part);
            }
            Meaning::Content | Meaning::Damaged => {
                let middle = part.start + part.len() / 2;
                parts.push(middle..part.end);
                parts.push(part.start..middle);
            }
            Meaning::Again if again < AGAIN_MAX => {
                again += 1;
                parts.push(part);
            }
            Meaning::Again | Meaning::Lost | Meaning::Failed => return Err(error),
        }
    }
    Ok(answers)
}

fn prepare(shard: u16, append: &Append) -> Result<Ready<'_>, String> {
    let seq =
        i64::try_from(append.record.seq).map_err(|_| format!("{} is no number of a record", append.record.seq))?;
    let entries = machine::write_record(&append.record.entries).map_err(|error| error.to_string())?;
    let first = append.family.begun.iter().map(|child| machine::write_record(&child.record.entries));
    let begun = first.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    Ok(Ready { append, shard: i32::from(shard), seq, entries, begun })
}

/// The server said nothing in time.
fn silent(doing: &'static str) -> JournalError {
    let source = std::io::Error::new(std::io::ErrorKind::TimedOut, "the server does not answer");
    JournalError::Unavailable { doing, source: Box::new(source) }
}

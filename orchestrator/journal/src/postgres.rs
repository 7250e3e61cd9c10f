//! The journal on PostgreSQL (14 or later).
//!
//! ```text
//!  PgJournal --- reads: for people who look         one small pool a process
//!     |--------- starts: for starts by their keys   one small pool a process
//!     |--------- acts: for operators, dead letters,  one small pool a process, so that no crowd of the others keeps
//!     |          looks at the server                 them out
//!     |--------- link: who takes part              one connection a process, LISTENs
//!     `--------- lane, lane, lane                  one connection a shard: waits for the shard's lock, then holds it
//!                                                  and commits over it, so that losing one loses both
//! ```

mod append;
mod approvals;
mod audit;
mod awake;
mod dead_letters;
mod error_groups;
mod figures;
mod jobs;
mod lane;
mod link;
mod list_query;
mod open;
mod owners;
mod partitions;
mod pauses;
mod pool;
mod quarantine;
mod reads;
mod retention;
mod rows;
mod session;
mod unread_holds;
mod weeks;

use std::{fmt, path::Path, str::FromStr, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use contract::{
    ApprovalId, InstanceId, JobId, SagaId,
    orchestrator_api::{
        Approval, ApprovalDecision, ApprovalState, AuditFact, AuditHead, AuditRecord, DeadLetterView, Job, JobItem,
        JobOutcome, JobPreview, JobRefusals, JobState, Pause, PauseScope, RetiredWeek, SagaCounts, SagaFilter,
    },
};
use sqlx::{PgPool, migrate::Migrator, postgres::PgConnectOptions};
use tokio::sync::watch;

use self::{lane::PgLane, link::Link, pool::Pool, session::unavailable, weeks::Weeks};
use crate::approvals::{ApprovalAsked, ApprovalFilter, Approvals};
use crate::audit::AuditFilter;
use crate::figures::{Ended, EndedAsked, Figures, Owners};
use crate::jobs::{JobMade, JobResult, JobWork, Jobs, NewJob};
use crate::pauses::{PauseBegun, Pauses};
use crate::port::{
    Door, ErrorGroup, ErrorGroupsAsked, ExistingStart, Filter, Journal, JournalError, KeptDeadLetter, LaneJournal,
    Listing, Membership, NewDeadLetter, Ownership, Quarantined, Room, Stored,
};
use crate::retention::{Retention, RetireError};

/// The database's name where the address names none.
pub const DATABASE: &str = "sojourn_orchestrator";

/// Reading connections unless said otherwise: dashboards and status requests are small and quick.
const READ_CONNECTIONS_MAX: u32 = 4;

/// Connections that look starts up by their keys, which takes a fraction of a millisecond.
const START_CONNECTIONS_MAX: u32 = 2;

/// Connections for acts: each takes milliseconds, and few people act at a time.
const ACT_CONNECTIONS_MAX: u32 = 2;

/// `client_connection_check_interval`, by which abandoned waiters go away, came with PostgreSQL 14.
const SERVER_VERSION_MIN: i32 = 140_000;

static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/orchestrator");

/// The parts of an opened journal: address, database, shards, and this process.
#[derive(Clone)]
pub struct PgJournalOptions {
    /// The server's address. Its path names the database unless [`PgJournalOptions::database`] does.
    pub url: String,
    /// The database; made when it is missing.
    pub database: Option<String>,
    /// The number of shards; fixed when the journal is first made.
    pub shards: u16,
    /// This process, noted beside the shards that it owns.
    pub instance: InstanceId,
    /// The most connections for reads.
    pub read_connections_max: u32,
    /// Partitions are made for the weeks from here on.
    pub now: DateTime<Utc>,
}

impl PgJournalOptions {
    /// The usual ones.
    #[must_use]
    pub fn new(url: impl Into<String>, shards: u16, instance: InstanceId, now: DateTime<Utc>) -> Self {
        let read_connections_max = READ_CONNECTIONS_MAX;
        Self { url: url.into(), database: None, shards, instance, read_connections_max, now }
    }

    /// Names the database, in place of the one in the address.
    #[must_use]
    pub fn with_database(mut self, database: impl Into<String>) -> Self {
        self.database = Some(database.into());
        self
    }

    fn database_name(&self) -> Result<String, OpenJournalError> {
        if let Some(name) = &self.database {
            return Ok(name.clone());
        }
        let bad = |error: sqlx::Error| kit::postgres::OpenError::BadUrl(error.to_string());
        let options = PgConnectOptions::from_str(&self.url).map_err(bad)?;
        Ok(options.get_database().unwrap_or(DATABASE).to_owned())
    }
}

/// Without the address: it may hold a password.
impl fmt::Debug for PgJournalOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url: _, database, shards, instance, read_connections_max, now: _ } = self;
        f.debug_struct("PgJournalOptions")
            .field("database", database)
            .field("shards", shards)
            .field("instance", instance)
            .field("read_connections_max", read_connections_max)
            .finish_non_exhaustive()
    }
}

/// The reason why the journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenJournalError {
    /// The database cannot be reached, made or migrated.
    #[error(transparent)]
    Database(#[from] kit::postgres::OpenError),
    /// An older server than the journal needs.
    #[error("the journal needs PostgreSQL 14 or later, and {address} runs {version}")]
    TooOld {
        /// Host and port.
        address: String,
        /// The version that the server names.
        version: String,
    },
    /// The number of shards cannot change: every saga's id says where it belongs.
    #[error(
        "this journal was made with {stored} shards and cannot be opened with {asked}: set the number of shards to \
         {stored}, or use another database"
    )]
    ShardsDiffer {
        /// As it was made.
        stored: u16,
        /// As it was asked for.
        asked: u16,
    },
    /// No shard at all.
    #[error("a journal needs at least one shard")]
    NoShards,
    /// The journal's own tables do not answer as they should.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// The journal on PostgreSQL.
pub struct PgJournal {
    reads: Pool,
    starts: Pool,
    acts: Pool,
    /// For retiring weeks, which takes minutes.
    upkeep: Pool,
    lanes: PgConnectOptions,
    shards: u16,
    instance: InstanceId,
    link: Link,
    weeks: Weeks,
}

/// Without the connections' options: they may hold a password.
impl fmt::Debug for PgJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgJournal")
            .field("shards", &self.shards)
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

impl PgJournal {
    /// Opens the journal: makes the database when it is missing, migrates it, prepares partitions, and joins those who
    /// take part.
    ///
    /// # Errors
    /// [`OpenJournalError`] names the address (never the password) and what to do.
    pub async fn connect(options: PgJournalOptions) -> Result<Arc<Self>, OpenJournalError> {
        if options.shards == 0 {
            return Err(OpenJournalError::NoShards);
        }
        let database = options.database_name()?;
        let setup = kit::postgres::open(&options.url, &database, 1, &MIGRATOR).await?;
        let plain = kit::postgres::options(&options.url, &database)?;
        check_version(&setup, &plain).await?;
        check_shards(&setup, options.shards).await?;
        let weeks = Weeks::default();
        partitions::prepare(&setup, options.now, &weeks).await?;
        setup.close().await;

        let link = Link::join(session::link_options(&plain)).await?;
        let journal = Self {
            reads: Pool::new(session::read_options(&plain), options.read_connections_max),
            starts: Pool::new(session::read_options(&plain), START_CONNECTIONS_MAX),
            acts: Pool::new(session::read_options(&plain), ACT_CONNECTIONS_MAX),
            upkeep: Pool::new(session::read_options(&plain), 1),
            lanes: session::lane_options(&plain),
            shards: options.shards,
            instance: options.instance,
            link,
            weeks,
        };
        Ok(Arc::new(journal))
    }

    const fn pool(&self, door: Door) -> &Pool {
        match door {
            Door::Reads => &self.reads,
            Door::Acts => &self.acts,
        }
    }
}

async fn check_version(setup: &PgPool, options: &PgConnectOptions) -> Result<(), OpenJournalError> {
    let (number, version): (i32, String) =
        sqlx::query_as("SELECT current_setting('server_version_num')::integer, current_setting('server_version')")
            .fetch_one(setup)
            .await
            .map_err(unavailable("asking for the server's version"))?;
    if number < SERVER_VERSION_MIN {
        return Err(OpenJournalError::TooOld { address: kit::postgres::address(options), version });
    }
    Ok(())
}

async fn check_shards(setup: &PgPool, asked: u16) -> Result<(), OpenJournalError> {
    let doing = "reading the journal's settings";
    sqlx::query("INSERT INTO journal_setting (name, value) VALUES ('shards', $1) ON CONFLICT DO NOTHING")
        .bind(asked.to_string())
        .execute(setup)
        .await
        .map_err(unavailable(doing))?;
    let stored: String = sqlx::query_scalar("SELECT value FROM journal_setting WHERE name = 'shards'")
        .fetch_one(setup)
        .await
        .map_err(unavailable(doing))?;
    match stored.parse() {
        Ok(stored) if stored == asked => Ok(()),
        Ok(stored) => Err(OpenJournalError::ShardsDiffer { stored, asked }),
        Err(error) => Err(OpenJournalError::Journal(JournalError::BrokenRow {
            table: "journal_setting",
            column: "value",
            row: "shards".to_owned(),
            detail: format!("`{stored}` is not a number of shards: {error}"),
        })),
    }
}

#[async_trait]
impl Journal for PgJournal {
    fn shards(&self) -> u16 {
        self.shards
    }

    async fn lane(&self, shard: u16) -> Result<Box<dyn LaneJournal>, JournalError> {
        if shard >= self.shards {
            return Err(JournalError::OwnershipLost { shard });
        }
        Ok(Box::new(
            PgLane::own(&self.lanes, shard, self.shards, self.instance, self.weeks.clone(), self.link.doubts()).await?,
        ))
    }

    fn membership(&self) -> watch::Receiver<Membership> {
        self.link.membership()
    }

    async fn ownership(&self, shard: u16) -> Result<Option<Ownership>, JournalError> {
        owners::last(&mut *self.acts.acquire("looking for a shard's owner").await?, shard).await
    }

    async fn evict(&self, ownership: Ownership) -> Result<bool, JournalError> {
        owners::evict(&mut *self.acts.acquire("evicting a shard's owner").await?, ownership).await
    }

    async fn read(&self, door: Door, id: SagaId, after: u64) -> Result<Option<Stored>, JournalError> {
        reads::one(&mut *self.pool(door).acquire("loading a saga").await?, id, after).await
    }

    async fn list(&self, filter: &Filter, limit: u32) -> Result<Listing, JournalError> {
        reads::list(&mut *self.reads.acquire("listing sagas").await?, filter, limit).await
    }

    async fn error_groups(&self, asked: &ErrorGroupsAsked) -> Result<Vec<ErrorGroup>, JournalError> {
        error_groups::list(&mut *self.reads.acquire("grouping failures").await?, asked).await
    }

    async fn find_start(&self, name: &str, key: &str) -> Result<Option<ExistingStart>, JournalError> {
        reads::find_start(&mut *self.starts.acquire("looking a start up").await?, name, key).await
    }

    async fn claim_key(&self, name: &str, key: &str, claim: &ExistingStart) -> Result<ExistingStart, JournalError> {
        reads::claim_key(&mut *self.acts.acquire("claiming a key").await?, name, key, claim).await
    }

    async fn quarantined(&self, after: Option<SagaId>, limit: u32) -> Result<Vec<Quarantined>, JournalError> {
        quarantine::list(&mut *self.reads.acquire("listing who is left alone").await?, after, limit).await
    }

    async fn quarantine_of(&self, id: SagaId) -> Result<Option<Quarantined>, JournalError> {
        quarantine::of_saga(&mut *self.reads.acquire("reading a quarantine").await?, id).await
    }

    async fn keep_dead_letter(&self, letter: &NewDeadLetter) -> Result<(), JournalError> {
        dead_letters::keep(&mut *self.acts.acquire("keeping a dead letter").await?, letter).await
    }

    async fn dead_letters(
        &self,
        door: Door,
        saga: Option<SagaId>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<DeadLetterView>, JournalError> {
        dead_letters::list(&mut *self.pool(door).acquire("listing dead letters").await?, saga, before, limit).await
    }

    async fn dead_letter(&self, id: i64) -> Result<Option<KeptDeadLetter>, JournalError> {
        dead_letters::get(&mut *self.acts.acquire("reading a dead letter").await?, id).await
    }

    async fn mark_redriven(&self, id: i64, at: DateTime<Utc>) -> Result<(), JournalError> {
        dead_letters::mark_redriven(&mut *self.acts.acquire("noting a redrive").await?, id, at).await
    }

    async fn audit(&self, fact: &AuditFact) -> Result<AuditRecord, JournalError> {
        audit::append(&mut *self.acts.acquire("writing the audit log").await?, fact).await
    }

    async fn audit_head(&self) -> Result<AuditHead, JournalError> {
        audit::head(&mut *self.reads.acquire("reading the audit log's head").await?).await
    }

    async fn audit_from(&self, number: u64, limit: u32) -> Result<Vec<AuditRecord>, JournalError> {
        audit::from(&mut *self.reads.acquire("reading the audit log").await?, number, limit).await
    }

    async fn audit_list(
        &self,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, JournalError> {
        audit::list(&mut *self.reads.acquire("listing the audit log").await?, filter, before, limit).await
    }

    async fn prepare(&self, now: DateTime<Utc>) -> Result<Room, JournalError> {
        partitions::prepare(self.acts.connections(), now, &self.weeks).await
    }

    async fn ping(&self) -> Result<(), JournalError> {
        let doing = "asking whether it is there";
        let mut connection = self.acts.acquire(doing).await?;
        let _: i32 = sqlx::query_scalar("SELECT 1").fetch_one(&mut *connection).await.map_err(unavailable(doing))?;
        Ok(())
    }
}

#[async_trait]
impl Figures for PgJournal {
    async fn count(&self, filter: &Filter, now: DateTime<Utc>) -> Result<SagaCounts, JournalError> {
        figures::count(&mut *self.reads.acquire("counting sagas").await?, filter, now).await
    }

    async fn ended(&self, asked: &EndedAsked) -> Result<Vec<Ended>, JournalError> {
        figures::ended(&mut *self.reads.acquire("counting the sagas that ended").await?, asked).await
    }

    async fn owners(&self) -> Result<Owners, JournalError> {
        figures::owners(&mut *self.reads.acquire("looking for the shards' owners").await?).await
    }
}

#[async_trait]
impl Jobs for PgJournal {
    async fn make_job(&self, job: &NewJob) -> Result<JobMade, JournalError> {
        jobs::make(&mut *self.acts.acquire("making a job").await?, self.shards, job).await
    }

    async fn preview_job(&self, filter: &SagaFilter) -> Result<JobPreview, JournalError> {
        jobs::preview(&mut *self.reads.acquire("previewing a job").await?, filter).await
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>, JournalError> {
        jobs::one(&mut *self.acts.acquire("reading a job").await?, id).await
    }

    async fn jobs(&self, before: Option<JobId>, limit: u32) -> Result<Vec<Job>, JournalError> {
        jobs::list(&mut *self.reads.acquire("listing jobs").await?, before, limit).await
    }

    async fn job_refusals(&self, id: JobId) -> Result<Vec<JobRefusals>, JournalError> {
        jobs::refusals(&mut *self.reads.acquire("counting refusals").await?, id).await
    }

    async fn job_items(
        &self,
        id: JobId,
        outcome: Option<JobOutcome>,
        after: u32,
        limit: u32,
    ) -> Result<Vec<JobItem>, JournalError> {
        jobs::items(&mut *self.reads.acquire("listing a job's sagas").await?, id, outcome, after, limit).await
    }

    async fn move_job(
        &self,
        id: JobId,
        from: &[JobState],
        to: JobState,
        at: DateTime<Utc>,
    ) -> Result<Option<Job>, JournalError> {
        jobs::change(&mut *self.acts.acquire("changing a job's state").await?, id, from, to, at).await
    }

    async fn running_jobs(&self, shard: u16) -> Result<Vec<JobId>, JournalError> {
        jobs::running(&mut *self.acts.acquire("looking for jobs").await?, shard).await
    }

    async fn job_work(&self, id: JobId, limit: u32) -> Result<Option<JobWork>, JournalError> {
        jobs::work(&mut *self.acts.acquire("reading a job's sagas").await?, id, limit).await
    }

    async fn settle_job(
        &self,
        id: JobId,
        results: &[JobResult],
        trouble: Option<&str>,
        at: DateTime<Utc>,
    ) -> Result<(), JournalError> {
        jobs::settle(&mut *self.acts.acquire("noting a job's results").await?, id, results, trouble, at).await
    }

    fn jobs_changed(&self) -> watch::Receiver<u64> {
        self.link.jobs()
    }

    fn jobs_moved(&self) -> watch::Receiver<u64> {
        self.link.jobs_moved()
    }

    async fn forget_jobs(&self, before: DateTime<Utc>) -> Result<u64, JournalError> {
        jobs::forget(&mut *self.acts.acquire("forgetting old jobs").await?, before).await
    }
}

#[async_trait]
impl Approvals for PgJournal {
    async fn ask_approval(&self, approval: &Approval) -> Result<ApprovalAsked, JournalError> {
        approvals::ask(&mut *self.acts.acquire("asking for an approval").await?, approval).await
    }

    async fn approvals(
        &self,
        filter: &ApprovalFilter,
        before: Option<ApprovalId>,
        limit: u32,
    ) -> Result<Vec<Approval>, JournalError> {
        approvals::list(&mut *self.reads.acquire("listing approvals").await?, filter, before, limit).await
    }

    async fn approval(&self, id: ApprovalId) -> Result<Option<Approval>, JournalError> {
        approvals::one(&mut *self.acts.acquire("reading an approval").await?, id).await
    }

    async fn decide_approval(
        &self,
        id: ApprovalId,
        state: ApprovalState,
        decision: &ApprovalDecision,
    ) -> Result<bool, JournalError> {
        approvals::decide(&mut *self.acts.acquire("deciding on an approval").await?, id, state, decision).await
    }

    async fn settle_approval(&self, id: ApprovalId, outcome: &str) -> Result<(), JournalError> {
        approvals::settle(&mut *self.acts.acquire("noting what came of an approval").await?, id, outcome).await
    }

    async fn forget_approvals(&self, before: DateTime<Utc>) -> Result<u64, JournalError> {
        approvals::forget(&mut *self.acts.acquire("forgetting old approvals").await?, before).await
    }
}

#[async_trait]
impl Pauses for PgJournal {
    async fn begin_pause(&self, pause: &Pause) -> Result<PauseBegun, JournalError> {
        pauses::begin(&mut *self.acts.acquire("beginning a pause").await?, pause).await
    }

    async fn end_pause(&self, scope: &PauseScope) -> Result<Option<Pause>, JournalError> {
        pauses::end(&mut *self.acts.acquire("ending a pause").await?, scope).await
    }

    async fn pauses(&self) -> Result<Vec<Pause>, JournalError> {
        let all = pauses::all(&mut *self.acts.acquire("reading pauses").await?).await;
        let all = all.map_err(unavailable("reading pauses"))?;
        all.into_iter().map(pauses::PauseColumns::into_pause).collect()
    }

    fn pauses_changed(&self) -> watch::Receiver<u64> {
        self.link.pauses()
    }
}

#[async_trait]
impl Retention for PgJournal {
    async fn retire(&self, before: DateTime<Utc>, folder: &Path) -> Result<u32, RetireError> {
        let mut connection = self.upkeep.acquire("retiring weeks").await?;
        retention::retire(&mut connection, &self.weeks, before, folder).await
    }

    async fn retired(&self, limit: u32) -> Result<Vec<RetiredWeek>, JournalError> {
        retention::list(&mut *self.reads.acquire("listing retired weeks").await?, limit).await
    }

    async fn export(&self, id: SagaId) -> Result<Option<String>, JournalError> {
        retention::line(&mut *self.reads.acquire("exporting a saga").await?, id).await
    }
}

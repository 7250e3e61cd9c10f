//! Bulk jobs: made with their sagas in one transaction, settled result by result.

use chrono::{DateTime, Utc};
use contract::{
    JobId, RequestId, SagaId,
    limits::cut_error_text,
    orchestrator_api::{
        AfterCanary, Canary, JOB_SAGAS_MAX, Job, JobItem, JobOutcome, JobPreview, JobRefusals, JobState, SagaFilter,
    },
    saga::SagaStatus,
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use super::{
    list_query::{Holds, push_list},
    session::{CHANNEL_JOBS, CHANNEL_JOBS_MOVED, LOCK_CLASS_JOBS, unavailable},
};
use crate::{
    job_choice::{chosen, group},
    jobs::{JOB_GROUPS_MAX, JOBS_OPEN_MAX, JobMade, JobResult, JobWork, NewJob, Selection},
    port::JournalError,
};

const JOB: &str = "\
id, state, action::text AS action, filter::text AS filter, parent, actor, role, reason, pace, canary, canary_goes_on, \
canary_passed, sagas, done, refused, vanished, trouble, created_at, changed_at";

const INSERT: &str = "\
INSERT INTO job (id, shard, state, action, filter, parent, actor, role, reason, pace, canary, canary_goes_on, sagas, \
                 request_id, created_at, changed_at) \
VALUES ($1, $2, 'running', $3::json, $4::json, $5, $6, $7, $8, $9, $10, $11, 0, $12, $13, $13)";

const INSERT_REFUSED: &str = "\
INSERT INTO job_item (job_id, place, saga_id) \
SELECT $1, row_number() OVER (ORDER BY place), saga_id FROM job_item WHERE job_id = $2 AND outcome = 'refused'";

const OPEN: &str = "SELECT count(*) FROM job WHERE state IN ('running', 'waiting', 'paused')";

const REFUSALS: &str = "\
SELECT coalesce(code, '') AS code, count(*) AS sagas FROM job_item WHERE job_id = $1 AND outcome = 'refused' \
GROUP BY code ORDER BY sagas DESC, code";

const ITEMS: &str = "\
SELECT place, saga_id, outcome, code, message, at FROM job_item \
WHERE job_id = $1 AND place > $2 AND ($3::text IS NULL OR outcome = $3) ORDER BY place LIMIT $4";

const NEXT: &str = "\
SELECT place, saga_id FROM job_item WHERE job_id = $1 AND outcome = 'pending' ORDER BY place LIMIT $2";

const SETTLE: &str = "\
WITH settled AS ( \
    UPDATE job_item i SET outcome = r.outcome, code = r.code, message = r.message, at = $6 \
    FROM unnest($2::integer[], $3::text[], $4::text[], $5::text[]) AS r (place, outcome, code, message) \
    WHERE i.job_id = $1 AND i.place = r.place AND i.outcome = 'pending' RETURNING i.outcome), \
counts AS ( \
    SELECT count(*) FILTER (WHERE outcome = 'done') AS done, count(*) FILTER (WHERE outcome = 'refused') AS refused, \
           count(*) FILTER (WHERE outcome = 'vanished') AS vanished FROM settled) \
UPDATE job SET done = job.done + c.done, refused = job.refused + c.refused, vanished = job.vanished + c.vanished, \
               trouble = $7 FROM counts c WHERE id = $1 RETURNING pg_notify($8, '')";

/// The reason why actions and filters can always be written.
const PLAIN: &str = "the contract's types hold only what JSON can hold";

#[derive(Debug, sqlx::FromRow)]
struct JobColumns {
    id: Uuid,
    state: String,
    action: String,
    filter: Option<String>,
    parent: Option<Uuid>,
    actor: String,
    role: String,
    reason: String,
    pace: i32,
    canary: Option<i32>,
    canary_goes_on: bool,
    canary_passed: bool,
    sagas: i32,
    done: i32,
    refused: i32,
    vanished: i32,
    trouble: Option<String>,
    created_at: DateTime<Utc>,
    changed_at: DateTime<Utc>,
}

#[derive(Debug, sqlx::FromRow)]
struct ItemColumns {
    place: i32,
    saga_id: Uuid,
    outcome: String,
    code: Option<String>,
    message: Option<String>,
    at: Option<DateTime<Utc>>,
}

pub(super) async fn make(connection: &mut PgConnection, shards: u16, new: &NewJob) -> Result<JobMade, JournalError> {
    let failed = unavailable("making a job");
    let mut transaction = connection.begin().await.map_err(&failed)?;
    sqlx::query("SELECT pg_advisory_xact_lock($1, 0)")
        .bind(LOCK_CLASS_JOBS)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
    if let Some(request_id) = new.request_id {
        let named = format!("SELECT {JOB} FROM job WHERE request_id = $1");
        let made = sqlx::query_as::<_, JobColumns>(AssertSqlSafe(named)).bind(request_id.uuid());
        if let Some(made) = made.fetch_optional(&mut *transaction).await.map_err(&failed)? {
            return Ok(new.repeated(made.into_job()?));
        }
    }
    let open: i64 = sqlx::query_scalar(OPEN).fetch_one(&mut *transaction).await.map_err(&failed)?;
    if open >= i64::from(JOBS_OPEN_MAX) {
        return Ok(JobMade::TooManyJobs);
    }
    let (filter, parent) = match &new.selection {
        Selection::Filter(filter) => (Some(filter), None),
        Selection::RefusedBy(parent) => (None, Some(parent.uuid())),
    };
    sqlx::query(INSERT)
        .bind(new.id.uuid())
        .bind(i32::from(new.id.shard(shards)))
        .bind(serde_json::to_string(&new.action).expect(PLAIN))
        .bind(filter.map(|filter| serde_json::to_string(filter).expect(PLAIN)))
        .bind(parent)
        .bind(&new.actor)
        .bind(&new.role)
        .bind(&new.reason)
        .bind(i32::from(new.pace))
        .bind(new.canary.map(|canary| signed(canary.sagas)))
        .bind(new.canary.is_some_and(|canary| canary.then == AfterCanary::GoOn))
        .bind(new.request_id.map(RequestId::uuid))
        .bind(new.created_at)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
    let sagas = choose(&mut transaction, new).await.map_err(&failed)?;
    if sagas == 0 {
        return Ok(JobMade::NoSagas);
    }
    if sagas > u64::from(JOB_SAGAS_MAX) {
        return Ok(JobMade::TooManySagas);
    }
    let count = format!("UPDATE job SET sagas = $2 WHERE id = $1 RETURNING {JOB}");
    let job = sqlx::query_as::<_, JobColumns>(AssertSqlSafe(count))
        .bind(new.id.uuid())
        .bind(i32::try_from(sagas).unwrap_or(i32::MAX))
        .fetch_one(&mut *transaction)
        .await
        .map_err(&failed)?;
    notify(&mut transaction, CHANNEL_JOBS).await.map_err(&failed)?;
    transaction.commit().await.map_err(&failed)?;
    Ok(JobMade::Made(Box::new(job.into_job()?)))
}

/// Chooses the sagas of a job; the answer is their number, or one more than there may be.
async fn choose(connection: &mut PgConnection, new: &NewJob) -> Result<u64, sqlx::Error> {
    let filter = match &new.selection {
        Selection::RefusedBy(parent) => {
            let chosen = sqlx::query(INSERT_REFUSED).bind(new.id.uuid()).bind(parent.uuid()).execute(connection).await;
            return chosen.map(|done| done.rows_affected());
        }
        Selection::Filter(filter) => filter,
    };
    let Some(filter) = chosen(filter) else { return Ok(0) };
    let mut query = QueryBuilder::new("INSERT INTO job_item (job_id, place, saga_id) SELECT ");
    query.push_bind(new.id.uuid()).push(", row_number() OVER (ORDER BY id), id FROM (");
    push_list(&mut query, &filter, Holds::LeftOut, JOB_SAGAS_MAX + 1);
    query.push(") AS chosen");
    query.build().execute(connection).await.map(|done| done.rows_affected())
}

pub(super) async fn preview(connection: &mut PgConnection, filter: &SagaFilter) -> Result<JobPreview, JournalError> {
    let Some(filter) = chosen(filter) else { return Ok(JobPreview { sagas: 0, groups: Vec::new() }) };
    let mut query = QueryBuilder::<Postgres>::new(
        "SELECT name, version, status, error, count(*), (sum(count(*)) OVER ())::bigint FROM (",
    );
    push_list(&mut query, &filter, Holds::LeftOut, JOB_SAGAS_MAX + 1);
    query.push(
        ") AS chosen GROUP BY name, version, status, error ORDER BY count(*) DESC, name, version, status, error LIMIT ",
    );
    query.push_bind(i64::from(JOB_GROUPS_MAX));
    let rows: Vec<(String, i64, String, Option<String>, i64, i64)> =
        query.build_query_as().fetch_all(connection).await.map_err(unavailable("previewing a job"))?;
    let sagas = rows.first().map_or(0, |(.., sagas)| count(*sagas));
    let groups = rows.into_iter().filter_map(|(name, version, status, error, sagas, _)| {
        let status = SagaStatus::ALL.into_iter().find(|known| known.as_str() == status)?;
        Some(group(name, count(version), status, error.as_deref(), count(sagas)))
    });
    Ok(JobPreview { sagas, groups: groups.collect() })
}

pub(super) async fn one(connection: &mut PgConnection, id: JobId) -> Result<Option<Job>, JournalError> {
    let found = columns(connection, id).await?;
    found.map(JobColumns::into_job).transpose()
}

async fn columns(connection: &mut PgConnection, id: JobId) -> Result<Option<JobColumns>, JournalError> {
    let query = sqlx::query_as(AssertSqlSafe(format!("SELECT {JOB} FROM job WHERE id = $1"))).bind(id.uuid());
    query.fetch_optional(connection).await.map_err(unavailable("reading a job"))
}

pub(super) async fn list(
    connection: &mut PgConnection,
    before: Option<JobId>,
    limit: u32,
) -> Result<Vec<Job>, JournalError> {
    let list = format!("SELECT {JOB} FROM job WHERE id < $1 ORDER BY id DESC LIMIT $2");
    let query = sqlx::query_as(AssertSqlSafe(list)).bind(before.map_or(Uuid::max(), JobId::uuid));
    let rows: Vec<JobColumns> =
        query.bind(i64::from(limit)).fetch_all(connection).await.map_err(unavailable("listing jobs"))?;
    rows.into_iter().map(JobColumns::into_job).collect()
}

pub(super) async fn refusals(connection: &mut PgConnection, id: JobId) -> Result<Vec<JobRefusals>, JournalError> {
    let query = sqlx::query_as(REFUSALS).bind(id.uuid());
    let rows: Vec<(String, i64)> = query.fetch_all(connection).await.map_err(unavailable("counting refusals"))?;
    Ok(rows.into_iter().map(|(code, sagas)| JobRefusals { code, sagas: count(sagas) }).collect())
}

pub(super) async fn items(
    connection: &mut PgConnection,
    id: JobId,
    outcome: Option<JobOutcome>,
    after: u32,
    limit: u32,
) -> Result<Vec<JobItem>, JournalError> {
    let query = sqlx::query_as(ITEMS).bind(id.uuid()).bind(signed(after));
    let query = query.bind(outcome.map(JobOutcome::as_str)).bind(i64::from(limit));
    let rows: Vec<ItemColumns> = query.fetch_all(connection).await.map_err(unavailable("listing a job's sagas"))?;
    rows.into_iter().map(|row| row.into_item(id)).collect()
}

pub(super) async fn change(
    connection: &mut PgConnection,
    id: JobId,
    from: &[JobState],
    to: JobState,
    at: DateTime<Utc>,
) -> Result<Option<Job>, JournalError> {
    let failed = unavailable("changing a job's state");
    let from: Vec<_> = from.iter().map(|state| state.as_str()).collect();
    let change = format!(
        "UPDATE job SET state = $2, changed_at = $3, trouble = NULL, \
         canary_passed = canary_passed OR (state = 'waiting' AND $2 = 'running') \
         WHERE id = $1 AND state = ANY($4) RETURNING {JOB}"
    );
    let mut transaction = connection.begin().await.map_err(&failed)?;
    let query = sqlx::query_as(AssertSqlSafe(change)).bind(id.uuid()).bind(to.as_str()).bind(at).bind(from);
    let moved: Option<JobColumns> = query.fetch_optional(&mut *transaction).await.map_err(&failed)?;
    notify(&mut transaction, CHANNEL_JOBS_MOVED).await.map_err(&failed)?;
    if to == JobState::Running {
        notify(&mut transaction, CHANNEL_JOBS).await.map_err(&failed)?;
    }
    transaction.commit().await.map_err(&failed)?;
    moved.map(JobColumns::into_job).transpose()
}

pub(super) async fn running(connection: &mut PgConnection, shard: u16) -> Result<Vec<JobId>, JournalError> {
    let query = sqlx::query_scalar("SELECT id FROM job WHERE shard = $1 AND state = 'running' ORDER BY id");
    let ids: Vec<Uuid> =
        query.bind(i32::from(shard)).fetch_all(connection).await.map_err(unavailable("looking for jobs"))?;
    Ok(ids.into_iter().map(JobId::from_uuid).collect())
}

pub(super) async fn work(
    connection: &mut PgConnection,
    id: JobId,
    limit: u32,
) -> Result<Option<JobWork>, JournalError> {
    let Some(found) = columns(connection, id).await? else { return Ok(None) };
    let query = sqlx::query_as(NEXT).bind(id.uuid()).bind(i64::from(limit));
    let next: Vec<(i32, Uuid)> = query.fetch_all(connection).await.map_err(unavailable("reading a job's sagas"))?;
    let next = next.into_iter().map(|(place, saga)| (count(i64::from(place)), SagaId::from_uuid(saga))).collect();
    Ok(Some(JobWork { canary_passed: found.canary_passed, job: found.into_job()?, next }))
}

pub(super) async fn settle(
    connection: &mut PgConnection,
    id: JobId,
    results: &[JobResult],
    trouble: Option<&str>,
    at: DateTime<Utc>,
) -> Result<(), JournalError> {
    let storable = |text: &str| cut_error_text(text.replace('\0', "\u{fffd}"));
    let places: Vec<_> = results.iter().map(|result| signed(result.place)).collect();
    let outcomes: Vec<_> = results.iter().map(|result| result.outcome.as_str()).collect();
    let codes: Vec<_> = results.iter().map(|result| result.code.as_deref().map(storable)).collect();
    let messages: Vec<_> = results.iter().map(|result| result.message.as_deref().map(storable)).collect();
    let query = sqlx::query(SETTLE).bind(id.uuid()).bind(places).bind(outcomes).bind(codes).bind(messages).bind(at);
    let query = query.bind(trouble.map(storable)).bind(CHANNEL_JOBS_MOVED);
    query.execute(connection).await.map_err(unavailable("noting a job's results"))?;
    Ok(())
}

pub(super) async fn forget(connection: &mut PgConnection, before: DateTime<Utc>) -> Result<u64, JournalError> {
    let deleted = sqlx::query("DELETE FROM job WHERE created_at < $1").bind(before).execute(connection).await;
    deleted.map(|deleted| deleted.rows_affected()).map_err(unavailable("forgetting old jobs"))
}

async fn notify(connection: &mut PgConnection, channel: &str) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_notify($1, '')").bind(channel).execute(connection).await.map(drop)
}

fn signed(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn count(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(if number < 0 { 0 } else { u32::MAX })
}

impl JobColumns {
    fn into_job(self) -> Result<Job, JournalError> {
        let id = JobId::from_uuid(self.id);
        let broken = |column: &'static str, detail: String| JournalError::BrokenRow {
            table: "job",
            column,
            row: id.to_string(),
            detail,
        };
        let state = JobState::ALL.into_iter().find(|known| known.as_str() == self.state);
        let then = if self.canary_goes_on { AfterCanary::GoOn } else { AfterCanary::Wait };
        let number = |number: i32| count(i64::from(number));
        Ok(Job {
            id,
            state: state.ok_or_else(|| broken("state", format!("`{}` is not a state", self.state)))?,
            action: serde_json::from_str(&self.action).map_err(|error| broken("action", error.to_string()))?,
            filter: self
                .filter
                .map(|filter| serde_json::from_str(&filter).map_err(|error| broken("filter", error.to_string())))
                .transpose()?,
            parent: self.parent.map(JobId::from_uuid),
            actor: self.actor,
            role: self.role,
            reason: self.reason,
            pace: u16::try_from(self.pace).map_err(|error| broken("pace", error.to_string()))?,
            canary: self.canary.map(|sagas| Canary { sagas: number(sagas), then }),
            sagas: number(self.sagas),
            done: number(self.done),
            refused: number(self.refused),
            vanished: number(self.vanished),
            trouble: self.trouble,
            created_at: self.created_at,
            changed_at: self.changed_at,
        })
    }
}

impl ItemColumns {
    fn into_item(self, job: JobId) -> Result<JobItem, JournalError> {
        let outcome = JobOutcome::ALL.into_iter().find(|known| known.as_str() == self.outcome);
        let outcome = outcome.ok_or_else(|| JournalError::BrokenRow {
            table: "job_item",
            column: "outcome",
            row: format!("{job}, place {}", self.place),
            detail: format!("`{}` is not a result", self.outcome),
        })?;
        let Self { place, saga_id, outcome: _, code, message, at } = self;
        let place = count(i64::from(place));
        Ok(JobItem { place, saga_id: SagaId::from_uuid(saga_id), outcome, code, message, at })
    }
}

//! Requests for a second operator's approval: a row each, decided once by a condition of the update.

use chrono::{DateTime, Utc};
use contract::{
    ApprovalId,
    orchestrator_api::{APPROVALS_OPEN_MAX, Approval, ApprovalDecision, ApprovalState},
};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::session::unavailable;
use crate::{
    approvals::{ApprovalAsked, ApprovalFilter},
    port::JournalError,
};

/// Those who ask come one after the other, so that the bound and the search for the same request hold.
const LOCK: &str = "LOCK TABLE approval IN SHARE ROW EXCLUSIVE MODE";

const SAME: &str = "\
SELECT * FROM approval WHERE state = 'pending' AND expires_at > $1 AND digest = $2 AND actor = $3 LIMIT 1";

const WAITING: &str = "SELECT count(*) FROM approval WHERE state = 'pending' AND expires_at > $1";

const INSERT: &str = "\
INSERT INTO approval (id, target, digest, request, ground, actor, role, reason, created_at, expires_at, state) \
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'pending')";

const ONE: &str = "SELECT * FROM approval WHERE id = $1";

const LIST: &str = "\
SELECT * FROM approval \
WHERE ($1::uuid IS NULL OR id < $1) AND ($2::text IS NULL OR target = $2) \
    AND ($3::timestamptz IS NULL OR (state = 'pending' AND expires_at > $3)) \
ORDER BY id DESC LIMIT $4";

const DECIDE: &str = "\
UPDATE approval SET state = $2, decided_by = $3, decided_role = $4, decided_reason = $5, decided_at = $6 \
WHERE id = $1 AND state = 'pending' AND expires_at > $6 AND actor <> $3";

const SETTLE: &str = "UPDATE approval SET outcome = $2 WHERE id = $1";

const FORGET: &str = "DELETE FROM approval WHERE created_at < $1";

/// The columns of one row, as the queries name them.
#[derive(Debug, sqlx::FromRow)]
struct ApprovalColumns {
    id: Uuid,
    digest: String,
    request: String,
    ground: String,
    actor: String,
    role: String,
    reason: String,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    state: String,
    decided_by: Option<String>,
    decided_role: Option<String>,
    decided_reason: Option<String>,
    decided_at: Option<DateTime<Utc>>,
    outcome: Option<String>,
}

impl ApprovalColumns {
    fn into_approval(self) -> Result<Approval, JournalError> {
        let id = ApprovalId::from_uuid(self.id);
        let broken = |column, error: serde_json::Error| JournalError::BrokenRow {
            table: "approval",
            column,
            row: id.to_string(),
            detail: error.to_string(),
        };
        let decision = match (self.decided_by, self.decided_role, self.decided_reason, self.decided_at) {
            (Some(actor), Some(role), Some(reason), Some(at)) => Some(ApprovalDecision { actor, role, reason, at }),
            _ => None,
        };
        Ok(Approval {
            id,
            request: serde_json::from_str(&self.request).map_err(|error| broken("request", error))?,
            digest: self.digest,
            ground: serde_json::from_value(json!(self.ground)).map_err(|error| broken("ground", error))?,
            actor: self.actor,
            role: self.role,
            reason: self.reason,
            created_at: self.created_at,
            expires_at: self.expires_at,
            state: serde_json::from_value(json!(self.state)).map_err(|error| broken("state", error))?,
            decision,
            outcome: self.outcome,
        })
    }
}

pub(super) async fn ask(connection: &mut PgConnection, approval: &Approval) -> Result<ApprovalAsked, JournalError> {
    let failed = unavailable("asking for an approval");
    let mut transaction = connection.begin().await.map_err(&failed)?;
    sqlx::query(LOCK).execute(&mut *transaction).await.map_err(&failed)?;
    let same = sqlx::query_as(SAME).bind(approval.created_at).bind(&approval.digest).bind(&approval.actor);
    let known: Option<ApprovalColumns> = same.fetch_optional(&mut *transaction).await.map_err(&failed)?;
    if let Some(known) = known {
        return known.into_approval().map(|known| ApprovalAsked::Known(Box::new(known)));
    }
    let waiting = sqlx::query_scalar(WAITING).bind(approval.created_at);
    let waiting: i64 = waiting.fetch_one(&mut *transaction).await.map_err(&failed)?;
    if usize::try_from(waiting).unwrap_or(usize::MAX) >= APPROVALS_OPEN_MAX {
        return Ok(ApprovalAsked::TooMany);
    }
    sqlx::query(INSERT)
        .bind(approval.id.uuid())
        .bind(approval.target())
        .bind(&approval.digest)
        .bind(json!(approval.request).to_string())
        .bind(approval.ground.as_str())
        .bind(&approval.actor)
        .bind(&approval.role)
        .bind(&approval.reason)
        .bind(approval.created_at)
        .bind(approval.expires_at)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
    transaction.commit().await.map_err(&failed)?;
    Ok(ApprovalAsked::Asked)
}

pub(super) async fn list(
    connection: &mut PgConnection,
    filter: &ApprovalFilter,
    before: Option<ApprovalId>,
    limit: u32,
) -> Result<Vec<Approval>, JournalError> {
    let rows: Vec<ApprovalColumns> = sqlx::query_as(LIST)
        .bind(before.map(ApprovalId::uuid))
        .bind(&filter.target)
        .bind(filter.waiting_at)
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await
        .map_err(unavailable("listing approvals"))?;
    rows.into_iter().map(ApprovalColumns::into_approval).collect()
}

pub(super) async fn one(connection: &mut PgConnection, id: ApprovalId) -> Result<Option<Approval>, JournalError> {
    let row: Option<ApprovalColumns> = sqlx::query_as(ONE)
        .bind(id.uuid())
        .fetch_optional(connection)
        .await
        .map_err(unavailable("reading an approval"))?;
    row.map(ApprovalColumns::into_approval).transpose()
}

pub(super) async fn decide(
    connection: &mut PgConnection,
    id: ApprovalId,
    state: ApprovalState,
    decision: &ApprovalDecision,
) -> Result<bool, JournalError> {
    let decided = sqlx::query(DECIDE)
        .bind(id.uuid())
        .bind(state.as_str())
        .bind(&decision.actor)
        .bind(&decision.role)
        .bind(&decision.reason)
        .bind(decision.at)
        .execute(connection)
        .await
        .map_err(unavailable("deciding on an approval"))?;
    Ok(decided.rows_affected() == 1)
}

pub(super) async fn settle(connection: &mut PgConnection, id: ApprovalId, outcome: &str) -> Result<(), JournalError> {
    let settled = sqlx::query(SETTLE).bind(id.uuid()).bind(outcome).execute(connection).await;
    settled.map(drop).map_err(unavailable("noting what came of an approval"))
}

pub(super) async fn forget(connection: &mut PgConnection, before: DateTime<Utc>) -> Result<u64, JournalError> {
    let forgotten = sqlx::query(FORGET).bind(before).execute(connection).await;
    forgotten.map(|done| done.rows_affected()).map_err(unavailable("forgetting old approvals"))
}

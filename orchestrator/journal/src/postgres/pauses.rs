//! Pauses of domains, definitions and steps: a row each, and a notice to every process at each change.

use chrono::{DateTime, Utc};
use contract::orchestrator_api::{PAUSES_MAX, Pause, PauseScope, PauseScopeError};
use sqlx::PgConnection;

use super::session::{CHANNEL_PAUSES, unavailable};
use crate::{pauses::PauseBegun, port::JournalError};

const BEGIN: &str = "\
WITH begun AS ( \
    INSERT INTO pause (scope, actor, role, reason, since) SELECT $1, $2, $3, $4, $5 \
    WHERE (SELECT count(*) FROM pause) < $6 ON CONFLICT DO NOTHING RETURNING scope) \
SELECT pg_notify($7, scope) FROM begun";

const END: &str = "\
WITH ended AS (DELETE FROM pause WHERE scope = $1 RETURNING scope, actor, role, reason, since) \
SELECT scope, actor, role, reason, since, pg_notify($2, scope)::text FROM ended";

const ALL: &str = "SELECT scope, actor, role, reason, since FROM pause ORDER BY scope";

const ONE: &str = "SELECT scope, actor, role, reason, since FROM pause WHERE scope = $1";

/// The columns of one row, as the queries name them.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct PauseColumns {
    scope: String,
    actor: String,
    role: String,
    reason: String,
    since: DateTime<Utc>,
}

impl PauseColumns {
    pub(super) fn into_pause(self) -> Result<Pause, JournalError> {
        let Self { scope, actor, role, reason, since } = self;
        let broken =
            |detail: String| JournalError::BrokenRow { table: "pause", column: "scope", row: scope.clone(), detail };
        let scope = scope.parse().map_err(|error: PauseScopeError| broken(error.to_string()))?;
        Ok(Pause { scope, actor, role, reason, since })
    }
}

pub(super) async fn begin(connection: &mut PgConnection, pause: &Pause) -> Result<PauseBegun, JournalError> {
    let Pause { scope, actor, role, reason, since } = pause;
    let failed = unavailable("beginning a pause");
    let begun = sqlx::query(BEGIN)
        .bind(scope.to_string())
        .bind(actor)
        .bind(role)
        .bind(reason)
        .bind(since)
        .bind(i64::try_from(PAUSES_MAX).unwrap_or(i64::MAX))
        .bind(CHANNEL_PAUSES)
        .fetch_optional(&mut *connection)
        .await
        .map_err(&failed)?;
    if begun.is_some() {
        return Ok(PauseBegun::Begun);
    }
    let known: Option<PauseColumns> =
        sqlx::query_as(ONE).bind(scope.to_string()).fetch_optional(connection).await.map_err(&failed)?;
    known.map_or(Ok(PauseBegun::TooMany), |known| known.into_pause().map(PauseBegun::Known))
}

pub(super) async fn end(connection: &mut PgConnection, scope: &PauseScope) -> Result<Option<Pause>, JournalError> {
    let ended: Option<PauseColumns> = sqlx::query_as(END)
        .bind(scope.to_string())
        .bind(CHANNEL_PAUSES)
        .fetch_optional(connection)
        .await
        .map_err(unavailable("ending a pause"))?;
    ended.map(PauseColumns::into_pause).transpose()
}

pub(super) async fn all(connection: &mut PgConnection) -> Result<Vec<PauseColumns>, sqlx::Error> {
    sqlx::query_as(ALL).fetch_all(connection).await
}

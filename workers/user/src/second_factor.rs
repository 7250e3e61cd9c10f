//! The second factor of a person as it is stored, and the check of a code against it. A code is taken once: the step of the
//! newest one is kept, and a recovery code is deleted with its use.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use totp_rs::TotpError;
use uuid::Uuid;
use worker_runtime::DomainError;

use crate::{
    factor_keys::{FactorKeys, SealError},
    one_time_code::{NoRandomness, OneTimeCode},
    totp::Codes,
};

/// The wrong codes in [`WRONG_WITHIN`] after which none is looked at any more: a thumb errs a few times, and with three good
/// codes among a million nobody guesses one in a year.
const WRONG_CODES_MAX: i32 = 10;

/// The time from the first wrong code after which they are forgotten.
const WRONG_WITHIN: TimeDelta = TimeDelta::minutes(15);

/// Why a second factor cannot be checked or made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FactorError {
    #[error(transparent)]
    Domain(#[from] DomainError),
    #[error("sealing or opening a second factor's secret")]
    Seal(#[from] SealError),
    #[error("making codes of a second factor's secret")]
    Codes(#[from] TotpError),
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The code is right, and is not right again.
    Right,
    Wrong,
    /// So many were wrong that none is looked at for so long.
    Paused(Duration),
}

/// Whether a second factor asks for a code, or only waits for its first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    On,
    Begun,
}

/// A row, locked until the transaction ends.
#[derive(sqlx::FromRow)]
pub(crate) struct Factor {
    user_id: Uuid,
    email: String,
    sealed_secret: Vec<u8>,
    since: Option<DateTime<Utc>>,
    last_step: i64,
    wrong_codes: i32,
    wrong_since: Option<DateTime<Utc>>,
}

impl Factor {
    /// The second factor of a person, when one is on or begun.
    pub(crate) async fn lock(tx: &mut PgConnection, user_id: Uuid) -> Result<Option<Self>, DomainError> {
        sqlx::query_as(
            "SELECT f.user_id, p.email, f.sealed_secret, f.since, f.last_step, f.wrong_codes, f.wrong_since
             FROM second_factor f JOIN person p USING (user_id) WHERE f.user_id = $1 FOR UPDATE OF f",
        )
        .bind(user_id)
        .fetch_optional(tx)
        .await
        .map_err(DomainError::doing("reading a second factor"))
    }

    pub(crate) const fn stage(&self) -> Stage {
        if self.since.is_some() { Stage::On } else { Stage::Begun }
    }

    /// Checks a code, and notes what came of it: the transaction is to be committed also when it is wrong.
    pub(crate) async fn check(
        &self,
        tx: &mut PgConnection,
        keys: &FactorKeys,
        typed: &str,
        now: DateTime<Utc>,
    ) -> Result<Verdict, FactorError> {
        let (wrong_codes, wrong_since) = self.wrong_at(now);
        if wrong_codes >= WRONG_CODES_MAX {
            return Ok(Verdict::Paused((wrong_since + WRONG_WITHIN - now).to_std().unwrap_or_default()));
        }
        let codes = Codes::new(&keys.open(self.user_id, &self.sealed_secret)?, &self.email)?;
        if let Some(step) = codes.step_of(typed, now).filter(|step| *step > self.last_step) {
            self.note(tx, step, 0, None).await?;
            return Ok(Verdict::Right);
        }
        if self.use_recovery_code(tx, typed).await? {
            self.note(tx, self.last_step, 0, None).await?;
            return Ok(Verdict::Right);
        }
        self.note(tx, self.last_step, wrong_codes + 1, Some(wrong_since)).await?;
        Ok(Verdict::Wrong)
    }

    /// The wrong codes that count at `now`, and since when.
    fn wrong_at(&self, now: DateTime<Utc>) -> (i32, DateTime<Utc>) {
        match self.wrong_since {
            Some(since) if since + WRONG_WITHIN > now => (self.wrong_codes, since),
            Some(_) | None => (0, now),
        }
    }

    async fn use_recovery_code(&self, tx: &mut PgConnection, typed: &str) -> Result<bool, DomainError> {
        let Some(code) = OneTimeCode::parse(typed) else { return Ok(false) };
        let deleted = sqlx::query("DELETE FROM recovery_code WHERE user_id = $1 AND code_hash = $2")
            .bind(self.user_id)
            .bind(code.hash())
            .execute(tx)
            .await
            .map_err(DomainError::doing("using a recovery code"))?;
        Ok(deleted.rows_affected() == 1)
    }

    async fn note(
        &self,
        tx: &mut PgConnection,
        last_step: i64,
        wrong_codes: i32,
        wrong_since: Option<DateTime<Utc>>,
    ) -> Result<(), DomainError> {
        sqlx::query("UPDATE second_factor SET last_step = $2, wrong_codes = $3, wrong_since = $4 WHERE user_id = $1")
            .bind(self.user_id)
            .bind(last_step)
            .bind(wrong_codes)
            .bind(wrong_since)
            .execute(tx)
            .await
            .map_err(DomainError::doing("noting a code of a second factor"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_codes_are_forgotten_a_quarter_of_an_hour_after_the_first_of_them() {
        let at = |minute: i64| DateTime::UNIX_EPOCH + TimeDelta::minutes(minute);
        let factor = Factor {
            user_id: Uuid::nil(),
            email: String::new(),
            sealed_secret: Vec::new(),
            since: None,
            last_step: 0,
            wrong_codes: 7,
            wrong_since: Some(at(1)),
        };
        assert_eq!(factor.wrong_at(at(15)), (7, at(1)));
        assert_eq!(factor.wrong_at(at(16)), (0, at(16)));
    }
}

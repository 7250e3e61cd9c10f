//! A provider of our own for development and tests: stateful, idempotent by key, and able to go wrong on demand.
//!
//! The token chooses the outcome:
//!
//! | token | outcome |
//! |---|---|
//! | `tok_ok` | everything works |
//! | `tok_declined` | the authorization is refused: `card_declined` |
//! | `tok_insufficient` | the authorization is refused: `insufficient_funds` |
//! | `tok_timeout_after_commit` | each operation takes effect, and its first answer is lost |
//! | `tok_timeout_before_commit` | each operation's first try is lost without effect |
//! | `tok_capture_fails` | the authorization works, the capture is refused |
//! | `tok_auth_expires_fast` | the authorization works, and lasts a minute instead of a week; it is given again |
//! | any other | refused: `payment_token_unknown` |

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Duration, Utc};
use contract::{
    Money,
    payment::{
        PaymentToken, REFUSED_CAPTURE, REFUSED_DECLINED, REFUSED_INSUFFICIENT, REFUSED_NOT_AUTHORIZED,
        REFUSED_TOKEN_UNKNOWN,
    },
};
use kit::{clock::Clock, postgres::OpenError};
use rust_decimal::Decimal;
use sqlx::{PgConnection, PgPool, postgres::PgPoolOptions, types::Json};

use crate::{
    domain::DATABASE,
    provider::{Answer, Key, PaymentProvider, ProviderError, Reference},
};

/// The life of an authorization: card schemes give as much to a payment that its owner started.
const AUTHORIZATION: Duration = Duration::days(7);
/// The life of an authorization that expires fast: long enough for an order that nothing delays.
const AUTHORIZATION_FAST: Duration = Duration::minutes(1);

/// Connections of the sandbox: it answers as many calls at once as the runtime makes.
const CONNECTIONS_MAX: u32 = 8;

const TOKEN_OK: &str = "tok_ok";
const TOKEN_DECLINED: &str = "tok_declined";
const TOKEN_INSUFFICIENT: &str = "tok_insufficient";
const TOKEN_TIMEOUT_AFTER_COMMIT: &str = "tok_timeout_after_commit";
const TOKEN_TIMEOUT_BEFORE_COMMIT: &str = "tok_timeout_before_commit";
const TOKEN_CAPTURE_FAILS: &str = "tok_capture_fails";
const TOKEN_AUTH_EXPIRES_FAST: &str = "tok_auth_expires_fast";

/// The sandbox. Its state survives restarts.
#[derive(Clone)]
pub struct SandboxProvider {
    pool: PgPool,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for SandboxProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SandboxProvider")
    }
}

/// A charge as the sandbox keeps it.
#[derive(sqlx::FromRow)]
struct Charge {
    token: String,
    currency: String,
    amount: Decimal,
    status: String,
    capture_before: DateTime<Utc>,
}

impl SandboxProvider {
    /// A sandbox on the database that holds its schema.
    #[must_use]
    pub fn new(pool: PgPool, clock: Arc<dyn Clock>) -> Self {
        Self { pool, clock }
    }

    /// A sandbox with its state beside the domain's tables on the same server. It connects when it is first asked.
    ///
    /// # Errors
    /// When `database_url` is no PostgreSQL address.
    pub fn connect_lazy(database_url: &str, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let options = kit::postgres::options(database_url, DATABASE)?;
        Ok(Self::new(PgPoolOptions::new().max_connections(CONNECTIONS_MAX).connect_lazy_with(options), clock))
    }

    async fn authorized(&self, key: &Key, amount: Money, token: &PaymentToken) -> Result<Response, sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        if let Some(reply) = begin(&mut tx, key).await? {
            return Ok(reply);
        }
        if first_try(&mut tx, key).await? && token.as_str() == TOKEN_TIMEOUT_BEFORE_COMMIT {
            tx.commit().await?;
            return Ok(Response::Lost);
        }
        let refused =
            |code: &str, message: &str| Answer::Refused { code: code.to_owned(), message: message.to_owned() };
        let answer = match token.as_str() {
            TOKEN_OK
            | TOKEN_TIMEOUT_AFTER_COMMIT
            | TOKEN_TIMEOUT_BEFORE_COMMIT
            | TOKEN_CAPTURE_FAILS
            | TOKEN_AUTH_EXPIRES_FAST => self.charge(&mut tx, token.as_str(), amount).await?,
            TOKEN_DECLINED => refused(REFUSED_DECLINED, "the issuer declined the card"),
            TOKEN_INSUFFICIENT => refused(REFUSED_INSUFFICIENT, "the account does not cover the amount"),
            _ => refused(REFUSED_TOKEN_UNKNOWN, "the provider does not know this token"),
        };
        let reference = match &answer {
            Answer::Authorized { reference, .. } => Some(reference),
            Answer::Done | Answer::Lapsed | Answer::Refused { .. } => None,
        };
        keep(&mut tx, key, "authorize", reference, &answer).await?;
        tx.commit().await?;
        Ok(Response::new(answer, token.as_str() == TOKEN_TIMEOUT_AFTER_COMMIT))
    }

    /// Makes a charge.
    async fn charge(&self, tx: &mut PgConnection, token: &str, amount: Money) -> Result<Answer, sqlx::Error> {
        let reference = Reference(format!("sbx_{}", kit::ids::uuid_v7().simple()));
        let fast = token == TOKEN_AUTH_EXPIRES_FAST;
        let capture_before = self.clock.now() + if fast { AUTHORIZATION_FAST } else { AUTHORIZATION };
        sqlx::query(
            "INSERT INTO sandbox.charge (reference, token, currency, amount, status, capture_before)
             VALUES ($1, $2, $3, $4, 'authorized', $5)",
        )
        .bind(&reference.0)
        .bind(token)
        .bind(amount.currency_code())
        .bind(amount.amount())
        .bind(capture_before)
        .execute(tx)
        .await?;
        Ok(Answer::Authorized { reference, capture_before })
    }

    /// A new charge on the token of one that has not been taken, which is let go.
    async fn authorized_again(&self, key: &Key, lapsed: &Reference, amount: Money) -> Result<Response, sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        if let Some(reply) = begin(&mut tx, key).await? {
            return Ok(reply);
        }
        let token: Option<String> = sqlx::query_scalar(
            "UPDATE sandbox.charge SET status = 'voided' WHERE reference = $1 AND status IN ('authorized', 'voided')
             RETURNING token",
        )
        .bind(&lapsed.0)
        .fetch_optional(&mut *tx)
        .await?;
        let answer = match &token {
            Some(token) => self.charge(&mut tx, token, amount).await?,
            None => Answer::Refused {
                code: REFUSED_NOT_AUTHORIZED.to_owned(),
                message: format!("there is no charge {} to authorize again", lapsed.0),
            },
        };
        let reference = match &answer {
            Answer::Authorized { reference, .. } => Some(reference),
            Answer::Done | Answer::Lapsed | Answer::Refused { .. } => None,
        };
        keep(&mut tx, key, "authorize", reference, &answer).await?;
        tx.commit().await?;
        Ok(Response::new(answer, token.as_deref() == Some(TOKEN_TIMEOUT_AFTER_COMMIT)))
    }

    /// Changes a charge from one of the states in `from`, once per key.
    async fn changed(
        &self,
        key: &Key,
        reference: &Reference,
        kind: &'static str,
        change: impl FnOnce(&Charge) -> Change + Send,
    ) -> Result<Response, sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        if let Some(reply) = begin(&mut tx, key).await? {
            return Ok(reply);
        }
        let charge: Option<Charge> = sqlx::query_as(
            "SELECT token, currency, amount, status, capture_before FROM sandbox.charge WHERE reference = $1 FOR UPDATE",
        )
        .bind(&reference.0)
        .fetch_optional(&mut *tx)
        .await?;
        let first = first_try(&mut tx, key).await?;
        let token = charge.as_ref().map(|charge| charge.token.clone()).unwrap_or_default();
        if first && token == TOKEN_TIMEOUT_BEFORE_COMMIT {
            tx.commit().await?;
            return Ok(Response::Lost);
        }
        let change = match &charge {
            Some(charge) => change(charge),
            None => Change::No { code: REFUSED_NOT_AUTHORIZED, message: format!("there is no charge {}", reference.0) },
        };
        let answer = match change {
            Change::To { status, captured, refunded } => {
                sqlx::query(
                    "UPDATE sandbox.charge SET status = $2, captured_amount = captured_amount + $3,
                            refunded_amount = CASE WHEN $4 THEN captured_amount ELSE refunded_amount END
                     WHERE reference = $1",
                )
                .bind(&reference.0)
                .bind(status)
                .bind(captured)
                .bind(refunded)
                .execute(&mut *tx)
                .await?;
                Answer::Done
            }
            Change::None => Answer::Done,
            Change::Lapsed => Answer::Lapsed,
            Change::No { code, message } => Answer::Refused { code: code.to_owned(), message },
        };
        keep(&mut tx, key, kind, charge.is_some().then_some(reference), &answer).await?;
        tx.commit().await?;
        Ok(Response::new(answer, token == TOKEN_TIMEOUT_AFTER_COMMIT))
    }

    async fn abandoned(&self, key: &Key, action_key: &Key) -> Result<Response, sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        if let Some(reply) = begin(&mut tx, key).await? {
            return Ok(reply);
        }
        lock(&mut tx, action_key).await?;
        match kept(&mut tx, action_key).await? {
            Some(Answer::Authorized { reference, .. }) => {
                sqlx::query(
                    "UPDATE sandbox.charge SET status = 'voided' WHERE reference = $1 AND status = 'authorized'",
                )
                .bind(&reference.0)
                .execute(&mut *tx)
                .await?;
            }
            Some(Answer::Done | Answer::Lapsed | Answer::Refused { .. }) => {}
            None => {
                let never = Answer::Refused {
                    code: REFUSED_NOT_AUTHORIZED.to_owned(),
                    message: "this authorization was abandoned before it arrived".to_owned(),
                };
                keep(&mut tx, action_key, "authorize", None, &never).await?;
            }
        }
        keep(&mut tx, key, "abandon", None, &Answer::Done).await?;
        tx.commit().await?;
        Ok(Response::Heard(Answer::Done))
    }
}

/// The change of a charge that an operation makes.
enum Change {
    /// The charge enters another state.
    To { status: &'static str, captured: Decimal, refunded: bool },
    /// The charge is in that state already.
    None,
    /// The authorization has ended.
    Lapsed,
    /// The operation is refused.
    No { code: &'static str, message: String },
}

/// The response of the sandbox, which may get lost on its way.
enum Response {
    Heard(Answer),
    Lost,
}

impl Response {
    fn new(answer: Answer, lost: bool) -> Self {
        if lost { Self::Lost } else { Self::Heard(answer) }
    }
}

#[async_trait]
impl PaymentProvider for SandboxProvider {
    async fn authorize(&self, key: &Key, amount: Money, token: &PaymentToken) -> Result<Answer, ProviderError> {
        heard(self.authorized(key, amount, token).await)
    }

    async fn authorize_again(&self, key: &Key, lapsed: &Reference, amount: Money) -> Result<Answer, ProviderError> {
        heard(self.authorized_again(key, lapsed, amount).await)
    }

    async fn capture(&self, key: &Key, reference: &Reference, amount: Money) -> Result<Answer, ProviderError> {
        let now = self.clock.now();
        let change = |charge: &Charge| match charge.status.as_str() {
            _ if charge.token == TOKEN_CAPTURE_FAILS => {
                Change::No { code: REFUSED_CAPTURE, message: "the issuer refuses the capture".to_owned() }
            }
            "authorized" if charge.capture_before <= now => Change::Lapsed,
            "authorized" if charge.currency == amount.currency_code() && amount.amount() <= charge.amount => {
                Change::To { status: "captured", captured: amount.amount(), refunded: false }
            }
            other => {
                Change::No { code: REFUSED_CAPTURE, message: format!("a charge that is {other} cannot be captured") }
            }
        };
        heard(self.changed(key, reference, "capture", change).await)
    }

    async fn void(&self, key: &Key, reference: &Reference) -> Result<Answer, ProviderError> {
        let change = |charge: &Charge| match charge.status.as_str() {
            "authorized" => Change::To { status: "voided", captured: Decimal::ZERO, refunded: false },
            "voided" => Change::None,
            other => Change::No {
                code: REFUSED_NOT_AUTHORIZED,
                message: format!("a charge that is {other} cannot be voided"),
            },
        };
        heard(self.changed(key, reference, "void", change).await)
    }

    async fn refund(&self, key: &Key, reference: &Reference) -> Result<Answer, ProviderError> {
        let change = |charge: &Charge| match charge.status.as_str() {
            "captured" => Change::To { status: "refunded", captured: Decimal::ZERO, refunded: true },
            "refunded" => Change::None,
            other => Change::No {
                code: REFUSED_NOT_AUTHORIZED,
                message: format!("a charge that is {other} cannot be refunded"),
            },
        };
        heard(self.changed(key, reference, "refund", change).await)
    }

    async fn abandon(&self, key: &Key, action_key: &Key) -> Result<Answer, ProviderError> {
        heard(self.abandoned(key, action_key).await)
    }

    async fn lookup(&self, key: &Key) -> Result<Option<Answer>, ProviderError> {
        let found = async {
            let mut connection = self.pool.acquire().await?;
            kept(&mut connection, key).await
        };
        found.await.map_err(|error: sqlx::Error| ProviderError::Unclear(error.to_string()))
    }
}

fn heard(reply: Result<Response, sqlx::Error>) -> Result<Answer, ProviderError> {
    match reply {
        Ok(Response::Heard(answer)) => Ok(answer),
        Ok(Response::Lost) => Err(ProviderError::Unclear("no answer in time".to_owned())),
        Err(error) => Err(ProviderError::Unclear(error.to_string())),
    }
}

/// Makes requests under one key one after the other, and finds what was answered before.
async fn begin(tx: &mut PgConnection, key: &Key) -> Result<Option<Response>, sqlx::Error> {
    lock(tx, key).await?;
    Ok(kept(tx, key).await?.map(Response::Heard))
}

async fn lock(tx: &mut PgConnection, key: &Key) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))").bind(&key.0).execute(tx).await?;
    Ok(())
}

async fn kept(tx: &mut PgConnection, key: &Key) -> Result<Option<Answer>, sqlx::Error> {
    let found: Option<Json<Answer>> = sqlx::query_scalar("SELECT answer FROM sandbox.operation WHERE key = $1")
        .bind(&key.0)
        .fetch_optional(tx)
        .await?;
    Ok(found.map(|Json(answer)| answer))
}

async fn keep(
    tx: &mut PgConnection,
    key: &Key,
    kind: &str,
    reference: Option<&Reference>,
    answer: &Answer,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO sandbox.operation (key, kind, reference, answer) VALUES ($1, $2, $3, $4)")
        .bind(&key.0)
        .bind(kind)
        .bind(reference.map(|reference| &reference.0))
        .bind(Json(answer))
        .execute(tx)
        .await?;
    Ok(())
}

async fn first_try(tx: &mut PgConnection, key: &Key) -> Result<bool, sqlx::Error> {
    let tries: i32 = sqlx::query_scalar(
        "INSERT INTO sandbox.try (key, tries) VALUES ($1, 1) ON CONFLICT (key) DO UPDATE SET tries = try.tries + 1
         RETURNING tries",
    )
    .bind(&key.0)
    .fetch_one(tx)
    .await?;
    Ok(tries == 1)
}

//! The sandbox's webhooks: kept beside the charges, in the transaction that makes their news true, and sent until they are
//! taken or have been tried often enough.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use contract::payment::{PaymentWebhook, WEBHOOK_SIGNATURE_HEADER, WebhookData, WebhookMetadata, WebhookObject};
use kit::signed_webhook::sign;
use secrecy::SecretString;
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use super::{
    Sandbox,
    charges::Row,
    tokens::{Mood, News},
};

/// How often a webhook is tried: over some four minutes, in which a door is back that is back at all.
const TRIES_MAX: i32 = 8;

/// The wait after the first try; each further one is twice as long.
const RETRY_AFTER: TimeDelta = TimeDelta::seconds(1);

/// How long the merchant may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How long the sender sleeps when nothing is due. What is put down in this process wakes it; what another process puts down
/// waits for as long.
const IDLE: Duration = Duration::from_secs(30);

/// How soon the sender looks again when its database failed.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A secret that no merchant has.
const FORGERS_SECRET: &str = "whsec_of_a_forger";

/// The news of an approval, in Stripe's word.
const APPROVED: &str = "payment_intent.amount_capturable_updated";
/// The news of a refusal, in Stripe's word.
const TURNED_DOWN: &str = "payment_intent.payment_failed";

/// Puts the news of a client's act down, as the charge's token wants them.
pub(super) async fn tell(
    tx: &mut PgConnection,
    charge: &Row,
    approved: bool,
    late: Duration,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let Some(Mood::Secure(news)) = charge.mood() else { return Ok(()) };
    let body = body(charge, if approved { APPROVED } else { TURNED_DOWN });
    let copies = match news {
        News::Once | News::Forged => vec![now],
        News::Twice => vec![now, now],
        News::Late => vec![now + late],
        News::Never => vec![],
    };
    for due_at in copies {
        keep(tx, &body, false, due_at).await?;
    }
    Ok(())
}

/// Puts news down that are not true, and not signed by the sandbox: the client has not acted.
pub(super) async fn forge(tx: &mut PgConnection, charge: &Row, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    keep(tx, &body(charge, APPROVED), true, now).await
}

fn body(charge: &Row, kind: &str) -> String {
    let metadata = WebhookMetadata { saga_id: Some(charge.saga_id()), payment_id: Some(charge.payment_id()) };
    let object = WebhookObject { id: charge.reference.clone(), metadata };
    let id = format!("evt_{}", kit::ids::uuid_v7().simple());
    let webhook = PaymentWebhook { id, kind: kind.to_owned(), data: WebhookData { object } };
    // Made of texts and ids, which JSON holds.
    serde_json::to_string(&webhook).unwrap_or_default()
}

async fn keep(tx: &mut PgConnection, body: &str, forged: bool, due_at: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO sandbox.webhook (body, forged, tries_left, due_at) VALUES ($1, $2, $3, $4)")
        .bind(body)
        .bind(forged)
        .bind(if forged { 1 } else { TRIES_MAX })
        .bind(due_at)
        .execute(tx)
        .await?;
    Ok(())
}

/// A webhook that is being tried.
#[derive(sqlx::FromRow)]
struct Due {
    webhook_id: i64,
    body: String,
    forged: bool,
    tries_left: i32,
}

impl Sandbox {
    /// Sends webhooks as they fall due, until the token is cancelled.
    pub async fn deliver_webhooks(self, token: CancellationToken) {
        let client = reqwest::Client::builder()
            .timeout(ANSWER_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build();
        let client = match client {
            Ok(client) => client,
            Err(error) => {
                tracing::error!(%error, "the sandbox has no client for its webhooks");
                return;
            }
        };
        loop {
            let pause = match self.deliver_due(&client).await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::debug!(%error, "the sandbox's webhooks cannot be read");
                    LOOK_AGAIN_AFTER
                }
            };
            tokio::select! {
                () = token.cancelled() => return,
                () = self.provider.news.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Tries all that are due; answers how long nothing is.
    async fn deliver_due(&self, client: &reqwest::Client) -> Result<Duration, sqlx::Error> {
        let pool = &self.provider.pool;
        while let Some(due) = claim(pool, self.now()).await? {
            // Below zero: its last try was interrupted.
            let taken = due.tries_left >= 0 && self.try_once(client, &due).await;
            if taken || due.tries_left <= 0 {
                sqlx::query("DELETE FROM sandbox.webhook WHERE webhook_id = $1")
                    .bind(due.webhook_id)
                    .execute(pool)
                    .await?;
            }
            if !taken && due.tries_left <= 0 && !due.forged {
                tracing::warn!(webhook_id = due.webhook_id, "a webhook of the sandbox was not taken and is given up");
            }
        }
        let next: Option<DateTime<Utc>> =
            sqlx::query_scalar("SELECT min(due_at) FROM sandbox.webhook").fetch_one(pool).await?;
        let left = next.map_or(IDLE, |next| (next - self.now()).to_std().unwrap_or(Duration::ZERO));
        Ok(left.min(IDLE))
    }

    /// Whether the merchant took it.
    async fn try_once(&self, client: &reqwest::Client, due: &Due) -> bool {
        let forged = SecretString::from(FORGERS_SECRET);
        let secret = if due.forged { &forged } else { &self.secret };
        let sent = client
            .post(&self.webhook_url)
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .header(WEBHOOK_SIGNATURE_HEADER, sign(secret, self.now(), due.body.as_bytes()))
            .body(due.body.clone())
            .send()
            .await;
        match sent {
            Ok(answer) if answer.status().is_success() => true,
            Ok(answer) => {
                tracing::debug!(status = %answer.status(), forged = due.forged, "a webhook of the sandbox was turned away");
                false
            }
            Err(error) => {
                tracing::debug!(%error, "a webhook of the sandbox was not answered");
                false
            }
        }
    }

    fn now(&self) -> DateTime<Utc> {
        self.provider.clock.now()
    }
}

/// Takes the next one that is due, which falls due again later if it is not taken.
async fn claim(pool: &PgPool, now: DateTime<Utc>) -> Result<Option<Due>, sqlx::Error> {
    sqlx::query_as(
        "UPDATE sandbox.webhook SET tries_left = tries_left - 1, due_at = $1 + $2 * power(2, $3 - tries_left)
         WHERE webhook_id = (SELECT webhook_id FROM sandbox.webhook WHERE due_at <= $1
                             ORDER BY due_at, webhook_id LIMIT 1 FOR UPDATE SKIP LOCKED)
         RETURNING webhook_id, body, forged, tries_left",
    )
    .bind(now)
    .bind(RETRY_AFTER)
    .bind(TRIES_MAX)
    .fetch_optional(pool)
    .await
}

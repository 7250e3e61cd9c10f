//! A provider of our own for development and tests: stateful, and able to go wrong on demand; see [`tokens`].

mod charges;
mod page;
mod retention;
mod tokens;
mod webhooks;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use contract::{
    Money,
    payment::{PaymentToken, REFUSED_CAPTURE, REFUSED_NOT_AUTHORIZED},
};
use kit::{clock::Clock, postgres::OpenError};
use secrecy::SecretString;
use sqlx::{PgConnection, PgPool, postgres::PgPoolOptions};
use tokio::sync::Notify;

pub(crate) use self::retention::{CHARGES, TRIES};
use self::{
    charges::{AUTHORIZED, CAPTURED, FAILED, REFUNDED, REQUIRES_ACTION, Row, VOIDED},
    tokens::{Mood, News},
};
use crate::{
    database::DATABASE,
    provider::{
        Action, Answer, Asked, Authorized, Charge, Found, Key, PaymentProvider, ProviderReference, Reference, Refused,
        Taking, Unclear,
    },
};

/// Connections of the sandbox: it answers as many calls at once as the runtime makes.
const CONNECTIONS_MAX: u32 = 8;

/// The sandbox with its page and its webhooks.
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// The provider itself.
    pub provider: SandboxProvider,
    /// Where webhooks are sent.
    pub webhook_url: String,
    /// How late the news come that come late.
    pub late: Duration,
    /// The secret that webhooks are signed with.
    pub secret: SecretString,
}

/// The sandbox as the domain sees it. Its state survives restarts.
#[derive(Clone)]
pub struct SandboxProvider {
    pool: PgPool,
    clock: Arc<dyn Clock>,
    /// The address at which browsers find the page.
    door: String,
    /// Wakes the sender of webhooks.
    news: Arc<Notify>,
}

impl std::fmt::Debug for SandboxProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SandboxProvider")
    }
}

/// The response of the sandbox; none when it gets lost on its way.
type Response<T> = Result<Option<Answer<T>>, sqlx::Error>;

/// The change of a charge that an operation makes.
enum Change {
    Take(Taking),
    /// The rest is let go, and the money that was taken stays taken.
    Release,
    GiveBack(Key, Money),
    LetGo,
}

/// An operation on a charge that exists.
#[derive(Debug, Clone, Copy)]
enum Operation<'a> {
    Capture(Taking),
    Release,
    Void,
    Refund(&'a Key, Money),
}

impl SandboxProvider {
    /// A sandbox on the database that holds its schema.
    #[must_use]
    pub fn new(pool: PgPool, clock: Arc<dyn Clock>, door: String) -> Self {
        Self { pool, clock, door, news: Arc::new(Notify::new()) }
    }

    /// Connections to its state, which is beside the domain's tables on the same server; made when they are needed.
    ///
    /// # Errors
    /// When `database_url` is no PostgreSQL address.
    pub fn pool(database_url: &str) -> Result<PgPool, OpenError> {
        let options = kit::postgres::options(database_url, DATABASE)?;
        Ok(PgPoolOptions::new().max_connections(CONNECTIONS_MAX).connect_lazy_with(options))
    }

    /// A charge by its token; the token of another one when it is authorized again.
    async fn authorized(
        &self,
        charge: &Charge,
        token: Option<&str>,
        again: Option<&ProviderReference>,
    ) -> Response<Authorized> {
        let now = self.clock.now();
        let mut tx = self.pool.begin().await?;
        charges::lock(&mut tx, &charge.reference).await?;
        if let Some(known) = charges::theirs(&mut tx, &charge.reference).await? {
            return Ok(Some(self.answer(&known)));
        }
        let before = match again {
            Some(before) => charges::ours(&mut tx, &before.0).await?,
            None => None,
        };
        let token = token.or_else(|| before.as_ref().map(Row::token)).unwrap_or_default();
        let mood = Mood::of(token);
        let first = charges::first_try(&mut tx, &format!("authorize {}", charge.reference.0), now).await?;
        if first && again.is_none() && mood == Some(Mood::LostRequest) {
            tx.commit().await?;
            return Ok(None);
        }
        if let Some(before) = before.as_ref().filter(|before| before.status == AUTHORIZED) {
            charges::move_to(&mut tx, before, VOIDED, None, now).await?;
        }
        let made = charges::make(&mut tx, charge, Some(token), now).await?;
        if mood == Some(Mood::Secure(News::Forged)) {
            webhooks::forge(&mut tx, &made, now).await?;
        }
        tx.commit().await?;
        self.news.notify_one();
        Ok((mood != Some(Mood::LostAnswer)).then(|| self.answer(&made)))
    }

    fn answer(&self, charge: &Row) -> Answer<Authorized> {
        let now = self.clock.now();
        if let Some(authorized) = charge.authorized() {
            return Answer::Done(authorized);
        }
        if let Some(expires_at) = charge.waits_until(now) {
            let url = format!("{}/sandbox/3ds/{}", self.door, charge.reference);
            return Answer::RequiresAction(Action { provider_reference: charge.provider_reference(), url, expires_at });
        }
        if charge.status == FAILED { Answer::Refused(charge.refused()) } else { Answer::Lapsed }
    }

    async fn operated(&self, reference: &ProviderReference, operation: Operation<'_>) -> Response<()> {
        let now = self.clock.now();
        let mut tx = self.pool.begin().await?;
        let Some(charge) = charges::ours(&mut tx, &reference.0).await? else {
            let message = format!("there is no charge {}", reference.0);
            return Ok(Some(Answer::Refused(Refused::new(REFUSED_NOT_AUTHORIZED, message))));
        };
        let name = format!("{} {}", operation.name(), reference.0);
        let first = charges::first_try(&mut tx, &name, now).await?;
        if first && charge.mood() == Some(Mood::LostRequest) {
            tx.commit().await?;
            return Ok(None);
        }
        let answer = match self.change(&mut tx, &charge, operation).await? {
            Err(answer) => answer,
            Ok(change) => {
                match change {
                    Change::Take(taking) => charges::take(&mut tx, &charge, taking, now).await?,
                    Change::Release => charges::move_to(&mut tx, &charge, CAPTURED, None, now).await?,
                    Change::GiveBack(key, amount) => {
                        charges::give_back(&mut tx, &charge, &key.0, amount, now).await?;
                    }
                    Change::LetGo => charges::move_to(&mut tx, &charge, VOIDED, None, now).await?,
                }
                Answer::Done(())
            }
        };
        tx.commit().await?;
        Ok((!first || charge.mood() != Some(Mood::LostAnswer)).then_some(answer))
    }

    /// The change that an operation makes, or the answer when it makes none.
    async fn change(
        &self,
        tx: &mut PgConnection,
        charge: &Row,
        operation: Operation<'_>,
    ) -> Result<Result<Change, Answer>, sqlx::Error> {
        let no = |code, message: String| Ok(Err(Answer::Refused(Refused::new(code, message))));
        let (status, lapsed) = (charge.status.as_str(), charge.lapsed(self.clock.now()));
        match (operation, status) {
            (Operation::Capture(_), _) if charge.mood() == Some(Mood::CaptureFails) => {
                no(REFUSED_CAPTURE, "the issuer refuses the capture".to_owned())
            }
            (Operation::Capture(taking), AUTHORIZED)
                if taking.keep_rest && charge.captured() == taking.taken.amount() =>
            {
                Ok(Err(Answer::Done(())))
            }
            (Operation::Capture(_), AUTHORIZED) if lapsed => Ok(Err(Answer::Lapsed)),
            (Operation::Capture(_), VOIDED) => Ok(Err(Answer::Lapsed)),
            (Operation::Capture(taking), AUTHORIZED) if charge.fits(taking.taken) => Ok(Ok(Change::Take(taking))),
            (Operation::Capture(taking), CAPTURED) if charge.captured() == taking.taken.amount() => {
                Ok(Err(Answer::Done(())))
            }
            (Operation::Capture(_), _) => no(REFUSED_CAPTURE, format!("a charge that is {status} cannot be captured")),
            (Operation::Release, AUTHORIZED) if !charge.captured().is_zero() => Ok(Ok(Change::Release)),
            (Operation::Release, CAPTURED | REFUNDED) => Ok(Err(Answer::Done(()))),
            (Operation::Release, _) => {
                no(REFUSED_NOT_AUTHORIZED, format!("nothing was taken of a charge that is {status}"))
            }
            (Operation::Void, AUTHORIZED | REQUIRES_ACTION) if charge.captured().is_zero() => Ok(Ok(Change::LetGo)),
            (Operation::Void, VOIDED | FAILED | REFUNDED) => Ok(Err(Answer::Done(()))),
            (Operation::Void, _) => no(REFUSED_NOT_AUTHORIZED, format!("a charge that is {status} cannot be voided")),
            (Operation::Refund(key, _), _) if charges::is_given_back(tx, &key.0).await? => Ok(Err(Answer::Done(()))),
            (Operation::Refund(key, amount), CAPTURED) if charge.fits(amount) && amount.amount() <= charge.held() => {
                Ok(Ok(Change::GiveBack(key.clone(), amount)))
            }
            (Operation::Refund(..), _) => {
                no(REFUSED_NOT_AUTHORIZED, format!("a charge that is {status} cannot be refunded by so much"))
            }
        }
    }

    async fn abandoned(&self, charge: &Charge) -> Response<()> {
        let now = self.clock.now();
        let mut tx = self.pool.begin().await?;
        charges::lock(&mut tx, &charge.reference).await?;
        let answer = match charges::theirs(&mut tx, &charge.reference).await? {
            // It is kept as ended, so that it has no effect when it comes.
            None => {
                charges::make(&mut tx, charge, None, now).await?;
                Answer::Done(())
            }
            Some(known) if [AUTHORIZED, REQUIRES_ACTION].contains(&known.status.as_str()) => {
                charges::move_to(&mut tx, &known, VOIDED, None, now).await?;
                Answer::Done(())
            }
            Some(known) if known.status == CAPTURED => {
                Answer::Refused(Refused::new(REFUSED_NOT_AUTHORIZED, "a charge that is captured cannot be voided"))
            }
            Some(_) => Answer::Done(()),
        };
        tx.commit().await?;
        Ok(Some(answer))
    }

    async fn found(&self, reference: &Reference) -> Result<Option<Found>, sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        let Some(charge) = charges::theirs(&mut tx, reference).await? else { return Ok(None) };
        let standing = charge.standing(self.clock.now())?;
        Ok(Some(Found { provider_reference: charge.provider_reference(), standing }))
    }
}

impl Operation<'_> {
    const fn name(&self) -> &'static str {
        match self {
            Self::Capture(_) => "capture",
            Self::Release => "release",
            Self::Void => "void",
            Self::Refund(..) => "refund",
        }
    }
}

#[async_trait]
impl PaymentProvider for SandboxProvider {
    async fn authorize(&self, charge: &Charge, token: &PaymentToken, _resumed: bool) -> Asked<Authorized> {
        heard(self.authorized(charge, Some(token.as_str()), None).await)
    }

    async fn authorize_again(&self, charge: &Charge, lapsed: &ProviderReference) -> Asked<Authorized> {
        heard(self.authorized(charge, None, Some(lapsed)).await)
    }

    async fn find(&self, reference: &Reference, _known: Option<&ProviderReference>) -> Result<Option<Found>, Unclear> {
        self.found(reference).await.map_err(|error| Unclear(error.to_string()))
    }

    async fn capture(&self, authorization: &ProviderReference, taking: &Taking) -> Asked {
        heard(self.operated(authorization, Operation::Capture(*taking)).await)
    }

    async fn release(&self, authorization: &ProviderReference, _taken: Money) -> Asked {
        heard(self.operated(authorization, Operation::Release).await)
    }

    async fn void(&self, authorization: &ProviderReference) -> Asked {
        heard(self.operated(authorization, Operation::Void).await)
    }

    async fn refund(&self, key: &Key, authorization: &ProviderReference, amount: Money) -> Asked {
        heard(self.operated(authorization, Operation::Refund(key, amount)).await)
    }

    async fn abandon(&self, charge: &Charge) -> Asked {
        heard(self.abandoned(charge).await)
    }
}

fn heard<T>(response: Response<T>) -> Asked<T> {
    match response {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(Unclear("no answer in time".to_owned())),
        Err(error) => Err(Unclear(error.to_string())),
    }
}

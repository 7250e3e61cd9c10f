//! `payment.void`: undoes payments in any state: lets reserved money go, gives taken money back, and makes sure that an
//! authorization that is still on its way, or approved only now, reserves nothing.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use contract::{
    Money, PaymentId,
    command::Outcome,
    payment::{PaymentStatus, PaymentVoided},
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::{Decided, DomainError, HandlerError, Member, OutsideHandler, Prepare, Recording, SetHandled};

use super::{
    calls::{Payments, definite, unclear},
    versions::NamesPayment,
};
use crate::{
    ledger::{Movement, Posting, posting},
    payments::{Payment, UnderWay, find},
    provider::{Answer, Charge, Found, Key, ProviderReference, Refused, Standing},
};

/// The handler of all versions.
#[derive(Debug, Clone)]
pub(crate) struct Undoing(pub(crate) Payments);

/// The arguments of the call, stored until its record.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Prepared {
    key: Key,
    charge: Charge,
    undo: Undo,
}

/// The way in which a payment is undone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "snake_case")]
enum Undo {
    /// The money is reserved, and let go.
    Void { provider_reference: ProviderReference },
    /// A part of the money is taken and given back; the rest is reserved and let go.
    Both { provider_reference: ProviderReference, taken: Money, rest: Money },
    /// The money is taken, and given back.
    Refund { provider_reference: ProviderReference, amount: Money },
    /// An authorization was asked for, and nobody has heard that it was given.
    Abandon,
}

/// The end of a payment's money.
#[derive(Debug, Clone)]
pub(crate) enum Undone {
    /// None was taken.
    LetGo,
    /// So much had been taken from this charge, and was given back.
    GivenBack(Money, ProviderReference),
}

impl<C: NamesPayment<Reply = PaymentVoided>> OutsideHandler<C> for Undoing {
    type Prepared = Prepared;
    type Answer = Undone;

    async fn prepare_many(&self, tx: &mut PgConnection, set: &mut [Member<C>]) -> Decided<Self, C> {
        let ids: Vec<Uuid> = set.iter().map(|member| member.command.named()).collect();
        let asked: Vec<_> = ids.iter().map(|id| (*id, None)).collect();
        let mut begun = UnderWay::Undo.begin(tx, C::BY, &asked).await?;
        let left: Vec<_> = ids.iter().copied().filter(|id| !begun.contains_key(id)).collect();
        let others = find(tx, C::BY, &left).await?;
        let decide = |member: &Member<C>| decide(member, begun.remove(&member.command.named()).as_ref(), &others);
        set.iter().map(decide).collect()
    }

    async fn call(&self, prepared: &Prepared, _resumed: bool) -> Result<Undone, HandlerError> {
        let Prepared { key, charge, undo } = prepared;
        let provider = &*self.0.provider;
        let (asked, refunds) = match undo {
            Undo::Void { provider_reference } => (provider.void(provider_reference).await, None),
            Undo::Refund { provider_reference, amount } => {
                let refunds = Undone::GivenBack(*amount, provider_reference.clone());
                (provider.refund(key, provider_reference, *amount).await, Some(refunds))
            }
            Undo::Both { provider_reference, taken, .. } => {
                match definite(provider.release(provider_reference, *taken).await)? {
                    Answer::Done(()) | Answer::Lapsed => {}
                    Answer::Accepted => return Err(HandlerError::unclear("the provider has not let the rest go yet")),
                    no @ (Answer::Refused(_) | Answer::RequiresAction(_)) => {
                        return Err(HandlerError::fault(format!("the provider does not let the rest go: {no:?}")));
                    }
                }
                let refunds = Undone::GivenBack(*taken, provider_reference.clone());
                (provider.refund(key, provider_reference, *taken).await, Some(refunds))
            }
            Undo::Abandon => (provider.abandon(charge).await, None),
        };
        match definite(asked)? {
            // What has lapsed reserves nothing either.
            Answer::Done(()) | Answer::Lapsed => Ok(refunds.unwrap_or(Undone::LetGo)),
            Answer::Refused(no) => self.looked_up(prepared, refunds, &no).await,
            Answer::Accepted => Err(HandlerError::unclear("the provider has not undone it yet")),
            Answer::RequiresAction(_) => {
                Err(HandlerError::fault("the provider answered an undo with an act of the client"))
            }
        }
    }

    async fn record_many(
        &self,
        tx: &mut PgConnection,
        set: &mut [Recording<C, Prepared, Undone>],
    ) -> SetHandled<PaymentVoided> {
        let Some(now) = set.first().map(|recording| recording.context.now) else { return Ok(Vec::new()) };
        let mut ends = Ends::default();
        for Recording { prepared, answer, .. } in &*set {
            ends.add(prepared, answer);
        }
        ends.record(tx, now).await?;
        Ok(set.iter().map(|_| Outcome::done(PaymentVoided {})).collect())
    }
}

impl Undoing {
    /// A refused undo may meet what a person has done by hand at the provider. A compensation is never refused for a business
    /// reason (S12): where that is not it, a person has to look.
    async fn looked_up(
        &self,
        prepared: &Prepared,
        refunds: Option<Undone>,
        no: &Refused,
    ) -> Result<Undone, HandlerError> {
        let Prepared { key, charge, undo } = prepared;
        let known = match undo {
            Undo::Void { provider_reference }
            | Undo::Both { provider_reference, .. }
            | Undo::Refund { provider_reference, .. } => Some(provider_reference),
            Undo::Abandon => None,
        };
        let stuck = || HandlerError::fault(format!("the provider refuses to undo: {}, {}", no.code, no.message));
        let found = self.0.provider.find(&charge.reference, known).await.map_err(unclear)?;
        match (found, refunds) {
            // Given back by hand.
            (Some(Found { standing: Standing::Ended, .. }), Some(refunds)) => Ok(refunds),
            (None | Some(Found { standing: Standing::Ended | Standing::Refused(_), .. }), None) => Ok(Undone::LetGo),
            // Captured by hand.
            (Some(Found { provider_reference, standing: Standing::Captured(amount) }), None) => {
                match definite(self.0.provider.refund(key, &provider_reference, amount).await)? {
                    Answer::Done(()) => Ok(Undone::GivenBack(amount, provider_reference)),
                    Answer::Accepted => Err(HandlerError::unclear("the provider has not given the money back yet")),
                    Answer::RequiresAction(_) | Answer::Lapsed | Answer::Refused(_) => Err(stuck()),
                }
            }
            _ => Err(stuck()),
        }
    }
}

/// The ends of some payments.
#[derive(Default)]
struct Ends {
    movements: Posting,
    /// Those whose money moved, and how much of each was taken before.
    moved: Vec<Uuid>,
    captured: Vec<Decimal>,
    references: Vec<Option<String>>,
    /// Those of which the books know no money.
    silent: Vec<Uuid>,
}

impl Ends {
    fn add(&mut self, Prepared { key, charge, undo }: &Prepared, undone: &Undone) {
        let Charge { payment_id, amount: authorized, ref reference, .. } = *charge;
        let movements = match (undo, undone) {
            (Undo::Abandon, Undone::LetGo) => vec![],
            (Undo::Void { .. } | Undo::Both { .. } | Undo::Refund { .. }, Undone::LetGo) => {
                vec![Movement::Void { authorized }]
            }
            (&Undo::Both { rest, .. }, &Undone::GivenBack(refunded, _)) => {
                vec![Movement::Void { authorized: rest }, Movement::Refund { refunded }]
            }
            (Undo::Refund { .. }, &Undone::GivenBack(refunded, _)) => vec![Movement::Refund { refunded }],
            (Undo::Void { .. }, &Undone::GivenBack(refunded, _)) => {
                vec![Movement::Capture { authorized, captured: refunded }, Movement::Refund { refunded }]
            }
            (Undo::Abandon, &Undone::GivenBack(refunded, _)) => vec![
                Movement::Authorize { amount: authorized },
                Movement::Capture { authorized, captured: refunded },
                Movement::Refund { refunded },
            ],
        };
        if movements.is_empty() {
            self.silent.push(payment_id.uuid());
            return;
        }
        for movement in movements {
            self.movements.add(payment_id, movement, movement_key(movement, key, &reference.0));
        }
        let (captured, provider_reference) = match undone {
            Undone::LetGo => (Decimal::ZERO, None),
            Undone::GivenBack(money, provider_reference) => (money.amount(), Some(provider_reference.0.clone())),
        };
        self.moved.push(payment_id.uuid());
        self.captured.push(captured);
        self.references.push(provider_reference);
    }

    /// Writes the ends down, by one statement for each kind.
    async fn record(self, tx: &mut PgConnection, now: DateTime<Utc>) -> Result<(), HandlerError> {
        let Self { movements, moved, captured, references, silent } = self;
        if !silent.is_empty() {
            sqlx::query(
                "WITH locked AS MATERIALIZED (
                     SELECT payment_id FROM payment WHERE payment_id = ANY($2) ORDER BY payment_id FOR NO KEY UPDATE
                 )
                 UPDATE payment SET status = 'voided', action_url = NULL, action_expires_at = NULL, under_way = NULL,
                        updated_at = $1
                 WHERE (SELECT count(*) FROM locked) > 0 AND payment_id = ANY($2)
                   AND status IN ('pending', 'requires_action')",
            )
            .bind(now)
            .bind(silent)
            .execute(&mut *tx)
            .await
            .map_err(DomainError::doing("ending payments that were never authorized"))?;
        }
        if movements.is_empty() {
            return Ok(());
        }
        let statement = posting!(
            "UPDATE payment SET status = CASE WHEN undone.captured > 0 THEN 'refunded' ELSE 'voided' END,
                    captured_amount = greatest(captured_amount, undone.captured),
                    refunded_amount = greatest(captured_amount, undone.captured),
                    provider_reference = coalesce(undone.reference, provider_reference),
                    action_url = NULL, action_expires_at = NULL, updated_at = $1, under_way = NULL
             FROM unnest($10::uuid[], $11::numeric[], $12::text[]) AS undone (payment_id, captured, reference)
             WHERE (SELECT count(*) FROM locked) > 0 AND payment.payment_id = undone.payment_id
               AND status IN ('pending', 'requires_action', 'authorized', 'captured')
             RETURNING payment.payment_id"
        );
        let lines = movements.lines();
        let written = movements.query(statement, now).bind(moved).bind(captured).bind(references).execute(tx).await?;
        if written.rows_affected() != lines {
            return Err(HandlerError::fault("a payment changed while it was undone"));
        }
        Ok(())
    }
}

/// An authorization is posted under its own name, everything that ends it under the command that does.
const fn movement_key<'a>(movement: Movement, key: &'a Key, reference: &'a str) -> &'a str {
    match movement {
        Movement::Authorize { .. } | Movement::Void { .. } => reference,
        Movement::Capture { .. } | Movement::Refund { .. } => key.0.as_str(),
    }
}

/// The question for the provider, or the answer when there is nothing to ask for. A payment that is under way is not a no
/// (S12): asked again, the command finds out how the other one ended.
fn decide<C: NamesPayment<Reply = PaymentVoided>>(
    member: &Member<C>,
    begun: Option<&Payment>,
    others: &HashMap<Uuid, Payment>,
) -> Result<Prepare<Prepared, PaymentVoided>, HandlerError> {
    if let Some((payment, undo)) = begun.and_then(|payment| Some((payment, undo_of(payment)?))) {
        let key = Key(member.context.idempotency_key());
        return Ok(Prepare::Call(Prepared { key, charge: payment.charge(), undo }));
    }
    let other = others.get(&member.command.named());
    match other.filter(|payment| payment.under_way.is_some() && undo_of(payment).is_some()) {
        Some(Payment { payment_id, .. }) => under_way(*payment_id),
        None => Ok(Prepare::Answer(Outcome::done(PaymentVoided {}))),
    }
}

fn under_way(payment_id: PaymentId) -> Result<Prepare<Prepared, PaymentVoided>, HandlerError> {
    Err(HandlerError::fault(format!("{payment_id} is under way at the provider")))
}

/// The rest of a payment that is to be undone.
fn undo_of(payment: &Payment) -> Option<Undo> {
    let provider_reference = payment.provider_reference.clone();
    match (payment.status, provider_reference) {
        (PaymentStatus::Pending | PaymentStatus::RequiresAction, _) => Some(Undo::Abandon),
        (PaymentStatus::Authorized, Some(provider_reference)) if !payment.captured.is_zero() => {
            Some(Undo::Both { provider_reference, taken: payment.captured, rest: payment.left })
        }
        (PaymentStatus::Authorized, Some(provider_reference)) => Some(Undo::Void { provider_reference }),
        (PaymentStatus::Captured, Some(provider_reference)) => {
            Some(Undo::Refund { provider_reference, amount: payment.kept })
        }
        (PaymentStatus::Voided | PaymentStatus::Refunded | PaymentStatus::Failed, _)
        | (PaymentStatus::Authorized | PaymentStatus::Captured, None) => None,
    }
}

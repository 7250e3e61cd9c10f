//! `payment.authorize`: begins payments and reserves their money, or learns what the client has to do first.

use contract::{
    UserId,
    command::Outcome,
    payment::{PaymentStatus, PaymentToken, REFUSED_AUTHENTICATION_REQUIRED, REFUSED_PAYMENT_EXISTS},
};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use worker_runtime::{Decided, HandlerError, Member, OutsideHandler, Prepare, Recording, SetHandled};

use super::{
    calls::{Payments, definite},
    versions::Authorizes,
};
use crate::{
    authorizations::{Answered, Given, NewPayment, begin, refuse, store, wait},
    payments::reference,
    provider::{Answer, Authorized, Charge, Refused},
};

/// The handler of all versions.
#[derive(Debug, Clone)]
pub(crate) struct Authorizations(pub(crate) Payments);

/// The arguments of the call, stored until its record.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Prepared {
    charge: Charge,
    user_id: Option<UserId>,
    /// The number of the authorization.
    number: i16,
    token: PaymentToken,
}

impl Prepared {
    const fn payment(&self) -> NewPayment {
        let Charge { payment_id, order_id, saga_id, amount, .. } = self.charge;
        NewPayment { payment_id, order_id, user_id: self.user_id, saga_id, amount }
    }
}

impl<C: Authorizes> OutsideHandler<C> for Authorizations {
    type Prepared = Prepared;
    type Answer = Answer<Authorized>;

    async fn prepare_many(&self, tx: &mut PgConnection, set: &mut [Member<C>]) -> Decided<Self, C> {
        let Some(now) = set.first().map(|member| member.context.now) else { return Ok(Vec::new()) };
        let new: Vec<NewPayment> = set.iter().map(|one| one.command.begins(one.context.saga_id())).collect();
        let mut numbers = begin(tx, &new, now).await?;
        let ask = |(member, payment): (&Member<C>, &NewPayment)| match numbers.remove(&payment.payment_id) {
            Some(Ok(number)) => Prepare::Call(Prepared {
                charge: charge(payment, number),
                user_id: payment.user_id,
                number,
                token: member.command.token().clone(),
            }),
            Some(Err(Refused { code, message })) => Prepare::Answer(Outcome::refused(code, message)),
            // Named by an earlier member of this set.
            None => Prepare::Answer(Outcome::refused(
                REFUSED_PAYMENT_EXISTS,
                format!("{} was begun already", payment.payment_id),
            )),
        };
        Ok(set.iter().zip(&new).map(ask).collect())
    }

    async fn call(&self, prepared: &Prepared, resumed: bool) -> Result<Answer<Authorized>, HandlerError> {
        let Prepared { charge, token, .. } = prepared;
        let provider = &self.0.provider;
        match definite(provider.authorize(charge, token, resumed).await)? {
            Answer::RequiresAction(_) if !C::WAITS => {
                definite(provider.abandon(charge).await)?;
                let message = "the card asks for an act of the client, which this order cannot wait for";
                Ok(Answer::Refused(Refused::new(REFUSED_AUTHENTICATION_REQUIRED, message)))
            }
            // It was abandoned by the call that was interrupted.
            Answer::Lapsed if !C::WAITS => {
                let message = "the authorization was abandoned before it was answered";
                Ok(Answer::Refused(Refused::new(REFUSED_AUTHENTICATION_REQUIRED, message)))
            }
            Answer::Accepted => Err(HandlerError::fault("the provider has not decided yet")),
            answer @ (Answer::Done(_) | Answer::RequiresAction(_) | Answer::Lapsed | Answer::Refused(_)) => Ok(answer),
        }
    }

    async fn record_many(
        &self,
        tx: &mut PgConnection,
        set: &mut [Recording<C, Prepared, Answer<Authorized>>],
    ) -> SetHandled<C::Reply> {
        let Some(now) = set.first().map(|recording| recording.context.now) else { return Ok(Vec::new()) };
        let (mut given, mut acts, mut refused, mut outcomes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for Recording { prepared, answer, .. } in &*set {
            let payment = prepared.payment();
            let payment_id = payment.payment_id;
            outcomes.push(match answer {
                Answer::Done(authorized) => {
                    let answer =
                        Given { amount: payment.amount, number: prepared.number, authorized: authorized.clone() };
                    given.push(Answered { payment_id, answer });
                    Outcome::done(C::authorized(&payment, authorized))
                }
                Answer::RequiresAction(action) => {
                    let reply = C::requires_action(action)
                        .ok_or_else(|| HandlerError::fault("an act of the client was not turned down"))?;
                    acts.push(Answered { payment_id, answer: action.clone() });
                    Outcome::done(reply)
                }
                Answer::Refused(no) => {
                    refused.push(Answered { payment_id, answer: no.clone() });
                    Outcome::refused(no.code, no.message.clone())
                }
                Answer::Lapsed | Answer::Accepted => {
                    return Err(HandlerError::fault("the authorization ended as soon as it was given"));
                }
            });
        }
        store(tx, PaymentStatus::Pending, &given, now).await?;
        wait(tx, &acts, now).await?;
        refuse(tx, &refused, now).await?;
        Ok(outcomes)
    }
}

fn charge(payment: &NewPayment, number: i16) -> Charge {
    let NewPayment { payment_id, order_id, saga_id, amount, .. } = *payment;
    Charge { reference: reference(payment_id, number), payment_id, order_id, saga_id, amount }
}

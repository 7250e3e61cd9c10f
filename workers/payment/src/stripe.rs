//! The adapter for Stripe, and for providers that speak as Stripe does.
//!
//! ```text
//!  authorize   POST /v1/payment_intents (unconfirmed, once by key) --> POST .../{id}/confirm
//!  find        GET  /v1/payment_intents/{id}, or .../search by metadata["reference"]
//!  capture     POST .../{id}/capture        release  POST .../{id}/capture, of nothing
//!  void        POST .../{id}/cancel
//!  refund      GET  /v1/refunds --> POST /v1/refunds (once by key)
//!  abandon     find, or the same unconfirmed intent again --> POST .../{id}/cancel
//! ```
//!
//! An intent is made without a payment method first: it reserves nothing, so one that comes late, or twice after Stripe has
//! forgotten the key, does no harm. From then on the intent's state is the guard: it is confirmed, captured and canceled
//! once, however often that is asked for. A capture that keeps a rest leaves the state as it is: the amount received is its
//! guard.

mod amounts;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    Money,
    payment::{
        PaymentToken, REFUSED_AUTHENTICATION, REFUSED_CAPTURE, REFUSED_DECLINED, REFUSED_INSUFFICIENT,
        REFUSED_NOT_AUTHORIZED, REFUSED_TOKEN_UNKNOWN,
    },
};
use kit::clock::Clock;
use reqwest::Url;
use secrecy::SecretString;

use self::{
    amounts::{minor, money},
    wire::{Form, Intent, Listed, Problem, Refund, Wire},
};
use crate::provider::{
    ACTION_WITHIN, Action, Answer, Asked, Authorized, Charge, Found, Key, PaymentProvider, ProviderReference,
    Reference, Refused, Standing, Taking, Unclear,
};

/// The life of an authorization whose end Stripe does not say: the shortest of the card schemes.
const AUTHORIZATION: TimeDelta = TimeDelta::hours(4 * 24 + 18);

/// The most refunds of one intent that are looked through; Stripe lists no more at a time.
const REFUNDS_MAX: &str = "100";

/// The states of an intent, in Stripe's words.
mod status {
    pub(super) const REQUIRES_PAYMENT_METHOD: &str = "requires_payment_method";
    pub(super) const REQUIRES_CONFIRMATION: &str = "requires_confirmation";
    pub(super) const REQUIRES_ACTION: &str = "requires_action";
    pub(super) const PROCESSING: &str = "processing";
    pub(super) const REQUIRES_CAPTURE: &str = "requires_capture";
    pub(super) const SUCCEEDED: &str = "succeeded";
    pub(super) const CANCELED: &str = "canceled";
}

/// Stripe as a payment provider.
#[derive(Clone)]
pub struct StripeProvider {
    wire: Wire,
    /// Where clients come back to.
    return_url: Url,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for StripeProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StripeProvider")
    }
}

/// The way in which an intent is paid.
enum Method<'a> {
    Token(&'a PaymentToken),
    /// The payment method of an earlier intent, without the client.
    Kept(String),
}

impl StripeProvider {
    /// The provider at this address.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(
        url: Url,
        secret_key: SecretString,
        return_url: Url,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, reqwest::Error> {
        Ok(Self { wire: Wire::new(url, secret_key)?, return_url, clock })
    }

    async fn retrieve(&self, id: &str) -> Result<Result<Intent, Problem>, Unclear> {
        self.wire.get(&format!("/v1/payment_intents/{id}"), vec![("expand[]", "latest_charge".to_owned())]).await
    }

    /// The intent of this reference. Stripe's search is about a minute late.
    async fn search(&self, reference: &Reference) -> Result<Option<Intent>, Unclear> {
        let query = format!("metadata[\"reference\"]:\"{}\"", reference.0);
        let form = vec![("query", query), ("expand[]", "data.latest_charge".to_owned())];
        let found: Result<Listed<Intent>, Problem> = self.wire.get("/v1/payment_intents/search", form).await?;
        let found = found.map_err(|no| Unclear(format!("the search was refused: {}", no.text())))?;
        // Of several, which a forgotten key may have made, the one that something was done with.
        let untouched = |intent: &Intent| intent.status == status::REQUIRES_PAYMENT_METHOD;
        let mut intents = found.data;
        intents.sort_by_key(untouched);
        Ok(intents.into_iter().next())
    }

    /// An intent that reserves nothing yet: the same one for the same charge, as long as Stripe remembers the key.
    async fn made(&self, charge: &Charge) -> Result<Result<Intent, Refused>, Unclear> {
        let Some(minor) = minor(charge.amount) else {
            let message = format!("the provider takes no charge of {}", charge.amount);
            return Ok(Err(Refused::new(REFUSED_DECLINED, message)));
        };
        let form = vec![
            ("amount", minor.to_string()),
            ("currency", charge.amount.currency_code().to_ascii_lowercase()),
            ("capture_method", "manual".to_owned()),
            ("payment_method_types[]", "card".to_owned()),
            ("payment_method_options[card][request_multicapture]", "if_available".to_owned()),
            ("metadata[reference]", charge.reference.0.clone()),
            ("metadata[payment_id]", charge.payment_id.to_string()),
            ("metadata[order_id]", charge.order_id.to_string()),
            ("metadata[saga_id]", charge.saga_id.to_string()),
        ];
        let once = format!("create {}", charge.reference.0);
        let made: Result<Intent, Problem> = self.wire.post("/v1/payment_intents", form, Some(&once)).await?;
        let made = made.map_err(|no| Unclear(format!("no intent can be made: {}", no.text())))?;
        // A key repeats the answer of its first request, which may be days old.
        self.retrieve(&made.id).await?.map(Ok).map_err(|no| Unclear(no.text()))
    }

    async fn confirmed(&self, intent: Intent, method: Method<'_>) -> Asked<Authorized> {
        if ![status::REQUIRES_PAYMENT_METHOD, status::REQUIRES_CONFIRMATION].contains(&intent.status.as_str())
            || intent.last_payment_error.is_some()
        {
            return self.answer(intent);
        }
        let mut form: Form =
            vec![("return_url", self.return_url.to_string()), ("expand[]", "latest_charge".to_owned())];
        match method {
            Method::Token(token) => form.extend([
                ("payment_method_data[type]", "card".to_owned()),
                ("payment_method_data[card][token]", token.as_str().to_owned()),
            ]),
            Method::Kept(id) => form.extend([("payment_method", id), ("off_session", "true".to_owned())]),
        }
        let path = format!("/v1/payment_intents/{}/confirm", intent.id);
        match self.wire.post::<Intent>(&path, form, None).await? {
            Ok(confirmed) => self.answer(confirmed),
            Err(no) if is_unexpected_state(&no) => self.stands(&intent.id).await,
            Err(no) => Ok(Answer::Refused(refused(&no))),
        }
    }

    /// How an intent stands now, as the answer to its authorization.
    async fn stands(&self, id: &str) -> Asked<Authorized> {
        match self.retrieve(id).await? {
            Ok(intent) => self.answer(intent),
            Err(no) => Err(Unclear(no.text())),
        }
    }

    fn answer(&self, intent: Intent) -> Asked<Authorized> {
        let provider_reference = ProviderReference(intent.id.clone());
        Ok(match intent.status.as_str() {
            status::REQUIRES_CAPTURE | status::SUCCEEDED => {
                Answer::Done(Authorized { provider_reference, capture_before: capture_before(&intent) })
            }
            status::REQUIRES_ACTION => match intent.next_action.and_then(|next| next.redirect_to_url) {
                Some(redirect) => {
                    let expires_at = self.clock.now() + ACTION_WITHIN;
                    Answer::RequiresAction(Action { provider_reference, url: redirect.url, expires_at })
                }
                None => {
                    let message = "the card asks for an act that has no page";
                    Answer::Refused(Refused::new(REFUSED_AUTHENTICATION, message))
                }
            },
            status::PROCESSING => Answer::Accepted,
            status::CANCELED => Answer::Lapsed,
            _ => match intent.last_payment_error {
                Some(no) => Answer::Refused(refused(&no)),
                None => return Err(Unclear(format!("an intent that is {}", intent.status))),
            },
        })
    }

    /// Takes money of an intent, of which so much is received in all afterwards.
    async fn taken(&self, intent: &ProviderReference, form: Form, total: i64, once: Option<&str>) -> Asked {
        let path = format!("/v1/payment_intents/{}/capture", intent.0);
        let problem = match self.wire.post::<Intent>(&path, form, once).await? {
            Ok(intent) if intent.status == status::PROCESSING => return Ok(Answer::Accepted),
            Ok(_) => return Ok(Answer::Done(())),
            Err(problem) => problem,
        };
        if matches!(
            problem.code.as_deref(),
            Some("charge_expired_for_capture" | "capture_charge_authorization_expired")
        ) {
            return Ok(Answer::Lapsed);
        }
        let intent = self.retrieve(&intent.0).await?.map_err(|no| Unclear(no.text()))?;
        match intent.status.as_str() {
            status::SUCCEEDED if intent.amount_received == total => Ok(Answer::Done(())),
            status::PROCESSING => Ok(Answer::Accepted),
            status::CANCELED => Ok(Answer::Lapsed),
            _ => Ok(Answer::Refused(Refused::new(REFUSED_CAPTURE, problem.text()))),
        }
    }

    async fn canceled(&self, id: &str) -> Asked {
        let path = format!("/v1/payment_intents/{id}/cancel");
        match self.wire.post::<Intent>(&path, Vec::new(), None).await? {
            Ok(_) => Ok(Answer::Done(())),
            Err(no) if is_unexpected_state(&no) => match self.retrieve(id).await? {
                Ok(intent) if intent.status == status::CANCELED => Ok(Answer::Lapsed),
                Ok(intent) if intent.status == status::PROCESSING => Ok(Answer::Accepted),
                Ok(intent) => {
                    let message = format!("an intent that is {} cannot be canceled", intent.status);
                    Ok(Answer::Refused(Refused::new(REFUSED_NOT_AUTHORIZED, message)))
                }
                Err(no) => Err(Unclear(no.text())),
            },
            Err(no) => Err(Unclear(no.text())),
        }
    }
}

#[async_trait]
impl PaymentProvider for StripeProvider {
    async fn authorize(&self, charge: &Charge, token: &PaymentToken, resumed: bool) -> Asked<Authorized> {
        let known = if resumed { self.search(&charge.reference).await? } else { None };
        let intent = match known {
            Some(intent) => intent,
            None => match self.made(charge).await? {
                Ok(intent) => intent,
                Err(no) => return Ok(Answer::Refused(no)),
            },
        };
        self.confirmed(intent, Method::Token(token)).await
    }

    async fn authorize_again(&self, charge: &Charge, lapsed: &ProviderReference) -> Asked<Authorized> {
        let before = self.retrieve(&lapsed.0).await?.map_err(|no| Unclear(no.text()))?;
        let Some(method) = before.payment_method else {
            let message = "the lapsed authorization has no payment method any more";
            return Ok(Answer::Refused(Refused::new(REFUSED_CAPTURE, message)));
        };
        let intent = match self.search(&charge.reference).await? {
            Some(intent) => intent,
            None => match self.made(charge).await? {
                Ok(intent) => intent,
                Err(no) => return Ok(Answer::Refused(no)),
            },
        };
        self.confirmed(intent, Method::Kept(method)).await
    }

    async fn find(&self, reference: &Reference, known: Option<&ProviderReference>) -> Result<Option<Found>, Unclear> {
        let intent = match known {
            Some(known) => self.retrieve(&known.0).await?.ok(),
            None => self.search(reference).await?,
        };
        intent.map(|intent| found(intent, self.clock.now())).transpose()
    }

    async fn capture(&self, authorization: &ProviderReference, taking: &Taking) -> Asked {
        let Taking { amount, taken, keep_rest } = *taking;
        let (Some(amount), Some(total)) = (minor(amount), minor(taken)) else {
            let message = format!("the provider takes no charge of {amount}");
            return Ok(Answer::Refused(Refused::new(REFUSED_CAPTURE, message)));
        };
        if !keep_rest {
            return self.taken(authorization, vec![("amount_to_capture", amount.to_string())], total, None).await;
        }
        // The state guards the last capture alone; the amount received guards the others.
        let intent = self.retrieve(&authorization.0).await?.map_err(|no| Unclear(no.text()))?;
        if intent.amount_received >= total {
            return Ok(Answer::Done(()));
        }
        let form = vec![("amount_to_capture", amount.to_string()), ("final_capture", "false".to_owned())];
        let once = format!("capture {} up to {total}", authorization.0);
        self.taken(authorization, form, total, Some(&once)).await
    }

    async fn release(&self, authorization: &ProviderReference, taken: Money) -> Asked {
        let Some(total) = minor(taken) else { return Err(Unclear(format!("an amount of {taken}"))) };
        self.taken(authorization, vec![("amount_to_capture", "0".to_owned())], total, None).await
    }

    async fn void(&self, authorization: &ProviderReference) -> Asked {
        self.canceled(&authorization.0).await
    }

    async fn refund(&self, key: &Key, authorization: &ProviderReference, amount: Money) -> Asked {
        let no = |message: String| Ok(Answer::Refused(Refused::new(REFUSED_NOT_AUTHORIZED, message)));
        let of_intent = vec![("payment_intent", authorization.0.clone()), ("limit", REFUNDS_MAX.to_owned())];
        let listed: Result<Listed<Refund>, Problem> = self.wire.get("/v1/refunds", of_intent).await?;
        let listed = listed.map_err(|no| Unclear(no.text()))?;
        if let Some(known) = listed.data.iter().find(|refund| refund.metadata.key.as_ref() == Some(&key.0)) {
            return Ok(given_back(known));
        }
        let Some(minor) = minor(amount) else { return no(format!("the provider gives no {amount} back")) };
        let form = vec![
            ("payment_intent", authorization.0.clone()),
            ("amount", minor.to_string()),
            ("metadata[key]", key.0.clone()),
        ];
        match self.wire.post::<Refund>("/v1/refunds", form, Some(&format!("refund {}", key.0))).await? {
            Ok(refund) => Ok(given_back(&refund)),
            Err(problem) => no(problem.text()),
        }
    }

    async fn abandon(&self, charge: &Charge) -> Asked {
        let intent = match self.search(&charge.reference).await? {
            Some(intent) => intent,
            None => match self.made(charge).await? {
                Ok(intent) => intent,
                // What cannot be made reserves nothing.
                Err(_) => return Ok(Answer::Done(())),
            },
        };
        self.canceled(&intent.id).await
    }
}

fn found(intent: Intent, now: DateTime<Utc>) -> Result<Found, Unclear> {
    let unreadable = || Unclear(format!("an amount in `{}`", intent.currency));
    let standing = match intent.status.as_str() {
        status::REQUIRES_CAPTURE => Standing::Authorized(capture_before(&intent)),
        status::SUCCEEDED => {
            let kept =
                intent.amount_received - intent.latest_charge.as_ref().map_or(0, |charge| charge.amount_refunded);
            if kept > 0 {
                Standing::Captured(money(kept, &intent.currency).ok_or_else(unreadable)?)
            } else {
                Standing::Ended
            }
        }
        // Stripe waits for its client without end, and the sagas do not.
        status::REQUIRES_ACTION if is_too_late(&intent, now) => Standing::Ended,
        status::REQUIRES_ACTION => Standing::RequiresAction,
        status::PROCESSING => Standing::Accepted,
        status::CANCELED => Standing::Ended,
        _ => match &intent.last_payment_error {
            Some(no) => Standing::Refused(refused(no)),
            // Made, and never confirmed.
            None => Standing::Ended,
        },
    };
    Ok(Found { provider_reference: ProviderReference(intent.id), standing })
}

fn is_too_late(intent: &Intent, now: DateTime<Utc>) -> bool {
    DateTime::from_timestamp(intent.created, 0).is_some_and(|created| created + ACTION_WITHIN <= now)
}

fn given_back(refund: &Refund) -> Answer {
    match refund.status.as_deref() {
        Some("succeeded") => Answer::Done(()),
        Some("pending" | "requires_action") => Answer::Accepted,
        other => {
            let message = format!("the refund is {}", other.unwrap_or("in no state"));
            Answer::Refused(Refused::new(REFUSED_NOT_AUTHORIZED, message))
        }
    }
}

fn capture_before(intent: &Intent) -> DateTime<Utc> {
    let details = intent.latest_charge.as_ref().and_then(|charge| charge.payment_method_details.as_ref());
    let told = details.and_then(|details| details.card.as_ref()?.capture_before);
    let told = told.and_then(DateTime::from_timestamp_secs);
    let begun = DateTime::from_timestamp_secs(intent.created).unwrap_or_default();
    told.unwrap_or(begun + AUTHORIZATION)
}

fn is_unexpected_state(problem: &Problem) -> bool {
    problem.code.as_deref() == Some("payment_intent_unexpected_state")
}

/// Stripe's no in the contract's words.
fn refused(problem: &Problem) -> Refused {
    let (code, decline) = (problem.code.as_deref().unwrap_or_default(), problem.decline_code.as_deref());
    let token = problem.param.as_deref().is_some_and(|param| param.contains("token") || param == "payment_method");
    match (code, decline) {
        (_, Some("insufficient_funds")) => Refused::new(REFUSED_INSUFFICIENT, "the account does not cover the amount"),
        (_, Some("authentication_required"))
        | ("authentication_required" | "payment_intent_authentication_failure", _) => {
            Refused::new(REFUSED_AUTHENTICATION, "the client was not verified")
        }
        ("resource_missing" | "token_already_used", _) if token => {
            Refused::new(REFUSED_TOKEN_UNKNOWN, "the provider does not know this token")
        }
        _ => Refused::new(REFUSED_DECLINED, format!("the issuer declined the card ({})", problem.text())),
    }
}

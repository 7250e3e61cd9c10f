//! `GET /v1/flight-holds/{hold_id}`: a hold as its saga knows it. A hold has no row of its own anywhere.

use axum::{extract::State, routing::on};
use chrono::{DateTime, Utc};
use contract::{
    FlightHoldId, OrderId, PaymentId, SagaId,
    flights::{
        FLIGHT_HOLD, HoldFlight, REFUSED_HOLD_EXPIRED, STEP_AWAIT_CONFIRMATION, STEP_CONFIRM_ORDER, STEP_EXTEND_SEATS,
        STEP_HOLD_SEATS, SeatsHeld,
    },
    orchestrator_api::SagaView,
    order::{OrderItem, Reason, Traveller},
    payment::NextAction,
    saga::{CAUSE_HOLD_EXPIRED, CAUSE_SAGA_CANCELLED, Cause, SagaStatus, StepStatus},
};
use kit::http::{ApiError, Json, Path};
use serde::Serialize;

use super::next_action::next_action;
use crate::{
    access::{Access, Caller},
    app::App,
    endpoint::{Endpoint, Limit, NO_BODY_BYTES_MAX, Verb},
    hop::Hop,
    saga_reads,
    upstream::Part,
    views,
};

pub(crate) const SHOW: Endpoint = Endpoint {
    verb: Verb::Get,
    path: "/v1/flight-holds/{hold_id}",
    access: Access::Client,
    limit: Limit::Read,
    body_bytes_max: NO_BODY_BYTES_MAX,
    part: Part::Orchestrator,
    about: "shows one of one's own holds of flights, and the client's next act",
    handler: |methods| on(methods, show),
};

/// A hold as its client sees it.
#[derive(Debug, Serialize)]
struct FlightHold {
    hold_id: FlightHoldId,
    operation_id: SagaId,
    status: HoldStatus,
    /// Why it was released, when neither its client nor its time did that.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(flatten)]
    item: OrderItem,
    travellers: Vec<Traveller>,
    /// The time until which the seats are held.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<DateTime<Utc>>,
    /// Held seats are sold at the price at which they were held.
    #[serde(skip_serializing_if = "Option::is_none")]
    price_guaranteed_until: Option<DateTime<Utc>>,
    /// The payment, once it was confirmed with one: how it stands, and what it failed for.
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_id: Option<PaymentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_action: Option<NextAction>,
    /// The order that it has become.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// Where a hold stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum HoldStatus {
    /// The seats are asked for.
    Pending,
    /// The seats are held, for the client to confirm.
    Held,
    /// It is confirmed: the payment is taken, and then the tickets are issued.
    Confirming,
    /// The order has its tickets.
    Ticketed,
    /// Nothing is held any more, by the client's wish or for a reason that is told.
    Released,
    /// Its time was over before it was confirmed.
    Expired,
}

impl HoldStatus {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Held => "held",
            Self::Confirming => "confirming",
            Self::Ticketed => "ticketed",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }

    /// From the saga's way through its steps.
    pub(super) fn of(saga: &SagaView) -> Self {
        let is_done = |step| is_done(saga, step);
        if is_done(STEP_CONFIRM_ORDER) {
            Self::Ticketed
        } else if let Some(cause) = &saga.cause {
            if has_lapsed(cause) { Self::Expired } else { Self::Released }
        } else if saga.summary.status == SagaStatus::Abandoned {
            Self::Released
        } else if is_done(STEP_AWAIT_CONFIRMATION) {
            Self::Confirming
        } else if is_done(STEP_HOLD_SEATS) {
            Self::Held
        } else {
            Self::Pending
        }
    }
}

fn is_done(saga: &SagaView, step: &str) -> bool {
    saga_reads::step(saga, step).is_some_and(|step| step.status == StepStatus::Done)
}

/// True when the saga gave it up in time, or when its seats were gone as it was confirmed.
fn has_lapsed(cause: &Cause) -> bool {
    cause.code == CAUSE_HOLD_EXPIRED || cause.code == REFUSED_HOLD_EXPIRED
}

async fn show(
    State(app): State<App>,
    caller: Caller,
    hop: Hop,
    Path(hold_id): Path<FlightHoldId>,
) -> Result<Json<FlightHold>, ApiError> {
    let saga = own_hold(&app, &hop, caller, hold_id).await?;
    let HoldFlight { order_id, payment_id, item, travellers, .. } = saga_reads::input(&app, &saga)?;
    let status = HoldStatus::of(&saga);
    let expires_at = expires_at(&saga).filter(|_| status != HoldStatus::Ticketed);
    let confirming = status == HoldStatus::Confirming;
    Ok(Json(FlightHold {
        hold_id,
        operation_id: saga.summary.id,
        status,
        reason: saga.cause.as_ref().filter(|_| status == HoldStatus::Released).and_then(reason),
        item,
        travellers,
        expires_at,
        price_guaranteed_until: expires_at,
        payment_id: is_done(&saga, STEP_AWAIT_CONFIRMATION).then_some(payment_id),
        next_action: if confirming { next_action(&app, &hop, order_id).await } else { None },
        order_id: (status == HoldStatus::Ticketed).then_some(order_id),
        created_at: saga.summary.created_at,
        updated_at: saga.summary.updated_at,
    }))
}

/// The saga of a hold, when it is this person's. A foreign hold is answered as one that does not exist.
pub(super) async fn own_hold(
    app: &App,
    hop: &Hop,
    caller: Caller,
    hold_id: FlightHoldId,
) -> Result<SagaView, ApiError> {
    let found = saga_reads::find(app, hop, FLIGHT_HOLD, &hold_id.to_string()).await?;
    let own = found.filter(|saga| views::is_owned_by(saga, caller.user_id));
    own.ok_or_else(|| ApiError::not_found("flight_hold_unknown", format!("there is no hold {hold_id}")))
}

/// The problem of a request that comes too late for a hold, or for the second time.
pub(super) fn over(hold_id: FlightHoldId, status: HoldStatus) -> ApiError {
    let detail = format!("the hold {hold_id} is {}: it was confirmed already, or is over", status.as_str());
    ApiError::conflict("flight_hold_over", detail)
}

/// The time that the seats were last held until.
fn expires_at(saga: &SagaView) -> Option<DateTime<Utc>> {
    let held = |step| {
        let reply = saga_reads::step(saga, step)?.reply.clone()?;
        serde_json::from_value::<SeatsHeld>(reply).ok().map(|held| held.expires_at)
    };
    held(STEP_EXTEND_SEATS).or_else(|| held(STEP_HOLD_SEATS))
}

/// The reason in a client's words, unless somebody wanted it so.
fn reason(cause: &Cause) -> Option<Reason> {
    (cause.code != CAUSE_SAGA_CANCELLED).then(|| Reason::of(cause))
}

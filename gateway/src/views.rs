//! The documents that clients see, made from what the parts behind the door say, without what is only for the inside.

use chrono::{DateTime, NaiveDate, Utc};
use contract::{
    Money, OrderId, SagaId, UserId,
    orchestrator_api::{SagaView, StepView},
    order::{GIVEN_UP, NOT_COMPLETED, OrderItem, OrderStatus, OrderView, PlaceOrder, Reason, Traveller},
    payment::NextAction,
    saga::{Cause, SagaStatus, StepStatus},
};
use serde::Serialize;

/// `GET /v1/orders/{order_id}`: [`OrderView`] without its owner, who is the one that asks.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Order {
    order_id: OrderId,
    status: OrderStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    items: Vec<OrderItem>,
    travellers: Vec<Traveller>,
    total: Money,
    paid: Money,
    balance_due: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    balance_due_on: Option<NaiveDate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_action: Option<NextAction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flight_reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stay_reference: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<OrderView> for Order {
    fn from(view: OrderView) -> Self {
        Self {
            order_id: view.order_id,
            status: view.status,
            reason: view.reason,
            items: view.items,
            travellers: view.travellers,
            total: view.total,
            paid: view.paid,
            balance_due: view.balance_due,
            balance_due_on: view.balance_due_on,
            next_action: None,
            flight_reference: view.flight_reference,
            stay_reference: view.stay_reference,
            created_at: view.created_at,
            updated_at: view.updated_at,
        }
    }
}

impl Order {
    /// From the saga alone: the order service does not know the order yet, or never will.
    pub(crate) fn from_saga(saga: &SagaView, placed: PlaceOrder) -> Self {
        let status = match saga.summary.status {
            SagaStatus::Compensated => OrderStatus::Rejected,
            SagaStatus::Abandoned => OrderStatus::Closed,
            SagaStatus::Running | SagaStatus::Compensating => OrderStatus::Pending,
            SagaStatus::NeedsAttention | SagaStatus::Completed => OrderStatus::Pending,
        };
        let error = status.is_over().then(|| told(saga.summary.status, saga.cause.as_ref()));
        let nothing = Money::zero(placed.total.currency()).unwrap_or(placed.total);
        Self {
            order_id: placed.order_id,
            status,
            reason: error.map(|error| Reason { code: error.code, message: error.message }),
            items: placed.items,
            travellers: placed.travellers,
            total: placed.total,
            paid: nothing,
            balance_due: if status.is_over() { nothing } else { placed.total },
            balance_due_on: None,
            next_action: None,
            flight_reference: None,
            stay_reference: None,
            created_at: saga.summary.created_at,
            updated_at: saga.summary.updated_at,
        }
    }
}

impl Order {
    /// True while a payment of it may require an act of the client.
    pub(crate) fn is_open(&self) -> bool {
        self.status == OrderStatus::Pending || !self.balance_due.is_zero()
    }

    pub(crate) const fn balance_due(&self) -> Money {
        self.balance_due
    }

    pub(crate) fn set_next_action(&mut self, next_action: Option<NextAction>) {
        self.next_action = next_action;
    }
}

/// The answer to `POST /v1/orders` and `POST /v1/bookings`.
#[derive(Debug, Serialize)]
pub(crate) struct Accepted {
    pub(crate) order_id: OrderId,
    pub(crate) operation_id: SagaId,
    pub(crate) status: OrderStatus,
}

/// `GET /v1/operations/{id}`, and each of its events.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Operation {
    id: SagaId,
    status: OperationStatus,
    steps: Vec<OperationStep>,
    error: Option<OperationError>,
}

/// Where an operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OperationStatus {
    /// Accepted; nothing has been done.
    NotStarted,
    /// At work, forward or back.
    Running,
    /// Everything took effect.
    Succeeded,
    /// Nothing took effect, or an operator gave it up.
    Failed,
}

/// One step of an operation.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct OperationStep {
    name: String,
    status: OperationStepStatus,
}

/// Where a step stands: fewer words than operators have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum OperationStepStatus {
    Pending,
    NotNeeded,
    Running,
    Done,
    Refused,
    Undoing,
    Undone,
}

/// The reason why an operation failed.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct OperationError {
    code: String,
    message: String,
}

impl Operation {
    /// From the saga as it stands.
    pub(crate) fn from_saga(saga: &SagaView) -> Self {
        Self::new(saga.summary.id, saga.summary.status, &saga.steps, saga.cause.as_ref())
    }

    /// From the parts of a saga, or of one of its records.
    pub(crate) fn new(id: SagaId, saga: SagaStatus, steps: &[StepView], cause: Option<&Cause>) -> Self {
        let status = match saga {
            SagaStatus::Running if steps.iter().all(|step| is_untouched(step.status)) => OperationStatus::NotStarted,
            SagaStatus::Running | SagaStatus::Compensating | SagaStatus::NeedsAttention => OperationStatus::Running,
            SagaStatus::Completed => OperationStatus::Succeeded,
            SagaStatus::Compensated | SagaStatus::Abandoned => OperationStatus::Failed,
        };
        let error = (status == OperationStatus::Failed).then(|| told(saga, cause));
        let steps = steps.iter().map(|step| OperationStep { name: step.name.to_string(), status: word(step.status) });
        Self { id, status, steps: steps.collect(), error }
    }

    /// True while it makes sense to ask again.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.status, OperationStatus::NotStarted | OperationStatus::Running)
    }
}

const fn is_untouched(status: StepStatus) -> bool {
    matches!(status, StepStatus::Pending | StepStatus::NotApplicable)
}

const fn word(status: StepStatus) -> OperationStepStatus {
    match status {
        StepStatus::Pending => OperationStepStatus::Pending,
        StepStatus::NotApplicable => OperationStepStatus::NotNeeded,
        StepStatus::Dispatched | StepStatus::Retrying | StepStatus::Waiting | StepStatus::NeedsAttention => {
            OperationStepStatus::Running
        }
        StepStatus::Done => OperationStepStatus::Done,
        StepStatus::Refused => OperationStepStatus::Refused,
        StepStatus::Compensating => OperationStepStatus::Undoing,
        StepStatus::Compensated => OperationStepStatus::Undone,
    }
}

/// A business's no is told in its own words; everything else by its code and one sentence.
fn told(saga: SagaStatus, cause: Option<&Cause>) -> OperationError {
    if saga == SagaStatus::Abandoned {
        return OperationError { code: "given_up".to_owned(), message: GIVEN_UP.to_owned() };
    }
    let Some(cause) = cause else {
        return OperationError { code: "not_completed".to_owned(), message: NOT_COMPLETED.to_owned() };
    };
    let Reason { code, message } = Reason::of(cause);
    OperationError { code, message }
}

/// Whether a saga is this person's: its owner is their id.
pub(crate) fn is_owned_by(saga: &SagaView, user: UserId) -> bool {
    saga.summary.owner.as_deref() == Some(user.to_string().as_str())
}

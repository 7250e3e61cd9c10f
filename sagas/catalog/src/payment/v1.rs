//! Payment, version 1: the order is kept for one payment, the money is reserved, which may need an act of the client at the
//! bank, and taken. Published: do not edit, copy to `v2.rs`.
//!
//! ```text
//! begin-payment ---> authorize-payment ---> (await-action ---> complete-authorization) ---> capture-payment (pivot)
//!
//!               ... ---> record-payment ---> notify-user
//! ```
//!
//! Taking the money is the point of no return: up to it the client sees no charge.

use std::time::Duration;

use contract::{
    feed::{Notice, NotifyUser},
    order::{BeginPayment, EndPayment, PayOrder, RecordPayment},
    payment::{
        PaymentAction, SIGNAL_PAYMENT_ACTION,
        v2::{AuthorizePayment, CapturePayment, CompleteAuthorization, PaymentAuthorization, VoidPayment},
    },
};
use machine::{Builder, Definition, DefinitionError, Retry};

/// The saga's name in journals and starts.
pub const NAME: &str = "payment";
/// The definition's version in journals.
pub const VERSION: u32 = 1;

/// The time for which a reply is awaited: a worker answers in milliseconds, so ten seconds without one is a fault and
/// not load.
const REPLY_WITHIN: Duration = Duration::from_secs(10);

/// The wait after a first fault: most are over at once (a deadlock, a connection that was closed).
const WAIT_FIRST: Duration = Duration::from_millis(200);
/// The longest wait: after an outage every saga is under way again within that time.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Attempts before the pivot. Full jitter halves the waits on average: 24 of them are 90 seconds of faults; and six
/// minutes of missing replies, which still fits [`DEADLINE`]. A domain that is away uses none of them up.
const BEFORE_PIVOT: Retry = Retry::exponential(WAIT_FIRST).cap(WAIT_MAX).attempts_max(24);
/// Attempts from the pivot on, and of compensations: they must succeed in the end, so they have no bound.
const MUST_SUCCEED: Retry = Retry::exponential(WAIT_FIRST).cap(WAIT_MAX);

/// The time in which a client confirms a payment with the bank: as long as a page of the bank stays open.
const ACTION_WITHIN: Duration = Duration::from_secs(10 * 60);
/// The time after which a payment is given up before its pivot: the client's, and as long again for what faults.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20 * 60);

/// The parts of replies that later steps need.
#[derive(Default)]
struct Facts {
    requires_action: bool,
}

/// Builds the definition.
///
/// # Errors
/// The mistakes in it; none, as a test shows.
pub fn definition() -> Result<Definition, Vec<DefinitionError>> {
    let mut saga = Builder::<PayOrder, Facts>::new(NAME, VERSION);
    saga.deadline(DEADLINE).reply_within(REPLY_WITHIN).before_pivot(BEFORE_PIVOT).must_succeed(MUST_SUCCEED);
    saga.attribute("order_id", |payment| Some(payment.order_id));
    saga.attribute("payment_id", |payment| Some(payment.payment_id));

    let begin = saga
        .step("begin-payment")
        .command(|payment, _| BeginPayment {
            order_id: payment.order_id,
            payment_id: payment.payment_id,
            amount: payment.amount,
        })
        .compensate(|payment, _| EndPayment { order_id: payment.order_id, payment_id: payment.payment_id })
        .add();
    let authorize = saga
        .step("authorize-payment")
        .after([begin])
        .command(|payment, _| AuthorizePayment {
            payment_id: payment.payment_id,
            order_id: payment.order_id,
            user_id: payment.user_id,
            amount: payment.amount,
            token: payment.token.clone(),
        })
        .on_reply(|facts, authorization| facts.requires_action = requires_action(authorization))
        .compensate(|payment, _| VoidPayment { payment_id: payment.payment_id })
        .add();
    let action = saga
        .step("await-action")
        .after([authorize])
        .if_needed(|_, facts| facts.requires_action) // 3-D Secure: the client is at the bank.
        .signal::<PaymentAction>(SIGNAL_PAYMENT_ACTION)
        .within(ACTION_WITHIN)
        .or_go_on() // The news may be lost: the provider is asked either way.
        .add();
    let complete = saga
        .step("complete-authorization")
        .after([action])
        .if_needed(|_, facts| facts.requires_action)
        .command(|payment, _| CompleteAuthorization { payment_id: payment.payment_id })
        .compensate(|payment, _| VoidPayment { payment_id: payment.payment_id })
        .add();

    let capture = saga
        .step("capture-payment")
        .pivot() // The money is taken: from here it is only recorded.
        .after([complete])
        .command(|payment, _| CapturePayment {
            payment_id: payment.payment_id,
            amount: payment.amount,
            keep_rest: false,
        })
        .add();

    let record = saga
        .step("record-payment")
        .retriable()
        .after([capture])
        .command(|payment, _| RecordPayment {
            order_id: payment.order_id,
            payment_id: payment.payment_id,
            amount: payment.amount,
        })
        .add();
    saga.step("notify-user")
        .retriable()
        .after([record])
        .command(|payment, _| NotifyUser {
            user_id: payment.user_id,
            order_id: payment.order_id,
            notice: Notice::PaymentTaken,
        })
        .add();
    saga.build()
}

const fn requires_action(authorization: &PaymentAuthorization) -> bool {
    matches!(authorization, PaymentAuthorization::RequiresAction { .. })
}

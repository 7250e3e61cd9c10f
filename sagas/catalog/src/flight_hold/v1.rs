//! Flight hold, version 1: seats are held until their client confirms them or the hold lapses; confirmed, they become an
//! order, which the saga `payment` is paid by, and tickets. Published: do not edit, copy to `v2.rs`.
//!
//! ```text
//! hold-seats ---> await-confirmation ---> extend-seats ---> create-order ---> pay (pivot, the saga `payment`)
//!
//!            ... ---> confirm-seats ---> confirm-order ---> notify-user
//! ```
//!
//! Starting the payment is the point of no return: its own one comes later, when the money is taken, and a payment that is
//! refused before, or canceled, turns the hold around.

use std::time::Duration;

use contract::{
    OfferId,
    feed::{Notice, NotifyUser},
    flights::{
        AcceptedFlight, ConfirmSeats, FLIGHT_HOLD, HoldConfirmation, HoldFlight, ReleaseSeats,
        SIGNAL_HOLD_CONFIRMATION, STEP_AWAIT_CONFIRMATION, STEP_CONFIRM_ORDER, STEP_EXTEND_SEATS, STEP_HOLD_SEATS,
        v2::{ExtendSeats, HoldSeats},
    },
    order::{CloseOrder, ConfirmOrder, GIVEN_UP, PayOrder, PaymentPlan, Reason, RejectOrder, v2::CreateOrder},
    payment::PaymentToken,
};
use machine::{Builder, Definition, DefinitionError, Retry};

use crate::payment;

/// The saga's name in journals and starts.
pub const NAME: &str = FLIGHT_HOLD;
/// The definition's version in journals.
pub const VERSION: u32 = 1;

/// The time for which a client may hold seats, in minutes: an evening to decide in. Nothing is paid for it, and what is
/// held is lost to every other buyer.
const HOLD_MINUTES: u16 = 4 * 60;
/// The time for which the seats are held from the confirmation on at least, in minutes: that of a payment up to its point
/// of no return ([`PAYING_MARGIN`]), and half as long again for what comes before it and for an outage, in which its time
/// stands.
const PAYING_MINUTES: u16 = 30;

/// The time that a payment needs up to its point of no return. It is not started later than that before the seats lapse.
const PAYING_MARGIN: Duration = payment::v1::DEADLINE;

/// The time for which a reply is awaited: a worker answers in milliseconds, so ten seconds without one is a fault and
/// not load.
const REPLY_WITHIN: Duration = Duration::from_secs(10);

/// The wait after a first fault: most are over at once (a deadlock, a connection that was closed).
const WAIT_FIRST: Duration = Duration::from_millis(200);
/// The longest wait: after an outage every saga is under way again within that time.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Attempts before the pivot. Full jitter halves the waits on average: 24 of them are 90 seconds of faults, or six minutes
/// of missing replies. A domain that is away uses none of them up.
const BEFORE_PIVOT: Retry = Retry::exponential(WAIT_FIRST).cap(WAIT_MAX).attempts_max(24);
/// Attempts from the pivot on, and of compensations: they must succeed in the end, so they have no bound.
const MUST_SUCCEED: Retry = Retry::exponential(WAIT_FIRST).cap(WAIT_MAX);

/// The parts of replies and signals that later steps need.
#[derive(Default)]
struct Facts {
    payment_token: Option<PaymentToken>,
    flight_reference: Option<String>,
}

/// Builds the definition.
///
/// # Errors
/// The mistakes in it; none, as a test shows.
pub fn definition() -> Result<Definition, Vec<DefinitionError>> {
    let mut saga = Builder::<HoldFlight, Facts>::new(NAME, VERSION);
    saga.reply_within(REPLY_WITHIN).before_pivot(BEFORE_PIVOT).must_succeed(MUST_SUCCEED);
    saga.attribute("departs_on", |hold| Some(hold.departs_on));
    saga.attribute("order_id", |hold| Some(hold.order_id));
    saga.attribute("payment_id", |hold| Some(hold.payment_id));

    saga.on_abandon(|hold, cause| CloseOrder {
        order: create_order(hold),
        reason_code: cause.code.clone(),
        reason: GIVEN_UP.to_owned(),
    });

    // Not extended: when it lapses, so does the wait for the client.
    let hold_seats = saga
        .step(STEP_HOLD_SEATS)
        .command(|hold, _| HoldSeats {
            order_id: hold.order_id,
            offers: accepted(hold),
            travellers: u32::try_from(hold.travellers.len()).unwrap_or(u32::MAX),
            for_minutes: HOLD_MINUTES,
        })
        .compensate(|hold, _| ReleaseSeats { order_id: hold.order_id })
        .valid_until(|held| Some(held.expires_at))
        .add();
    let confirmation = saga
        .step(STEP_AWAIT_CONFIRMATION)
        .after([hold_seats])
        .signal::<HoldConfirmation>(SIGNAL_HOLD_CONFIRMATION)
        .on_signal(|facts, confirmation| facts.payment_token = Some(confirmation.payment_token.clone()))
        .add();
    let extend_seats = saga
        .step(STEP_EXTEND_SEATS)
        .after([confirmation])
        .command(|hold, _| ExtendSeats { order_id: hold.order_id, offers: accepted(hold), for_minutes: PAYING_MINUTES })
        .compensate(|hold, _| ReleaseSeats { order_id: hold.order_id })
        .valid_until(|held| Some(held.expires_at))
        .renews([hold_seats])
        .add();
    let create = saga
        .step("create-order")
        .after([extend_seats])
        .command(|hold, _| create_order(hold))
        .compensate(|hold, cause| {
            let Reason { code, message } = Reason::of(cause);
            RejectOrder { order_id: hold.order_id, reason_code: code, reason: message }
        })
        .add();

    let pay = saga
        .step("pay")
        .pivot()
        .after([create])
        .child(payment::v1::NAME, payment::v1::VERSION, pay_order)
        .margin(PAYING_MARGIN)
        .add();

    let confirm_seats = saga
        .step("confirm-seats")
        .retriable()
        .after([pay])
        .command(|hold, _| ConfirmSeats { order_id: hold.order_id, travellers: hold.travellers.clone() })
        .on_reply(|facts, confirmed| facts.flight_reference = Some(confirmed.booking_reference.clone()))
        .add();
    let confirm = saga
        .step(STEP_CONFIRM_ORDER)
        .retriable()
        .after([confirm_seats])
        .command(|hold, facts| ConfirmOrder {
            order_id: hold.order_id,
            flight_reference: facts.flight_reference.clone(),
            stay_reference: None,
        })
        .add();
    saga.step("notify-user")
        .retriable()
        .after([confirm])
        .command(|hold, _| NotifyUser {
            user_id: hold.user_id,
            order_id: hold.order_id,
            notice: Notice::OrderConfirmed,
        })
        .add();
    saga.build()
}

/// The order that the hold becomes.
fn create_order(hold: &HoldFlight) -> CreateOrder {
    CreateOrder {
        order_id: hold.order_id,
        user_id: hold.user_id,
        items: vec![hold.item.clone()],
        travellers: hold.travellers.clone(),
        total: hold.item.total,
        departs_on: hold.departs_on,
        payment_plan: PaymentPlan::Full,
        first_payment: None, // The saga `payment` begins it.
    }
}

/// The flight, as it was accepted. The door takes offers of flights only.
fn accepted(hold: &HoldFlight) -> Vec<AcceptedFlight> {
    match &hold.item.offer_id {
        OfferId::Flight(offer_id) => vec![AcceptedFlight { offer_id: offer_id.clone(), total: hold.item.total }],
        OfferId::Stay(_) => Vec::new(),
    }
}

/// The payment of the whole price. The token came with the confirmation, which the step waits for.
fn pay_order(hold: &HoldFlight, facts: &Facts) -> Option<PayOrder> {
    Some(PayOrder {
        payment_id: hold.payment_id,
        order_id: hold.order_id,
        user_id: hold.user_id,
        amount: hold.item.total,
        token: facts.payment_token.clone()?,
    })
}

//! Booking, version 1: an order of one stay. The room is held, the money reserved, the room confirmed, then only forward.
//! Published: do not edit, copy to `v2.rs`.
//!
//! ```text
//! create-order ---> hold-room ---> authorize-payment ---> (await-action ---> complete-authorization)
//!
//!              ... ---> reread-room ---> confirm-room (pivot) ---> capture-payment ---> record-payment
//!
//!              ... ---> confirm-order ---> notify-user
//! ```

use std::time::Duration;

use contract::{
    Money, OfferId,
    accommodation::{AcceptedStay, ConfirmRooms, ExtendRooms, HoldRooms, ReleaseRooms},
    feed::{Notice, NotifyUser},
    order::{
        CloseOrder, ConfirmOrder, GIVEN_UP, Reason, RecordPayment, RejectOrder,
        v2::{CreateOrder, PlaceOrder},
    },
    payment::{
        PaymentAction, SIGNAL_PAYMENT_ACTION,
        v2::{AuthorizePayment, CapturePayment, CompleteAuthorization, PaymentAuthorization, VoidPayment},
    },
};
use machine::{Builder, Definition, DefinitionError, Retry};

/// The saga's name in journals and starts.
pub const NAME: &str = "booking";
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

/// The time for which the accommodation domain holds what is not confirmed.
const HOLD: Duration = Duration::from_secs(20 * 60);
/// The time after which a booking is given up before its pivot. The client's act has to end before, and [`HOLD`] leaves a
/// quarter of its time to confirm.
const DEADLINE: Duration = Duration::from_secs(15 * 60);

/// The parts of replies that later steps need.
#[derive(Default)]
struct Facts {
    due_now: Option<Money>,
    requires_action: bool,
    stay_reference: Option<String>,
}

/// Builds the definition.
///
/// # Errors
/// The mistakes in it; none, as a test shows.
pub fn definition() -> Result<Definition, Vec<DefinitionError>> {
    let mut saga = Builder::<PlaceOrder, Facts>::new(NAME, VERSION);
    saga.deadline(DEADLINE).reply_within(REPLY_WITHIN).before_pivot(BEFORE_PIVOT).must_succeed(MUST_SUCCEED);
    saga.attribute("departs_on", |order| Some(order.departs_on));
    saga.attribute("payment_id", |order| Some(order.payment_id));

    saga.on_abandon(|order, cause| CloseOrder {
        order: create_order(order),
        reason_code: cause.code.clone(),
        reason: GIVEN_UP.to_owned(),
    });

    let create = saga
        .step("create-order")
        .command(|order, _| create_order(order))
        .on_reply(|facts, created| facts.due_now = Some(created.due_now))
        .compensate(|order, cause| {
            let Reason { code, message } = Reason::of(cause);
            RejectOrder { order_id: order.order_id, reason_code: code, reason: message }
        })
        .add();
    let room = saga
        .step("hold-room")
        .after([create])
        .command(|order, _| HoldRooms {
            order_id: order.order_id,
            offers: accepted_stays(order),
            travellers: u32::try_from(order.travellers.len()).unwrap_or(u32::MAX),
        })
        .compensate(|order, _| ReleaseRooms { order_id: order.order_id })
        .holds_for(HOLD)
        .valid_until(|held| Some(held.expires_at))
        .extend(|order, _| extend_room(order), |held| Some(held.expires_at))
        .add();
    let authorize = saga
        .step("authorize-payment")
        .after([room])
        .command(|order, facts| AuthorizePayment {
            payment_id: order.payment_id,
            order_id: order.order_id,
            user_id: order.user_id,
            amount: due_now(order, facts),
            token: order.payment_token.clone(),
        })
        .on_reply(|facts, authorization| facts.requires_action = requires_action(authorization))
        .compensate(|order, _| VoidPayment { payment_id: order.payment_id })
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
        .command(|order, _| CompleteAuthorization { payment_id: order.payment_id })
        .compensate(|order, _| VoidPayment { payment_id: order.payment_id })
        .add();

    // A last look, and time to confirm: price and room are as the client accepted them, or the booking stops here.
    let reread = saga
        .step("reread-room")
        .after([complete])
        .command(|order, _| extend_room(order))
        .compensate(|order, _| ReleaseRooms { order_id: order.order_id })
        .valid_until(|held| Some(held.expires_at))
        .extend(|order, _| extend_room(order), |held| Some(held.expires_at))
        .renews([room])
        .add();

    let confirm_room = saga
        .step("confirm-room")
        .pivot() // The property counts on the guest: from here the booking only goes forward.
        .after([reread])
        .command(|order, _| confirm_room_of(order))
        .on_reply(|facts, confirmed| facts.stay_reference = Some(confirmed.confirmation.clone()))
        .add();

    let capture = saga
        .step("capture-payment")
        .retriable()
        .after([confirm_room])
        .command(|order, facts| CapturePayment {
            payment_id: order.payment_id,
            amount: due_now(order, facts),
            keep_rest: false,
        })
        .add();
    let record = saga
        .step("record-payment")
        .retriable()
        .after([capture])
        .command(|order, facts| RecordPayment {
            order_id: order.order_id,
            payment_id: order.payment_id,
            amount: due_now(order, facts),
        })
        .add();
    let confirm = saga
        .step("confirm-order")
        .retriable()
        .after([record])
        .command(|order, facts| ConfirmOrder {
            order_id: order.order_id,
            flight_reference: None,
            stay_reference: facts.stay_reference.clone(),
        })
        .add();
    saga.step("notify-user")
        .retriable()
        .after([confirm])
        .command(|order, _| NotifyUser {
            user_id: order.user_id,
            order_id: order.order_id,
            notice: Notice::OrderConfirmed,
        })
        .add();
    saga.build()
}

fn create_order(order: &PlaceOrder) -> CreateOrder {
    CreateOrder {
        order_id: order.order_id,
        user_id: order.user_id,
        items: order.items.clone(),
        travellers: order.travellers.clone(),
        total: order.total,
        departs_on: order.departs_on,
        payment_plan: order.payment_plan,
        first_payment: Some(order.payment_id),
    }
}

/// The amount that the order domain has named: never more than the total.
fn due_now(order: &PlaceOrder, facts: &Facts) -> Money {
    facts.due_now.unwrap_or(order.total)
}

const fn requires_action(authorization: &PaymentAuthorization) -> bool {
    matches!(authorization, PaymentAuthorization::RequiresAction { .. })
}

fn accepted_stays(order: &PlaceOrder) -> Vec<AcceptedStay> {
    let stays = order.items.iter().filter_map(|item| match &item.offer_id {
        OfferId::Flight(_) => None,
        OfferId::Stay(offer_id) => Some(AcceptedStay { offer_id: offer_id.clone(), total: item.total }),
    });
    stays.collect()
}

fn extend_room(order: &PlaceOrder) -> ExtendRooms {
    ExtendRooms { order_id: order.order_id, offers: accepted_stays(order) }
}

/// The property expects the traveller who was named first.
fn confirm_room_of(order: &PlaceOrder) -> ConfirmRooms {
    let lead = order.travellers.first();
    let guest_name = lead.map(|lead| format!("{} {}", lead.given_name, lead.family_name)).unwrap_or_default();
    ConfirmRooms { order_id: order.order_id, guest_name }
}

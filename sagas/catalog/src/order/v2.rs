//! Order, version 2: as version 1, but paid by a plan (all at once, or a deposit first), with an act of the client at the bank
//! where the bank asks for it, and with payments that the order keeps. Published: do not edit, copy to `v3.rs`.
//!
//! ```text
//! create-order ---> hold-seats ---> authorize-payment ---> (await-action ---> complete-authorization)
//!              \--> hold-rooms ---/
//!
//!              ... ---> reread-seats and reread-rooms ---> confirm-seats (pivot) ---> confirm-rooms
//!                  \--> book-rooms (pivot, without flights)
//!
//!              ... ---> capture-payment ---> record-payment ---> confirm-order ---> notify-user
//! ```
//!
//! Tickets cannot be given back, so confirming the flights is the point of no return. Without flights it is booking
//! the rooms. Both send what the other would not; conditions on the input see to it that only one is a pivot.

use std::time::Duration;

use contract::{
    Money, OfferId,
    accommodation::{AcceptedStay, ConfirmRooms, ExtendRooms, HoldRooms, ReleaseRooms},
    feed::{Notice, NotifyUser},
    flights::{AcceptedFlight, ConfirmSeats, ExtendSeats, HoldSeats, ReleaseSeats},
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
pub const NAME: &str = "order";
/// The definition's version in journals.
pub const VERSION: u32 = 2;

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

/// The time for which the flights and accommodation domains hold what is not confirmed.
const HOLD: Duration = Duration::from_secs(20 * 60);
/// The time after which an order is given up before its pivot. The client's act has to end before, and [`HOLD`] leaves a
/// quarter of its time to confirm.
const DEADLINE: Duration = Duration::from_secs(15 * 60);

/// The parts of replies that later steps need.
#[derive(Default)]
struct Facts {
    due_now: Option<Money>,
    requires_action: bool,
    flight_reference: Option<String>,
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
    let flights = saga
        .step("hold-seats")
        .when(has_flights)
        .after([create])
        .command(|order, _| HoldSeats {
            order_id: order.order_id,
            offers: accepted_flights(order),
            travellers: travellers(order),
        })
        .compensate(|order, _| ReleaseSeats { order_id: order.order_id })
        .holds_for(HOLD)
        .valid_until(|held| Some(held.expires_at))
        .extend(|order, _| extend_seats(order), |held| Some(held.expires_at))
        .add();
    let rooms = saga
        .step("hold-rooms")
        .when(has_rooms)
        .after([create])
        .command(|order, _| HoldRooms {
            order_id: order.order_id,
            offers: accepted_stays(order),
            travellers: travellers(order),
        })
        .compensate(|order, _| ReleaseRooms { order_id: order.order_id })
        .holds_for(HOLD)
        .valid_until(|held| Some(held.expires_at))
        .extend(|order, _| extend_rooms(order), |held| Some(held.expires_at))
        .add();
    let authorize = saga
        .step("authorize-payment")
        .after([flights, rooms])
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

    // A last look, and time to confirm: prices and holds are as the client accepted them, or the order stops here.
    let reread_seats = saga
        .step("reread-seats")
        .when(has_flights)
        .after([complete])
        .command(|order, _| extend_seats(order))
        .compensate(|order, _| ReleaseSeats { order_id: order.order_id })
        .valid_until(|held| Some(held.expires_at))
        .extend(|order, _| extend_seats(order), |held| Some(held.expires_at))
        .renews([flights])
        .add();
    let reread_rooms = saga
        .step("reread-rooms")
        .when(has_rooms)
        .after([complete])
        .command(|order, _| extend_rooms(order))
        .compensate(|order, _| ReleaseRooms { order_id: order.order_id })
        .valid_until(|held| Some(held.expires_at))
        .extend(|order, _| extend_rooms(order), |held| Some(held.expires_at))
        .renews([rooms])
        .add();

    let confirm_flights = saga
        .step("confirm-seats")
        .pivot() // Tickets are issued: from here the order only goes forward.
        .when(has_flights)
        .after([reread_seats, reread_rooms])
        .command(|order, _| ConfirmSeats { order_id: order.order_id, travellers: order.travellers.clone() })
        .on_reply(|facts, confirmed| facts.flight_reference = Some(confirmed.booking_reference.clone()))
        .add();
    let book_rooms = saga
        .step("book-rooms")
        .pivot() // Without flights, the first thing that cannot be given back.
        .when(|order| has_rooms(order) && !has_flights(order))
        .after([reread_seats, reread_rooms])
        .command(|order, _| confirm_rooms_of(order))
        .on_reply(|facts, confirmed| facts.stay_reference = Some(confirmed.confirmation.clone()))
        .add();

    let confirm_rooms = saga
        .step("confirm-rooms")
        .retriable()
        .when(|order| has_rooms(order) && has_flights(order))
        .after([confirm_flights])
        .command(|order, _| confirm_rooms_of(order))
        .on_reply(|facts, confirmed| facts.stay_reference = Some(confirmed.confirmation.clone()))
        .add();
    let capture = saga
        .step("capture-payment")
        .retriable()
        .after([confirm_flights, book_rooms, confirm_rooms])
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
            flight_reference: facts.flight_reference.clone(),
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

fn has_flights(order: &PlaceOrder) -> bool {
    order.items.iter().any(|item| matches!(item.offer_id, OfferId::Flight(_)))
}

fn has_rooms(order: &PlaceOrder) -> bool {
    order.items.iter().any(|item| matches!(item.offer_id, OfferId::Stay(_)))
}

fn accepted_flights(order: &PlaceOrder) -> Vec<AcceptedFlight> {
    let flights = order.items.iter().filter_map(|item| match &item.offer_id {
        OfferId::Flight(offer_id) => Some(AcceptedFlight { offer_id: offer_id.clone(), total: item.total }),
        OfferId::Stay(_) => None,
    });
    flights.collect()
}

fn accepted_stays(order: &PlaceOrder) -> Vec<AcceptedStay> {
    let stays = order.items.iter().filter_map(|item| match &item.offer_id {
        OfferId::Stay(offer_id) => Some(AcceptedStay { offer_id: offer_id.clone(), total: item.total }),
        OfferId::Flight(_) => None,
    });
    stays.collect()
}

/// The number of people who travel, by which the domains judge their offers.
fn travellers(order: &PlaceOrder) -> u32 {
    u32::try_from(order.travellers.len()).unwrap_or(u32::MAX)
}

/// The property expects the traveller who was named first.
fn confirm_rooms_of(order: &PlaceOrder) -> ConfirmRooms {
    let lead = order.travellers.first();
    let guest_name = lead.map(|lead| format!("{} {}", lead.given_name, lead.family_name)).unwrap_or_default();
    ConfirmRooms { order_id: order.order_id, guest_name }
}

fn extend_seats(order: &PlaceOrder) -> ExtendSeats {
    ExtendSeats { order_id: order.order_id, offers: accepted_flights(order) }
}

fn extend_rooms(order: &PlaceOrder) -> ExtendRooms {
    ExtendRooms { order_id: order.order_id, offers: accepted_stays(order) }
}

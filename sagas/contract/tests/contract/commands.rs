//! Every command and every reply.

use contract::{
    Command,
    accommodation::{
        AcceptedStay, ConfirmRooms, ExtendRooms, HoldRooms, ReleaseRooms, RoomsConfirmed, RoomsHeld, RoomsReleased,
    },
    feed::{Notice, NotifyUser, UserNotified},
    flights::{
        self, AcceptedFlight, ConfirmSeats, ExtendSeats, HoldSeats, ReleaseSeats, SeatsConfirmed, SeatsHeld,
        SeatsReleased,
    },
    order::{
        self, BeginPayment, CloseOrder, ConfirmOrder, CreateOrder, EndPayment, OrderClosed, OrderConfirmation,
        OrderCreated, OrderRejection, PayOrder, PaymentBegun, PaymentEnded, PaymentPlan, PaymentRecorded, PlaceOrder,
        RecordPayment, RejectOrder,
    },
    payment::{
        AuthorizePayment, CapturePayment, NextAction, PaymentAction, PaymentAuthorized, PaymentCaptured, PaymentStatus,
        PaymentView, PaymentVoided, PaymentWebhook, VoidPayment, WebhookData, WebhookMetadata, WebhookObject, v2,
    },
};

use serde::{Deserialize, Serialize};

use crate::{
    golden::{Golden, golden},
    samples::{at, date, flight, flight_hold, items, money, order, payment, saga, stay, token, travellers, user},
};

#[test]
fn every_command_and_reply_is_its_golden_file() {
    all().iter().for_each(Golden::check);
}

pub(crate) fn all() -> Vec<Golden> {
    orders().into_iter().chain(orders_with_a_plan()).chain(holds()).chain(payments()).chain(payments_by_id()).collect()
}

/// A command and its reply, in one file named by the command.
#[derive(Serialize, Deserialize)]
struct Pair<C, R> {
    command: C,
    reply: R,
}

fn pair<C: Command>(command: C, reply: C::Reply) -> Golden {
    golden(C::NAME, Pair { command, reply })
}

/// As [`pair`], of a version whose elder is still served.
fn later_pair<C: Command>(file: &'static str, command: C, reply: C::Reply) -> Golden {
    assert_eq!(file, format!("{}.v{}", C::NAME, C::VERSION));
    golden(file, Pair { command, reply })
}

fn orders() -> Vec<Golden> {
    let place = PlaceOrder {
        order_id: order(),
        user_id: user(),
        items: items(),
        travellers: travellers(),
        total: money("12209.99", "EUR"),
        payment_token: token(),
    };
    let create = CreateOrder {
        order_id: order(),
        user_id: user(),
        items: items(),
        travellers: travellers(),
        total: money("12209.99", "EUR"),
    };
    let reject = RejectOrder {
        order_id: order(),
        reason_code: "card_declined".into(),
        reason: "the issuer declined the card".into(),
    };
    let confirm = |flights: bool, stays: bool| ConfirmOrder {
        order_id: order(),
        flight_reference: flights.then(|| "X7PQ2M".into()),
        stay_reference: stays.then(|| "VX-42".into()),
    };
    let notify = NotifyUser { user_id: user(), order_id: order(), notice: Notice::OrderConfirmed };
    let mut all = vec![golden("order.start_input", place), golden("order.confirm.least", confirm(false, false))];
    all.push(pair(create, OrderCreated {}));
    all.push(pair(reject, OrderRejection {}));
    all.push(pair(confirm(true, true), OrderConfirmation {}));
    all.push(pair(notify, UserNotified {}));
    all
}

fn orders_with_a_plan() -> Vec<Golden> {
    let (order_id, payment_id, departs_on) = (order(), payment(), date(2027, 6, 1));
    let place = order::v2::PlaceOrder {
        order_id,
        user_id: user(),
        items: items(),
        travellers: travellers(),
        total: money("12209.99", "EUR"),
        departs_on,
        payment_plan: PaymentPlan::Deposit,
        payment_id,
        payment_token: token(),
    };
    let create = |first_payment| order::v2::CreateOrder {
        order_id,
        user_id: user(),
        items: items(),
        travellers: travellers(),
        total: money("12209.99", "EUR"),
        departs_on,
        payment_plan: PaymentPlan::Deposit,
        first_payment,
    };
    let (reason_code, reason) = ("given_up".into(), order::GIVEN_UP.into());
    let close = CloseOrder { order: create(Some(payment_id)), reason_code, reason };
    let deposit = money("3663.00", "EUR");
    let recorded = PaymentRecorded { paid: money("12209.99", "EUR"), balance_due: money("0", "EUR") };
    let amount = money("8546.99", "EUR");
    let pay = PayOrder { payment_id, order_id, user_id: user(), amount, token: token() };
    let created = order::v2::OrderCreated { due_now: deposit };
    vec![
        golden("order.start_input.v2", place),
        golden("order.create.v2.least", create(None)),
        later_pair("order.create.v2", create(Some(payment_id)), created),
        golden("payment.start_input", pay),
        pair(close, OrderClosed {}),
        pair(BeginPayment { order_id, payment_id, amount }, PaymentBegun {}),
        pair(EndPayment { order_id, payment_id }, PaymentEnded {}),
        pair(RecordPayment { order_id, payment_id, amount }, recorded),
        golden("order.payment_plans", PaymentPlan::ALL.to_vec()),
        golden("feed.notices", vec![Notice::OrderConfirmed, Notice::PaymentTaken]),
    ]
}

fn holds() -> Vec<Golden> {
    let flights = vec![AcceptedFlight { offer_id: flight(), total: money("3210.00", "EUR") }];
    let stays = vec![AcceptedStay { offer_id: stay(), total: money("480000", "JPY") }];
    let (order_id, offers, for_minutes) = (order(), flights.clone(), 240);
    let hold_for = flights::v2::HoldSeats { order_id, offers: offers.clone(), travellers: 2, for_minutes };
    let extend_for = flights::v2::ExtendSeats { order_id, offers, for_minutes };
    let hold_flight = flights::HoldFlight {
        hold_id: flight_hold(),
        order_id: order(),
        payment_id: payment(),
        user_id: user(),
        item: items().remove(0),
        travellers: travellers(),
        departs_on: date(2026, 12, 1),
    };
    let tickets = SeatsConfirmed { booking_reference: "X7PQ2M".into(), tickets: vec!["125-2400000001".into()] };
    vec![
        pair(ExtendSeats { order_id: order(), offers: flights.clone() }, SeatsHeld { expires_at: at(20) }),
        pair(ExtendRooms { order_id: order(), offers: stays.clone() }, RoomsHeld { expires_at: at(20) }),
        pair(HoldSeats { order_id: order(), offers: flights, travellers: 2 }, SeatsHeld { expires_at: at(20) }),
        golden("flight_hold.start_input", hold_flight),
        golden("signal.hold-confirmation", flights::HoldConfirmation { payment_token: token() }),
        later_pair("flights.hold_seats.v2", hold_for, SeatsHeld { expires_at: at(59) }),
        later_pair("flights.extend_seats.v2", extend_for, SeatsHeld { expires_at: at(59) }),
        pair(ReleaseSeats { order_id: order() }, SeatsReleased {}),
        pair(ConfirmSeats { order_id: order(), travellers: travellers() }, tickets),
        pair(HoldRooms { order_id: order(), offers: stays, travellers: 2 }, RoomsHeld { expires_at: at(20) }),
        pair(ReleaseRooms { order_id: order() }, RoomsReleased {}),
        pair(
            ConfirmRooms { order_id: order(), guest_name: "Zo\u{eb} Okafor".into() },
            RoomsConfirmed { confirmation: "VX-42".into() },
        ),
    ]
}

fn payments() -> Vec<Golden> {
    let amount = || money("12209.99", "EUR");
    let authorized = PaymentAuthorized {
        payment_id: payment(),
        provider_reference: "pi_3MtwBwLkdIwHu7ix28a3tqPa".into(),
        capture_before: at(45),
    };
    vec![
        pair(AuthorizePayment { order_id: order(), amount: amount(), token: token() }, authorized),
        pair(VoidPayment { order_id: order() }, PaymentVoided {}),
        pair(CapturePayment { order_id: order(), amount: amount() }, PaymentCaptured { payment_id: payment() }),
    ]
}

fn payments_by_id() -> Vec<Golden> {
    let (payment_id, amount) = (payment(), money("12209.99", "EUR"));
    let authorize = v2::AuthorizePayment { payment_id, order_id: order(), user_id: user(), amount, token: token() };
    let redirect_url = "http://127.0.0.1:8080/sandbox/3ds/sbx_1".to_owned();
    let acting = v2::PaymentAuthorization::RequiresAction { redirect_url: redirect_url.clone(), expires_at: at(30) };
    let view = |status, next_action, failure_code: Option<&str>| PaymentView {
        payment_id,
        order_id: order(),
        user_id: Some(user()),
        status,
        amount,
        refunded: (status == PaymentStatus::Captured).then(|| money("209.99", "EUR")),
        next_action,
        failure_code: failure_code.map(Into::into),
    };
    let metadata = WebhookMetadata { saga_id: Some(saga()), payment_id: Some(payment_id) };
    let object = WebhookObject { id: "sbx_1".into(), metadata };
    let kind = "payment_intent.amount_capturable_updated".into();
    let redirect = NextAction::Redirect { url: redirect_url, expires_at: at(30) };
    vec![
        later_pair("payment.authorize.v2", authorize, v2::PaymentAuthorization::Authorized { capture_before: at(45) }),
        golden("payment.authorize.v2.requires_action", acting),
        pair(v2::CompleteAuthorization { payment_id }, v2::AuthorizationCompleted { capture_before: at(45) }),
        later_pair("payment.void.v2", v2::VoidPayment { payment_id }, PaymentVoided {}),
        later_pair(
            "payment.capture.v2",
            v2::CapturePayment { payment_id, amount, keep_rest: false },
            PaymentCaptured { payment_id },
        ),
        pair(
            v2::RefundPayment { payment_id, amount: money("200.00", "EUR") },
            v2::PaymentRefunded { refunded: money("209.99", "EUR") },
        ),
        golden("payment.statuses", PaymentStatus::ALL.to_vec()),
        golden("payment.view", view(PaymentStatus::RequiresAction, Some(redirect), None)),
        golden("payment.view.refunded", view(PaymentStatus::Captured, None, None)),
        golden("payment.view.failed", view(PaymentStatus::Failed, None, Some("card_declined"))),
        golden("signal.payment-action", PaymentAction { event_id: "evt_1".into(), payment_id }),
        golden("payment.webhook", PaymentWebhook { id: "evt_1".into(), kind, data: WebhookData { object } }),
    ]
}

//! Searches, offers and orders as the domains' internal HTTP answers them.

use contract::{
    PageToken,
    accommodation::{StayOffer, StaySearch},
    flights::{Cabin, FlightOffer, FlightSearch},
    order::{OrderStatus, OrderView, Reason},
};

use crate::{
    golden::{Golden, golden},
    samples::{at, date, flight, items, money, order, stay, travellers, user},
};

#[test]
fn every_search_offer_and_order_is_its_golden_file() {
    all().iter().for_each(Golden::check);
}

pub(crate) fn all() -> Vec<Golden> {
    let cabins = [Cabin::Economy, Cabin::PremiumEconomy, Cabin::Business, Cabin::First];
    let statuses = [OrderStatus::Pending, OrderStatus::Confirmed, OrderStatus::Rejected];
    vec![
        golden("flights.search", flight_search(true)),
        golden("flights.search.least", flight_search(false)),
        golden("flights.offer", flight_offer()),
        golden("flights.cabins", cabins.to_vec()),
        golden("accommodation.search", stay_search(true)),
        golden("accommodation.search.least", stay_search(false)),
        golden("accommodation.offer", stay_offer()),
        golden("order.view", order_view(OrderStatus::Pending)),
        golden("order.view.confirmed", order_view(OrderStatus::Confirmed)),
        golden("order.view.rejected", order_view(OrderStatus::Rejected)),
        golden("order.statuses", statuses.to_vec()),
    ]
}

fn flight_search(full: bool) -> FlightSearch {
    FlightSearch {
        from: "LHR".into(),
        to: "MLE".into(),
        date: date(2026, 12, 1),
        cabin: Cabin::Business,
        passengers: 2,
        page_size: full.then_some(20),
        page_token: full.then(|| PageToken::from_text("b2Zmc2V0".into())),
    }
}

fn flight_offer() -> FlightOffer {
    FlightOffer {
        offer_id: flight(),
        flight_number: "AZ 101".into(),
        carrier: "Azure Air".into(),
        from: "LHR".into(),
        to: "MLE".into(),
        departs_at: at(5),
        departs_local: "2026-12-01T09:05".into(),
        arrives_at: at(50),
        arrives_local: "2026-12-01T14:50".into(),
        cabin: Cabin::Business,
        passengers: 2,
        total: money("6420.00", "EUR"),
        expires_at: at(30),
    }
}

fn stay_search(full: bool) -> StaySearch {
    StaySearch {
        place: "Maldives".into(),
        check_in: date(2026, 12, 2),
        check_out: date(2026, 12, 9),
        guests: 2,
        page_size: full.then_some(20),
        page_token: full.then(|| PageToken::from_text("b2Zmc2V0".into())),
    }
}

fn stay_offer() -> StayOffer {
    StayOffer {
        offer_id: stay(),
        property: "Reef House".into(),
        place: "Baa Atoll".into(),
        country: "MV".into(),
        room_type: "Reef villa".into(),
        check_in: date(2026, 12, 2),
        check_out: date(2026, 12, 9),
        guests: 2,
        total: money("8999.99", "EUR"),
        expires_at: at(30),
    }
}

fn order_view(status: OrderStatus) -> OrderView {
    let confirmed = status == OrderStatus::Confirmed;
    let reason = Reason { code: "card_declined".into(), message: "the issuer declined the card".into() };
    OrderView {
        order_id: order(),
        user_id: user(),
        status,
        reason: Some(reason).filter(|_| status == OrderStatus::Rejected),
        items: items(),
        travellers: travellers(),
        total: money("12209.99", "EUR"),
        paid: money(if confirmed { "3663.00" } else { "0" }, "EUR"),
        balance_due: money(if confirmed { "8546.99" } else { "0" }, "EUR"),
        balance_due_on: confirmed.then(|| date(2027, 4, 2)),
        flight_reference: confirmed.then(|| "X7PQ2M".into()),
        stay_reference: confirmed.then(|| "VX-42".into()),
        created_at: at(0),
        updated_at: at(1),
    }
}

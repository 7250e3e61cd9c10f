//! Golden files of the events.

use contract::{
    Event,
    order::{OrderConfirmed, OrderRejected},
    user::{Role, UserCreated},
};

use crate::{
    golden::{Golden, golden},
    samples::{order, user},
};

#[test]
fn every_event_is_its_golden_file() {
    all().iter().for_each(Golden::check);
}

pub(crate) fn all() -> Vec<Golden> {
    vec![
        event(OrderConfirmed { order_id: order() }),
        event(OrderRejected { order_id: order(), reason_code: "card_declined".into() }),
        event(UserCreated { user_id: user(), role: Role::Client }),
    ]
}

/// An event, in a file named by it.
fn event<E: Event>(event: E) -> Golden {
    let topic = E::NAME.split_once('.').map(|(domain, _)| domain);
    assert_eq!(topic, Some(E::ROUTE.as_str()), "`{}` begins with another domain than its own", E::NAME);
    golden(E::NAME, event)
}

//! The commands: hold seats, extend the hold, release it, confirm it. Each file has one, with its SQL.
//!
//! Every statement that moves seats first locks their `cabin_inventory` rows, in the order of (flight, cabin), and only
//! then looks at the hold: so two of them never wait for each other in a circle, and a hold is confirmed, released or
//! expired by the one that comes first (S22).

mod confirm_seats;
mod extend_seats;
mod hold_seats;
mod lock_order;
mod release_seats;
mod take_again;

use contract::flights::{ConfirmSeats, ExtendSeats, HoldSeats, ReleaseSeats, SeatsReleased, v2};
use worker_runtime::{Domain, HoldMinutes, OfferKeys};

/// The handlers of the domain's commands.
#[derive(Debug, Clone)]
pub struct Flights {
    /// How long a hold lasts.
    pub hold_for: HoldMinutes,
    /// The keys under which offers are sealed.
    pub offer_keys: OfferKeys,
}

impl Flights {
    /// Gives the domain its commands.
    pub(crate) fn register(self, domain: Domain) -> Domain {
        domain
            .action::<HoldSeats>(self.clone())
            .action::<v2::HoldSeats>(self.clone())
            .compensation::<ReleaseSeats>(self.clone(), |_| SeatsReleased {})
            .action::<ExtendSeats>(self.clone())
            .action::<v2::ExtendSeats>(self.clone())
            .action::<ConfirmSeats>(self.clone())
            .lock_order(self)
    }
}

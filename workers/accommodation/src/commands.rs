//! The commands: hold rooms, extend the hold, release it, confirm it. Each file has one, with its SQL; `villas` is a part of
//! confirming.
//!
//! Every statement that moves rooms first locks their `room_night` rows, in the order of (room type, night), and only
//! then looks at the hold: so two of them never wait for each other in a circle, and a hold is confirmed, released or
//! expired by the one that comes first (S22).

mod confirm_rooms;
mod extend_rooms;
mod hold_rooms;
mod lock_order;
mod release_rooms;
mod take_again;
mod villas;

use contract::accommodation::{ConfirmRooms, ExtendRooms, HoldRooms, ReleaseRooms, RoomsReleased};
use worker_runtime::{Domain, HoldMinutes, OfferKeys};

/// The handlers of the domain's commands.
#[derive(Debug, Clone)]
pub struct Accommodation {
    /// How long a hold lasts.
    pub hold_for: HoldMinutes,
    /// The keys under which offers are sealed.
    pub offer_keys: OfferKeys,
}

impl Accommodation {
    /// Gives the domain its commands.
    pub(crate) fn register(self, domain: Domain) -> Domain {
        domain
            .action::<HoldRooms>(self.clone())
            .compensation::<ReleaseRooms>(self.clone(), |_| RoomsReleased {})
            .action::<ExtendRooms>(self.clone())
            .action::<ConfirmRooms>(self.clone())
            .lock_order(self)
    }
}

//! The accommodation domain: properties, rooms and villas by the night, what they cost, who holds and who booked them.
//!
//! ```text
//!  search --> offer (30 min, price guaranteed) --> hold (20 min) --> confirm: booking, and a villa where villas
//!                                                    |  |             have names
//!                                                    |  '--> release (compensation)
//!                                                    '-----> expired by the sweeper
//! ```
//!
//! Rooms are counters in `room_night`. Every statement that moves them locks the rows in the order of (room type,
//! night), and the table's own constraints refuse what would oversell (invariants S21, S22).

mod confirm;
mod domain;
mod error;
mod hold;
mod http;
mod offer;
mod page_token;
mod release;
mod search;
mod seed;
mod settings;
mod sweeper;
mod villas;

pub use confirm::METRIC_VILLAS_MOVED;
pub use domain::{Accommodation, DATABASE, MIGRATOR, domain};
pub use error::AccommodationError;
pub use hold::REFUSED_HOLD_EXISTS;
pub use http::{Reads, router};
pub use offer::{OfferError, find_offer};
pub use search::{Clockwork, OfferPage, SearchError, search};
pub use seed::seed;
pub use settings::Settings;
pub use sweeper::{expire_due, next_expiry};

//! The accommodation domain: properties, rooms and villas by the night, what they cost, who holds and who booked them.
//!
//! ```text
//!  search --> offer (30 min, price guaranteed) --> hold (20 min) --> confirm: booking, and a villa where villas
//!                                                    |  |             have names
//!                                                    |  '--> release (compensation)
//!                                                    '-----> expired by the sweeper
//! ```
//!
//! Rooms are counters in `room_night`, whose own constraints refuse what would oversell (invariant S21). Every
//! statement that moves them first locks those rows, in the order of (room type, night), and only then looks at the
//! hold: so two of them never wait for each other in a circle, and a hold is confirmed, released or expired by whoever
//! comes first (S22).

mod confirm;
mod domain;
mod error;
mod hold;
mod http;
mod offer;
mod release;
mod search;
mod seed;
mod settings;
mod sweeper;
mod villas;

pub use confirm::METRIC_VILLAS_MOVED;
pub use domain::{Accommodation, DATABASE, MIGRATOR, domain};
pub use error::AccommodationError;
pub use http::{Reads, router};
pub use offer::{OfferError, find_offer};
pub use search::{Clockwork, SearchError, search};
pub use seed::{keep_on_sale, seed};
pub use settings::Settings;
pub use sweeper::{expire_due, next_expiry, run as run_sweeper};

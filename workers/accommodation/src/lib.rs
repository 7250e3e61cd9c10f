//! The accommodation domain: it sells stays and holds rooms and villas by the night.
//!
//! ```text
//!  search --> offer (30 min, price guaranteed) --> hold (20 min) --> confirm: booking, and a villa where villas
//!                                                    |  |             have names
//!                                                    |  '--> release (compensation)
//!                                                    '-----> expired by the sweeper
//! ```
//!
//! Rooms are counters in `room_night`, whose own constraints refuse what would oversell (invariant S21).

mod domain;

mod commands;
mod jobs;
mod reads;

mod offer;
mod seed;
mod settings;

pub use commands::Accommodation;
pub use domain::{MIGRATOR, domain};
pub use offer::StayTerms;
pub use reads::{SearchError, find_offer, router, search};
pub use seed::seed;
pub use settings::Settings;

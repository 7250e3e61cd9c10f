//! The flights domain: it sells flights and holds seats.
//!
//! ```text
//!  search --> offer (30 min, price guaranteed) --> hold (20 min) --> confirm: booking and tickets
//!                                                    |  '--> release (compensation)
//!                                                    '-----> expired by the sweeper
//! ```
//!
//! Seats are counters in `cabin_inventory`, whose own constraints refuse what would oversell (invariant S21).

mod domain;

mod commands;
mod jobs;
mod reads;

mod offer;
mod seed;
mod settings;

pub use commands::Flights;
pub use domain::{MIGRATOR, domain};
pub use offer::FlightTerms;
pub use reads::{SearchError, find_offer, router, search};
pub use seed::seed;
pub use settings::Settings;

//! The flights domain: what flies, what it costs, who holds and who bought the seats.
//!
//! ```text
//!  search --> offer (30 min, price guaranteed) --> hold (20 min) --> confirm: booking and tickets
//!                                                    |  '--> release (compensation)
//!                                                    '-----> expired by the sweeper
//! ```
//!
//! Seats are counters in `cabin_inventory`, whose own constraints refuse what would oversell (invariant S21). Every
//! statement that moves them first locks those rows, in the order of (flight, cabin), and only then looks at the hold:
//! so two of them never wait for each other in a circle, and a hold is confirmed, released or expired by whoever comes
//! first (S22).

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

pub use domain::{DATABASE, Flights, MIGRATOR, domain};
pub use error::FlightsError;
pub use http::{Reads, router};
pub use offer::{OfferError, find_offer};
pub use search::{Clockwork, SearchError, search};
pub use seed::{keep_on_sale, seed};
pub use settings::Settings;
pub use sweeper::{expire_due, next_expiry, run as run_sweeper};

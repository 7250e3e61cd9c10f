//! Runs a definition in a small world of participants that lose, repeat, refuse and fail as a script says.
//!
//! For the tests of this crate and of every catalog: [`check_definition`] is the same set of tests for any saga.
//! The participants keep an inbox as the real ones do, so what is checked here is that the machine needs no more
//! from them than that.

mod check;
mod dice;
mod ended;
mod free;
mod participants;
mod simulation;

pub use dice::Dice;
pub use ended::Ended;
pub use free::check_definition;
pub use participants::{Fate, Participants, Script};
pub use simulation::{Crash, Simulation};

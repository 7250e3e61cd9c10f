//! The tutorial's messages: what a real saga would add to `sagas/contract`.

use contract::{Command, Route};
use serde::{Deserialize, Serialize};

/// Refusal: the suite is held for another guest, or was given to one.
pub(crate) const REFUSED_SUITE_TAKEN: &str = "suite_taken";

/// The start input.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfferUpgrade {
    /// The booking whose guest is offered a suite.
    pub(crate) booking: String,
    /// The suite's name.
    pub(crate) suite: String,
}

/// Keeps a suite for the guest of a booking.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct HoldSuite {
    pub(crate) booking: String,
    pub(crate) suite: String,
}

/// The reply: the suite is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SuiteHeld {}

impl Command for HoldSuite {
    const NAME: &'static str = "accommodation.hold_suite";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Accommodation;
    type Reply = SuiteHeld;
}

/// Undoes [`HoldSuite`]. Never refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReleaseSuite {
    pub(crate) booking: String,
}

/// The reply: no suite is kept for the booking.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SuiteReleased {}

impl Command for ReleaseSuite {
    const NAME: &'static str = "accommodation.release_suite";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Accommodation;
    type Reply = SuiteReleased;
}

/// Gives the held suite to the guest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct GiveSuite {
    pub(crate) booking: String,
    pub(crate) accepted_by: String,
}

/// The reply: the suite is the guest's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SuiteGiven {}

impl Command for GiveSuite {
    const NAME: &'static str = "accommodation.give_suite";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Accommodation;
    type Reply = SuiteGiven;
}

/// The payload of the signal `accept`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Accept {
    /// The guest who said yes.
    pub(crate) accepted_by: String,
}

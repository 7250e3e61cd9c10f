//! The tutorial's definition: what a real saga would add to `sagas/catalog`.

use std::time::Duration;

use machine::{Builder, Definition, DefinitionError};

use crate::messages::{Accept, GiveSuite, HoldSuite, OfferUpgrade, ReleaseSuite};

/// The time in which a guest decides.
const DECIDE_WITHIN: Duration = Duration::from_secs(23 * 3_600);
/// The time after which the offer is over, whatever happened: an hour is left for faults.
const DEADLINE: Duration = Duration::from_secs(24 * 3_600);
/// The time for which the hotel keeps the suite.
const HOLD: Duration = Duration::from_secs(25 * 3_600);

/// The parts of replies and signals that later steps need.
#[derive(Default)]
struct Facts {
    accepted_by: String,
}

/// Builds the definition.
///
/// # Errors
/// The mistakes in it.
pub(crate) fn definition() -> Result<Definition, Vec<DefinitionError>> {
    let mut saga = Builder::<OfferUpgrade, Facts>::new("upgrade", 1);
    saga.deadline(DEADLINE);

    let hold = saga
        .step("hold-suite")
        .command(|offer, _| HoldSuite { booking: offer.booking.clone(), suite: offer.suite.clone() })
        .compensate(|offer, _| ReleaseSuite { booking: offer.booking.clone() })
        .holds_for(HOLD)
        .add();
    let accepted = saga
        .step("await-accept")
        .after([hold])
        .signal::<Accept>("accept")
        .within(DECIDE_WITHIN)
        .on_signal(|facts, accept| facts.accepted_by.clone_from(&accept.accepted_by))
        .add();
    saga.step("give-suite")
        .pivot() // The guest has the key: from here there is no way back.
        .after([accepted])
        .command(|offer, facts| GiveSuite { booking: offer.booking.clone(), accepted_by: facts.accepted_by.clone() })
        .add();
    saga.build()
}

//! The laws of the machine on every saga of the catalog, and the tests that each gets for free: each step fails,
//! each command comes twice, the orchestrator dies after each of its decisions.

use machine::testing::{Crash, Dice, Script, Simulation, check_definition};
use proptest::prelude::*;

use crate::samples::ways;

#[test]
fn every_saga_survives_whatever_can_go_wrong() {
    for definition in catalog::all().unwrap().iter() {
        for way in ways(definition) {
            let checked = check_definition(definition, &way.input, &|name| way.reply(name));
            assert_eq!(checked, Ok(()), "{} version {}, {}", definition.name(), definition.version(), way.name);
        }
    }
}

#[test]
fn the_linter_finds_nothing_in_any_saga() {
    for definition in catalog::all().unwrap().iter() {
        assert_eq!(machine::lint(definition), [], "{} version {}", definition.name(), definition.version());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn crashes_repetition_and_disorder_reach_the_same_end(seed: u64) {
        for definition in catalog::all().unwrap().iter() {
            for way in ways(definition) {
                let (what, reply) = (&way.name, |name: &str| way.reply(name));
                let script = Script::random(definition, &mut Dice::new(seed)).undone_well();
                let simulation = || Simulation::new(definition, way.input.clone(), &reply).script(script.clone());
                let plain = simulation().run().unwrap();
                let same = |other: &machine::testing::Ended| other.ends_like(&plain);
                prop_assert!(same(&simulation().repeat().run().unwrap()), "{what}, repeated");
                prop_assert!(same(&simulation().shuffle(Dice::new(seed)).run().unwrap()), "{what}, shuffled");
                prop_assert!(same(&simulation().crash(Crash::Always).run().unwrap()), "{what}, crashed");
            }
        }
    }
}

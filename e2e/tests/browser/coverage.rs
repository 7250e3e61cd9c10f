//! The requests of the browsers, held against the table of the dashboard's addresses: a page or an act that nobody has opened fails
//! the test.

use std::collections::BTreeSet;

/// The table itself.
const ROUTES: &str = include_str!("../../../dashboard/src/routes.rs");

/// The acts on one saga, each with its word first.
const SAGA_ACTS: &str = include_str!("../../../dashboard/src/view/acts.rs");

/// The acts behind the other addresses that have a place for one.
const ACTS: [(&str, &[&str]); 3] = [
    ("/ops/jobs/{id}/{act}", &["pause", "resume", "abort", "rerun"]),
    ("/ops/approvals/{id}/{act}", &["approve", "reject"]),
    ("/ops/people/{id}/{act}", &["role", "disable", "enable", "reset", "clear-second-factor"]),
];

/// The address of the acts on one saga.
const OF_SAGAS: &str = "/ops/sagas/{id}/acts/{act}";

/// The acts that no definition of the agency leads to: none waits for a time, and none has a version that takes a running saga over.
const OF_OWN_DEFINITION: [&str; 2] = ["fire_timer", "migrate"];

/// The two tests that share the addresses among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything but the acts of the other one.
    Agency,
    OwnDefinition,
}

/// A method and a path, with `{...}` where it differs.
type Address = (String, String);

/// The addresses of a test's part that were never asked for.
pub(crate) fn never_asked_for(log: &str, part: Part) -> Vec<Address> {
    let asked: BTreeSet<Address> = log.lines().filter_map(request).collect();
    let was_asked = |(method, path): &Address| asked.iter().any(|one| one.0 == *method && fits(path, &one.1));
    addresses().into_iter().filter(|address| part_of(&address.1) == part && !was_asked(address)).collect()
}

/// The test that asks for a path.
fn part_of(path: &str) -> Part {
    let own = OF_OWN_DEFINITION.iter().any(|act| path == OF_SAGAS.replace("{act}", act));
    if own { Part::OwnDefinition } else { Part::Agency }
}

/// The words of the acts on one saga, from the dashboard's own table of them.
fn saga_acts() -> Vec<&'static str> {
    let (_, table) = SAGA_ACTS.split_once("const ALL").unwrap();
    let (table, _) = table.split_once("];").unwrap();
    let acts: Vec<_> = table.lines().filter_map(|line| line.trim().strip_prefix("(\"")?.split('"').next()).collect();
    assert!(OF_OWN_DEFINITION.iter().all(|act| acts.contains(act)), "{acts:?}");
    acts
}

/// Every address of the table, and one for each act.
fn addresses() -> Vec<Address> {
    let mut all = Vec::new();
    for route in ROUTES.split(".route(").skip(1) {
        let (path, handlers) = route.trim_start().trim_start_matches('"').split_once('"').unwrap();
        if path.starts_with("/ops/assets/") {
            continue;
        }
        for method in ["get", "post"].into_iter().filter(|method| handlers.contains(&format!("{method}("))) {
            let acts = ACTS.iter().find(|(of, _)| *of == path).map(|(_, acts)| acts.to_vec());
            let acts = if path == OF_SAGAS { Some(saga_acts()) } else { acts };
            let paths = acts.map_or_else(|| vec![path.to_owned()], |acts| each(path, &acts));
            all.extend(paths.into_iter().map(|path| (method.to_uppercase(), path)));
        }
    }
    all
}

fn each(path: &str, acts: &[&str]) -> Vec<String> {
    acts.iter().map(|act| path.replace("{act}", act)).collect()
}

/// The request that a line of the log tells of.
fn request(line: &str) -> Option<Address> {
    let told = line.contains("started processing request").then_some(line)?;
    let value = |name: &str| Some(told.split_once(name)?.1.split([' ', '}']).next()?.trim_matches('"').to_owned());
    Some((value("method=")?, value("path=")?))
}

/// Whether a path is one of those that are written with `{...}` in their places.
fn fits(written: &str, path: &str) -> bool {
    let (written, path): (Vec<_>, Vec<_>) = (written.split('/').collect(), path.split('/').collect());
    written.len() == path.len()
        && written.iter().zip(path).all(|(written, part)| written.starts_with('{') || *written == part)
}

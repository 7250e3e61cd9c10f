//! The requests of the browsers, held against the table of the dashboard's addresses: a page or an act that nobody has opened fails
//! the test.

use std::collections::BTreeSet;

/// The table itself.
const ROUTES: &str = include_str!("../../../dashboard/src/routes.rs");

/// The acts behind an address that has a place for one. The acts of a saga that no shipped definition leads to are not among them: none
/// waits for a time, and none has a version that takes a running saga over.
const ACTS: [(&str, &[&str]); 4] = [
    (
        "/ops/sagas/{id}/acts/{act}",
        &[
            "release",
            "resume",
            "retry",
            "edit",
            "resolve",
            "skip",
            "cancel",
            "reschedule_timer",
            "pause",
            "signal",
            "abandon",
        ],
    ),
    ("/ops/jobs/{id}/{act}", &["pause", "resume", "abort", "rerun"]),
    ("/ops/approvals/{id}/{act}", &["approve", "reject"]),
    ("/ops/people/{id}/{act}", &["role", "disable", "enable", "reset", "clear-second-factor"]),
];

/// A method and a path, with `{...}` where it differs.
type Address = (String, String);

/// The addresses that were never asked for.
pub(crate) fn never_asked_for(log: &str) -> Vec<Address> {
    let asked: BTreeSet<Address> = log.lines().filter_map(request).collect();
    let was_asked = |(method, path): &Address| asked.iter().any(|one| one.0 == *method && fits(path, &one.1));
    addresses().into_iter().filter(|address| !was_asked(address)).collect()
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
            let acts = ACTS.iter().find(|(of, _)| *of == path).map(|(_, acts)| *acts);
            let paths = acts.map_or_else(|| vec![path.to_owned()], |acts| each(path, acts));
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

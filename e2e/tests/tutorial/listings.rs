//! The tutorial's listings, which are parts of the files that the tests beside this one run.

use std::{fs, path::Path};

/// The files that the tutorial may quote.
const QUOTED: [&str; 5] = ["messages.rs", "definition.rs", "handlers.rs", "proof.rs", "running.rs"];

#[test]
fn every_listing_of_the_tutorial_is_code_that_runs() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let sources: Vec<_> = QUOTED.iter().map(|file| read(&here.join("tests/tutorial").join(file))).collect();
    let tutorial = read(&here.join("../docs/sagas/tutorial.md"));
    let listings: Vec<_> = tutorial.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(listings.len() >= QUOTED.len(), "the tutorial has only {} listings", listings.len());
    for listing in listings {
        // An ellipsis stands for what the listing leaves out.
        for part in listing.split("// ...\n") {
            assert!(sources.iter().any(|source| source.contains(part)), "not in any file:\n{part}");
        }
    }
}

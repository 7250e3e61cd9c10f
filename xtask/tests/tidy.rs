//! The house rules as tests: what may know what, what a source file must have and must not have, what may
//! no longer change. Each test lists everything that breaks its rule at once.

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/crates.rs"]
mod crates;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/errors.rs"]
mod errors;
#[path = "tidy/events.rs"]
mod events;
#[path = "tidy/files.rs"]
mod files;
#[path = "tidy/prose.rs"]
mod prose;
#[path = "tidy/sources.rs"]
mod sources;

/// Ends a test: nothing may be wrong.
fn nothing_wrong(rule: &str, mut problems: Vec<String>) {
    problems.sort();
    assert!(problems.is_empty(), "{rule}\n\n{}\n", problems.join("\n"));
}

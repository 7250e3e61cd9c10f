//! Every code that clients or operators can meet has a page in `docs/errors`, and every page a code.

use std::collections::{BTreeMap, BTreeSet};

use crate::{files, files::TextFile, nothing_wrong};

/// Where the pages are.
const PAGES: &str = "docs/errors/";

/// Constants whose names begin so hold codes.
const CONSTANTS: [&str; 5] = ["REFUSED_", "FAULT_", "CAUSE_", "FAILURE_", "REASON_DELIVERY_LIMIT"];

/// Constructors whose code is written out in the call, and how many commas stand before it.
const CONSTRUCTORS: [(&str, usize); 10] = [
    ("::new(StatusCode::", 1),
    ("::bad_request(", 0),
    ("::unauthorized(", 0),
    ("::forbidden(", 0),
    ("::not_found(", 0),
    ("::conflict(", 0),
    ("::unprocessable(", 0),
    ("::unavailable(", 0),
    ("too_many(", 0),
    // Reads a header, or answers with this code.
    ("header(headers, HEADER_", 2),
];

/// Functions that answer nothing but codes.
const FUNCTIONS: [&str; 1] = ["fn code(&self) -> &'static str {"];

/// Arms that choose a code and the field that is wrong.
const ARMS: &str = "SearchError::";

/// Structures with a code written out.
const MEMBERS: [&str; 1] = ["{ code: \""];

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let files = files::all();
    let sources: Vec<(&str, String)> = files
        .iter()
        .filter(|file| file.is_rust() && file.path.contains("/src/") && !is_not_shipped(&file.path))
        .map(|file| (file.path.as_str(), without_tests(&file.text)))
        .collect();
    let mut codes: BTreeMap<String, &str> = BTreeMap::new();
    for (path, text) in &sources {
        for code in codes_of(text) {
            codes.entry(code).or_insert(path);
        }
    }
    assert!(codes.len() > 80, "the scan finds only {} codes: does it still fit the sources?", codes.len());
    let pages: BTreeMap<&str, &TextFile> = files
        .iter()
        .filter_map(|file| Some((file.path.strip_prefix(PAGES)?.strip_suffix(".md")?, file)))
        .filter(|(name, _)| *name != "README")
        .collect();
    let index = files.iter().find(|file| file.path == format!("{PAGES}README.md")).map_or("", |file| &file.text);

    let mut problems = Vec::new();
    for (code, path) in &codes {
        if !pages.contains_key(code.as_str()) {
            problems.push(format!("`{code}` of {path} has no page {PAGES}{code}.md"));
        }
    }
    for (code, page) in &pages {
        let quoted = format!("\"{code}\"");
        if !sources.iter().any(|(_, text)| text.contains(&quoted)) {
            problems.push(format!("{} is about a code that no source has", page.path));
        }
        if !page.text.starts_with(&format!("# {code}\n")) {
            problems.push(format!("{}: the title must be the code", page.path));
        }
        for part in ["**Where:**", "**What it means.**", "**Who gets it.**", "**What to do.**"] {
            if !page.text.contains(part) {
                problems.push(format!("{} lacks {part}", page.path));
            }
        }
        if !index.contains(&format!("({code}.md)")) {
            problems.push(format!("{PAGES}README.md does not list {code}"));
        }
    }
    nothing_wrong("Whoever meets a code finds out what it means and what to do.", problems);
}

/// Whether a source runs only on developers' machines.
fn is_not_shipped(path: &str) -> bool {
    ["xtask/", "e2e/", "bench/", "platform/private-servers/"].iter().any(|folder| path.starts_with(folder))
}

/// The file up to its tests, which stand last.
fn without_tests(text: &str) -> String {
    text.split("#[cfg(test)]").next().unwrap_or_default().to_owned()
}

fn codes_of(text: &str) -> BTreeSet<String> {
    // As on one line, so that calls look the same however long they are.
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ").replace("( ", "(");
    let mut codes = BTreeSet::new();
    let mut look = |text: &str, pattern: &str, commas: usize| {
        let found = text.match_indices(pattern).filter_map(|(at, _)| first_code(&text[at..], commas));
        codes.extend(found);
    };
    for constant in CONSTANTS {
        look(&flat, &format!("const {constant}"), 0);
    }
    for (constructor, commas) in CONSTRUCTORS {
        look(&flat, constructor, commas);
    }
    for member in MEMBERS {
        look(&flat, member, 0);
    }
    for function in FUNCTIONS {
        for (at, _) in text.match_indices(function) {
            let body = text[at..].split("\n    }").next().unwrap_or_default();
            look(body, "=> \"", 0);
        }
    }
    for line in text.lines().filter(|line| line.trim_start().starts_with(ARMS)) {
        look(line, "=> (\"", 0);
    }
    codes
}

/// The first quoted text behind so many commas and no end of anything, when it has the shape of a code.
fn first_code(text: &str, commas: usize) -> Option<String> {
    let (before, rest) = text.split_once('"')?;
    if before.contains([')', ';']) || before.matches(',').count() != commas {
        return None;
    }
    let code = rest.split('"').next()?;
    let shaped = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    shaped.then(|| code.to_owned())
}

#[test]
fn codes_are_found_wherever_they_are_written() {
    let found = |text: &str| codes_of(text).into_iter().collect::<Vec<_>>();
    assert_eq!(
        found("ApiError::new(\n    StatusCode::GONE,\n    \"offer_expired\", \"The offer\")"),
        ["offer_expired"]
    );
    assert_eq!(found("ApiError::new(StatusCode::GONE, code, \"The\")"), Vec::<String>::new());
    assert_eq!(found("Self::new(StatusCode::GONE, \"offer_expired\", \"The offer\")"), ["offer_expired"]);
    assert_eq!(found("ApiError::not_found(\"saga_unknown\", format!(\"no {id}\"))"), ["saga_unknown"]);
    assert_eq!(
        found("ApiError::not_found(code, detail),\n ApiError::conflict(code, \"detail\")"),
        Vec::<String>::new()
    );
    assert_eq!(found("pub const REFUSED_PAST: &str = \"pivot_passed\";"), ["pivot_passed"]);
    assert_eq!(found("            SearchError::Place => (\"place_invalid\", \"place\"),"), ["place_invalid"]);
    let function = "    pub const fn code(&self) -> &'static str {\n        match self {\n            Self::Busy(_) => \"busy\",\n        }\n    }\n";
    assert_eq!(found(function), ["busy"]);
    assert_eq!(found("OperationError { code: \"given_up\".to_owned() }"), ["given_up"]);
}

//! Migrations, decisions and documents: numbered, whole, and not changed once others rely on them.

use std::collections::BTreeMap;

use xtask::{migrations, workspace};

use crate::{
    files::{self, TextFile},
    nothing_wrong,
};

/// The parts of a decision, in their order.
const DECISION_PARTS: [&str; 3] = ["## Context", "## Decision", "## Consequences"];

#[test]
fn released_migrations_are_not_edited() {
    let problems = migrations::edited(&workspace::root()).unwrap_or_else(|error| panic!("{error:#}"));
    nothing_wrong("Databases out there have run them.", problems);
}

#[test]
fn migrations_are_numbered_without_gaps() {
    let mut databases: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files::all() {
        if let Some((database, name)) = file.path.strip_prefix("migrations/").and_then(|path| path.split_once('/')) {
            databases.entry(database.to_owned()).or_default().push(name.to_owned());
        }
    }
    let mut problems = Vec::new();
    for (database, names) in databases {
        problems.extend(
            numbering(&names, '_', ".sql").into_iter().map(|problem| format!("migrations/{database}: {problem}")),
        );
    }
    nothing_wrong("Migrations are 0001_name.sql, 0002_name.sql, ...", problems);
}

#[test]
fn decisions_are_numbered_and_whole() {
    let decisions: Vec<TextFile> = files::all().into_iter().filter(|file| file.path.starts_with("docs/adr/")).collect();
    let names: Vec<String> =
        decisions.iter().map(|file| file.path.trim_start_matches("docs/adr/").to_owned()).collect();
    let mut problems = numbering(&names, '-', ".md");
    for (file, name) in decisions.iter().zip(&names) {
        let number = name.split('-').next().unwrap_or_default();
        if !file.text.starts_with(&format!("# {number}. ")) {
            problems.push(format!("{}: the title must begin with `# {number}. `", file.path));
        }
        let parts: Vec<&str> = file.text.lines().filter(|line| line.starts_with("## ")).collect();
        if parts != DECISION_PARTS {
            problems.push(format!("{}: the parts must be {DECISION_PARTS:?}, not {parts:?}", file.path));
        }
    }
    nothing_wrong("A decision has a number, a context, a decision and consequences.", problems);
}

#[test]
fn documents_link_to_what_exists() {
    let root = workspace::root();
    let mut problems = Vec::new();
    for file in files::all().into_iter().filter(|file| file.is(".md")) {
        let folder = root.join(&file.path).parent().map(std::path::Path::to_owned).unwrap_or_default();
        for (at, _) in file.text.match_indices("](") {
            let target = file.text[at + 2..].split([')', '#', ' ']).next().unwrap_or_default();
            let elsewhere = target.contains("://") || target.starts_with("mailto:");
            if !target.is_empty() && !elsewhere && !folder.join(target).exists() {
                problems.push(format!("{}: {target}", file.path));
            }
        }
    }
    nothing_wrong("A link leads somewhere.", problems);
}

#[test]
fn the_tests_that_hold_the_invariants_are_where_the_document_says() {
    let root = workspace::root();
    let file = "docs/invariants.md";
    let text = std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let named = text.split('`').skip(1).step_by(2).filter(|word| word.contains('/'));
    let lost = named.filter(|path| !root.join(path).exists()).map(|path| format!("{file}: {path}"));
    nothing_wrong("An invariant without its test is a wish.", lost.collect());
}

/// The mistakes in the numbers of `0001<separator>name<ending>`, `0002...`.
fn numbering(names: &[String], separator: char, ending: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut numbers = Vec::new();
    for name in names {
        match name.split_once(separator).map(|(number, _)| (number, number.parse::<usize>())) {
            Some((digits, Ok(number))) if digits.len() == 4 && name.ends_with(ending) => numbers.push(number),
            _ => problems.push(format!("{name} is not called 0001{separator}name{ending}")),
        }
    }
    numbers.sort_unstable();
    for (expected, number) in (1..).zip(&numbers) {
        if expected != *number {
            problems.push(format!("{expected:04} is missing, or {number:04} is there twice"));
            break;
        }
    }
    problems
}

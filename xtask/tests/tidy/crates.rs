//! Which package may know which: dependencies point one way, and only adapters know the servers' drivers.

use std::collections::BTreeSet;

use xtask::workspace::{self, Dependency, Package};

use crate::{files, nothing_wrong};

/// The packages of the workspace that each package may know, in the order in which they build on each other. A new package that is
/// no domain needs a line here, and with it a decision. `*` is everything: only for those that see several programs.
const EDGES: &[(&str, &[&str])] = &[
    ("contract", &[]),
    ("machine", &["contract"]),
    ("catalog", &["contract", "machine"]),
    ("messaging", &["contract"]),
    ("journal", &["contract", "machine", "kit"]),
    ("kit", &["contract"]),
    ("worker-runtime", &["contract", "kit", "messaging"]),
    (EVERY_DOMAIN, &["contract", "kit", "worker-runtime"]),
    // The program of the workers is nothing but a choice among the domains.
    ("workers", &["contract", "kit", "messaging", "worker-runtime", EVERY_DOMAIN]),
    ("orchestrator", &["contract", "machine", "catalog", "messaging", "journal", "kit"]),
    ("gateway", &["contract", "kit"]),
    ("dashboard", &["contract", "kit"]),
    ("sagactl", &["contract", "kit"]),
    ("private-servers", &[]),
    ("sojourn", &["*"]),
    ("bench", &["*"]),
    ("e2e", &["*"]),
    ("xtask", &["private-servers"]),
];

/// Stands for every domain's package: it knows the contract and how to be a worker, and never another domain.
const EVERY_DOMAIN: &str = "worker-*";
/// How the domains' packages are called.
const DOMAIN_PREFIX: &str = "worker-";
/// Called so, and no domain.
const NO_DOMAIN: &str = "worker-runtime";

/// Packages that tests may know besides: the private servers that they run on, and the broker through which they hear
/// and tell events.
const FOR_TESTS: &[&str] = &["private-servers", "messaging"];

/// Drivers, and the packages that may name them.
const DRIVERS: &[(&str, &[&str])] =
    &[("lapin", &["messaging"]), ("sqlx", &["journal", "kit", "worker-runtime", EVERY_DOMAIN, "bench", "e2e"])];

/// Packages that decide and do nothing else.
const PURE: &[&str] = &["contract", "machine", "catalog"];
/// Dependencies that those must not name: they wait, ask a clock, roll a die or reach outside.
const IMPURE: &[&str] =
    &["tokio", "futures", "async-trait", "async-std", "rand", "sqlx", "lapin", "reqwest", "axum", "rustix", "tempfile"];
/// Nor in their sources. Fingerprints and tests take times as parameters.
const AMBIENT: &[&str] =
    &["Utc::now", "Local::now", "SystemTime", "Instant::now", "new_v4", "now_v7", "std::fs", "std::net", "std::env"];

/// Dependencies that no source names and that are needed all the same.
const UNNAMED: &[(&str, &str, &str)] = &[];

fn packages() -> Vec<Package> {
    workspace::metadata().unwrap_or_else(|error| panic!("{error:#}")).packages
}

/// Whether a line's word means this package.
fn means(word: &str, package: &str) -> bool {
    let domain = package.starts_with(DOMAIN_PREFIX) && package != NO_DOMAIN;
    word == package || word == "*" || (word == EVERY_DOMAIN && domain)
}

fn is_for_tests(dependency: &Dependency) -> bool {
    dependency.kind.as_deref() == Some("dev")
}

#[test]
fn packages_know_only_what_they_may_know() {
    let packages = packages();
    let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut problems = Vec::new();
    for package in &packages {
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| means(name, &package.name)) else {
            problems.push(format!("{} has no line in EDGES: decide what it may know", package.name));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|found| ours.contains(found.name.as_str())) {
            let name = dependency.name.as_str();
            let test = is_for_tests(dependency) && (FOR_TESTS.contains(&name) || name == package.name);
            if !test && !allowed.iter().any(|allowed| means(allowed, name)) {
                problems.push(format!("{} must not know {name}", package.name));
            }
        }
    }
    for (name, allowed) in EDGES {
        for named in [name].into_iter().chain(*allowed) {
            if !ours.iter().any(|package| means(named, package)) {
                problems.push(format!("EDGES names {named}, which is no package"));
            }
        }
    }
    nothing_wrong("Dependencies point one way.", problems);
}

#[test]
fn only_adapters_name_the_drivers() {
    let mut problems = Vec::new();
    for package in packages() {
        for (driver, allowed) in DRIVERS {
            let names = package.dependencies.iter().any(|dependency| dependency.name == *driver);
            if names && !allowed.iter().any(|allowed| means(allowed, &package.name)) {
                problems.push(format!("{} must not name {driver}", package.name));
            }
        }
    }
    nothing_wrong("Servers are reached through ports.", problems);
}

#[test]
fn pure_packages_name_no_runtime_and_no_clock() {
    let mut problems = Vec::new();
    let packages = packages();
    let files = files::all();
    for package in packages.iter().filter(|package| PURE.contains(&package.name.as_str())) {
        let impure = package.dependencies.iter().filter(|found| IMPURE.contains(&found.name.as_str()));
        problems.extend(impure.map(|found| format!("{} must not name {}", package.name, found.name)));
        let folder = folder_of(package);
        for file in files.iter().filter(|file| file.is_rust() && file.path.starts_with(&format!("{folder}/src/"))) {
            let ambient = AMBIENT.iter().filter(|word| file.text.contains(**word));
            problems.extend(ambient.map(|word| format!("{} must not say {word}", file.path)));
        }
    }
    nothing_wrong("What decides takes time, ids and randomness as parameters.", problems);
}

#[test]
fn every_dependency_is_used() {
    let packages = packages();
    let files = files::all();
    let folders: Vec<String> = packages.iter().map(folder_of).collect();
    let mut problems = Vec::new();
    for (package, folder) in packages.iter().zip(&folders) {
        let inside = |path: &str, folder: &str| path.starts_with(&format!("{folder}/"));
        // Packages lie in each other: a file belongs to the innermost.
        let nested: Vec<&String> = folders.iter().filter(|other| inside(other, folder)).collect();
        let own = |path: &str| inside(path, folder) && !nested.iter().any(|other| inside(path, other));
        let text: String =
            files.iter().filter(|file| file.is_rust() && own(&file.path)).map(|file| &*file.text).collect();
        for dependency in &package.dependencies {
            let unnamed = UNNAMED.iter().any(|(who, what, _)| *who == package.name && *what == dependency.name);
            let used = mentions(&text, &dependency.name.replace('-', "_"));
            if used == unnamed {
                let what = if used { "is used after all: take it from UNNAMED" } else { "is never used" };
                problems.push(format!("{}: {} {what}", package.name, dependency.name));
            }
        }
    }
    nothing_wrong("Nothing is named that is not needed.", problems);
}

/// Whether a word stands somewhere by itself.
fn mentions(text: &str, word: &str) -> bool {
    let joins = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(joins) && !after.is_some_and(joins)
    })
}

fn folder_of(package: &Package) -> String {
    let root = workspace::root();
    let root = root.canonicalize().unwrap_or(root);
    let folder = package.folder().canonicalize().unwrap_or_else(|_| package.folder().to_owned());
    folder.strip_prefix(&root).unwrap_or(&folder).to_string_lossy().into_owned()
}

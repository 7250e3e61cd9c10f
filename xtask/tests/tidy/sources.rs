//! The rules that every source file keeps: its opening, its size, its words, its place.

use crate::{
    files::{self, TextFile},
    nothing_wrong,
};

/// Longer files need a reason.
const FILE_LINES_MAX: usize = 600;
/// The files that have one.
const LONG_FILES: &[(&str, &str)] = &[];

/// Where a type may be serialized: its form is then a promise that others rely on. `*` is any folder.
const SERIALIZED: &[(&str, &str)] = &[
    ("sagas/contract/src/", "the wire"),
    ("sagas/machine/src/entry.rs", "journal entries"),
    ("sagas/machine/src/fingerprint.rs", "the shape that a definition's fingerprint is taken of"),
    ("sagas/machine/src/record.rs", "records of journal entries"),
    ("sagas/machine/src/input.rs", "operator inputs, which journal entries hold"),
    ("kit/src/", "problem details, readiness, health"),
    ("cli/src/", "what sagactl sends, prints as JSON and keeps of a login"),
    ("gateway/src/", "HTTP bodies"),
    ("orchestrator/src/http/", "HTTP bodies"),
    ("orchestrator/src/messages/wire.rs", "messages between orchestrators"),
    ("workers/*/src/reads", "HTTP bodies"),
    ("workers/*/src/commands", "the intents that are kept while a provider is asked"),
    ("workers/payment/src/provider.rs", "what is sent to the provider"),
    ("workers/runtime/src/received.rs", "the head of a reply's envelope, whose outcome is bytes already"),
    ("bench/src/", "the benchmark's own commands and its report"),
];

/// The packages whose every public item is documented: what others build on.
const DOCUMENTED: &[&str] =
    &["sagas/contract", "sagas/machine", "orchestrator/journal", "messaging", "workers/runtime"];
/// The line that demands it.
const MISSING_DOCS: &str = "#![warn(missing_docs)]";

/// Where the clock may be read and ids may be made.
const AMBIENT_CALLS: &[&str] = &["kit/src/clock.rs", "kit/src/ids.rs", "cli/src/main.rs"];

/// Words that say that something is not finished or not wanted. Put together here, so that this file does not
/// break its own rule.
fn unfinished() -> Vec<String> {
    let halves = [
        ("TO", "DO"),
        ("FIX", "ME"),
        ("XX", "X:"),
        ("dbg", "!("),
        ("todo", "!("),
        ("unimplemented", "!("),
        ("#[ign", "ore"),
        ("#[all", "ow("),
        ("#![all", "ow("),
    ];
    halves.iter().map(|(first, second)| format!("{first}{second}")).collect()
}

/// Paths of one person's machine.
fn machine_paths() -> Vec<String> {
    ["home", "Users", "work", "root"].iter().map(|folder| format!("/{folder}/")).collect()
}

fn rust_files() -> Vec<TextFile> {
    files::all().into_iter().filter(TextFile::is_rust).collect()
}

#[test]
fn every_module_says_why_it_exists() {
    let silent = rust_files().into_iter().filter(|file| {
        let mut lines = file.text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("#!["));
        !lines.next().is_some_and(|line| line.starts_with("//! ") && line.len() > "//! ".len())
    });
    nothing_wrong("A module begins with `//!` and why it exists.", silent.map(|file| file.path).collect());
}

#[test]
fn every_public_item_is_documented_where_others_build_on_it() {
    let mut problems = Vec::new();
    for file in rust_files() {
        let package = file.path.strip_suffix("/src/lib.rs").unwrap_or_default();
        let wanted = DOCUMENTED.contains(&package);
        if wanted != file.text.lines().any(|line| line == MISSING_DOCS) {
            let (path, what) = (file.path, if wanted { "lacks" } else { "must not have" });
            problems.push(format!("{path} {what} `{MISSING_DOCS}`"));
        }
    }
    nothing_wrong(
        "Where documentation is demanded, it is read; elsewhere it is written where it says something.",
        problems,
    );
}

#[test]
fn nothing_is_left_unfinished() {
    let words = unfinished();
    let judged = |file: &TextFile| {
        [".rs", ".toml", ".sql", ".sh", ".yml", ".yaml", ".md", "Dockerfile"].iter().any(|ending| file.is(ending))
    };
    let problems = lines_with(files::all().into_iter().filter(judged), |line| {
        words.iter().any(|word| line.contains(word.as_str()))
    });
    nothing_wrong("What is not finished is not here; a lint is expected with a reason, not allowed.", problems);
}

#[test]
fn no_file_names_a_place_on_somebodys_machine() {
    let paths = machine_paths();
    let names = |line: &str| {
        paths.iter().any(|path| {
            line.match_indices(path.as_str()).any(|(at, _)| {
                // `https://host/home/` and `<place>/home/` are no such places.
                !line[..at]
                    .chars()
                    .next_back()
                    .is_some_and(|before| before.is_alphanumeric() || "._->}".contains(before))
            })
        })
    };
    let judged = files::all().into_iter().filter(|file| file.path != "Cargo.lock");
    nothing_wrong("The project runs wherever it is checked out.", lines_with(judged, names));
}

#[test]
fn types_are_serialized_only_where_their_form_is_a_promise() {
    let mut problems = Vec::new();
    for file in rust_files() {
        let tests = file.path.contains("/tests/");
        if !tests && !SERIALIZED.iter().any(|(place, _)| is_in(&file.path, place)) && derives_serialize(&file.text) {
            problems.push(file.path);
        }
    }
    nothing_wrong("`Serialize` is derived in the contract, journal entries and HTTP bodies.", problems);
}

#[test]
fn the_clock_is_read_in_one_place() {
    // Put together here for the same reason as above.
    let lint = format!("clippy::disallowed{}", "_methods");
    let problems = rust_files()
        .into_iter()
        .filter(|file| file.text.contains(&lint) && !AMBIENT_CALLS.contains(&file.path.as_str()))
        .map(|file| file.path);
    nothing_wrong("Time, ids and randomness are parameters.", problems.collect());
}

#[test]
fn long_files_have_a_reason() {
    let mut problems = Vec::new();
    let files = rust_files();
    for file in &files {
        let lines = file.text.lines().count();
        let reason = LONG_FILES.iter().any(|(path, _)| *path == file.path);
        if lines > FILE_LINES_MAX && !reason {
            problems.push(format!("{} has {lines} lines: split it, or give a reason in LONG_FILES", file.path));
        }
        if lines <= FILE_LINES_MAX && reason {
            problems.push(format!("{} is short again: take it from LONG_FILES", file.path));
        }
    }
    let gone = LONG_FILES.iter().filter(|(path, _)| !files.iter().any(|file| file.path == *path));
    problems.extend(gone.map(|(path, _)| format!("{path} is gone: take it from LONG_FILES")));
    nothing_wrong("One concept a file.", problems);
}

#[test]
fn every_source_file_is_part_of_a_program() {
    let files = rust_files();
    let mut problems = Vec::new();
    for file in &files {
        let Some((folder, name)) = file.path.rsplit_once('/') else { continue };
        let name = name.trim_end_matches(".rs");
        // These are found by cargo: roots of packages, programs, tests, benchmarks, examples.
        let is_root = matches!(name, "lib" | "main" | "build")
            || ["/tests", "/benches", "/examples", "/src/bin"].iter().any(|place| folder.ends_with(place));
        if is_root {
            continue;
        }
        // `a/mod.rs` is the module `a` of the folder above; every other file is a module of its own folder.
        let (parent, module) = match (name, folder.rsplit_once('/')) {
            ("mod", Some((above, module))) => (above, module),
            _ => (folder, name),
        };
        let candidates = [
            format!("{parent}/lib.rs"),
            format!("{parent}/main.rs"),
            format!("{parent}/mod.rs"),
            format!("{parent}.rs"),
        ];
        // In `tests/` every file is a root of its own.
        let in_tests =
            |path: &str| parent.ends_with("/tests") && path.rsplit_once('/').is_some_and(|(at, _)| at == parent);
        let could_name = |other: &TextFile| candidates.contains(&other.path) || in_tests(&other.path);
        let declared = files.iter().any(|other| could_name(other) && declares(&other.text, module));
        // Every file is read for it, so only when it has to be.
        let by_path = || {
            files.iter().any(|other| other.text.contains(&format!("#[path = \"{}\"]", tail(&file.path, &other.path))))
        };
        if !declared && !by_path() {
            problems.push(file.path.clone());
        }
    }
    nothing_wrong("A file that no `mod` names is never compiled.", problems);
}

/// The path of one file as seen from the folder of another, or as it is.
fn tail<'a>(path: &'a str, seen_from: &str) -> &'a str {
    let folder = seen_from.rsplit_once('/').map_or("", |(folder, _)| folder);
    path.strip_prefix(folder).map_or(path, |rest| rest.trim_start_matches('/'))
}

/// Whether a line declares the module, with whatever visibility.
fn declares(text: &str, module: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim().trim_end_matches(" {");
        line.strip_suffix(';').unwrap_or(line).ends_with(&format!("mod {module}")) && line.ends_with(';')
    })
}

/// Whether a path begins with a place, in which `*` stands for one folder.
fn is_in(path: &str, place: &str) -> bool {
    match place.split_once('*') {
        None => path.starts_with(place),
        Some((before, after)) => path.strip_prefix(before).is_some_and(|rest| {
            rest.split_once('/').is_some_and(|(_, rest)| rest.starts_with(after.trim_start_matches('/')))
        }),
    }
}

/// Examples in the documentation may.
fn derives_serialize(text: &str) -> bool {
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect();
    code.match_indices("derive(").any(|(at, _)| {
        let list = code[at..].split_once(')').map_or("", |(list, _)| list);
        list.split(|letter: char| !letter.is_alphanumeric()).any(|word| word == "Serialize")
    })
}

fn lines_with(files: impl Iterator<Item = TextFile>, breaks: impl Fn(&str) -> bool) -> Vec<String> {
    files
        .flat_map(|file| {
            let numbered = file.text.lines().enumerate().filter(|(_, line)| breaks(line));
            numbered.map(|(number, line)| format!("{}:{}: {}", file.path, number + 1, line.trim())).collect::<Vec<_>>()
        })
        .collect()
}

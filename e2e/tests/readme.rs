//! The README's table of settings is what the programs themselves say in `--help`. With `UPDATE_README=1` the test
//! writes the table anew.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{collections::BTreeMap, path::Path, process::Command};

const PROGRAMS: [&str; 5] = ["sojourn", "orchestrator", "worker", "gateway", "dashboard"];
const BEGIN: &str =
    "<!-- settings: kept by a test; `UPDATE_README=1 cargo xtask test -p e2e readme` writes it anew -->\n";
const END: &str = "<!-- /settings -->";

/// One flag of one program.
#[derive(Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Setting {
    environment: String,
    default: String,
    meaning: String,
}

#[test]
fn the_readme_lists_every_setting_of_every_program() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = std::fs::read_to_string(&readme).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the README has the marker of the settings");
    let (found, after) = rest.split_once(END).expect("the README has the end marker of the settings");
    let table = table();
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(&readme, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(found, table, "run `UPDATE_README=1 cargo xtask test -p e2e readme`");
    }
}

/// Flags in the order in which the programs name them first; one line for each meaning.
fn table() -> String {
    let mut order = Vec::new();
    let mut lines: BTreeMap<(String, Setting), Vec<&str>> = BTreeMap::new();
    for program in PROGRAMS {
        for (flag, setting) in settings(program) {
            let key = (flag, setting);
            if !order.contains(&key) {
                order.push(key.clone());
            }
            lines.entry(key).or_default().push(program);
        }
    }
    let mut table =
        String::from("\n| flag and file key | environment | default | of | meaning |\n|---|---|---|---|---|\n");
    for key in order {
        let programs = &lines[&key];
        let of = if programs.len() == PROGRAMS.len() { "all".to_owned() } else { programs.join(", ") };
        let (flag, setting) = key;
        let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
        let (environment, default) = (code(&setting.environment), code(&setting.default));
        table += &format!("| `{flag}` | {environment} | {default} | {of} | {} |\n", setting.meaning);
    }
    table + "\n"
}

/// The flags in a program's `--help`, as clap lays it out.
fn settings(program: &str) -> Vec<(String, Setting)> {
    let binary = private_servers::testing::binary(program);
    let help = Command::new(binary).arg("--help").env_clear().output().unwrap();
    assert!(help.status.success(), "{program} --help: {help:?}");
    let help = String::from_utf8(help.stdout).unwrap();
    let mut settings: Vec<(String, Setting)> = Vec::new();
    for line in help.lines().skip_while(|line| *line != "Options:") {
        let line = line.trim();
        if line.starts_with("--") || line.starts_with("-h") || line.starts_with("-V") {
            let flag = line.split(['<', ' ']).find(|part| part.starts_with("--")).unwrap_or(line);
            settings.push((flag.to_owned(), Setting::default()));
            continue;
        }
        let Some((_, setting)) = settings.last_mut() else { continue };
        if let Some(name) = bracketed(line, "[env: ") {
            name.trim_end_matches('=').clone_into(&mut setting.environment);
        } else if let Some(default) = bracketed(line, "[default: ") {
            default.clone_into(&mut setting.default);
        } else if setting.meaning.is_empty() {
            line.clone_into(&mut setting.meaning);
        }
    }
    settings.retain(|(flag, _)| !["--help", "--version"].contains(&flag.as_str()));
    settings
}

fn bracketed<'a>(line: &'a str, begin: &str) -> Option<&'a str> {
    line.strip_prefix(begin)?.strip_suffix(']')
}

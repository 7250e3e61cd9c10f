//! Migrations that were released may not be edited: databases out there have run them. Their checksums
//! are recorded in `migrations/CHECKSUMS`, and a test compares.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

/// The file with the checksums, below `migrations/`.
const CHECKSUMS: &str = "CHECKSUMS";

/// Records the checksums of migrations that are not recorded yet.
pub fn lock(root: &Path) -> anyhow::Result<()> {
    let problems = edited(root)?;
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    let folder = root.join("migrations");
    let mut text = String::new();
    for (name, checksum) in present(&folder)? {
        writeln!(text, "{checksum}  {name}")?;
    }
    let file = folder.join(CHECKSUMS);
    fs::write(&file, text).with_context(|| format!("could not write {}", file.display()))
}

/// The recorded migrations that are not what they were, as messages.
pub fn edited(root: &Path) -> anyhow::Result<Vec<String>> {
    let folder = root.join("migrations");
    let present = present(&folder)?;
    let problem = |(name, checksum): (String, String)| match present.get(&name) {
        Some(now) if *now == checksum => None,
        Some(_) => {
            Some(format!("migrations/{name} was released and has been edited since: undo that, and write a new one"))
        }
        None => Some(format!("migrations/{name} was released and is gone: bring it back")),
    };
    Ok(recorded(&folder.join(CHECKSUMS))?.into_iter().filter_map(problem).collect())
}

fn recorded(file: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let entry = |line: &str| line.split_once("  ").map(|(checksum, name)| (name.to_owned(), checksum.to_owned()));
    text.lines().map(|line| entry(line).with_context(|| format!("{}: what is {line:?}?", file.display()))).collect()
}

fn present(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).with_context(|| format!("could not read {}", next.display()))? {
            let path: PathBuf = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "sql") {
                let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
                let bytes = fs::read(&path).with_context(|| format!("could not read {}", path.display()))?;
                let checksum =
                    Sha256::digest(&bytes).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
                found.insert(name, checksum);
            }
        }
    }
    Ok(found)
}

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

/// Records the checksums of migrations that are not recorded yet.
pub(crate) fn lock(root: &Path) -> anyhow::Result<()> {
    let file = root.join("migrations/CHECKSUMS");
    let mut recorded = recorded(&file)?;
    let present = present(&root.join("migrations"))?;
    for (name, checksum) in &recorded {
        match present.get(name) {
            Some(now) if now == checksum => {}
            Some(_) => bail!(
                "{name} was released and has been edited since: undo that, and write a new migration"
            ),
            None => bail!("{name} was released and is gone: bring it back"),
        }
    }
    recorded.extend(present);
    let mut text = String::new();
    for (name, checksum) in recorded {
        writeln!(text, "{checksum}  {name}")?;
    }
    fs::write(&file, text).with_context(|| format!("could not write {}", file.display()))
}

fn recorded(file: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let entry = |line: &str| {
        line.split_once("  ")
            .map(|(checksum, name)| (name.to_owned(), checksum.to_owned()))
    };
    text.lines()
        .map(|line| entry(line).with_context(|| format!("{}: what is {line:?}?", file.display())))
        .collect()
}

fn present(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in
            fs::read_dir(&next).with_context(|| format!("could not read {}", next.display()))?
        {
            let path: PathBuf = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "sql") {
                let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
                let bytes = fs::read(&path)
                    .with_context(|| format!("could not read {}", path.display()))?;
                let checksum = Sha256::digest(&bytes)
                    .iter()
                    .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
                found.insert(name, checksum);
            }
        }
    }
    Ok(found)
}

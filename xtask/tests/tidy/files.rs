//! The checkout's own text files, without what is built or fetched.

use std::{fs, path::Path};

use xtask::workspace;

/// A text file.
pub(crate) struct TextFile {
    /// From the root, with `/`.
    pub(crate) path: String,
    /// All of its content.
    pub(crate) text: String,
}

impl TextFile {
    /// Whether its name ends so.
    pub(crate) fn is(&self, ending: &str) -> bool {
        self.path.ends_with(ending)
    }

    /// Whether it holds Rust.
    pub(crate) fn is_rust(&self) -> bool {
        self.is(".rs")
    }
}

/// Every text file below the root that belongs to the project.
pub(crate) fn all() -> Vec<TextFile> {
    let root = workspace::root();
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    found.sort_by(|left, right| left.path.cmp(&right.path));
    found
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<TextFile>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.unwrap_or_else(|error| panic!("{}: {error}", folder.display())).path();
        if is_foreign(root, &path) {
            continue;
        }
        if path.is_dir() {
            walk(root, &path, found);
            continue;
        }
        // What is not text is not ours to judge. Neither is a file that somebody removes right now.
        if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            found.push(TextFile { path, text });
        }
    }
}

/// Whether a path belongs to git (a folder, or a file in a linked worktree) and cargo, and the platform's data.
fn is_foreign(root: &Path, path: &Path) -> bool {
    let data = path == root.join("data");
    data || path.file_name().is_some_and(|name| name == ".git") || path.join("CACHEDIR.TAG").exists()
}

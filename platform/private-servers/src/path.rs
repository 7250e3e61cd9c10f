//! Programs on the PATH.

use std::{env, path::PathBuf};

/// Every place with a program of this name on the PATH.
pub(crate) fn on_path(program: &str) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join(program)).filter(|file| file.is_file()).collect()
}

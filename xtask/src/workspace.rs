//! Where things are in this checkout.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde::Deserialize;

use crate::child::{self, cargo};

/// The folder with the workspace's Cargo.toml.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Set by `cargo run`; the place of the build is right unless the checkout has moved since.
    let here = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| here.to_owned(), PathBuf::from);
    here.parent().map_or_else(|| here.clone(), Path::to_owned)
}

/// The folder into which the programs of the dev profile are built, wherever cargo was told to put it.
pub(crate) async fn programs() -> anyhow::Result<PathBuf> {
    Ok(target().await?.join("debug"))
}

async fn target() -> anyhow::Result<PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let metadata = child::output(cargo(["metadata", "--format-version", "1", "--no-deps"])).await?;
    let metadata: Metadata = serde_json::from_slice(&metadata)
        .context("could not read what `cargo metadata` printed")?;
    Ok(metadata.target_directory)
}

//! A file of an export: gzip, a JSON document a line. It has its name only when it is complete and on the disk.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};

use crate::retention::RetireError;

/// The ending of a file's name while it is not complete.
const PARTIAL: &str = "partial";

/// A file that is being written. Dropped, it stays under its partial name, and is overwritten by the next attempt.
#[derive(Debug)]
pub(crate) struct ExportFile {
    path: PathBuf,
    partial: PathBuf,
    content: GzEncoder<BufWriter<File>>,
}

impl ExportFile {
    /// Begins a file; the folder is made when it is missing.
    pub(crate) async fn create(folder: &Path, name: &str) -> Result<Self, RetireError> {
        let path = folder.join(name);
        aside(path, |path| {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let partial = path.with_added_extension(PARTIAL);
            let content = GzEncoder::new(BufWriter::new(File::create(&partial)?), Compression::default());
            Ok(Self { path, partial, content })
        })
        .await
    }

    /// Writes documents, a line each.
    pub(crate) async fn write(mut self, lines: Vec<String>) -> Result<Self, RetireError> {
        aside(self.path.clone(), move |_| {
            for line in lines {
                self.content.write_all(line.as_bytes())?;
                self.content.write_all(b"\n")?;
            }
            Ok(self)
        })
        .await
    }

    /// Completes the file: its content and then its name reach the disk.
    pub(crate) async fn finish(self) -> Result<(), RetireError> {
        let Self { path, partial, content } = self;
        aside(path, move |path| {
            let file = content.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            fs::rename(&partial, &path)?;
            path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        })
        .await
    }
}

/// Does what may wait for a disk beside the tasks that must not.
async fn aside<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce(PathBuf) -> io::Result<T> + Send + 'static,
) -> Result<T, RetireError> {
    let named = path.clone();
    let done = tokio::task::spawn_blocking(move || work(path)).await.map_err(io::Error::other);
    done.and_then(|done| done).map_err(|source| RetireError::File { path: named, source })
}

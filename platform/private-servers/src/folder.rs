//! Data folders: a lasting one where the caller says, or a temporary one that goes when the server goes.
//!
//! A lasting folder is locked while a server works in it. When root starts PostgreSQL and the wanted
//! folder lies below one that the unprivileged user cannot enter (a checkout under `/root`), the data
//! goes to a folder under `/var/lib/sojourn` instead, and a file in the wanted folder says where.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{Error, identity::Identity};

/// Where a server keeps its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In this folder, made when missing, kept at the end.
    At(PathBuf),
    /// In a new folder under the system's temporary folder, removed at the end.
    Temporary,
}

/// Where data goes that cannot lie in the wanted folder.
const ELSEWHERE: &str = "/var/lib/sojourn";
/// The file in the wanted folder that names the real one.
const POINTER_FILE: &str = "MOVED_TO";
/// How temporary folders are called.
const TEMPORARY_PREFIX: &str = "sojourn-private-";
/// Younger leftovers stay: their server may be about to take its lock.
const SWEEP_AGE: Duration = Duration::from_secs(3600);
/// How long a folder's last user gets to end: a guard needs three seconds to end its group at the worst.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// How often a taken lock is tried.
const LOCK_POLL: Duration = Duration::from_millis(50);
/// Others may pass through; what must not be read is in folders of its own.
const MODE_PASSABLE: u32 = 0o755;

/// A folder that belongs to one server until it is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    lock: File,
    /// Removes the folder when dropped.
    _temporary: Option<TempDir>,
}

impl Folder {
    /// Makes or finds the folder and locks it. `identity` must be able to pass through it.
    pub(crate) async fn open(place: &Place, identity: Option<Identity>) -> Result<Folder, Error> {
        let (path, temporary) = match place {
            Place::Temporary => {
                let parent = temporary_parent(std::env::temp_dir(), identity)?;
                sweep(&parent);
                let made = temporary_in(&parent)?;
                (made.path().to_owned(), Some(made))
            }
            Place::At(wanted) => (real_folder(wanted, identity)?, None),
        };
        let lock = lock(&path).await?;
        Ok(Folder { path, lock, _temporary: temporary })
    }

    /// Where it is. Always absolute.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A second handle to the lock, which holds it as long as the handle is open in any process.
    pub(crate) fn share_lock(&self) -> Result<File, Error> {
        self.lock.try_clone().map_err(Error::file("share the lock of", &self.path))
    }
}

/// Makes a folder and whatever is missing above it, passable for others whatever the umask says.
pub(crate) fn make_passable(path: &Path) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_passable(parent)?;
    }
    match DirBuilder::new().mode(MODE_PASSABLE).create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other.and_then(|()| fs::set_permissions(path, Permissions::from_mode(MODE_PASSABLE))),
    }
    .map_err(Error::file("make the folder", path))
}

/// The real folder for a wanted one.
fn real_folder(wanted: &Path, identity: Option<Identity>) -> Result<PathBuf, Error> {
    // Above a relative path there is at some point an empty one, which nobody can make.
    let wanted = std::path::absolute(wanted).map_err(Error::file("find", wanted))?;
    make_passable(&wanted)?;
    let wanted = fs::canonicalize(&wanted).map_err(Error::file("find", &wanted))?;
    let pointer = wanted.join(POINTER_FILE);
    if let Ok(moved) = fs::read_to_string(&pointer) {
        let moved = PathBuf::from(moved.trim());
        make_passable(&moved)?;
        return Ok(moved);
    }
    let Some(identity) = identity else {
        return Ok(wanted);
    };
    if identity.reaches(&wanted) {
        return Ok(wanted);
    }
    make_passable(Path::new(ELSEWHERE))?;
    let moved = temporary_in(Path::new(ELSEWHERE))?.keep();
    fs::write(&pointer, format!("{}\n", moved.display())).map_err(Error::file("write", &pointer))?;
    tracing::warn!(
        wanted = %wanted.display(),
        used = %moved.display(),
        "PostgreSQL does not run as root, and its user cannot enter the wanted folder: the data goes elsewhere"
    );
    Ok(moved)
}

/// Where temporary folders are made: the system's place for them, unless the server's user cannot enter it.
fn temporary_parent(wanted: PathBuf, identity: Option<Identity>) -> Result<PathBuf, Error> {
    if identity.is_none_or(|identity| identity.reaches(&wanted)) {
        return Ok(wanted);
    }
    make_passable(Path::new(ELSEWHERE))?;
    Ok(PathBuf::from(ELSEWHERE))
}

/// Removes what servers left behind whose parent was killed and could not clean up. A folder that cannot be
/// removed belongs to another user.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.filter_map(Result::ok) {
        let ours = entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX);
        let modified = entry.metadata().and_then(|found| found.modified()).ok();
        let old = modified.and_then(|time| time.elapsed().ok()).is_some_and(|age| age > SWEEP_AGE);
        let unused = || File::open(entry.path().join("lock")).is_ok_and(|lock| lock.try_lock().is_ok());
        if ours && old && unused() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn temporary_in(parent: &Path) -> Result<TempDir, Error> {
    tempfile::Builder::new()
        .prefix(TEMPORARY_PREFIX)
        .permissions(Permissions::from_mode(MODE_PASSABLE))
        .tempdir_in(parent)
        .map_err(Error::file("make a folder in", parent))
}

async fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(Error::file("open", &path))?;
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => {
                return Err(Error::File { doing: "lock", path, source });
            }
            Err(TryLockError::WouldBlock) if started.elapsed() > LOCK_WAIT => {
                return Err(Error::InUse { folder: folder.to_owned() });
            }
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_POLL).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_temporary_folder_is_passable_and_goes_when_dropped() {
        let folder = Folder::open(&Place::Temporary, None).await.unwrap();
        let path = folder.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE_PASSABLE);
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_named_from_here_is_made_here() {
        let here = tempfile::tempdir_in(".").unwrap();
        let name = Path::new(here.path().file_name().unwrap());
        let made = real_folder(&name.join("data/postgresql"), None).unwrap();
        assert_eq!(made, fs::canonicalize(here.path()).unwrap().join("data/postgresql"));
    }

    #[tokio::test]
    async fn a_second_user_of_a_folder_waits_for_the_first() {
        let parent = tempfile::tempdir().unwrap();
        let place = Place::At(parent.path().join("deep/data"));
        let first = Folder::open(&place, None).await.unwrap();
        let (second, ()) = tokio::join!(Folder::open(&place, None), async {
            tokio::task::yield_now().await;
            drop(first);
        });
        assert!(second.is_ok());
    }

    #[test]
    fn what_a_killed_run_left_behind_is_swept_and_what_is_in_use_or_young_stays() {
        let parent = tempfile::tempdir().unwrap();
        let folder = |name: &str, aged: bool| {
            let path = parent.path().join(name);
            fs::create_dir(&path).unwrap();
            let lock = File::create(path.join("lock")).unwrap();
            if aged {
                let made = fs::metadata(&path).unwrap().modified().unwrap();
                let times = fs::FileTimes::new().set_modified(made - SWEEP_AGE * 2);
                File::open(&path).unwrap().set_times(times).unwrap();
            }
            (path, lock)
        };
        let (left, _) = folder("sojourn-private-left", true);
        let (used, lock) = folder("sojourn-private-used", true);
        let (young, _) = folder("sojourn-private-young", false);
        let (foreign, _) = folder("somebody-else", true);
        lock.try_lock().unwrap();
        sweep(parent.path());
        assert!(!left.exists());
        assert!(used.exists() && young.exists() && foreign.exists());
    }

    #[test]
    fn temporary_data_lies_where_the_servers_user_can_enter() {
        let Some(identity) = Identity::unprivileged().unwrap() else {
            return;
        };
        let closed = tempfile::tempdir().unwrap();
        fs::set_permissions(closed.path(), Permissions::from_mode(0o700)).unwrap();
        let inside = |identity| temporary_parent(closed.path().to_owned(), identity).unwrap();
        assert_eq!(inside(None), closed.path());
        assert_eq!(inside(Some(identity)), Path::new(ELSEWHERE));
    }

    #[tokio::test]
    async fn a_folder_that_the_servers_user_cannot_enter_is_replaced_for_good() {
        let Some(identity) = Identity::unprivileged().unwrap() else {
            return;
        };
        let parent = tempfile::tempdir().unwrap();
        fs::set_permissions(parent.path(), Permissions::from_mode(0o700)).unwrap();
        let wanted = parent.path().join("data");
        let first = real_folder(&wanted, Some(identity)).unwrap();
        let second = real_folder(&wanted, Some(identity)).unwrap();
        assert_eq!(first, second);
        assert!(first.starts_with(ELSEWHERE) && identity.reaches(&first));
        fs::remove_dir_all(first).unwrap();
    }
}

//! The stored login: one session an address, in a file that only its owner can read. A refresh token works once
//! (its reuse revokes the whole login), so refreshing happens under a lock that all running `sagactl` share.

use std::{
    collections::BTreeMap,
    env, fs,
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use contract::user::Tokens;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

const FILE_NAME: &str = "sessions.json";
const LOCK_NAME: &str = "sessions.lock";

/// The tokens that a login left.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) access_token: String,
    /// Good for one more login without a password.
    pub(crate) refresh_token: String,
    /// The end of the login, where the server has told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ends_at: Option<DateTime<Utc>>,
}

impl From<Tokens> for Session {
    fn from(Tokens { access_token, refresh_token, login_ends_at, .. }: Tokens) -> Self {
        Self { access_token, refresh_token, ends_at: login_ends_at }
    }
}

/// The file's content.
#[derive(Default, Serialize, Deserialize)]
struct Content {
    /// By the gateway's address: a token is never sent anywhere else.
    sessions: BTreeMap<String, Session>,
}

/// The folder with the file.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    folder: PathBuf,
}

/// Held while the file is read and written.
pub(crate) struct Locked<'a> {
    store: &'a Store,
    _lock: File,
}

/// `$XDG_CONFIG_HOME/sojourn`, or `~/.config/sojourn`; none without a home.
pub(crate) fn folder() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?;
    Some(base.join("sojourn"))
}

impl Store {
    /// In the folder of this program; none without a home.
    pub(crate) fn from_environment() -> Option<Self> {
        Some(Self { folder: folder()? })
    }

    /// The session for an address, if there is one.
    pub(crate) fn load(&self, url: &str) -> Result<Option<Session>, Failure> {
        Ok(self.read()?.sessions.remove(url))
    }

    /// Waits until no other `sagactl` is at it.
    pub(crate) fn lock(&self) -> Result<Locked<'_>, Failure> {
        let fail = |error: io::Error| unusable("lock", &self.folder, &error);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(fail)?;
        let lock =
            OpenOptions::new().create(true).append(true).mode(0o600).open(self.folder.join(LOCK_NAME)).map_err(fail)?;
        lock.lock().map_err(fail)?;
        Ok(Locked { store: self, _lock: lock })
    }

    fn read(&self) -> Result<Content, Failure> {
        let path = self.folder.join(FILE_NAME);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                Failure::error(format!("{} is broken ({error}); delete it and log in again", path.display()))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Content::default()),
            Err(error) => Err(unusable("read", &path, &error)),
        }
    }
}

impl Locked<'_> {
    /// The session as it is now: another `sagactl` may have refreshed it meanwhile.
    pub(crate) fn load(&self, url: &str) -> Result<Option<Session>, Failure> {
        self.store.load(url)
    }

    /// Keeps a session.
    pub(crate) fn save(&self, url: &str, session: Session) -> Result<(), Failure> {
        let mut content = self.store.read()?;
        content.sessions.insert(url.to_owned(), session);
        self.write(&content)
    }

    /// Forgets a session; false when there was none.
    pub(crate) fn forget(&self, url: &str) -> Result<bool, Failure> {
        let mut content = self.store.read()?;
        let known = content.sessions.remove(url).is_some();
        if known {
            self.write(&content)?;
        }
        Ok(known)
    }

    /// Whole or not at all: written beside, then moved into place.
    fn write(&self, content: &Content) -> Result<(), Failure> {
        let path = self.store.folder.join(FILE_NAME);
        let beside = self.store.folder.join("sessions.json.new");
        let fail = |error: io::Error| unusable("write", &path, &error);
        let bytes = serde_json::to_vec_pretty(content).map_err(|error| fail(error.into()))?;
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(fail)?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(fail)?;
        fs::rename(&beside, &path).map_err(fail)
    }
}

fn unusable(doing: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::error(format!("cannot {doing} the stored login at {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_session_is_kept_for_its_address_and_its_owner_only() {
        let home = tempfile::tempdir().unwrap();
        let store = Store { folder: home.path().join("sojourn") };
        let session = Session { access_token: "a".into(), refresh_token: "r".into(), ends_at: None };
        assert!(store.load("http://one").unwrap().is_none());
        store.lock().unwrap().save("http://one", session.clone()).unwrap();
        assert!(store.load("http://one").unwrap() == Some(session));
        assert!(store.load("http://two").unwrap().is_none());
        let mode = fs::metadata(store.folder.join(FILE_NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(store.lock().unwrap().forget("http://one").unwrap());
        assert!(!store.lock().unwrap().forget("http://one").unwrap());
    }

    #[test]
    fn a_broken_file_is_named() {
        let home = tempfile::tempdir().unwrap();
        let store = Store { folder: home.path().to_owned() };
        fs::write(home.path().join(FILE_NAME), "{").unwrap();
        let failure = store.load("http://one").err().unwrap();
        assert!(failure.message.contains("sessions.json is broken"), "{failure}");
    }
}

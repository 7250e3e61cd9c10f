//! The unprivileged user as whom PostgreSQL runs when root starts it.

use std::{
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
};

use crate::Error;

/// Users that may run the server, the best first: the one that the package made, then the one that owns nothing.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// A user to run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Identity {
    /// Whether this process may, and for PostgreSQL must, run children as somebody else.
    pub(crate) fn is_root() -> bool {
        rustix::process::geteuid().is_root()
    }

    /// Who runs the server: nobody else unless this process is root.
    pub(crate) fn unprivileged() -> Result<Option<Identity>, Error> {
        if !Self::is_root() {
            return Ok(None);
        }
        let found =
            CANDIDATES.iter().find_map(|name| Some(Identity { uid: id_of("-u", name)?, gid: id_of("-g", name)? }));
        found.map(Some).ok_or(Error::NoUser)
    }

    /// The owner of a folder that holds data already, so that what one run made the next can read.
    /// `None` when this process owns it itself.
    pub(crate) fn owner_of(folder: &Path) -> Result<Option<Identity>, Error> {
        let owner = std::fs::metadata(folder).map_err(Error::file("look at", folder))?;
        if Self::is_root() {
            return match owner.uid() {
                0 => Ok(None),
                uid => Ok(Some(Identity { uid, gid: owner.gid() })),
            };
        }
        if owner.uid() != rustix::process::geteuid().as_raw() {
            return Err(Error::ForeignFolder { folder: folder.to_owned(), uid: owner.uid() });
        }
        Ok(None)
    }

    /// Makes a command run as this user, without root's other groups.
    pub(crate) fn apply(identity: Option<Identity>, command: &mut Command) {
        if let Some(Identity { uid, gid }) = identity {
            command.uid(uid).gid(gid);
        }
    }

    /// Whether this user can reach what lies in the folder. Asked by trying, so that access lists and
    /// mount options count too.
    pub(crate) fn reaches(self, folder: &Path) -> bool {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "cd \"$1\"", "sh"]).arg(folder).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self::apply(Some(self), &mut command);
        command.status().is_ok_and(|status| status.success())
    }
}

/// Asks `id`, which knows every source of users that the system has.
fn id_of(flag: &str, user: &str) -> Option<u32> {
    let output = Command::new("id").args([flag, user]).stderr(Stdio::null()).output().ok()?;
    if !output.status.success() {
        return None;
    }
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

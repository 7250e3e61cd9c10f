//! The user as whom PostgreSQL runs when root starts it.

use std::{
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
};

use crate::Error;

/// The system user that runs private servers, and nothing else.
const OWN_USER: &str = "sojourn-postgres";
/// Users that others run programs as too: the one of the system's PostgreSQL, and the one that owns nothing. Earlier
/// versions ran the server as one of them.
const SHARED_USERS: [&str; 2] = ["postgres", "nobody"];
/// Programs that make a system user without a home, a shell or a password, as systems have them.
const USER_MAKERS: [(&str, &[&str]); 2] = [
    (
        "useradd",
        &["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/bin/false"],
    ),
    ("adduser", &["-S", "-D", "-H", "-h", "/nonexistent", "-s", "/bin/false"]),
];

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

    /// The user that runs the server when this process is root, made when it is missing; none when this process runs
    /// it itself.
    pub(crate) fn unprivileged() -> Result<Option<Identity>, Error> {
        if !Self::is_root() {
            return Ok(None);
        }
        if let Some(found) = Self::of(OWN_USER) {
            return Ok(Some(found));
        }
        for (program, arguments) in USER_MAKERS {
            let mut command = Command::new(program);
            // It fails when another process makes the same user at this moment: then it is there all the same.
            let _ = command
                .args(arguments)
                .arg(OWN_USER)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            if let Some(made) = Self::of(OWN_USER) {
                return Ok(Some(made));
            }
        }
        Err(Error::NoUser { user: OWN_USER })
    }

    /// Whether other programs run as this user too.
    pub(crate) fn is_shared(self) -> bool {
        SHARED_USERS.iter().any(|user| Self::of(user).is_some_and(|shared| shared.uid == self.uid))
    }

    fn of(user: &str) -> Option<Identity> {
        Some(Identity { uid: id_of("-u", user)?, gid: id_of("-g", user)? })
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

//! The password of a private cluster's superuser: random, and in a file that only its owner reads.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretString};

use crate::Error;

/// The file's name, in the server's folder.
const FILE: &str = "password";
/// As many random bytes as a key of AES-192 has, far beyond guessing.
const RANDOM_BYTES: usize = 24;
/// For its owner only.
const MODE: u32 = 0o600;
/// Every right of others.
const OTHERS: u32 = 0o077;
/// The system's random bytes.
const RANDOM_SOURCE: &str = "/dev/urandom";

/// Where the password lies.
pub(crate) fn file_in(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// The password that was kept in a server's folder. None when there is none yet, or when others could read it: then it
/// is no secret any more.
pub(crate) fn kept(folder: &Path) -> Result<Option<SecretString>, Error> {
    let path = file_in(folder);
    let Ok(found) = fs::metadata(&path) else { return Ok(None) };
    if found.mode() & OTHERS != 0 {
        return Ok(None);
    }
    let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
    let text = text.trim();
    Ok((!text.is_empty()).then(|| SecretString::from(text)))
}

/// A new password: letters and digits, so that it stands in addresses and statements as it is.
pub(crate) fn random() -> Result<SecretString, Error> {
    let mut bytes = [0; RANDOM_BYTES];
    let read = File::open(RANDOM_SOURCE).and_then(|mut source| source.read_exact(&mut bytes));
    read.map_err(Error::file("read", RANDOM_SOURCE))?;
    Ok(SecretString::from(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

/// Keeps a password in a server's folder, whole or not at all.
pub(crate) fn keep(folder: &Path, password: &SecretString) -> Result<(), Error> {
    let path = file_in(folder);
    let unfinished = path.with_extension("unfinished");
    // One that was left behind could have been made with other rights.
    let _ = fs::remove_file(&unfinished);
    let file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&unfinished);
    let written = file.and_then(|mut file| writeln!(file, "{}", password.expose_secret()));
    written.map_err(Error::file("write", &unfinished))?;
    fs::rename(&unfinished, &path).map_err(Error::file("put in place", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_password_is_kept_for_its_owner_and_one_that_others_could_read_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(kept(folder.path()).unwrap().is_none());
        let password = random().unwrap();
        keep(folder.path(), &password).unwrap();
        let text = |password: Option<SecretString>| password.map(|password| password.expose_secret().to_owned());
        assert_eq!(text(kept(folder.path()).unwrap()), text(Some(password)));
        let file = file_in(folder.path());
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, MODE);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(kept(folder.path()).unwrap().is_none());
    }

    #[test]
    fn two_passwords_differ() {
        assert_ne!(random().unwrap().expose_secret(), random().unwrap().expose_secret());
    }
}

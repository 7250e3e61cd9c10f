//! `login`, `logout`, and the stored session at work.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::{door::Door, run::Sagactl};

#[tokio::test]
async fn a_login_is_kept_private_used_refreshed_and_forgotten() {
    let door = Door::open().await;
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| Sagactl::new(arguments).env("SAGACTL_URL", &door.url()).config(folder.path());
    let login = ["login", "--email", "operator@sojourn.example", "--password-stdin"];

    let wrong = run(&login).stdin("wrong\n").run().await;
    assert_eq!(wrong.code, 3);
    let right = run(&login).stdin("correct horse battery\n").run().await;
    assert_eq!((right.code, right.stdout.as_str()), (0, ""), "{}", right.stderr);
    let file = folder.path().join("sojourn/sessions.json");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(run(&["list"]).run().await.code, 0);

    // The access token runs out: the refresh token is used once, and its successor is kept.
    door.inner().token = "fresh-token".to_owned();
    assert_eq!(run(&["list"]).run().await.code, 0);
    assert_eq!(run(&["list"]).run().await.code, 0);
    let refreshed: Vec<_> = door.seen().into_iter().filter(|(what, _)| what.contains("refresh")).collect();
    assert_eq!(refreshed, [("POST /v1/auth/refresh".to_owned(), "refresh-1".to_owned())]);
    assert!(fs::read_to_string(&file).unwrap().contains("refresh-2"));

    // The login itself ends.
    door.inner().token = "another-token".to_owned();
    door.inner().refresh = "revoked".to_owned();
    let over = run(&["list"]).run().await;
    assert_eq!(over.code, 3);
    assert!(over.stderr.contains("the stored login has ended"), "{}", over.stderr);

    assert_eq!(run(&["logout"]).run().await.code, 0);
    assert!(!fs::read_to_string(&file).unwrap().contains("refresh-2"));
}

#[tokio::test]
async fn a_login_without_a_terminal_needs_the_password_on_stdin() {
    let door = Door::open().await;
    let ended = Sagactl::new(&["login", "--email", "a@b.example", "--url", &door.url()]).run().await;
    assert_eq!(ended.code, 2);
}

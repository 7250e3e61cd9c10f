//! `login`, `logout`, and the stored session at work.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::{Value, json};

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

    door.script("POST /v1/auth/logout", vec![(204, Value::Null)]);
    assert_eq!(run(&["logout"]).run().await.code, 0);
    assert_eq!(door.seen().last().unwrap().1, r#"{"refresh_token":"refresh-2"}"#);
    assert!(!fs::read_to_string(&file).unwrap().contains("refresh-2"));
}

#[tokio::test]
async fn a_login_without_a_terminal_says_how() {
    let door = Door::open().await;
    for arguments in [vec!["login", "--email", "a@b.example"], vec!["login"], vec!["login", "--password-stdin"]] {
        let ended = Sagactl::new(&[&arguments[..], &["--url", &door.url()]].concat()).run().await;
        assert_eq!(ended.code, 2, "{arguments:?}: {}", ended.stderr);
    }
    let both = Sagactl::new(&["login", "--device", "--email", "a@b.example"]).run().await;
    assert_eq!(both.code, 2, "{}", both.stderr);
    assert!(door.seen().is_empty(), "{:?}", door.seen());
}

/// The codes of a login that waits, asked for each second.
fn codes() -> Value {
    json!({
        "device_code": "dc_secret", "user_code": "WDJB-MJHT", "verification_uri": "http://door.example/ops/device",
        "verification_uri_complete": "http://door.example/ops/device?user_code=WDJB-MJHT", "expires_in": 600,
        "interval": 1, "later": "than this program",
    })
}

fn refused(error: &str) -> Value {
    json!({ "error": error, "error_description": "as the server says" })
}

#[tokio::test]
async fn a_login_by_a_code_asks_until_a_person_has_approved_and_is_kept() {
    let door = Door::open().await;
    let folder = tempfile::tempdir().unwrap();
    let tokens = json!({
        "access_token": crate::door::TOKEN, "refresh_token": "r", "token_type": "Bearer", "expires_in": 900,
        "login_ends_at": "2026-12-31T08:00:00Z",
    });
    let answers =
        vec![(400, refused("authorization_pending")), (503, json!({})), (400, refused("slow_down")), (200, tokens)];
    door.script("POST /v1/auth/device", vec![(200, codes())]);
    door.script("POST /v1/auth/device/token", answers);
    let run = |arguments: &[&str]| Sagactl::new(arguments).env("SAGACTL_URL", &door.url()).config(folder.path());
    let login = run(&["login", "--device"]).run().await;
    assert_eq!((login.code, login.stdout.as_str()), (0, ""), "{}", login.stderr);
    insta::assert_snapshot!("device_login", login.stderr.replace(&door.url(), "DOOR"));
    let client = format!("client_id=sagactl%2F{}", env!("CARGO_PKG_VERSION"));
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";
    let sent: Vec<String> = door.seen().into_iter().take(2).map(|(_, body)| body).collect();
    assert_eq!(sent, [client.clone(), format!("{grant}&device_code=dc_secret&{client}")]);
    let asked = door.seen().iter().filter(|(call, _)| call.ends_with("/token")).count();
    assert_eq!(asked, 4);

    let whoami = run(&["whoami"]).run().await;
    insta::assert_snapshot!("whoami_with_the_end_of_the_login", whoami.stdout);
    let json = run(&["whoami", "-o", "json"]).run().await;
    assert!(json.stdout.contains("\"login_ends_at\": \"2026-12-31T08:00:00Z\""), "{}", json.stdout);
}

#[tokio::test]
async fn a_login_by_a_code_that_is_refused_keeps_nothing() {
    let door = Door::open().await;
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| Sagactl::new(arguments).env("SAGACTL_URL", &door.url()).config(folder.path());
    door.script("POST /v1/auth/device", vec![(200, codes())]);
    for (error, code) in [("access_denied", 3), ("expired_token", 3), ("invalid_grant", 3), ("invalid_request", 1)] {
        door.script("POST /v1/auth/device/token", vec![(400, refused(error))]);
        let ended = run(&["login", "--device", "-o", "json"]).run().await;
        assert_eq!(ended.code, code, "{error}: {}", ended.stderr);
        assert!(ended.stderr.contains(&format!("as the server says ({error})")), "{}", ended.stderr);
        let told: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!((&told["user_code"], &told["device_code"]), (&json!("WDJB-MJHT"), &Value::Null));
    }
    let mut short = codes();
    short["expires_in"] = json!(1);
    door.script("POST /v1/auth/device", vec![(200, short)]);
    door.script("POST /v1/auth/device/token", vec![(400, refused("authorization_pending"))]);
    let late = run(&["login", "--device"]).run().await;
    assert!(late.code == 3 && late.stderr.contains("nobody approved in time"), "{late:?}");
    assert!(!folder.path().join("sojourn/sessions.json").exists());
}

#[tokio::test]
async fn a_login_is_forgotten_also_where_the_server_cannot_end_it() {
    let door = Door::open().await;
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| Sagactl::new(arguments).env("SAGACTL_URL", &door.url()).config(folder.path());
    let login = ["login", "--email", "operator@sojourn.example", "--password-stdin"];
    assert_eq!(run(&login).stdin("correct horse battery\n").run().await.code, 0);
    door.script("POST /v1/auth/logout", vec![(503, json!({}))]);
    let ended = run(&["logout"]).run().await;
    assert!(ended.code == 1 && ended.stderr.contains("has not ended there"), "{ended:?}");
    let again = run(&["logout"]).run().await;
    assert!(again.code == 0 && again.stderr.contains("there was no login"), "{again:?}");
}

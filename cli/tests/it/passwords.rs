//! `password`, the second step of `login`, and the help that admins give.

use std::fs;

use serde_json::json;

use crate::{door::Door, run::Sagactl};

const LOGIN: [&str; 4] = ["login", "--email", "operator@sojourn.example", "--password-stdin"];

#[tokio::test]
async fn a_changed_password_goes_on_with_the_new_login() {
    let door = Door::open().await;
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| Sagactl::new(arguments).env("SAGACTL_URL", &door.url()).config(folder.path());
    assert_eq!(run(&LOGIN).stdin("correct horse battery\n").run().await.code, 0);
    let fresh = json!({ "access_token": "new", "refresh_token": "newer", "token_type": "Bearer", "expires_in": 900 });
    door.script("POST /v1/auth/password", vec![(200, fresh)]);
    let changed = run(&["password", "--password-stdin"]).stdin("the old one\nthe new one\n").run().await;
    assert_eq!((changed.code, changed.stdout.as_str()), (0, ""), "{}", changed.stderr);
    let body = r#"{"password":"the old one","new_password":"the new one"}"#;
    assert_eq!(door.seen().last().unwrap().1, body);
    let kept = fs::read_to_string(folder.path().join("sojourn/sessions.json")).unwrap();
    assert!(kept.contains("newer") && !kept.contains("refresh-1"), "{kept}");

    let one_line = run(&["password", "--password-stdin"]).stdin("the old one\n").run().await;
    assert_eq!(one_line.code, 2, "{}", one_line.stderr);
    assert_eq!(run(&["password"]).run().await.code, 2, "no terminal to ask on");
    let wrong = json!({ "type": "x", "title": "x", "status": 403, "code": "password_wrong", "detail": "It is wrong." });
    door.script("POST /v1/auth/password", vec![(403, wrong)]);
    let wrong = run(&["password", "--password-stdin"]).stdin("not it\nthe new one\n").run().await;
    assert_eq!(wrong.code, 3);
    assert!(wrong.stderr.contains("It is wrong. (password_wrong)"), "{}", wrong.stderr);
}

#[tokio::test]
async fn a_password_is_set_by_the_code_of_an_admin_without_a_login() {
    let door = Door::open().await;
    door.script("POST /v1/auth/password/reset", vec![(204, json!(null))]);
    let reset = ["password", "--reset", "ann@example.com", "--password-stdin", "--url", &door.url()];
    let set = Sagactl::new(&reset).stdin("7H2K-M4QX-0TWD-9RZB\nthe new one\n").run().await;
    assert_eq!((set.code, set.stdout.as_str()), (0, ""), "{}", set.stderr);
    let body = r#"{"email":"ann@example.com","code":"7H2K-M4QX-0TWD-9RZB","new_password":"the new one"}"#;
    assert_eq!(door.seen().last().unwrap().1, body);
}

#[tokio::test]
async fn a_login_shows_the_code_of_the_second_line() {
    let door = Door::open().await;
    let required = json!({ "type": "x", "title": "x", "status": 401, "code": "second_factor_required", "detail": "A code, please." });
    let run = |arguments: &[&str]| Sagactl::new(arguments).env("SAGACTL_URL", &door.url());
    door.script("POST /v1/auth/login", vec![(401, required)]);
    let without = run(&LOGIN).stdin("correct horse battery\n").run().await;
    assert_eq!(without.code, 3, "{}", without.stderr);
    assert!(without.stderr.contains("second_factor_required"), "{}", without.stderr);
    let tokens = json!({ "access_token": "x", "refresh_token": "y", "token_type": "Bearer", "expires_in": 900 });
    door.script("POST /v1/auth/login", vec![(200, tokens)]);
    run(&LOGIN).stdin("correct horse battery\n492039\n").run().await;
    let sent: Vec<_> =
        door.seen().into_iter().filter(|(call, _)| call.contains("login")).map(|(_, body)| body).collect();
    assert!(!sent[0].contains("code") && sent[1].ends_with(r#""code":"492039"}"#), "{sent:?}");
}

#[tokio::test]
async fn an_admin_gets_a_code_to_hand_over() {
    let door = Door::open().await;
    let id = "usr_00000000000000000000000000000004";
    let made = json!({ "code": "7H2K-M4QX-0TWD-9RZB", "expires_at": "2026-12-02T08:00:00Z" });
    door.script(&format!("POST /people/{id}/reset"), vec![(200, made)]);
    let given = Sagactl::at(&door, &["people", "reset", id, "--reason", "known by voice"]).run().await;
    assert_eq!((given.code, given.stdout.trim()), (0, "7H2K-M4QX-0TWD-9RZB"), "{}", given.stderr);
    assert!(given.stderr.contains("until 2026-12-02T08:00:00Z"), "{}", given.stderr);
    let cleared = Sagactl::at(&door, &["people", "clear-second-factor", id, "--reason", "lost the phone"]).run().await;
    assert_eq!(cleared.code, 0, "{}", cleared.stderr);
    assert_eq!(door.seen().last().unwrap().0, format!("POST /people/{id}/clear-second-factor"));
}

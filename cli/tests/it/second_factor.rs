//! `second-factor`: what is sent, what is printed once, and how each ending is told.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    door::Door,
    run::{Ended, Sagactl},
};

const BOTH: &str = "correct horse battery\n492039\n";

/// The program with a stored login at a door.
struct LoggedIn {
    door: Door,
    folder: tempfile::TempDir,
}

impl LoggedIn {
    async fn new() -> Self {
        let logged_in = Self { door: Door::open().await, folder: tempfile::tempdir().unwrap() };
        let login = ["login", "--email", "operator@sojourn.example", "--password-stdin"];
        assert_eq!(logged_in.run(&login, "correct horse battery\n").await.code, 0);
        logged_in
    }

    async fn run(&self, arguments: &[&str], stdin: &str) -> Ended {
        let program = Sagactl::new(arguments).env("SAGACTL_URL", &self.door.url()).config(self.folder.path());
        program.stdin(stdin).run().await
    }

    /// Has the door answer a call under `/v1/auth/second-factor`.
    fn script(&self, what: &str, status: u16, answer: Value) {
        self.door.script(&format!("POST /v1/auth/second-factor{what}"), vec![(status, answer)]);
    }

    /// The bodies that were sent under `/v1/auth/second-factor`.
    fn sent(&self) -> Vec<Value> {
        let calls = self.door.seen().into_iter().filter(|(call, _)| call.contains("second-factor"));
        calls.map(|(_, body)| serde_json::from_str(&body).unwrap()).collect()
    }

    fn kept(&self) -> String {
        fs::read_to_string(Path::new(self.folder.path()).join("sojourn/sessions.json")).unwrap()
    }
}

fn offer() -> Value {
    json!({ "secret": "GEZDGNBVGY3TQOJQ", "uri": "otpauth://totp/Sojourn:ann?secret=GEZDGNBVGY3TQOJQ" })
}

fn tokens() -> Value {
    json!({ "access_token": "new", "refresh_token": "newer", "token_type": "Bearer", "expires_in": 900 })
}

fn codes() -> Value {
    json!({ "recovery_codes": ["7H2K-M4QX-0TWD-9RZB", "0TWD-9RZB-7H2K-M4QX"], "tokens": tokens() })
}

fn refusal(status: u16, code: &str) -> Value {
    json!({ "type": "x", "title": "x", "status": status, "code": code, "detail": "It says no." })
}

#[tokio::test]
async fn a_second_factor_is_set_up_by_its_secret_and_the_first_code() {
    let logged_in = LoggedIn::new().await;
    logged_in.script("", 200, offer());
    logged_in.script("/confirm", 200, codes());
    let on = logged_in.run(&["second-factor", "on", "--password-stdin"], BOTH).await;
    assert_eq!(on.code, 0, "{}", on.stderr);
    insta::assert_snapshot!("second_factor_on", on.stdout);
    assert!(!on.stderr.contains("GEZD") && !on.stderr.contains("7H2K"), "a secret on stderr: {}", on.stderr);
    assert_eq!(logged_in.sent(), [json!({ "password": "correct horse battery" }), json!({ "code": "492039" })]);
    assert!(logged_in.kept().contains("newer"), "it goes on with the new login");

    let on = logged_in.run(&["second-factor", "on", "--password-stdin", "-o", "jsonl"], BOTH).await;
    let documents: Vec<Value> = on.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(documents, [offer(), json!({ "recovery_codes": codes()["recovery_codes"] })]);
}

#[tokio::test]
async fn a_second_factor_is_not_on_without_a_right_code() {
    let logged_in = LoggedIn::new().await;
    logged_in.script("", 200, offer());
    logged_in.script("/confirm", 403, refusal(403, "second_factor_wrong"));
    let on = ["second-factor", "on", "--password-stdin"];
    for (stdin, words) in
        [("correct horse battery\n", "stdin has ended"), ("correct horse battery\n\n492039\n", "not on")]
    {
        let ended = logged_in.run(&on, stdin).await;
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    assert_eq!(logged_in.sent().len(), 2, "a code was sent");
    let wrong = logged_in.run(&on, BOTH).await;
    assert_eq!(wrong.code, 3);
    assert!(wrong.stderr.contains("It says no. (second_factor_wrong)"), "{}", wrong.stderr);
    assert!(logged_in.kept().contains("refresh-1"), "the login of before goes on");
    assert_eq!(logged_in.run(&["second-factor", "on"], "").await.code, 2, "no terminal to ask on");
}

#[tokio::test]
async fn recovery_codes_are_renewed_and_a_second_factor_is_switched_off_with_password_and_code() {
    let logged_in = LoggedIn::new().await;
    logged_in.script("/recovery-codes", 200, codes());
    let renewed = logged_in.run(&["second-factor", "renew-codes", "--password-stdin"], BOTH).await;
    assert_eq!((renewed.code, renewed.stdout.as_str()), (0, "7H2K-M4QX-0TWD-9RZB\n0TWD-9RZB-7H2K-M4QX\n"));
    logged_in.script("/remove", 200, tokens());
    let off = logged_in.run(&["second-factor", "off", "--password-stdin"], BOTH).await;
    assert_eq!((off.code, off.stdout.as_str()), (0, ""), "{}", off.stderr);
    let both = json!({ "password": "correct horse battery", "code": "492039" });
    assert_eq!(logged_in.sent(), [both.clone(), both]);

    for (status, code, exit) in [
        (403, "password_wrong", 3),
        (409, "second_factor_off", 6),
        (429, "second_factor_paused", 1),
        (502, "bad_gateway", 7),
    ] {
        for verb in [("off", "/remove"), ("renew-codes", "/recovery-codes")] {
            logged_in.script(verb.1, status, refusal(status, code));
            let refused = logged_in.run(&["second-factor", verb.0, "--password-stdin"], BOTH).await;
            assert_eq!((refused.code, refused.stdout.as_str()), (exit, ""), "{code}: {}", refused.stderr);
            assert!(refused.stderr.contains(code), "{}", refused.stderr);
        }
    }
}

#[tokio::test]
async fn a_person_sees_whether_there_is_a_second_factor() {
    let logged_in = LoggedIn::new().await;
    let none = logged_in.run(&["second-factor", "show"], "").await;
    assert_eq!((none.code, none.stdout.as_str()), (0, ""));
    assert!(none.stderr.contains("sagactl second-factor on"), "{}", none.stderr);
    let factor = json!({ "since": "2026-12-01T08:00:00Z", "recovery_codes_left": 9 });
    logged_in.door.script("GET /whoami", vec![(200, json!({ "user_id": "usr_1", "second_factor": factor }))]);
    let shown = logged_in.run(&["second-factor", "show"], "").await;
    assert_eq!(shown.stdout, "ON SINCE              RECOVERY CODES LEFT\n2026-12-01T08:00:00Z  9\n");
    let shown = logged_in.run(&["second-factor", "show", "-o", "json"], "").await;
    assert_eq!(serde_json::from_str::<Value>(&shown.stdout).unwrap(), factor);
}

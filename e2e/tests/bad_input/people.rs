//! Registrations and logins that are wrong.

use e2e::{Client, Findings, System};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{with, without};

const REGISTER: &str = "/v1/auth/register";
const LOGIN: &str = "/v1/auth/login";
const REFRESH: &str = "/v1/auth/refresh";
const RESET: &str = "/v1/auth/password/reset";

pub(crate) async fn registrations_and_logins(system: &System, findings: &mut Findings) {
    let stranger = Client::stranger(&system.gateway);
    let json = [("content-type", "application/json")];
    let raw = async |path: &str, headers: &[(&str, &str)], body: &str| {
        stranger.call_raw(Method::POST, path, headers, body.to_owned()).await.unwrap()
    };
    let post = async |path: &str, body: Value| stranger.call(Method::POST, path, Some(body)).await.unwrap();

    let members: [(&str, &[&str]); 4] = [
        (REGISTER, &["#/email", "#/password", "#/name"]),
        (LOGIN, &["#/email", "#/password"]),
        (REFRESH, &["#/refresh_token"]),
        (RESET, &["#/email", "#/code", "#/new_password"]),
    ];
    for (path, members) in members {
        let at = |what: &str| format!("{path}: {what}");
        findings.problem(&at("no media type"), &raw(path, &[], "{}").await, 415, "unsupported_media_type", &[]);
        findings.problem(&at("cut JSON"), &raw(path, &json, "{").await, 400, "json_malformed", &[]);
        findings.problem(&at("no JSON"), &raw(path, &json, "\u{fffd}\u{0}").await, 400, "json_malformed", &[]);
        findings.problem(&at("an empty object"), &post(path, json!({})).await, 422, "body_invalid", members);
        findings.problem(&at("a list"), &post(path, json!([7])).await, 422, "body_invalid", &["#/"]);
        let huge = json!({ "email": "x".repeat(20_000) });
        findings.problem(&at("a huge body"), &post(path, huge).await, 413, "body_too_large", &[]);
        let read = stranger.get(path).await.unwrap();
        findings.problem(&at("another method"), &read, 405, "method_not_allowed", &[]);
    }

    let email = format!("eve-{}@example.com", kit::ids::uuid_random().simple());
    let person = json!({ "email": email, "password": "a long enough passphrase", "name": "Eve" });
    let wrong: [(&str, Value, &str, &[&str]); 9] = [
        ("no password", without(&person, "", "password"), "body_invalid", &["#/password"]),
        ("a number for a name", with(&person, "/name", 7), "body_invalid", &["#/name"]),
        ("a card number for a name", with(&person, "/name", "4111111111111111"), "card_number_refused", &["#/name"]),
        ("a short password", with(&person, "/password", "short"), "registration_invalid", &["#/password"]),
        ("a common password", with(&person, "/password", "Password12345"), "registration_invalid", &["#/password"]),
        ("no address", with(&person, "/email", "eve"), "registration_invalid", &["#/email"]),
        ("an empty name", with(&person, "/name", "  "), "registration_invalid", &["#/name"]),
        ("U+0000 in the name", with(&person, "/name", "E\0ve"), "registration_invalid", &["#/name"]),
        (
            "everything wrong",
            json!({ "email": "@", "password": "", "name": "" }),
            "registration_invalid",
            &["#/email", "#/password", "#/name"],
        ),
    ];
    for (what, body, code, pointers) in wrong {
        findings.problem(&format!("registration: {what}"), &post(REGISTER, body).await, 422, code, pointers);
    }
    let registered = post(REGISTER, person.clone()).await;
    findings.that("a good registration", registered.status == 201, &registered);
    findings.problem("the same address again", &post(REGISTER, person.clone()).await, 409, "email_taken", &[]);
    let shouted = with(&person, "/email", email.to_uppercase());
    findings.problem("the same address in capitals", &post(REGISTER, shouted).await, 409, "email_taken", &[]);

    let login = json!({ "email": email, "password": "another passphrase" });
    findings.problem("a wrong password", &post(LOGIN, login.clone()).await, 401, "login_wrong", &[]);
    let nobody = with(&login, "/email", "nobody@example.com");
    findings.problem("nobody's address", &post(LOGIN, nobody).await, 401, "login_wrong", &[]);
    let nul = with(&login, "/email", "e\0ve@example.com");
    findings.problem("U+0000 in an address", &post(LOGIN, nul).await, 401, "login_wrong", &[]);
    for token in ["", "nonsense", "rt_\0", "rt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        let refresh = json!({ "refresh_token": token });
        findings.problem("a refresh token of nobody's", &post(REFRESH, refresh).await, 401, "refresh_token_wrong", &[]);
    }

    let reset = json!({ "email": email, "code": "0000-0000-0000-0000", "new_password": "another passphrase" });
    findings.problem("a code that nobody gave", &post(RESET, reset.clone()).await, 401, "reset_code_wrong", &[]);
    let odd = with(&reset, "/code", "\u{0}\u{fffd}");
    findings.problem("a code that is none", &post(RESET, odd).await, 401, "reset_code_wrong", &[]);
    let short = with(&reset, "/new_password", "short");
    findings.problem("a short new password", &post(RESET, short).await, 422, "password_invalid", &["#/new_password"]);

    let tokens = post(LOGIN, json!({ "email": email, "password": "a long enough passphrase" })).await;
    let bearer = format!("Bearer {}", tokens.body["access_token"].as_str().unwrap_or_default());
    let own = [("content-type", "application/json"), ("authorization", &*bearer)];
    let right = "a long enough passphrase";
    let wrong: [(&str, Value, u16, &str, &[&str]); 6] = [
        ("password", json!({ "password": "x", "new_password": "another passphrase" }), 403, "password_wrong", &[]),
        ("password", json!({ "password": 7 }), 422, "body_invalid", &["#/password", "#/new_password"]),
        ("second-factor", json!({ "password": "\0" }), 403, "password_wrong", &[]),
        ("second-factor/confirm", json!({ "code": "492039" }), 409, "second_factor_off", &[]),
        ("second-factor/recovery-codes", json!({ "password": right, "code": "" }), 409, "second_factor_off", &[]),
        ("second-factor/remove", json!({ "password": right, "code": "" }), 409, "second_factor_off", &[]),
    ];
    for (path, body, status, code, pointers) in wrong {
        let answer = raw(&format!("/v1/auth/{path}"), &own, &body.to_string()).await;
        findings.problem(&format!("{path}: {body}"), &answer, status, code, pointers);
    }
}

//! Passwords and second factors.

use axum::http::StatusCode;
use chrono::TimeDelta;
use secrecy::SecretString;
use serde_json::{Value, json};
use totp_rs::{Builder, Secret};
use worker_user::DEVELOPMENT_SECOND_FACTOR_KEY;

use crate::house::{Ann, EMAIL, House, PASSWORD, claims};

const NEW_PASSWORD: &str = "another long passphrase";

impl Ann {
    async fn log_in_with(&self, password: &str, code: Option<&str>) -> Result<Value, String> {
        let mut login = json!({ "email": EMAIL, "password": password });
        if let Some(code) = code {
            login["code"] = json!(code);
        }
        let (status, answer) = self.post("sessions", login).await;
        if status == StatusCode::OK { Ok(answer) } else { Err(answer["code"].as_str().unwrap().to_owned()) }
    }

    /// Sets a second factor up, and answers the secret and the recovery codes.
    async fn set_up(&self) -> (String, Vec<String>) {
        let offer = self.done(&self.own("second-factor"), json!({ "password": PASSWORD })).await;
        let secret = offer["secret"].as_str().unwrap().to_owned();
        let on = self.done(&self.own("second-factor/confirm"), json!({ "code": self.code(&secret) })).await;
        (secret, texts(&on["recovery_codes"]))
    }

    /// The code that an app shows now.
    fn code(&self, secret: &str) -> String {
        let codes = Builder::new().with_secret(Secret::try_from_base32(secret).unwrap()).build().unwrap();
        codes.generate(self.second()).to_string()
    }

    async fn person(&self) -> Value {
        self.get(&format!("people/{}", self.id)).await
    }
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_changed_password_ends_every_login_but_the_new_one() {
    let ann = Ann::at_home().await;
    let (here, elsewhere) =
        (ann.log_in_with(PASSWORD, None).await.unwrap(), ann.log_in_with(PASSWORD, None).await.unwrap());
    let path = ann.own("password");
    let change = |old: &str, new: &str| json!({ "password": old, "new_password": new });
    assert_eq!(ann.refused(&path, change("not this passphrase", NEW_PASSWORD)).await, "password_wrong");
    for weak in ["short", "Password12345", EMAIL, "a\u{0}long enough passphrase"] {
        assert_eq!(ann.refused(&path, change(PASSWORD, weak)).await, "password_invalid", "{weak}");
    }
    assert_eq!(claims(&here).generation, 0, "a refusal changes nothing");
    let tokens = ann.done(&path, change(PASSWORD, NEW_PASSWORD)).await;
    assert_eq!(ann.refresh(&here).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(ann.refresh(&elsewhere).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(ann.refresh(&tokens).await.0, StatusCode::OK);
    assert_eq!(claims(&tokens).generation, 1, "access tokens of before are of an earlier generation");
    assert_eq!(ann.log_in_with(PASSWORD, None).await, Err("login_wrong".to_owned()));
    assert!(ann.log_in_with(NEW_PASSWORD, None).await.is_ok());
}

#[tokio::test]
async fn of_two_changes_of_a_password_at_once_one_counts() {
    let ann = Ann::at_home().await;
    let path = ann.own("password");
    let change = |new: &str| json!({ "password": PASSWORD, "new_password": new });
    let (one, two) =
        tokio::join!(ann.post(&path, change(NEW_PASSWORD)), ann.post(&path, change("a third long passphrase")));
    let mut statuses = [one.0, two.0];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::OK, StatusCode::FORBIDDEN]);
}

#[tokio::test]
async fn a_code_of_an_admin_sets_one_password_and_ends_every_login() {
    let ann = Ann::at_home().await;
    let login = ann.log_in_with(PASSWORD, None).await.unwrap();
    let because = json!({ "reason": "has forgotten it" });
    let void = ann.done(&ann.own("reset"), because.clone()).await;
    let given = ann.done(&ann.own("reset"), because.clone()).await;
    assert_eq!(ann.refresh(&login).await.0, StatusCode::OK, "a code that nobody has used ends nothing");
    let reset = |code: &Value, new: &str| json!({ "email": "ANN@example.com", "code": code, "new_password": new });
    assert_eq!(ann.refused("password-resets", reset(&void["code"], NEW_PASSWORD)).await, "reset_code_wrong");
    assert_eq!(ann.refused("password-resets", reset(&given["code"], "short")).await, "password_invalid");
    let nobody = json!({ "email": "bob@example.com", "code": given["code"], "new_password": NEW_PASSWORD });
    assert_eq!(ann.refused("password-resets", nobody).await, "reset_code_wrong");

    let typed = json!(given["code"].as_str().unwrap().to_lowercase().replace('-', " "));
    ann.done("password-resets", reset(&typed, NEW_PASSWORD)).await;
    let again = ann.refused("password-resets", reset(&given["code"], "a third long passphrase")).await;
    assert_eq!(again, "reset_code_wrong", "a code works once");
    assert_eq!(ann.refresh(&login).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(ann.log_in_with(PASSWORD, None).await, Err("login_wrong".to_owned()));
    assert_eq!(claims(&ann.log_in_with(NEW_PASSWORD, None).await.unwrap()).generation, 1);
    let unknown = ann.refused("people/usr_0192f0c1a2b37c4d8e5f000000000001/reset", because).await;
    assert_eq!(unknown, "person_unknown");
}

#[tokio::test]
async fn a_code_of_an_admin_is_void_after_a_day_or_ten_wrong_ones_or_a_change_of_the_password() {
    let ann = Ann::at_home().await;
    let given = async || ann.done(&ann.own("reset"), json!({ "reason": "has forgotten it" })).await;
    let reset = async |code: &Value| {
        let body = json!({ "email": EMAIL, "code": code, "new_password": NEW_PASSWORD });
        ann.refused("password-resets", body).await
    };
    let old = given().await;
    ann.later(TimeDelta::hours(24));
    assert_eq!(reset(&old["code"]).await, "reset_code_wrong");

    let guessed = given().await;
    for _ in 0..10 {
        assert_eq!(reset(&json!("0000-0000-0000-0000")).await, "reset_code_wrong");
    }
    assert_eq!(reset(&guessed["code"]).await, "reset_code_wrong");

    let needless = given().await;
    ann.done(&ann.own("password"), json!({ "password": PASSWORD, "new_password": "a third long one" })).await;
    assert_eq!(reset(&needless["code"]).await, "reset_code_wrong");
}

#[tokio::test]
async fn a_second_factor_is_asked_for_once_a_code_of_it_was_shown() {
    let ann = Ann::at_home().await;
    let without = ann.log_in_with(PASSWORD, None).await.unwrap();
    let begin = ann.own("second-factor");
    let confirm = ann.own("second-factor/confirm");
    assert_eq!(ann.refused(&confirm, json!({ "code": "000000" })).await, "second_factor_off");
    assert_eq!(ann.refused(&begin, json!({ "password": "not this one" })).await, "password_wrong");
    let forgotten = ann.done(&begin, json!({ "password": PASSWORD })).await;
    let offer = ann.done(&begin, json!({ "password": PASSWORD })).await;
    let secret = offer["secret"].as_str().unwrap();
    assert!(offer["uri"].as_str().unwrap().contains(secret), "{offer}");
    assert!(ann.log_in_with(PASSWORD, None).await.is_ok(), "a factor that was only begun asks for nothing");
    let other = ann.code(forgotten["secret"].as_str().unwrap());
    assert_eq!(ann.refused(&confirm, json!({ "code": other })).await, "second_factor_wrong");

    let on = ann.done(&confirm, json!({ "code": ann.code(secret) })).await;
    assert_eq!(on["recovery_codes"].as_array().unwrap().len(), 10);
    assert_eq!(ann.refresh(&without).await.0, StatusCode::UNAUTHORIZED, "a login without a code goes on");
    assert_eq!(ann.refresh(&on["tokens"]).await.0, StatusCode::OK);
    assert_eq!(ann.person().await["second_factor"]["recovery_codes_left"], 10);
    assert_eq!(ann.refused(&begin, json!({ "password": PASSWORD })).await, "second_factor_on");
    assert_eq!(ann.refused(&confirm, json!({ "code": ann.code(secret) })).await, "second_factor_on");

    assert_eq!(ann.log_in_with(PASSWORD, None).await, Err("second_factor_required".to_owned()));
    assert_eq!(ann.log_in_with("not this passphrase", None).await, Err("login_wrong".to_owned()));
    ann.later(TimeDelta::seconds(30));
    assert!(ann.log_in_with(PASSWORD, Some(&ann.code(secret))).await.is_ok());
}

#[tokio::test]
async fn a_code_is_taken_once_and_so_is_a_recovery_code() {
    let ann = Ann::at_home().await;
    let (secret, recovery) = ann.set_up().await;
    let wrong = || Err("second_factor_wrong".to_owned());
    assert_eq!(ann.log_in_with(PASSWORD, Some(&ann.code(&secret))).await, wrong(), "it has confirmed already");
    let early = ann.code(&secret);
    ann.later(TimeDelta::seconds(60));
    let code = ann.code(&secret);
    let (one, two) = tokio::join!(ann.log_in_with(PASSWORD, Some(&code)), ann.log_in_with(PASSWORD, Some(&code)));
    assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|taken| **taken).count(), 1);
    assert_eq!(ann.log_in_with(PASSWORD, Some(&early)).await, wrong(), "one of before the newest is not taken");

    let typed = recovery[3].to_lowercase().replace('-', "");
    assert!(ann.log_in_with(PASSWORD, Some(&typed)).await.is_ok());
    assert_eq!(ann.log_in_with(PASSWORD, Some(&recovery[3])).await, wrong());
    assert_eq!(ann.person().await["second_factor"]["recovery_codes_left"], 9);
    assert!(ann.log_in_with(PASSWORD, Some(&recovery[9])).await.is_ok());
}

#[tokio::test]
async fn after_ten_wrong_codes_none_is_looked_at_for_a_quarter_of_an_hour() {
    let ann = Ann::at_home().await;
    let (secret, recovery) = ann.set_up().await;
    for _ in 0..10 {
        assert_eq!(ann.log_in_with(PASSWORD, Some("not one")).await, Err("second_factor_wrong".to_owned()));
    }
    ann.later(TimeDelta::minutes(14));
    let code = ann.code(&secret);
    assert_eq!(ann.log_in_with(PASSWORD, Some(&code)).await, Err("second_factor_paused".to_owned()));
    assert_eq!(ann.log_in_with(PASSWORD, Some(&recovery[0])).await, Err("second_factor_paused".to_owned()));
    ann.later(TimeDelta::minutes(1));
    assert!(ann.log_in_with(PASSWORD, Some(&ann.code(&secret))).await.is_ok());
}

#[tokio::test]
async fn renewed_recovery_codes_end_those_of_before_and_every_login() {
    let ann = Ann::at_home().await;
    let renew = ann.own("second-factor/recovery-codes");
    let shown = |password: &str, code: &str| json!({ "password": password, "code": code });
    assert_eq!(ann.refused(&renew, shown(PASSWORD, "000000")).await, "second_factor_off");
    let (secret, old) = ann.set_up().await;
    let login = ann.log_in_with(PASSWORD, Some(&old[0])).await.unwrap();
    assert_eq!(ann.refused(&renew, shown("not this one", &old[1])).await, "password_wrong");
    assert_eq!(ann.refused(&renew, shown(PASSWORD, "000000")).await, "second_factor_wrong");
    assert_eq!(ann.person().await["second_factor"]["recovery_codes_left"], 9, "a refusal changes nothing");

    ann.later(TimeDelta::seconds(60));
    let renewed = ann.done(&renew, shown(PASSWORD, &ann.code(&secret))).await;
    let new = texts(&renewed["recovery_codes"]);
    assert!(new.len() == 10 && new.iter().all(|code| !old.contains(code)), "{renewed}");
    assert_eq!(ann.refresh(&login).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(ann.refresh(&renewed["tokens"]).await.0, StatusCode::OK);
    assert_eq!(ann.log_in_with(PASSWORD, Some(&old[1])).await, Err("second_factor_wrong".to_owned()));
    assert!(ann.log_in_with(PASSWORD, Some(&new[0])).await.is_ok());
    // One of the codes that are left is enough to renew them all, once.
    let (one, two) =
        tokio::join!(ann.post(&renew, shown(PASSWORD, &new[1])), ann.post(&renew, shown(PASSWORD, &new[1])));
    let mut statuses = [one.0, two.0];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::OK, StatusCode::FORBIDDEN]);
    assert_eq!(ann.person().await["second_factor"]["recovery_codes_left"], 10);
}

#[tokio::test]
async fn a_second_factor_is_switched_off_with_password_and_code_or_by_an_admin() {
    let ann = Ann::at_home().await;
    let (_, recovery) = ann.set_up().await;
    let remove = ann.own("second-factor/remove");
    let end = |password: &str, code: &str| json!({ "password": password, "code": code });
    assert_eq!(ann.refused(&remove, end("not this one", &recovery[0])).await, "password_wrong");
    assert_eq!(ann.refused(&remove, end(PASSWORD, "000000")).await, "second_factor_wrong");
    let tokens = ann.done(&remove, end(PASSWORD, &recovery[0])).await;
    assert_eq!(ann.refresh(&tokens).await.0, StatusCode::OK);
    assert_eq!(ann.refused(&remove, end(PASSWORD, &recovery[1])).await, "second_factor_off");
    let login = ann.log_in_with(PASSWORD, None).await.unwrap();

    ann.later(TimeDelta::seconds(60));
    ann.set_up().await;
    assert_eq!(ann.refresh(&login).await.0, StatusCode::UNAUTHORIZED);
    let clear = ann.own("clear-second-factor");
    for _ in 0..2 {
        let cleared = ann.done(&clear, json!({ "reason": "has lost the phone" })).await;
        assert_eq!((&cleared["user_id"], &cleared["second_factor"]), (&json!(ann.id), &Value::Null));
    }
    let login = ann.log_in_with(PASSWORD, None).await.unwrap();
    assert_eq!(claims(&login).generation, 4, "a repetition counts once");
}

#[tokio::test]
async fn secrets_and_codes_cannot_be_read_from_the_database() {
    let ann = Ann::at_home().await;
    let (secret, recovery) = ann.set_up().await;
    ann.done(&ann.own("reset"), json!({ "reason": "to look at it" })).await;
    let stored: Vec<String> = sqlx::query_scalar(
        "SELECT second_factor::text || encode(sealed_secret, 'escape') FROM second_factor
         UNION ALL SELECT recovery_code::text FROM recovery_code",
    )
    .fetch_all(ann.harness.pool())
    .await
    .unwrap();
    let stored = stored.join("\n");
    assert!(!stored.contains(&secret) && recovery.iter().all(|code| !stored.contains(code)), "{stored}");

    // Production does not begin with the key that everybody knows.
    assert!(worker_user::domain(&ann.settings, true).is_ok());
    let mut settings = ann.settings.clone();
    settings.second_factor_keys = vec![SecretString::from(DEVELOPMENT_SECOND_FACTOR_KEY)];
    assert!(worker_user::domain(&settings, true).unwrap_err().to_string().contains("SECOND_FACTOR_KEYS"));
}

#[tokio::test]
async fn where_a_second_factor_is_required_tokens_say_that_an_operator_has_none_yet() {
    let ann = Ann::of(House::with(true).await).await;
    let client = json!({ "email": "zoe@example.com", "password": PASSWORD, "name": "Zoe" });
    ann.done("users", client.clone()).await;
    let zoe = ann.done("sessions", json!({ "email": "zoe@example.com", "password": PASSWORD })).await;
    assert!(!claims(&zoe).second_factor_missing, "clients need none");
    let login = ann.log_in_with(PASSWORD, None).await.unwrap();
    assert!(claims(&login).second_factor_missing);
    let (_, recovery) = ann.set_up().await;
    let login = ann.log_in_with(PASSWORD, Some(&recovery[0])).await.unwrap();
    assert!(!claims(&login).second_factor_missing);
    let (_, refreshed) = ann.refresh(&login).await;
    assert!(!claims(&refreshed).second_factor_missing);
    assert!(!claims(&Ann::at_home().await.log_in_with(PASSWORD, None).await.unwrap()).second_factor_missing);
}

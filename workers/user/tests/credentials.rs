//! Passwords and second factors through the domain's internal HTTP, on real PostgreSQL.

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::{
        body::{Body, to_bytes},
        http::{Request, StatusCode},
    };
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use chrono::TimeDelta;
    use contract::user::Claims;
    use secrecy::SecretString;
    use serde_json::{Value, json};
    use totp_rs::{Builder, Secret};
    use tower::ServiceExt;
    use worker_runtime::testkit::{Harness, ManualClock};
    use worker_user::{DEVELOPMENT_SECOND_FACTOR_KEY, Settings};

    const PASSWORD: &str = "a long enough passphrase";
    const NEW_PASSWORD: &str = "another long passphrase";
    const EMAIL: &str = "ann@example.com";

    struct People {
        harness: Harness,
        clock: Arc<ManualClock>,
        settings: Settings,
        /// The person whom the tests are about, an operator.
        ann: String,
        _folder: tempfile::TempDir,
    }

    impl People {
        async fn new() -> Self {
            Self::with(false).await
        }

        async fn with(require_second_factor: bool) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let settings = Settings {
                jwt_signing_key_file: folder.path().join("jwt.pem"),
                access_token_minutes: 15,
                session_days: 30,
                demo_password: SecretString::from("unused in this test"),
                second_factor_keys: vec![SecretString::from(DEVELOPMENT_SECOND_FACTOR_KEY)],
                require_second_factor: Some(require_second_factor),
            };
            let clock = Arc::new(ManualClock::new(kit::clock::system().now()));
            let database = private_servers::testing::database("user").await;
            let domain = worker_user::domain(&settings, false).unwrap();
            let harness = Harness::open(domain, &database, clock.clone()).await;
            let mut people = Self { harness, clock, settings, ann: String::new(), _folder: folder };
            let person =
                json!({ "email": EMAIL, "name": "Ann", "password": PASSWORD, "role": "operator", "reason": "x" });
            let made = people.done("people", person).await;
            people.ann = made["user_id"].as_str().unwrap().to_owned();
            people
        }

        async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
            let request = Request::post(format!("/internal/user/{path}"))
                .header("content-type", "application/json")
                .body(Body::from(body.to_string()))
                .unwrap();
            let answer = self.harness.reads().oneshot(request).await.unwrap();
            let status = answer.status();
            let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
            (status, serde_json::from_slice(&body).unwrap_or_default())
        }

        /// The answer to a call that succeeds.
        async fn done(&self, path: &str, body: Value) -> Value {
            let (status, answer) = self.post(path, body).await;
            assert!(status.is_success(), "{path}: {status} {answer}");
            answer
        }

        /// The code with which a call is refused.
        async fn refused(&self, path: &str, body: Value) -> String {
            let (status, problem) = self.post(path, body).await;
            assert!(status.is_client_error(), "{path}: {status} {problem}");
            problem["code"].as_str().unwrap().to_owned()
        }

        fn own(&self, what: &str) -> String {
            format!("people/{}/{what}", self.ann)
        }

        async fn log_in(&self, password: &str, code: Option<&str>) -> Result<Value, String> {
            let mut login = json!({ "email": EMAIL, "password": password });
            if let Some(code) = code {
                login["code"] = json!(code);
            }
            let (status, answer) = self.post("sessions", login).await;
            if status == StatusCode::OK { Ok(answer) } else { Err(answer["code"].as_str().unwrap().to_owned()) }
        }

        async fn refresh(&self, tokens: &Value) -> StatusCode {
            self.post("sessions/refresh", json!({ "refresh_token": tokens["refresh_token"] })).await.0
        }

        /// Sets a second factor up, and answers the secret and the recovery codes.
        async fn set_up(&self) -> (String, Vec<String>) {
            let offer = self.done(&self.own("second-factor"), json!({ "password": PASSWORD })).await;
            let secret = offer["secret"].as_str().unwrap().to_owned();
            let on = self.done(&self.own("second-factor/confirm"), json!({ "code": self.code(&secret) })).await;
            let codes = on["recovery_codes"].as_array().unwrap().iter();
            (secret, codes.map(|code| code.as_str().unwrap().to_owned()).collect())
        }

        /// The code that an app shows now.
        fn code(&self, secret: &str) -> String {
            let codes = Builder::new().with_secret(Secret::try_from_base32(secret).unwrap()).build().unwrap();
            let now = kit::clock::Clock::now(&*self.clock).timestamp();
            codes.generate(now.try_into().unwrap()).to_string()
        }

        async fn person(&self) -> Value {
            let request = Request::get(format!("/internal/user/people/{}", self.ann)).body(Body::empty()).unwrap();
            let answer = self.harness.reads().oneshot(request).await.unwrap();
            serde_json::from_slice(&to_bytes(answer.into_body(), 1 << 20).await.unwrap()).unwrap()
        }
    }

    fn claims(tokens: &Value) -> Claims {
        let payload = tokens["access_token"].as_str().unwrap().split('.').nth(1).unwrap();
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_changed_password_ends_every_login_but_the_new_one() {
        let people = People::new().await;
        let (here, elsewhere) =
            (people.log_in(PASSWORD, None).await.unwrap(), people.log_in(PASSWORD, None).await.unwrap());
        let path = people.own("password");
        let change = |old: &str, new: &str| json!({ "password": old, "new_password": new });
        assert_eq!(people.refused(&path, change("not this passphrase", NEW_PASSWORD)).await, "password_wrong");
        for weak in ["short", "Password12345", EMAIL, "a\u{0}long enough passphrase"] {
            assert_eq!(people.refused(&path, change(PASSWORD, weak)).await, "password_invalid", "{weak}");
        }
        assert_eq!(claims(&here).generation, 0, "a refusal changes nothing");
        let tokens = people.done(&path, change(PASSWORD, NEW_PASSWORD)).await;
        assert_eq!(people.refresh(&here).await, StatusCode::UNAUTHORIZED);
        assert_eq!(people.refresh(&elsewhere).await, StatusCode::UNAUTHORIZED);
        assert_eq!(people.refresh(&tokens).await, StatusCode::OK);
        assert_eq!(claims(&tokens).generation, 1, "access tokens of before are of an earlier generation");
        assert_eq!(people.log_in(PASSWORD, None).await, Err("login_wrong".to_owned()));
        assert!(people.log_in(NEW_PASSWORD, None).await.is_ok());
    }

    #[tokio::test]
    async fn of_two_changes_of_a_password_at_once_one_counts() {
        let people = People::new().await;
        let path = people.own("password");
        let change = |new: &str| json!({ "password": PASSWORD, "new_password": new });
        let (one, two) = tokio::join!(
            people.post(&path, change(NEW_PASSWORD)),
            people.post(&path, change("a third long passphrase"))
        );
        let mut statuses = [one.0, two.0];
        statuses.sort();
        assert_eq!(statuses, [StatusCode::OK, StatusCode::FORBIDDEN]);
    }

    #[tokio::test]
    async fn a_code_of_an_admin_sets_one_password_and_ends_every_login() {
        let people = People::new().await;
        let login = people.log_in(PASSWORD, None).await.unwrap();
        let because = json!({ "reason": "has forgotten it" });
        let void = people.done(&people.own("reset"), because.clone()).await;
        let given = people.done(&people.own("reset"), because.clone()).await;
        assert_eq!(people.refresh(&login).await, StatusCode::OK, "a code that nobody has used ends nothing");
        let reset = |code: &Value, new: &str| json!({ "email": "ANN@example.com", "code": code, "new_password": new });
        assert_eq!(people.refused("password-resets", reset(&void["code"], NEW_PASSWORD)).await, "reset_code_wrong");
        assert_eq!(people.refused("password-resets", reset(&given["code"], "short")).await, "password_invalid");
        let nobody = json!({ "email": "bob@example.com", "code": given["code"], "new_password": NEW_PASSWORD });
        assert_eq!(people.refused("password-resets", nobody).await, "reset_code_wrong");

        let typed = json!(given["code"].as_str().unwrap().to_lowercase().replace('-', " "));
        people.done("password-resets", reset(&typed, NEW_PASSWORD)).await;
        let again = people.refused("password-resets", reset(&given["code"], "a third long passphrase")).await;
        assert_eq!(again, "reset_code_wrong", "a code works once");
        assert_eq!(people.refresh(&login).await, StatusCode::UNAUTHORIZED);
        assert_eq!(people.log_in(PASSWORD, None).await, Err("login_wrong".to_owned()));
        assert_eq!(claims(&people.log_in(NEW_PASSWORD, None).await.unwrap()).generation, 1);
        let unknown = people.refused("people/usr_0192f0c1a2b37c4d8e5f000000000001/reset", because).await;
        assert_eq!(unknown, "person_unknown");
    }

    #[tokio::test]
    async fn a_code_of_an_admin_is_void_after_a_day_or_ten_wrong_ones_or_a_change_of_the_password() {
        let people = People::new().await;
        let given = async || people.done(&people.own("reset"), json!({ "reason": "has forgotten it" })).await;
        let reset = async |code: &Value| {
            let body = json!({ "email": EMAIL, "code": code, "new_password": NEW_PASSWORD });
            people.refused("password-resets", body).await
        };
        let old = given().await;
        people.clock.advance(TimeDelta::hours(24));
        assert_eq!(reset(&old["code"]).await, "reset_code_wrong");

        let guessed = given().await;
        for _ in 0..10 {
            assert_eq!(reset(&json!("0000-0000-0000-0000")).await, "reset_code_wrong");
        }
        assert_eq!(reset(&guessed["code"]).await, "reset_code_wrong");

        let needless = given().await;
        people.done(&people.own("password"), json!({ "password": PASSWORD, "new_password": "a third long one" })).await;
        assert_eq!(reset(&needless["code"]).await, "reset_code_wrong");
    }

    #[tokio::test]
    async fn a_second_factor_is_asked_for_once_a_code_of_it_was_shown() {
        let people = People::new().await;
        let without = people.log_in(PASSWORD, None).await.unwrap();
        let begin = people.own("second-factor");
        let confirm = people.own("second-factor/confirm");
        assert_eq!(people.refused(&confirm, json!({ "code": "000000" })).await, "second_factor_off");
        assert_eq!(people.refused(&begin, json!({ "password": "not this one" })).await, "password_wrong");
        let forgotten = people.done(&begin, json!({ "password": PASSWORD })).await;
        let offer = people.done(&begin, json!({ "password": PASSWORD })).await;
        let secret = offer["secret"].as_str().unwrap();
        assert!(offer["uri"].as_str().unwrap().contains(secret), "{offer}");
        assert!(people.log_in(PASSWORD, None).await.is_ok(), "a factor that was only begun asks for nothing");
        let other = people.code(forgotten["secret"].as_str().unwrap());
        assert_eq!(people.refused(&confirm, json!({ "code": other })).await, "second_factor_wrong");

        let on = people.done(&confirm, json!({ "code": people.code(secret) })).await;
        assert_eq!(on["recovery_codes"].as_array().unwrap().len(), 10);
        assert_eq!(people.refresh(&without).await, StatusCode::UNAUTHORIZED, "a login without a code goes on");
        assert_eq!(people.refresh(&on["tokens"]).await, StatusCode::OK);
        assert_eq!(people.person().await["second_factor"]["recovery_codes_left"], 10);
        assert_eq!(people.refused(&begin, json!({ "password": PASSWORD })).await, "second_factor_on");
        assert_eq!(people.refused(&confirm, json!({ "code": people.code(secret) })).await, "second_factor_on");

        assert_eq!(people.log_in(PASSWORD, None).await, Err("second_factor_required".to_owned()));
        assert_eq!(people.log_in("not this passphrase", None).await, Err("login_wrong".to_owned()));
        people.clock.advance(TimeDelta::seconds(30));
        assert!(people.log_in(PASSWORD, Some(&people.code(secret))).await.is_ok());
    }

    #[tokio::test]
    async fn a_code_is_taken_once_and_so_is_a_recovery_code() {
        let people = People::new().await;
        let (secret, recovery) = people.set_up().await;
        let wrong = || Err("second_factor_wrong".to_owned());
        assert_eq!(people.log_in(PASSWORD, Some(&people.code(&secret))).await, wrong(), "it has confirmed already");
        let early = people.code(&secret);
        people.clock.advance(TimeDelta::seconds(60));
        let code = people.code(&secret);
        let (one, two) = tokio::join!(people.log_in(PASSWORD, Some(&code)), people.log_in(PASSWORD, Some(&code)));
        assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|taken| **taken).count(), 1);
        assert_eq!(people.log_in(PASSWORD, Some(&early)).await, wrong(), "one of before the newest is not taken");

        let typed = recovery[3].to_lowercase().replace('-', "");
        assert!(people.log_in(PASSWORD, Some(&typed)).await.is_ok());
        assert_eq!(people.log_in(PASSWORD, Some(&recovery[3])).await, wrong());
        assert_eq!(people.person().await["second_factor"]["recovery_codes_left"], 9);
        assert!(people.log_in(PASSWORD, Some(&recovery[9])).await.is_ok());
    }

    #[tokio::test]
    async fn after_ten_wrong_codes_none_is_looked_at_for_a_quarter_of_an_hour() {
        let people = People::new().await;
        let (secret, recovery) = people.set_up().await;
        for _ in 0..10 {
            assert_eq!(people.log_in(PASSWORD, Some("not one")).await, Err("second_factor_wrong".to_owned()));
        }
        people.clock.advance(TimeDelta::minutes(14));
        let code = people.code(&secret);
        assert_eq!(people.log_in(PASSWORD, Some(&code)).await, Err("second_factor_paused".to_owned()));
        assert_eq!(people.log_in(PASSWORD, Some(&recovery[0])).await, Err("second_factor_paused".to_owned()));
        people.clock.advance(TimeDelta::minutes(1));
        assert!(people.log_in(PASSWORD, Some(&people.code(&secret))).await.is_ok());
    }

    #[tokio::test]
    async fn a_second_factor_is_switched_off_with_password_and_code_or_by_an_admin() {
        let people = People::new().await;
        let (_, recovery) = people.set_up().await;
        let remove = people.own("second-factor/remove");
        let end = |password: &str, code: &str| json!({ "password": password, "code": code });
        assert_eq!(people.refused(&remove, end("not this one", &recovery[0])).await, "password_wrong");
        assert_eq!(people.refused(&remove, end(PASSWORD, "000000")).await, "second_factor_wrong");
        let tokens = people.done(&remove, end(PASSWORD, &recovery[0])).await;
        assert_eq!(people.refresh(&tokens).await, StatusCode::OK);
        assert_eq!(people.refused(&remove, end(PASSWORD, &recovery[1])).await, "second_factor_off");
        let login = people.log_in(PASSWORD, None).await.unwrap();

        people.clock.advance(TimeDelta::seconds(60));
        people.set_up().await;
        assert_eq!(people.refresh(&login).await, StatusCode::UNAUTHORIZED);
        let clear = people.own("clear-second-factor");
        for _ in 0..2 {
            let cleared = people.done(&clear, json!({ "reason": "has lost the phone" })).await;
            assert_eq!((&cleared["user_id"], &cleared["second_factor"]), (&json!(people.ann), &Value::Null));
        }
        let login = people.log_in(PASSWORD, None).await.unwrap();
        assert_eq!(claims(&login).generation, 4, "a repetition counts once");
    }

    #[tokio::test]
    async fn secrets_and_codes_cannot_be_read_from_the_database() {
        let mut people = People::new().await;
        let (secret, recovery) = people.set_up().await;
        people.done(&people.own("reset"), json!({ "reason": "to look at it" })).await;
        let stored: Vec<String> = sqlx::query_scalar(
            "SELECT second_factor::text || encode(sealed_secret, 'escape') FROM second_factor
             UNION ALL SELECT recovery_code::text FROM recovery_code",
        )
        .fetch_all(people.harness.pool())
        .await
        .unwrap();
        let stored = stored.join("\n");
        assert!(!stored.contains(&secret) && recovery.iter().all(|code| !stored.contains(code)), "{stored}");

        // Production does not begin with the key that everybody knows.
        assert!(worker_user::domain(&people.settings, true).unwrap_err().to_string().contains("SECOND_FACTOR_KEYS"));
        people.settings.second_factor_keys = vec![SecretString::from("a key of thirty-two bytes, and a bit more")];
        assert!(worker_user::domain(&people.settings, true).is_ok());
    }

    #[tokio::test]
    async fn where_a_second_factor_is_required_tokens_say_that_an_operator_has_none_yet() {
        let people = People::with(true).await;
        let client = json!({ "email": "zoe@example.com", "password": PASSWORD, "name": "Zoe" });
        people.done("users", client.clone()).await;
        let zoe = people.done("sessions", json!({ "email": "zoe@example.com", "password": PASSWORD })).await;
        assert!(!claims(&zoe).second_factor_missing, "clients need none");
        let ann = people.log_in(PASSWORD, None).await.unwrap();
        assert!(claims(&ann).second_factor_missing);
        let (_, recovery) = people.set_up().await;
        let ann = people.log_in(PASSWORD, Some(&recovery[0])).await.unwrap();
        assert!(!claims(&ann).second_factor_missing);
        let (_, refreshed) = people.post("sessions/refresh", json!({ "refresh_token": ann["refresh_token"] })).await;
        assert!(!claims(&refreshed).second_factor_missing);
        assert!(!claims(&People::new().await.log_in(PASSWORD, None).await.unwrap()).second_factor_missing);
    }
}

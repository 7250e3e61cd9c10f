//! Logins without a browser and the end of logins, through the domain's internal HTTP, on real PostgreSQL.

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::{
        body::{Body, to_bytes},
        http::{Method, Request, StatusCode},
    };
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use chrono::TimeDelta;
    use secrecy::SecretString;
    use serde_json::{Value, json};
    use tower::ServiceExt;
    use worker_runtime::testkit::{Harness, ManualClock};
    use worker_user::Settings;

    const PASSWORD: &str = "a long enough passphrase";

    /// The user domain, and one person with a role.
    struct Domain {
        harness: Harness,
        clock: Arc<ManualClock>,
        ann: String,
        _folder: tempfile::TempDir,
    }

    impl Domain {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let settings = Settings {
                jwt_signing_key_file: folder.path().join("jwt.pem"),
                access_token_minutes: 15,
                session_days: 30,
                demo_password: SecretString::from("unused in this test"),
                second_factor_keys: vec![SecretString::from("a key of thirty-two bytes, and a bit more")],
                require_second_factor: None,
            };
            let clock = Arc::new(ManualClock::new(kit::clock::system().now()));
            let database = private_servers::testing::database("user").await;
            let domain = worker_user::domain(&settings, false).unwrap();
            let harness = Harness::open(domain, &database, clock.clone()).await;
            let mut domain = Self { harness, clock, ann: String::new(), _folder: folder };
            let person = json!({
                "email": "ann@example.com", "name": "Ann", "password": PASSWORD, "role": "operator",
                "reason": "a test says so",
            });
            let made = domain.post("people", person).await;
            domain.ann = made.1["user_id"].as_str().unwrap().to_owned();
            domain
        }

        async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
            let request = Request::builder().method(method).uri(format!("/internal/user/{path}"));
            let request = request.header("content-type", "application/json");
            let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
            let answer = self.harness.reads().oneshot(request.body(body).unwrap()).await.unwrap();
            let status = answer.status();
            let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
            (status, if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() })
        }

        async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
            self.call(Method::POST, path, Some(body)).await
        }

        async fn ask_from(&self, address: &str) -> (StatusCode, Value) {
            self.post("devices", json!({ "client": "sagactl", "address": address })).await
        }

        /// The codes of a login that waits.
        async fn ask(&self) -> Value {
            let (status, asked) = self.ask_from("203.0.113.9").await;
            assert_eq!(status, StatusCode::CREATED, "{asked}");
            asked
        }

        async fn decide(&self, asked: &Value, decision: &str) -> (StatusCode, Value) {
            let body = json!({ "user_code": asked["user_code"], "user_id": self.ann, "decision": decision });
            self.post("devices/decide", body).await
        }

        async fn trade(&self, asked: &Value) -> (StatusCode, Value) {
            let body = json!({ "device_code": asked["device_code"], "client": "sagactl" });
            self.post("devices/token", body).await
        }

        /// The word with which the trade of a code is refused.
        async fn refused(&self, asked: &Value) -> String {
            let (status, problem) = self.trade(asked).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
            problem["code"].as_str().unwrap().to_owned()
        }

        async fn log_in(&self) -> Value {
            let (status, tokens) =
                self.post("sessions", json!({ "email": "ann@example.com", "password": PASSWORD })).await;
            assert_eq!(status, StatusCode::OK, "{tokens}");
            tokens
        }

        async fn refresh(&self, tokens: &Value) -> (StatusCode, Value) {
            self.post("sessions/refresh", json!({ "refresh_token": tokens["refresh_token"] })).await
        }

        async fn change(&self, act: &str, mut body: Value) {
            body["reason"] = json!("a test says so");
            let (status, answer) = self.post(&format!("people/{}/{act}", self.ann), body).await;
            assert_eq!(status, StatusCode::OK, "{answer}");
        }

        async fn logins(&self) -> Vec<Value> {
            let (status, logins) = self.call(Method::GET, &format!("people/{}/logins", self.ann), None).await;
            assert_eq!(status, StatusCode::OK, "{logins}");
            logins.as_array().unwrap().clone()
        }

        /// The logins whose access tokens are void.
        async fn ended(&self) -> Value {
            self.call(Method::GET, "sessions/ended", None).await.1
        }

        fn later(&self, seconds: i64) {
            self.clock.advance(TimeDelta::seconds(seconds));
        }
    }

    fn claims(tokens: &Value) -> Value {
        let payload = tokens["access_token"].as_str().unwrap().split('.').nth(1).unwrap();
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn an_approved_program_gets_a_login_of_its_own_once() {
        let domain = Domain::new().await;
        let browser = domain.log_in().await;
        let asked = domain.ask().await;
        assert_eq!((&asked["expires_in"], &asked["interval"]), (&json!(600), &json!(5)));
        assert_eq!(domain.refused(&asked).await, "authorization_pending");

        let code = asked["user_code"].as_str().unwrap();
        let (status, found) = domain.call(Method::GET, &format!("devices?user_code={code}"), None).await;
        assert_eq!(
            (status, &found["client"], &found["address"]),
            (StatusCode::OK, &json!("sagactl"), &json!("203.0.113.9"))
        );
        assert_eq!(domain.decide(&asked, "approve").await.0, StatusCode::OK);
        domain.later(5);
        let (status, tokens) = domain.trade(&asked).await;
        assert_eq!(status, StatusCode::OK, "{tokens}");
        let (own, of_browser) = (claims(&tokens), claims(&browser));
        assert_eq!((&own["sub"], &own["role"]), (&json!(domain.ann), &json!("operator")));
        assert_ne!(own["sid"], of_browser["sid"]);
        assert_eq!(domain.refused(&asked).await, "invalid_grant", "a code was traded twice");
        assert_eq!(domain.refresh(&tokens).await.0, StatusCode::OK);
        assert_eq!(domain.refresh(&browser).await.0, StatusCode::OK);
        let waiting: i64 =
            sqlx::query_scalar("SELECT count(*) FROM device_login").fetch_one(domain.harness.pool()).await.unwrap();
        assert_eq!(waiting, 0, "a traded login is still kept");
        let clients: Vec<Value> = domain.logins().await.iter().map(|login| login["client"].clone()).collect();
        assert_eq!(clients, [json!("sagactl"), Value::Null]);
    }

    #[tokio::test]
    async fn who_asks_too_soon_is_slowed_down_for_good() {
        let domain = Domain::new().await;
        let asked = domain.ask().await;
        assert_eq!(domain.refused(&asked).await, "authorization_pending");
        domain.later(3);
        assert_eq!(domain.refused(&asked).await, "slow_down");
        domain.decide(&asked, "approve").await;
        domain.later(5);
        assert_eq!(domain.refused(&asked).await, "slow_down", "the interval is ten seconds by now");
        domain.later(15);
        assert_eq!(domain.trade(&asked).await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn a_login_waits_for_ten_minutes_and_is_then_too_late_and_then_forgotten() {
        let domain = Domain::new().await;
        let (approved, ignored) = (domain.ask().await, domain.ask().await);
        domain.later(599);
        assert_eq!(domain.decide(&approved, "approve").await.0, StatusCode::OK);
        domain.later(1);
        assert_eq!(domain.refused(&approved).await, "expired_token");
        assert_eq!(domain.refused(&ignored).await, "expired_token");
        assert_eq!(domain.decide(&ignored, "approve").await.1["code"], "device_login_unknown");
        assert_eq!(domain.harness.prune().await, 0);
        domain.later(3_601);
        assert_eq!(domain.harness.prune().await, 2);
        assert_eq!(domain.refused(&approved).await, "invalid_grant");
    }

    #[tokio::test]
    async fn a_denied_program_gets_nothing_and_of_two_words_the_first_counts() {
        let domain = Domain::new().await;
        let asked = domain.ask().await;
        let (one, two) = tokio::join!(domain.decide(&asked, "deny"), domain.decide(&asked, "deny"));
        let mut statuses = [one.0, two.0];
        statuses.sort();
        assert_eq!(statuses, [StatusCode::OK, StatusCode::NOT_FOUND]);
        assert_eq!(domain.decide(&asked, "approve").await.1["code"], "device_login_unknown");
        let code = asked["user_code"].as_str().unwrap();
        let found = domain.call(Method::GET, &format!("devices?user_code={code}"), None).await;
        assert_eq!(found.0, StatusCode::NOT_FOUND);
        assert_eq!(domain.refused(&asked).await, "access_denied");
    }

    #[tokio::test]
    async fn of_two_questions_at_once_for_an_approved_login_one_gets_the_tokens() {
        let domain = Domain::new().await;
        let asked = domain.ask().await;
        domain.decide(&asked, "approve").await;
        let (one, two) = tokio::join!(domain.trade(&asked), domain.trade(&asked));
        let mut codes = [one, two].map(|(status, answer)| (status, answer["code"].clone().to_string()));
        codes.sort();
        assert_eq!(codes[0].0, StatusCode::OK);
        assert_eq!(codes[1], (StatusCode::BAD_REQUEST, "\"invalid_grant\"".to_owned()));
        assert_eq!(domain.logins().await.len(), 1);
    }

    #[tokio::test]
    async fn an_approval_counts_no_more_once_its_person_is_disabled_or_has_other_rights() {
        let domain = Domain::new().await;
        let (disabled, enabled, changed) = (domain.ask().await, domain.ask().await, domain.ask().await);
        for asked in [&disabled, &enabled] {
            assert_eq!(domain.decide(asked, "approve").await.0, StatusCode::OK);
        }
        domain.change("disable", json!({})).await;
        assert_eq!(domain.refused(&disabled).await, "access_denied");
        assert_eq!(domain.decide(&changed, "approve").await.0, StatusCode::NOT_FOUND, "a disabled person decided");
        domain.change("enable", json!({})).await;
        assert_eq!(domain.refused(&enabled).await, "access_denied", "the approval came back");

        assert_eq!(domain.decide(&changed, "approve").await.0, StatusCode::OK);
        domain.change("role", json!({ "role": "viewer" })).await;
        assert_eq!(domain.refused(&changed).await, "access_denied");
        let again = domain.ask().await;
        domain.decide(&again, "approve").await;
        let (_, tokens) = domain.trade(&again).await;
        assert_eq!(claims(&tokens)["role"], "viewer");
    }

    #[tokio::test]
    async fn another_programs_code_and_unknown_ones_are_worth_nothing() {
        let domain = Domain::new().await;
        let asked = domain.ask().await;
        domain.decide(&asked, "approve").await;
        let stolen = json!({ "device_code": asked["device_code"], "client": "another" });
        assert_eq!(domain.post("devices/token", stolen).await.1["code"], "invalid_grant");
        let code = json!({ "device_code": asked["user_code"], "client": "sagactl" });
        assert_eq!(domain.post("devices/token", code).await.1["code"], "invalid_grant");
        assert_eq!(domain.trade(&asked).await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn one_address_has_a_bounded_number_of_waiting_logins_and_takes_none_from_others() {
        let domain = Domain::new().await;
        for _ in 0..20 {
            domain.ask().await;
        }
        let (status, problem) = domain.ask_from("203.0.113.9").await;
        assert_eq!((status, &problem["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("device_logins_exhausted")));
        assert_eq!(domain.ask_from("203.0.113.10").await.0, StatusCode::CREATED);
        domain.later(600);
        assert_eq!(domain.ask_from("203.0.113.9").await.0, StatusCode::CREATED);
    }

    #[tokio::test]
    async fn codes_are_stored_as_hashes_only() {
        let domain = Domain::new().await;
        let asked = domain.ask().await;
        let rows: Vec<String> =
            sqlx::query_scalar("SELECT encode(device_code_hash, 'escape') || d::text FROM device_login d")
                .fetch_all(domain.harness.pool())
                .await
                .unwrap();
        let (stored, text) = (rows.join("\n"), |name: &str| asked[name].as_str().unwrap().to_owned());
        assert!(stored.contains("sagactl"));
        for secret in [text("device_code"), text("user_code"), text("user_code").replace('-', "")] {
            assert!(!stored.contains(&secret), "{stored}");
        }
    }

    #[tokio::test]
    async fn a_person_logs_out_with_a_refresh_token_of_the_login_and_no_other_ends() {
        let domain = Domain::new().await;
        let (old, other) = (domain.log_in().await, domain.log_in().await);
        let (_, fresh) = domain.refresh(&old).await;
        // Also a token that was used before ends its login.
        for token in [&json!("rt_unknown"), &old["refresh_token"], &old["refresh_token"]] {
            let ended = domain.post("sessions/end", json!({ "refresh_token": token })).await;
            assert_eq!(ended, (StatusCode::NO_CONTENT, Value::Null));
        }
        assert_eq!(domain.refresh(&fresh).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(domain.ended().await, json!([claims(&fresh)["sid"]]));
        assert_eq!(domain.refresh(&other).await.0, StatusCode::OK);
        domain.later(21 * 60);
        assert_eq!(domain.ended().await, json!([]), "no access token of it can be left");
    }

    #[tokio::test]
    async fn a_person_sees_its_logins_and_ends_one_and_nobody_elses() {
        let domain = Domain::new().await;
        let (first, second) = (domain.log_in().await, domain.log_in().await);
        domain.later(60);
        domain.refresh(&first).await;
        let logins = domain.logins().await;
        let ids: Vec<&Value> = logins.iter().map(|login| &login["login_id"]).collect();
        assert_eq!(ids, [&claims(&second)["sid"], &claims(&first)["sid"]]);
        assert!(logins[0]["used_at"].as_str() < logins[1]["used_at"].as_str(), "{logins:?}");
        assert_eq!(logins[0]["ends_at"], second["login_ends_at"]);
        let id = ids[1].as_str().unwrap();
        let end =
            async |person: &str| domain.call(Method::POST, &format!("people/{person}/logins/{id}/end"), None).await.0;
        assert_eq!(end("usr_0192f0c1a2b37c4d8e5f000000000001").await, StatusCode::NOT_FOUND);
        assert_eq!(end(&domain.ann).await, StatusCode::NO_CONTENT);
        assert_eq!(end(&domain.ann).await, StatusCode::NOT_FOUND);
        assert_eq!(domain.logins().await.len(), 1);
    }
}

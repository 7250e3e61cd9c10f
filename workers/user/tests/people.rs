//! People and their sessions through the domain's internal HTTP, on real PostgreSQL.

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::{
        body::{Body, to_bytes},
        http::{Request, StatusCode},
    };
    use chrono::TimeDelta;
    use contract::{
        Event,
        user::{Claims, Role, TOKEN_AUDIENCE, TOKEN_ISSUER, UserCreated},
    };
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
    use secrecy::SecretString;
    use serde_json::{Value, json};
    use tower::ServiceExt;
    use worker_runtime::testkit::{Harness, ManualClock};
    use worker_user::Settings;

    const PASSWORD: &str = "a long enough passphrase";

    struct People {
        harness: Harness,
        clock: Arc<ManualClock>,
        settings: Settings,
        database: String,
        _folder: tempfile::TempDir,
    }

    impl People {
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
            Self { harness, clock, settings, database, _folder: folder }
        }

        /// Begins as a worker does, in production or not.
        async fn begin(&self, production: bool) -> Result<(), String> {
            let domain = worker_user::domain(&self.settings, production).unwrap();
            Harness::begin(domain, &self.database, self.clock.clone()).await.map_err(|error| error.to_string())
        }

        async fn get(&self, path: &str) -> Value {
            let request = Request::get(format!("/internal/user/{path}")).body(Body::empty()).unwrap();
            let answer = self.harness.reads().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
            serde_json::from_slice(&to_bytes(answer.into_body(), 1 << 20).await.unwrap()).unwrap()
        }

        /// Makes a person with a role, and answers the id.
        async fn create(&self, email: &str, role: &str) -> String {
            let person = json!({
                "email": email, "name": "Ada", "password": PASSWORD, "role": role, "reason": "a test says so",
            });
            let (status, made) = self.post("people", person).await;
            assert_eq!((status, &made["role"]), (StatusCode::CREATED, &json!(role)), "{made}");
            made["user_id"].as_str().unwrap().to_owned()
        }

        async fn change(&self, id: &str, act: &str, mut body: Value) -> (StatusCode, Value) {
            body["reason"] = json!("a test says so");
            self.post(&format!("people/{id}/{act}"), body).await
        }

        /// The role and the generation of an access token.
        async fn rights(&self, tokens: &Value) -> (Role, u32) {
            let claims = self.claims(tokens).await;
            (claims.role, claims.generation)
        }

        async fn claims(&self, tokens: &Value) -> Claims {
            let token = tokens["access_token"].as_str().unwrap();
            let header = jsonwebtoken::decode_header(token).unwrap();
            let keys = self.keys().await;
            let key = DecodingKey::from_jwk(keys.find(header.kid.as_deref().unwrap()).unwrap()).unwrap();
            let mut validation = Validation::new(Algorithm::EdDSA);
            validation.set_audience(&[TOKEN_AUDIENCE]);
            validation.set_issuer(&[TOKEN_ISSUER]);
            jsonwebtoken::decode::<Claims>(token, &key, &validation).unwrap().claims
        }

        async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
            let request = Request::post(format!("/internal/user/{path}"))
                .header("content-type", "application/json")
                .body(Body::from(body.to_string()))
                .unwrap();
            let answer = self.harness.reads().oneshot(request).await.unwrap();
            let status = answer.status();
            let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
            (status, serde_json::from_slice(&body).unwrap())
        }

        async fn register(&self, email: &str) -> (StatusCode, Value) {
            self.post("users", json!({ "email": email, "password": PASSWORD, "name": "Ada" })).await
        }

        async fn log_in(&self, email: &str) -> Value {
            let (status, tokens) = self.post("sessions", json!({ "email": email, "password": PASSWORD })).await;
            assert_eq!(status, StatusCode::OK, "{tokens}");
            tokens
        }

        async fn refresh(&self, tokens: &Value) -> (StatusCode, Value) {
            self.post("sessions/refresh", json!({ "refresh_token": tokens["refresh_token"] })).await
        }

        async fn keys(&self) -> JwkSet {
            let request = Request::get("/internal/user/jwks").body(Body::empty()).unwrap();
            let answer = self.harness.reads().oneshot(request).await.unwrap();
            serde_json::from_slice(&to_bytes(answer.into_body(), 1 << 20).await.unwrap()).unwrap()
        }
    }

    #[tokio::test]
    async fn a_registration_is_announced_and_can_log_in_with_a_token_that_verifies() {
        let people = People::new().await;
        let (status, registered) = people.register("Ada@Example.com").await;
        assert_eq!(status, StatusCode::CREATED, "{registered}");
        let events = people.harness.events().await;
        assert_eq!(events.len(), 1);
        assert_eq!(
            (events[0].1.kind.as_str(), &events[0].1.subject),
            (UserCreated::NAME, &registered["user_id"].as_str().unwrap().to_owned())
        );
        let told: UserCreated = serde_json::from_value(events[0].1.data.clone()).unwrap();
        assert_eq!((json!(told.user_id), told.role), (registered["user_id"].clone(), Role::Client));
        assert!(!events[0].1.data.to_string().contains("xample"), "an event tells an address");

        let tokens = people.log_in(" ada@example.COM ").await;
        let claims = people.claims(&tokens).await;
        assert_eq!(
            (claims.sub.to_string(), claims.role),
            (registered["user_id"].as_str().unwrap().to_owned(), Role::Client)
        );
        assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(900)));
    }

    #[tokio::test]
    async fn of_two_registrations_of_one_address_at_once_one_wins_and_one_hears_that_it_is_taken() {
        let people = People::new().await;
        let (one, two) = tokio::join!(people.register("eve@example.com"), people.register("EVE@example.com"));
        let mut statuses = [one.0, two.0];
        statuses.sort();
        assert_eq!(statuses, [StatusCode::CREATED, StatusCode::CONFLICT]);
        assert_eq!(people.harness.events().await.len(), 1);
    }

    #[tokio::test]
    async fn a_weak_or_malformed_registration_is_refused_with_every_mistake() {
        let people = People::new().await;
        let (status, problem) =
            people.post("users", json!({ "email": "nobody", "password": "short", "name": " " })).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        let pointers: Vec<&str> =
            problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect();
        assert_eq!(pointers, ["#/email", "#/password", "#/name"]);
        let (status, _) = people
            .post("users", json!({ "email": "a@example.com", "password": PASSWORD, "name": "A", "role": "operator" }))
            .await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "nobody gives themselves a role");
    }

    #[tokio::test]
    async fn a_person_logs_in_however_address_and_password_are_spelled() {
        let people = People::new().await;
        let composed = ("jos\u{e9}@ex\u{e4}mple.com", "le caf\u{e9} du march\u{e9}");
        let decomposed = ("JOSE\u{301}@xn--exmple-cua.com", "le\u{a0}cafe\u{301} du\u{3000}marche\u{301}");
        let register =
            |(email, password): (&str, &str)| json!({ "email": email, "password": password, "name": "Jos\u{e9}" });
        let (status, registered) = people.post("users", register(decomposed)).await;
        assert_eq!(status, StatusCode::CREATED, "{registered}");
        let (status, problem) = people.post("users", register(composed)).await;
        assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("email_taken")));
        for (email, password) in [composed, decomposed, (composed.0, decomposed.1), (decomposed.0, composed.1)] {
            let (status, tokens) = people.post("sessions", json!({ "email": email, "password": password })).await;
            assert_eq!(status, StatusCode::OK, "{email} {password}: {tokens}");
        }
        let other = json!({ "email": composed.0, "password": "le cafe du marche" });
        assert_eq!(people.post("sessions", other).await.0, StatusCode::UNAUTHORIZED, "an accent was lost");
    }

    #[tokio::test]
    async fn people_of_all_scripts_register_and_log_in_with_passwords_that_are_counted_in_characters() {
        let people = People::new().await;
        let (japanese, longest) =
            ("\u{3042}\u{3044}\u{3046}\u{3048}".repeat(11), "\u{1f98a}\u{3042}\u{e9}a".repeat(32));
        for (email, password, name) in [
            (
                "abc@\u{905}\u{91c}\u{940}\u{92c}.\u{92d}\u{93e}\u{930}\u{924}",
                japanese.as_str(),
                "\u{905}\u{91c}\u{940}\u{924}",
            ),
            ("x@i\u{2764}.ws", longest.as_str(), "\u{6797}"),
            (
                "\u{7528}\u{6237}@\u{4f8b}\u{5b50}.\u{6d4b}\u{8bd5}",
                PASSWORD,
                "\u{639}\u{644}\u{6cc}\u{200c}\u{631}\u{636}\u{627}",
            ),
        ] {
            let body = json!({ "email": email, "password": password, "name": name });
            let (status, answer) = people.post("users", body).await;
            assert_eq!(status, StatusCode::CREATED, "{email}: {answer}");
            let (status, answer) = people.post("sessions", json!({ "email": email, "password": password })).await;
            assert_eq!(status, StatusCode::OK, "{email}: {answer}");
        }
        let longer = json!({ "email": "a@example.com", "password": format!("{longest}a"), "name": "A" });
        let (status, problem) = people.post("users", longer).await;
        assert_eq!(
            (status, &problem["errors"][0]["pointer"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!("#/password"))
        );
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_seen_is_refused() {
        let people = People::new().await;
        for name in ["\u{200b}", "\u{3164}", "\u{2800}", "Ada\u{202e}ecalevoL", "\u{301}", "Ada\nLovelace", "\u{e0041}"]
        {
            let body = json!({ "email": "ada@example.com", "password": PASSWORD, "name": name });
            let (status, problem) = people.post("users", body).await;
            let pointers = (&problem["errors"][0]["pointer"], &problem["errors"][1]);
            assert_eq!(
                (status, pointers),
                (StatusCode::UNPROCESSABLE_ENTITY, (&json!("#/name"), &Value::Null)),
                "{name:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_wrong_password_and_an_unknown_address_are_answered_alike() {
        let people = People::new().await;
        people.register("ada@example.com").await;
        let wrong =
            people.post("sessions", json!({ "email": "ada@example.com", "password": "something else 1" })).await;
        let unknown = people.post("sessions", json!({ "email": "bob@example.com", "password": PASSWORD })).await;
        assert_eq!(wrong.0, StatusCode::UNAUTHORIZED);
        assert_eq!(wrong, unknown);
        let unstorable = json!({ "email": "ada\u{0}@example.com", "password": PASSWORD });
        assert_eq!(people.post("sessions", unstorable).await, unknown);
    }

    #[tokio::test]
    async fn a_refresh_token_is_good_once_and_its_second_use_ends_the_whole_session() {
        let people = People::new().await;
        people.register("ada@example.com").await;
        let first = people.log_in("ada@example.com").await;
        let elsewhere = people.log_in("ada@example.com").await;
        let (status, second) = people.refresh(&first).await;
        assert_eq!(status, StatusCode::OK);
        assert_ne!(first["refresh_token"], second["refresh_token"]);
        assert_eq!(people.refresh(&first).await.0, StatusCode::UNAUTHORIZED, "an old one was taken");
        assert_eq!(people.refresh(&second).await.0, StatusCode::UNAUTHORIZED, "the thief's session lives on");
        assert_eq!(people.refresh(&elsewhere).await.0, StatusCode::OK, "another session was ended too");
    }

    #[tokio::test]
    async fn a_session_remembers_a_bounded_number_of_refresh_tokens_and_the_last_one_is_good() {
        let people = People::new().await;
        people.register("ada@example.org").await;
        let mut tokens = people.log_in("ada@example.org").await;
        for _ in 0..60 {
            people.clock.advance(TimeDelta::minutes(1));
            let (status, next) = people.refresh(&tokens).await;
            assert_eq!(status, StatusCode::OK);
            tokens = next;
        }
        let kept: i64 =
            sqlx::query_scalar("SELECT count(*) FROM refresh_token").fetch_one(people.harness.pool()).await.unwrap();
        assert_eq!(kept, 48);
    }

    #[tokio::test]
    async fn of_two_simultaneous_uses_of_a_refresh_token_at_most_one_is_answered() {
        let people = People::new().await;
        people.register("ada@example.com").await;
        let tokens = people.log_in("ada@example.com").await;
        let (one, two) = tokio::join!(people.refresh(&tokens), people.refresh(&tokens));
        let answered = [one.0, two.0].iter().filter(|status| **status == StatusCode::OK).count();
        assert_eq!(answered, 1);
    }

    #[tokio::test]
    async fn a_session_ends_with_its_time_however_often_it_was_refreshed() {
        let people = People::new().await;
        people.register("ada@example.com").await;
        let mut tokens = people.log_in("ada@example.com").await;
        people.clock.advance(TimeDelta::days(29));
        tokens = people.refresh(&tokens).await.1;
        people.clock.advance(TimeDelta::days(2));
        assert_eq!(people.refresh(&tokens).await.0, StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn sessions_that_are_long_over_are_forgotten_with_their_tokens_and_no_others() {
        let people = People::new().await;
        people.register("ada@example.com").await;
        let old = people.log_in("ada@example.com").await;
        people.refresh(&old).await;
        people.clock.advance(TimeDelta::days(2));
        let young = people.log_in("ada@example.com").await;
        people.clock.advance(TimeDelta::days(28));
        assert_eq!(people.harness.prune().await, 0, "its hour is over, but not for long");
        people.clock.advance(TimeDelta::days(1) + TimeDelta::hours(12));
        assert_eq!(people.harness.prune().await, 1);
        let tokens: i64 =
            sqlx::query_scalar("SELECT count(*) FROM refresh_token").fetch_one(people.harness.pool()).await.unwrap();
        assert_eq!(tokens, 1);
        assert_eq!(people.refresh(&young).await.0, StatusCode::OK);
        assert_eq!(people.refresh(&old).await.0, StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn passwords_and_tokens_are_stored_as_hashes_only() {
        let people = People::new().await;
        people.register("ada@example.com").await;
        let tokens = people.log_in("ada@example.com").await;
        let stored: Vec<String> = sqlx::query_scalar(
            "SELECT person::text FROM person UNION ALL SELECT encode(token_hash, 'escape') FROM refresh_token",
        )
        .fetch_all(people.harness.pool())
        .await
        .unwrap();
        let stored = stored.join("\n");
        assert!(stored.contains("$argon2id$"), "{stored}");
        assert!(!stored.contains(PASSWORD) && !stored.contains(tokens["refresh_token"].as_str().unwrap()));
    }

    #[tokio::test]
    async fn a_disabled_persons_sessions_end_and_what_was_issued_before_is_of_an_earlier_generation() {
        let people = People::new().await;
        let (ann, _eve) =
            (people.create("ann@example.com", "operator").await, people.create("eve@example.com", "admin").await);
        let tokens = people.log_in("ann@example.com").await;
        assert_eq!(people.rights(&tokens).await, (Role::Operator, 0));
        assert_eq!(people.get("rights").await, json!([]));
        for _ in 0..2 {
            let (status, disabled) = people.change(&ann, "disable", json!({})).await;
            assert_eq!((status, disabled["disabled_at"].is_string()), (StatusCode::OK, true), "{disabled}");
        }
        assert_eq!(people.refresh(&tokens).await.0, StatusCode::UNAUTHORIZED);
        let login = json!({ "email": "ann@example.com", "password": PASSWORD });
        assert_eq!(people.post("sessions", login).await.1["code"], "login_wrong");
        assert_eq!(
            people.get("rights").await,
            json!([{ "user_id": ann, "generation": 1 }]),
            "a repetition counts once"
        );

        let (_, enabled) = people.change(&ann, "enable", json!({})).await;
        assert_eq!(enabled["disabled_at"], Value::Null);
        assert_eq!(people.refresh(&tokens).await.0, StatusCode::UNAUTHORIZED, "a session came back");
        assert_eq!(people.rights(&people.log_in("ann@example.com").await).await, (Role::Operator, 2));
        people.clock.advance(TimeDelta::hours(1));
        assert_eq!(people.get("rights").await, json!([]), "no token of before can be left");
    }

    #[tokio::test]
    async fn another_role_is_in_the_next_token_of_the_same_session() {
        let people = People::new().await;
        let ann = people.create("ann@example.com", "operator").await;
        let tokens = people.log_in("ann@example.com").await;
        let (status, _) = people.change(&ann, "role", json!({ "role": "viewer" })).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(people.rights(&people.refresh(&tokens).await.1).await, (Role::Viewer, 1));
        let (status, problem) = people.change(&ann, "role", json!({ "role": "root" })).await;
        assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("body_invalid")));
        let (status, problem) = people.change("usr_0192f0c1a2b37c4d8e5f000000000001", "disable", json!({})).await;
        assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("person_unknown")));
    }

    #[tokio::test]
    async fn there_is_always_an_admin_also_when_two_take_each_others_rights_away() {
        let people = People::new().await;
        let one = people.create("one@example.com", "admin").await;
        let (status, problem) = people.change(&one, "role", json!({ "role": "operator" })).await;
        assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("admin_last")));
        let two = people.create("two@example.com", "admin").await;
        let (first, second) =
            tokio::join!(people.change(&one, "disable", json!({})), people.change(&two, "disable", json!({})));
        let mut statuses = [first.0, second.0];
        statuses.sort();
        assert_eq!(statuses, [StatusCode::OK, StatusCode::CONFLICT]);
    }

    #[tokio::test]
    async fn people_are_listed_by_role_and_address_in_pages() {
        let people = People::new().await;
        people.register("client@example.com").await;
        for (email, role) in
            [("ann@example.com", "viewer"), ("bob@example.com", "operator"), ("eve@example.com", "admin")]
        {
            people.create(email, role).await;
        }
        let emails = |page: &Value| -> Vec<String> {
            page["items"].as_array().unwrap().iter().map(|one| one["email"].as_str().unwrap().to_owned()).collect()
        };
        let first = people.get("people?page_size=2").await;
        assert_eq!(emails(&first), ["ann@example.com", "bob@example.com"]);
        let rest =
            people.get(&format!("people?page_size=2&page_token={}", first["next_page_token"].as_str().unwrap())).await;
        assert_eq!((emails(&rest), &rest["next_page_token"]), (vec!["eve@example.com".to_owned()], &Value::Null));
        assert_eq!(emails(&people.get("people?role=client").await), ["client@example.com"]);
        assert_eq!(emails(&people.get("people?email=BOB@example.com").await), ["bob@example.com"]);
        let shown = people.get(&format!("people/{}", rest["items"][0]["user_id"].as_str().unwrap())).await;
        assert_eq!(shown, rest["items"][0]);
    }

    #[tokio::test]
    async fn production_does_not_start_while_a_person_of_the_demonstration_has_the_public_password() {
        let mut people = People::new().await;
        people.settings.demo_password = SecretString::from(worker_user::DEVELOPMENT_DEMO_PASSWORD);
        let stranger = people.register("Operator@sojourn.example").await;
        assert_eq!(
            (stranger.0, &stranger.1["errors"][0]["pointer"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!("#/email"))
        );
        assert_eq!(people.begin(true).await, Ok(()));
        people.begin(false).await.unwrap();
        people.begin(false).await.unwrap();
        let refused = people.begin(true).await.unwrap_err();
        assert!(refused.contains("admin@sojourn.example has the public password"), "{refused}");

        people.create("eve@example.com", "admin").await;
        for role in ["client", "viewer", "operator", "admin"] {
            let found = people.get(&format!("people?email={role}@sojourn.example&role={role}")).await;
            let id = found["items"][0]["user_id"].as_str().unwrap();
            assert_eq!(people.change(id, "disable", json!({})).await.0, StatusCode::OK);
        }
        assert_eq!(people.begin(true).await, Ok(()));
    }
}

//! People and their sessions.

use axum::http::StatusCode;
use chrono::TimeDelta;
use contract::{
    Event,
    user::{Claims, Role, TOKEN_AUDIENCE, TOKEN_ISSUER, UserCreated},
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::house::{House, PASSWORD, claims};

async fn register(house: &House, email: &str) -> (StatusCode, Value) {
    house.post("users", json!({ "email": email, "password": PASSWORD, "name": "Ada" })).await
}

/// The claims of an access token, checked as every part checks them.
async fn verified(house: &House, tokens: &Value) -> Claims {
    let token = tokens["access_token"].as_str().unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    let keys: JwkSet = serde_json::from_value(house.get("jwks").await).unwrap();
    let key = DecodingKey::from_jwk(keys.find(header.kid.as_deref().unwrap()).unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&[TOKEN_AUDIENCE]);
    validation.set_issuer(&[TOKEN_ISSUER]);
    jsonwebtoken::decode::<Claims>(token, &key, &validation).unwrap().claims
}

/// The role and the generation of an access token.
fn rights(tokens: &Value) -> (Role, u32) {
    let claims = claims(tokens);
    (claims.role, claims.generation)
}

#[tokio::test]
async fn a_registration_is_announced_and_can_log_in_with_a_token_that_verifies() {
    let house = House::open().await;
    let (status, registered) = register(&house, "Ada@Example.com").await;
    assert_eq!(status, StatusCode::CREATED, "{registered}");
    let events = house.harness.events().await;
    assert_eq!(events.len(), 1);
    assert_eq!(
        (events[0].1.kind.as_str(), &events[0].1.subject),
        (UserCreated::NAME, &registered["user_id"].as_str().unwrap().to_owned())
    );
    let told: UserCreated = serde_json::from_value(events[0].1.data.clone()).unwrap();
    assert_eq!((json!(told.user_id), told.role), (registered["user_id"].clone(), Role::Client));
    assert!(!events[0].1.data.to_string().contains("xample"), "an event tells an address");

    let tokens = house.log_in(" ada@example.COM ").await;
    let claims = verified(&house, &tokens).await;
    assert_eq!(
        (claims.sub.to_string(), claims.role),
        (registered["user_id"].as_str().unwrap().to_owned(), Role::Client)
    );
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(900)));
}

#[tokio::test]
async fn of_two_registrations_of_one_address_at_once_one_wins_and_one_hears_that_it_is_taken() {
    let house = House::open().await;
    let (one, two) = tokio::join!(register(&house, "eve@example.com"), register(&house, "EVE@example.com"));
    let mut statuses = [one.0, two.0];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::CREATED, StatusCode::CONFLICT]);
    assert_eq!(house.harness.events().await.len(), 1);
}

#[tokio::test]
async fn a_weak_or_malformed_registration_is_refused_with_every_mistake() {
    let house = House::open().await;
    let (status, problem) = house.post("users", json!({ "email": "nobody", "password": "short", "name": " " })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let pointers: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["#/email", "#/password", "#/name"]);
    let (status, _) = house
        .post("users", json!({ "email": "a@example.com", "password": PASSWORD, "name": "A", "role": "operator" }))
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "nobody gives themselves a role");
}

#[tokio::test]
async fn a_person_logs_in_however_address_and_password_are_spelled() {
    let house = House::open().await;
    let composed = ("jos\u{e9}@ex\u{e4}mple.com", "le caf\u{e9} du march\u{e9}");
    let decomposed = ("JOSE\u{301}@xn--exmple-cua.com", "le\u{a0}cafe\u{301} du\u{3000}marche\u{301}");
    let register =
        |(email, password): (&str, &str)| json!({ "email": email, "password": password, "name": "Jos\u{e9}" });
    let (status, registered) = house.post("users", register(decomposed)).await;
    assert_eq!(status, StatusCode::CREATED, "{registered}");
    let (status, problem) = house.post("users", register(composed)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("email_taken")));
    for (email, password) in [composed, decomposed, (composed.0, decomposed.1), (decomposed.0, composed.1)] {
        let (status, tokens) = house.post("sessions", json!({ "email": email, "password": password })).await;
        assert_eq!(status, StatusCode::OK, "{email} {password}: {tokens}");
    }
    let other = json!({ "email": composed.0, "password": "le cafe du marche" });
    assert_eq!(house.post("sessions", other).await.0, StatusCode::UNAUTHORIZED, "an accent was lost");
}

#[tokio::test]
async fn people_of_all_scripts_register_and_log_in_with_passwords_that_are_counted_in_characters() {
    let house = House::open().await;
    let (japanese, longest) = ("\u{3042}\u{3044}\u{3046}\u{3048}".repeat(11), "\u{1f98a}\u{3042}\u{e9}a".repeat(32));
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
        let (status, answer) = house.post("users", body).await;
        assert_eq!(status, StatusCode::CREATED, "{email}: {answer}");
        let (status, answer) = house.post("sessions", json!({ "email": email, "password": password })).await;
        assert_eq!(status, StatusCode::OK, "{email}: {answer}");
    }
    let longer = json!({ "email": "a@example.com", "password": format!("{longest}a"), "name": "A" });
    let (status, problem) = house.post("users", longer).await;
    assert_eq!((status, &problem["errors"][0]["pointer"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("#/password")));
}

#[tokio::test]
async fn a_name_that_cannot_be_seen_is_refused() {
    let house = House::open().await;
    for name in ["\u{200b}", "\u{3164}", "\u{2800}", "Ada\u{202e}ecalevoL", "\u{301}", "Ada\nLovelace", "\u{e0041}"] {
        let body = json!({ "email": "ada@example.com", "password": PASSWORD, "name": name });
        let (status, problem) = house.post("users", body).await;
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
    let house = House::open().await;
    register(&house, "ada@example.com").await;
    let wrong = house.post("sessions", json!({ "email": "ada@example.com", "password": "something else 1" })).await;
    let unknown = house.post("sessions", json!({ "email": "bob@example.com", "password": PASSWORD })).await;
    assert_eq!(wrong.0, StatusCode::UNAUTHORIZED);
    assert_eq!(wrong, unknown);
    let unstorable = json!({ "email": "ada\u{0}@example.com", "password": PASSWORD });
    assert_eq!(house.post("sessions", unstorable).await, unknown);
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_its_second_use_ends_the_whole_session() {
    let house = House::open().await;
    register(&house, "ada@example.com").await;
    let first = house.log_in("ada@example.com").await;
    let elsewhere = house.log_in("ada@example.com").await;
    let (status, second) = house.refresh(&first).await;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_eq!(house.refresh(&first).await.0, StatusCode::UNAUTHORIZED, "an old one was taken");
    assert_eq!(house.refresh(&second).await.0, StatusCode::UNAUTHORIZED, "the thief's session lives on");
    assert_eq!(house.refresh(&elsewhere).await.0, StatusCode::OK, "another session was ended too");
}

#[tokio::test]
async fn a_session_remembers_a_bounded_number_of_refresh_tokens_and_the_last_one_is_good() {
    let house = House::open().await;
    register(&house, "ada@example.org").await;
    let mut tokens = house.log_in("ada@example.org").await;
    for _ in 0..60 {
        house.later(TimeDelta::minutes(1));
        let (status, next) = house.refresh(&tokens).await;
        assert_eq!(status, StatusCode::OK);
        tokens = next;
    }
    let kept: i64 =
        sqlx::query_scalar("SELECT count(*) FROM refresh_token").fetch_one(house.harness.pool()).await.unwrap();
    assert_eq!(kept, 48);
}

#[tokio::test]
async fn of_two_simultaneous_uses_of_a_refresh_token_at_most_one_is_answered() {
    let house = House::open().await;
    register(&house, "ada@example.com").await;
    let tokens = house.log_in("ada@example.com").await;
    let (one, two) = tokio::join!(house.refresh(&tokens), house.refresh(&tokens));
    let answered = [one.0, two.0].iter().filter(|status| **status == StatusCode::OK).count();
    assert_eq!(answered, 1);
}

#[tokio::test]
async fn a_session_ends_with_its_time_however_often_it_was_refreshed() {
    let house = House::open().await;
    register(&house, "ada@example.com").await;
    let mut tokens = house.log_in("ada@example.com").await;
    house.later(TimeDelta::days(29));
    tokens = house.refresh(&tokens).await.1;
    house.later(TimeDelta::days(2));
    assert_eq!(house.refresh(&tokens).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn sessions_that_are_long_over_are_forgotten_with_their_tokens_and_no_others() {
    let house = House::open().await;
    register(&house, "ada@example.com").await;
    let old = house.log_in("ada@example.com").await;
    house.refresh(&old).await;
    house.later(TimeDelta::days(2));
    let young = house.log_in("ada@example.com").await;
    house.later(TimeDelta::days(28));
    assert_eq!(house.harness.prune().await, 0, "its hour is over, but not for long");
    house.later(TimeDelta::days(1) + TimeDelta::hours(12));
    assert_eq!(house.harness.prune().await, 1);
    let tokens: i64 =
        sqlx::query_scalar("SELECT count(*) FROM refresh_token").fetch_one(house.harness.pool()).await.unwrap();
    assert_eq!(tokens, 1);
    assert_eq!(house.refresh(&young).await.0, StatusCode::OK);
    assert_eq!(house.refresh(&old).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn passwords_and_tokens_are_stored_as_hashes_only() {
    let house = House::open().await;
    register(&house, "ada@example.com").await;
    let tokens = house.log_in("ada@example.com").await;
    let stored: Vec<String> = sqlx::query_scalar(
        "SELECT person::text FROM person UNION ALL SELECT encode(token_hash, 'escape') FROM refresh_token",
    )
    .fetch_all(house.harness.pool())
    .await
    .unwrap();
    let stored = stored.join("\n");
    assert!(stored.contains("$argon2id$"), "{stored}");
    assert!(!stored.contains(PASSWORD) && !stored.contains(tokens["refresh_token"].as_str().unwrap()));
}

#[tokio::test]
async fn a_disabled_persons_sessions_end_and_what_was_issued_before_is_of_an_earlier_generation() {
    let house = House::open().await;
    let (ann, _eve) =
        (house.create("ann@example.com", "operator").await, house.create("eve@example.com", "admin").await);
    let tokens = house.log_in("ann@example.com").await;
    assert_eq!(rights(&tokens), (Role::Operator, 0));
    assert_eq!(house.get("rights").await, json!([]));
    for _ in 0..2 {
        let (status, disabled) = house.change(&ann, "disable", json!({})).await;
        assert_eq!((status, disabled["disabled_at"].is_string()), (StatusCode::OK, true), "{disabled}");
    }
    assert_eq!(house.refresh(&tokens).await.0, StatusCode::UNAUTHORIZED);
    let login = json!({ "email": "ann@example.com", "password": PASSWORD });
    assert_eq!(house.post("sessions", login).await.1["code"], "login_wrong");
    assert_eq!(house.get("rights").await, json!([{ "user_id": ann, "generation": 1 }]), "a repetition counts once");

    let (_, enabled) = house.change(&ann, "enable", json!({})).await;
    assert_eq!(enabled["disabled_at"], Value::Null);
    assert_eq!(house.refresh(&tokens).await.0, StatusCode::UNAUTHORIZED, "a session came back");
    assert_eq!(rights(&house.log_in("ann@example.com").await), (Role::Operator, 2));
    house.later(TimeDelta::hours(1));
    assert_eq!(house.get("rights").await, json!([]), "no token of before can be left");
}

#[tokio::test]
async fn another_role_is_in_the_next_token_of_the_same_session() {
    let house = House::open().await;
    let ann = house.create("ann@example.com", "operator").await;
    let tokens = house.log_in("ann@example.com").await;
    let (status, _) = house.change(&ann, "role", json!({ "role": "viewer" })).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(rights(&house.refresh(&tokens).await.1), (Role::Viewer, 1));
    let (status, problem) = house.change(&ann, "role", json!({ "role": "root" })).await;
    assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("body_invalid")));
    let (status, problem) = house.change("usr_0192f0c1a2b37c4d8e5f000000000001", "disable", json!({})).await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("person_unknown")));
}

#[tokio::test]
async fn there_is_always_an_admin_also_when_two_take_each_others_rights_away() {
    let house = House::open().await;
    let one = house.create("one@example.com", "admin").await;
    let (status, problem) = house.change(&one, "role", json!({ "role": "operator" })).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("admin_last")));
    let two = house.create("two@example.com", "admin").await;
    let (first, second) =
        tokio::join!(house.change(&one, "disable", json!({})), house.change(&two, "disable", json!({})));
    let mut statuses = [first.0, second.0];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::OK, StatusCode::CONFLICT]);
}

#[tokio::test]
async fn people_are_listed_by_role_and_address_in_pages() {
    let house = House::open().await;
    register(&house, "client@example.com").await;
    for (email, role) in [("ann@example.com", "viewer"), ("bob@example.com", "operator"), ("eve@example.com", "admin")]
    {
        house.create(email, role).await;
    }
    let emails = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|one| one["email"].as_str().unwrap().to_owned()).collect()
    };
    let first = house.get("people?page_size=2").await;
    assert_eq!(emails(&first), ["ann@example.com", "bob@example.com"]);
    let rest =
        house.get(&format!("people?page_size=2&page_token={}", first["next_page_token"].as_str().unwrap())).await;
    assert_eq!((emails(&rest), &rest["next_page_token"]), (vec!["eve@example.com".to_owned()], &Value::Null));
    assert_eq!(emails(&house.get("people?role=client").await), ["client@example.com"]);
    assert_eq!(emails(&house.get("people?email=BOB@example.com").await), ["bob@example.com"]);
    let shown = house.get(&format!("people/{}", rest["items"][0]["user_id"].as_str().unwrap())).await;
    assert_eq!(shown, rest["items"][0]);
}

#[tokio::test]
async fn production_does_not_start_while_a_person_of_the_demonstration_has_the_public_password() {
    let mut house = House::open().await;
    house.settings.demo_password = SecretString::from(worker_user::DEVELOPMENT_DEMO_PASSWORD);
    let stranger = register(&house, "Operator@sojourn.example").await;
    assert_eq!(
        (stranger.0, &stranger.1["errors"][0]["pointer"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("#/email"))
    );
    assert_eq!(house.begin(true).await, Ok(()));
    house.begin(false).await.unwrap();
    house.begin(false).await.unwrap();
    let refused = house.begin(true).await.unwrap_err();
    assert!(refused.contains("admin@sojourn.example has the public password"), "{refused}");

    house.create("eve@example.com", "admin").await;
    for role in ["client", "viewer", "operator", "admin"] {
        let found = house.get(&format!("people?email={role}@sojourn.example&role={role}")).await;
        let id = found["items"][0]["user_id"].as_str().unwrap();
        assert_eq!(house.change(id, "disable", json!({})).await.0, StatusCode::OK);
    }
    assert_eq!(house.begin(true).await, Ok(()));
}

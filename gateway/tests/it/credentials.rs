//! Passwords and second factors at the door: whose they are, how often they are guessed at, and what a person without a
//! second factor may do.

use contract::user::Role;
use kit::clock::Clock as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    house::{House, Said},
    keys::{claims, user},
    parts::credentials::PAUSED_CODE,
};

const RIGHT: &str = "correct horse battery";
const CODE: &str = "492039";

/// Calls in the name of user 7.
async fn post(house: &House, role: Role, path: &str, body: &Value) -> Said {
    let token = house.key.token(user(7), role, house.clock.now());
    Said::of(house.http.post(house.url(path)).bearer_auth(token).json(body)).await
}

#[tokio::test]
async fn people_change_what_they_log_in_with_and_nobody_elses() {
    let house = House::open().await;
    let change = json!({ "password": RIGHT, "new_password": "another long passphrase" });
    for (path, body) in [
        ("/v1/auth/password", &change),
        ("/v1/auth/second-factor", &json!({ "password": RIGHT })),
        ("/v1/auth/second-factor/confirm", &json!({ "code": CODE })),
        ("/v1/auth/second-factor/recovery-codes", &json!({ "password": RIGHT, "code": CODE })),
        ("/v1/auth/second-factor/remove", &json!({ "password": RIGHT, "code": CODE })),
    ] {
        assert_eq!(post(&house, Role::Client, path, body).await.status, 200, "{path}");
        assert_eq!(Said::of(house.http.post(house.url(path)).json(body)).await.code(), "token_missing", "{path}");
        let odd = post(&house, Role::Client, path, &json!({ "user_id": user(8) })).await;
        assert_eq!((odd.status, odd.code().as_str()), (422, "body_invalid"), "{path}");
    }
    let asked = house.parts.memory().asked.clone();
    let of_seven = format!("POST /internal/user/people/{}/", user(7));
    assert_eq!(
        asked.iter().filter(|asked| asked.contains("/people/")).filter(|asked| !asked.starts_with(&of_seven)).count(),
        0
    );

    let reset = json!({ "email": "a@b.org", "code": "7H2K-M4QX-0TWD-9RZB", "new_password": "another long passphrase" });
    assert_eq!(Said::of(house.http.post(house.url("/v1/auth/password/reset")).json(&reset)).await.status, 204);
}

#[tokio::test]
async fn each_wrong_password_or_code_too_many_costs_a_wait() {
    let house = House::open().await;
    let wrong = json!({ "password": "not this one", "new_password": "another long passphrase" });
    for _ in 0..5 {
        let refused = post(&house, Role::Operator, "/v1/auth/password", &wrong).await;
        assert_eq!((refused.status, refused.code().as_str()), (403, "password_wrong"));
    }
    let right = json!({ "password": RIGHT, "new_password": "another long passphrase" });
    let paused = post(&house, Role::Operator, "/v1/auth/password", &right).await;
    assert_eq!((paused.status, paused.code().as_str(), paused.header("retry-after")), (429, "login_paused", "1"));
    // It is the same tally for whatever the person shows.
    let code = post(&house, Role::Operator, "/v1/auth/second-factor/confirm", &json!({ "code": CODE })).await;
    assert_eq!(code.code(), "login_paused");

    let guess = json!({ "email": "a@b.org", "code": "0000-0000-0000-0000", "new_password": "another long passphrase" });
    let guess = async || Said::of(house.http.post(house.url("/v1/auth/password/reset")).json(&guess)).await.code();
    for _ in 0..5 {
        assert_eq!(guess().await, "reset_code_wrong");
    }
    assert_eq!(guess().await, "login_paused");
}

#[tokio::test]
async fn how_long_no_code_is_looked_at_is_told_to_the_second() {
    let house = House::open().await;
    let renewal = json!({ "password": RIGHT, "code": PAUSED_CODE });
    let paused = post(&house, Role::Operator, "/v1/auth/second-factor/recovery-codes", &renewal).await;
    let told = (paused.status, paused.code(), paused.header("retry-after").to_owned());
    assert_eq!(told, (429, "second_factor_paused".to_owned(), "901".to_owned()));
}

#[tokio::test]
async fn who_has_no_second_factor_yet_looks_and_does_not_act() {
    let house = House::open().await;
    let mut told = claims(user(7), Role::Admin, house.clock.now());
    told["second_factor_missing"] = json!(true);
    let token = house.key.sign(&house.key.header(), &told);
    let ask = async |method: Method, path: &str, body: &Value| {
        Said::of(house.http.request(method, house.url(path)).bearer_auth(&token).json(body)).await
    };
    let because = json!({ "reason": "a test says so" });
    assert_eq!(Said::of(house.http.get(house.url("/ops/api/sagas?page_size=1")).bearer_auth(&token)).await.status, 200);
    for (method, path) in [(Method::POST, "/ops/api/echo/x"), (Method::POST, "/ops/api/people")] {
        let refused = ask(method, path, &because).await;
        assert_eq!((refused.status, refused.code().as_str()), (403, "second_factor_missing"), "{path}");
    }
    let begun = ask(Method::POST, "/v1/auth/second-factor", &json!({ "password": RIGHT })).await;
    assert_eq!(begun.status, 200, "the way to one is open");
    told["second_factor_missing"] = json!(false);
    let token = house.key.sign(&house.key.header(), &told);
    let acted = Said::of(house.http.post(house.url("/ops/api/echo/x")).bearer_auth(&token).json(&because)).await;
    assert_eq!(acted.status, 418);
}

#[tokio::test]
async fn admins_help_others_and_their_help_is_written_down() {
    let house = House::open().await;
    let because = json!({ "reason": "has lost the phone" });
    for act in ["reset", "clear-second-factor"] {
        let path = format!("/ops/api/people/{}/{act}", user(9));
        assert_eq!(post(&house, Role::Operator, &path, &because).await.code(), "role_missing", "{act}");
        assert_eq!(post(&house, Role::Admin, &path, &because).await.status, 200, "{act}");
        // A thief of an admin's session would go around what it does not know.
        let own = post(&house, Role::Admin, &format!("/ops/api/people/{}/{act}", user(7)), &because).await;
        assert_eq!((own.status, own.code().as_str()), (409, "person_own"), "{act}");
    }
    let ann = user(9);
    assert_eq!(
        house.parts.memory().people.audited,
        [
            format!("admin reset_password {ann}: asked, has lost the phone"),
            format!("admin reset_password {ann}: done to 1, has lost the phone"),
            format!("admin clear_second_factor {ann}: asked, has lost the phone"),
            format!("admin clear_second_factor {ann}: done to 3, has lost the phone"),
        ]
    );
}

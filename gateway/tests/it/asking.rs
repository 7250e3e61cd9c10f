//! Callers: tokens, roles, keys, registrations.

use std::fmt::Write as _;

use chrono::TimeDelta;
use contract::{Route, user::Role};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use kit::clock::Clock as _;
use serde_json::json;

use crate::{
    house::{FAR_TOO_LONG, House, Said},
    keys::{Key, claims, user},
};

const PATH: &str = "/v1/orders";

/// The head of a token that says it needs no signature: `{"alg":"none","typ":"at+jwt","kid":"key-1"}`.
const NO_ALGORITHM: &str = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0Iiwia2lkIjoia2V5LTEifQ";

async fn with_token(house: &House, token: &str) -> Said {
    Said::of(house.http.get(house.url(PATH)).bearer_auth(token)).await
}

#[tokio::test]
async fn every_kind_of_bad_token_is_refused_with_a_challenge() {
    let house = House::open().await;
    let (key, now) = (&house.key, house.clock.now());
    let good = || claims(user(1), Role::Client, now);
    let with = |name: &str, value: serde_json::Value| {
        let mut claims = good();
        claims[name] = value;
        key.sign(&key.header(), &claims)
    };
    let with_header = |change: fn(&mut Header)| {
        let mut header = key.header();
        change(&mut header);
        key.sign(&header, &good())
    };
    let stranger = Key::new("key-1");
    let hmac = {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some("key-1".into());
        header.typ = Some("at+jwt".into());
        // The classic confusion: the public key used as a MAC's secret.
        let public = serde_json::to_vec(&key.public).unwrap();
        jsonwebtoken::encode(&header, &good(), &EncodingKey::from_secret(&public)).unwrap()
    };
    let (left, _) =
        key.token(user(1), Role::Client, now).rsplit_once('.').map(|(l, r)| (l.to_owned(), r.to_owned())).unwrap();
    let cases = [
        ("nonsense", "nonsense".to_owned()),
        ("no signature", format!("{left}.")),
        ("no algorithm", format!("{NO_ALGORITHM}.{}.", left.split('.').nth(1).unwrap())),
        ("another key under the same name", stranger.token(user(1), Role::Client, now)),
        ("an unknown key", Key::new("key-9").token(user(1), Role::Client, now)),
        ("no key named", with_header(|header| header.kid = None)),
        ("another type", with_header(|header| header.typ = Some("JWT".into()))),
        ("no type", with_header(|header| header.typ = None)),
        ("a critical extension", with_header(|header| header.crit = Some(vec!["b64".into()]))),
        ("a MAC with the public key", hmac),
        ("expired", with("exp", json!((now - TimeDelta::seconds(6)).timestamp()))),
        ("not yet valid", with("nbf", json!((now + TimeDelta::seconds(60)).timestamp()))),
        ("issued in the future", with("iat", json!((now + TimeDelta::seconds(60)).timestamp()))),
        ("another issuer", with("iss", json!("somebody"))),
        ("another audience", with("aud", json!("something"))),
        ("an unknown role", with("role", json!("root"))),
        ("no person", with("sub", json!("ord_1"))),
        ("an absurd time", with("exp", json!(i64::MIN))),
        ("too long", "a".repeat(5000)),
    ];
    let mut table = String::new();
    for (name, token) in cases {
        let said = with_token(&house, &token).await;
        writeln!(table, "{name}: {} {} | {}", said.status, said.code(), said.header("www-authenticate")).unwrap();
    }
    insta::assert_snapshot!(table);
    assert_eq!(with_token(&house, &key.token(user(1), Role::Client, now)).await.status, 200);
    // Clocks may differ a little.
    assert_eq!(with_token(&house, &with("exp", json!((now - TimeDelta::seconds(2)).timestamp()))).await.status, 200);
}

#[tokio::test]
async fn a_missing_or_doubled_authorization_is_refused() {
    let house = House::open().await;
    let none = Said::of(house.http.get(house.url(PATH))).await;
    insta::assert_snapshot!("missing_token", none.shown());
    let basic = Said::of(house.http.get(house.url(PATH)).basic_auth("me", Some("secret"))).await;
    assert_eq!((basic.status, basic.code().as_str()), (401, "token_invalid"));
    let token = house.client_token(1);
    let twice = Said::of(house.http.get(house.url(PATH)).bearer_auth(&token).bearer_auth(&token)).await;
    assert_eq!((twice.status, twice.code().as_str()), (401, "token_invalid"));
}

#[tokio::test]
async fn keys_are_kept_while_the_user_service_is_away() {
    let mut house = House::open().await;
    house.workers.take().unwrap().stop().await;
    let said = Said::of(house.request(reqwest::Method::GET, &format!("/v1/operations/saga_{:032x}", 1))).await;
    // The token is verified; the orchestrator knows no such operation.
    assert_eq!((said.status, said.code().as_str()), (404, "operation_unknown"));
    let keys = Said::of(house.http.get(house.url("/.well-known/jwks.json"))).await;
    assert_eq!((keys.status, keys.json()["keys"][0]["kid"].as_str()), (200, Some("key-1")));
    assert_eq!(keys.header("cache-control"), "public, max-age=300");
    // A key that was made since: whether it is good can only the user service tell. That it is away is noticed with
    // the first question after the last one's interval, which runs on the real clock.
    let newer = Key::new("key-2").token(user(1), Role::Client, house.clock.now());
    let deadline = tokio::time::Instant::now() + FAR_TOO_LONG;
    let mut told = with_token(&house, &newer).await;
    while told.status == 401 {
        assert!(tokio::time::Instant::now() < deadline, "the user service was never asked");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        told = with_token(&house, &newer).await;
    }
    assert_eq!((told.status, told.code().as_str()), (503, "service_unavailable"));
    assert_eq!(with_token(&house, &newer).await.status, 503, "the question is not repeated at once, nor forgotten");
}

#[tokio::test]
async fn without_any_keys_tokens_cannot_be_verified_yet() {
    let house = House::without(Route::User).await;
    let said = with_token(&house, &house.client_token(1)).await;
    assert_eq!((said.status, said.header("retry-after")), (503, "1"));
    insta::assert_snapshot!("no_keys", said.shown());
}

#[tokio::test]
async fn a_new_key_is_found_but_unknown_names_do_not_flood_the_user_service() {
    let house = House::open().await;
    let asked_before = house.parts.asked_for("/jwks");
    let new = Key::new("key-2");
    let begun = tokio::time::Instant::now();
    for _ in 0..50 {
        let stranger = Key::new("key-9").token(user(1), Role::Client, house.clock.now());
        assert_eq!(with_token(&house, &stranger).await.status, 401);
    }
    let asked = house.parts.asked_for("/jwks") - asked_before;
    assert!(asked as u64 <= 2 + begun.elapsed().as_secs() / 5, "{asked}");

    // The interval runs on the real clock: the new key works as soon as it is over.
    house.parts.memory().keys.push(serde_json::to_value(&new.public).unwrap());
    let token = new.token(user(1), Role::Client, house.clock.now());
    let deadline = tokio::time::Instant::now() + FAR_TOO_LONG;
    while with_token(&house, &token).await.status != 200 {
        assert!(tokio::time::Instant::now() < deadline, "the new key was never asked for");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(with_token(&house, &house.client_token(1)).await.status, 200);
}

#[tokio::test]
async fn registration_and_login_pass_with_their_refusals() {
    let house = House::open().await;
    let post = |path: &str, body: serde_json::Value| Said::of(house.http.post(house.url(path)).json(&body));
    let register = |email: &str| json!({"email": email, "password": "correct horse battery", "name": "Ada"});
    let made = post("/v1/auth/register", register("ada@example.org")).await;
    assert_eq!((made.status, made.json()["user_id"].as_str().is_some()), (201, true));
    let taken = post("/v1/auth/register", register("taken@example.org")).await;
    assert_eq!((taken.status, taken.code().as_str()), (409, "email_taken"));
    let greedy =
        post("/v1/auth/register", json!({"email": "a@b.org", "password": "x", "name": "A", "role": "operator"})).await;
    assert_eq!((greedy.status, greedy.code().as_str()), (422, "body_invalid"));

    let card =
        post("/v1/auth/register", json!({"email": "a@b.org", "password": "x", "name": "4111-1111-1111-1111"})).await;
    assert_eq!((card.status, card.code().as_str()), (422, "card_number_refused"));
    assert_eq!(card.json()["errors"][0]["pointer"], "#/name");
    let hashed = json!({"email": "b@b.org", "password": "4111 1111 1111 1111", "name": "Bo"});
    assert_eq!(post("/v1/auth/register", hashed).await.status, 201);
    let numeric = post("/v1/auth/login", json!({"email": 5, "password": 8_642_013_579_u64})).await;
    assert_eq!((numeric.status, numeric.code().as_str()), (422, "body_invalid"));
    let places: Vec<_> =
        numeric.json()["errors"].as_array().unwrap().iter().map(|error| error["pointer"].clone()).collect();
    assert_eq!(places, ["#/email", "#/password"]);
    assert!(!numeric.body.contains("8642013579"), "{}", numeric.body);

    let right = post("/v1/auth/login", json!({"email": "a@b.org", "password": "correct horse battery"})).await;
    assert_eq!((right.status, right.header("cache-control")), (200, "no-store"));
    assert_eq!(right.json()["token_type"], "Bearer");
    let wrong = post("/v1/auth/login", json!({"email": "a@b.org", "password": "wrong"})).await;
    assert_eq!((wrong.status, wrong.code().as_str()), (401, "login_wrong"));
    let large = post("/v1/auth/login", json!({"email": "a@b.org", "password": "x".repeat(9000)})).await;
    assert_eq!((large.status, large.code().as_str()), (413, "body_too_large"));
}

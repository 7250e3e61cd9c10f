//! Logins without a browser, and the end of logins.

use std::net::IpAddr;

use contract::user::{DeviceDecision, Role};
use kit::clock::Clock as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    house::{House, Said},
    keys::{claims, user},
    parts::people::logins::{CODE, login_id},
};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

async fn form(house: &House, path: &str, form: &[(&str, &str)]) -> Said {
    let body = reqwest::Url::parse_with_params("http://form", form).unwrap();
    let request = house.http.post(house.url(path)).header("content-type", "application/x-www-form-urlencoded");
    Said::of(request.body(body.query().unwrap_or_default().to_owned())).await
}

/// A token of person 77, of the login with this number.
fn token(house: &House, role: Role, login: u128) -> String {
    let mut claims = claims(user(77), role, house.clock.now());
    claims["sid"] = json!(login_id(login));
    house.key.sign(&house.key.header(), &claims)
}

/// The address of the page on which a program is approved that asks with these headers, from a host of this machine.
async fn page(house: &House, host: [u8; 4], headers: &[(&str, &str)]) -> String {
    let http = reqwest::Client::builder().local_address(IpAddr::from(host)).build().unwrap();
    let request = http.post(house.url("/v1/auth/device")).body("client_id=sagactl");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let asked = Said::of(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await;
    assert_eq!(asked.status, 200);
    asked.json()["verification_uri"].as_str().unwrap().to_owned()
}

async fn call(house: &House, method: Method, path: &str, body: Option<Value>) -> Said {
    let request = house.http.request(method, house.url(path)).bearer_auth(token(house, Role::Viewer, 5));
    Said::of(body.into_iter().fold(request, |request, body| request.json(&body))).await
}

#[tokio::test]
async fn only_a_trusted_proxy_says_at_which_host_and_over_tls_or_not_the_page_is() {
    let house = House::with_orchestrators(1, |settings| {
        settings.crowd.trusted_proxies = vec!["127.0.0.9/32".parse().unwrap()];
    })
    .await;
    house.ready().await;
    let told = [("x-forwarded-host", "ops.example"), ("x-forwarded-proto", "https")];
    assert_eq!(page(&house, [127, 0, 0, 9], &told).await, "https://ops.example/ops/device");
    assert_eq!(page(&house, [127, 0, 0, 9], &[]).await, house.url("/ops/device"));
    assert_eq!(page(&house, [127, 0, 0, 3], &told).await, house.url("/ops/device"));
}

#[tokio::test]
async fn a_program_asks_and_is_answered_as_the_rfc_writes_it() {
    let house = House::open().await;
    let asked = form(&house, "/v1/auth/device", &[("client_id", "sagactl"), ("scope", "everything")]).await;
    let page = house.url("/ops/device");
    assert_eq!(
        (asked.status, asked.json(), asked.header("cache-control")),
        (
            200,
            json!({
                "device_code": "dc_of_127.0.0.1", "user_code": CODE, "verification_uri": page,
                "verification_uri_complete": format!("{page}?user_code={CODE}"), "expires_in": 600, "interval": 5,
            }),
            "no-store"
        )
    );
    let crowd = form(&house, "/v1/auth/device", &[("client_id", "crowd")]).await;
    assert_eq!((crowd.status, crowd.code().as_str()), (429, "device_logins_exhausted"));

    let trade = async |word: &str| {
        form(&house, "/v1/auth/device/token", &[("grant_type", GRANT), ("device_code", word), ("client_id", "sagactl")])
            .await
    };
    for word in ["authorization_pending", "slow_down", "access_denied", "expired_token", "invalid_grant"] {
        let refused = trade(word).await;
        let uri = refused.json()["error_uri"].as_str().unwrap().to_owned();
        let told = json!({ "error": word, "error_description": "as the user service says", "error_uri": uri });
        assert_eq!((refused.status, refused.json(), refused.header("content-type")), (400, told, "application/json"));
        assert!(uri.ends_with(word), "{uri}");
    }
    let tokens = trade("approved").await;
    assert_eq!((tokens.status, &tokens.json()["token_type"]), (200, &json!("Bearer")));
}

#[tokio::test]
async fn a_form_that_is_none_of_the_rfc_reaches_nobody() {
    let house = House::open().await;
    let good = [("grant_type", GRANT), ("device_code", "approved"), ("client_id", "sagactl")];
    let but = |place: usize, value: &'static str| {
        let mut form = good.to_vec();
        form[place].1 = value;
        form
    };
    for (wrong, error) in [
        (Vec::new(), "invalid_request"),
        (but(0, "password"), "unsupported_grant_type"),
        (but(1, ""), "invalid_request"),
        (but(2, "two words"), "invalid_request"),
        ([&good[..], &good[1..2]].concat(), "invalid_request"),
    ] {
        let refused = form(&house, "/v1/auth/device/token", &wrong).await;
        assert_eq!((refused.status, refused.json()["error"].as_str()), (400, Some(error)), "{wrong:?}");
    }
    let json = Said::of(house.http.post(house.url("/v1/auth/device")).json(&json!({ "client_id": "sagactl" }))).await;
    assert_eq!((json.status, json.json()["error"].as_str()), (400, Some("invalid_request")));
    assert_eq!(house.parts.asked_for("/internal/user/devices"), 0);
}

#[tokio::test]
async fn a_person_sees_what_waits_and_decides_in_its_own_name() {
    let house = House::open().await;
    let found = call(&house, Method::GET, "/ops/api/device?user_code=wdjbmjht", None).await;
    assert_eq!((found.status, &found.json()["client"]), (200, &json!("sagactl")), "{found:?}");
    for word in ["approve", "deny"] {
        let body = json!({ "user_code": CODE });
        assert_eq!(call(&house, Method::POST, &format!("/ops/api/device/{word}"), Some(body)).await.status, 200);
    }
    let decided = |decision| (user(77), decision);
    let words: Vec<_> =
        house.parts.memory().people.decided.iter().map(|decided| (decided.user_id, decided.decision)).collect();
    assert_eq!(words, [decided(DeviceDecision::Approve), decided(DeviceDecision::Deny)]);

    let stranger = Said::of(house.http.get(house.url("/ops/api/device?user_code=WDJB-MJHT"))).await;
    assert_eq!(stranger.status, 401);
    let client = house.request(Method::GET, "/ops/api/device?user_code=WDJB-MJHT");
    assert_eq!(Said::of(client).await.status, 403);
    assert_eq!(call(&house, Method::GET, "/ops/api/device?user_code=AEIO", None).await.status, 400);
    let wrong = json!({ "user_code": "AEIO" });
    let wrong = call(&house, Method::POST, "/ops/api/device/approve", Some(wrong)).await;
    assert_eq!((wrong.status, wrong.code().as_str()), (422, "body_invalid"));
}

#[tokio::test]
async fn wrong_codes_are_counted_by_person_and_right_ones_are_not() {
    let house = House::open().await;
    let right = async || call(&house, Method::GET, "/ops/api/device?user_code=WDJB-MJHT", None).await;
    for _ in 0..8 {
        assert_eq!(right().await.status, 200);
    }
    for _ in 0..5 {
        let wrong = call(&house, Method::GET, "/ops/api/device?user_code=BBBB-BBBB", None).await;
        assert_eq!((wrong.status, wrong.code().as_str()), (404, "device_login_unknown"));
    }
    let paused = right().await;
    assert_eq!(
        (paused.status, paused.code().as_str(), paused.header("retry-after")),
        (429, "device_codes_paused", "1")
    );
}

#[tokio::test]
async fn the_page_for_codes_counts_against_its_address() {
    let house = House::with_orchestrators(1, |settings| settings.crowd.logins_per_minute = 9).await;
    house.ready().await;
    let page = async || Said::of(house.http.get(house.url("/ops/device?user_code=BBBB-BBBB"))).await;
    for _ in 0..3 {
        // There is no dashboard in this house.
        assert_eq!(page().await.status, 503);
    }
    let paused = page().await;
    assert_eq!((paused.status, paused.code().as_str()), (429, "rate_exceeded"));
}

#[tokio::test]
async fn an_access_token_is_void_once_its_login_has_ended() {
    let house = House::open().await;
    let listed = call(&house, Method::GET, "/v1/auth/logins", None).await;
    assert_eq!(listed.status, 200, "{listed:?}");
    let of = |place: usize, name: &str| listed.json()["items"][place][name].clone();
    assert_eq!([of(0, "current"), of(0, "client"), of(1, "current")], [json!(true), json!("sagactl"), json!(false)]);

    let other = token(&house, Role::Viewer, 4);
    let as_other = async || Said::of(house.http.get(house.url("/v1/auth/logins")).bearer_auth(&other)).await;
    assert_eq!(as_other().await.status, 200);
    let path = |number| format!("/v1/auth/logins/{}", login_id(number));
    assert_eq!(call(&house, Method::DELETE, &path(4), None).await.status, 204);
    let void = as_other().await;
    assert_eq!((void.status, void.code().as_str()), (401, "token_invalid"));
    let unknown = call(&house, Method::DELETE, &path(9), None).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "login_unknown"));

    // Who logs out needs its refresh token and no other.
    let log_out = async |token: &str| {
        Said::of(house.http.post(house.url("/v1/auth/logout")).json(&json!({ "refresh_token": token }))).await.status
    };
    assert_eq!(log_out("unknown").await, 204);
    assert_eq!(call(&house, Method::GET, "/v1/auth/logins", None).await.status, 200);
    assert_eq!(log_out("r").await, 204);
    assert_eq!(call(&house, Method::GET, "/v1/auth/logins", None).await.status, 401);
}

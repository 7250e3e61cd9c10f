//! Roles at the door, and the people behind them.

use contract::user::{RightsGeneration, Role};
use kit::clock::Clock as _;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{
    house::{House, Said},
    keys::user,
};

fn call(house: &House, role: Role, method: Method, path: &str) -> RequestBuilder {
    let token = house.key.token(user(77), role, house.clock.now());
    house.http.request(method, house.url(path)).bearer_auth(token)
}

async fn post(house: &House, role: Role, path: &str, body: &Value) -> Said {
    Said::of(call(house, role, Method::POST, path).json(body)).await
}

#[tokio::test]
async fn a_role_may_do_what_the_one_before_it_may_and_its_own() {
    let house = House::open().await;
    let because = json!({ "reason": "a test says so" });
    let disable = format!("/ops/api/people/{}/disable", user(9));
    for (role, statuses) in [
        (Role::Client, [403, 403, 403, 403]),
        (Role::Viewer, [200, 403, 403, 403]),
        (Role::Operator, [200, 418, 403, 403]),
        (Role::Admin, [200, 418, 200, 200]),
    ] {
        let read = Said::of(call(&house, role, Method::GET, "/ops/api/sagas?page_size=1")).await;
        let act = post(&house, role, "/ops/api/echo/x", &because).await;
        let people = Said::of(call(&house, role, Method::GET, "/ops/api/people")).await;
        let disabled = post(&house, role, &disable, &because).await;
        assert_eq!([read.status, act.status, people.status, disabled.status], statuses, "{role:?}");
        house.parts.memory().people.rights.clear();
    }
    let me = Said::of(call(&house, Role::Viewer, Method::GET, "/ops/api/whoami")).await;
    assert_eq!((me.status, me.json()["user_id"].clone()), (200, json!(user(77))));
    let refused = Said::of(call(&house, Role::Operator, Method::GET, "/ops/api/people")).await;
    insta::assert_snapshot!("not_an_admin", refused.shown());
}

#[tokio::test]
async fn an_act_on_a_person_is_written_down_before_and_after_it() {
    let house = House::open().await;
    let because = json!({ "reason": "left the agency" });
    let person = json!({
        "email": "ann@example.com", "name": "Ann Li", "password": "a long enough passphrase", "role": "viewer",
        "reason": "audits us",
    });
    let made = post(&house, Role::Admin, "/ops/api/people", &person).await;
    let place = format!("/ops/api/people/{}", user(9));
    assert_eq!(
        (made.status, made.header("location"), made.json()["role"].as_str()),
        (201, place.as_str(), Some("viewer"))
    );
    let disabled = post(&house, Role::Admin, &format!("{place}/disable"), &because).await;
    assert_eq!((disabled.status, disabled.json()["disabled_at"].is_string()), (200, true));
    let last = post(&house, Role::Admin, &format!("/ops/api/people/{}/disable", user(7)), &because).await;
    assert_eq!((last.status, last.code().as_str()), (409, "admin_last"));
    // What cannot be written down is not carried out, and what does not read is not either.
    let silent = post(&house, Role::Admin, &format!("{place}/disable"), &json!({ "reason": "" })).await;
    assert_eq!((silent.status, silent.code().as_str()), (422, "reason_invalid"));
    let root = post(&house, Role::Admin, "/ops/api/people", &json!({ "role": "root", "reason": "why not" })).await;
    assert_eq!((root.status, root.code().as_str()), (422, "body_invalid"));
    let (ann, eve) = (user(9), user(7));
    assert_eq!(
        house.parts.memory().people.audited,
        [
            "admin create people: asked, audits us".to_owned(),
            format!("admin create {ann}: done to 1, audits us"),
            format!("admin disable {ann}: asked, left the agency"),
            format!("admin disable {ann}: done to 3, left the agency"),
            format!("admin disable {eve}: asked, left the agency"),
            format!("admin disable {eve}: admin_last to 5, left the agency"),
        ]
    );
    assert_eq!(house.parts.asked_for("POST /internal/user/people/"), 2);
}

#[tokio::test]
async fn a_token_of_before_a_change_of_rights_is_refused_at_once_where_it_was_made_and_soon_elsewhere() {
    let house = House::open().await;
    let token = house.key.token(user(9), Role::Operator, house.clock.now());
    let ask = async || Said::of(house.http.get(house.url("/ops/api/sagas?page_size=1")).bearer_auth(&token)).await;
    assert_eq!(ask().await.status, 200);
    let because = json!({ "reason": "left the agency" });
    post(&house, Role::Admin, &format!("/ops/api/people/{}/disable", user(9)), &because).await;
    let refused = ask().await;
    assert_eq!((refused.status, refused.code().as_str()), (401, "token_invalid"));

    // Another door has made the change: this one hears of it by itself.
    let other = house.key.token(user(8), Role::Viewer, house.clock.now());
    house.parts.memory().people.rights.push(RightsGeneration { user_id: user(8), generation: 4 });
    let ask =
        async || Said::of(house.http.get(house.url("/ops/api/sagas?page_size=1")).bearer_auth(&other)).await.status;
    let deadline = tokio::time::Instant::now() + crate::house::FAR_TOO_LONG;
    while ask().await != 401 {
        assert!(tokio::time::Instant::now() < deadline, "the token is good still");
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    let mut claims = crate::keys::claims(user(8), Role::Viewer, house.clock.now());
    claims["generation"] = json!(4);
    let token = house.key.sign(&house.key.header(), &claims);
    assert_eq!(Said::of(house.http.get(house.url("/ops/api/sagas?page_size=1")).bearer_auth(&token)).await.status, 200);
}

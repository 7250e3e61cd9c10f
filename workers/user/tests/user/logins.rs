//! Logins without a browser, and the end of logins.

use axum::http::{Method, StatusCode};
use chrono::TimeDelta;
use contract::user::Role;
use serde_json::{Value, json};

use crate::house::{Ann, EMAIL, claims};

impl Ann {
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
        let body = json!({ "user_code": asked["user_code"], "user_id": self.id, "decision": decision });
        self.post("devices/decide", body).await
    }

    async fn trade(&self, asked: &Value) -> (StatusCode, Value) {
        let body = json!({ "device_code": asked["device_code"], "client": "sagactl" });
        self.post("devices/token", body).await
    }

    /// The word with which the trade of a code is refused.
    async fn refused_trade(&self, asked: &Value) -> String {
        let (status, problem) = self.trade(asked).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
        problem["code"].as_str().unwrap().to_owned()
    }

    async fn logins(&self) -> Vec<Value> {
        self.get(&self.own("logins")).await.as_array().unwrap().clone()
    }

    /// The logins whose access tokens are void.
    async fn ended(&self) -> Value {
        self.get("sessions/ended").await
    }
}

#[tokio::test]
async fn an_approved_program_gets_a_login_of_its_own_once() {
    let ann = Ann::at_home().await;
    let browser = ann.log_in(EMAIL).await;
    let asked = ann.ask().await;
    assert_eq!((&asked["expires_in"], &asked["interval"]), (&json!(600), &json!(5)));
    assert_eq!(ann.refused_trade(&asked).await, "authorization_pending");

    let code = asked["user_code"].as_str().unwrap();
    let (status, found) = ann.call(Method::GET, &format!("devices?user_code={code}"), None).await;
    assert_eq!(
        (status, &found["client"], &found["address"]),
        (StatusCode::OK, &json!("sagactl"), &json!("203.0.113.9"))
    );
    assert_eq!(ann.decide(&asked, "approve").await.0, StatusCode::OK);
    ann.later(TimeDelta::seconds(5));
    let (status, tokens) = ann.trade(&asked).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    let (own, of_browser) = (claims(&tokens), claims(&browser));
    assert_eq!((own.sub.to_string(), own.role), (ann.id.clone(), Role::Operator));
    assert_ne!(own.sid, of_browser.sid);
    assert_eq!(ann.refused_trade(&asked).await, "invalid_grant", "a code was traded twice");
    assert_eq!(ann.refresh(&tokens).await.0, StatusCode::OK);
    assert_eq!(ann.refresh(&browser).await.0, StatusCode::OK);
    let waiting: i64 =
        sqlx::query_scalar("SELECT count(*) FROM device_login").fetch_one(ann.harness.pool()).await.unwrap();
    assert_eq!(waiting, 0, "a traded login is still kept");
    let clients: Vec<Value> = ann.logins().await.iter().map(|login| login["client"].clone()).collect();
    assert_eq!(clients, [json!("sagactl"), Value::Null]);
}

#[tokio::test]
async fn who_asks_too_soon_is_slowed_down_for_good() {
    let ann = Ann::at_home().await;
    let asked = ann.ask().await;
    assert_eq!(ann.refused_trade(&asked).await, "authorization_pending");
    ann.later(TimeDelta::seconds(3));
    assert_eq!(ann.refused_trade(&asked).await, "slow_down");
    ann.decide(&asked, "approve").await;
    ann.later(TimeDelta::seconds(5));
    assert_eq!(ann.refused_trade(&asked).await, "slow_down", "the interval is ten seconds by now");
    ann.later(TimeDelta::seconds(15));
    assert_eq!(ann.trade(&asked).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_login_waits_for_ten_minutes_and_is_then_too_late_and_then_forgotten() {
    let ann = Ann::at_home().await;
    let (approved, ignored) = (ann.ask().await, ann.ask().await);
    ann.later(TimeDelta::seconds(599));
    assert_eq!(ann.decide(&approved, "approve").await.0, StatusCode::OK);
    ann.later(TimeDelta::seconds(1));
    assert_eq!(ann.refused_trade(&approved).await, "expired_token");
    assert_eq!(ann.refused_trade(&ignored).await, "expired_token");
    assert_eq!(ann.decide(&ignored, "approve").await.1["code"], "device_login_unknown");
    assert_eq!(ann.harness.prune().await, 0);
    ann.later(TimeDelta::seconds(3_601));
    assert_eq!(ann.harness.prune().await, 2);
    assert_eq!(ann.refused_trade(&approved).await, "invalid_grant");
}

#[tokio::test]
async fn a_denied_program_gets_nothing_and_of_two_words_the_first_counts() {
    let ann = Ann::at_home().await;
    let asked = ann.ask().await;
    let (one, two) = tokio::join!(ann.decide(&asked, "deny"), ann.decide(&asked, "deny"));
    let mut statuses = [one.0, two.0];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::OK, StatusCode::NOT_FOUND]);
    assert_eq!(ann.decide(&asked, "approve").await.1["code"], "device_login_unknown");
    let code = asked["user_code"].as_str().unwrap();
    let found = ann.call(Method::GET, &format!("devices?user_code={code}"), None).await;
    assert_eq!(found.0, StatusCode::NOT_FOUND);
    assert_eq!(ann.refused_trade(&asked).await, "access_denied");
}

#[tokio::test]
async fn of_two_questions_at_once_for_an_approved_login_one_gets_the_tokens() {
    let ann = Ann::at_home().await;
    let asked = ann.ask().await;
    ann.decide(&asked, "approve").await;
    let (one, two) = tokio::join!(ann.trade(&asked), ann.trade(&asked));
    let mut codes = [one, two].map(|(status, answer)| (status, answer["code"].clone().to_string()));
    codes.sort();
    assert_eq!(codes[0].0, StatusCode::OK);
    assert_eq!(codes[1], (StatusCode::BAD_REQUEST, "\"invalid_grant\"".to_owned()));
    assert_eq!(ann.logins().await.len(), 1);
}

#[tokio::test]
async fn an_approval_counts_no_more_once_its_person_is_disabled_or_has_other_rights() {
    let ann = Ann::at_home().await;
    let (disabled, enabled, changed) = (ann.ask().await, ann.ask().await, ann.ask().await);
    for asked in [&disabled, &enabled] {
        assert_eq!(ann.decide(asked, "approve").await.0, StatusCode::OK);
    }
    assert_eq!(ann.change(&ann.id, "disable", json!({})).await.0, StatusCode::OK);
    assert_eq!(ann.refused_trade(&disabled).await, "access_denied");
    assert_eq!(ann.decide(&changed, "approve").await.0, StatusCode::NOT_FOUND, "a disabled person decided");
    assert_eq!(ann.change(&ann.id, "enable", json!({})).await.0, StatusCode::OK);
    assert_eq!(ann.refused_trade(&enabled).await, "access_denied", "the approval came back");

    assert_eq!(ann.decide(&changed, "approve").await.0, StatusCode::OK);
    assert_eq!(ann.change(&ann.id, "role", json!({ "role": "viewer" })).await.0, StatusCode::OK);
    assert_eq!(ann.refused_trade(&changed).await, "access_denied");
    let again = ann.ask().await;
    ann.decide(&again, "approve").await;
    let (_, tokens) = ann.trade(&again).await;
    assert_eq!(claims(&tokens).role, Role::Viewer);
}

#[tokio::test]
async fn another_programs_code_and_unknown_ones_are_worth_nothing() {
    let ann = Ann::at_home().await;
    let asked = ann.ask().await;
    ann.decide(&asked, "approve").await;
    let stolen = json!({ "device_code": asked["device_code"], "client": "another" });
    assert_eq!(ann.post("devices/token", stolen).await.1["code"], "invalid_grant");
    let code = json!({ "device_code": asked["user_code"], "client": "sagactl" });
    assert_eq!(ann.post("devices/token", code).await.1["code"], "invalid_grant");
    assert_eq!(ann.trade(&asked).await.0, StatusCode::OK);
}

#[tokio::test]
async fn one_address_has_a_bounded_number_of_waiting_logins_and_takes_none_from_others() {
    let ann = Ann::at_home().await;
    for _ in 0..20 {
        ann.ask().await;
    }
    let (status, problem) = ann.ask_from("203.0.113.9").await;
    assert_eq!((status, &problem["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("device_logins_exhausted")));
    assert_eq!(ann.ask_from("203.0.113.10").await.0, StatusCode::CREATED);
    ann.later(TimeDelta::seconds(600));
    assert_eq!(ann.ask_from("203.0.113.9").await.0, StatusCode::CREATED);
}

#[tokio::test]
async fn codes_are_stored_as_hashes_only() {
    let ann = Ann::at_home().await;
    let asked = ann.ask().await;
    let rows: Vec<String> =
        sqlx::query_scalar("SELECT encode(device_code_hash, 'escape') || d::text FROM device_login d")
            .fetch_all(ann.harness.pool())
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
    let ann = Ann::at_home().await;
    let (old, other) = (ann.log_in(EMAIL).await, ann.log_in(EMAIL).await);
    let (_, fresh) = ann.refresh(&old).await;
    // Also a token that was used before ends its login.
    for token in [&json!("rt_unknown"), &old["refresh_token"], &old["refresh_token"]] {
        let ended = ann.post("sessions/end", json!({ "refresh_token": token })).await;
        assert_eq!(ended, (StatusCode::NO_CONTENT, Value::Null));
    }
    assert_eq!(ann.refresh(&fresh).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(ann.ended().await, json!([claims(&fresh).sid]));
    assert_eq!(ann.refresh(&other).await.0, StatusCode::OK);
    ann.later(TimeDelta::seconds(21 * 60));
    assert_eq!(ann.ended().await, json!([]), "no access token of it can be left");
}

#[tokio::test]
async fn a_person_sees_its_logins_and_ends_one_and_nobody_elses() {
    let ann = Ann::at_home().await;
    let (first, second) = (ann.log_in(EMAIL).await, ann.log_in(EMAIL).await);
    ann.later(TimeDelta::seconds(60));
    ann.refresh(&first).await;
    let logins = ann.logins().await;
    let ids: Vec<&Value> = logins.iter().map(|login| &login["login_id"]).collect();
    assert_eq!(ids, [&json!(claims(&second).sid), &json!(claims(&first).sid)]);
    assert!(logins[0]["used_at"].as_str() < logins[1]["used_at"].as_str(), "{logins:?}");
    assert_eq!(logins[0]["ends_at"], second["login_ends_at"]);
    let id = ids[1].as_str().unwrap();
    let end = async |person: &str| ann.call(Method::POST, &format!("people/{person}/logins/{id}/end"), None).await.0;
    assert_eq!(end("usr_0192f0c1a2b37c4d8e5f000000000001").await, StatusCode::NOT_FOUND);
    assert_eq!(end(&ann.id).await, StatusCode::NO_CONTENT);
    assert_eq!(end(&ann.id).await, StatusCode::NOT_FOUND);
    assert_eq!(ann.logins().await.len(), 1);
}

//! Acts that cannot be taken back: one operator asks, another one decides.

use serde_json::Value;

use crate::{
    browser::{Browser, quoted},
    places,
};

/// The number beside `Approvals` in the rail.
const WAITING: &str = "document.querySelector(\".rail a[href='/ops/approvals'] .number\").textContent";

/// A saga past its point of no return is given up by two operators: the first one is told that it waits and cannot decide, the second
/// one sees the number in the rail, and has it done.
pub(crate) async fn a_saga_is_given_up_by_two(operator: &Browser, admin: &Browser, stuck: &str) {
    operator.open(&format!("/ops/sagas/{stuck}/acts/abandon")).await;
    operator.until_says(".plan", "A second operator must approve this").await;
    operator.fill("[name=reason]", "the money was given back by hand").await;
    operator.click("button[name=go][value=do]").await;
    let request = asked(operator, stuck, "Abandon").await;
    own_request_is_left_to_another(operator, &request).await;

    admin.open("/ops").await;
    admin.until("one request in the rail", &format!("{WAITING} === '1'")).await;
    admin.click(".rail a[href='/ops/approvals']").await;
    approved(admin, &request, "I have seen the receipt").await;
    admin.until("no request in the rail", &format!("{WAITING} === ''")).await;

    operator.open(&format!("/ops/sagas/{stuck}")).await;
    operator.until_says(".top .head", "abandoned").await;
    operator.open(&format!("/ops/audit?target={stuck}")).await;
    for said in ["approval_awaited", "the money was given back by hand", "I have seen the receipt"] {
        operator.until_says(".rows", said).await;
    }
}

/// Waits until the page of a saga says that an act waits for a second operator; the request's id.
pub(crate) async fn asked(operator: &Browser, saga: &str, act: &str) -> String {
    operator.until_at(&format!("/ops/sagas/{saga}?tab=audit")).await;
    operator.until_says(".top .notice", &format!("{act} waits for a second operator")).await;
    operator.until_says(".rows", "approval_awaited").await;
    let link = operator.attribute(".top .notice a[href^='/ops/approvals#']", "href").await;
    link.split_once('#').unwrap().1.to_owned()
}

/// Approves a request on the page of the requests.
pub(crate) async fn approved(admin: &Browser, request: &str, reason: &str) {
    admin.until_at("/ops/approvals").await;
    admin.fill(&format!("[id='{request}'] [name=reason]"), reason).await;
    admin.click(&format!("[id='{request}'] button.danger")).await;
    admin.until_says(&format!("[id='{request}']"), "approved").await;
    admin.until_says(&format!("[id='{request}'] td"), "done").await;
}

/// Rejects the only request, and nothing is done.
pub(crate) async fn rejected(admin: &Browser, request: &str) {
    admin.open("/ops/approvals").await;
    places::a_blank_reason_is_told(admin, &format!("[id='{request}'] form"), "button.danger").await;
    admin.fill(&format!("[id='{request}'] [name=reason]"), "the sum is right as it is").await;
    admin.click(&format!("[id='{request}'] button[formaction$='/reject']")).await;
    admin.until_says(&format!("[id='{request}']"), "rejected").await;
}

/// Its author finds no form for a request, and a form that is sent all the same is refused.
async fn own_request_is_left_to_another(operator: &Browser, request: &str) {
    operator.click(".top .notice a[href^='/ops/approvals#']").await;
    operator.until_at("/ops/approvals").await;
    operator.until_says(&format!("[id='{request}']"), "You asked for this: another operator decides.").await;
    assert!(!operator.has(&format!("[id='{request}'] form")).await, "{}", operator.text().await);
    let form = "{ method: 'POST', body: new URLSearchParams({ reason: 'I do it myself' }) }";
    let sent = format!("fetch({}, {form})", quoted(&format!("/ops/approvals/{request}/approve")));
    let answer = format!("{sent}.then(async (answer) => `${{answer.status}} ${{await answer.text()}}`)");
    let answer = operator.ask(&answer).await.unwrap();
    let refused = |text: &str| text.starts_with("409 ") && text.contains("approval_own");
    assert!(matches!(&answer, Value::String(text) if refused(text)), "{answer}");
}

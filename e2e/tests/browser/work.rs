//! The day of an operator: from the login over the list to a saga, and an act on it.

use crate::{
    agency::{OPERATOR, PASSWORD},
    browser::Browser,
};

/// The way of every morning: the page that was asked for comes after the login; from the overview to the list, to a saga,
/// and to an act with its plan.
pub(crate) async fn from_the_login_to_an_act(operator: &Browser, stuck: &str) {
    operator.open(&format!("/ops/sagas?q={stuck}")).await;
    operator.until_at(&format!("/ops/login?next=%2Fops%2Fsagas%3Fq%3D{stuck}")).await;
    operator.log_in(OPERATOR, "wrong").await;
    operator.until_says("[role=alert]", "password").await;
    operator.log_in(OPERATOR, PASSWORD).await;
    operator.until_at(&format!("/ops/sagas?q={stuck}")).await;
    operator.until_says("#count", "1 saga").await;
    let number = r#"document.querySelector("[href='/ops/attention'] .number").textContent !== """#;
    operator.until("the rail counts what needs a person", number).await;

    operator.click(".rail a[href='/ops']").await;
    operator.until_says("#live-state", "live").await;
    operator.until_says("section", "Needs attention").await;
    // With the pointer over the rows they stay where they are until they are clicked.
    let row = format!("[aria-labelledby=attention-title] a[href='/ops/sagas/{stuck}']");
    operator.point_at(&row).await;
    operator.click(&row).await;
    operator.until_at(&format!("/ops/sagas/{stuck}")).await;
    operator.until_says(".sentence", "capture-payment").await;

    operator.click(&format!(".acts a[href='/ops/sagas/{stuck}/acts/retry']")).await;
    operator.until_says(".plan", "payment.capture").await;
    operator.until_says(".plan", "cannot be undone").await;
    operator.fill("[name=reason]", "the bank is back").await;
    operator.click("button[name=go][value=do]").await;
    operator.until_at(&format!("/ops/sagas/{stuck}?tab=audit")).await;
    operator.until_says(".rows", "the bank is back").await;
}

/// Two operators see the same plan. The first one acts; the second one is told that the saga has gone on, and acts on
/// nothing that was not seen.
pub(crate) async fn two_operators_on_one_saga(first: &Browser, second: &Browser, stuck: &str) {
    for operator in [first, second] {
        operator.open(&format!("/ops/sagas/{stuck}/acts/retry")).await;
        operator.until_says(".plan", "payment.capture").await;
        operator.fill("[name=reason]", "the client called").await;
    }
    first.click("button[name=go][value=do]").await;
    first.until_at(&format!("/ops/sagas/{stuck}?tab=audit")).await;
    second.click("button[name=go][value=do]").await;
    second.until_says("main", "head_moved").await;
    second.until_says("main", "things stand differently").await;
}

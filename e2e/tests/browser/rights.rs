//! The rights of people: the pages that they see, and the end of their sessions.

use e2e::wait;

use crate::{
    agency::{PASSWORD, VIEWER},
    browser::{Browser, SHOWN_WITHIN},
    places,
};

/// A viewer sees the same saga as an operator, without forms; the traveller is shown to an operator who gives a reason.
pub(crate) async fn a_viewer_sees_no_person_and_no_form(operator: &Browser, viewer: &Browser, saga: &str) {
    let raw = format!("/ops/sagas/{saga}?tab=raw");
    operator.open(&format!("/ops/sagas/{saga}?tab=payloads")).await;
    operator.until_says("main pre", "(masked)").await;
    places::a_blank_reason_is_told(operator, "form[action$='/reveal']", "button").await;
    operator.fill("form[action$='/reveal'] [name=reason]", "the client calls").await;
    operator.click("form[action$='/reveal'] button").await;
    operator.until_says("h1", "with personal fields").await;
    operator.until_says("main pre", "ada@example.com").await;
    viewer.open(&raw).await;
    viewer.until_says("main pre", "(masked)").await;
    let shown = viewer.text().await;
    assert!(!shown.contains("ada@example.com") && !shown.contains("tok_"), "{shown}");
    viewer.open("/ops/domains").await;
    viewer.until_says("main", "Nothing is paused").await;
    assert!(!viewer.has("main form").await, "{}", viewer.text().await);
}

/// An admin ends the logins of a viewer, whose next click leads to the login page, which says why.
pub(crate) async fn a_session_ends_with_the_rights(admin: &Browser, viewer: &Browser) {
    viewer.open("/ops/sagas").await;
    admin.open("/ops/people").await;
    let row =
        format!("[...document.querySelectorAll('main tbody tr')].find((row) => row.innerText.includes('{VIEWER}'))");
    admin.until("the viewer's row", &format!("{row} !== undefined")).await;
    let form = admin.ask(&format!("{row}.querySelector('form[action$=\"/disable\"]').getAttribute('action')")).await;
    let form = format!("form[action='{}']", form.unwrap().as_str().unwrap());
    admin.ask(&format!("{row}.querySelector('details').open = true")).await.unwrap();
    admin.fill(&format!("{form} [name=reason]"), "on leave").await;
    admin.click(&format!("{form} button.danger")).await;
    let ended = format!("{row}?.querySelector('form[action$=\"/enable\"]') != null");
    admin.until("the end of the viewer's logins", &ended).await;

    wait::until("the login page", SHOWN_WITHIN, || async {
        viewer.click(".rail a[href='/ops/sagas'], main button.primary").await;
        let at = viewer.ask("location.pathname").await?;
        if at == "/ops/login" { Ok(()) } else { Err(viewer.text().await) }
    })
    .await;
    viewer.until_says("[role=alert]", "Your session has ended").await;
    viewer.log_in(VIEWER, PASSWORD).await;
    viewer.until("a refused login", "!document.querySelector('[role=alert]').innerText.includes('session')").await;
}

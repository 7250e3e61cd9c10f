//! One act on many sagas, from the list to the result of each.

use crate::{browser::Browser, places};

/// Two sagas are selected in the list, and paused by a job: one first, the other when the operator has looked at it.
pub(crate) async fn two_selected_sagas_are_paused(operator: &Browser, holder: &str) {
    operator.open(&format!("/ops/sagas?q=owner:{holder}")).await;
    operator.until_says("#count", "12 sagas").await;
    operator.until("nothing to act on", "document.querySelector('[data-selected]').disabled").await;
    // The oldest ones, which a job takes first.
    for row in [11, 12] {
        operator.click(&format!("tbody tr:nth-child({row}) [name=id]")).await;
    }
    operator.until_says("[data-selected]", "Act on 2 selected").await;
    operator.click("[data-selected]").await;
    operator.until_says("main", "Selected sagas: 2").await;
    operator.choose("[name=act]", "pause").await;
    operator.click("form[method=get] button").await;
    operator.until_says("h2", "Pause 2 open sagas").await;
    operator.fill("[name=canary]", "1").await;
    operator.fill("[name=reason]", "the airline changes its times").await;
    operator.click("form[method=post] button.primary").await;
    operator.until_says("h1", "Pause 2 sagas").await;
    operator.until_says(".sentence", "1 done, 0 refused, 0 gone, 1 to come.").await;
    operator.until_says(".top .head", "waits for you").await;
    act(operator, "resume", "the first one is well").await;
    operator.until_says(".top .head", "finished").await;
    operator.until_says(".sentence", "2 done, 0 refused, 0 gone, 0 to come.").await;
    operator.click(".tabs a[href='?outcome=done']").await;
    operator.until("two results", "document.querySelectorAll('main a.row').length === 2").await;
    operator.click("main tr:first-child a.row").await;
    operator.until_says(".top .head", "paused").await;
}

/// A job over all that match is slow enough to be paused, goes on, and is aborted; what refused is tried once more.
pub(crate) async fn all_that_match_are_tried_and_stopped(operator: &Browser, holder: &str) {
    operator.open(&format!("/ops/sagas?q=owner:{holder}")).await;
    operator.click(".tools a[href^='/ops/jobs/new']").await;
    operator.until_says("h2", "Retry 12 open sagas").await;
    what_cannot_be_is_told_at_its_field(operator, holder).await;
    operator.fill("[name=pace]", "1").await;
    operator.fill("[name=reason]", "let us see").await;
    operator.click("form[method=post] button.primary").await;
    operator.until_says("h1", "Retry 12 sagas").await;
    act(operator, "pause", "not all at once").await;
    operator.until_says(".top .head", "paused").await;
    act(operator, "resume", "go on").await;
    operator.until_says(".top .head", "running").await;
    operator.until("a refusal", "/[1-9]\\d* refused/.test(document.querySelector('.sentence').innerText)").await;
    places::a_blank_reason_is_told(operator, "main form", "button[formaction$='/abort']").await;
    act(operator, "abort", "enough is seen").await;
    operator.until_says(".top .head", "aborted").await;
    operator.click(".tabs a[href='?outcome=refused']").await;
    operator.until_says("main table:last-of-type", "saga_paused").await;
    let job = operator.ask("location.pathname").await.unwrap();
    act(operator, "rerun", "once more").await;
    operator.until("another job", &format!("location.pathname !== {job}")).await;
    operator.until_says(".top .head", "finished").await;
    operator.until_says(".sentence", "0 to come.").await;
    operator.open("/ops/jobs").await;
    operator.until_says("main .rows", "once more").await;
}

/// Without a term it would be every saga, and a number that is none would be another one. Both are told where they were typed.
async fn what_cannot_be_is_told_at_its_field(operator: &Browser, holder: &str) {
    operator.fill("main [name=q]", " ").await;
    operator.click("form[method=get] button").await;
    operator.until_says("#wrong", "Say which sagas").await;
    operator.until("the field", "document.querySelector('main [name=q]').ariaInvalid === 'true'").await;
    operator.fill("main [name=q]", &format!("owner:{holder}")).await;
    operator.click("form[method=get] button").await;
    operator.until_says("h2", "Retry 12 open sagas").await;
    operator.fill("[name=canary]", "3").await;
    operator.fill("[name=reason]", "let us see").await;
    for pace in ["999999", "500"] {
        operator.fill("[name=pace]", pace).await;
        operator.click("form[method=post] button.primary").await;
        let told = "document.querySelector('[name=pace][aria-invalid=true]')?.value";
        operator.until("the field as it was filled in", &format!("{told} === '{pace}'")).await;
        let kept = "document.querySelector('[name=canary]').value + document.querySelector('[name=reason]').value";
        operator.until("the other fields too", &format!("{kept} === '3let us see'")).await;
    }
    operator.fill("[name=canary]", "").await;
}

/// Changes the state of the job on the screen.
async fn act(operator: &Browser, act: &str, reason: &str) {
    operator.fill("main [name=reason]", reason).await;
    operator.click(&format!("main button[formaction$='/{act}']")).await;
}

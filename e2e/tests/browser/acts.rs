//! Every act on one saga, from its form to what comes of it.

use crate::{
    agency::Agency,
    browser::Browser,
    four_eyes,
    sagas::{Quarantined, Sagas},
};

/// The acts that a saga's page names, in one way or the other.
const ACTS: usize = 13;

/// An act that a saga would not take stands in the menu, with the reason.
pub(crate) async fn an_act_that_is_not_possible_says_why(operator: &Browser, sagas: &Sagas) {
    for (saga, words, why) in [
        (&sagas.completed, "Cancel", "The saga has ended."),
        (&sagas.stuck.seen, "Cancel", "The saga is past its point of no return"),
        (&sagas.waiting.seen, "Let a time come now", "No step waits for a time."),
        (&sagas.waiting.seen, "Migrate", "No other version of its definition could take the saga over."),
    ] {
        operator.open(&format!("/ops/sagas/{saga}")).await;
        let acts = "document.querySelectorAll('.acts > a, .acts .menu li').length";
        operator.until("all acts", &format!("{acts} === {ACTS}")).await;
        operator.click(".acts details summary").await;
        let reason = format!(
            "[...document.querySelectorAll('.acts .menu li')].some((act) =>
                act.innerText.startsWith('{words}') && act.innerText.includes('{why}') && !act.querySelector('a'))"
        );
        operator.until(&format!("why not {words}"), &reason).await;
        let silent = "[...document.querySelectorAll('.acts .menu li')].every((act) =>
            act.querySelector('a, small:not(:empty)') !== null)";
        operator.until("a reason for each", silent).await;
    }
}

/// A reply in the participant's place is written by the fields of its type. A wrong one is told at its field, and what was typed stays.
pub(crate) async fn a_step_is_skipped_with_a_reply(operator: &Browser, stuck: &str) {
    operator.open(&format!("/ops/sagas/{stuck}/acts/edit")).await;
    let payment = operator.attribute("[name='f.payment_id']", "value").await;
    operator.open(&format!("/ops/sagas/{stuck}/acts/skip")).await;
    operator.fill("[name='f.payment_id']", "by phone").await;
    operator.click("button[value=plan]").await;
    operator.until_says("#wrong", "/payment_id").await;
    let told = "document.querySelector(\"[name='f.payment_id'][aria-invalid=true][aria-describedby=wrong]\")?.value";
    operator.until("the field as it was filled in", &format!("{told} === 'by phone'")).await;

    operator.fill("[name='f.payment_id']", &payment).await;
    operator.click("button[value=plan]").await;
    operator.until_says(".plan", "order.record_payment").await;
    do_it(operator, stuck, "taken at the terminal").await;
    operator.open(&format!("/ops/sagas/{stuck}")).await;
    operator.until_says(".top .head", "completed").await;
    operator.until_says(".rows", "outcome given by an operator").await;
}

/// An edit shows each field as it is and as it would be sent. A sum needs a second operator, who may say no.
pub(crate) async fn a_command_is_edited(operator: &Browser, admin: &Browser, stuck: &str) {
    operator.open(&format!("/ops/sagas/{stuck}/acts/edit")).await;
    operator.fill("[name='f.amount']", "a lot").await;
    operator.click("button[value=plan]").await;
    operator.until_says("#wrong", "/amount").await;
    operator
        .until("the field as it was filled in", "document.querySelector(\"[name='f.amount']\").value === 'a lot'")
        .await;
    operator.fill("[name='f.amount']", "1.00").await;
    operator.click("button[value=plan]").await;
    operator.until_says(".plan ins", "1.00").await;
    operator.until_says(".plan", "it changes a sum of money").await;
    operator.fill("[name=reason]", "a smaller sum may pass").await;
    operator.click("button[value=do]").await;
    let request = four_eyes::asked(operator, stuck, "Edit and retry").await;
    four_eyes::rejected(admin, &request).await;

    operator.open(&format!("/ops/sagas/{stuck}/acts/edit")).await;
    // A field that is left out of the command is given as JSON.
    operator.click("a[href$='as=json']").await;
    operator.fill("[name=patch]", "keep_rest: yes").await;
    operator.click("button[value=plan]").await;
    operator.until_says("#wrong", "This is not JSON").await;
    operator
        .until("the text as it was typed", "document.querySelector('[name=patch]').value === 'keep_rest: yes'")
        .await;
    operator.fill("[name=patch]", "{\"keep_rest\": true}").await;
    operator.click("button[value=plan]").await;
    operator.until_says(".plan code", "/keep_rest").await;
    operator.until_says(".plan ins", "true").await;
    do_it(operator, stuck, "the rest is taken later").await;
    operator.open(&format!("/ops/sagas/{stuck}")).await;
    operator.until_says(".rows", "command edited: /keep_rest").await;
}

/// A cancel shows what it undoes before it is done.
pub(crate) async fn a_saga_is_cancelled(operator: &Browser, waiting: &str) {
    operator.open(&format!("/ops/sagas/{waiting}/acts/cancel")).await;
    operator.until_says(".plan", "undoes").await;
    operator.until_says(".plan", "flights.release_seats").await;
    do_it(operator, waiting, "the client has changed plans").await;
    operator.open(&format!("/ops/sagas/{waiting}")).await;
    operator.until_says(".top .head", "compensated").await;
}

/// A compensation that fails again and again: its saga is paused, a person says where it can be looked up that it was done by hand, a
/// second one approves, and the saga goes on.
pub(crate) async fn a_compensation_is_resolved_by_hand(operator: &Browser, admin: &Browser, undoing: &str) {
    operator.open(&format!("/ops/sagas/{undoing}/acts/pause")).await;
    operator.until_says(".plan", "No command.").await;
    do_it(operator, undoing, "to look at it").await;
    operator.until_says(".top .head", "paused").await;
    // What was under way comes to its end first.
    operator.until_says(".acts", "Resolve by hand").await;

    operator.open(&format!("/ops/sagas/{undoing}/acts/resolve")).await;
    operator.choose("[name=step]", "hold-rooms").await;
    operator.fill("[name=evidence]", "released by phone, hotel ref. 8812").await;
    operator.click("button[value=plan]").await;
    operator.until_says(".plan", "A second operator must approve this").await;
    operator.fill("[name=reason]", "their system is down").await;
    operator.click("button[value=do]").await;
    let request = four_eyes::asked(operator, undoing, "Resolve by hand").await;
    admin.open("/ops/approvals").await;
    four_eyes::approved(admin, &request, "they told me too").await;

    operator.open(&format!("/ops/sagas/{undoing}/acts/resume")).await;
    operator.until_says(".plan", "order.reject").await;
    do_it(operator, undoing, "it is released").await;
    operator.open(&format!("/ops/sagas/{undoing}")).await;
    operator.until_says(".top .head", "compensated").await;
    operator.until_says(".rows", "undone by hand: released by phone, hotel ref. 8812").await;
}

/// The waits of a saga stand on its page, with the acts that end them: a time is set anew.
pub(crate) async fn a_time_is_set_anew(operator: &Browser, waiting: &str, waits_for: &str) {
    operator.open(&format!("/ops/sagas/{waiting}?tab=waits")).await;
    operator.until_says(".rows", waits_for).await;
    operator.click(".rows a[href*='reschedule_timer']").await;
    operator.fill("[name=at]", "tomorrow").await;
    operator.click("button[value=plan]").await;
    operator.until_says("#wrong", "`tomorrow` is no time").await;
    operator.until("the field as it was filled in", "document.querySelector('[name=at]').value === 'tomorrow'").await;
    let at = operator.ask("new Date(Date.now() + 3_600_000).toISOString().slice(0, 19)").await.unwrap();
    let at = at.as_str().unwrap();
    operator.fill("[name=at]", &format!("{at}Z")).await;
    operator.click("button[value=plan]").await;
    do_it(operator, waiting, "they are slow today").await;
    operator.open(&format!("/ops/sagas/{waiting}?tab=waits")).await;
    let time = format!("document.querySelector(\".rows time[datetime^='{at}']\") !== null");
    operator.until("the new time", &time).await;
}

/// A signal is sent in the place of its client, by the fields of its payload, and the saga goes on.
pub(crate) async fn a_signal_is_sent(operator: &Browser, waiting: &str) {
    operator.open(&format!("/ops/sagas/{waiting}?tab=waits")).await;
    operator.click(".rows a[href*='acts/signal']").await;
    operator.fill("[name='f.payment_token']", "no token").await;
    operator.fill("[name=reason]", "the client called").await;
    operator.click("button[value=do]").await;
    operator.until_says("#wrong", "/payment_token").await;
    let kept =
        "document.querySelector(\"[name='f.payment_token']\").value + document.querySelector('[name=reason]').value";
    operator.until("the form as it was filled in", &format!("{kept} === 'no tokenthe client called'")).await;
    operator.fill("[name='f.payment_token']", "tok_ok").await;
    operator.click("button[value=do]").await;
    operator.until_at(&format!("/ops/sagas/{waiting}?tab=audit")).await;
    operator.until_says(".top .head", "completed").await;
}

/// A saga in quarantine whose journal is whole again is released, and waits as before.
pub(crate) async fn a_saga_is_released(agency: &Agency, operator: &Browser, mended: &Quarantined) {
    agency.mend(mended).await;
    operator.open("/ops/quarantine").await;
    operator.click(&format!(".rows a[href='/ops/sagas/{}/acts/release']", mended.saga)).await;
    operator.fill("[name=reason]", "the row is restored").await;
    operator.click("button[value=do]").await;
    operator.until_at(&format!("/ops/sagas/{}?tab=audit", mended.saga)).await;
    operator.until_says(".top .head", "running").await;
    operator.open("/ops/quarantine").await;
    assert!(!operator.text().await.contains(&mended.saga[mended.saga.len() - 8..]), "{}", operator.text().await);
}

/// Gives the reason and sends the act whose plan is shown.
pub(crate) async fn do_it(operator: &Browser, saga: &str, reason: &str) {
    operator.fill("[name=reason]", reason).await;
    operator.click("button[name=go][value=do]").await;
    operator.until_at(&format!("/ops/sagas/{saga}?tab=audit")).await;
    operator.until_says(".rows", reason).await;
}

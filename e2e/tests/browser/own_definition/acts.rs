//! The acts in the browser, each with what the page and the interface show afterwards.

use serde_json::Value;

use super::{Visas, installation::Installation};
use crate::{acts, browser::Browser};

/// Why version 2 cannot take over a saga that has paid a courier.
const COURIER: &str = "step pay-courier was begun, and that version has no such step";

/// The dry run of version 2.
const MIGRATION: &str = "/ops/definitions/visa/2/migration";

/// Both versions stand on the page with what runs of each and what the linter finds; from there the dry run is reached.
pub(super) async fn the_definitions_tell_what_runs(installation: &Installation, operator: &Browser) {
    let counts = installation.get("/counts?name=visa&status=running").await.body;
    let groups: Vec<_> =
        counts["groups"].as_array().unwrap().iter().map(|one| (one["version"].clone(), one["sagas"].clone())).collect();
    assert_eq!(groups, [(1.into(), 6.into()), (2.into(), 1.into())], "{counts}");

    operator.open("/ops/definitions").await;
    let (first, second) = ("[aria-label='Visa version 1']", "[aria-label='Visa version 2']");
    let runs = |element: &str, words: &str| {
        let told = format!("document.querySelector(\"{element} .head\").innerText.replace(/\\s+/g, ' ')");
        format!("{told}.includes('{words}')")
    };
    operator.until("six of version 1", &runs(first, "6 running")).await;
    operator.until_says(first, "retries_outlast_deadline").await;
    operator.until("one of version 2", &runs(second, "1 running")).await;
    assert!(!operator.has(&format!("{second} .notice")).await, "{}", operator.text().await);
    let nodes = "[...document.querySelectorAll('.graph.wide .node rect:last-of-type')]";
    let alike = format!("{nodes}.every((one) => Math.round(one.getBoundingClientRect().height) === 48)");
    operator.until("nodes of one size", &alike).await;

    operator.click(&format!("{second} a[href='{MIGRATION}']")).await;
    operator.until_at(MIGRATION).await;
    operator.until("each open saga of version 1", "document.querySelectorAll('tbody tr').length === 6").await;
    operator.until_says("tbody", COURIER).await;
    operator.until("five to migrate", "document.querySelectorAll('tbody a.button').length === 5").await;
}

/// The time that a step waits for is set anew, and then let come: the passport is collected.
pub(super) async fn a_time_is_set_anew_and_comes(installation: &Installation, operator: &Browser, timed: &str) {
    acts::a_time_is_set_anew(operator, timed, "a time").await;
    operator.click(".rows a[href*='fire_timer']").await;
    operator.until_says(".plan", "order.collect_passport").await;
    operator.until_says(".plan", "cannot be undone").await;
    acts::do_it(operator, timed, "the embassy called").await;
    operator.until_says(".top .head", "completed").await;
    installation.until(timed, "completed", |saga| saga["status"] == "completed").await;
    assert_eq!(installation.work("vis-timed").await, ["order.book_slot", "order.collect_passport"]);
}

/// One saga is handed over from the dry run, with its plan first; it goes on under the other version.
pub(super) async fn a_version_takes_a_saga_over(installation: &Installation, operator: &Browser, handed: &str) {
    operator.open(MIGRATION).await;
    operator.click(&format!("tbody a[href='/ops/sagas/{handed}/acts/migrate?version=2']")).await;
    operator.until_says(".plan", "order.collect_passport").await;
    operator.until("the version as it was chosen", "document.querySelector('[name=version]').value === '2'").await;
    acts::do_it(operator, handed, "version 1 ends").await;
    operator.until_says(".top .facts", "Visa v2").await;
    operator.open(&format!("/ops/sagas/{handed}?tab=journal")).await;
    operator.until_says(".journal", "Taken over by version 2").await;
    installation.until(handed, "of version 2", |saga| saga["version"] == 2 && saga["status"] == "running").await;
    // What it waited for it still waits for.
    operator.open(&format!("/ops/sagas/{handed}?tab=waits")).await;
    operator.until_says(".rows", "a time").await;
    // The version that it came from would take it back, and none would not.
    operator.open(&format!("/ops/sagas/{handed}/acts/migrate")).await;
    operator
        .until("the other version alone", "document.querySelector('[name=version]').innerText.trim() === '1'")
        .await;
}

/// The plan of a migration that the saga refuses says what is in the way, and offers nothing to be done.
pub(super) async fn a_saga_that_does_not_fit_says_why(installation: &Installation, operator: &Browser, express: &str) {
    operator.open(&format!("/ops/sagas/{express}/acts/migrate")).await;
    operator.click("button[value=plan]").await;
    operator.until_says(".plan", "It would be refused").await;
    operator.until_says(".plan", COURIER).await;
    assert!(!operator.has("button[value=do]").await, "{}", operator.text().await);
    assert_eq!(installation.get(&format!("/sagas/{express}")).await.body["version"], 1);
}

/// A parent is cancelled, and its child with it: the tree shows both undone, and the desk has undone both.
pub(super) async fn a_family_is_turned_around(installation: &Installation, operator: &Browser, cancelled: &str) {
    let tree = format!("/ops/sagas/{cancelled}?tab=tree");
    operator.open(&tree).await;
    operator.until("two of a family", "document.querySelectorAll('.tree li').length === 2").await;
    operator.until_says(".tree .depth-1", "running").await;
    let child = operator.attribute(".tree .depth-1 a", "href").await;
    operator.open(&format!("/ops/sagas/{cancelled}/acts/cancel")).await;
    operator.until_says(".plan", "order.cancel_slot").await;
    acts::do_it(operator, cancelled, "the client stays at home").await;
    operator.until_says(".top .head", "compensated").await;
    operator.open(&tree).await;
    let undone = "[...document.querySelectorAll('.tree li')].every((one) => one.innerText.includes('compensated'))";
    operator.until("both undone", undone).await;
    let child = child.rsplit('/').next().unwrap();
    installation.until(child, "compensated", |saga| saga["status"] == "compensated").await;
    let work = installation.work("vis-cancelled").await;
    let undone: Vec<_> = work.iter().filter(|work| work.contains("cancel")).collect();
    assert_eq!(undone, ["order.cancel_policy", "order.cancel_slot"], "{work:?}");
}

/// All that are left of version 1 are handed over by a job: one first, the others when it is seen to be well. The one that does not fit
/// refuses, and says why. The job's address.
pub(super) async fn many_are_handed_over_by_a_job(
    installation: &Installation,
    operator: &Browser,
    visas: &Visas,
) -> String {
    operator.open(MIGRATION).await;
    operator.click("a[href^='/ops/jobs/new']").await;
    operator.until_says("h2", "Migrate 3 open sagas").await;
    operator.until("the version", "document.querySelector('[name=version]:not([type])').value === '2'").await;
    operator.fill("[name=canary]", "1").await;
    operator.fill("[name=reason]", "version 1 ends").await;
    operator.click("form[method=post] button.primary").await;
    operator.until_says("h1", "Migrate 3 sagas").await;
    operator.until_says(".sentence", "1 done, 0 refused, 0 gone, 2 to come.").await;
    operator.until_says(".top .head", "waits for you").await;
    assert_eq!(installation.get(&format!("/sagas/{}", visas.seen)).await.body["version"], 2);
    operator.fill("main [name=reason]", "the first one is well").await;
    operator.click("main button[formaction$='/resume']").await;
    operator.until_says(".top .head", "finished").await;
    operator.until_says(".sentence", "2 done, 1 refused, 0 gone, 0 to come.").await;
    operator.click(".tabs a[href='?outcome=refused']").await;
    operator.until_says("main", "migration_impossible").await;
    operator.until_says("main", COURIER).await;
    installation.until(&visas.family, "of version 2", |saga| saga["version"] == 2).await;
    assert_eq!(installation.get(&format!("/sagas/{}", visas.express)).await.body["version"], 1);
    let at = operator.ask("location.pathname").await;
    at.ok().as_ref().and_then(Value::as_str).unwrap().to_owned()
}

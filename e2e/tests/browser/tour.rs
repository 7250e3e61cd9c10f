//! Every page once, in both widths and both tones: a picture of each for people, and for axe, which must find nothing.

use serde_json::Value;

use crate::{
    browser::{Browser, DESK, Eyes},
    sagas::Sagas,
};

/// Finds what keeps people from using a page. Its licence lies beside it.
const AXE: &str = include_str!("axe.min.js");

/// The rules of WCAG 2.2 AA and what axe thinks good besides. The size of targets is off by default.
const RULES: &str = "{ preload: false, resultTypes: ['violations'], rules: { 'target-size': { enabled: true } } }";

/// The rules whose answer changes with the tone.
const RULES_OF_COLORS: &str = "{ preload: false, resultTypes: ['violations'], runOnly: ['color-contrast'] }";

/// The page that answers with an error.
const FAILURE: &str = "failure";

/// The eyes of a person with a small telephone.
const PHONE: Eyes = Eyes { width: 360, dark: false };

/// The name of each page's picture, and its address.
pub(crate) fn pages(sagas: &Sagas) -> Vec<(&'static str, String)> {
    let plain = |name, path: &str| (name, format!("/ops{path}"));
    let of = |name, saga: &str, below: &str| (name, format!("/ops/sagas/{saga}{below}"));
    let stuck = &sagas.stuck.seen;
    vec![
        plain("overview", ""),
        plain("sagas", "/sagas"),
        plain("sagas-none", "/sagas?q=name:order+version:1"),
        plain("sagas-attributes", "/sagas?q=name:order&columns=key,attributes,started"),
        plain("sagas-wrong", "/sagas?q=status:lost"),
        plain("sagas-attention", "/attention"),
        plain("errors", "/errors"),
        plain("jobs", "/jobs"),
        plain("job", &format!("/jobs/{}", sagas.job)),
        plain("job-new", "/jobs/new?act=retry&q=status:needs_attention"),
        plain("approvals", "/approvals"),
        plain("definitions", "/definitions"),
        plain("migration-none", "/definitions/order/2/migration"),
        plain("domains", "/domains"),
        plain("dead-letters", "/dead-letters"),
        plain("quarantine", "/quarantine"),
        plain("processes", "/processes"),
        plain("audit", "/audit?verify=yes"),
        plain("people", "/people"),
        plain("device", "/device"),
        plain("logins", "/logins"),
        plain("account", "/account"),
        plain("reset", "/reset"),
        plain(FAILURE, "/sagas/saga_nothing"),
        of("saga-completed", &sagas.completed, ""),
        of("saga-compensated", &sagas.compensated, ""),
        of("saga-stuck", stuck, ""),
        of("saga-abandoned", &sagas.abandoned, ""),
        of("saga-waiting", &sagas.waiting.seen, ""),
        of("saga-paused", &sagas.paused, ""),
        of("saga-journal", stuck, "?tab=journal"),
        of("saga-payloads", stuck, "?tab=payloads"),
        of("saga-waits", &sagas.waiting.seen, "?tab=waits"),
        of("saga-tree", &sagas.parent, "?tab=tree"),
        of("saga-audit", &sagas.abandoned, "?tab=audit"),
        of("saga-raw", &sagas.completed, "?tab=raw"),
        of("act-retry", stuck, "/acts/retry"),
        of("act-skip", stuck, "/acts/skip"),
        of("act-edit", stuck, "/acts/edit"),
        of("act-abandon", stuck, "/acts/abandon"),
        of("act-cancel-refused", &sagas.completed, "/acts/cancel"),
        of("act-pause", &sagas.waiting.seen, "/acts/pause"),
        of("act-release", &sagas.quarantined.saga, "/acts/release"),
        of("act-timer", &sagas.at_the_bank, "/acts/reschedule_timer"),
        of("act-resolve", &sagas.undoing, "/acts/resolve"),
        of("saga-undoing", &sagas.undoing, ""),
        of("saga-quarantined", &sagas.quarantined.saga, ""),
        of("act-abandon-quarantined", &sagas.quarantined.saga, "/acts/abandon"),
        of("act-signal", &sagas.waiting.seen, "/acts/signal"),
    ]
}

/// Looks at all pages, two at a time; what is wrong with them.
pub(crate) async fn visit_all(browsers: [&Browser; 2], pages: &[(&str, String)]) -> Vec<String> {
    let (first, second) = pages.split_at(pages.len() / 2);
    let some = async |browser: &Browser, pages: &[(&str, String)]| {
        let mut wrong = Vec::new();
        for (name, path) in pages {
            wrong.extend(visit(browser, name, path).await);
        }
        wrong
    };
    let (first, second) = tokio::join!(some(browsers[0], first), some(browsers[1], second));
    [first, second].concat()
}

/// Looks at one page in every way; what is wrong with it.
pub(crate) async fn visit(browser: &Browser, name: &str, path: &str) -> Vec<String> {
    browser.open(path).await;
    browser.until("a page", "document.readyState === 'complete'").await;
    browser.ask(AXE).await.unwrap();
    let mut wrong = Vec::new();
    for (eyes, rules) in [
        (DESK, Some(RULES)),
        (Eyes { dark: true, ..DESK }, Some(RULES_OF_COLORS)),
        (Eyes { dark: true, ..PHONE }, None),
        (PHONE, Some(RULES)),
    ] {
        browser.look(eyes).await;
        if let Some(rules) = rules {
            let found = browser.ask(&axe(rules)).await.unwrap();
            wrong.extend(texts(&found).map(|one| format!("{name}, {eyes:?}: {one}")));
        }
        if eyes.width == PHONE.width {
            let wide = browser.ask(&too_wide(eyes.width)).await.unwrap();
            wrong.extend(texts(&wide).map(|one| format!("{name}, {eyes:?}: scrolls sideways for {one}")));
        }
        browser.picture(name, eyes).await;
    }
    browser.look(DESK).await;
    let said = browser.console().await;
    // Chromium tells of the status of a failure's page, which is what it is.
    if name != FAILURE {
        wrong.extend(said.into_iter().map(|said| format!("{name}: the console says {said}")));
    }
    wrong
}

/// A question to axe, whose answer has a line for each finding.
fn axe(rules: &str) -> String {
    format!(
        "axe.run(document, {rules}).then((found) => found.violations.flatMap((one) => one.nodes.map((node) =>
            `${{one.id}}: ${{node.html.slice(0, 160)}} (${{node.failureSummary.replaceAll('\\n', ' ')}})`)))"
    )
}

/// The elements that make a page wider than this, when one does. What is in a box that scrolls by itself does not.
fn too_wide(width: u32) -> String {
    format!(
        "document.documentElement.scrollWidth <= {width} ? [] : ['the page', ...[...document.querySelectorAll('body *')]
            .filter((one) => one.getBoundingClientRect().right > {width} + 1)
            .filter((one) => !one.closest('.rail, .flush, .graphs, .tabs')).map((one) => one.outerHTML.slice(0, 160))
            .slice(0, 5)]"
    )
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

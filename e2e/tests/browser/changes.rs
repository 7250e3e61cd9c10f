//! The overview while it changes: what is new is marked, and nothing moves under the pointer.

use e2e::wait;

use crate::{
    agency::Agency,
    browser::{Browser, SHOWN_WITHIN, quoted},
};

/// The rows of the newest sagas, by their addresses.
const NEWEST: &str = "[...document.querySelectorAll('[aria-labelledby=newest-title] a.row')].map((row) => row.getAttribute('href')).join()";

/// The rows of the list, by their addresses.
const LISTED: &str = "[...document.querySelectorAll('main a.row')].map((row) => row.getAttribute('href')).join()";

/// Keeps the addresses of the rows that were marked as changed, for as long as the page stays.
const WATCH: &str = "window.marked = new Set(); new MutationObserver((all) => {
    for (const one of all) if (one.target.classList.contains('changed'))
        window.marked.add(one.target.querySelector('a.row')?.getAttribute('href') ?? one.target.getAttribute('href'));
}).observe(document.getElementById('live'), { attributes: true, attributeFilter: ['class'], subtree: true }); null";

/// The key, as WebDriver names it.
const ENTER: &str = "\u{E007}";

/// While the pointer is over rows, a new saga waits behind a button. It stands in its place, marked, when the button is pressed, and
/// the next one when the pointer has left the rows.
pub(crate) async fn nothing_moves_under_the_pointer(agency: &Agency, operator: &Browser) {
    operator.open("/ops").await;
    operator.until_says("#live-state", "live").await;
    operator.ask(WATCH).await.unwrap();
    for key in ["pressed", "left"] {
        operator.point_at("[aria-labelledby=newest-title] tbody tr:first-child").await;
        let before = operator.ask(NEWEST).await.unwrap();
        let saga = agency.one_more(key).await;
        let waits = "/^(\\d+ new|Changed), show$/.test(document.querySelector('.waiting-change')?.innerText)";
        operator.until("a change that waits", waits).await;
        assert_eq!(operator.ask(NEWEST).await.unwrap(), before, "{key}");
        let row = quoted(&format!("/ops/sagas/{saga}"));
        let is_shown = format!("({NEWEST}).split(',').includes({row})");
        if key == "pressed" {
            // What changed besides may have a button of its own before.
            wait::until("the new saga behind the button", SHOWN_WITHIN, || async {
                operator.ask("document.querySelector('.waiting-change')?.focus()").await?;
                operator.press(ENTER).await;
                if operator.ask(&is_shown).await? == true { Ok(()) } else { Err(operator.text().await) }
            })
            .await;
        }
        operator.point_at(".brand").await;
        operator.until("the new saga", &is_shown).await;
        operator.until("its mark", &format!("window.marked.has({row})")).await;
        operator.until("no button any more", "document.querySelector('.waiting-change') === null").await;
    }
    operator.until("marks that go", "document.querySelector('.changed') === null").await;
}

/// A reason that is being typed stays when the page brings itself up to date.
pub(crate) async fn what_is_typed_stays(agency: &Agency, operator: &Browser, saga: &str) {
    operator.open(&format!("/ops/sagas/{saga}?tab=payloads")).await;
    operator.until_says("#live-state", "live").await;
    operator.fill("main [name=reason]", "the client cal").await;
    agency.act(saga, "pause").await;
    operator.until_says(".top .head", "paused").await;
    operator.until("the reason", "document.querySelector('main [name=reason]').value === 'the client cal'").await;
    agency.act(saga, "resume").await;
    operator.until("no pause", "!document.querySelector('.top .head').innerText.includes('paused')").await;
}

/// The list stays as it is, and says how many sagas are newer.
pub(crate) async fn the_list_tells_of_newer_sagas(agency: &Agency, operator: &Browser) {
    operator.open("/ops/sagas").await;
    let before = operator.ask(LISTED).await.unwrap();
    let saga = agency.one_more("newer").await;
    operator.until_says("[data-newer]", "1 new").await;
    assert_eq!(operator.ask(LISTED).await.unwrap(), before);
    operator.click("[data-newer]").await;
    operator.until("the new saga", &format!("{LISTED}.startsWith('/ops/sagas/{saga}')")).await;
}

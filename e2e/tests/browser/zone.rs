//! Times as the reader's clock tells them.

use crate::{agency::Agency, browser::Browser};

/// A zone without summer time, thirteen hours ahead, so that the day differs too for more than half of each day.
const ZONE: &str = "Pacific/Tongatapu";

/// The title of a time: its words in the reader's zone, then the exact time in UTC.
const TOLD: &str = "((time) => {
    const at = Date.parse(time.dateTime), [local, exact] = time.title.split('\\n');
    const there = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'long', timeZone: 'Pacific/Tongatapu' });
    const utc = new Date(at).toISOString().slice(0, 19).replace('T', ' ') + ' UTC';
    return local === there.format(at) && local.includes('GMT+13') && exact === utc;
})";

/// Each time is told in the reader's zone, with the exact one in UTC beside it, also when the page has brought itself up to date.
pub(crate) async fn times_are_the_readers(agency: &Agency, operator: &Browser, saga: &str) {
    operator.travel(ZONE).await;
    operator.open(&format!("/ops/sagas/{saga}")).await;
    operator.until_says("#live-state", "live").await;
    let all = format!(
        "[...document.querySelectorAll('main time')].every({TOLD}) && document.querySelector('main time') !== null"
    );
    operator.until("the reader's times", &all).await;
    agency.act(saga, "pause").await;
    operator.until_says(".top .head", "paused").await;
    operator.until("the reader's times after a change", &all).await;
    agency.act(saga, "resume").await;
    for page in ["/ops", "/ops/sagas", "/ops/audit", "/ops/processes"] {
        operator.open(page).await;
        operator.until("the reader's times", &all).await;
    }
    // The clock is that of the server, in the zone of the audit log and the exports.
    operator.until_says("[data-clock]", "UTC").await;
    operator.travel("UTC").await;
}

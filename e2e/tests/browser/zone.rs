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

/// The words in a drawing: what it says is in the reader's zone, and its title has the same with the words in UTC below.
const DRAWN: &str = "[...document.querySelectorAll('.timeline [data-tells]')].every((part) => {
    const [local, exact] = part.querySelector('title').textContent.split('\\n');
    return part.querySelector('.told').textContent === local && local.includes('GMT+13') && exact.includes(' UTC');
}) && document.querySelector('.timeline .span') !== null";

/// The times of a chart: in the reader's zone, which is named.
const CHARTED: &str = "[...document.querySelectorAll('.plot')].every((plot) => {
    const times = [...plot.querySelectorAll('.times time')];
    const there = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone: 'Pacific/Tongatapu' };
    const told = (time) => new Intl.DateTimeFormat(undefined, there).format(Date.parse(time.dateTime));
    return times.every((time) => time.textContent === told(time)) && plot.querySelector('.times').innerText.includes('GMT+13');
}) && document.querySelector('.plot') !== null";

/// Each time is told in the reader's zone, with the exact one in UTC beside it, also when the page has brought itself up to date.
pub(crate) async fn times_are_the_readers(agency: &Agency, operator: &Browser, saga: &str) {
    operator.travel(ZONE).await;
    operator.open(&format!("/ops/sagas/{saga}")).await;
    operator.until_says("#live-state", "live").await;
    let all = format!(
        "[...document.querySelectorAll('main time')].every({TOLD}) && document.querySelector('main time') !== null"
    );
    operator.until("the reader's times", &all).await;
    operator.until("the reader's times in the timeline", DRAWN).await;
    agency.act(saga, "pause").await;
    operator.until_says(".top .head", "paused").await;
    operator.until("the reader's times after a change", &all).await;
    operator.until("the reader's times in the timeline after a change", DRAWN).await;
    agency.act(saga, "resume").await;
    for page in ["/ops", "/ops/sagas", "/ops/audit", "/ops/processes"] {
        operator.open(page).await;
        operator.until("the reader's times", &all).await;
    }
    operator.open("/ops").await;
    operator.until("the reader's times below the charts", CHARTED).await;
    // The clock is that of the server, in the zone of the audit log and the exports.
    operator.until_says("[data-clock]", "UTC").await;
    operator.travel("UTC").await;
}

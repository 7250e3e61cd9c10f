//! How long the pages of operators wait for the orchestrator, where the journal holds very many sagas.
//!
//! Finished sagas are written straight into the journal, over the last weeks; beside them some thousands wait for a person.
//! Each list is then asked for again and again, one call at a time, over HTTP; and so are the calls behind the page of a
//! saga with a long journal.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use chrono::{SecondsFormat, TimeDelta};
use contract::{
    SagaId,
    orchestrator_api::{HEADER_ACTOR, HEADER_ROLE},
};
use kit::{
    clock::{Clock as _, SystemClock},
    settings::DEVELOPMENT_INTERNAL_TOKEN,
};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::{history, latency::Run, sagas::Sagas, sleeping, system::QueueKind};

/// The weeks over which the finished sagas are spread.
const WEEKS: u16 = 4;

/// The sagas that wait for a person: one in a hundred of a million.
const WAITING: usize = 10_000;

/// Pauses and their ends in the journal of the long saga: 500 records with its own.
const PAUSES: usize = 250;

/// Looks at each page: enough that the 95th part of a hundred is no single one.
const LOOKS: usize = 200;

/// Pages of one list that are read in a row.
const PAGES_IN_A_ROW: usize = 50;

/// The lists, each with its name.
const LISTS: [(&str, &str); 19] = [
    ("newest first", ""),
    ("oldest first", "sort=oldest"),
    ("needs attention", "status=needs_attention"),
    ("all open", "status=running,compensating,needs_attention"),
    ("all but completed", "status=running,compensating,compensated,needs_attention,abandoned"),
    ("a definition", "name=bench"),
    ("a definition's failures", "name=bench&status=compensated"),
    ("a definition and version", "name=bench&version=1"),
    ("a version that has none", "name=bench&version=2"),
    ("what ended last", "sort=ended"),
    ("a client", "owner=usr_70"),
    ("a client's failures", "owner=usr_70&status=compensated"),
    ("an error", "error=authorize-payment/card_declined"),
    ("a failed step", "step=authorize-payment"),
    ("a business key", "q=ord_70"),
    ("an attribute of one", "attributes=payment_id:pay_70"),
    ("an attribute of many", "attributes=day:day_70"),
    ("its failures", "attributes=day:day_70&status=compensated"),
    ("what waits among them", "attributes=day:day_70&status=needs_attention"),
];

/// Fills a journal, looks at its pages, and prints.
pub(crate) async fn run(sagas: i64, queues: QueueKind) -> Result<()> {
    let parts = Sagas::start(queues).await?;
    let url = parts.url("sojourn_orchestrator");
    let mut journal = PgConnection::connect(&url).await?;
    let stuck = sleeping::stuck_saga(&parts, &mut journal).await?;
    let long = sleeping::stuck_saga(&parts, &mut journal).await?;
    sleeping::copy(&mut journal, stuck, WAITING).await?;
    history::fill(&url, sagas, WEEKS).await?;
    let records = lengthen(&parts, long).await?;
    println!(
        "\n{sagas} finished sagas over {WEEKS} weeks and {WAITING} that wait; {LOOKS} looks each, one at a time, ms:"
    );
    println!("  {:<28} {:>8} {:>8} {:>8}", "a page of 50", "p50", "p95", "max");
    for (name, query) in LISTS {
        let path = format!("/api/sagas?page_size=50&{query}");
        print(name, &looks(&parts, std::slice::from_ref(&path)).await?);
    }
    let day = SystemClock.now() - TimeDelta::days(9);
    let time = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let query = format!("created_after={}&created_before={}", time(day), time(day + TimeDelta::days(1)));
    print("a day of last week", &looks(&parts, &[format!("/api/sagas?page_size=50&{query}")]).await?);
    let query = format!("finished_before={}&sort=ended", time(day));
    print("what ended before a day", &looks(&parts, &[format!("/api/sagas?page_size=50&{query}")]).await?);
    print("50 pages in a row, each", &pages(&parts).await?);
    println!("  {:<28}", format!("a saga with {records} records"));
    let saga = format!("/api/sagas/{long}");
    let newest = format!("{saga}/journal?order=newest&page_size=200");
    let views = [saga.clone(), format!("{saga}/explanation"), format!("{saga}/timeline"), newest.clone()];
    let page =
        [format!("{saga}/snapshot?records=true&page_size=200"), format!("/api/approvals?waiting=true&target={long}")];
    print("its newest 200 records", &looks(&parts, &[newest]).await?);
    print("its views, one by one", &looks(&parts, &views).await?);
    print("all calls of its page", &looks(&parts, &page).await?);
    parts.stop().await;
    Ok(())
}

/// Pauses a saga again and again; the answer is the number of its records.
async fn lengthen(parts: &Sagas, id: SagaId) -> Result<u64> {
    let address = format!("{}/api/sagas/{id}/actions", parts.orchestrator.address);
    for _ in 0..PAUSES {
        for action in ["pause", "resume"] {
            let act = json!({ "action": action, "reason": "a long journal is needed" });
            let request = parts.http.post(&address).bearer_auth(DEVELOPMENT_INTERNAL_TOKEN);
            let answer =
                request.header(HEADER_ACTOR, "usr_bench").header(HEADER_ROLE, "operator").json(&act).send().await?;
            ensure!(answer.status().is_success(), "the act was refused: {}", answer.text().await?);
        }
    }
    let view = get(parts, &format!("/api/sagas/{id}")).await?;
    view["head"].as_u64().context("the number of the last record")
}

/// The time that these calls take together, again and again.
async fn looks(parts: &Sagas, paths: &[String]) -> Result<Run> {
    let (begun, mut took) = (Instant::now(), Vec::with_capacity(LOOKS));
    for _ in 0..LOOKS {
        let look = Instant::now();
        for path in paths {
            get(parts, path).await?;
        }
        took.push(look.elapsed());
    }
    Ok(Run::new(took, begun.elapsed()))
}

/// The time of each page of the whole list, one after another.
async fn pages(parts: &Sagas) -> Result<Run> {
    let (begun, mut took, mut next) = (Instant::now(), Vec::with_capacity(PAGES_IN_A_ROW), String::new());
    for _ in 0..PAGES_IN_A_ROW {
        let look = Instant::now();
        let page = get(parts, &format!("/api/sagas?page_size=50{next}")).await?;
        took.push(look.elapsed());
        let token = page["next_page_token"].as_str().context("a next page")?;
        next = format!("&page_token={token}");
    }
    Ok(Run::new(took, begun.elapsed()))
}

async fn get(parts: &Sagas, path: &str) -> Result<Value> {
    let request =
        parts.http.get(format!("{}{path}", parts.orchestrator.address)).bearer_auth(DEVELOPMENT_INTERNAL_TOKEN);
    let answer = request.header(HEADER_ACTOR, "usr_bench").header(HEADER_ROLE, "operator").send().await?;
    ensure!(answer.status().is_success(), "{path}: {}", answer.text().await?);
    Ok(answer.json().await?)
}

fn print(name: &str, run: &Run) {
    let [p50, p95, max] = [0.5, 0.95, 1.0].map(|share| run.percentile_ms(share));
    println!("  {name:<28} {p50:>8.1} {p95:>8.1} {max:>8.1}");
}

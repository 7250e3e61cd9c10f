//! The processes that run, as `sagactl processes` tells them: each worker by itself, one that ended no more, and one that came beside.

use std::collections::BTreeSet;

use e2e::{Part, domains, wait};
use serde_json::Value;

use crate::{SETTLED_WITHIN, bench::Bench};

/// The domains of the workers that answer, one for each of them, and the consumers that nobody speaks for.
async fn workers(bench: &Bench) -> Result<(Vec<String>, u64), String> {
    let told = bench.sagactl(&["processes", "-o", "json"]).await;
    let told: Value = serde_json::from_str(&told.stdout).map_err(|_| format!("{told:?}"))?;
    let all = |field: &str| told[field].as_array().cloned().unwrap_or_default();
    let domain = |worker: Value| worker["domains"][0].as_str().unwrap_or_default().to_owned();
    let unknown = all("domains").iter().filter_map(|way| way["unknown_consumers"].as_u64()).sum();
    Ok((all("workers").into_iter().map(domain).collect(), unknown))
}

async fn until_workers(bench: &Bench, what: &str, so: impl Fn(&[String]) -> bool) {
    wait::until(what, SETTLED_WITHIN, || async {
        let (workers, unknown) = workers(bench).await?;
        if so(&workers) && unknown == 0 { Ok(()) } else { Err(format!("{workers:?}, {unknown} unknown")) }
    })
    .await;
}

pub(crate) async fn the_programs_that_run(bench: &mut Bench) {
    let all: BTreeSet<String> = domains().map(str::to_owned).collect();
    let each_once =
        |workers: &[String]| workers.len() == all.len() && workers.iter().cloned().collect::<BTreeSet<_>>() == all;
    until_workers(bench, "a worker for each domain", each_once).await;
    let version = env!("CARGO_PKG_VERSION");
    bench.ends(&["processes"], 0, &["ORCHESTRATOR", "WORKER", "DOMAIN", "in step", "ins_", "payment", version]).await;
    bench.system.kill(Part::Program("feed"));
    until_workers(bench, "no worker of the feed", |workers| !workers.iter().any(|domain| domain == "feed")).await;
    bench.system.revive("feed").await.unwrap();
    bench.system.add("feed-2", "worker", &["feed"]).await.unwrap();
    until_workers(bench, "two workers of the feed", |workers| {
        workers.iter().filter(|domain| *domain == "feed").count() == 2
    })
    .await;
    bench.system.kill(Part::Program("feed-2"));
    until_workers(bench, "one worker of the feed", each_once).await;
}

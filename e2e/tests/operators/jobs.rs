//! A bulk job over sagas that are stuck: made twice under one name, carried out by the orchestrators, and looked at afterwards.

use contract::RequestId;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{bench::Bench, past_pivot::stuck, until_status};

pub(crate) async fn stuck_sagas_are_given_up_by_a_job(bench: &mut Bench) {
    let (_, first) = stuck(bench, "job-first").await;
    let (_, second) = stuck(bench, "job-second").await;
    let request = json!({
        "action": "abandon",
        "filter": { "status": ["needs_attention"], "error": "capture-payment/capture_refused" },
        "reason": "settled by hand, ticket 4712",
        "canary": { "sagas": 1, "then": "go_on" },
        "request_id": RequestId::from_uuid(kit::ids::uuid_v7()),
    });
    let make = async |bench: &Bench, request: &Value| {
        bench.operator.call(Method::POST, "/ops/api/jobs", Some(request.clone())).await.unwrap()
    };
    let made = make(bench, &request).await;
    let right = made.status == 201 && made.body["sagas"] == 2;
    bench.findings.that("a job over both", right, &made);
    let again = make(bench, &request).await;
    bench.findings.that("the same job for the same name", again.body["id"] == made.body["id"], &again);
    let mut other = request.clone();
    other["pace"] = json!(3);
    let other = make(bench, &other).await;
    bench.findings.problem("another job under that name", &other, 422, "idempotency_key_reused", &[]);

    let id = made.body["id"].as_str().unwrap_or_default().to_owned();
    bench.ends(&["jobs", "watch", &id], 0, &["finished: 2 of 2 done"]).await;
    for saga in [&first, &second] {
        until_status(&bench.operator, saga, "abandoned").await;
        // What leaves the journal is whole: who did what, and why.
        bench.ends(&["export", saga], 0, &[saga, "operator_acted", "ticket 4712", "saga_abandoned"]).await;
    }
    bench.ends(&["jobs", "show", &id], 0, &[&id, "finished"]).await;
}

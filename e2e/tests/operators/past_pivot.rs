//! Sagas that are stuck after their point of no return: seen, retried, completed by a typed reply, or given up.

use e2e::{order_of, run, wait};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{SETTLED_WITHIN, bench::Bench, in_days, step, until, until_status};

/// Places an order whose capture is refused, and waits until it is stuck.
pub(crate) async fn stuck(bench: &Bench, key: &str) -> (String, String) {
    let flight = bench.client.flight("LHR", "MLE", in_days(40), "business", 1).await.unwrap();
    let (order_id, saga) = bench.client.place(key, &order_of(&[&flight], "tok_capture_fails")).await.unwrap();
    until_status(&bench.operator, &saga, "needs_attention").await;
    (order_id, saga)
}

pub(crate) async fn a_capture_that_is_refused(bench: &mut Bench) {
    let (order_id, saga) = stuck(bench, "stuck").await;
    let id = saga.as_str();
    seen(bench, id).await;

    let watching = {
        let (url, token) = (bench.system.gateway.clone(), bench.operator.token.clone());
        let id = saga.clone();
        tokio::spawn(async move {
            let environment = [("SAGACTL_URL", url.as_str()), ("SAGACTL_TOKEN", token.as_str())];
            run("sagactl", &["watch", &id, "-o", "jsonl"], &environment, "", SETTLED_WITHIN).await
        })
    };
    retried_in_vain(bench, id).await;
    by_every_orchestrator(bench, id).await;
    refused(bench, id).await;
    skipped(bench, id, &order_id).await;

    let watched = watching.await.unwrap().unwrap();
    let records: Vec<Value> = watched.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let head = until_status(&bench.operator, id, "completed").await["head"].as_u64().unwrap();
    let seqs: Vec<u64> = records.iter().filter_map(|record| record["seq"].as_u64()).collect();
    let last = records.last().map(|record| record["status"].clone());
    let whole = watched.code == Some(0) && seqs == (1..=head).collect::<Vec<_>>() && last == Some(json!("completed"));
    bench.findings.that("sagactl watch tells every record once and ends", whole, (&watched.stderr, &seqs, &last, head));
    audited(bench, id).await;
}

/// The operator finds it, and everything about it.
async fn seen(bench: &mut Bench, id: &str) {
    let listed = bench.ends(&["list", "--status", "needs_attention", "-o", "ids"], 0, &[id]).await;
    bench.findings.that("only what needs attention is listed", listed.stdout.trim() == id, &listed);
    bench
        .ends(&["list", "--error", "capture-payment/capture_refused"], 0, &[id, "capture-payment/capture_refused"])
        .await;
    bench.ends(&["show", id], 0, &["capture-payment", "capture_refused", "confirm-seats"]).await;
    let shown = bench.ends(&["show", id, "-o", "json"], 0, &[]).await;
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap_or_default();
    let right = step(&shown, "capture-payment")["status"] == "needs_attention"
        && step(&shown, "capture-payment")["error"]["code"] == "capture_refused"
        && step(&shown, "confirm-seats")["status"] == "done"
        && step(&shown, "hold-rooms")["status"] == "not_applicable"
        && shown["error"] == "capture-payment/capture_refused";
    bench.findings.that("where it stands", right, &shown);
    let journal = bench.ends(&["journal", id, "-o", "jsonl"], 0, &["saga_started", "command_refused"]).await;
    let seqs: Vec<u64> =
        journal.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()?["seq"].as_u64()).collect();
    let head = shown["head"].as_u64().unwrap_or(0);
    bench.findings.that("the journal is whole", head > 5 && seqs == (1..=head).collect::<Vec<_>>(), (&seqs, head));
    bench.ends(&["journal", id], 0, &["command_refused", "step=capture-payment"]).await;
    // Its client sees an operation at work, and no more.
    let operation = bench.client.get(&format!("/v1/operations/{id}")).await.unwrap();
    bench.findings.that("its client waits", operation.body["status"] == "running", &operation);
}

async fn retried_in_vain(bench: &mut Bench, id: &str) {
    let refusals = async |bench: &Bench| {
        let journal = bench.operator.get(&format!("/ops/api/sagas/{id}/journal")).await.unwrap();
        journal.body.to_string().matches("\"command_refused\"").count()
    };
    let before = refusals(bench).await;
    bench.ends(&["retry", id, "--reason", "the issuer was called"], 0, &[id]).await;
    wait::until("another refusal", SETTLED_WITHIN, || async {
        if refusals(bench).await == before + 1 { Ok(()) } else { Err(String::new()) }
    })
    .await;
    let shown = until_status(&bench.operator, id, "needs_attention").await;
    let code = &step(&shown, "capture-payment")["error"]["code"];
    bench.findings.that("refused again", code == "capture_refused", &shown);
}

/// An orchestrator takes an action for a saga whether it owns it or not: of two, one does not.
async fn by_every_orchestrator(bench: &mut Bench, id: &str) {
    for name in ["orchestrator-1", "orchestrator-2"] {
        let head = until_status(&bench.operator, id, "needs_attention").await["head"].as_u64().unwrap();
        let inside = bench.system.internal(name);
        let who = [("x-sojourn-actor", name), ("x-sojourn-role", "operator")];
        let retry = json!({ "action": "retry", "step": "capture-payment", "reason": format!("asked at {name}") });
        let answer =
            inside.call_with(Method::POST, &format!("/api/sagas/{id}/actions"), Some(retry), &who).await.unwrap();
        let moved = answer.body["head"].as_u64().is_some_and(|after| after > head);
        bench.findings.that(&format!("{name} takes an action"), answer.status == 200 && moved, &answer);
        until(&bench.operator, id, "stuck again", |shown| {
            shown["status"] == "needs_attention" && shown["head"].as_u64().is_some_and(|after| after > head + 1)
        })
        .await;
    }
}

async fn refused(bench: &mut Bench, id: &str) {
    let reason = ["--reason", "let us see"];
    let act = |more: &[&'static str]| -> Vec<&'static str> { [more, &reason].concat() };
    for (arguments, code, word) in [
        (act(&["cancel"]), 6, "pivot_passed"),
        (act(&["retry", "--step", "dance"]), 6, "step_unknown"),
        (act(&["retry", "--step", "create-order"]), 6, "retry_impossible"),
        (act(&["skip", "--step", "create-order", "--reply", "{}"]), 6, "skip_impossible"),
        (act(&["skip", "--step", "notify-user", "--reply", "{}"]), 6, "skip_impossible"),
        (act(&["skip", "--step", "capture-payment", "--reply", "{\"payment_id\":7}"]), 1, "reply_mismatch"),
        (act(&["skip", "--step", "capture-payment", "--reply", "{}"]), 1, "reply_mismatch"),
        (vec!["cancel"], 2, "--reason"),
        (vec!["abandon", "--reason", "no"], 2, "--reason"),
    ] {
        let all: Vec<&str> = [&arguments[..1], &[id], &arguments[1..]].concat();
        bench.ends(&all, code, &[word]).await;
    }
    let path = format!("/ops/api/sagas/{id}/actions");
    let act = async |bench: &Bench, body: Value| bench.operator.call(Method::POST, &path, Some(body)).await.unwrap();
    let cancel = act(bench, json!({ "action": "cancel", "reason": "let us see" })).await;
    bench.findings.problem("a cancel after the pivot", &cancel, 409, "pivot_passed", &[]);
    let skip =
        json!({ "action": "skip", "step": "capture-payment", "reply": { "payment_id": "ord_7" }, "reason": "so" });
    let short = act(bench, skip.clone()).await;
    bench.findings.problem("a reason of two letters", &short, 422, "reason_invalid", &["#/reason"]);
    let mut skip = skip;
    skip["reason"] = json!("let us see");
    let mismatch = act(bench, skip).await;
    bench.findings.problem("a reply of another type", &mismatch, 422, "reply_mismatch", &["#/reply"]);
    let shown = bench.operator.get(&format!("/ops/api/sagas/{id}")).await.unwrap();
    bench.findings.that("nothing of it changed the saga", shown.body["status"] == "needs_attention", &shown);
}

async fn skipped(bench: &mut Bench, id: &str, order_id: &str) {
    let shown = bench.operator.get(&format!("/ops/api/sagas/{id}")).await.unwrap();
    let payment = shown.body["input"]["payment_id"].clone();
    let reply = json!({ "payment_id": payment }).to_string();
    let skip = ["skip", id, "--step", "capture-payment", "--reply", &reply, "--reason", "paid by bank transfer"];
    bench.ends(&skip, 0, &[id]).await;
    let shown = until_status(&bench.operator, id, "completed").await;
    let captured = step(&shown, "capture-payment");
    bench.findings.that("the step was skipped", captured["status"] == "done" && captured["skipped"] == true, captured);
    let order = bench.client.until_settled(order_id, SETTLED_WITHIN).await;
    bench.findings.that("the order is confirmed", order["status"] == "confirmed", &order);
    bench.ends(&skip, 6, &["saga_finished"]).await;
}

/// Who did what, when and why stands in the journal.
async fn audited(bench: &mut Bench, id: &str) {
    let journal = bench.operator.get(&format!("/ops/api/sagas/{id}/journal")).await.unwrap();
    let records = journal.body["items"].as_array().cloned().unwrap_or_default();
    let acts: Vec<Value> = records
        .iter()
        .flat_map(|record| record["entries"].as_array().cloned().unwrap_or_default())
        .filter(|entry| entry["entry"] == "operator_acted")
        .collect();
    let told: Vec<(&str, &str, &str)> = acts
        .iter()
        .map(|act| {
            let text = |name: &str| act["operator"][name].as_str().unwrap_or("?");
            (act["action"]["action"].as_str().unwrap_or("?"), text("role"), text("reason"))
        })
        .collect();
    let expected = [
        ("retry", "operator", "the issuer was called"),
        ("retry", "operator", "asked at orchestrator-1"),
        ("retry", "operator", "asked at orchestrator-2"),
        ("skip", "operator", "paid by bank transfer"),
    ];
    bench.findings.that("what was done, by whose role, and why", told == expected, &acts);
    let actors: Vec<&str> = acts.iter().filter_map(|act| act["operator"]["actor"].as_str()).collect();
    let named =
        actors.len() == 4 && actors[0].starts_with("usr_") && actors[0] == actors[3] && actors[1] == "orchestrator-1";
    bench.findings.that("by whom", named, &actors);
    let times = records.iter().all(|record| record["at"].is_string());
    bench.findings.that("and when", times, &records);
}

/// Several at once, with ids from stdin; what cannot be done is told apart from what was done.
pub(crate) async fn sagas_given_up(bench: &mut Bench) {
    let (order, first) = stuck(bench, "first").await;
    let (_, second) = stuck(bench, "second").await;
    let ids = bench.ends(&["list", "--status", "needs-attention", "-o", "ids"], 0, &[&first, &second]).await.stdout;
    let nobody = "saga_00000000000000000000000000000001";
    let command = ["retry", "-", "--reason", "after the outage"];
    let piped = bench.system.sagactl_with("", &command, &ids).await.unwrap();
    bench.judge(&[&command[..], &["without --yes"]].concat(), &piped, 2, &["--yes"]);
    let command = ["retry", "-", "--reason", "after the outage", "--yes", "-o", "ids"];
    let piped = bench.system.sagactl_with("", &command, &ids).await.unwrap();
    bench.judge(&command, &piped, 0, &[&first, &second]);
    for id in [&first, &second] {
        until(&bench.operator, id, "stuck again", |shown| {
            let attempts = step(shown, "capture-payment")["attempts"].as_u64();
            shown["status"] == "needs_attention" && attempts.is_some()
        })
        .await;
    }
    let command = ["abandon", "-", "--reason", "settled by hand, ticket 4711", "--yes", "-o", "ids"];
    let piped = bench.system.sagactl_with("", &command, &format!("{first}\n{nobody}\n{second}\n")).await.unwrap();
    bench.judge(&command, &piped, 5, &[&first, &second, nobody, "saga_unknown"]);
    bench.ends(&["abandon", nobody, "--reason", "settled by hand"], 4, &["saga_unknown"]).await;
    for id in [&first, &second] {
        let shown = until_status(&bench.operator, id, "abandoned").await;
        bench.findings.that("it is over", shown["finished_at"].is_string(), &shown);
        bench.ends(&["retry", id, "--reason", "too late"], 6, &["saga_finished"]).await;
        bench.ends(&["abandon", id, "--reason", "once more"], 6, &["saga_finished"]).await;
        bench.ends(&["watch", id], 0, &["abandoned"]).await;
    }
    let operation = bench.client.get(&format!("/v1/operations/{first}")).await.unwrap();
    let told = operation.body["status"] == "failed" && operation.body["error"]["code"] == "given_up";
    bench.findings.that("its client is told", told, &operation);
    let shown = bench.client.get(&format!("/v1/orders/{order}")).await.unwrap();
    bench.findings.that("its order is not shown as confirmed", shown.body["status"] != "confirmed", &shown);
}

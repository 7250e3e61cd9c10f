//! `retry`, `cancel`, `skip`, `edit`, `resolve`, `abandon`, `dead-letters redrive`.

use contract::{orchestrator_api::StepWork, saga::SagaStatus};
use serde_json::{Value, json};

use crate::{
    door::{Door, letter, record, saga_id, sse, view},
    run::Sagactl,
};

/// The name of a request.
const REQUEST: &str = "req_0192f0c1a2b37c4d8e5f0000000000bb";

#[tokio::test]
async fn every_repair_sends_its_action_with_the_reason() {
    let door = Door::open().await;
    let id = door.add(view(1, SagaStatus::NeedsAttention)).to_string();
    let path = format!("POST /sagas/{id}/actions");
    for (arguments, body) in [
        (vec!["retry", &id], r#"{"action":"retry","reason":"because"}"#),
        (vec!["retry", &id, "--step", "notify"], r#"{"action":"retry","step":"notify","reason":"because"}"#),
        (vec!["cancel", &id], r#"{"action":"cancel","reason":"because"}"#),
        (
            vec!["skip", &id, "--step", "notify", "--reply", r#"{"done": true}"#],
            r#"{"action":"skip","step":"notify","reply":{"done":true},"reason":"because"}"#,
        ),
        (
            vec!["edit", &id, "--step", "notify", "--patch", r#"{"rooms": 2}"#, "--if-head", "7"],
            r#"{"action":"edit","step":"notify","patch":{"rooms":2},"reason":"because","if_head":7}"#,
        ),
        (
            vec!["resolve", &id, "--step", "notify", "--evidence", "by phone, ticket 4711"],
            r#"{"action":"resolve","step":"notify","evidence":"by phone, ticket 4711","reason":"because"}"#,
        ),
        (
            vec!["timer", "fire", &id, "--step", "cool-down"],
            r#"{"action":"fire_timer","step":"cool-down","reason":"because"}"#,
        ),
        (
            vec!["timer", "reschedule", &id, "--step", "cool-down", "--at", "2026-12-24T12:00:00Z"],
            r#"{"action":"reschedule_timer","step":"cool-down","at":"2026-12-24T12:00:00Z","reason":"because"}"#,
        ),
        (vec!["abandon", &id], r#"{"action":"abandon","reason":"because"}"#),
    ] {
        let flags = ["--reason", "because", "--request-id", REQUEST, "-o", "ids"];
        let ended = Sagactl::at(&door, &[&arguments[..], &flags].concat()).run().await;
        assert_eq!((ended.code, ended.stdout.trim()), (0, id.as_str()), "{arguments:?}: {}", ended.stderr);
        let because = r#""reason":"because""#;
        let body = body.replace(because, &format!(r#"{because},"request_id":"{REQUEST}""#));
        assert_eq!(door.seen().last().unwrap(), &(path.clone(), body));
    }
}

#[tokio::test]
async fn a_signal_is_sent_under_its_id_and_its_effect_is_told() {
    let door = Door::open().await;
    let id = door.add(view(1, SagaStatus::Running)).to_string();
    let signal = ["signal", &id, "approval", "--payload", r#"{"by":"ann"}"#, "--signal-id", "evt_1"];
    let ended = Sagactl::at(&door, &signal).run().await;
    assert_eq!((ended.code, ended.stdout.trim()), (0, "woke approval"), "{}", ended.stderr);
    let sent = (format!("POST /sagas/{id}/signals/approval"), r#"{"id":"evt_1","payload":{"by":"ann"}}"#.to_owned());
    assert_eq!(door.seen().last().unwrap(), &sent);
}

#[tokio::test]
async fn the_timers_of_a_saga_are_listed() {
    let door = Door::open().await;
    let mut waiting = view(1, SagaStatus::Running);
    waiting.steps[0].work = StepWork::Timer {};
    waiting.steps[0].wake_at = Some("2026-12-24T12:00:00Z".parse().unwrap());
    let id = door.add(waiting).to_string();
    let ended = Sagactl::at(&door, &["timers", &id, "-o", "jsonl"]).run().await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let timer = r#"{"timer":"timer","step":"create-order","at":"2026-12-24T12:00:00Z"}"#;
    assert!(ended.stdout.lines().any(|line| line == timer), "{}", ended.stdout);
}

#[tokio::test]
async fn several_need_yes_when_there_is_nobody_to_ask() {
    let door = Door::open().await;
    let ids = format!("{}\n{}\n", door.add(view(1, SagaStatus::Running)), door.add(view(2, SagaStatus::Running)));
    let refused = Sagactl::at(&door, &["cancel", "-", "--reason", "because"]).stdin(&ids).run().await;
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("--yes"), "{}", refused.stderr);
    assert_eq!(door.seen(), []);
    let done = Sagactl::at(&door, &["cancel", "-", "--reason", "because", "--yes"]).stdin(&ids).run().await;
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(door.seen().len(), 2);
    insta::assert_snapshot!("cancel_table", done.stdout);
}

#[tokio::test]
async fn a_saga_that_does_not_allow_it_is_a_conflict() {
    let door = Door::open().await;
    let id = door.add(view(1, SagaStatus::Completed)).to_string();
    let ended = Sagactl::at(&door, &["cancel", &id, "--reason", "because"]).run().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (6, ""));
    assert!(ended.stderr.contains("The saga has ended."), "{}", ended.stderr);
}

#[tokio::test]
async fn what_failed_of_several_is_a_table_on_stderr_and_the_exit_is_partial() {
    let door = Door::open().await;
    let running = door.add(view(1, SagaStatus::Running)).to_string();
    let ended_saga = door.add(view(2, SagaStatus::Completed)).to_string();
    let missing = saga_id(3).to_string();
    let arguments = ["cancel", &running, &ended_saga, &missing, "--reason", "because", "--yes", "-o", "ids"];
    let ended = Sagactl::at(&door, &arguments).run().await;
    assert_eq!((ended.code, ended.stdout.trim()), (5, running.as_str()));
    insta::assert_snapshot!("partial_stderr", ended.stderr);
}

#[tokio::test]
async fn what_failed_is_told_even_when_nobody_reads_what_worked() {
    let door = Door::open().await;
    let running = door.add(view(1, SagaStatus::Running)).to_string();
    let ended_saga = door.add(view(2, SagaStatus::Completed)).to_string();
    for verb in [vec!["cancel", "--reason", "because", "--yes"], vec!["show"]] {
        let missing = saga_id(3).to_string();
        let ids = [running.as_str(), ended_saga.as_str(), missing.as_str()];
        let ended = Sagactl::at(&door, &[verb.clone(), ids.to_vec()].concat()).without_reader().run().await;
        assert_eq!(ended.code, 5, "{verb:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(&missing), "{verb:?}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn a_wrong_id_among_many_stops_before_anything_is_done() {
    let door = Door::open().await;
    let id = door.add(view(1, SagaStatus::Running)).to_string();
    let ended = Sagactl::at(&door, &["cancel", "-", "--reason", "because", "--yes"])
        .stdin(&format!("{id} nonsense"))
        .run()
        .await;
    assert_eq!(ended.code, 2);
    assert_eq!(door.seen(), []);
}

#[tokio::test]
async fn dead_letters_are_redriven_with_a_reason() {
    let door = Door::open().await;
    door.inner().letters = vec![letter(7, saga_id(1)), letter(8, saga_id(1))];
    let ended = Sagactl::at(&door, &["dead-letters", "redrive", "7", "9", "--reason", "fixed", "--yes"]).run().await;
    assert_eq!(ended.code, 5);
    assert!(ended.stdout.contains("2026-12-01T09:00:00Z"), "{}", ended.stdout);
    assert_eq!(door.seen()[0], ("POST /dead-letters/7/redrive".to_owned(), r#"{"reason":"fixed"}"#.to_owned()));
}

#[tokio::test]
async fn several_are_not_tried_on_when_the_login_has_ended() {
    let door = Door::open().await;
    let ids = [1, 2, 3].map(|number| door.add(view(number, SagaStatus::Running)).to_string());
    let cancel = ["cancel", &ids[0], &ids[1], &ids[2], "--reason", "because", "--yes"];
    let ended = Sagactl::at(&door, &cancel).env("SAGACTL_TOKEN", "an-old-one").run().await;
    assert_eq!((ended.code, door.seen().len()), (3, 1), "{}", ended.stderr);
    assert!(ended.stderr.contains("0 done, 1 failed, 2 not touched"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_may_have_taken_effect_and_a_question_has_not() {
    // Reads a request, and hangs up.
    let rude = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", rude.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = rude.accept().await.unwrap();
            let mut request = [0; 1];
            tokio::io::AsyncReadExt::read_exact(&mut stream, &mut request).await.unwrap();
        }
    });
    let id = saga_id(1).to_string();
    for (arguments, code) in
        [(vec!["cancel", &id, "--reason", "because"], 7), (vec!["show", &id], 1), (vec!["plan", "cancel", &id], 1)]
    {
        let ended = Sagactl::new(&arguments).env("SAGACTL_URL", &url).env("SAGACTL_TOKEN", "x").run().await;
        assert_eq!(ended.code, code, "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.stderr.contains("may have taken effect"), code == 7, "{}", ended.stderr);
        assert_eq!(ended.stderr.contains("repeat it with --request-id req_"), code == 7, "{}", ended.stderr);
    }
}

/// A problem as the gateway tells it.
fn problem(status: u16, code: &str) -> (u16, Value) {
    (status, json!({ "type": "x", "title": code, "status": status, "code": code, "detail": code }))
}

/// The names of the requests that were sent.
fn names(door: &Door) -> Vec<String> {
    let name = |body: &str| serde_json::from_str::<Value>(body).unwrap()["request_id"].as_str().unwrap().to_owned();
    door.seen().iter().map(|(_, body)| name(body)).collect()
}

#[tokio::test]
async fn an_act_without_a_clear_answer_is_repeated_under_its_name_and_others_have_names_of_their_own() {
    let door = Door::open().await;
    let ids = [1, 2].map(|number| door.add(view(number, SagaStatus::Running)).to_string());
    let done = (200, json!(view(1, SagaStatus::Compensating)));
    let call = format!("POST /sagas/{}/actions", ids[0]);
    door.script(&call, vec![problem(504, "verdict_missing"), problem(429, "rate_exceeded"), done]);
    let cancel = ["cancel", &ids[0], &ids[1], "--reason", "because", "--yes", "-o", "ids"];
    let ended = Sagactl::at(&door, &cancel).run().await;
    assert_eq!((ended.code, ended.stdout), (0, format!("{}\n{}\n", ids[0], ids[1])), "{}", ended.stderr);
    let names = names(&door);
    assert!(names.len() == 4 && names[0] == names[1] && names[1] == names[2] && names[2] != names[3], "{names:?}");
}

#[tokio::test]
async fn only_a_verdict_says_that_an_act_whose_answer_was_lost_had_no_effect() {
    let door = Door::open().await;
    let id = door.add(view(1, SagaStatus::Running)).to_string();
    for (later, code) in
        [(problem(409, "pivot_passed"), 6), (problem(401, "token_expired"), 7), (problem(400, "body_invalid"), 7)]
    {
        door.script(&format!("POST /sagas/{id}/actions"), vec![problem(504, "verdict_missing"), later]);
        let ended = Sagactl::at(&door, &["cancel", &id, "--reason", "because"]).run().await;
        assert_eq!(ended.code, code, "{}", ended.stderr);
    }
}

#[tokio::test]
async fn the_others_follow_when_the_canary_took_the_act() {
    let door = Door::open().await;
    let ids: Vec<_> = (1..=6).map(|number| door.add(view(number, SagaStatus::Running)).to_string()).collect();
    let over = door.add(view(7, SagaStatus::Completed)).to_string();
    let flags = ["-", "--reason", "because", "--yes", "--canary", "2", "--rate", "100"];
    let cancel = [&["cancel"], &flags[..]].concat();
    let refused = Sagactl::at(&door, &cancel).stdin(&format!("{} {over} {}", ids[0], ids[1..].join(" "))).run().await;
    assert_eq!((refused.code, door.seen().len()), (5, 2), "{}", refused.stderr);
    assert!(refused.stderr.contains("1 done, 1 failed, 5 not touched"), "{}", refused.stderr);
    let done = Sagactl::at(&door, &cancel).stdin(&ids.join(" ")).run().await;
    assert_eq!((done.code, door.seen().len()), (0, 8), "{}", done.stderr);
}

#[tokio::test]
async fn an_act_that_waits_prints_how_the_sagas_ended() {
    let door = Door::open().await;
    let id = door.add(view(1, SagaStatus::Running));
    door.inner().streams.insert(id, vec![sse(&[record(1, SagaStatus::Compensated, 6)], true)]);
    let text = id.to_string();
    door.script(&format!("GET /sagas/{id}"), vec![(200, json!(view(1, SagaStatus::Compensated)))]);
    let ended = Sagactl::at(&door, &["cancel", &text, "--reason", "because", "--wait"]).run().await;
    assert!(ended.code == 0 && ended.stdout.contains("compensated"), "{}{}", ended.stdout, ended.stderr);
}

#[tokio::test]
async fn a_command_ends_when_its_time_is_over() {
    // Takes connections, and answers nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let id = saga_id(1).to_string();
    for (arguments, code, words) in [
        (vec!["list"], 1, "not done within 1 s"),
        (vec!["wait", &id], 1, "not done within 1 s"),
        (vec!["cancel", &id, "--reason", "because"], 7, "may have taken effect"),
    ] {
        let arguments = [&arguments[..], &["--timeout", "1"]].concat();
        let ended = Sagactl::new(&arguments).env("SAGACTL_URL", &url).env("SAGACTL_TOKEN", "x").run().await;
        assert!(ended.code == code && ended.stderr.contains(words), "{arguments:?}: {} {}", ended.code, ended.stderr);
    }
}

#[tokio::test]
async fn a_query_selects_the_sagas_that_are_acted_on_and_a_dry_run_shows_them() {
    let door = Door::open().await;
    let ids: Vec<_> = (1..=3).map(|number| door.add(view(number, SagaStatus::Running)).to_string()).collect();
    let query = ["--query", "status:needs_attention name:order", "--reason", "because", "-o", "ids"];
    let dry = Sagactl::at(&door, &[&["retry"], &query[..], &["--dry-run"]].concat()).run().await;
    assert_eq!(dry.stdout.lines().collect::<Vec<_>>(), ids, "{}", dry.stderr);
    assert_eq!(door.seen()[0].0, "GET /sagas?name=order&page_size=200&status=needs_attention");
    let unasked = Sagactl::at(&door, &[&["retry"], &query[..]].concat()).run().await;
    assert!(unasked.code == 2 && unasked.stderr.contains("3 sagas"), "{}", unasked.stderr);
    let done = Sagactl::at(&door, &[&["retry"], &query[..], &["--yes"]].concat()).run().await;
    assert_eq!(done.stdout.lines().collect::<Vec<_>>(), ids, "{}", done.stderr);
    for wrong in ["status:stuck", "", "   ", "colour:red"] {
        let ended = Sagactl::at(&door, &["retry", "--query", wrong, "--reason", "because"]).run().await;
        assert_eq!(ended.code, 2, "{wrong}: {}", ended.stderr);
    }
}

//! `list`, `show`, `journal`, `dead-letters list`.

use std::{
    io::Read as _,
    process::{Command, Stdio},
};

use contract::orchestrator_api::{Explanation, SagaSummary, SagaView};
use contract::saga::SagaStatus;

use crate::{
    door::{Door, TOKEN, letter, saga_id, view},
    run::Sagactl,
};

#[tokio::test]
async fn a_list_is_paged_until_the_end_in_every_format() {
    let door = Door::open().await;
    for number in 1..=5 {
        door.add(view(number, SagaStatus::Compensating));
    }
    let table = Sagactl::at(&door, &["list"]).run().await;
    assert_eq!(table.code, 0, "{}", table.stderr);
    insta::assert_snapshot!("list_table", table.stdout);

    let ids = Sagactl::at(&door, &["list", "-o", "ids"]).run().await;
    let expected: String = (1..=5).map(|number| format!("{}\n", saga_id(number))).collect();
    assert_eq!(ids.stdout, expected);

    let lines = Sagactl::at(&door, &["list", "-o", "jsonl"]).run().await;
    assert_eq!(lines.stdout.lines().filter(|line| serde_json::from_str::<SagaSummary>(line).is_ok()).count(), 5);

    let json = Sagactl::at(&door, &["list", "-o", "json"]).run().await;
    assert_eq!(serde_json::from_str::<Vec<SagaSummary>>(&json.stdout).unwrap().len(), 5);
}

#[tokio::test]
async fn a_list_stops_at_its_limit_and_says_that_there_is_more() {
    let door = Door::open().await;
    for number in 1..=5 {
        door.add(view(number, SagaStatus::Running));
    }
    let ended = Sagactl::at(&door, &["list", "--limit", "3", "-o", "ids"]).run().await;
    assert_eq!(ended.stdout.lines().count(), 3);
    assert!(ended.stderr.contains("more than 3"), "{}", ended.stderr);
    assert_eq!(door.seen().len(), 2, "a page that is not needed is not fetched");
}

#[tokio::test]
async fn filters_are_sent_as_the_orchestrator_names_them() {
    let door = Door::open().await;
    let arguments = [
        "list",
        "--status",
        "running",
        "--status",
        "needs-attention",
        "--name",
        "order",
        "--business-key",
        "ord_1",
        "--owner",
        "usr_1",
        "--attribute",
        "departs_on:2026-12-24",
        "--attribute",
        "payment_id:pay_1",
        "--error",
        "a:b",
        "--since",
        "2026-12-01T00:00:00Z",
        "--until",
        "2026-12-02T00:00:00+01:00",
    ];
    let ended = Sagactl::at(&door, &arguments).run().await;
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (0, "", "no sagas\n"));
    assert_eq!(
        door.seen()[0].0,
        "GET /sagas?attributes=departs_on:2026-12-24,payment_id:pay_1&business_key=ord_1&created_after=2026-12-01T00:00:00Z&created_before=2026-12-01T23:00:00Z&error=a:b\
         &name=order&owner=usr_1&page_size=200&status=running,needs_attention"
    );
}

#[tokio::test]
async fn a_saga_is_shown_step_by_step_in_words() {
    let door = Door::open().await;
    let id = door.add(view(1, SagaStatus::Compensating)).to_string();
    let ended = Sagactl::at(&door, &["show", &id]).run().await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    insta::assert_snapshot!("show", ended.stdout);
    let json = Sagactl::at(&door, &["show", &id, "-o", "json"]).run().await;
    assert_eq!(serde_json::from_str::<SagaView>(&json.stdout).unwrap().head, 9);
}

#[tokio::test]
async fn a_saga_that_does_not_move_is_explained_point_by_point() {
    let door = Door::open().await;
    let id = door.add(view(1, SagaStatus::Running)).to_string();
    let ended = Sagactl::at(&door, &["explain", &id]).run().await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    insta::assert_snapshot!("explain", ended.stdout);
    let json = Sagactl::at(&door, &["explain", &id, "-o", "json"]).run().await;
    assert_eq!(serde_json::from_str::<Explanation>(&json.stdout).unwrap().head, 4);
    assert_eq!(Sagactl::at(&door, &["explain", &saga_id(2).to_string()]).run().await.code, 4);
}

#[tokio::test]
async fn several_sagas_are_shown_from_stdin_and_missing_ones_are_told() {
    let door = Door::open().await;
    let one = door.add(view(1, SagaStatus::Running));
    let missing = saga_id(2);
    let ended = Sagactl::at(&door, &["show", "-", "-o", "json"]).stdin(&format!("{one}\n{missing}\n")).run().await;
    assert_eq!(ended.code, 5);
    assert_eq!(serde_json::from_str::<Vec<SagaView>>(&ended.stdout).unwrap().len(), 1);
    assert!(ended.stderr.contains(&missing.to_string()), "{}", ended.stderr);
}

#[tokio::test]
async fn a_journal_is_told_entry_by_entry() {
    let door = Door::open().await;
    let id = door.add(view(1, SagaStatus::Running)).to_string();
    let ended = Sagactl::at(&door, &["journal", &id]).run().await;
    insta::assert_snapshot!("journal", ended.stdout);
}

#[tokio::test]
async fn failures_are_grouped_the_most_numerous_first() {
    let door = Door::open().await;
    let ended = Sagactl::at(&door, &["errors", "--name", "order"]).run().await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    insta::assert_snapshot!("errors", ended.stdout);
    assert_eq!(door.seen()[0].0, "GET /errors?name=order&page_size=200");
    let ids = Sagactl::at(&door, &["errors", "-o", "ids"]).run().await;
    assert_eq!(ids.stdout, "hold-rooms/room_sold_out\nconfirm-seats/reply_missing\n");
}

#[tokio::test]
async fn definitions_are_listed_with_the_findings_about_them() {
    let door = Door::open().await;
    let ended = Sagactl::at(&door, &["definitions"]).run().await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    insta::assert_snapshot!("definitions", ended.stdout);
    let ids = Sagactl::at(&door, &["definitions", "--name", "order", "-o", "ids"]).run().await;
    assert_eq!(ids.stdout, "order v1\norder v2\n");
}

#[tokio::test]
async fn dead_letters_are_listed() {
    let door = Door::open().await;
    door.inner().letters = vec![letter(7, saga_id(1)), letter(8, saga_id(2))];
    let ended = Sagactl::at(&door, &["dead-letters", "list"]).run().await;
    insta::assert_snapshot!("dead_letters", ended.stdout);
    let ids = Sagactl::at(&door, &["dead-letters", "list", "-o", "ids"]).run().await;
    assert_eq!(ids.stdout, "7\n8\n");
}

#[tokio::test]
async fn how_everything_does_is_printed_once_where_there_is_no_terminal() {
    let door = Door::open().await;
    let at = "2026-12-01T08:00:00Z";
    let circuit = serde_json::json!({ "cause": "domain_silent", "since": at, "next_probe_at": at });
    let counts = serde_json::json!({
        "sagas": 4711, "quarantined": 0, "ages": [], "oldest_open": { "id": "saga_1", "created_at": at },
        "groups": [{ "name": "order", "version": 1, "status": "completed", "sagas": 4709 },
            { "name": "order", "version": 1, "status": "needs_attention", "sagas": 2 }],
    });
    let processes = serde_json::json!({ "orchestrators": [{}], "domains": [
        { "route": "payment", "queue": { "messages": 7, "consumers": 1 }, "under_way": 2, "held_sagas": 5, "circuit": circuit },
        { "route": "feed", "under_way": 0, "held_sagas": 0 },
    ] });
    door.script("GET /counts", vec![(200, counts.clone())]);
    door.script("GET /processes", vec![(200, processes)]);
    door.add(view(1, SagaStatus::NeedsAttention));
    let ended = Sagactl::at(&door, &["top"]).run().await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    insta::assert_snapshot!("top", ended.stdout);
    let json = Sagactl::at(&door, &["top", "-o", "json"]).run().await;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json.stdout).unwrap()["counts"], counts);
}

#[tokio::test]
async fn a_list_is_asked_for_in_the_words_of_the_query_bar() {
    let door = Door::open().await;
    let ended =
        Sagactl::at(&door, &["list", "--query", "status:running name:order sort:oldest", "-o", "ids"]).run().await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(door.seen()[0].0, "GET /sagas?name=order&page_size=200&sort=oldest&status=running");
    for wrong in [vec!["--query", "colour:red"], vec!["--query", "name:order", "--status", "running"]] {
        assert_eq!(Sagactl::at(&door, &[&["list"], &wrong[..]].concat()).run().await.code, 2, "{wrong:?}");
    }
}

#[tokio::test]
async fn missing_things_and_missing_rights_have_their_own_exits() {
    let door = Door::open().await;
    let missing = saga_id(1).to_string();
    assert_eq!(Sagactl::at(&door, &["show", &missing]).run().await.code, 4);
    assert_eq!(Sagactl::at(&door, &["watch", &missing]).run().await.code, 4);
    assert_eq!(Sagactl::at(&door, &["journal", &missing]).run().await.code, 4);
    assert_eq!(Sagactl::at(&door, &["list"]).env("SAGACTL_TOKEN", "stale").run().await.code, 3);
    let none = Sagactl::at(&door, &["list"]).without("SAGACTL_TOKEN").run().await;
    assert_eq!(none.code, 3);
    assert!(none.stderr.contains("sagactl login"), "{}", none.stderr);
    let empty = Sagactl::at(&door, &["list"]).env("SAGACTL_TOKEN", "").run().await;
    assert_eq!((empty.code, empty.stderr), (3, none.stderr), "a token set to nothing is no token");
}

#[tokio::test]
async fn a_gateway_that_is_not_there_is_named() {
    // A port that was free a moment ago.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{address}");
    let ended = Sagactl::new(&["list", "--url", &url, "--token", "x"]).run().await;
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains(&format!("cannot reach the gateway at {url}")), "{}", ended.stderr);
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_error() {
    let door = Door::open().await;
    for number in 1..=2000 {
        door.add(view(number, SagaStatus::Running));
    }
    let url = door.url();
    let (code, stderr) = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sagactl"));
        command.args(["list", "-o", "jsonl", "--limit", "0", "--url", &url, "--token", TOKEN]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = [0; 8];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    })
    .await
    .unwrap();
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
}

//! `jobs`: one act on many sagas.

use crate::{
    door::{Door, JOB},
    run::Sagactl,
};

/// The name of a request.
const REQUEST: &str = "req_0192f0c1a2b37c4d8e5f0000000000bb";

#[tokio::test]
async fn a_dry_run_shows_the_groups_and_makes_no_job() {
    let door = Door::open().await;
    let flags = ["jobs", "create", "cancel", "--name", "order", "--reason", "because", "--dry-run"];
    let dry = Sagactl::at(&door, &flags).run().await;
    assert_eq!(dry.code, 0, "{}", dry.stderr);
    insta::assert_snapshot!("job_preview", dry.stdout);
    assert_eq!(door.seen(), [("POST /jobs/preview".to_owned(), r#"{"filter":{"name":"order"}}"#.to_owned())]);
}

#[tokio::test]
async fn a_job_is_made_after_a_look_at_its_size() {
    let door = Door::open().await;
    let mut flags = vec!["jobs", "create", "retry", "--step", "confirm-rooms", "--status", "needs-attention"];
    flags.extend(["--canary", "5", "--go-on", "--pace", "2", "--reason", "the hotel is back"]);
    flags.extend(["--request-id", REQUEST]);
    let unasked = Sagactl::at(&door, &flags).run().await;
    assert_eq!(unasked.code, 2, "{}", unasked.stderr);
    assert!(unasked.stderr.contains("retry would change 6 sagas"), "{}", unasked.stderr);
    flags.push("--yes");
    let made = Sagactl::at(&door, &flags).run().await;
    assert_eq!(made.code, 0, "{}", made.stderr);
    insta::assert_snapshot!("job_made", made.stdout);
    let asked = r#"{"action":"retry","step":"confirm-rooms","filter":{"status":["needs_attention"]},"#;
    let rest = r#""reason":"the hotel is back","pace":2,"canary":{"sagas":5,"then":"go_on"},"#;
    let named = format!(r#""request_id":"{REQUEST}"}}"#);
    assert_eq!(door.seen().last().unwrap(), &("POST /jobs".to_owned(), format!("{asked}{rest}{named}")));
}

#[tokio::test]
async fn a_job_migrates_to_the_version_that_is_named() {
    let door = Door::open().await;
    let flags = ["jobs", "create", "migrate", "--to", "2", "--name", "order", "--reason", "version 1 ends", "--yes"];
    let made = Sagactl::at(&door, &flags).run().await;
    assert_eq!(made.code, 0, "{}", made.stderr);
    let asked =
        r#"{"action":"migrate","version":2,"filter":{"name":"order"},"reason":"version 1 ends","request_id":"req_"#;
    let (call, body) = door.seen().pop().unwrap();
    assert!(call == "POST /jobs" && body.starts_with(asked), "{body}");
}

#[tokio::test]
async fn a_job_and_its_sagas_are_shown() {
    let door = Door::open().await;
    let shown = Sagactl::at(&door, &["jobs", "show", JOB]).run().await;
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    insta::assert_snapshot!("job_shown", shown.stdout);
    let items = Sagactl::at(&door, &["jobs", "items", JOB, "--outcome", "refused"]).run().await;
    assert_eq!(items.code, 0, "{}", items.stderr);
    insta::assert_snapshot!("job_items", items.stdout);
    assert!(door.seen().last().unwrap().0.contains("refused"));
    let listed = Sagactl::at(&door, &["jobs", "list", "-o", "ids"]).run().await;
    assert_eq!(listed.stdout, format!("{JOB}\n"));
}

#[tokio::test]
async fn a_job_is_followed_over_a_lost_connection_and_ends_with_5_when_not_every_saga_took_the_act() {
    let door = Door::open().await;
    let followed = Sagactl::at(&door, &["jobs", "watch", JOB]).run().await;
    assert_eq!(followed.code, 5, "{}", followed.stderr);
    insta::assert_snapshot!("job_watched", followed.stdout);
    assert!(followed.stderr.contains("taking it up again"), "{}", followed.stderr);
    assert!(followed.stderr.contains("4 of 6 took the act"), "{}", followed.stderr);
}

#[tokio::test]
async fn a_job_is_paused_aborted_and_run_again_and_a_refusal_ends_with_6() {
    let door = Door::open().await;
    for (change, code) in [("pause", 0), ("abort", 0), ("rerun", 0), ("resume", 6)] {
        let ended = Sagactl::at(&door, &["jobs", change, JOB, "--reason", "because"]).run().await;
        assert_eq!(ended.code, code, "{change}: {}", ended.stderr);
        assert_eq!(door.seen().last().unwrap().0, format!("POST /jobs/{JOB}/{change}"));
    }
}

#[tokio::test]
async fn flags_that_an_action_does_not_have_are_refused_before_anything_is_asked() {
    let door = Door::open().await;
    for wrong in [
        vec!["cancel", "--step", "confirm-rooms"],
        vec!["skip", "--step", "confirm-rooms"],
        vec!["retry", "--reply", "{}"],
        vec!["abandon", "--go-on"],
        vec!["migrate"],
        vec!["cancel", "--to", "2"],
    ] {
        let flags = [vec!["jobs", "create"], wrong, vec!["--name", "order", "--reason", "because"]].concat();
        let ended = Sagactl::at(&door, &flags).run().await;
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{flags:?}: {}", ended.stderr);
    }
    assert!(door.seen().is_empty());
}

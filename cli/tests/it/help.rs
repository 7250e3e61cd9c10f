//! The help texts, as snapshots.

use crate::run::Sagactl;

#[tokio::test]
async fn the_help_is_reviewed() {
    for verb in [
        "",
        "list",
        "errors",
        "definitions",
        "show",
        "explain",
        "tree",
        "watch",
        "wait",
        "journal",
        "retry",
        "cancel",
        "skip",
        "migrate",
        "migrations",
        "edit",
        "resolve",
        "abandon",
        "pause",
        "resume",
        "pauses",
        "plan",
        "audit",
        "jobs",
        "signal",
        "timers",
        "login",
        "people",
        "whoami",
        "dead-letters",
        "timer",
        "completions",
        "man",
    ] {
        let ended =
            Sagactl::new(&[verb, "--help"].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>()).run().await;
        assert_eq!(ended.code, 0, "{verb}");
        insta::assert_snapshot!(format!("help_{verb}"), ended.stdout);
    }
}

#[tokio::test]
async fn wrong_usage_ends_with_2_and_says_nothing_on_stdout() {
    let id = "saga_0192f0c1a2b37c4d8e5f000000000001";
    for wrong in [
        vec!["explode"],
        vec!["cancel", id],
        vec!["cancel", id, "--reason", ""],
        vec!["cancel", "ord_1", "--reason", "because"],
        vec!["skip", id, "--step", "Notify", "--reply", "{}", "--reason", "because"],
        vec!["skip", id, "--step", "notify", "--reply", "{", "--reason", "because"],
        vec!["edit", id, "--step", "notify", "--patch", "{}", "--reason", "because"],
        vec!["resolve", id, "--step", "notify", "--evidence", "done", "--reason", "because"],
        vec!["list", "--status", "stuck"],
        vec!["list", "--since", "yesterday"],
        vec!["show", "saga_1"],
        vec!["watch", id, "-o", "json"],
        vec!["list", "--url", "nowhere"],
        vec!["dead-letters", "redrive", "seven", "--reason", "because"],
    ] {
        let ended = Sagactl::new(&wrong).env("SAGACTL_TOKEN", "x").run().await;
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{wrong:?}: {}", ended.stderr);
        assert!(!ended.stderr.is_empty(), "{wrong:?}");
    }
}

#[tokio::test]
async fn the_manual_has_a_page_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let ended = Sagactl::new(&["man", folder.path().to_str().unwrap()]).run().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""), "{}", ended.stderr);
    for (page, words) in [
        ("sagactl.1", "Exit codes"),
        ("sagactl-cancel.1", "Turn a saga around"),
        ("sagactl-people-create.1", "password"),
    ] {
        let text = std::fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains(words), "{page}");
    }
}

#[tokio::test]
async fn completions_are_printed() {
    let ended = Sagactl::new(&["completions", "bash"]).run().await;
    assert_eq!(ended.code, 0);
    assert!(ended.stdout.contains("_sagactl"));
}

//! The help texts, as snapshots.

use crate::run::Sagactl;

/// The commands that a help text lists.
fn commands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The help of every command, found from the top down.
async fn helps() -> Vec<(String, String)> {
    let mut wanted = vec![Vec::<String>::new()];
    let mut helps = Vec::new();
    while let Some(verb) = wanted.pop() {
        let arguments = verb.iter().map(String::as_str).chain(["--help"]).collect::<Vec<_>>();
        let ended = Sagactl::new(&arguments).run().await;
        assert_eq!(ended.code, 0, "{verb:?}");
        wanted.extend(commands(&ended.stdout).into_iter().map(|name| [&verb[..], &[name]].concat()));
        helps.push((verb.join("_"), ended.stdout));
    }
    helps
}

#[tokio::test]
async fn the_help_of_every_command_is_reviewed_and_is_in_the_manual_and_the_completions() {
    let folder = tempfile::tempdir().unwrap();
    let ended = Sagactl::new(&["man", folder.path().to_str().unwrap()]).run().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""), "{}", ended.stderr);
    let completions = Sagactl::new(&["completions", "bash"]).run().await.stdout;
    let helps = helps().await;
    assert!(helps.len() > 60, "{}", helps.len());
    for (verb, help) in helps {
        let page = ["sagactl"].into_iter().chain(verb.split('_').filter(|word| !word.is_empty())).collect::<Vec<_>>();
        assert!(folder.path().join(format!("{}.1", page.join("-"))).is_file(), "{verb} has no page");
        let completed = page[1..].iter().all(|word| completions.contains(word));
        assert!(completed && completions.contains("_sagactl"), "{verb} is not completed");
        insta::assert_snapshot!(format!("help_{verb}"), help);
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
        vec!["cancel", "--reason", "because"],
        vec!["cancel", id, "--query", "age>1h", "--reason", "because"],
        vec![
            "cancel",
            id,
            "saga_0192f0c1a2b37c4d8e5f000000000002",
            "--reason",
            "because",
            "--request-id",
            "req_0192f0c1a2b37c4d8e5f0000000000bb",
        ],
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

//! `people`, `whoami`, and the settings of a call.

use std::fs;

use crate::{
    door::{Door, TOKEN},
    run::Sagactl,
};

#[tokio::test]
async fn people_are_listed_also_with_what_this_program_does_not_know() {
    let door = Door::open().await;
    let listed = Sagactl::at(&door, &["people", "list", "--role", "admin", "--limit", "3"]).run().await;
    assert_eq!(listed.code, 0, "{}", listed.stderr);
    insta::assert_snapshot!("people", listed.stdout);
    assert_eq!(door.seen()[0].0, "GET /ops/api/people?role=admin&page_size=3");
    let whoami = Sagactl::at(&door, &["whoami", "-o", "yaml"]).run().await;
    assert_eq!(whoami.code, 0, "{}", whoami.stderr);
    insta::assert_snapshot!("whoami_yaml", whoami.stdout);
}

#[tokio::test]
async fn people_are_made_and_changed_with_a_reason() {
    let door = Door::open().await;
    let create = ["people", "create", "--email", "a@b.example", "--name", "A", "--role", "viewer", "--password-stdin"];
    let made = Sagactl::at(&door, &[&create[..], &["--reason", "because", "-o", "ids"]].concat());
    let made = made.stdin("a long enough passphrase\n").run().await;
    let id = "usr_00000000000000000000000000000004";
    assert_eq!((made.code, made.stdout.trim()), (0, id), "{}", made.stderr);
    for act in ["disable", "enable"] {
        let done = Sagactl::at(&door, &["people", act, id, "--reason", "because"]).run().await;
        assert_eq!(done.code, 0, "{}", done.stderr);
    }
    let done = Sagactl::at(&door, &["people", "set-role", id, "admin", "--reason", "because"]).run().await;
    assert_eq!(done.code, 0, "{}", done.stderr);
    let person = r#"{"email":"a@b.example","name":"A","password":"a long enough passphrase","role":"viewer","reason":"because"}"#;
    let reason = r#"{"reason":"because"}"#;
    let role = r#"{"role":"admin","reason":"because"}"#;
    let sent = [("", person), ("/disable", reason), ("/enable", reason), ("/role", role)];
    let sent = sent.map(|(act, body)| {
        let path = if act.is_empty() { "POST /people".to_owned() } else { format!("POST /people/{id}{act}") };
        (path, body.to_owned())
    });
    assert_eq!(door.seen(), sent);
    let unknown = Sagactl::at(&door, &["people", "set-role", id, "root", "--reason", "because"]).run().await;
    assert_eq!(unknown.code, 2);
}

#[tokio::test]
async fn a_profile_says_what_neither_a_flag_nor_the_environment_does() {
    let door = Door::open().await;
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("sojourn")).unwrap();
    let file =
        format!("[here]\nurl = \"{}\"\noutput = \"ids\"\n\n[nowhere]\nurl = \"http://127.0.0.1:1\"\n", door.url());
    fs::write(folder.path().join("sojourn/sagactl.toml"), file).unwrap();
    let run = |arguments: &[&str]| Sagactl::new(arguments).config(folder.path()).env("SAGACTL_TOKEN", TOKEN);
    let by_flag = run(&["whoami", "--profile", "here"]).run().await;
    assert_eq!(
        (by_flag.code, by_flag.stdout.trim()),
        (0, "usr_00000000000000000000000000000001"),
        "{}",
        by_flag.stderr
    );
    let over =
        run(&["whoami", "-o", "json"]).env("SAGACTL_PROFILE", "nowhere").env("SAGACTL_URL", &door.url()).run().await;
    assert!(over.stdout.starts_with('{'), "{}", over.stderr);
    let unknown = run(&["whoami", "--profile", "elsewhere"]).run().await;
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("there are: here, nowhere"), "{}", unknown.stderr);
}

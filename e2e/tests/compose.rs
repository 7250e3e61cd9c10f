//! The programs take every command of `docker-compose.yml`, and the image holds them. No container is needed for that.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{collections::BTreeSet, path::Path, time::Duration};

use e2e::{domains, run};

/// How long a check of settings may take.
const CHECKED_WITHIN: Duration = Duration::from_secs(30);

/// The environment of the containers.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("DATABASE_URL", "postgres://sojourn:development@postgres:5432"),
    ("AMQP_URL", "amqp://sojourn:development@rabbitmq:5672"),
    ("SOJOURN_INTERNAL_TOKEN", "development-internal-token"),
];

fn file(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)).unwrap()
}

/// The commands of the programs' services, written as a list on one line or with a line for each word.
fn commands(compose: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    let mut lines = compose.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(list) = line.trim().strip_prefix("command:") else { continue };
        let mut command: Vec<String> =
            if list.is_empty() { Vec::new() } else { serde_json::from_str(list).unwrap_or_else(|_| panic!("{line}")) };
        while let Some(word) = lines.next_if(|line| list.is_empty() && line.starts_with("      - ")) {
            command.push(word.trim_start_matches("      - ").to_owned());
        }
        commands.push(command);
    }
    commands.retain(|command| ["orchestrator", "worker", "gateway", "dashboard"].contains(&command[0].as_str()));
    commands
}

#[tokio::test]
async fn the_programs_take_every_command_of_the_compose_file_and_are_in_the_image() {
    let (compose, image) = (file("docker-compose.yml"), file("Dockerfile"));
    let commands = commands(&compose);
    let mut started = BTreeSet::new();
    for command in &commands {
        let program = command[0].as_str();
        assert!(image.contains(&format!("target/release/{program} ")), "{program} is not in the image");
        if program == "worker" {
            started.insert(command[1].as_str());
        }
        let arguments: Vec<&str> = command[1..].iter().map(String::as_str).chain(["--check-config"]).collect();
        let checked = run(program, &arguments, &ENVIRONMENT, "", CHECKED_WITHIN).await.unwrap();
        assert_eq!(checked.code, Some(0), "{command:?}: {checked:?}");
    }
    assert_eq!(started, domains().collect());
    assert_eq!(commands.iter().filter(|command| command[0] == "orchestrator").count(), 2);
    for program in ["gateway", "dashboard"] {
        assert_eq!(commands.iter().filter(|command| command[0] == program).count(), 1, "{program}");
    }
}

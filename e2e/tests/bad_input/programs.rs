//! Programs that cannot start say why, name the address, and say how to get what is missing; wrong settings are named.

use std::time::Duration;

use e2e::{Client, Ended, Findings, free_port, run, wait};

/// How long a program may take to say that it cannot start: it tries for a while, since servers may come up with it.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// The settings that the programs cannot do without.
const PROGRAMS: [(&str, &[&str]); 4] =
    [("orchestrator", SERVERS), ("worker", &["flights", SERVERS[0], SERVERS[1]]), ("gateway", &[]), ("sojourn", &[])];
const SERVERS: &[&str] =
    &["--database-url=postgres://me:hunter2@127.0.0.1:1/x", "--amqp-url=amqp://me:hunter2@127.0.0.1:1/%2f"];

async fn ran(binary: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    run(binary, arguments, environment, "", ENDS_WITHIN).await.unwrap()
}

/// A failure with an exit code that says these words, and nobody's password.
fn failed(findings: &mut Findings, what: &str, ended: &Ended, code: i32, words: &[&str]) {
    let said = words.iter().all(|word| ended.stderr.contains(word)) && !ended.stderr.contains("panicked");
    findings.that(what, ended.code == Some(code) && said && ended.stdout.is_empty(), (ended, words));
    findings.that("a password in an error", !ended.stderr.contains("hunter2"), &ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_and_missing_servers_are_named_and_end_the_program() {
    let mut findings = Findings::default();
    help_and_versions(&mut findings).await;
    settings(&mut findings).await;
    missing_servers(&mut findings).await;
    gateway_alone(&mut findings).await;
    sagactl_alone(&mut findings).await;
    findings.end(String::new);
}

async fn help_and_versions(findings: &mut Findings) {
    for (binary, _) in PROGRAMS {
        let help = ran(binary, &["--help"], &[]).await;
        let told = help.code == Some(0) && help.stderr.is_empty();
        let names =
            ["--config", "--check-config", "--log-level", "Usage"].iter().all(|word| help.stdout.contains(word));
        findings.that(&format!("{binary} --help"), told && names, &help);
        let version = ran(binary, &["--version"], &[]).await;
        let says = version.stdout.trim() == format!("{binary} {}", env!("CARGO_PKG_VERSION"));
        findings.that(&format!("{binary} --version"), version.code == Some(0) && says, &version);
        let wrong = ran(binary, &["--nonsense"], &[]).await;
        failed(findings, &format!("{binary} --nonsense"), &wrong, 2, &["--nonsense"]);
    }
    let version = ran("sagactl", &["--version"], &[]).await;
    findings.that("sagactl --version", version.code == Some(0) && version.stdout.starts_with("sagactl "), &version);
    let help = ran("sagactl", &["--help"], &[]).await;
    findings.that("sagactl --help", help.code == Some(0) && help.stdout.contains("Exit codes"), &help);
}

async fn settings(findings: &mut Findings) {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let missing = folder.path().join("missing.toml").display().to_string();
    for (binary, needs) in PROGRAMS {
        let check = |more: &[&str]| {
            let all: Vec<String> =
                [needs, &["--check-config"], more].concat().iter().map(|text| (*text).to_owned()).collect();
            async move { ran(binary, &all.iter().map(String::as_str).collect::<Vec<_>>(), &[]).await }
        };
        let good = check(&[]).await;
        findings.that(
            &format!("{binary} --check-config"),
            good.code == Some(0) && good.stdout == "configuration ok\n",
            &good,
        );
        let what = |of: &str| format!("{binary}: {of}");
        let listen = check(&["--listen=here"]).await;
        failed(findings, &what("a wrong address"), &listen, 2, &["--listen", "here"]);
        let config = file("good.toml", "log_level = \"warn\"\n");
        let config = config.as_str();
        let hyphens = check(&["--config", config]).await;
        failed(findings, &what("a key that is spelled otherwise"), &hyphens, 2, &["log_level", config, "log-level"]);
        let config = file("unknown.toml", "lisen = \"127.0.0.1:1\"\n");
        failed(findings, &what("an unknown key"), &check(&["--config", &config]).await, 2, &["`lisen`", &config]);
        let config = file("broken.toml", "listen = \n");
        failed(
            findings,
            &what("a file that is not TOML"),
            &check(&["--config", &config]).await,
            2,
            &["is not TOML", &config],
        );
        let config = file("wrong.toml", "listen = \"nowhere\"\n");
        failed(
            findings,
            &what("a wrong value in a file"),
            &check(&["--config", &config]).await,
            2,
            &["--listen", "nowhere"],
        );
        let config = file("table.toml", "[listen]\nport = 1\n");
        failed(findings, &what("a table in a file"), &check(&["--config", &config]).await, 2, &["`listen`", &config]);
        failed(findings, &what("no file"), &check(&["--config", &missing]).await, 2, &["cannot read", &missing]);
        let config = file("fine.toml", "listen = \"127.0.0.1:0\"\nlog-level = \"warn\"\n");
        let fine = check(&["--config", &config]).await;
        findings.that(&what("a good file"), fine.code == Some(0), &fine);
        let production = check(&["--environment=production"]).await;
        let refused =
            production.code.is_some_and(|code| code != 0) && production.stderr.contains("SOJOURN_INTERNAL_TOKEN");
        findings.that(&what("production with a default secret"), refused, &production);
    }
    let urls = "DATABASE_URL";
    failed(findings, "no servers named", &ran("orchestrator", &[], &[]).await, 2, &["--database-url", "--amqp-url"]);
    let domain = ran("worker", &["fligths", SERVERS[0], SERVERS[1]], &[]).await;
    failed(findings, "an unknown domain", &domain, 2, &["fligths", "flights", "accommodation"]);
    failed(findings, "no domain", &ran("worker", SERVERS, &[]).await, 2, &["<DOMAIN>"]);
    for (binary, first) in [("orchestrator", &[][..]), ("worker", &["feed"][..])] {
        for (database, amqp, word) in [
            ("mysql://me:hunter2@127.0.0.1/x", "amqp://127.0.0.1", "postgres://"),
            ("postgres://127.0.0.1:1", "http://me:hunter2@127.0.0.1", "amqp://"),
        ] {
            let ended =
                ran(binary, &[first, &["--check-config"]].concat(), &[(urls, database), ("AMQP_URL", amqp)]).await;
            failed(findings, &format!("{binary}: {database} {amqp}"), &ended, 1, &[word]);
        }
    }
    let url = ran("gateway", &["--check-config", "--order-url=mailto:x@y.example"], &[]).await;
    failed(findings, "gateway: not an http address", &url, 1, &["--order-url"]);
}

async fn missing_servers(findings: &mut Findings) {
    let nobody = free_port().unwrap();
    let database = format!("postgres://me:hunter2@127.0.0.1:{nobody}/postgres");
    let amqp = format!("amqp://me:hunter2@127.0.0.1:{nobody}/%2f");
    let address = format!("127.0.0.1:{nobody}");
    let (there, namespace) = (private_servers::testing::amqp_url(), private_servers::testing::unique("nobody"));
    let live = private_servers::testing::database("nobody").await;
    for (binary, domain) in [("orchestrator", None), ("worker", Some("flights")), ("worker", Some("payment"))] {
        let arguments: Vec<&str> = domain.into_iter().chain(["--listen=127.0.0.1:0"]).collect();
        let start = async |database: &str, amqp: &str| {
            let environment = [("DATABASE_URL", database), ("AMQP_URL", amqp), ("SOJOURN_AMQP_NAMESPACE", &namespace)];
            ran(binary, &arguments, &environment).await
        };
        let how = "cargo xtask run";
        let ended = start(&database, &there).await;
        let words = ["PostgreSQL", &address, how, "DATABASE_URL"];
        failed(findings, &format!("{binary} {domain:?} without a database"), &ended, 1, &words);
        let ended = start(&live, &amqp).await;
        failed(
            findings,
            &format!("{binary} {domain:?} without a broker"),
            &ended,
            1,
            &["RabbitMQ", &address, how, "AMQP_URL"],
        );
        let ended = start(&database, &amqp).await;
        failed(findings, &format!("{binary} {domain:?} without anything"), &ended, 1, &[&address, how]);
    }
}

/// The gateway needs nobody to start; it says who is missing.
async fn gateway_alone(findings: &mut Findings) {
    let (port, nobody) = (free_port().unwrap(), free_port().unwrap());
    let parts = ["orchestrator", "user", "order", "flights", "accommodation"];
    let arguments: Vec<String> = parts
        .iter()
        .map(|part| format!("--{part}-url=http://127.0.0.1:{nobody}"))
        .chain([format!("--listen=127.0.0.1:{port}")])
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = e2e::Program::start("gateway", "gateway", arguments.clone(), Vec::new(), folder.path()).unwrap();
    let address = format!("http://127.0.0.1:{port}");
    let door = Client::stranger(&address);
    let ready = wait::until("a gateway that listens", ENDS_WITHIN, || async {
        let ready = door.get("/ready").await.map_err(|error| error.to_string())?;
        if ready.status == 503 { Ok(ready) } else { Err(format!("{ready:?}")) }
    })
    .await;
    let named = parts.iter().all(|part| ready.body["missing"].to_string().contains(part));
    findings.that("what is missing is named", ready.status == 503 && named, &ready);
    findings.that("it lives", door.get("/health").await.unwrap().status == 200, ());
    let search = "/v1/flights/offers?from=LHR&to=MLE&date=2030-01-01&cabin=business&passengers=1";
    let answer = door.get(search).await.unwrap();
    findings.problem("a search without flights", &answer, 503, "service_unavailable", &[]);
    let names =
        |answer: &e2e::Response, part: &str| answer.body["detail"].as_str().is_some_and(|text| text.contains(part));
    findings.that("the missing part is named", names(&answer, "flights"), &answer);
    let answer = Client::with_token(&address, &unverifiable_token()).get("/v1/orders").await.unwrap();
    findings.problem("a token that cannot be verified", &answer, 503, "service_unavailable", &[]);

    let second: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let second = ran("gateway", &second, &[]).await;
    failed(findings, "an address that is taken", &second, 1, &[&format!("127.0.0.1:{port}")]);
    let code = gateway.terminate(Duration::from_secs(20)).await.unwrap();
    findings.that("the gateway ends in order", code == Some(0), code);
    findings.that("the gateway's panics", gateway.panics().is_empty(), gateway.panics());
}

/// Shaped like ours, by a key that only the user service could name.
fn unverifiable_token() -> String {
    // {"alg":"EdDSA","typ":"at+jwt","kid":"k"} and {}
    format!("eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCIsImtpZCI6ImsifQ.e30.{}", "A".repeat(86))
}

async fn sagactl_alone(findings: &mut Findings) {
    let url = format!("http://127.0.0.1:{}", free_port().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().display().to_string();
    let saga = "saga_00000000000000000000000000000001";
    let tell = async |token: &str, arguments: &[&str]| {
        let mut environment = vec![("SAGACTL_URL", url.as_str()), ("XDG_CONFIG_HOME", home.as_str())];
        if !token.is_empty() {
            environment.push(("SAGACTL_TOKEN", token));
        }
        ran("sagactl", arguments, &environment).await
    };
    failed(findings, "sagactl without a token", &tell("", &["list"]).await, 3, &["sagactl login"]);
    failed(findings, "sagactl without a gateway", &tell("t", &["list"]).await, 1, &["cannot reach the gateway", &url]);
    failed(findings, "sagactl with no id", &tell("t", &["show", "7"]).await, 2, &["7"]);
    failed(findings, "sagactl without a reason", &tell("t", &["cancel", saga]).await, 2, &["--reason"]);
    failed(
        findings,
        "sagactl with a short reason",
        &tell("t", &["cancel", saga, "--reason", "x"]).await,
        2,
        &["--reason"],
    );
    let reply = tell("t", &["skip", saga, "--step", "a", "--reply", "{", "--reason", "because"]).await;
    failed(findings, "sagactl with a reply that is not JSON", &reply, 2, &["not JSON"]);
    failed(findings, "sagactl with a wrong time", &tell("t", &["list", "--since", "yesterday"]).await, 2, &["--since"]);
    let piped = run("sagactl", &["show", "-"], &[("SAGACTL_URL", &url), ("SAGACTL_TOKEN", "t")], "", ENDS_WITHIN)
        .await
        .unwrap();
    let quiet = piped.stdout.is_empty();
    findings.that("sagactl with nothing on stdin", quiet && piped.code != Some(101), &piped);
}

//! The tasks that run other programs: the platform, the tests, the checks, the benchmark.

use std::{
    os::unix::process::CommandExt,
    process::{ExitCode, Stdio},
};

use anyhow::{Context, anyhow};
use private_servers::{
    packages::Tool,
    testing::{BINARIES_VARIABLE, Scratch},
};
use tokio::process::Command;
use xtask::workspace;

use crate::{
    child::{self, End, Stop, cargo},
    servers::{self, FOR_TESTS, SERVERS, Servers},
};

/// With a PostgreSQL of the user's, none has to be installed.
const DATABASE_URL: &str = "DATABASE_URL";

/// How long a test run takes.
const BUILD_TIME: &str = "On two cores the first build takes a quarter of an hour and all tests take another; one \
                          package is `cargo xtask test -p machine`.";

/// `cargo xtask run`: the platform, which starts its own private PostgreSQL below `./data`.
pub(crate) async fn run(arguments: Vec<String>, stop: &Stop) -> anyhow::Result<ExitCode> {
    eprintln!(
        "Builds Sojourn and starts all of it in one process. The first build takes minutes (seven on two cores), later \
         ones seconds; then it prints the addresses. Ctrl-C stops everything."
    );
    if std::env::var_os(DATABASE_URL).is_none() && !names(&arguments, "--database-url") {
        servers::ensure(&[Tool::PostgreSql], stop).await?;
    }
    let built = child::run(cargo(["build", "--package", "sojourn"]), stop).await?;
    if !built.is_success() {
        return Ok(built.code());
    }
    if let Some(signal) = stop.has_told() {
        return Ok(End::Stopped(signal).code());
    }
    // In place of this process, so that nothing stands between the program and whoever ends it, by whichever signal:
    // a platform whose xtask was killed would stay behind.
    let path = workspace::programs()?.join("sojourn");
    let mut program = std::process::Command::new(&path);
    let failure = program.args(arguments).current_dir(workspace::root()).exec();
    Err(anyhow!(failure).context(format!("could not run {}", path.display())))
}

/// `cargo xtask test`: every test on private servers, or those that the arguments choose.
pub(crate) async fn test(arguments: Vec<String>, stop: &Stop) -> anyhow::Result<ExitCode> {
    let everything = arguments.is_empty();
    eprintln!(
        "Builds the programs and the tests, starts a private PostgreSQL and RabbitMQ, and runs {} on them. {BUILD_TIME} \
         Ctrl-C stops everything.",
        if everything { "every test" } else { "the chosen tests" }
    );
    servers::ensure(&FOR_TESTS, stop).await?;
    // Tests that run the real programs need all of them, whichever tests were chosen. When all are chosen, programs and
    // tests are built as one: apart, cargo would build what they stand on twice, with different features.
    let targets = if everything { "--all-targets" } else { "--bins" };
    let built = child::run(cargo(["build", "--workspace", targets]), stop).await?;
    if !built.is_success() {
        return Ok(built.code());
    }
    let programs = workspace::programs()?;
    // What tests leave behind when they are interrupted lies in here and goes with it.
    let temporary = Scratch::open().await.context("could not make a temporary folder")?;
    let servers = tokio::select! {
        servers = Servers::start(None) => servers?,
        signal = stop.told() => return Ok(End::Stopped(signal).code()),
    };
    let environment = |mut command: Command| {
        command.envs(servers.variables()).env(BINARIES_VARIABLE, &programs).env("TMPDIR", temporary.path());
        command
    };
    let mut ended = child::run(environment(runner(&arguments).await), stop).await;
    if everything && matches!(ended, Ok(end) if end.is_success()) {
        // nextest does not run the examples in the documentation.
        ended = child::run(environment(cargo(["test", "--quiet", "--workspace", "--doc"])), stop).await;
    }
    servers.stop().await;
    Ok(ended?.code())
}

/// `cargo xtask ci`: each check, up to the first that fails.
pub(crate) async fn ci(stop: &Stop) -> anyhow::Result<ExitCode> {
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    for command in [cargo(["fmt", "--all", "--", "--check"]), cargo(clippy)] {
        let end = check(command, stop).await?;
        if !end.is_success() {
            return Ok(end.code());
        }
    }
    let tested = test(Vec::new(), stop).await?;
    if tested != ExitCode::SUCCESS {
        return Ok(tested);
    }
    let mut documentation = cargo(["doc", "--workspace", "--no-deps", "--document-private-items"]);
    documentation.env("RUSTDOCFLAGS", "-D warnings");
    let mut end = check(documentation, stop).await?;
    if end.is_success() && has_compose().await {
        let mut compose = Command::new("docker");
        compose.args(["compose", "config", "--quiet"]).current_dir(workspace::root());
        end = check(compose, stop).await?;
    }
    Ok(end.code())
}

/// `cargo xtask sagas`: the definitions and the linter's findings about them.
pub(crate) async fn sagas(stop: &Stop) -> anyhow::Result<ExitCode> {
    Ok(child::run(cargo(["run", "--quiet", "--package", "catalog", "--bin", "sagas"]), stop).await?.code())
}

/// `cargo xtask bench`: the benchmark, which builds and starts what it measures.
pub(crate) async fn bench(arguments: Vec<String>, stop: &Stop) -> anyhow::Result<ExitCode> {
    eprintln!(
        "Builds the programs for speed, starts them on private servers, and measures them. On two cores the first build \
         takes twenty minutes and the measurement ten."
    );
    servers::ensure(&SERVERS, stop).await?;
    let built = child::run(cargo(["build", "--release", "--workspace", "--bins"]), stop).await?;
    if !built.is_success() {
        return Ok(built.code());
    }
    let programs = workspace::programs()?.with_file_name("release");
    let mut program = Command::new(programs.join("bench"));
    program.args(arguments).current_dir(workspace::root()).env(BINARIES_VARIABLE, &programs);
    Ok(child::run(program, stop).await?.code())
}

/// Runs a check and says what it was when it fails.
async fn check(command: Command, stop: &Stop) -> anyhow::Result<End> {
    let shown = format!("{:?}", command.as_std());
    let end = child::run(command, stop).await?;
    if !end.is_success() {
        eprintln!("failed: {shown}");
    }
    Ok(end)
}

/// nextest where it is installed: it runs tests of all packages side by side and ends those that hang.
async fn runner(arguments: &[String]) -> Command {
    let nextest = succeeds(cargo(["nextest", "--version"])).await;
    let mut command = if nextest { cargo(["nextest", "run"]) } else { cargo(["test"]) };
    if !names(arguments, "-p") && !names(arguments, "--package") {
        command.arg("--workspace");
    }
    // Documentation tests have their own run.
    if !nextest && arguments.is_empty() {
        command.args(["--all-targets", "--no-fail-fast"]);
    }
    command.args(arguments);
    command
}

/// Whether a flag is among the arguments.
fn names(arguments: &[String], flag: &str) -> bool {
    arguments.iter().any(|argument| argument == flag || argument.starts_with(&format!("{flag}=")))
}

async fn has_compose() -> bool {
    let mut docker = Command::new("docker");
    docker.args(["compose", "version"]);
    let compose_file = workspace::root().join("docker-compose.yml").is_file();
    compose_file && succeeds(docker).await
}

async fn succeeds(mut command: Command) -> bool {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().await.is_ok_and(|status| status.success())
}

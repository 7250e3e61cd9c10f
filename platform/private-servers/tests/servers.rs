//! The private servers as their users see them: started, stopped, killed, started again.

use std::{
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use private_servers::{Error, Place, Postgres, PostgresOptions, RabbitMq, RabbitMqOptions};

fn answers(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn sql(url: &str, statement: &str) -> String {
    let output = Command::new("psql").args(["-X", "-A", "-t", "-q", "-c", statement, url]).output().expect("psql runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn lasting(folder: &Path) -> PostgresOptions {
    PostgresOptions { place: Place::At(folder.join("postgres")), ..PostgresOptions::for_tests() }
}

/// A folder that PostgreSQL's user can enter, also when root runs the tests.
fn open_folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let passable = std::fs::Permissions::from_mode(0o755);
    tempfile::Builder::new().permissions(passable).tempdir().expect("the temporary folder is writable")
}

#[tokio::test]
async fn what_postgresql_committed_survives_a_kill_a_stop_and_a_second_start() {
    let folder = open_folder();
    let mut first = Postgres::start(lasting(folder.path())).await.unwrap();
    first.create_database("shop").await.unwrap();
    first.create_database("shop").await.unwrap();
    let (url, port) = (first.url("shop"), first.port());
    sql(&url, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)");

    first.kill();
    assert!(!answers(port));
    first.restart().await.unwrap();
    assert_eq!(first.port(), port);
    sql(&url, "INSERT INTO kept VALUES (2)");
    first.stop().await;
    drop(first);

    let second = Postgres::start(lasting(folder.path())).await.unwrap();
    assert_eq!(second.port(), port, "the last port is preferred");
    assert_eq!(sql(&url, "SELECT sum(n) FROM kept"), "3");
    assert_eq!(sql(&url, "SHOW server_encoding"), "UTF8");
}

#[tokio::test]
async fn a_killed_postgresql_starts_although_its_process_id_went_to_another() {
    let (first, other) =
        tokio::join!(Postgres::start(PostgresOptions::for_tests()), Postgres::start(PostgresOptions::for_tests()));
    let (mut first, other) = (first.unwrap(), other.unwrap());
    first.kill();
    let file = first.folder().join("cluster/postmaster.pid");
    let left = std::fs::read_to_string(&file).unwrap();
    let (_, rest) = left.split_once('\n').unwrap();
    std::fs::write(&file, format!("{}\n{rest}", other.pid().unwrap())).unwrap();
    first.restart().await.unwrap();
    assert_eq!(sql(&first.url("postgres"), "SELECT 1"), "1");
    assert_eq!(sql(&other.url("postgres"), "SELECT 1"), "1");
}

#[tokio::test]
async fn a_demanded_port_that_is_taken_is_named() {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let refused =
        Postgres::start(PostgresOptions { port: Some(port), ..PostgresOptions::for_tests() }).await.unwrap_err();
    assert!(refused.to_string().contains(&format!("{port} is taken")), "{refused}");
}

#[tokio::test]
async fn a_setting_that_postgresql_does_not_know_shows_the_end_of_its_log() {
    let options = PostgresOptions::for_tests().set("no_such_setting", "1");
    match Postgres::start(options).await.unwrap_err() {
        Error::Ended { tail, .. } => assert!(tail.contains("no_such_setting"), "{tail}"),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_dropped_postgresql_is_gone_with_its_folder() {
    let postgres = Postgres::start(PostgresOptions::for_tests()).await.unwrap();
    let (port, folder) = (postgres.port(), postgres.folder().to_owned());
    assert!(answers(port) && folder.exists());
    drop(postgres);
    assert!(!answers(port) && !folder.exists());
}

#[tokio::test]
async fn rabbitmq_keeps_its_port_and_its_durable_queues_over_a_kill() {
    let mut rabbit = RabbitMq::start(RabbitMqOptions::for_tests()).await.unwrap();
    let port = rabbit.port();
    let declare = "rabbit_amqqueue:declare(rabbit_misc:r(<<\"/\">>, queue, <<\"kept\">>), true, false, \
                   [{<<\"x-queue-type\">>, longstr, <<\"quorum\">>}], none, <<\"test\">>), ok.";
    rabbit.ctl(&["eval", declare]).await.unwrap();
    rabbit.kill();
    assert!(!answers(port) && !rabbit.is_running());

    rabbit.restart().await.unwrap();
    assert_eq!(rabbit.port(), port);
    // The name is listed before the queue has a leader again.
    let started = Instant::now();
    loop {
        let queues = rabbit.ctl(&["list_queues", "--no-table-headers", "name", "type"]).await.unwrap();
        if queues.contains("kept") && queues.contains("quorum") {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "the queue did not come back: {queues}");
    }
    rabbit.stop().await;
    assert!(!answers(port));
}

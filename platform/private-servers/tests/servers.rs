//! The private servers as their users see them: started, stopped, killed, started again.

use std::{
    net::{Ipv4Addr, TcpStream},
    os::unix::{fs::MetadataExt, process::CommandExt},
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
    assert_eq!((second.url("shop"), second.port()), (url.clone(), port), "the last port and password are kept");
    assert_eq!(sql(&url, "SELECT sum(n) FROM kept"), "3");
    assert_eq!(sql(&url, "SHOW server_encoding"), "UTF8");
}

/// The number of a user, where the system knows it.
fn uid_of(user: &str) -> Option<u32> {
    let output = Command::new("id").args(["-u", user]).output().expect("id runs");
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}

/// Runs a program as another user where this one may, else as this one. Returns whether it succeeded and what it said.
fn as_user(uid: u32, program: &str, arguments: &[&str], password: Option<&str>) -> (bool, String) {
    let mut command = Command::new(program);
    command.args(arguments).current_dir("/").env("PGPASSFILE", "/dev/null").env_remove("PGPASSWORD");
    command.envs(password.map(|password| ("PGPASSWORD", password)));
    if uid_of("root") == Some(own_uid()) {
        command.uid(uid);
    }
    let output = command.output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn own_uid() -> u32 {
    std::fs::metadata("/proc/self").map_or(u32::MAX, |own| own.uid())
}

#[tokio::test]
async fn another_user_of_the_machine_finds_no_way_into_postgresql() {
    let postgres = Postgres::start(PostgresOptions::for_tests()).await.unwrap();
    let port = postgres.port().to_string();
    let login = ["-X", "-w", "-h", "127.0.0.1", "-p", &port, "-c", "SELECT 1", "-U"];
    let nobody = uid_of("nobody").expect("every system has nobody");
    for uid in [Some(nobody), uid_of("postgres")].into_iter().flatten() {
        for role in ["postgres", "nobody", "root"] {
            for password in [None, Some(""), Some("postgres")] {
                let (entered, said) = as_user(uid, "psql", &[&login[..], &[role, "postgres"]].concat(), password);
                assert!(!entered && said.contains("password"), "{uid} as {role}: {said}");
            }
        }
    }
    let file = postgres.password_file();
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    if own_uid() == 0 {
        for path in [file, postgres.folder().join("cluster/base"), postgres.folder().join("postgres.log")] {
            let (read, said) = as_user(nobody, "ls", &["-d", &path.join(".").to_string_lossy()], None);
            let (opened, text) = as_user(nobody, "cat", &[&path.to_string_lossy()], None);
            assert!(!read && !opened, "{}: {said}{text}", path.display());
        }
    }
    assert_eq!(sql(&postgres.url("postgres"), "SELECT 1"), "1");
}

#[tokio::test]
async fn a_cluster_whose_password_is_lost_gets_a_new_one_and_keeps_its_data() {
    let folder = open_folder();
    let mut first = Postgres::start(lasting(folder.path())).await.unwrap();
    let (old, file) = (first.url("postgres"), first.password_file());
    sql(&old, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)");
    first.kill();
    drop(first);

    std::fs::remove_file(&file).unwrap();
    let mut second = Postgres::start(lasting(folder.path())).await.unwrap();
    assert_ne!(second.url("postgres"), old);
    assert_eq!(sql(&second.url("postgres"), "SELECT n FROM kept"), "1");
    second.stop().await;
    drop(second);

    std::fs::write(&file, "another\n").unwrap();
    let refused = Postgres::start(lasting(folder.path())).await.unwrap_err().to_string();
    assert!(refused.contains(&format!("{}: remove that file", file.display())), "{refused}");
}

#[tokio::test]
async fn root_lets_postgresql_run_as_a_user_of_its_own_and_hands_old_data_over_to_it() {
    let folder = open_folder();
    let mut first = Postgres::start(lasting(folder.path())).await.unwrap();
    let cluster = first.folder().join("cluster");
    let owner = std::fs::metadata(&cluster).unwrap().uid();
    if own_uid() != 0 {
        assert_eq!(owner, own_uid());
        return;
    }
    assert_eq!(Some(owner), uid_of("sojourn-postgres"));
    sql(&first.url("postgres"), "CREATE TABLE kept (n int)");
    first.stop().await;
    drop(first);
    // As earlier versions left it: of a user whom others are too, and without a password.
    let handed = Command::new("chown").args(["-R", "nobody"]).arg(&cluster).status().unwrap();
    assert!(handed.success());
    std::fs::remove_file(cluster.with_file_name("password")).unwrap();
    let second = Postgres::start(lasting(folder.path())).await.unwrap();
    assert_eq!(std::fs::metadata(cluster.join("base")).unwrap().uid(), owner);
    assert_eq!(sql(&second.url("postgres"), "SELECT count(*) FROM kept"), "0");
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

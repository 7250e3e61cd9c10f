//! The database goes away and comes back.

use std::sync::Arc;

use contract::Outcome;
use messaging::in_process::InProcessBroker;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};
use worker_runtime::testkit::action_of_a_new_saga;

use crate::{
    flow::{Flow, eventually},
    toy::take,
};

/// A way to the database that can be cut.
struct Proxy {
    port: u16,
    open: watch::Sender<bool>,
}

impl Proxy {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own_port = listener.local_addr().unwrap().port();
        let (open, watched) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut watched = watched.clone();
                tokio::spawn(async move {
                    if !*watched.borrow() {
                        return;
                    }
                    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        _ = watched.wait_for(|open| !open) => {}
                    }
                });
            }
        });
        Self { port: own_port, open }
    }
}

#[tokio::test]
async fn an_outage_of_the_database_delays_answers_and_causes_no_faults() {
    let server = private_servers::testing::database("proxy").await;
    let port: u16 = server.rsplit_once('/').unwrap().0.rsplit_once(':').unwrap().1.parse().unwrap();
    let proxy = Proxy::to(port).await;
    let proxy_port = proxy.port;
    let through = move |url: &str| url.replace(&format!(":{port}/"), &format!(":{proxy_port}/"));
    let broker = InProcessBroker::new();
    let mut flow = Flow::start(Arc::new(broker.another_client()), Arc::new(broker), Some(&through)).await;
    flow.send(&action_of_a_new_saga("hold"), 1, &take("wide")).await;
    assert!(matches!(flow.replies(1).await[0].outcome, Outcome::Done { .. }));

    // Noticed before anybody asks it anything.
    proxy.open.send(false).unwrap();
    let readiness = flow.worker.readiness().clone();
    eventually("the database is named as missing", async || readiness.missing().contains_key("database flights")).await;
    for _ in 0..300 {
        flow.send(&action_of_a_new_saga("hold"), 1, &take("wide")).await;
    }
    proxy.open.send(true).unwrap();
    let replies = flow.replies(300).await;
    let bad: Vec<_> = replies.iter().filter(|reply| !matches!(reply.outcome, Outcome::Done { .. })).collect();
    assert!(bad.is_empty(), "{bad:?}");
    eventually("nothing is missing", async || readiness.missing().is_empty()).await;
    flow.token.cancel();
    flow.worker.finished().await;
}

#[tokio::test]
async fn connections_killed_in_the_middle_of_work_lose_nothing_and_double_nothing() {
    const MANY: usize = 2000;
    let mut flow = Flow::in_process().await;
    let pool = sqlx::PgPool::connect(&flow.database_url).await.unwrap();
    let killer = tokio::spawn({
        let pool = pool.clone();
        async move {
            for kill in 0..60 {
                sqlx::query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'sojourn'",
                )
                .execute(&pool)
                .await
                .ok();
                // At ever other moments of a transaction, and not so often that none gets through.
                tokio::time::sleep(std::time::Duration::from_millis(10 + kill * 37 % 120)).await;
            }
        }
    });
    for _ in 0..MANY {
        flow.send(&action_of_a_new_saga("hold"), 1, &take("wide")).await;
    }
    let replies = flow.replies(MANY).await;
    killer.abort();
    let bad: Vec<_> = replies.iter().filter(|reply| !matches!(reply.outcome, Outcome::Done { .. })).collect();
    assert!(bad.is_empty(), "{} of them, such as {:?}", bad.len(), bad.first());
    let seats: i64 = sqlx::query_scalar("SELECT count(*) FROM seat").fetch_one(&pool).await.unwrap();
    let taken: i32 =
        sqlx::query_scalar("SELECT taken FROM seat_pool WHERE pool = 'wide'").fetch_one(&pool).await.unwrap();
    assert_eq!((seats, taken), (2000, 2000));
    flow.token.cancel();
    flow.worker.finished().await;
}

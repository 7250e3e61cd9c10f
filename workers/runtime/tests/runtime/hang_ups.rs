//! Callers of the internal HTTP who hang up half-way (S32).

use std::time::Duration;

use sqlx::PgPool;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::flow::{Flow, eventually};

/// So many callers hang up, each a little later than the one before, up to [`LATEST`] and then anew: some during
/// BEGIN, some during the statement, some during COMMIT, and some after the answer.
const CALLERS: u32 = 400;

/// A visit takes a few round trips to a server on the same machine, so it has surely ended by then.
const LATEST: Duration = Duration::from_millis(8);

/// How many different moments that makes.
const MOMENTS: u32 = 80;

#[tokio::test]
async fn a_caller_who_hangs_up_leaves_no_open_transaction_and_no_half_effect() {
    let flow = Flow::in_process().await;
    let address = flow.worker.address().unwrap();
    let request = "POST /internal/flights/visits HTTP/1.1\r\nhost: worker\r\nauthorization: Bearer token\r\n\
                   content-length: 0\r\n\r\n";
    for caller in 0..CALLERS {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        tokio::time::sleep(LATEST * (caller % MOMENTS) / MOMENTS).await;
        drop(stream);
    }
    let pool = PgPool::connect(&flow.database_url).await.unwrap();
    let count = async |sql: &'static str| sqlx::query_scalar::<_, i64>(sql).fetch_one(&pool).await.unwrap();
    eventually("every visit that began has ended", async || {
        count("SELECT count(*) FROM visit WHERE ended_at IS NULL").await == 0
            && count("SELECT count(*) FROM visit").await > 0
    })
    .await;
    eventually("no connection is in a transaction", async || {
        let open = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
        count(open).await == 0
    })
    .await;
    // Another caller, on each of the connections, finds them as they should be.
    let visits = count("SELECT count(*) FROM visit").await;
    let client = reqwest::Client::new();
    for _ in 0..20 {
        let visit = client.post(format!("http://{address}/internal/flights/visits")).bearer_auth("token").send().await;
        assert_eq!(visit.unwrap().status().as_u16(), 200);
    }
    assert_eq!(count("SELECT count(*) FROM visit WHERE ended_at IS NOT NULL").await, visits + 20);
    flow.stop().await;
}

//! The watch over the database at idle: a connection on which nothing is ever sent ends when its server does. So
//! readiness is true without any query, and nothing is polled.

use sqlx::postgres::PgListener;
use tokio_util::sync::CancellationToken;

use crate::{engine::Engine, failure::pauses, limits};

/// Watches until told to stop.
pub(crate) async fn run(engine: std::sync::Arc<Engine>, drain: CancellationToken) {
    drain.run_until_cancelled(watch(&engine)).await;
}

async fn watch(engine: &Engine) {
    let mut pauses_left = pauses();
    loop {
        let error = match PgListener::connect_with(&engine.bulkheads.jobs).await {
            Ok(mut listener) => {
                listener.eager_reconnect(false);
                engine.readiness.set(&engine.need(), Ok(()));
                pauses_left = pauses();
                listen(&mut listener).await
            }
            Err(error) => error.to_string(),
        };
        engine.readiness.set(&engine.need(), Err(format!("no connection to PostgreSQL: {error}")));
        tokio::time::sleep(pauses_left.next().unwrap_or(limits::RECONNECT_PAUSE_MAX)).await;
    }
}

/// Ends with the connection, and says why.
async fn listen(listener: &mut PgListener) -> String {
    loop {
        match listener.try_recv().await {
            // The listener has no channel, so a notice would be no news.
            Ok(Some(_)) => {}
            Ok(None) => return "the server closed the connection".to_owned(),
            Err(error) => return error.to_string(),
        }
    }
}

//! The end of sessions that nobody ends: once one is over by its time, or made room for another, its login at the door ends as a
//! logout ends it. A login that stayed would stand in the person's list, and its refresh token would be good, for a month.

use std::{sync::Arc, time::Duration};

use futures::StreamExt as _;

use crate::{app::App, session::Session};

/// How often sessions are looked through: a login is in the list for a minute longer than its session lasts, at most.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(60);

/// The logins that are ended at a time: a team that goes home at once is done within seconds, and the door has other callers.
const AT_A_TIME: usize = 8;

/// Ends the logins of sessions that are over, look by look, until the dashboard stops.
pub(crate) async fn end_sessions(app: App, every: Duration) {
    let mut looks = tokio::time::interval(every);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = app.stopping.cancelled() => return,
        }
        let over = app.sessions.take_those_over(app.clock.now());
        let ends = futures::stream::iter(over).map(|session| end_login(&app, session));
        ends.buffer_unordered(AT_A_TIME).collect::<()>().await;
    }
}

/// Ends the login of a session that was taken out. It is asked for once: where the door does not answer, the login lasts
/// until its own time is over.
pub(crate) async fn end_login(app: &App, session: Arc<Session>) {
    if let Err(error) = app.door.log_out(&session).await {
        tracing::warn!(%error, "a login could not be ended at the door, and lasts until its time is over");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
    use chrono::{DateTime, TimeDelta, Utc};
    use contract::user::Logout;
    use kit::clock::Clock;
    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{
        session::{Person, Tokens},
        settings::Settings,
    };

    /// No wait of these tests takes so long unless the test fails.
    const FAR_TOO_LONG: Duration = Duration::from_secs(60);

    /// A clock that is set by hand.
    struct Hands(Mutex<DateTime<Utc>>);

    impl Clock for Hands {
        fn now(&self) -> DateTime<Utc> {
            *self.0.lock().unwrap()
        }
    }

    impl Hands {
        fn set(&self, minute: i64) {
            *self.0.lock().unwrap() = DateTime::UNIX_EPOCH + TimeDelta::minutes(minute);
        }
    }

    /// Tells whose login is ended, and has trouble with the one of `idle`.
    async fn log_out(State(heard): State<UnboundedSender<String>>, Json(logout): Json<Logout>) -> StatusCode {
        let trouble = logout.refresh_token == "idle";
        heard.send(logout.refresh_token).unwrap();
        if trouble { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NO_CONTENT }
    }

    async fn door() -> (String, UnboundedReceiver<String>) {
        let (heard, hears) = unbounded_channel();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/v1/auth/logout", post(log_out)).with_state(heard);
        tokio::spawn(async move { axum::serve(listener, router).await });
        (url, hears)
    }

    async fn next(heard: &mut UnboundedReceiver<String>) -> Option<String> {
        tokio::time::timeout(FAR_TOO_LONG, heard.recv()).await.expect("no login is ended at the door")
    }

    #[tokio::test]
    async fn a_session_that_ends_by_its_time_ends_its_login_at_the_door_and_no_other() {
        let (url, mut heard) = door().await;
        let settings = Settings::development("127.0.0.1:0".parse().unwrap(), url.parse().unwrap());
        let (clock, stopping) = (Arc::new(Hands(Mutex::new(DateTime::UNIX_EPOCH))), CancellationToken::new());
        let app = App::new(&settings, clock.clone(), stopping.clone()).unwrap();
        for name in ["idle", "used"] {
            let tokens = Tokens { access: String::new(), refresh: name.to_owned() };
            assert!(app.sessions.begin(name, Person::nobody(), tokens, clock.now()).is_none());
        }
        let looking = tokio::spawn(end_sessions(app.clone(), Duration::from_millis(1)));
        clock.set(29);
        assert!(app.sessions.find("used", clock.now()).is_some());
        clock.set(30);
        assert_eq!(next(&mut heard).await.as_deref(), Some("idle"));
        assert!(app.sessions.find("used", clock.now()).is_some());
        // The trouble with one of them keeps no later one from being ended.
        clock.set(60);
        assert_eq!(next(&mut heard).await.as_deref(), Some("used"));
        stopping.cancel();
        tokio::time::timeout(FAR_TOO_LONG, looking).await.expect("it looks on after the end").unwrap();
    }
}

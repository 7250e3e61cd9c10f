//! The work behind a look that open pages share: for as long as anybody looks it asks the door anew, with the session of each of them
//! in turn, so that one whose rights have ended is found out.

use std::{future::Future, hash::Hash, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};

use crate::{
    app::App,
    failure::Failure,
    looks::{Looks, Seen},
    session::Session,
};

/// Between two looks, for as long as anybody looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The eye of one kind of page.
pub(super) trait Eye<W, T>: Send + 'static {
    /// The word of the role that it looks for.
    fn role(&self) -> &'static str;

    /// Everything that is to be seen, for the wishes of those who look, and whether it differs from the last time.
    fn look(
        &mut self,
        app: &App,
        session: &Session,
        wishes: Vec<W>,
        now: DateTime<Utc>,
    ) -> impl Future<Output = Result<(T, bool), Failure>> + Send;

    /// Forgets what it has seen: the next thing is news.
    fn forget(&mut self);
}

/// Looks, until nobody does any more.
pub(super) async fn keep_looking<K, W, T>(app: App, looks: Arc<Looks<K, W, T>>, key: K, mut eye: impl Eye<W, T>)
where
    K: Copy + Eq + Hash,
    W: Clone,
{
    while let Some((number, session)) = looks.turn(key) {
        let looked = eye.look(&app, &session, looks.wishes(key), app.clock.now()).await;
        if session.person().role.as_str() != eye.role() {
            // A fresh token has brought another role: what was read is not for this key.
            looks.refuse(key, number);
            eye.forget();
            continue;
        }
        match looked {
            Ok((shown, is_news)) => looks.show(key, Seen::Shown(shown), is_news),
            Err(Failure::Door(error)) if error.ends_the_session() => {
                looks.refuse(key, number);
                continue;
            }
            Err(failure) => {
                if let Failure::Undrawn(error) = &failure {
                    tracing::error!(%error, "a part of a page could not be drawn");
                }
                eye.forget();
                looks.show(key, Seen::Lost(failure.to_string().into()), true);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = app.stopping.cancelled() => return,
        }
    }
}

//! Live parts of pages: a part is drawn anew each time that what it shows has gone on.
//!
//! ```text
//!  door --news--> what comes together is one change --draw--> browser
//! ```
//!
//! Only a part that changes no more closes its stream for good, by the event `end`. A stream that breaks off (the door, a restart, the
//! end of a session) ends without it, and the browser asks again.

use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};

use axum::response::{
    IntoResponse as _, Response,
    sse::{Event, KeepAlive, Sse},
};
use chrono::{DateTime, Utc};
use eventsource_stream::Eventsource as _;
use futures::{Stream, StreamExt as _, stream};

use crate::{app::App, failure::Failure, session::Session};

/// News that come so shortly after each other are one change of the page.
const GATHER: Duration = Duration::from_millis(150);

/// Comments in between keep proxies from closing a quiet stream.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(10);

/// The last event, of the door's stream and of the page's.
const END: &str = "end";

/// A part as it stands at one time.
pub(super) struct Drawn {
    pub(super) html: String,
    /// True when it changes no more.
    pub(super) over: bool,
}

/// A part of a page that can be drawn again.
pub(super) trait Part: Send + Sync + 'static {
    /// The part at this time.
    fn draw(&self, now: DateTime<Utc>) -> impl Future<Output = Result<Drawn, Failure>> + Send;
}

/// How far a stream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// The last part was sent, and `end` comes next.
    Over,
    Closed,
}

/// Sends a part to the browser with each of the door's `news`, until it changes no more.
pub(super) fn serve(app: &App, session: Arc<Session>, news: reqwest::Response, part: impl Part) -> Response {
    let kinds = news.bytes_stream().eventsource().map(|told| told.ok().map(|event| event.event)).boxed();
    let state = (app.clone(), session, kinds, part, Stage::Open);
    let events = stream::unfold(state, |(app, session, mut kinds, part, stage)| async move {
        let (event, stage) = match stage {
            Stage::Open => {
                let told_all = tokio::select! {
                    change = gathered(&mut kinds) => change?,
                    () = app.stopping.cancelled() => return None,
                };
                let now = app.clock.now();
                if session.is_over(now) {
                    return None;
                }
                let Drawn { html, over } = part.draw(now).await.ok()?;
                (Event::default().data(html), if told_all && over { Stage::Over } else { Stage::Open })
            }
            Stage::Over => (Event::default().event(END).data("{}"), Stage::Closed),
            Stage::Closed => return None,
        };
        Some((Ok::<_, Infallible>(event), (app, session, kinds, part, stage)))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT_EVERY)).into_response()
}

/// Waits for news, and takes what comes right behind them as the same change. True when they were the last ones; none when the
/// door's stream broke off.
async fn gathered(kinds: &mut (impl Stream<Item = Option<String>> + Unpin)) -> Option<bool> {
    let first = kinds.next().await??;
    if first == END {
        return Some(true);
    }
    let until = tokio::time::Instant::now() + GATHER;
    while let Ok(told) = tokio::time::timeout_at(until, kinds.next()).await {
        match told.flatten() {
            Some(kind) if kind == END => return Some(true),
            Some(_) => {}
            // What was told before is drawn; the next look at the stream finds its end.
            None => break,
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn changes(told: &[Option<&str>]) -> Vec<bool> {
        let mut kinds = stream::iter(told.iter().map(|kind| kind.map(str::to_owned)).collect::<Vec<_>>());
        let mut changes = Vec::new();
        while let Some(told_all) = gathered(&mut kinds).await {
            changes.push(told_all);
        }
        changes
    }

    #[tokio::test]
    async fn news_that_come_together_are_one_change_and_only_the_end_is_the_last_one() {
        assert_eq!(changes(&[Some("record"), Some("record"), Some("end")]).await, [true]);
        assert_eq!(changes(&[Some("end")]).await, [true]);
        assert_eq!(changes(&[Some("record"), Some("record")]).await, [false]);
        assert_eq!(changes(&[Some("record"), None]).await, [false]);
        assert!(changes(&[]).await.is_empty());
    }
}

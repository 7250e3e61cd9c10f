//! The overview: what needs a person first, then how much is open and why, then what is new. All who have it open share one
//! look, whose parts are drawn for each role and each length of time.

mod look;

use std::{convert::Infallible, sync::Arc};

use askama::Template;
use axum::{
    extract::{Query as FromQuery, State},
    http::StatusCode,
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::stream;
use serde::Deserialize;

use super::page;
use crate::{
    app::App,
    door::DoorError,
    failure::Failure,
    frame::Frame,
    looks::{Looker, Seen, Window},
    visitor::Visitor,
};

/// Comments in between keep proxies from closing a quiet stream.
const HEARTBEAT_EVERY: std::time::Duration = std::time::Duration::from_secs(10);

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    window: Window,
    live: Arc<str>,
}

/// The address's parameters.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    window: Window,
}

pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    FromQuery(Asked { window }): FromQuery<Asked>,
) -> Result<Response, Failure> {
    let mut looker = look::join(&app, &visitor, window);
    let live = first(&app, &mut looker).await?;
    page(&OverviewPage { frame: visitor.frame("Overview"), window, live })
}

/// The first thing that is seen.
async fn first(app: &App, looker: &mut Looker) -> Result<Arc<str>, Failure> {
    let seen = tokio::select! {
        seen = looker.seen.wait_for(|seen| !matches!(seen, Seen::Nothing)) => seen.map(|seen| seen.clone()),
        () = looker.refused.cancelled() => return Err(DoorError::LoginEnded.into()),
        () = app.stopping.cancelled() => return Err(DoorError::Lost("the dashboard is stopping".to_owned()).into()),
    };
    match seen {
        Ok(Seen::Page(page)) => Ok(page),
        Ok(Seen::Lost(words)) => Err(DoorError::Lost(words.to_string()).into()),
        Ok(Seen::Nothing) | Err(_) => Err(DoorError::Lost("the look has ended".to_owned()).into()),
    }
}

/// The same part of the page, each time that something of it has changed.
pub(crate) async fn live(
    State(app): State<App>,
    visitor: Visitor,
    FromQuery(Asked { window }): FromQuery<Asked>,
) -> Response {
    let mut looker = look::join(&app, &visitor, window);
    // What is known before the stream begins is told by a status: the page then asks for a login, or waits for longer.
    match first(&app, &mut looker).await {
        Ok(_) => {}
        Err(Failure::Door(DoorError::LoginEnded)) => return StatusCode::FORBIDDEN.into_response(),
        Err(_) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
    looker.seen.mark_changed();
    let events = stream::unfold((app, visitor, looker), |(app, visitor, mut looker)| async move {
        tokio::select! {
            changed = looker.seen.changed() => changed.ok()?,
            () = looker.refused.cancelled() => return None,
            () = app.stopping.cancelled() => return None,
        }
        if visitor.session.is_over(app.clock.now()) {
            return None;
        }
        // A look that fails ends the stream: the page says so, and the browser asks again.
        let Seen::Page(page) = looker.seen.borrow_and_update().clone() else { return None };
        Some((Ok::<_, Infallible>(Event::default().data(&page)), (app, visitor, looker)))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT_EVERY)).into_response()
}

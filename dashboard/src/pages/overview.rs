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
use crate::{app::App, door::DoorError, failure::Failure, frame::Frame, looks::Window, visitor::Visitor};

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
    let live = looker.first(&app.stopping).await?;
    page(&OverviewPage { frame: visitor.frame("Overview"), window, live })
}

/// The same part of the page, each time that something of it has changed.
pub(crate) async fn live(
    State(app): State<App>,
    visitor: Visitor,
    FromQuery(Asked { window }): FromQuery<Asked>,
) -> Response {
    let mut looker = look::join(&app, &visitor, window);
    // What is known before the stream begins is told by a status: the page then asks for a login, or waits for longer.
    match looker.first(&app.stopping).await {
        Ok(_) => {}
        Err(DoorError::LoginEnded) => return StatusCode::FORBIDDEN.into_response(),
        Err(_) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
    looker.seen.mark_changed();
    let events = stream::unfold((app, visitor, looker), |(app, visitor, mut looker)| async move {
        let page = looker.next(&app.stopping).await?;
        if visitor.session.is_over(app.clock.now()) {
            return None;
        }
        Some((Ok::<_, Infallible>(Event::default().data(&page)), (app, visitor, looker)))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT_EVERY)).into_response()
}

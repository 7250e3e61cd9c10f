//! The person who looks at a page. A request without a session is led to the login page, and back from there.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, header, request::Parts},
    response::{Html, IntoResponse as _, Redirect, Response},
};
use chrono::{DateTime, Utc};

use crate::{
    app::App,
    cookies,
    frame::{Frame, Theme},
    session::{AFTER_THE_END, LOGIN, Session},
};

/// The word of a browser for a request that another site's page began.
const CROSS_SITE: &str = "cross-site";

/// A request's person, time and address.
pub(crate) struct Visitor {
    pub(crate) session: Arc<Session>,
    pub(crate) now: DateTime<Utc>,
    theme: Theme,
    address: String,
}

impl Visitor {
    /// The frame of the page that was asked for.
    pub(crate) fn frame(&self, title: impl Into<String>) -> Frame {
        self.frame_at(title, self.address.clone())
    }

    /// The frame of the page at `address`, also where a form led to it.
    pub(crate) fn frame_at(&self, title: impl Into<String>, address: String) -> Frame {
        Frame::new(title, Some(self.session.person()), self.theme, self.now, address)
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let now = app.clock.now();
        let address = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        let name = cookies::read(&parts.headers, cookies::SESSION);
        let Some(session) = name.and_then(|name| app.sessions.find(name, now)) else {
            return Err(unknown(parts, &address, name.is_some()));
        };
        let theme = Theme::of(cookies::read(&parts.headers, cookies::THEME));
        Ok(Self { session, now, theme, address })
    }
}

/// The way to the login page; a browser that names a session had one, which is over.
fn unknown(parts: &Parts, address: &str, ended: bool) -> Response {
    let says = |name, value: &str| header_text(&parts.headers, name).is_some_and(|text| text.contains(value));
    // A browser keeps a strict cookie back when another site's page leads here. Asked again by our own page, it shows it.
    if says("sec-fetch-site", CROSS_SITE) && says("sec-fetch-mode", "navigate") {
        let page =
            "<!doctype html><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"0\"><title>Sojourn</title>";
        return ([(header::CACHE_CONTROL, "no-store")], Html(page)).into_response();
    }
    if parts.method == Method::GET {
        let pairs = [("next", address)].into_iter().chain(ended.then_some(("ended", "yes")));
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        Redirect::to(&format!("{LOGIN}?{query}")).into_response()
    } else if ended {
        Redirect::to(AFTER_THE_END).into_response()
    } else {
        Redirect::to(LOGIN).into_response()
    }
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

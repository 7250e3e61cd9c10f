//! The switch between the system's theme, the light and the dark one. It works without a script, so that a page is
//! painted in the right theme at once.

use axum::{
    Form,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;

use super::login::inside;
use crate::{app::App, cookies, frame::Theme};

/// The form of the switch.
#[derive(Deserialize)]
pub(crate) struct Switch {
    theme: String,
    #[serde(default)]
    back: String,
}

pub(crate) async fn switch(State(app): State<App>, headers: HeaderMap, Form(asked): Form<Switch>) -> Response {
    let theme = Theme::of(Some(&asked.theme));
    let mut response = Redirect::to(inside(&asked.back)).into_response();
    if let Some(cookie) = cookies::choice(cookies::THEME, theme.as_str(), &headers, app.production) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

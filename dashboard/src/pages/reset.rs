//! A new password for whoever has forgotten the present one: by a code that an admin has handed over.

use askama::Template;
use axum::{
    Form,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
};
use contract::user::ResetPassword;
use serde::Deserialize;

use super::{login::words, page};
use crate::{
    app::App,
    cookies,
    failure::Failure,
    frame::{Frame, Theme},
};

/// Where the page is.
pub(crate) const ADDRESS: &str = "/ops/reset";

/// Where a person goes who has set a password.
const AFTER: &str = "/ops/login?reset=yes";

#[derive(Template)]
#[template(path = "reset.html")]
struct ResetPage {
    frame: Frame,
    email: String,
    code: String,
    refused: Option<String>,
}

impl ResetPage {
    fn new(app: &App, headers: &HeaderMap) -> Self {
        let theme = Theme::of(cookies::read(headers, cookies::THEME));
        let frame = Frame::new("A new password", None, theme, app.clock.now(), ADDRESS.to_owned());
        Self { frame, email: String::new(), code: String::new(), refused: None }
    }
}

pub(crate) async fn form(State(app): State<App>, headers: HeaderMap) -> Result<Response, Failure> {
    page(&ResetPage::new(&app, &headers))
}

/// The form of the page.
#[derive(Deserialize)]
pub(crate) struct Reset {
    email: String,
    code: String,
    new_password: String,
    again: String,
}

pub(crate) async fn set(
    State(app): State<App>,
    headers: HeaderMap,
    Form(asked): Form<Reset>,
) -> Result<Response, Failure> {
    let (email, code) = (asked.email.trim().to_owned(), asked.code.trim().to_owned());
    let refused = if asked.new_password == asked.again {
        let reset = ResetPassword { email: email.clone(), code: code.clone(), new_password: asked.new_password };
        match app.door.reset_password(&reset, headers.get(cookies::FORWARDED_FOR)).await {
            Ok(()) => return Ok(Redirect::to(AFTER).into_response()),
            Err(error) => words(&error),
        }
    } else {
        "The two passwords are not the same.".to_owned()
    };
    let shown = page(&ResetPage { email, code, refused: Some(refused), ..ResetPage::new(&app, &headers) })?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, shown).into_response())
}

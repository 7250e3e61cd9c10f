//! A new password for whoever has forgotten the present one: by a code that an admin has handed over.

use askama::Template;
use axum::{
    Form,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse as _, Redirect, Response},
};
use contract::user::ResetPassword;
use serde::Deserialize;

use super::{
    login::words,
    mistakes::{mistake, unprocessable},
    page,
};
use crate::{
    app::App,
    cookies,
    failure::Failure,
    frame::{Frame, Theme},
    view::form::{Mistake, Wrong},
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
    wrong: Mistake,
}

impl ResetPage {
    fn new(app: &App, headers: &HeaderMap) -> Self {
        let theme = Theme::of(cookies::read(headers, cookies::THEME));
        let frame = Frame::new("A new password", None, theme, app.clock.now(), ADDRESS.to_owned());
        Self { frame, email: String::new(), code: String::new(), wrong: Mistake(None) }
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
    let wrong = if asked.new_password == asked.again {
        let reset = ResetPassword { email: email.clone(), code: code.clone(), new_password: asked.new_password };
        match app.door.reset_password(&reset, headers.get(cookies::FORWARDED_FOR)).await {
            Ok(()) => return Ok(Redirect::to(AFTER).into_response()),
            Err(error) => {
                let told = words(&error);
                let codes = [("reset_code_wrong", "code")];
                mistake(error, &["email", "code", "new_password"], &codes).unwrap_or_else(|_| Wrong::at("", told))
            }
        }
    } else {
        Wrong::at("again", "The two passwords are not the same.")
    };
    let shown = page(&ResetPage { email, code, wrong: Mistake(Some(wrong)), ..ResetPage::new(&app, &headers) })?;
    Ok(unprocessable(shown))
}

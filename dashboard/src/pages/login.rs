//! The login of operators, on a page of its own: a password for a session's cookie. The door's tokens stay here.

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Redirect, Response},
};
use contract::user::{Login, Role};
use serde::Deserialize;

use super::page;
use crate::{
    app::App,
    cookies,
    door::DoorError,
    failure::Failure,
    frame::{Frame, Theme},
    over::end_login,
    session::{ACCOUNT, LOGIN, Person, Tokens},
};

/// Where a person goes who came for no page.
const HOME: &str = "/ops";

/// The words for a person whose session is over.
const ENDED: &str = "Your session has ended. Log in again to go on.";

/// The words for a person who was too late with the code.
const LATE: &str = "The code came too late. Log in again.";

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    frame: Frame,
    next: String,
    email: String,
    /// The reason why the login before did not succeed, or is over.
    refused: Option<String>,
    /// True after a new password was set by a code.
    reset: bool,
}

/// The second step, for people with a second factor.
#[derive(Template)]
#[template(path = "code.html")]
struct CodePage {
    frame: Frame,
    next: String,
    /// The name under which the first step is kept.
    step: String,
    refused: Option<String>,
}

/// The page to go to after the login.
#[derive(Deserialize)]
pub(crate) struct Next {
    #[serde(default)]
    next: String,
    /// Given when a session has ended.
    ended: Option<String>,
    /// Given when a password was just set.
    reset: Option<String>,
}

pub(crate) async fn form(
    State(app): State<App>,
    headers: HeaderMap,
    Query(asked): Query<Next>,
) -> Result<Response, Failure> {
    let ended = asked.ended.map(|_| ENDED.to_owned());
    let mut shown = login_page(&app, &headers, &asked.next, String::new(), ended);
    shown.reset = asked.reset.is_some();
    page(&shown)
}

/// The form of the login page, or of its second step.
#[derive(Deserialize)]
pub(crate) struct Credentials {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    /// Given in the second step, with the code.
    step: Option<String>,
    #[serde(default)]
    code: String,
    #[serde(default)]
    next: String,
}

/// Begins a session, in place of the one that the browser may have.
pub(crate) async fn begin(
    State(app): State<App>,
    headers: HeaderMap,
    Form(asked): Form<Credentials>,
) -> Result<Response, Failure> {
    let now = app.clock.now();
    let login = match &asked.step {
        None => Login { email: asked.email.trim().to_owned(), password: asked.password, code: None },
        Some(step) => match app.half_logins.complete(step, asked.code.trim().to_owned(), now) {
            Some(login) => login,
            None => {
                let late = Some(LATE.to_owned());
                return page(&login_page(&app, &headers, &asked.next, String::new(), late));
            }
        },
    };
    let entered = match app.door.log_in(&login, headers.get(cookies::FORWARDED_FOR)).await {
        Ok(tokens) => app.door.lets_in(&tokens).await.map(|()| tokens),
        Err(error) => Err(error),
    };
    let tokens = match entered {
        Ok(tokens) => tokens,
        Err(error) => {
            if let (None, true) = (&asked.step, error.has_code("second_factor_required")) {
                let step = name();
                app.half_logins.begin(&step, login, now);
                return page(&code_page(&app, &headers, &asked.next, step, None));
            }
            let refused = Some(words(&error));
            if let Some(step) = asked.step.filter(|_| !error.has_code("login_wrong")) {
                let shown = page(&code_page(&app, &headers, &asked.next, step, refused))?;
                return Ok((StatusCode::UNPROCESSABLE_ENTITY, shown).into_response());
            }
            let shown = page(&login_page(&app, &headers, &asked.next, login.email, refused))?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, shown).into_response());
        }
    };
    end_session(&app, &headers).await;
    if let Some(step) = &asked.step {
        app.half_logins.end(step);
    }
    let (name, person) = (name(), person(&login.email, &tokens));
    // A person who may not act before there is a second factor is led to it.
    let to = if person.second_factor_missing { ACCOUNT } else { inside(&asked.next) };
    if let Some(made_room) = app.sessions.begin(&name, person, tokens, now) {
        end_login(&app, made_room).await;
    }
    with_session(&app, &headers, &name, to)
}

/// A name of 244 random bits, which is guessed by nobody and says nothing.
fn name() -> String {
    format!("{}{}", kit::ids::uuid_random().simple(), kit::ids::uuid_random().simple())
}

/// Ends the session.
pub(crate) async fn end(State(app): State<App>, headers: HeaderMap) -> Result<Response, Failure> {
    end_session(&app, &headers).await;
    with_session(&app, &headers, "", LOGIN)
}

/// Ends the browser's session, when it has one, and its login at the door. A door that does not answer keeps nobody logged in
/// here: the tokens are gone.
async fn end_session(app: &App, headers: &HeaderMap) {
    if let Some(session) = cookies::read(headers, cookies::SESSION).and_then(|name| app.sessions.end(name)) {
        end_login(app, session).await;
    }
}

fn with_session(app: &App, headers: &HeaderMap, name: &str, to: &str) -> Result<Response, Failure> {
    let cookie = cookies::session(name, headers, app.production)
        .ok_or_else(|| Failure::Wrong("the session has no name".to_owned()))?;
    let mut response = Redirect::to(to).into_response();
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

fn login_page(app: &App, headers: &HeaderMap, next: &str, email: String, refused: Option<String>) -> LoginPage {
    let theme = Theme::of(cookies::read(headers, cookies::THEME));
    let frame = Frame::new("Log in", None, theme, app.clock.now(), LOGIN.to_owned());
    LoginPage { frame, next: inside(next).to_owned(), email, refused, reset: false }
}

fn code_page(app: &App, headers: &HeaderMap, next: &str, step: String, refused: Option<String>) -> CodePage {
    let theme = Theme::of(cookies::read(headers, cookies::THEME));
    let frame = Frame::new("Log in", None, theme, app.clock.now(), LOGIN.to_owned());
    CodePage { frame, next: inside(next).to_owned(), step, refused }
}

/// An address of ours, and of no other site.
pub(super) fn inside(address: &str) -> &str {
    let ours = address == HOME || address.starts_with("/ops/") || address.starts_with("/ops?");
    if ours && !address.contains(['\\', '\r', '\n']) { address } else { HOME }
}

pub(super) fn words(error: &DoorError) -> String {
    match error {
        DoorError::Refused(problem) if problem.code == "role_missing" => {
            "This account is not an operator's. An admin can make it one.".to_owned()
        }
        DoorError::Refused(problem) => problem.detail.clone().unwrap_or_else(|| problem.title.clone()),
        DoorError::LoginEnded => "The login has ended. Log in again.".to_owned(),
        DoorError::Unreachable(_) | DoorError::Lost(_) | DoorError::Unreadable(_) => {
            tracing::warn!(%error, "a login met a door that gives no usable answer");
            "The door of Sojourn does not answer. Try again in a moment.".to_owned()
        }
    }
}

/// The person as the token names them.
fn person(email: &str, tokens: &Tokens) -> Person {
    // A token that does not read says nothing of rights: the least that these pages know.
    let claims = tokens.claims();
    Person {
        email: email.to_owned(),
        user_id: claims.as_ref().map(|claims| claims.sub.to_string()).unwrap_or_default(),
        role: claims.as_ref().map_or(Role::Viewer, |claims| claims.role),
        second_factor_missing: claims.is_some_and(|claims| claims.second_factor_missing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_pages_of_ours_only() {
        for ours in ["/ops", "/ops/sagas?q=status%3Arunning", "/ops?x=1"] {
            assert_eq!(inside(ours), ours);
        }
        for foreign in
            ["", "//evil.example", "https://evil.example", "/opsx", "/ops/\\evil", "/v1/orders", "/ops/a\r\nb"]
        {
            assert_eq!(inside(foreign), HOME, "{foreign}");
        }
    }
}

//! The approval of a login without a browser: a person types the code that a program shows, sees which program that is and
//! from where it asks, and lets it log in, or not. Nothing is approved by opening the page, whatever its address holds.

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
};
use contract::user::{DeviceLogin, UserCode};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::json;

use super::page;
use crate::{
    app::App,
    cookies,
    door::DoorError,
    failure::Failure,
    frame::Frame,
    session::Person,
    view::times::{self, Moment},
    visitor::Visitor,
};

/// Where the page is.
const ADDRESS: &str = "/ops/device";

/// The calls of the door for logins that wait.
const CALLS: &str = "/device";

/// A program that waits, as its person sees it.
struct Waiting {
    code: String,
    client: String,
    address: String,
    /// The address of the person's own browser, when it is another one.
    elsewhere: Option<String>,
    since: Moment,
    until: Moment,
}

/// The word that was given about the program before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Approved,
    Denied,
}

impl Done {
    const ALL: [Self; 2] = [Self::Approved, Self::Denied];

    /// The word in addresses.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Denied => "denied",
        }
    }
}

#[derive(Template)]
#[template(path = "device.html")]
struct DevicePage {
    frame: Frame,
    person: Person,
    typed: String,
    waiting: Option<Waiting>,
    done: Option<Done>,
    /// The reason why there is nothing under the code.
    refused: Option<String>,
}

/// The address's parameters.
#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    user_code: String,
    #[serde(default)]
    done: String,
}

pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    let done = Done::ALL.into_iter().find(|done| done.as_str() == asked.done);
    let typed = asked.user_code.trim();
    if typed.is_empty() || done.is_some() {
        return page(&device_page(&visitor, "", None, done, None));
    }
    let code: UserCode = match typed.parse() {
        Ok(code) => code,
        Err(error) => return refused(&visitor, typed, StatusCode::UNPROCESSABLE_ENTITY, format!("{error}.")),
    };
    let found: Result<DeviceLogin, DoorError> =
        app.door.get(&visitor.session, CALLS, &[("user_code", code.to_string())]).await;
    match found {
        Ok(login) => page(&device_page(&visitor, "", Some(waiting(&visitor, &headers, login)), None, None)),
        Err(error) => told(&visitor, typed, error),
    }
}

/// The form of a person's word.
#[derive(Deserialize)]
pub(crate) struct Decision {
    user_code: String,
    decision: String,
}

pub(crate) async fn decide(
    State(app): State<App>,
    visitor: Visitor,
    Form(asked): Form<Decision>,
) -> Result<Response, Failure> {
    let done = match asked.decision.as_str() {
        "approve" => Done::Approved,
        "deny" => Done::Denied,
        _ => return Err(Failure::Wrong("the form says neither yes nor no".to_owned())),
    };
    let body = json!({ "user_code": asked.user_code });
    let path = format!("{CALLS}/{}", asked.decision);
    match app.door.post::<IgnoredAny>(&visitor.session, &path, &body).await {
        Ok(IgnoredAny) => Ok(Redirect::to(&format!("{ADDRESS}?done={}", done.as_str())).into_response()),
        Err(error) => told(&visitor, &asked.user_code, error),
    }
}

/// The door's refusal of a code, on the page; one that is not about a code is a failure like any other.
fn told(visitor: &Visitor, typed: &str, error: DoorError) -> Result<Response, Failure> {
    match error {
        DoorError::Refused(problem)
            if matches!(problem.code.as_str(), "device_login_unknown" | "device_codes_paused") =>
        {
            let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_GATEWAY);
            let words = match problem.code.as_str() {
                "device_codes_paused" => "Too many codes were mistyped. Wait a moment, then type it again.",
                _ => "No program waits under this code. It is mistyped, was used, or waited for more than ten minutes.",
            };
            refused(visitor, typed, status, words.to_owned())
        }
        other => Err(other.into()),
    }
}

fn refused(visitor: &Visitor, typed: &str, status: StatusCode, words: String) -> Result<Response, Failure> {
    let shown = page(&device_page(visitor, typed, None, None, Some(words)))?;
    Ok((status, shown).into_response())
}

fn device_page(
    visitor: &Visitor,
    typed: &str,
    waiting: Option<Waiting>,
    done: Option<Done>,
    refused: Option<String>,
) -> DevicePage {
    let (frame, person) = (visitor.frame("Log in a program"), visitor.session.person());
    DevicePage { frame, person, typed: typed.to_owned(), waiting, done, refused }
}

fn waiting(visitor: &Visitor, headers: &HeaderMap, login: DeviceLogin) -> Waiting {
    let browser = headers.get(cookies::FORWARDED_FOR).and_then(|address| address.to_str().ok()).unwrap_or_default();
    Waiting {
        code: login.user_code.to_string(),
        client: login.client.as_str().to_owned(),
        elsewhere: (browser != login.address).then(|| browser.to_owned()),
        address: login.address,
        since: times::moment(login.created_at, visitor.now),
        until: times::moment(login.expires_at, visitor.now),
    }
}

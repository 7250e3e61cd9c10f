//! The logins of the person who looks: browsers and programs, since when and until when, and the end of one.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
};
use contract::{LoginId, user::PersonLogin};

use super::page;
use crate::{
    app::App,
    failure::Failure,
    frame::Frame,
    session::Person,
    view::times::{self, Moment},
    visitor::Visitor,
};

/// Where the page is.
const ADDRESS: &str = "/ops/logins";

/// One login in the list.
struct Row {
    id: String,
    /// The program that it was approved for; none for a login by password.
    program: Option<String>,
    began: Moment,
    used: Moment,
    ends: Moment,
    /// The login that looks at the page.
    current: bool,
}

#[derive(Template)]
#[template(path = "logins.html")]
struct LoginsPage {
    frame: Frame,
    person: Person,
    logins: Vec<Row>,
}

pub(crate) async fn list(State(app): State<App>, visitor: Visitor) -> Result<Response, Failure> {
    let logins = app.door.logins(&visitor.session).await?;
    let row = |login: PersonLogin| Row {
        id: login.login_id.to_string(),
        program: login.client.map(|client| client.as_str().to_owned()),
        began: times::moment(login.created_at, visitor.now),
        used: times::moment(login.used_at, visitor.now),
        ends: times::moment(login.ends_at, visitor.now),
        current: login.current,
    };
    page(&LoginsPage {
        frame: visitor.frame("Your logins"),
        person: visitor.session.person(),
        logins: logins.into_iter().map(row).collect(),
    })
}

pub(crate) async fn end(State(app): State<App>, visitor: Visitor, Path(id): Path<String>) -> Result<Response, Failure> {
    let login: LoginId = id.parse().map_err(|error| Failure::Wrong(format!("{error}")))?;
    app.door.end_login(&visitor.session, login).await?;
    Ok(Redirect::to(ADDRESS).into_response())
}

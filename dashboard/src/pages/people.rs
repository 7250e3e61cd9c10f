//! The people of the agency, for admins: who may look, act and manage, a new person, and the end of a login.

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    response::{IntoResponse as _, Redirect, Response},
};
use contract::{
    Page,
    user::{Person, ResetCode, Role},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};

use super::{page, paged};
use crate::{
    app::App,
    failure::Failure,
    frame::Frame,
    view::times::{self, Moment},
    visitor::Visitor,
};

/// Where the page is.
const ADDRESS: &str = "/ops/people";

/// The roles that the page gives, with the words for them. A client has no rights here: the way to take them all.
const ROLES: [(Role, &str); 4] = [
    (Role::Viewer, "viewer: looks"),
    (Role::Operator, "operator: acts on sagas"),
    (Role::Admin, "admin: manages people"),
    (Role::Client, "client: has no rights here"),
];

/// One person in the list, as an admin sees it.
struct Row {
    id: String,
    email: String,
    name: String,
    role: Role,
    made: Moment,
    disabled: Option<Moment>,
    second_factor: bool,
    /// The admin who looks at the page.
    you: bool,
}

/// The code for a person's new password, on the only page that shows it.
#[derive(Template)]
#[template(path = "reset_code.html")]
struct CodePage {
    frame: Frame,
    code: String,
    expires: Moment,
}

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage {
    frame: Frame,
    people: Vec<Row>,
    roles: [(Role, &'static str); 4],
    next: Option<String>,
}

/// The address's parameters.
#[derive(Deserialize)]
pub(crate) struct Asked {
    page: Option<String>,
}

pub(crate) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    let found: Page<Person> = app.door.get(&visitor.session, "/people", &paged(&asked.page)).await?;
    let row = |person: &Person| {
        let id = person.user_id.to_string();
        Row {
            you: id == visitor.session.person().user_id,
            id,
            email: person.email.clone(),
            name: person.name.clone(),
            role: person.role,
            made: times::moment(person.created_at, visitor.now),
            second_factor: person.second_factor.is_some(),
            disabled: person.disabled_at.map(|at| times::moment(at, visitor.now)),
        }
    };
    page(&PeoplePage {
        frame: visitor.frame("People"),
        people: found.items.iter().map(row).collect(),
        roles: ROLES,
        next: found.next_page_token.map(|token| super::next(ADDRESS, token.as_str())),
    })
}

/// The form of a new person.
#[derive(Deserialize)]
pub(crate) struct NewPerson {
    email: String,
    name: String,
    password: String,
    role: String,
    reason: String,
}

pub(crate) async fn create(
    State(app): State<App>,
    visitor: Visitor,
    Form(asked): Form<NewPerson>,
) -> Result<Response, Failure> {
    let body = json!({
        "email": asked.email.trim(),
        "name": asked.name.trim(),
        "password": asked.password,
        "role": asked.role,
        "reason": asked.reason,
    });
    done(&app, &visitor, "/people", &body).await
}

/// The form of a change of a person's rights; the role is of one act only.
#[derive(Deserialize)]
pub(crate) struct Change {
    #[serde(default)]
    role: String,
    reason: String,
}

/// Gives a person a role, ends its logins, lets it log in again, or helps it when it cannot.
pub(crate) async fn act(
    State(app): State<App>,
    visitor: Visitor,
    Path((id, act)): Path<(String, String)>,
    Form(asked): Form<Change>,
) -> Result<Response, Failure> {
    let body = match act.as_str() {
        "role" => json!({ "role": asked.role, "reason": asked.reason }),
        "disable" | "enable" | "reset" | "clear-second-factor" => json!({ "reason": asked.reason }),
        _ => return Err(Failure::Wrong("no such act".to_owned())),
    };
    let path = format!("/people/{}/{act}", super::plain(&id));
    if act == "reset" {
        let ResetCode { code, expires_at } = app.door.post(&visitor.session, &path, &body).await?;
        let expires = times::moment(expires_at, visitor.now);
        return page(&CodePage { frame: visitor.frame("A code for a new password"), code, expires });
    }
    done(&app, &visitor, &path, &body).await
}

async fn done(app: &App, visitor: &Visitor, path: &str, body: &Value) -> Result<Response, Failure> {
    app.door.post::<IgnoredAny>(&visitor.session, path, body).await?;
    Ok(Redirect::to(ADDRESS).into_response())
}

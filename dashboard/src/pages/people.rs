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
use serde_json::json;

use super::{
    mistakes::{mistake, place, unprocessable},
    page, paged,
};
use crate::{
    app::App,
    failure::Failure,
    frame::Frame,
    view::{
        form::{Given, Wrong},
        refilled::Refilled,
        times::{self, Moment},
    },
    visitor::Visitor,
};

/// Where the page is, and the name of its form of a new person. The forms of a row have the names of their acts, behind its id.
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

impl Row {
    /// The act that turns the end of its logins around.
    fn turn(&self) -> &'static str {
        if self.disabled.is_some() { "enable" } else { "disable" }
    }

    /// The name of the form of an act.
    fn form(&self, act: &str) -> String {
        format!("{}/{act}", self.id)
    }
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
    /// The place of this page in the list, which its forms come back to.
    place: String,
    forms: Refilled,
}

impl PeoplePage {
    /// True for a row one of whose forms comes back.
    fn comes_back(&self, person: &Row) -> bool {
        ["role", person.turn(), "reset", "clear-second-factor"].iter().any(|act| self.forms.is(&person.form(act)))
    }
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
    show(&app, &visitor, asked.page, Refilled::default()).await
}

async fn show(app: &App, visitor: &Visitor, place: Option<String>, forms: Refilled) -> Result<Response, Failure> {
    let found: Page<Person> = app.door.get(&visitor.session, "/people", &paged(&place)).await?;
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
        frame: visitor.frame_at("People", super::at(ADDRESS, place.as_deref())),
        people: found.items.iter().map(row).collect(),
        roles: ROLES,
        next: found.next_page_token.map(|token| super::next(ADDRESS, token.as_str())),
        place: place.unwrap_or_default(),
        forms,
    })
}

pub(crate) async fn create(
    State(app): State<App>,
    visitor: Visitor,
    Form(typed): Form<Given>,
) -> Result<Response, Failure> {
    let text = |name: &str| typed.get(name).map(|text| text.trim()).unwrap_or_default();
    let body = json!({
        "email": text("email"),
        "name": text("name"),
        "password": typed.get("password"),
        "role": text("role"),
        "reason": text("reason"),
    });
    match app.door.post::<IgnoredAny>(&visitor.session, "/people", &body).await {
        Ok(IgnoredAny) => Ok(Redirect::to(ADDRESS).into_response()),
        Err(error) => {
            let inputs = ["name", "email", "password", "role", "reason"];
            let wrong = mistake(error, &inputs, &[("email_taken", "email")])?;
            again(&app, &visitor, ADDRESS, typed, wrong).await
        }
    }
}

/// Gives a person a role, ends its logins, lets it log in again, or helps it when it cannot.
pub(crate) async fn act(
    State(app): State<App>,
    visitor: Visitor,
    Path((id, act)): Path<(String, String)>,
    Form(typed): Form<Given>,
) -> Result<Response, Failure> {
    let body = match act.as_str() {
        "role" => json!({ "role": typed.get("role"), "reason": typed.get("reason") }),
        "disable" | "enable" | "reset" | "clear-second-factor" => json!({ "reason": typed.get("reason") }),
        _ => return Err(Failure::Wrong("no such act".to_owned())),
    };
    let path = format!("/people/{}/{act}", super::plain(&id));
    let done = if act == "reset" {
        app.door.post::<ResetCode>(&visitor.session, &path, &body).await.map(Some)
    } else {
        app.door.post::<IgnoredAny>(&visitor.session, &path, &body).await.map(|IgnoredAny| None)
    };
    match done {
        Ok(Some(ResetCode { code, expires_at })) => {
            let expires = times::moment(expires_at, visitor.now);
            let frame = visitor.frame_at("A code for a new password", ADDRESS.to_owned());
            page(&CodePage { frame, code, expires })
        }
        Ok(None) => Ok(Redirect::to(&super::at(ADDRESS, place(&typed).as_deref())).into_response()),
        Err(error) => {
            let wrong = mistake(error, &["role", "reason"], &[("admin_last", ""), ("person_own", "")])?;
            again(&app, &visitor, format!("{id}/{act}"), typed, wrong).await
        }
    }
}

async fn again(
    app: &App,
    visitor: &Visitor,
    form: impl Into<String>,
    typed: Given,
    wrong: Wrong,
) -> Result<Response, Failure> {
    Ok(unprocessable(show(app, visitor, place(&typed), Refilled::new(form, typed, wrong)).await?))
}

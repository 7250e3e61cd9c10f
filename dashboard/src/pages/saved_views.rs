//! Saving a view of the list under a name, and forgetting it.

use axum::{
    Form,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;

use crate::{
    app::App,
    cookies,
    failure::Failure,
    view::{
        saga_addresses::LIST,
        views::{self, View},
    },
    visitor::Visitor,
};

/// The form of a view.
#[derive(Deserialize)]
pub(crate) struct Asked {
    name: String,
    #[serde(default)]
    query: String,
    /// Takes the view of that name away.
    #[serde(default)]
    forget: bool,
}

pub(crate) async fn save(
    State(app): State<App>,
    _visitor: Visitor,
    headers: HeaderMap,
    Form(Asked { name, query, forget }): Form<Asked>,
) -> Result<Response, Failure> {
    let mut saved = views::read(cookies::read(&headers, cookies::VIEWS));
    let back = if query.is_empty() { LIST.to_owned() } else { format!("{LIST}?{query}") };
    if forget {
        saved.retain(|view| view.name != name);
    } else {
        saved = views::with(saved, View { name, query }).map_err(Failure::Wrong)?;
    }
    let cookie = cookies::choice(cookies::VIEWS, &views::write(&saved), &headers, app.production);
    let cookie = cookie.ok_or_else(|| Failure::Wrong("the view cannot be kept".to_owned()))?;
    let mut response = Redirect::to(&back).into_response();
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

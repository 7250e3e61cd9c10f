//! Saving a view of the list under a name, and forgetting it.

use axum::{
    Form,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;

use super::{mistakes::unprocessable, sagas};
use crate::{
    app::App,
    cookies,
    failure::Failure,
    view::{
        form::{Given, Wrong},
        refilled::Refilled,
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
    visitor: Visitor,
    headers: HeaderMap,
    Form(Asked { name, query, forget }): Form<Asked>,
) -> Result<Response, Failure> {
    let known = views::read(cookies::read(&headers, cookies::VIEWS));
    let back = if query.is_empty() { LIST.to_owned() } else { format!("{LIST}?{query}") };
    let saved = if forget {
        Ok(known.into_iter().filter(|view| view.name != name).collect())
    } else {
        views::with(known, View { name: name.clone(), query: query.clone() })
    };
    let saved: Vec<View> = match saved {
        Ok(saved) => saved,
        Err(words) => {
            let typed = Given::from([("name".to_owned(), name)]);
            let forms = Refilled::new(sagas::SAVE_VIEW, typed, Wrong::at("name", words));
            let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            return Ok(unprocessable(sagas::show(&app, &visitor, &headers, &pairs, forms).await?));
        }
    };
    let cookie = cookies::choice(cookies::VIEWS, &views::write(&saved), &headers, app.production);
    let cookie = cookie.ok_or_else(|| Failure::Wrong("the view cannot be kept".to_owned()))?;
    let mut response = Redirect::to(&back).into_response();
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

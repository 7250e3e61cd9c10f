//! The exact number of the sagas that a list would show. A page asks for it after it is shown: counting a million
//! sagas takes longer than reading the first of them.

use axum::{
    extract::{Query as FromQuery, State},
    response::{Html, IntoResponse as _, Response},
};
use contract::orchestrator_api::{SagaCounts, SagaQuery};
use serde::Deserialize;

use crate::{app::App, failure::Failure, view::numbers, visitor::Visitor};

/// The parameters of the question.
#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    q: String,
}

/// The number of the sagas that match, in words: it takes the place of the link that asks for it.
pub(crate) async fn of_list(
    State(app): State<App>,
    visitor: Visitor,
    FromQuery(Asked { q }): FromQuery<Asked>,
) -> Result<Response, Failure> {
    let words = match matching(&app, &visitor, &q).await? {
        1 => "1 saga".to_owned(),
        many => format!("{} sagas", numbers::grouped(&many.to_string())),
    };
    Ok(Html(format!(r#"<span class="muted" id="count">{words}</span>"#)).into_response())
}

/// The number of the sagas that wait for a person, for the rail; nothing where none does.
pub(crate) async fn of_attention(State(app): State<App>, visitor: Visitor) -> Result<Response, Failure> {
    let words = match matching(&app, &visitor, "status:needs_attention").await? {
        0 => String::new(),
        some => numbers::grouped(&some.to_string()),
    };
    Ok(Html(words).into_response())
}

async fn matching(app: &App, visitor: &Visitor, q: &str) -> Result<u64, Failure> {
    let query = SagaQuery::read(q, visitor.now).map_err(|wrong| Failure::Wrong(wrong.to_string()))?;
    let counts: SagaCounts = app.door.get(&visitor.session, "/counts", &query.parameters()).await?;
    Ok(counts.sagas)
}

//! The page of a failure: what happened, what is safe, what to do next, and the code with its explanation.

use askama::Template;
use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use contract::problem::Problem;

use crate::{
    door::DoorError,
    frame::{Frame, Theme},
    session::{ACCOUNT, AFTER_THE_END},
};

/// A reason why there is no page.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Door(#[from] DoorError),
    #[error("a page could not be drawn")]
    Undrawn(#[from] askama::Error),
    /// The address or the form is not one of ours.
    #[error("{0}")]
    Wrong(String),
    /// The person's role does not allow what the page is for.
    #[error("{0}")]
    NotAllowed(&'static str),
}

/// The page of a failure.
#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage {
    frame: Frame,
    sentence: String,
    advice: &'static str,
    code: String,
    /// The address of the code's explanation.
    page: String,
    places: Vec<String>,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, problem, advice) = match self {
            Self::Door(DoorError::LoginEnded) => return Redirect::to(AFTER_THE_END).into_response(),
            Self::Door(error) if error.has_code("second_factor_missing") => {
                return Redirect::to(ACCOUNT).into_response();
            }
            Self::Door(DoorError::Refused(problem)) => {
                let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_GATEWAY);
                (status, *problem, advice(status))
            }
            Self::Door(error) => {
                tracing::warn!(%error, "the door gave no usable answer");
                let advice = "Nothing was changed as far as is known. Load the page again in a moment.";
                (StatusCode::BAD_GATEWAY, own(502, "bad_gateway", error.to_string()), advice)
            }
            Self::Undrawn(error) => {
                tracing::error!(%error, "a page could not be drawn");
                let problem = own(500, "internal", "The page could not be drawn.".to_owned());
                (StatusCode::INTERNAL_SERVER_ERROR, problem, "The fault is ours, and in the log.")
            }
            Self::NotAllowed(why) => {
                let (status, advice) = (StatusCode::FORBIDDEN, "Nothing was done. Ask an admin for the role.");
                (status, own(403, "role_missing", why.to_owned()), advice)
            }
            Self::Wrong(detail) => {
                (StatusCode::BAD_REQUEST, own(400, "query_invalid", detail), "Nothing was done. Go back and change it.")
            }
        };
        let now = chrono::DateTime::UNIX_EPOCH;
        let page = FailurePage {
            frame: Frame::new("Not done", None, Theme::System, now, String::new()),
            sentence: problem.detail.unwrap_or(problem.title),
            advice,
            places: problem.errors.into_iter().map(|error| format!("{}: {}", error.pointer, error.detail)).collect(),
            page: problem.kind,
            code: problem.code,
        };
        match page.render() {
            Ok(html) => (status, Html(html)).into_response(),
            Err(_) => (status, page.code).into_response(),
        }
    }
}

fn own(status: u16, code: &str, detail: String) -> Problem {
    let kind = format!("{}{code}", contract::problem::TYPE_BASE);
    Problem { kind, title: String::new(), status, detail: Some(detail), code: code.to_owned(), errors: Vec::new() }
}

fn advice(status: StatusCode) -> &'static str {
    match status {
        StatusCode::CONFLICT => {
            "Nothing was done: things stand differently from what you saw. Look again, then decide."
        }
        StatusCode::NOT_FOUND => "It may have been exported and dropped, or the address is mistyped.",
        StatusCode::FORBIDDEN => "Your role does not allow this.",
        StatusCode::SERVICE_UNAVAILABLE => "A part of Sojourn is busy or away. Load the page again in a moment.",
        _ => "Nothing was done. Go back and change what is wrong.",
    }
}

//! The audit log: who did what, why, and what came of it; and whether its chain of hashes is whole.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use contract::{
    Page,
    orchestrator_api::{AuditRecord, AuditVerification},
};
use serde::Deserialize;

use super::{page, paged};
use crate::{
    app::App,
    door::DoorError,
    failure::Failure,
    frame::Frame,
    session::Session,
    view::acted::{self, AuditRow},
    visitor::Visitor,
};

/// The most calls of one verification, of up to 1,000 rows each: a page does not wait for longer ones, `sagactl` does.
const CALLS_MAX: usize = 20;

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    asked: Asked,
    rows: Vec<AuditRow>,
    verified: Option<Verified>,
    next: Option<String>,
}

/// The outcome of a verification.
enum Verified {
    Whole { rows: u64, head: u64, hash: String },
    Broken { number: u64, detail: String },
    TooLong { rows: u64 },
}

/// The address's parameters.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    actor: String,
    target: String,
    act: String,
    verify: String,
    page: Option<String>,
}

pub(crate) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    let mut parameters = paged(&asked.page);
    let filters = [("actor", &asked.actor), ("target", &asked.target), ("act", &asked.act)];
    let given = filters.into_iter().filter(|(_, value)| !value.trim().is_empty());
    let given: Vec<(&str, String)> = given.map(|(name, value)| (name, value.trim().to_owned())).collect();
    parameters.extend(given.clone());
    let found: Page<AuditRecord> = app.door.get(&visitor.session, "/audit", &parameters).await?;
    let verified = if asked.verify.is_empty() { None } else { Some(verify(&app, &visitor.session).await?) };
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish();
    page(&AuditPage {
        frame: visitor.frame("Audit"),
        rows: found.items.iter().map(|record| acted::row(record, visitor.now)).collect(),
        verified,
        next: found.next_page_token.map(|token| super::next(&format!("/ops/audit?{query}"), token.as_str())),
        asked,
    })
}

async fn verify(app: &App, session: &Session) -> Result<Verified, DoorError> {
    let (mut rows, mut after) = (0, None);
    for _ in 0..CALLS_MAX {
        let from: Vec<(&str, String)> = after.iter().map(|after: &u64| ("after", after.to_string())).collect();
        let part: AuditVerification = app.door.get(session, "/audit/verification", &from).await?;
        rows += part.checked;
        if let Some(broken) = part.broken {
            return Ok(Verified::Broken { number: broken.number, detail: broken.detail });
        }
        after = part.next_after;
        if after.is_none() {
            return Ok(Verified::Whole { rows, head: part.head.number, hash: part.head.hash });
        }
    }
    Ok(Verified::TooLong { rows })
}

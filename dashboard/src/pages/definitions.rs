//! The definitions: their versions as drawings, and what the linter finds in them.

use askama::Template;
use axum::{extract::State, response::Response};
use contract::orchestrator_api::{DefinitionView, Definitions};

use super::page;
use crate::{
    app::App,
    failure::Failure,
    frame::Frame,
    view::{graph, names, saga_addresses, times},
    visitor::Visitor,
};

/// A version of a definition, drawn.
struct Definition {
    title: String,
    version: u32,
    fingerprint: String,
    deadline: Option<String>,
    steps: usize,
    attributes: Vec<String>,
    drawing: String,
    findings: Vec<(String, String, String)>,
    sagas: String,
}

#[derive(Template)]
#[template(path = "definitions.html")]
struct DefinitionsPage {
    frame: Frame,
    definitions: Vec<Definition>,
}

pub(crate) async fn list(State(app): State<App>, visitor: Visitor) -> Result<Response, Failure> {
    let found: Definitions = app.door.get(&visitor.session, "/definitions", &[]).await?;
    let definitions = found.items.iter().map(definition).collect::<Result<_, askama::Error>>()?;
    page(&DefinitionsPage { frame: visitor.frame("Definitions"), definitions })
}

fn definition(view: &DefinitionView) -> Result<Definition, askama::Error> {
    let nodes: Vec<_> = view.steps.iter().map(graph::Node::of_shape).collect();
    let deadline = view.deadline_seconds.and_then(|seconds| i64::try_from(seconds).ok());
    let findings = view.findings.iter();
    Ok(Definition {
        title: names::title(&view.name),
        version: view.version,
        fingerprint: view.fingerprint.chars().take(12).collect(),
        deadline: deadline.and_then(chrono::TimeDelta::try_seconds).map(times::span),
        steps: view.steps.len(),
        attributes: view.attributes.clone(),
        drawing: graph::draw(&nodes)?,
        findings: findings.map(|one| (one.rule.clone(), one.step.to_string(), one.message.clone())).collect(),
        sagas: saga_addresses::address(&format!("name:{}", view.name)),
    })
}

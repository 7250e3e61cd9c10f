//! The definitions: their versions as drawings, how many sagas of each are open, and what the linter finds in them.

use askama::Template;
use axum::{extract::State, response::Response};
use contract::orchestrator_api::{DefinitionView, Definitions, SagaCounts};

use super::{
    migration,
    open_counts::{self, Count},
    page,
};
use crate::{
    app::App,
    failure::Failure,
    frame::Frame,
    view::{
        graph, names,
        prose::{self, Prose},
        saga_addresses, times,
    },
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
    findings: Vec<(String, String, Prose)>,
    sagas: String,
    open: Vec<Count>,
    /// How many open sagas of other versions there are, and the address of what this one could take over of them.
    others: Option<(u64, String)>,
}

impl Definition {
    fn is_idle(&self) -> bool {
        self.open.iter().all(|count| count.number == 0)
    }
}

#[derive(Template)]
#[template(path = "definitions.html")]
struct DefinitionsPage {
    frame: Frame,
    definitions: Vec<Definition>,
}

pub(crate) async fn list(State(app): State<App>, visitor: Visitor) -> Result<Response, Failure> {
    let (door, session, open) = (&app.door, &visitor.session, open_counts::parameters());
    let (found, open) = futures::try_join!(
        door.get::<Definitions>(session, "/definitions", &[]),
        door.get::<SagaCounts>(session, "/counts", &open),
    )?;
    let definitions = found.items.iter().map(|view| definition(view, &open)).collect::<Result<_, askama::Error>>()?;
    page(&DefinitionsPage { frame: visitor.frame("Definitions"), definitions })
}

fn definition(view: &DefinitionView, open: &SagaCounts) -> Result<Definition, askama::Error> {
    let nodes: Vec<_> = view.steps.iter().map(graph::Node::of_shape).collect();
    let deadline = view.deadline_seconds.and_then(|seconds| i64::try_from(seconds).ok());
    let findings = view.findings.iter();
    let others: u64 = open_counts::of_others(open, &view.name, view.version).iter().map(|(_, sagas)| sagas).sum();
    Ok(Definition {
        title: names::title(&view.name),
        version: view.version,
        fingerprint: view.fingerprint.chars().take(12).collect(),
        deadline: deadline.and_then(chrono::TimeDelta::try_seconds).map(times::span),
        steps: view.steps.len(),
        attributes: view.attributes.clone(),
        drawing: graph::draw(&nodes)?,
        findings: findings.map(|one| (one.rule.clone(), one.step.to_string(), prose::prose(&one.message))).collect(),
        sagas: saga_addresses::address(&format!("name:{} version:{}", view.name, view.version)),
        open: open_counts::counts(open, Some((&view.name, view.version))),
        others: (others > 0).then(|| (others, migration::address(&view.name, view.version))),
    })
}

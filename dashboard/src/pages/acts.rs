//! The page of an act on a saga: its fields, its plan, then the reason and one button. Nothing is sent before the plan was
//! shown, and a saga that has gone on since refuses the act.

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    response::{IntoResponse as _, Redirect, Response},
};
use contract::{
    RequestId,
    orchestrator_api::{
        CommandView, DefinitionView, Definitions, Explanation, FieldShape, PlanView, SagaView, SignalEffect, StepShape,
        StepWork,
    },
    saga::Action,
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};

use super::{page, path};
use crate::{
    app::App,
    failure::Failure,
    frame::Frame,
    view::{
        acts,
        form::{Given, Input, Source},
        names,
        plan::{self, Plan},
    },
    visitor::Visitor,
};

#[derive(Template)]
#[template(path = "act.html")]
struct ActPage {
    frame: Frame,
    id: String,
    saga: String,
    act: String,
    words: &'static str,
    steps: Vec<String>,
    versions: Vec<u32>,
    signals: Vec<String>,
    inputs: Vec<Input>,
    /// True where the document can be given by fields too.
    has_form: bool,
    fields: Fields,
    /// Names the request: sent twice, it takes effect once.
    request_id: RequestId,
    /// The reason why the fields cannot be read.
    wrong: Option<String>,
    plan: Option<Plan>,
}

/// The fields of all acts; each act reads its own.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct Fields {
    step: String,
    reply: String,
    patch: String,
    evidence: String,
    at: String,
    version: String,
    clock: String,
    holds: String,
    force: String,
    signal: String,
    payload: String,
    reason: String,
    if_head: String,
    request_id: String,
    /// `do` on the button that acts; anything else asks for the plan.
    go: String,
    /// `json` where a document is written as JSON and not by its fields.
    #[serde(rename = "as")]
    written_as: String,
    /// The fields of a document, each under its own name.
    #[serde(flatten)]
    given: Given,
}

impl Fields {
    fn as_json(&self) -> bool {
        self.written_as == "json"
    }
}

/// True for an act that can be planned before a field is filled in.
fn is_plain(act: &str, fields: &Fields) -> bool {
    matches!(act, "retry" | "cancel" | "abandon" | "pause" | "resume")
        || (act == "fire_timer" && !fields.step.is_empty())
}

/// True for what is no action on the journal's head, and has no plan.
fn is_unplanned(act: &str) -> bool {
    matches!(act, "release" | "signal")
}

pub(crate) async fn ask(
    State(app): State<App>,
    visitor: Visitor,
    Path((id, act)): Path<(String, String)>,
    Query(fields): Query<Fields>,
) -> Result<Response, Failure> {
    let planned = is_plain(&act, &fields);
    show(&app, &visitor, &id, &act, fields, planned).await
}

pub(crate) async fn act(
    State(app): State<App>,
    visitor: Visitor,
    Path((id, act)): Path<(String, String)>,
    Form(fields): Form<Fields>,
) -> Result<Response, Failure> {
    if fields.go != "do" {
        return show(&app, &visitor, &id, &act, fields, true).await;
    }
    may_act(&visitor)?;
    let (door, session) = (&app.door, &visitor.session);
    let source = source(&app, &visitor, &id, &act, &fields).await;
    match act.as_str() {
        "release" => {
            let body = json!({ "reason": fields.reason });
            let plain = path(&id, "/release").replacen("/sagas/", "/quarantine/", 1);
            door.post::<IgnoredAny>(session, &plain, &body).await?;
        }
        "signal" => {
            let payload = written(&source, &fields, &fields.payload, "payload").map_err(Failure::Wrong)?;
            let below = format!("/signals/{}", words_only(&fields.signal));
            let body = json!({ "id": fields.request_id, "payload": payload });
            door.post::<SignalEffect>(session, &path(&id, &below), &body).await?;
        }
        act => {
            let action = action(act, &fields, &source).map_err(Failure::Wrong)?;
            let mut body = serde_json::to_value(&action).map_err(|error| Failure::Wrong(error.to_string()))?;
            body["reason"] = json!(fields.reason);
            body["request_id"] = json!(fields.request_id);
            let head: u64 =
                fields.if_head.parse().map_err(|_| Failure::Wrong("the plan's record is missing".to_owned()))?;
            body["if_head"] = json!(head);
            door.post::<IgnoredAny>(session, &path(&id, "/actions"), &body).await?;
        }
    }
    let plain: String = id.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect();
    Ok(Redirect::to(&format!("/ops/sagas/{plain}?tab=audit")).into_response())
}

/// A viewer who comes by the address of an act is told so, in place of a form that the door would refuse.
fn may_act(visitor: &Visitor) -> Result<(), Failure> {
    let allowed = visitor.session.person().may_act();
    allowed
        .then_some(())
        .ok_or(Failure::NotAllowed("Viewers look at sagas; acting on them takes the role of an operator."))
}

async fn show(
    app: &App,
    visitor: &Visitor,
    id: &str,
    act: &str,
    mut fields: Fields,
    planned: bool,
) -> Result<Response, Failure> {
    may_act(visitor)?;
    let (door, session) = (&app.door, &visitor.session);
    let words = acts::words(act).ok_or_else(|| Failure::Wrong(format!("`{act}` is no act")))?;
    let (view, why) = (path(id, ""), path(id, "/explanation"));
    let why: Explanation = door.get(session, &why, &[]).await?;
    // A saga in quarantine may not be read; it can still be released and given up.
    let saga = door.get::<SagaView>(session, &view, &[]).await.map_or_else(
        |_| names::shortened(id),
        |view| format!("{} {}", names::title(&view.summary.name), names::shortened(&view.summary.business_key)),
    );
    let (steps, signals) = (acts::steps_of(&why, act), acts::signals(&why));
    if matches!(act, "skip" | "edit") && fields.step.is_empty() {
        fields.step = steps.first().cloned().unwrap_or_default();
    }
    if act == "signal" && fields.signal.is_empty() {
        fields.signal = signals.first().cloned().unwrap_or_default();
    }
    let source = source(app, visitor, id, act, &fields).await;
    let (mut plan, mut wrong) = (None, None);
    if planned && !is_unplanned(act) {
        match action(act, &fields, &source) {
            Ok(action) => plan = Some(plan::plan(&door.post::<PlanView>(session, &path(id, "/plan"), &action).await?)),
            Err(words) => wrong = Some(words),
        }
    }
    page(&ActPage {
        frame: visitor.frame(words),
        id: why.saga_id.to_string(),
        saga,
        act: act.to_owned(),
        words,
        steps,
        versions: acts::versions(&why),
        signals,
        inputs: if fields.as_json() { Vec::new() } else { source.inputs(&fields.given) },
        has_form: !matches!(source, Source::Json),
        fields,
        request_id: kit::ids::request_id(),
        wrong,
        plan,
    })
}

/// The source of the form of an act's document: what the definition says of a reply or a payload, or the command as it would
/// be sent. Where neither is known, the document is written as JSON.
async fn source(app: &App, visitor: &Visitor, id: &str, act: &str, fields: &Fields) -> Source {
    let (door, session) = (&app.door, &visitor.session);
    let found = match act {
        "edit" => {
            let below = format!("/steps/{}/command", words_only(&fields.step));
            let command = door.get::<CommandView>(session, &path(id, &below), &[]).await;
            command.ok().map(|command| Source::Command(command.payload))
        }
        "skip" | "signal" => answer(app, visitor, id, act, fields).await.map(Source::Type),
        _ => None,
    };
    found.unwrap_or(Source::Json)
}

/// The fields of the answer that a step waits for.
async fn answer(app: &App, visitor: &Visitor, id: &str, act: &str, fields: &Fields) -> Option<Vec<FieldShape>> {
    let (door, session) = (&app.door, &visitor.session);
    let (saga, definitions) = (path(id, ""), "/definitions");
    let saga = door.get::<SagaView>(session, &saga, &[]).await.ok()?;
    let definitions = door.get::<Definitions>(session, definitions, &[]).await.ok()?;
    let of_saga = |one: &DefinitionView| one.name == saga.summary.name && one.version == saga.summary.version;
    let steps = definitions.items.into_iter().find(of_saga)?.steps;
    let awaited = |step: &StepShape| match &step.work {
        StepWork::Signal { signal } => act == "signal" && signal.to_string() == fields.signal,
        StepWork::Command { .. } | StepWork::Child { .. } | StepWork::Timer {} => false,
    };
    let step = steps.into_iter().find(|step| step.name.as_str() == fields.step || awaited(step))?;
    if saga.cause.is_some() { step.undo_answer } else { step.answer }
}

/// The document of an act, by its fields or as JSON.
fn written(source: &Source, fields: &Fields, json: &str, what: &str) -> Result<Value, String> {
    let as_json = fields.as_json() || matches!(source, Source::Json);
    if as_json { document(json, what) } else { source.read(&fields.given) }
}

/// The action that the fields describe, read as the interface would read it.
fn action(act: &str, fields: &Fields, source: &Source) -> Result<Action, String> {
    let mut body = json!({ "action": act });
    let given = |text: &str| !text.trim().is_empty();
    let mut put = |name: &str, value: Value| body[name] = value;
    if given(&fields.step) {
        put("step", json!(fields.step.trim()));
    }
    match act {
        "skip" => {
            put("reply", written(source, fields, &fields.reply, "reply")?);
            if given(&fields.force) {
                put("force", json!(true));
            }
        }
        "edit" => put("patch", written(source, fields, &fields.patch, "change")?),
        "resolve" => put("evidence", json!(fields.evidence.trim())),
        "reschedule_timer" => put("at", json!(fields.at.trim())),
        "migrate" => put("version", json!(fields.version.trim().parse::<u32>().map_err(|_| "Choose a version.")?)),
        "pause" => {
            put("clock", json!(if given(&fields.clock) { &fields.clock } else { "freeze" }));
            put("holds", json!(if given(&fields.holds) { &fields.holds } else { "keep" }));
        }
        _ => {}
    }
    serde_json::from_value(body).map_err(|error| format!("The fields do not fit: {error}."))
}

fn document(text: &str, what: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("The {what} is not JSON: {error}."))
}

/// A name as it may stand in an address.
fn words_only(name: &str) -> String {
    name.chars().filter(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_the_action_and_wrong_ones_are_named() {
        let fields = Fields { step: " hold-seats ".to_owned(), reply: "{\"a\": 1}".to_owned(), ..Fields::default() };
        let skipped = action("skip", &fields, &Source::Json).unwrap();
        assert_eq!(
            serde_json::to_value(&skipped).unwrap(),
            json!({"action": "skip", "step": "hold-seats", "reply": {"a": 1}})
        );
        assert_eq!(action("cancel", &Fields::default(), &Source::Json).unwrap(), Action::Cancel {});
        assert!(action("cancel", &fields, &Source::Json).is_err(), "a cancel is of the whole saga");
        let broken = Fields { reply: "{".to_owned(), ..fields };
        assert!(action("skip", &broken, &Source::Json).unwrap_err().contains("not JSON"));
        assert!(action("destroy", &Fields::default(), &Source::Json).is_err());
    }
}

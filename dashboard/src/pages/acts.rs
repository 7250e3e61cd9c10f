//! The page of an act on a saga: its fields, its plan, then the reason and one button. Nothing is sent before the plan was
//! shown, and a saga that has gone on since refuses the act.

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    response::{IntoResponse as _, Redirect, Response},
};
use chrono::{DateTime, Utc};
use contract::{
    RequestId,
    orchestrator_api::{
        CommandView, DefinitionView, Definitions, Explanation, FieldShape, PlanView, SagaView, SignalEffect,
        StandstillReason, StepShape, StepWork,
    },
    saga::Action,
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};

use super::{mistakes::mistake, page, path, plain};
use crate::{
    app::App,
    door::DoorError,
    failure::Failure,
    frame::Frame,
    view::{
        acts,
        form::{Given, Input, Mistake, Source, Wrong},
        names,
        plan::{self, Plan},
        prose,
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
    versions: Vec<String>,
    signals: Vec<String>,
    inputs: Vec<Input>,
    /// True where the document can be given by fields too.
    has_form: bool,
    fields: Fields,
    /// Names the request: sent twice, it takes effect once.
    request_id: RequestId,
    wrong: Mistake,
    plan: Option<Plan>,
    /// True for an act without a plan.
    unplanned: bool,
}

impl ActPage {
    /// True for a reason that was given, and has no input as long as nothing can be done.
    fn keeps_reason(&self) -> bool {
        let can_be_done = self.unplanned || self.plan.as_ref().is_some_and(|plan| plan.refused.is_none());
        !self.fields.reason.is_empty() && !can_be_done
    }
}

/// The inputs that have a place for the words of a mistake, beside those of a document.
const INPUTS: [&str; 7] = ["reason", "reply", "patch", "payload", "evidence", "at", "version"];

/// A reason why an act was not done.
enum Undone {
    /// The form says something that cannot be: it is shown again as it was filled in.
    Wrong(Wrong),
    Failed(Failure),
}

impl From<DoorError> for Undone {
    fn from(error: DoorError) -> Self {
        mistake(error, &INPUTS, &[]).map_or_else(|error| Self::Failed(error.into()), Self::Wrong)
    }
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
        || (act == "migrate" && !fields.version.is_empty())
}

/// True for what is no action on the journal's head, and has no plan.
fn is_unplanned(act: &str) -> bool {
    matches!(act, "release" | "signal")
}

/// True for the giving up of a saga that cannot be read: nothing can be planned on it.
fn is_unread(why: &Explanation, act: &str) -> bool {
    act == "abandon" && why.reasons.iter().any(|reason| matches!(reason, StandstillReason::Quarantined { .. }))
}

pub(crate) async fn ask(
    State(app): State<App>,
    visitor: Visitor,
    Path((id, act)): Path<(String, String)>,
    Query(fields): Query<Fields>,
) -> Result<Response, Failure> {
    let planned = is_plain(&act, &fields);
    show(&app, &visitor, &id, &act, fields, planned, None).await
}

pub(crate) async fn act(
    State(app): State<App>,
    visitor: Visitor,
    Path((id, act)): Path<(String, String)>,
    Form(fields): Form<Fields>,
) -> Result<Response, Failure> {
    if fields.go != "do" {
        return show(&app, &visitor, &id, &act, fields, true, None).await;
    }
    may_act(&visitor)?;
    match carry_out(&app, &visitor, &id, &act, &fields).await {
        Ok(()) => Ok(Redirect::to(&format!("/ops/sagas/{}?tab=audit", plain(&id))).into_response()),
        Err(Undone::Wrong(wrong)) => show(&app, &visitor, &id, &act, fields, true, Some(wrong)).await,
        Err(Undone::Failed(failure)) => Err(failure),
    }
}

async fn carry_out(app: &App, visitor: &Visitor, id: &str, act: &str, fields: &Fields) -> Result<(), Undone> {
    let (door, session) = (&app.door, &visitor.session);
    let source = source(app, visitor, id, act, fields).await;
    match act {
        "release" => {
            let body = json!({ "reason": fields.reason });
            let released = path(id, "/release").replacen("/sagas/", "/quarantine/", 1);
            door.post::<IgnoredAny>(session, &released, &body).await?;
        }
        "signal" => {
            let payload = written(&source, fields, &fields.payload, "payload").map_err(Undone::Wrong)?;
            let below = format!("/signals/{}", words_only(&fields.signal));
            let body = json!({ "id": fields.request_id, "payload": payload });
            door.post::<SignalEffect>(session, &path(id, &below), &body).await?;
        }
        act => {
            let action = action(act, fields, &source).map_err(Undone::Wrong)?;
            let unreadable = |words: String| Undone::Wrong(Wrong::at("", words));
            let mut body = serde_json::to_value(&action).map_err(|error| unreadable(error.to_string()))?;
            body["reason"] = json!(fields.reason);
            body["request_id"] = json!(fields.request_id);
            // A pause sends nothing, whatever the saga has come to: one that tries again and again would have gone on each time. What is
            // given up unread has no plan.
            if act != "pause" && !(act == "abandon" && fields.if_head.is_empty()) {
                let head: u64 =
                    fields.if_head.parse().map_err(|_| unreadable("The plan's record is missing.".to_owned()))?;
                body["if_head"] = json!(head);
            }
            door.post::<IgnoredAny>(session, &path(id, "/actions"), &body).await?;
        }
    }
    Ok(())
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
    mut wrong: Option<Wrong>,
) -> Result<Response, Failure> {
    may_act(visitor)?;
    let (door, session) = (&app.door, &visitor.session);
    let words = acts::words(act).ok_or_else(|| Failure::Wrong(format!("`{act}` is no act")))?;
    let (view, why) = (path(id, ""), path(id, "/explanation"));
    let why: Explanation = door.get(session, &why, &[]).await?;
    // A saga in quarantine may not be read; it can still be released and given up.
    let view = door.get::<SagaView>(session, &view, &[]).await.ok();
    let saga = view.as_ref().map_or_else(
        || names::shortened(id),
        |view| format!("{} {}", names::title(&view.summary.name), names::shortened(&view.summary.business_key)),
    );
    let versions = match view.filter(|_| act == "migrate") {
        Some(view) => other_versions(&door.get(session, "/definitions", &[]).await?, &view),
        None => Vec::new(),
    };
    let (steps, signals) = (acts::steps_of(&why, act), acts::signals(&why));
    if matches!(act, "skip" | "edit") && fields.step.is_empty() {
        fields.step = steps.first().cloned().unwrap_or_default();
    }
    if act == "signal" && fields.signal.is_empty() {
        fields.signal = signals.first().cloned().unwrap_or_default();
    }
    let source = source(app, visitor, id, act, &fields).await;
    let inputs = if fields.as_json() { Vec::new() } else { source.inputs(&fields.given) };
    let mut plan = None;
    let unplanned = is_unplanned(act) || is_unread(&why, act);
    if planned && !unplanned {
        match planned_act(app, visitor, id, act, &fields, &source).await {
            Ok(found) => plan = Some(found),
            Err(Undone::Wrong(found)) => wrong = wrong.or(Some(found)),
            Err(Undone::Failed(failure)) => return Err(failure),
        }
    }
    // A document that is refused says at which of its places.
    wrong = match (wrong, plan.as_ref().and_then(|plan| plan.refused.as_deref())) {
        (None, Some(refused)) => Some(Wrong::placed(refused, &inputs)).filter(|wrong| !wrong.input.is_empty()),
        (Some(Wrong { input, words }), _) if !inputs.is_empty() && is_document(&input) => {
            Some(Wrong::placed(&words, &inputs))
        }
        (wrong, _) => wrong,
    };
    page(&ActPage {
        frame: visitor.frame(words),
        id: why.saga_id.to_string(),
        saga,
        act: act.to_owned(),
        words,
        steps,
        versions,
        signals,
        inputs,
        has_form: !matches!(source, Source::Json),
        fields,
        request_id: kit::ids::request_id(),
        wrong: Mistake(wrong),
        plan,
        unplanned,
    })
}

/// The other versions of a saga's definition, the newest first. One that could not take the saga over says why in its plan.
fn other_versions(definitions: &Definitions, saga: &SagaView) -> Vec<String> {
    let others = definitions.items.iter().filter(|one| one.name == saga.summary.name);
    let others = others.map(|one| one.version).filter(|version| *version != saga.summary.version);
    others.rev().map(|version| version.to_string()).collect()
}

/// True for the name of a whole document in a request, which its form has an input for each part of.
fn is_document(input: &str) -> bool {
    matches!(input, "reply" | "patch" | "payload")
}

async fn planned_act(
    app: &App,
    visitor: &Visitor,
    id: &str,
    act: &str,
    fields: &Fields,
    source: &Source,
) -> Result<Plan, Undone> {
    let action = action(act, fields, source).map_err(Undone::Wrong)?;
    let view: PlanView = app.door.post(&visitor.session, &path(id, "/plan"), &action).await?;
    Ok(plan::plan(&view))
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

/// The document of an act, by its fields or as JSON in the input `name`.
fn written(source: &Source, fields: &Fields, json: &str, name: &str) -> Result<Value, Wrong> {
    let as_json = fields.as_json() || matches!(source, Source::Json);
    if !as_json {
        return source.read(&fields.given);
    }
    serde_json::from_str(json).map_err(|error| Wrong::at(name, format!("This is not JSON: {error}.")))
}

/// The action that the fields describe, read as the interface would read it.
fn action(act: &str, fields: &Fields, source: &Source) -> Result<Action, Wrong> {
    let mut body = json!({ "action": act });
    let given = |text: &str| !text.trim().is_empty();
    let mut put = |name: &str, value: Value| body[name] = value;
    if given(&fields.step) {
        put("step", json!(fields.step.trim()));
    }
    // The one input whose text the interface may not be able to read.
    let mut free = "";
    match act {
        "skip" => {
            put("reply", written(source, fields, &fields.reply, "reply")?);
            if given(&fields.force) {
                put("force", json!(true));
            }
        }
        "edit" => put("patch", written(source, fields, &fields.patch, "patch")?),
        "resolve" => {
            free = "evidence";
            put("evidence", json!(fields.evidence.trim()));
        }
        "reschedule_timer" => {
            let at: DateTime<Utc> = fields.at.trim().parse().map_err(|_| {
                Wrong::at("at", format!("`{}` is no time: write it as 2027-01-15T08:00:00Z.", fields.at.trim()))
            })?;
            put("at", json!(at));
        }
        "migrate" => {
            let version: u32 = fields.version.trim().parse().map_err(|_| Wrong::at("version", "Choose a version."))?;
            put("version", json!(version));
        }
        "pause" => {
            put("clock", json!(if given(&fields.clock) { &fields.clock } else { "freeze" }));
            put("holds", json!(if given(&fields.holds) { &fields.holds } else { "keep" }));
        }
        _ => {}
    }
    serde_json::from_value(body).map_err(|error| Wrong::at(free, format!("This does not fit: {error}.")))
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
        let wrong = action("skip", &broken, &Source::Json).unwrap_err();
        assert!(wrong.input == "reply" && wrong.words.contains("not JSON"), "{wrong:?}");
        assert!(action("destroy", &Fields::default(), &Source::Json).is_err());
        let wrong = |act: &str, fields: Fields| action(act, &fields, &Source::Json).unwrap_err().input;
        let step = || "hold-seats".to_owned();
        assert_eq!(
            wrong("reschedule_timer", Fields { step: step(), at: "noon".to_owned(), ..Fields::default() }),
            "at"
        );
        let short = Fields { step: step(), evidence: "done".to_owned(), ..Fields::default() };
        assert_eq!(wrong("resolve", short), "evidence");
    }
}

//! A new job: the sagas that it would have are shown first, in groups; then its pace, and the sagas that go first.

use std::str::FromStr;

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    response::{IntoResponse as _, Redirect, Response},
};
use chrono::{DateTime, Utc};
use contract::{
    RequestId,
    orchestrator_api::{
        JOB_PACE_DEFAULT, JOB_PACE_MAX, JOB_SAGAS_MAX, JobPreview, SAGA_IDS_MAX, SagaFilter, SagaQuery,
    },
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{jobs::Made, mistakes::mistake, page};
use crate::{
    app::App,
    door::DoorError,
    failure::Failure,
    frame::Frame,
    view::{
        form::{Mistake, Wrong},
        marks::{self, Mark},
        names,
    },
    visitor::Visitor,
};

/// The acts that a job can do without looking at each saga.
const ACTS: [&str; 6] = ["retry", "cancel", "pause", "resume", "migrate", "abandon"];

/// The form of a new job.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct NewJob {
    act: String,
    q: String,
    /// The selected sagas, with commas between; the query counts only without any.
    ids: String,
    /// The version that takes the sagas over; of a migration only.
    version: String,
    pace: String,
    canary: String,
    reason: String,
    request_id: String,
    /// True once the form was sent, also without a word in it.
    #[serde(skip)]
    asked: bool,
}

impl NewJob {
    /// A selection comes as a parameter for each saga, and goes on as one text.
    fn read(pairs: Vec<(String, String)>) -> Self {
        let mut asked = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                "act" => asked.act = value,
                "q" => (asked.q, asked.asked) = (value, true),
                "version" => asked.version = value,
                "id" | "ids" if asked.ids.is_empty() => asked.ids = value,
                "id" | "ids" => asked.ids = format!("{},{value}", asked.ids),
                _ => {}
            }
        }
        asked
    }

    /// The number of the selected sagas.
    fn selected(&self) -> usize {
        self.ids.split(',').filter(|id| !id.is_empty()).count()
    }

    fn filter(&self, now: DateTime<Utc>) -> Result<SagaFilter, Wrong> {
        if self.selected() == 0 {
            let query = SagaQuery::read(&self.q, now).and_then(SagaQuery::into_filter);
            let filter = query.map_err(|wrong| Wrong::at("q", wrong.to_string()))?;
            let chooses = filter != SagaFilter::default();
            return chooses
                .then_some(filter)
                .ok_or_else(|| Wrong::at("q", "Say which sagas: without a term it would be every open one."));
        }
        if self.selected() > SAGA_IDS_MAX {
            return Err(Wrong::at("", format!("More than {SAGA_IDS_MAX} sagas are selected: take a query.")));
        }
        let ids = self.ids.split(',').filter(|id| !id.is_empty());
        let ids = ids.map(|id| id.parse().map_err(|error| Wrong::at("", format!("{error}"))));
        Ok(SagaFilter { ids: ids.collect::<Result<_, _>>()?, ..SagaFilter::default() })
    }

    /// The request for the job.
    fn body(&self, now: DateTime<Utc>) -> Result<Value, Wrong> {
        let act = ACTS.into_iter().find(|act| *act == self.act);
        let act = act.ok_or_else(|| Wrong::at("", "A job does no such act."))?;
        let mut body = json!({
            "action": act, "filter": self.filter(now)?, "reason": self.reason, "request_id": self.request_id,
        });
        if act == "migrate" {
            let version = number::<u32>(&self.version, "version")?;
            let version = version.ok_or_else(|| Wrong::at("version", "Say which version takes them over."))?;
            body["version"] = json!(version);
        }
        if let Some(pace) = number::<u16>(&self.pace, "pace")? {
            body["pace"] = json!(pace);
        }
        if let Some(sagas) = number::<u32>(&self.canary, "canary")? {
            body["canary"] = json!({ "sagas": sagas });
        }
        Ok(body)
    }
}

/// The number in an input; none of an empty one.
fn number<N: FromStr>(text: &str, input: &str) -> Result<Option<N>, Wrong> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| Wrong::at(input, format!("`{text}` is no number that it could be.")))
}

/// The mistake in the form that a refusal is about. The filter of a job is the query of its form.
fn wrong_of(error: DoorError) -> Result<Wrong, DoorError> {
    let Wrong { input, words } = mistake(error, &["filter", "pace", "canary", "version", "reason"], &[])?;
    Ok(Wrong { input: if input == "filter" { "q".to_owned() } else { input }, words })
}

#[derive(Template)]
#[template(path = "new_job.html")]
struct NewJobPage {
    frame: Frame,
    acts: Vec<(&'static str, bool)>,
    asked: NewJob,
    selected: usize,
    words: String,
    request_id: RequestId,
    wrong: Mistake,
    preview: Option<Preview>,
    pace_max: u16,
}

/// The sagas that the job would have.
struct Preview {
    sagas: u32,
    too_many: bool,
    groups: Vec<PreviewGroup>,
}

/// Sagas of a preview that stand alike.
struct PreviewGroup {
    name: String,
    version: u32,
    mark: Mark,
    error: String,
    sagas: u32,
}

/// The address of the page that makes a job.
pub(super) fn address(act: &str, query: &str) -> String {
    address_of(&[("act", act), ("q", query)])
}

/// The same for a job that hands sagas over to a version of their definition.
pub(super) fn address_of_migration(version: u32, query: &str) -> String {
    address_of(&[("act", "migrate"), ("version", &version.to_string()), ("q", query)])
}

fn address_of(pairs: &[(&str, &str)]) -> String {
    format!("/ops/jobs/new?{}", form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish())
}

/// The page of a new job: its sagas are shown before it can be made.
pub(crate) async fn ask(
    State(app): State<App>,
    visitor: Visitor,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    let asked = NewJob { pace: JOB_PACE_DEFAULT.to_string(), ..NewJob::read(pairs) };
    show(&app, &visitor, asked, None).await
}

async fn show(app: &App, visitor: &Visitor, asked: NewJob, mut wrong: Option<Wrong>) -> Result<Response, Failure> {
    let mut preview = None;
    if asked.asked || asked.selected() > 0 {
        match asked.filter(visitor.now) {
            Ok(filter) => {
                let body = json!({ "filter": filter });
                preview = Some(previewed(&app.door.post(&visitor.session, "/jobs/preview", &body).await?));
            }
            Err(found) => wrong = Some(found),
        }
    }
    let mut frame = visitor.frame_at("New job", address(&asked.act, &asked.q));
    frame.query.clone_from(&asked.q);
    page(&NewJobPage {
        frame,
        acts: ACTS.map(|act| (act, act == asked.act)).into(),
        words: names::title(&asked.act),
        selected: asked.selected(),
        asked,
        request_id: kit::ids::request_id(),
        wrong: Mistake(wrong),
        preview,
        pace_max: JOB_PACE_MAX,
    })
}

fn previewed(preview: &JobPreview) -> Preview {
    let group = |group: &contract::orchestrator_api::JobGroup| PreviewGroup {
        name: names::title(&group.name),
        version: group.version,
        mark: marks::of_saga(group.status),
        error: group.code.clone().unwrap_or_default(),
        sagas: group.sagas,
    };
    let too_many = preview.sagas > JOB_SAGAS_MAX;
    Preview { sagas: preview.sagas, too_many, groups: preview.groups.iter().map(group).collect() }
}

/// Makes the job.
pub(crate) async fn create(
    State(app): State<App>,
    visitor: Visitor,
    Form(asked): Form<NewJob>,
) -> Result<Response, Failure> {
    let asked = NewJob { asked: true, ..asked };
    let body = match asked.body(visitor.now) {
        Ok(body) => body,
        Err(wrong) => return show(&app, &visitor, asked, Some(wrong)).await,
    };
    match app.door.post::<Made>(&visitor.session, "/jobs", &body).await {
        Ok(made) => Ok(Redirect::to(&made.address()).into_response()),
        Err(error) => show(&app, &visitor, asked, Some(wrong_of(error)?)).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&str, &str)]) -> NewJob {
        NewJob::read(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn a_job_is_about_the_selected_sagas_or_else_about_all_that_the_query_finds() {
        let now = DateTime::UNIX_EPOCH;
        let id = |number: u128| format!("saga_{number:032x}");
        let selected = asked(&[("q", "paused"), ("id", &id(1)), ("id", &id(2)), ("ids", &id(3))]);
        let filter = selected.filter(now).unwrap();
        assert_eq!((selected.selected(), filter.ids.len(), filter.paused), (3, 3, false));
        assert!(asked(&[("q", "paused")]).filter(now).unwrap().paused);
        assert!(asked(&[("id", "ord_7")]).filter(now).is_err());
        assert!(asked(&[("q", "sort:holds")]).filter(now).is_err());
        assert_eq!(asked(&[("q", " ")]).filter(now).unwrap_err().input, "q");
        let many: Vec<String> = (0..=SAGA_IDS_MAX).map(|_| id(1)).collect();
        assert!(asked(&[("ids", &many.join(","))]).filter(now).is_err());
    }

    #[test]
    fn a_number_that_is_none_is_told_at_its_input_and_not_left_out() {
        let now = DateTime::UNIX_EPOCH;
        let with = |pace: &str, canary: &str| NewJob {
            act: "retry".to_owned(),
            q: "paused".to_owned(),
            pace: pace.to_owned(),
            canary: canary.to_owned(),
            ..NewJob::default()
        };
        let body = with("5", "").body(now).unwrap();
        assert_eq!((&body["pace"], &body["canary"]), (&json!(5), &Value::Null));
        assert_eq!(with("", "2").body(now).unwrap()["canary"], json!({ "sagas": 2 }));
        assert_eq!(with("fast", "").body(now).unwrap_err().input, "pace");
        assert_eq!(with("5", "-1").body(now).unwrap_err().input, "canary");
    }

    #[test]
    fn a_migration_says_to_which_version_and_no_other_act_does() {
        let of = |act: &str, version: &str| {
            let (act, q, version) = (act.to_owned(), "name:order".to_owned(), version.to_owned());
            NewJob { act, q, version, ..NewJob::default() }.body(DateTime::UNIX_EPOCH)
        };
        assert_eq!(of("migrate", "2").unwrap()["version"], json!(2));
        assert_eq!(of("retry", "2").unwrap()["version"], Value::Null);
        assert_eq!(of("migrate", "").unwrap_err().input, "version");
        assert_eq!(of("migrate", "newest").unwrap_err().input, "version");
    }
}

//! A new job: the sagas that it would have are shown first, in groups; then its pace, and the sagas that go first.

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
use serde_json::json;

use super::{jobs::Made, page};
use crate::{
    app::App,
    failure::Failure,
    frame::Frame,
    view::{
        marks::{self, Mark},
        names,
    },
    visitor::Visitor,
};

/// The acts that a job can do without looking at each saga.
const ACTS: [&str; 5] = ["retry", "cancel", "pause", "resume", "abandon"];

/// The form of a new job.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct NewJob {
    act: String,
    q: String,
    /// The selected sagas, with commas between; the query counts only without any.
    ids: String,
    pace: String,
    canary: String,
    reason: String,
    request_id: String,
}

impl NewJob {
    /// A selection comes as a parameter for each saga, and goes on as one text.
    fn read(pairs: Vec<(String, String)>) -> Self {
        let mut asked = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                "act" => asked.act = value,
                "q" => asked.q = value,
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

    fn filter(&self, now: DateTime<Utc>) -> Result<SagaFilter, String> {
        if self.selected() == 0 {
            let query = SagaQuery::read(&self.q, now).and_then(SagaQuery::into_filter);
            return query.map_err(|wrong| wrong.to_string());
        }
        if self.selected() > SAGA_IDS_MAX {
            return Err(format!("More than {SAGA_IDS_MAX} sagas are selected: take a query."));
        }
        let ids =
            self.ids.split(',').filter(|id| !id.is_empty()).map(|id| id.parse().map_err(|error| format!("{error}")));
        Ok(SagaFilter { ids: ids.collect::<Result<_, _>>()?, ..SagaFilter::default() })
    }
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
    wrong: Option<String>,
    preview: Option<Preview>,
    pace_default: u16,
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
    let pairs = [("act", act), ("q", query)];
    format!("/ops/jobs/new?{}", form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish())
}

/// The page of a new job: its sagas are shown before it can be made.
pub(crate) async fn ask(
    State(app): State<App>,
    visitor: Visitor,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    let asked = NewJob::read(pairs);
    let (mut preview, mut wrong) = (None, None);
    if !asked.q.trim().is_empty() || asked.selected() > 0 {
        match asked.filter(visitor.now) {
            Ok(filter) => {
                let body = json!({ "filter": filter });
                preview = Some(previewed(&app.door.post(&visitor.session, "/jobs/preview", &body).await?));
            }
            Err(words) => wrong = Some(words),
        }
    }
    let mut frame = visitor.frame("New job");
    frame.query.clone_from(&asked.q);
    page(&NewJobPage {
        frame,
        acts: ACTS.map(|act| (act, act == asked.act)).into(),
        words: names::title(&asked.act),
        selected: asked.selected(),
        asked,
        request_id: kit::ids::request_id(),
        wrong,
        preview,
        pace_default: JOB_PACE_DEFAULT,
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
    let act = ACTS.into_iter().find(|act| *act == asked.act).ok_or_else(|| Failure::Wrong("no such act".to_owned()))?;
    let filter = asked.filter(visitor.now).map_err(Failure::Wrong)?;
    let mut body = json!({ "action": act, "filter": filter, "reason": asked.reason, "request_id": asked.request_id });
    if let Ok(pace) = asked.pace.trim().parse::<u16>() {
        body["pace"] = json!(pace);
    }
    if let Ok(canary) = asked.canary.trim().parse::<u32>() {
        body["canary"] = json!({ "sagas": canary });
    }
    let made: Made = app.door.post(&visitor.session, "/jobs", &body).await?;
    Ok(Redirect::to(&made.address()).into_response())
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
        let many: Vec<String> = (0..=SAGA_IDS_MAX).map(|_| id(1)).collect();
        assert!(asked(&[("ids", &many.join(","))]).filter(now).is_err());
    }
}

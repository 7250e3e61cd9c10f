//! A small door: answers like the gateway's `/ops/api` for the sagas it is given, and remembers what it was asked.

mod bulk;
mod people;
mod scripted;

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use contract::{
    Op, Page, PageToken, SagaId, StepName,
    command::{Refusal, Route},
    orchestrator_api::{
        ActionRequest, AuditBreak, AuditFact, AuditHead, AuditRecord, AuditVerification, DeadLetterView,
        DefinitionFinding, DefinitionView, Definitions, Explanation, LeftEffect, MigrationView, PlanView,
        PlannedCommand, PlannedTotal, PlannedWhen, Plans, PlansRequest, RecordView, SagaSummary, SagaView,
        SignalEffect, SignalRequest, StepShape, StepView, StepWork, Unplanned,
    },
    problem::{CONTENT_TYPE, FieldError, Problem, TYPE_BASE},
    saga::{Cause, SagaStatus, StepKind, StepStatus},
    user::{Login, Refresh},
};
use serde_json::json;

pub(crate) use self::bulk::JOB;

/// The token that the door accepts at first.
pub(crate) const TOKEN: &str = "operator-token";

/// The answers that the door gives and the calls that it has seen.
#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) sagas: BTreeMap<SagaId, SagaView>,
    pub(crate) letters: Vec<DeadLetterView>,
    /// By method and path, what is answered in place of the door's own answers.
    pub(crate) scripts: HashMap<String, Vec<scripted::Answer>>,
    /// The row at which the audit log is broken.
    pub(crate) broken_at: Option<u64>,
    /// The access token that works now.
    pub(crate) token: String,
    /// The refresh token that works now.
    pub(crate) refresh: String,
    /// Method, path and query, and body of every call.
    pub(crate) seen: Vec<(String, String)>,
    /// For each saga, what its live connections say, one after the other; the last one stays.
    pub(crate) streams: HashMap<SagaId, Vec<String>>,
    /// The `Last-Event-ID` of every live connection.
    pub(crate) resumed_after: Vec<Option<String>>,
}

/// A running door.
#[derive(Clone)]
pub(crate) struct Door {
    inner: Arc<Mutex<Inner>>,
    address: SocketAddr,
}

impl Door {
    pub(crate) async fn open() -> Self {
        let inner = Inner { token: TOKEN.to_owned(), refresh: "refresh-1".to_owned(), ..Inner::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let door = Self { inner: Arc::new(Mutex::new(inner)), address: listener.local_addr().unwrap() };
        let router = Router::new()
            .route("/v1/auth/login", post(login))
            .route("/v1/auth/refresh", post(refresh))
            .route("/ops/api/sagas", get(list))
            .route("/ops/api/sagas/{id}", get(show))
            .route("/ops/api/sagas/{id}/explanation", get(explanation))
            .route("/ops/api/sagas/{id}/journal", get(journal))
            .route("/ops/api/sagas/{id}/events", get(events))
            .route("/ops/api/sagas/{id}/actions", post(act))
            .route("/ops/api/plans", post(plans))
            .route("/ops/api/migrations", get(migrations))
            .route("/ops/api/errors", get(errors))
            .route("/ops/api/definitions", get(definitions))
            .route("/ops/api/audit", get(audit))
            .route("/ops/api/audit/verification", get(verification))
            .route("/ops/api/sagas/{id}/signals/{name}", post(signal))
            .route("/ops/api/dead-letters", get(letters))
            .route("/ops/api/dead-letters/{id}/redrive", post(redrive))
            .merge(bulk::routes())
            .merge(people::routes())
            .layer(middleware::from_fn_with_state(door.clone(), scripted::answer))
            .with_state(door.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        door
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub(crate) fn add(&self, view: SagaView) -> SagaId {
        let id = view.summary.id;
        self.inner().sagas.insert(id, view);
        id
    }

    /// The calls so far, as `METHOD path?query` and body.
    pub(crate) fn seen(&self) -> Vec<(String, String)> {
        self.inner().seen.clone()
    }

    fn saw(&self, what: String, body: String, headers: &HeaderMap) -> Result<(), Response> {
        let mut inner = self.inner();
        inner.seen.push((what, body));
        let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if sent == Some(&format!("Bearer {}", inner.token)) {
            Ok(())
        } else {
            Err(problem(StatusCode::UNAUTHORIZED, "token_invalid", "The token is not valid."))
        }
    }
}

pub(crate) fn saga_id(number: u128) -> SagaId {
    SagaId::from_uuid(uuid::Uuid::from_u128(0x0192_f0c1_a2b3_7c4d_8e5f_0000_0000_0000 + number))
}

/// A saga in the middle of being undone, with something of everything.
pub(crate) fn view(number: u128, status: SagaStatus) -> SagaView {
    let step = |name: &str, kind, after: &[&str], status| StepView {
        name: name.parse().unwrap(),
        kind,
        work: StepWork::Command { route: Route::Order, command: format!("order.{name}") },
        compensation: None,
        extension: None,
        after: after.iter().map(|name| name.parse().unwrap()).collect(),
        status,
        attempts: 1,
        retry_at: None,
        wake_at: None,
        valid_until: None,
        retrying_since: None,
        error: None,
        reply: None,
        child: None,
        skipped: false,
        edited: Vec::new(),
        resolved: None,
    };
    let refused = Cause {
        step: Some("authorize-payment".parse::<StepName>().unwrap()),
        code: "card_declined".into(),
        message: "The issuer\u{1b}[31m said no.".into(),
        refused: true,
    };
    let mut rooms = step("hold-rooms", StepKind::Compensatable, &["create-order"], StepStatus::Compensating);
    rooms.attempts = 3;
    rooms.retry_at = Some("2026-12-01T08:00:05Z".parse().unwrap());
    rooms.error =
        Some(Cause { step: None, code: "dependency_failed".into(), message: "database away".into(), refused: false });
    let mut payment =
        step("authorize-payment", StepKind::Compensatable, &["hold-seats", "hold-rooms"], StepStatus::Refused);
    payment.error = Some(refused.clone());
    let mut notify = step("notify", StepKind::Retriable, &["confirm-seats"], StepStatus::Pending);
    notify.skipped = true;
    SagaView {
        summary: SagaSummary {
            id: saga_id(number),
            name: "order".into(),
            version: 1,
            status,
            business_key: format!("ord_{number:032x}"),
            owner: Some(format!("usr_{number:032x}")),
            attributes: "departs_on:2026-12-24".parse().unwrap(),
            parent: None,
            parent_step: None,
            error: Some("authorize-payment/card_declined".into()),
            paused: false,
            created_at: "2026-12-01T08:00:00Z".parse().unwrap(),
            updated_at: "2026-12-01T08:00:02Z".parse().unwrap(),
            finished_at: status.is_final().then(|| "2026-12-01T08:00:09Z".parse().unwrap()),
            holds_until: (status == SagaStatus::Running).then(|| "2026-12-01T08:20:00Z".parse().unwrap()),
        },
        input: json!({"order_id": format!("ord_{number:032x}")}),
        steps: vec![
            step("create-order", StepKind::Compensatable, &[], StepStatus::Done),
            step("hold-seats", StepKind::Compensatable, &["create-order"], StepStatus::Compensated),
            rooms,
            payment,
            step("confirm-seats", StepKind::Pivot, &["authorize-payment"], StepStatus::Pending),
            notify,
        ],
        cause: Some(refused),
        pause: None,
        deadline_at: Some("2026-12-01T08:15:00Z".parse().unwrap()),
        next_wake_at: None,
        signals: Vec::new(),
        dead_letters: vec![letter(7, saga_id(number))],
        head: 9,
    }
}

/// A saga that waits for a silent domain.
fn explained(saga_id: SagaId) -> Explanation {
    let explanation = json!({
        "saga_id": saga_id,
        "status": "running",
        "head": 4,
        "sentence": "Accommodation answers nothing since 2026-12-01T08:00:12Z.",
        "reasons": [{
            "reason": "domain_silent",
            "route": "accommodation",
            "since": "2026-12-01T08:00:12Z",
            "next_probe_at": "2026-12-01T08:01:00Z",
        }],
        "steps": [{
            "name": "hold-rooms",
            "op": "action",
            "route": "accommodation",
            "command": "accommodation.hold_rooms",
            "attempts": 2,
            "attempts_max": 5,
            "command_is": "confirmed",
            "sent_at": "2026-12-01T08:00:02Z",
            "reply_by": "2026-12-01T08:00:12Z",
            "error": { "code": "dependency_failed", "message": "database\u{1b}[31m away" },
        }],
        "domains": [{
            "route": "accommodation",
            "flow": {
                "window": 1,
                "under_way": 3,
                "held_sagas": 2,
                "circuit": {
                    "cause": "domain_silent",
                    "since": "2026-12-01T08:00:12Z",
                    "next_probe_at": "2026-12-01T08:01:00Z",
                },
            },
            "queue": { "messages": 3, "consumers": 0 },
        }],
        "lane": { "shard": 1, "taking_over": false, "loaded": true, "broker_takes": true },
        "deadline_at": "2026-12-01T08:15:00Z",
        "clock_stands_since": "2026-12-01T08:00:12Z",
        "possible": [
            { "act": "retry", "steps": ["hold-rooms"] },
            { "act": "skip", "step": "hold-rooms", "force": true },
            { "act": "cancel" },
            { "act": "abandon" },
        ],
    });
    serde_json::from_value(explanation).unwrap()
}

pub(crate) fn letter(id: i64, saga: SagaId) -> DeadLetterView {
    DeadLetterView {
        id,
        saga_id: Some(saga),
        command_id: None,
        op: None,
        queue: "commands.flights".into(),
        reason: "unreadable: expected value at line 1".into(),
        body: "{".into(),
        received_at: "2026-12-01T08:00:01Z".parse().unwrap(),
        redriven_at: None,
    }
}

/// One server-sent record.
pub(crate) fn record(seq: u64, status: SagaStatus, done: usize) -> (u64, RecordView) {
    let mut steps = view(1, status).steps;
    for (index, step) in steps.iter_mut().enumerate() {
        step.status = if index < done { StepStatus::Done } else { StepStatus::Pending };
        step.attempts = u16::from(index < done);
        (step.error, step.retry_at, step.skipped) = (None, None, false);
    }
    let at = format!("2026-12-01T08:00:{seq:02}Z").parse().unwrap();
    (
        seq,
        RecordView {
            seq,
            at,
            entries: vec![json!({"entry": "command_done", "step": "create-order", "op": "action", "reply": {}})],
            status,
            steps,
            cause: None,
        },
    )
}

pub(crate) fn sse(records: &[(u64, RecordView)], end: bool) -> String {
    let mut text: String = records
        .iter()
        .map(|(seq, record)| format!("id: {seq}\nevent: record\ndata: {}\n\n", serde_json::to_string(record).unwrap()))
        .collect();
    if end {
        text.push_str("event: end\ndata: {}\n\n");
    }
    text
}

fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let body = Problem {
        kind: format!("{TYPE_BASE}{code}"),
        title: code.to_owned(),
        status: status.as_u16(),
        detail: Some(detail.to_owned()),
        code: code.to_owned(),
        errors: Vec::<FieldError>::new(),
    };
    (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], serde_json::to_vec(&body).unwrap()).into_response()
}

fn tokens(access: &str, refresh: &str) -> Response {
    Json(json!({
        "access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": 900,
        "login_ends_at": "2026-12-31T08:00:00Z",
    }))
    .into_response()
}

async fn login(State(door): State<Door>, Json(login): Json<Login>) -> Response {
    if login.password != "correct horse battery" {
        return problem(StatusCode::UNAUTHORIZED, "login_failed", "E-mail or password is wrong.");
    }
    let inner = door.inner();
    tokens(&inner.token, &inner.refresh)
}

async fn refresh(State(door): State<Door>, Json(body): Json<Refresh>) -> Response {
    let mut inner = door.inner();
    inner.seen.push(("POST /v1/auth/refresh".into(), body.refresh_token.clone()));
    if body.refresh_token != inner.refresh {
        return problem(StatusCode::UNAUTHORIZED, "refresh_token_invalid", "The login has ended.");
    }
    inner.refresh = "refresh-2".into();
    tokens(&inner.token, &inner.refresh)
}

async fn list(State(door): State<Door>, Query(query): Query<BTreeMap<String, String>>, headers: HeaderMap) -> Response {
    let asked: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if let Err(response) = door.saw(format!("GET /sagas?{}", asked.join("&")), String::new(), &headers) {
        return response;
    }
    let start: usize = query.get("page_token").map_or(0, |token| token.parse().unwrap());
    // Pages of two, although more are asked for: a short page is not the end.
    let size: usize = query.get("page_size").map_or(2, |size| size.parse::<usize>().unwrap().min(2));
    let inner = door.inner();
    let items: Vec<_> = inner.sagas.values().skip(start).take(size).map(|view| view.summary.clone()).collect();
    let next = (start + items.len() < inner.sagas.len()).then(|| (start + items.len()).to_string());
    Json(Page { items, next_page_token: next.map(PageToken::from_text) }).into_response()
}

fn find(door: &Door, id: &str) -> Result<SagaView, Response> {
    let known = id.parse().ok().and_then(|id: SagaId| door.inner().sagas.get(&id).cloned());
    known.ok_or_else(|| problem(StatusCode::NOT_FOUND, "saga_unknown", "There is no such saga."))
}

async fn show(State(door): State<Door>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Response> {
    door.saw(format!("GET /sagas/{id}"), String::new(), &headers)?;
    Ok(Json(find(&door, &id)?).into_response())
}

async fn explanation(
    State(door): State<Door>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Explanation>, Response> {
    door.saw(format!("GET /sagas/{id}/explanation"), String::new(), &headers)?;
    Ok(Json(explained(find(&door, &id)?.summary.id)))
}

async fn journal(
    State(door): State<Door>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Page<RecordView>>, Response> {
    door.saw(format!("GET /sagas/{id}/journal"), String::new(), &headers)?;
    find(&door, &id)?;
    Ok(Json(Page::only(vec![record(1, SagaStatus::Running, 0).1, record(2, SagaStatus::Running, 1).1])))
}

async fn events(State(door): State<Door>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Response> {
    door.saw(format!("GET /sagas/{id}/events"), String::new(), &headers)?;
    let id = find(&door, &id)?.summary.id;
    let mut inner = door.inner();
    let last = headers.get("last-event-id").map(|value| value.to_str().unwrap().to_owned());
    inner.resumed_after.push(last);
    let scripts = inner.streams.get_mut(&id).unwrap();
    let body = if scripts.len() > 1 { scripts.remove(0) } else { scripts[0].clone() };
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], body).into_response())
}

async fn act(
    State(door): State<Door>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(request): Json<ActionRequest>,
) -> Result<Json<SagaView>, Response> {
    door.saw(format!("POST /sagas/{id}/actions"), serde_json::to_string(&request).unwrap(), &headers)?;
    let mut view = find(&door, &id)?;
    if view.summary.status.is_final() {
        return Err(problem(StatusCode::CONFLICT, "saga_is_final", "The saga has ended."));
    }
    view.summary.status = SagaStatus::Compensating;
    Ok(Json(view))
}

/// The first of two can be taken over.
async fn migrations(State(door): State<Door>) -> Json<Page<MigrationView>> {
    let obstacles = |number: usize| if number == 0 { Vec::new() } else { vec!["step `x` was begun".to_owned()] };
    let sagas = door.inner().sagas.values().map(|view| view.summary.clone()).collect::<Vec<_>>();
    let views = sagas.into_iter().enumerate();
    Json(Page::only(views.map(|(number, summary)| MigrationView { summary, obstacles: obstacles(number) }).collect()))
}

/// Plans a void that can be sent now and a release that follows it, and refuses what has ended.
async fn plans(State(door): State<Door>, headers: HeaderMap, body: String) -> Result<Json<Plans>, Response> {
    let request: PlansRequest = serde_json::from_str(&body).unwrap();
    door.saw("POST /plans".to_owned(), body, &headers)?;
    let refusal = |code: &str, message: &str| Refusal { code: code.to_owned(), message: message.to_owned() };
    let command = |round, when, step: &str, command: &str| PlannedCommand {
        round,
        when,
        retry_at: None,
        step: step.parse().unwrap(),
        op: Op::Compensation,
        command: command.to_owned(),
        route: Route::Payment,
        undone_by: None,
    };
    let mut answer = Plans { plans: Vec::new(), unplanned: Vec::new(), summary: Vec::new() };
    for saga_id in request.saga_ids {
        let Ok(view) = find(&door, &saga_id.to_string()) else {
            let refused = refusal("saga_unknown", "There is no such saga.");
            answer.unplanned.push(Unplanned { saga_id, refused });
            continue;
        };
        let (summary, head) = (view.summary, view.head);
        if summary.status.is_final() {
            let (end, refused) = (summary.status, Some(refusal("saga_finished", "The saga has ended.")));
            answer.plans.push(PlanView {
                summary,
                head,
                refused,
                approval: None,
                changes: Vec::new(),
                commands: Vec::new(),
                end,
                left: Vec::new(),
            });
            continue;
        }
        let commands = vec![
            command(0, PlannedWhen::Now, "authorize-payment", "payment.void"),
            command(1, PlannedWhen::AfterReplies, "hold-rooms", "accommodation.release_rooms"),
        ];
        let left = vec![LeftEffect { step: "create-order".parse().unwrap(), in_doubt: true, child: None }];
        let end = SagaStatus::Compensated;
        answer.plans.push(PlanView {
            summary,
            head,
            refused: None,
            approval: None,
            changes: Vec::new(),
            commands,
            end,
            left,
        });
    }
    let name = "order".to_owned();
    let (step, command) = ("authorize-payment".parse().unwrap(), "payment.void".to_owned());
    answer.summary.push(PlannedTotal { name, version: 1, step, op: Op::Compensation, command, now: 2, later: 0 });
    Ok(Json(answer))
}

async fn errors(
    State(door): State<Door>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    let asked: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    door.saw(format!("GET /errors?{}", asked.join("&")), String::new(), &headers)?;
    let group = |error: &str, last: u64| {
        let (step, code) = error.split_once('/').unwrap();
        let mut hours = vec![0; 24];
        (hours[2], hours[23]) = (1, last);
        json!({
            "name": "order", "error": error, "step": step, "code": code, "first_at": "2026-12-01T08:00:00Z",
            "last_at": "2026-12-02T08:00:00Z", "needing_attention": 1, "count": last + 1, "count_is_cut": last > 9,
            "hours": hours, "days": vec![0; 30],
        })
    };
    let items = [group("confirm-seats/reply_missing", 2), group("hold-rooms/room_sold_out", 312)];
    Ok(Json(json!({ "items": items })).into_response())
}

async fn definitions(State(door): State<Door>, headers: HeaderMap) -> Result<Json<Definitions>, Response> {
    door.saw("GET /definitions".to_owned(), String::new(), &headers)?;
    let step = |name: &str| -> StepShape {
        let shape =
            json!({ "name": name, "kind": "compensatable", "work": "signal", "signal": "approval", "after": [] });
        serde_json::from_value(shape).unwrap()
    };
    let message = "it waits for `approval` without end".to_owned();
    let finding = DefinitionFinding { rule: "wait_endless".to_owned(), step: "approval".parse().unwrap(), message };
    let definition = |name: &str, version, findings: &[DefinitionFinding]| DefinitionView {
        attributes: vec!["departs_on".to_owned()],
        name: name.to_owned(),
        version,
        fingerprint: format!("{version:064x}"),
        deadline_seconds: (version == 1).then_some(600),
        steps: vec![step("approval")],
        findings: findings.to_vec(),
    };
    let items = vec![definition("order", 1, &[]), definition("order", 2, &[finding]), definition("trip", 1, &[])];
    Ok(Json(Definitions { items }))
}

async fn audit(
    State(door): State<Door>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Result<Json<Page<AuditRecord>>, Response> {
    door.saw(format!("GET /audit {query:?}"), String::new(), &headers)?;
    let fact = AuditFact {
        at: "2026-12-01T08:00:01Z".parse().unwrap(),
        actor: "usr_1".into(),
        role: "operator".into(),
        request_id: "req_1".into(),
        act: "cancel".into(),
        target: saga_id(1).to_string(),
        reason: "because".into(),
        outcome: "pivot_passed".into(),
        answers: Some(3),
    };
    Ok(Json(Page::only(vec![AuditRecord { number: 4, fact, previous_hash: "aa".into(), hash: "bb".into() }])))
}

/// A chain of two pages, broken where the door was told so.
async fn verification(
    State(door): State<Door>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Result<Json<AuditVerification>, Response> {
    door.saw(format!("GET /audit/verification {query:?}"), String::new(), &headers)?;
    let after: u64 = query["after"].parse().unwrap();
    let broken = door.inner().broken_at.filter(|number| *number > after);
    let broken = broken.map(|number| AuditBreak { number, detail: "it was altered".into() });
    let head = AuditHead { number: 4, hash: "bb".into() };
    let begins_with = (after > 0).then(|| "bb".to_owned());
    let next_after = (after == 0 && broken.is_none()).then_some(2);
    Ok(Json(AuditVerification { begins_with, checked: 2, head, broken, next_after }))
}

async fn signal(
    State(door): State<Door>,
    Path((id, name)): Path<(String, String)>,
    headers: HeaderMap,
    Json(request): Json<SignalRequest>,
) -> Result<Json<SignalEffect>, Response> {
    door.saw(format!("POST /sagas/{id}/signals/{name}"), serde_json::to_string(&request).unwrap(), &headers)?;
    find(&door, &id)?;
    Ok(Json(SignalEffect::Woke { step: name.parse().unwrap() }))
}

async fn letters(
    State(door): State<Door>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    door.saw(format!("GET /dead-letters {query:?}"), String::new(), &headers)?;
    Ok(Json(json!({ "items": door.inner().letters })).into_response())
}

async fn redrive(
    State(door): State<Door>,
    Path(id): Path<i64>,
    headers: HeaderMap,
    body: String,
) -> Result<Json<DeadLetterView>, Response> {
    door.saw(format!("POST /dead-letters/{id}/redrive"), body, &headers)?;
    let known = door.inner().letters.iter().find(|letter| letter.id == id).cloned();
    let mut letter =
        known.ok_or_else(|| problem(StatusCode::NOT_FOUND, "dead_letter_unknown", "There is no such dead letter."))?;
    letter.redriven_at = Some("2026-12-01T09:00:00Z".parse().unwrap());
    Ok(Json(letter))
}

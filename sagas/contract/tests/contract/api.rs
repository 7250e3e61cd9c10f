//! The orchestrator's interface and the user domain's bodies.

use chrono::{DateTime, Utc};
use contract::{
    Evidence, InstanceId, Op, Page, PageToken, RequestId, Route,
    command::Refusal,
    orchestrator_api::{
        AGES_SECONDS, ActionRequest, AgeGroup, ApprovalGround, AuditBreak, AuditFact, AuditHead, AuditRecord,
        AuditRequest, AuditVerification, CircuitCause, CommandView, DeadLetterView, DomainWay, Durations, ErrorGroup,
        JournalDifference, LaneView, LeftEffect, MigrationView, OpenCircuit, OrchestratorView, PlanView,
        PlannedCommand, PlannedTotal, PlannedWhen, Plans, PlansRequest, Processes, QuarantinedSaga, QueueState,
        RecordView, RetiredState, RetiredWeek, SagaCounts, SagaGroup, SagaHold, SagaPause, SagaSince, SagaSnapshot,
        SagaStarted, SagaSummary, SagaTree, SagaView, SignalEffect, SignalRequest, SignalView, SilentShard, SpanEnd,
        Spent, StartKey, StartSaga, StepView, StepWork, Throughput, ThroughputPoint, Timeline, TimelineSpan, Unplanned,
        WorkerView,
    },
    saga::{Action, Cause, FieldChange, PauseClock, PausedHolds, SagaStatus, StepKind, StepStatus},
    user::{
        BeginSecondFactor, ChangePassword, ChangeRights, Claims, ConfirmSecondFactor, CreatePerson, EndSecondFactor,
        Login, Person, Refresh, Register, Registered, RenewRecoveryCodes, ResetCode, ResetPassword, RightsGeneration,
        Role, SecondFactor, SecondFactorOffer, SecondFactorOn, SetRole, TOKEN_AUDIENCE, TOKEN_ISSUER, Tokens,
    },
};
use serde_json::json;

use crate::{
    approvals, definitions, explanations,
    golden::{Golden, golden},
    jobs,
    logins::{self, login_id},
    pauses,
    samples::{at, attributes, order, saga, step, traceparent, user, work},
};

#[test]
fn every_body_of_the_interfaces_is_its_golden_file() {
    all().iter().for_each(Golden::check);
}

pub(crate) fn all() -> Vec<Golden> {
    sagas()
        .into_iter()
        .chain(actions())
        .chain(logins::all())
        .chain(explanations::all())
        .chain(definitions::all())
        .chain(jobs::all().into_iter().chain(pauses::all()))
        .chain(approvals::all())
        .chain(users())
        .collect()
}

fn sagas() -> Vec<Golden> {
    let page = |next: Option<&str>| Page {
        items: vec![summary(true)],
        next_page_token: next.map(|token| PageToken::from_text(token.to_owned())),
    };
    let started = SagaStarted { saga_id: saga(), business_key: order().to_string(), created: false };
    let statuses = [
        StepStatus::Pending,
        StepStatus::NotApplicable,
        StepStatus::Dispatched,
        StepStatus::Retrying,
        StepStatus::Waiting,
        StepStatus::Done,
        StepStatus::Refused,
        StepStatus::NeedsAttention,
        StepStatus::Compensating,
        StepStatus::Compensated,
    ];
    vec![
        golden("start_saga", start(true)),
        golden("start_saga.least", start(false)),
        golden("saga_started", started),
        golden("saga_statuses", SagaStatus::ALL.to_vec()),
        golden("step_statuses", statuses.to_vec()),
        golden("step_kinds", vec![StepKind::Compensatable, StepKind::Pivot, StepKind::Retriable]),
        golden("saga_page", page(Some("b2Zmc2V0"))),
        golden("saga_page.last", page(None)),
        golden("saga_view", view(true)),
        golden("saga_view.least", view(false)),
        golden("record_view", record()),
        golden("journal_page", Page::only(vec![record()])),
        golden("dead_letter", dead_letter(true)),
        golden("dead_letter.least", dead_letter(false)),
        golden("quarantined_saga", quarantined()),
        golden("plans_request", PlansRequest { action: Action::Cancel {}, saga_ids: vec![saga()] }),
        golden("plan_view", plan(true)),
        golden("plan_view.least", plan(false)),
        golden("plans", plans()),
        golden(
            "migration_view",
            MigrationView { summary: summary(false), obstacles: vec!["step `x` was begun".into()] },
        ),
        golden("migration_view.least", MigrationView { summary: summary(false), obstacles: Vec::new() }),
        golden("throughput", throughput(true)),
        golden("throughput.least", throughput(false)),
        golden("processes", processes(true)),
        golden("processes.least", processes(false)),
        golden("saga_counts", counts(true)),
        golden("saga_counts.least", counts(false)),
        golden("error_group", error_group(true)),
        golden("error_group.least", error_group(false)),
        golden("retired_week", retired(true)),
        golden("retired_week.least", retired(false)),
        golden("retired_states", RetiredState::ALL.to_vec()),
        golden("audit_record", audited()),
        golden("audit_request", audit_request()),
        golden("audit_verification", verification()),
        golden(
            "signal_request",
            SignalRequest { id: "evt_1".parse().unwrap(), payload: json!({"approved": true}), only_here: false },
        ),
        golden("signal_effects", signal_effects()),
        golden("waiting_steps", vec![waiting(signal_work()), waiting(child_work()), waiting(StepWork::Timer {})]),
        golden("saga_tree", tree()),
        golden("timeline", timeline()),
        golden("journal_difference", difference()),
        golden("saga_snapshot", snapshot()),
        golden("command_view", command_view()),
    ]
}

fn start(full: bool) -> StartSaga {
    StartSaga {
        name: "order".into(),
        version: full.then_some(1),
        idempotency: full.then(|| StartKey { key: format!("{}/k-1", user()), fingerprint: "9f86d081".into() }),
        business_key: order().to_string(),
        owner: full.then(|| user().to_string()),
        traceparent: traceparent().filter(|_| full),
        input: json!({"order_id": order()}),
    }
}

fn child_work() -> StepWork {
    StepWork::Child { saga: "payment".into(), saga_version: 1 }
}

fn tree() -> SagaTree {
    let child = SagaTree { saga: summary(true), children: Vec::new() };
    SagaTree { saga: summary(false), children: vec![child] }
}

fn summary(full: bool) -> SagaSummary {
    SagaSummary {
        id: saga(),
        name: "order".into(),
        version: 1,
        status: if full { SagaStatus::NeedsAttention } else { SagaStatus::Running },
        business_key: order().to_string(),
        owner: full.then(|| user().to_string()),
        attributes: if full { attributes() } else { contract::Attributes::default() },
        parent: full.then(saga),
        parent_step: full.then(|| step("pay")),
        error: full.then(|| "hold-rooms/reply_missing".into()),
        paused: full,
        created_at: at(0),
        updated_at: at(1),
        finished_at: full.then(|| at(2)),
        holds_until: full.then(|| at(20)),
    }
}

fn step_view(full: bool) -> StepView {
    StepView {
        name: step("hold-rooms"),
        kind: StepKind::Compensatable,
        work: StepWork::Command { route: Route::Accommodation, command: "accommodation.hold_rooms".into() },
        compensation: full.then(|| "accommodation.release_rooms".into()),
        extension: full.then(|| "accommodation.extend_rooms".into()),
        after: vec![step("create-order")],
        status: if full { StepStatus::Retrying } else { StepStatus::Pending },
        attempts: 3,
        retry_at: full.then(|| at(4)),
        wake_at: None,
        valid_until: full.then(|| at(20)),
        retrying_since: full.then(|| at(3)),
        error: full.then(cause),
        reply: full.then(|| json!({"expires_at": at(20)})),
        child: full.then(saga),
        skipped: full,
        edited: if full { changes() } else { Vec::new() },
        resolved: full.then(evidence),
    }
}

fn evidence() -> Evidence {
    Evidence::parse("released by phone, hotel ref. 8812").unwrap()
}

fn changes() -> Vec<FieldChange> {
    let change = |pointer: &str, before, after| FieldChange { pointer: pointer.into(), before, after };
    vec![
        change("/travellers", Some(json!(3)), Some(json!(2))),
        change("/note", Some(json!("by the sea")), None),
        change("", None, Some(json!({"travellers": 2}))),
    ]
}

fn plan(full: bool) -> PlanView {
    let refused = || Refusal { code: "saga_finished".into(), message: "the saga is completed".into() };
    let when = [
        PlannedWhen::Now,
        PlannedWhen::UnderWay,
        PlannedWhen::AtRetry,
        PlannedWhen::AfterReplies,
        PlannedWhen::IfNeeded,
    ];
    PlanView {
        summary: summary(full),
        head: 9,
        refused: full.then(refused),
        approval: full.then_some(ApprovalGround::PivotPassed),
        changes: if full { changes() } else { Vec::new() },
        commands: when.into_iter().filter(|_| full).map(planned).collect(),
        end: SagaStatus::Compensated,
        left: if full {
            vec![LeftEffect { step: step("create-order"), in_doubt: true, child: Some(saga()) }]
        } else {
            Vec::new()
        },
    }
}

fn planned(when: PlannedWhen) -> PlannedCommand {
    PlannedCommand {
        round: 0,
        when,
        retry_at: (when == PlannedWhen::AtRetry).then(|| at(4)),
        step: step("hold-rooms"),
        op: Op::Action,
        command: "accommodation.hold_rooms".into(),
        route: Route::Accommodation,
        undone_by: (when == PlannedWhen::Now).then(|| "accommodation.release_rooms".into()),
    }
}

fn plans() -> Plans {
    let refused = Refusal { code: "saga_unknown".into(), message: "there is no such saga".into() };
    let total = PlannedTotal {
        name: "order".into(),
        version: 1,
        step: step("hold-rooms"),
        op: Op::Compensation,
        command: "accommodation.release_rooms".into(),
        now: 3,
        later: 1,
    };
    let unplanned = vec![Unplanned { saga_id: saga(), refused }];
    Plans { plans: vec![plan(false)], unplanned, summary: vec![total] }
}

fn audit_request() -> AuditRequest {
    AuditRequest {
        request_id: "req_1".into(),
        act: "disable".into(),
        target: user().to_string(),
        reason: "left the agency".into(),
        outcome: "done".into(),
        answers: Some(4),
    }
}

fn audited() -> AuditRecord {
    let fact = AuditFact {
        at: at(5),
        actor: user().to_string(),
        role: "operator".into(),
        request_id: "req_0192f0c1a2b37c4d8e5f60718293a4b5".into(),
        act: "cancel".into(),
        target: saga().to_string(),
        reason: "the client called".into(),
        outcome: "done".into(),
        answers: Some(6),
    };
    AuditRecord { number: 7, fact, previous_hash: "9f86".into(), hash: "d081".into() }
}

fn verification() -> AuditVerification {
    AuditVerification {
        begins_with: Some("9f86".into()),
        checked: 3,
        head: AuditHead { number: 7, hash: "d081".into() },
        broken: Some(AuditBreak { number: 6, detail: "the row is missing".into() }),
        next_after: Some(1_000),
    }
}

fn cause() -> Cause {
    Cause {
        step: Some(step("hold-rooms")),
        code: "room_sold_out".into(),
        message: "no room is left".into(),
        refused: true,
    }
}

fn view(full: bool) -> SagaView {
    SagaView {
        summary: summary(full),
        input: json!({"order_id": order()}),
        steps: vec![step_view(full)],
        cause: full.then(|| Cause {
            step: None,
            code: "saga_cancelled".into(),
            message: "the client called".into(),
            refused: false,
        }),
        pause: full.then(|| SagaPause {
            since: at(3),
            clock: PauseClock::Run,
            holds: PausedHolds::Lapse,
            quiescent: true,
        }),
        deadline_at: full.then(|| at(10)),
        next_wake_at: full.then(|| at(5)),
        signals: if full { vec![signal(true), signal(false)] } else { Vec::new() },
        dead_letters: if full { vec![dead_letter(true)] } else { Vec::new() },
        head: 7,
    }
}

fn signal_work() -> StepWork {
    StepWork::Signal { signal: "approval".parse().unwrap() }
}

fn waiting(work: StepWork) -> StepView {
    let wake_at = Some(at(9));
    StepView { work, status: StepStatus::Waiting, attempts: 0, wake_at, ..step_view(false) }
}

fn signal(taken: bool) -> SignalView {
    let id = if taken { "evt_1" } else { "evt_2" };
    SignalView { id: id.parse().unwrap(), name: "approval".parse().unwrap(), step: taken.then(|| step("approval")) }
}

fn signal_effects() -> Vec<SignalEffect> {
    let why = "no step waits for it any more".into();
    vec![SignalEffect::Woke { step: step("approval") }, SignalEffect::Kept {}, SignalEffect::None { why }]
}

fn command_view() -> CommandView {
    let (command, payload) = ("flights.hold_seats".to_owned(), json!({ "travellers": 2 }));
    CommandView { step: step("hold-seats"), op: Op::Action, command, payload, head: 7 }
}

fn timeline() -> Timeline {
    let span = |spent, until, end| TimelineSpan {
        step: step("hold-seats"),
        op: Op::Action,
        spent,
        attempt: None,
        from: at(1),
        until,
        end,
    };
    let ends = [SpanEnd::Done, SpanEnd::Refused, SpanEnd::Failed, SpanEnd::Left].map(Some);
    let spent = [Spent::UnderWay, Spent::Child, Spent::Retry, Spent::Signal];
    let mut spans: Vec<_> = spent.into_iter().zip(ends).map(|(spent, end)| span(spent, Some(at(2)), end)).collect();
    spans[0].attempt = Some(2);
    spans.extend([Spent::Time, Spent::Person].map(|spent| span(spent, None, None)));
    Timeline { began_at: at(0), ended_at: Some(at(3)), spans }
}

fn difference() -> JournalDifference {
    let change = |pointer: &str, before, after| FieldChange { pointer: pointer.to_owned(), before, after };
    let changes = vec![
        change("/status", Some(json!("running")), Some(json!("completed"))),
        change("/steps/hold-rooms/reply", None, Some(json!({"booking": "bkg_1"}))),
        change("/steps/hold-rooms/retry_at", Some(json!("2026-12-01T09:20:30Z")), None),
    ];
    JournalDifference { from: 6, to: 7, changes }
}

fn snapshot() -> SagaSnapshot {
    let journal = Some(Page::only(vec![record()]));
    SagaSnapshot { saga: view(true), explanation: explanations::explanation(true), timeline: timeline(), journal }
}

fn record() -> RecordView {
    let entries = vec![json!({"entry": "saga_completed"})];
    RecordView { seq: 7, at: at(3), entries, status: SagaStatus::Completed, steps: vec![step_view(true)], cause: None }
}

fn quarantined() -> QuarantinedSaga {
    QuarantinedSaga { saga_id: saga(), code: "row_broken".into(), detail: "row 7 is broken".into(), since: at(6) }
}

fn error_group(full: bool) -> ErrorGroup {
    ErrorGroup {
        name: "order".into(),
        error: if full { "hold-rooms/reply_missing".into() } else { "saga/deadline_passed".into() },
        step: full.then(|| step("hold-rooms")),
        code: if full { "reply_missing".into() } else { "deadline_passed".into() },
        first_at: at(1),
        last_at: at(6),
        needing_attention: 3,
        count: 5,
        count_is_cut: full,
        hours: vec![1, 0, 4],
        days: vec![0, 5],
    }
}

fn throughput(full: bool) -> Throughput {
    let durations = full.then_some(Durations { p50_ms: 100, p95_ms: 200, p99_ms: 900 });
    let point = ThroughputPoint { at: at(0), completed: 3, compensated: 2, abandoned: 1, durations };
    Throughput { step_seconds: 60, points: vec![point], counted_from: full.then(|| at(0)) }
}

fn processes(full: bool) -> Processes {
    let lane = LaneView { shard: 3, since: full.then(|| at(1)), answered_ms: 4, taking_over: full, orphans: 0 };
    let orchestrator = OrchestratorView {
        instance: "ins_1".into(),
        version: "0.1.0".into(),
        started_at: at(0),
        clock_ahead_ms: full.then_some(-12),
        clock_error_ms: 2,
        lanes: vec![lane],
    };
    let silent = SilentShard { shard: 4, instance: full.then(|| "ins_2".into()), since: full.then(|| at(1)) };
    let circuit = OpenCircuit { cause: CircuitCause::DomainSilent, since: at(2), next_probe_at: at(3) };
    let domain = DomainWay {
        route: Route::Payment,
        queue: full.then_some(QueueState { messages: 7, consumers: 1 }),
        under_way: 2,
        held_sagas: 1,
        circuit: full.then_some(circuit),
        unknown_consumers: if full { 1 } else { 0 },
    };
    let worker = WorkerView {
        instance: InstanceId::from_uuid(uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0008)),
        version: "0.1.0".into(),
        started_at: at(0),
        domains: vec![Route::Payment, Route::Feed],
        answered_ms: 3,
    };
    let workers = full.then_some(worker).into_iter().collect();
    Processes { orchestrators: vec![orchestrator], silent_shards: vec![silent], domains: vec![domain], workers }
}

fn counts(full: bool) -> SagaCounts {
    let group = SagaGroup { name: "order".into(), version: 2, status: SagaStatus::Running, sagas: 5 };
    SagaCounts {
        sagas: if full { 5 } else { 0 },
        groups: full.then_some(group).into_iter().collect(),
        ages: AGES_SECONDS.map(|from_seconds| AgeGroup { from_seconds, sagas: 0 }).into(),
        quarantined: 1,
        oldest_open: full.then(|| SagaSince { id: saga(), created_at: at(1) }),
        earliest_hold: full.then(|| SagaHold { id: saga(), holds_until: at(9) }),
    }
}

fn retired(full: bool) -> RetiredWeek {
    RetiredWeek {
        week: "20261123".into(),
        state: if full { RetiredState::Dropped } else { RetiredState::Detached },
        sagas: if full { 4_711 } else { 0 },
        saga_file: full.then(|| "sagas-20261123.jsonl.gz".into()),
        audit_file: full.then(|| "audit-20261123.jsonl.gz".into()),
        changed_at: at(7),
    }
}

fn dead_letter(full: bool) -> DeadLetterView {
    DeadLetterView {
        id: 12,
        saga_id: full.then(saga),
        command_id: full.then(|| work(Op::Action).to_string()),
        op: full.then_some(Op::Action),
        queue: "commands.accommodation".into(),
        reason: "delivery limit".into(),
        body: "{".into(),
        received_at: at(6),
        redriven_at: full.then(|| at(8)),
    }
}

fn actions() -> Vec<Golden> {
    let request =
        |action| ActionRequest { action, reason: "the hotel called back".into(), request_id: None, if_head: None };
    let request_id = RequestId::from_uuid(uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0007));
    let named = ActionRequest { request_id: Some(request_id), if_head: Some(7), ..request(Action::Cancel {}) };
    let reply = || json!({"confirmation": "VX-42"});
    vec![
        golden("action.retry_all", request(Action::Retry { step: None })),
        golden("action.retry_step", request(Action::Retry { step: Some(step("hold-rooms")) })),
        golden("action.cancel", request(Action::Cancel {})),
        golden("action.named", named),
        golden("action.skip", request(Action::Skip { step: step("confirm-rooms"), reply: reply(), force: true })),
        golden("action.edit", request(Action::Edit { step: step("hold-rooms"), patch: json!({"travellers": 2}) })),
        golden("action.resolve", request(Action::Resolve { step: step("hold-rooms"), evidence: evidence() })),
        golden("action.fire_timer", request(Action::FireTimer { step: step("cool-down") })),
        golden("action.reschedule_timer", request(Action::RescheduleTimer { step: step("cool-down"), at: at(30) })),
        golden("action.migrate", request(Action::Migrate { version: 2 })),
        golden("action.abandon", request(Action::Abandon {})),
        golden("action.pause", request(Action::Pause { clock: PauseClock::Freeze, holds: PausedHolds::Keep })),
        golden("action.resume", request(Action::Resume {})),
    ]
}

fn person(disabled_at: Option<DateTime<Utc>>) -> Person {
    let (email, name) = ("zoe@example.com".into(), "Zo\u{eb}".into());
    let second_factor = disabled_at.map(|_| SecondFactor { since: at(2), recovery_codes_left: 9 });
    Person { user_id: user(), email, name, role: Role::Operator, created_at: at(1), disabled_at, second_factor }
}

fn create_person() -> CreatePerson {
    CreatePerson {
        email: "zoe@example.com".into(),
        name: "Zo\u{eb}".into(),
        password: "correct horse battery".into(),
        role: Role::Operator,
        reason: "joins the agency".into(),
    }
}

fn users() -> Vec<Golden> {
    let (email, password) = (|| "zoe@example.com".to_owned(), || "correct horse battery".to_owned());
    let claims = Claims {
        iss: TOKEN_ISSUER.into(),
        aud: TOKEN_AUDIENCE.into(),
        sub: user(),
        role: Role::Operator,
        iat: 1_800_000_000,
        exp: 1_800_000_900,
        jti: "01900000000070008000000000000009".into(),
        generation: 3,
        sid: Some(login_id()),
        second_factor_missing: true,
    };
    let least = Claims { second_factor_missing: false, ..claims.clone() };
    let tokens = Tokens {
        access_token: "eyJ.eyJ.sig".into(),
        refresh_token: "opaque".into(),
        token_type: "Bearer".into(),
        expires_in: 900,
        login_ends_at: Some(at(9)),
    };
    vec![
        golden("user.register", Register { email: email(), password: password(), name: "Zo\u{eb}".into() }),
        golden("user.registered", Registered { user_id: user() }),
        golden("user.login", Login { email: email(), password: password(), code: Some("492039".into()) }),
        golden("user.login.least", Login { email: email(), password: password(), code: None }),
        golden("user.refresh", Refresh { refresh_token: "opaque".into() }),
        golden("user.tokens", tokens.clone()),
        golden("user.claims", claims),
        golden("user.claims.least", least),
        golden("user.roles", Role::ALL.to_vec()),
        golden("user.person", person(Some(at(9)))),
        golden("user.person.least", person(None)),
        golden("user.create_person", create_person()),
        golden("user.set_role", SetRole { role: Role::Viewer, reason: "audits us".into() }),
        golden("user.change_rights", ChangeRights { reason: "left the agency".into() }),
        golden("user.rights_generations", vec![RightsGeneration { user_id: user(), generation: 3 }]),
        golden(
            "user.change_password",
            ChangePassword { password: password(), new_password: "a new passphrase".into() },
        ),
        golden("user.reset_code", ResetCode { code: "7H2K-M4QX-0TWD-9RZB".into(), expires_at: at(59) }),
        golden("user.reset_password", reset_password()),
        golden("user.begin_second_factor", BeginSecondFactor { password: password() }),
        golden("user.second_factor_offer", second_factor_offer()),
        golden("user.confirm_second_factor", ConfirmSecondFactor { code: "492039".into() }),
        golden("user.second_factor_on", SecondFactorOn { recovery_codes: vec!["7H2K-M4QX-0TWD-9RZB".into()], tokens }),
        golden("user.end_second_factor", EndSecondFactor { password: password(), code: "492039".into() }),
        golden("user.renew_recovery_codes", RenewRecoveryCodes { password: password(), code: "492039".into() }),
    ]
}

fn reset_password() -> ResetPassword {
    ResetPassword {
        email: "zoe@example.com".into(),
        code: "7H2K-M4QX-0TWD-9RZB".into(),
        new_password: "a new passphrase".into(),
    }
}

fn second_factor_offer() -> SecondFactorOffer {
    let secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
    let uri = format!("otpauth://totp/Sojourn:zoe%40example.com?secret={secret}&issuer=Sojourn");
    SecondFactorOffer { secret: secret.into(), uri }
}

#[test]
fn an_action_that_is_not_one_is_named() {
    let why = |body: serde_json::Value| serde_json::from_value::<ActionRequest>(body).unwrap_err().to_string();
    assert!(why(json!({"action": "explode", "reason": "why not"})).contains("unknown variant `explode`"));
    assert!(why(json!({"action": "cancel"})).contains("missing field `reason`"));
    assert!(why(json!({"action": "skip", "step": "a", "reason": "x y"})).contains("missing field `reply`"));
    let typo = why(json!({"action": "retry", "stepp": "a", "reason": "x y"}));
    assert!(typo.contains("unknown field `stepp`"), "{typo}");
    // Who means one step must not turn the whole saga around, or give all of it up.
    for whole in ["cancel", "abandon"] {
        let meant = why(json!({"action": whole, "step": "hold-rooms", "reason": "only this one"}));
        assert!(meant.contains("unknown field `step`"), "{meant}");
    }
}

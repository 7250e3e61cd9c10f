//! The participant barrier: S5 to S12.

use chrono::TimeDelta;
use contract::{
    CommandId, Op, Outcome,
    command::{FAULT_COMMAND_EXPIRED, FAULT_DEPENDENCY_FAILED},
};
use kit::clock::Clock;
use worker_runtime::testkit::{
    Delivered, PauseAt, action_of_a_new_saga, compensation_of,
    conformance::{check_outside_overlap, check_pair, check_refusal, check_refusal_in_set},
};

use crate::toy::{
    AskOutside, GiveSeat, Mode, SOLD_OUT, TakeBack, TakeSeat, Toy, outside_pair, seat_pair, snapshot, take,
};

#[tokio::test]
async fn a_local_pair_keeps_every_promise_of_the_barrier() {
    let toy = Toy::new().await;
    check_pair(&toy.harness, &snapshot(), seat_pair).await;
}

#[tokio::test]
async fn a_pair_that_is_handled_in_sets_keeps_every_promise_of_the_barrier() {
    let toy = Toy::in_sets().await;
    check_pair(&toy.harness, &snapshot(), seat_pair).await;
    let refused = take("none");
    let undo = GiveSeat { holder: refused.holder, mode: Mode::Well };
    check_refusal_in_set(&toy.harness, &snapshot(), seat_pair, &(refused, undo), SOLD_OUT).await;
}

#[tokio::test]
async fn an_outside_pair_keeps_every_promise_of_the_barrier() {
    let toy = Toy::new().await;
    check_pair(&toy.harness, &snapshot(), outside_pair).await;
    check_outside_overlap(&toy.harness, &snapshot(), outside_pair).await;
}

#[tokio::test]
async fn without_the_inbox_key_the_overlap_leaves_a_seat_taken() {
    let toy = Toy::new().await;
    toy.harness.mutate_into_check_then_act().await;
    for (paused, at) in [(Op::Action, PauseAt::BeforeTheInboxRow), (Op::Compensation, PauseAt::BeforeTheCommit)] {
        let (action, undo) = seat_pair();
        let id = action_of_a_new_saga("hold");
        let overlap = toy.harness.overlap(&snapshot(), paused, at, &id, (&action, &undo)).await;
        assert_ne!(overlap.before, overlap.after, "the overlap test would not notice a check-then-act barrier");
    }
}

#[tokio::test]
async fn a_refusal_sticks_when_a_seat_comes_free() {
    let toy = Toy::new().await;
    let action = take("none");
    let undo = GiveSeat { holder: action.holder, mode: Mode::Well };
    check_refusal(&toy.harness, &snapshot(), &(action, undo), SOLD_OUT, async || {
        sqlx::query("UPDATE seat_pool SET free = 5 WHERE pool = 'none'").execute(toy.harness.pool()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_refusal_after_writes_takes_them_back_and_sticks() {
    let toy = Toy::new().await;
    let action = TakeSeat { mode: Mode::RefuseLate, ..take("wide") };
    let undo = GiveSeat { holder: action.holder, mode: Mode::Well };
    check_refusal(&toy.harness, &snapshot(), &(action, undo), SOLD_OUT, async || {}).await;
    assert!(toy.harness.events().await.is_empty(), "an event of a refused command is in the outbox");
}

#[tokio::test]
async fn an_outside_command_refused_by_its_prepare_sticks() {
    let toy = Toy::new().await;
    let (ask, undo) = outside_pair();
    let ask = AskOutside { mode: Mode::RefuseLate, ..ask };
    check_refusal(&toy.harness, &snapshot(), &(ask, undo), SOLD_OUT, async || {}).await;
    assert_eq!(toy.outside.calls().await, 0);
}

#[tokio::test]
async fn a_refusal_asked_again_under_a_new_generation_is_decided_anew() {
    let toy = Toy::new().await;
    let id = action_of_a_new_saga("hold");
    let action = take("none");
    assert!(matches!(toy.harness.deliver(&id, &action).await, Outcome::Refused(_)));
    sqlx::query("UPDATE seat_pool SET free = 1 WHERE pool = 'none'").execute(toy.harness.pool()).await.unwrap();
    let again = CommandId { generation: 2, ..id.clone() };
    assert!(matches!(toy.harness.deliver(&again, &action).await, Outcome::Done { .. }));
    let undo = GiveSeat { holder: action.holder, mode: Mode::Well };
    assert!(matches!(toy.harness.deliver(&compensation_of(&id), &undo).await, Outcome::Done { .. }));
    assert_eq!(toy.count("SELECT count(*) FROM seat").await, 0);
    let third = CommandId { generation: 3, ..id };
    assert!(matches!(toy.harness.deliver(&third, &action).await, Outcome::Refused(_)), "it was taken back");
}

#[tokio::test]
async fn a_step_refused_a_hundred_times_is_still_answered_by_its_latest_generation() {
    let toy = Toy::new().await;
    let id = action_of_a_new_saga("hold");
    sqlx::query(
        r#"INSERT INTO runtime.inbox (saga_id, step, op, generation, state, command, outcome, created_at)
         SELECT $1, $2, 'a', g, 'r', 'toy.take_seat', '{"outcome":"refused","code":"no","message":""}', now()
         FROM generate_series(1, 100) AS g"#,
    )
    .bind(id.saga.uuid())
    .bind(id.step.as_str())
    .execute(toy.harness.pool())
    .await
    .unwrap();
    let action = take("wide");
    let again = CommandId { generation: 101, ..id.clone() };
    let first = toy.harness.deliver_text(&again, &action).await;
    assert!(first.starts_with(r#"{"outcome":"done""#), "{first}");
    assert_eq!(toy.harness.deliver_text(&again, &action).await, first);
    let undo = GiveSeat { holder: action.holder, mode: Mode::Well };
    assert!(matches!(toy.harness.deliver(&compensation_of(&id), &undo).await, Outcome::Done { .. }));
    assert_eq!(toy.count("SELECT count(*) FROM seat").await, 0);
    let later = CommandId { generation: 102, ..id };
    assert!(matches!(toy.harness.deliver(&later, &action).await, Outcome::Refused(_)), "it was taken back");
}

#[tokio::test]
async fn faults_leave_no_trace_and_may_be_asked_again() {
    let toy = Toy::new().await;
    let before = snapshot().take(toy.harness.pool()).await;
    for mode in [Mode::Fault, Mode::Panic, Mode::BreakCheck] {
        let id = action_of_a_new_saga("hold");
        let action = TakeSeat { mode, ..take("wide") };
        let Outcome::Faulted(fault) = toy.harness.deliver(&id, &action).await else { panic!("{mode:?} did not fault") };
        assert_eq!(fault.code, FAULT_DEPENDENCY_FAILED);
        assert_eq!(toy.count("SELECT count(*) FROM runtime.inbox").await, 0, "{mode:?} left an inbox row");
        assert_eq!(snapshot().take(toy.harness.pool()).await, before, "{mode:?} left an effect");
        let repaired = TakeSeat { mode: Mode::Well, ..action };
        assert!(matches!(toy.harness.deliver(&id, &repaired).await, Outcome::Done { .. }));
        let undo = GiveSeat { holder: repaired.holder, mode: Mode::Well };
        toy.harness.deliver(&compensation_of(&id), &undo).await;
        sqlx::query("DELETE FROM runtime.inbox").execute(toy.harness.pool()).await.unwrap();
    }
}

#[tokio::test]
async fn a_compensation_that_refuses_is_a_fault_and_is_asked_again() {
    let toy = Toy::new().await;
    let id = action_of_a_new_saga("hold");
    let (action, undo) = seat_pair();
    toy.harness.deliver(&id, &action).await;
    let refusing = GiveSeat { mode: Mode::RefuseLate, ..undo.clone() };
    let Outcome::Faulted(fault) = toy.harness.deliver(&compensation_of(&id), &refusing).await else {
        panic!("a compensation's refusal was let through")
    };
    assert!(fault.message.contains("must not refuse"), "{fault:?}");
    assert!(matches!(toy.harness.deliver(&compensation_of(&id), &undo).await, Outcome::Done { .. }));
    assert_eq!(toy.count("SELECT count(*) FROM seat").await, 0);
}

#[tokio::test]
async fn sagas_steps_and_directions_do_not_collide() {
    let toy = Toy::new().await;
    let id = action_of_a_new_saga("hold");
    let other_step = CommandId { step: "hold-2".parse().unwrap(), ..id.clone() };
    for id in [&id, &other_step, &action_of_a_new_saga("hold")] {
        assert!(matches!(toy.harness.deliver(id, &take("wide")).await, Outcome::Done { .. }));
    }
    assert_eq!(toy.count("SELECT count(*) FROM seat").await, 3);
    let stranger = GiveSeat { holder: kit::ids::uuid_random(), mode: Mode::Well };
    toy.harness.deliver(&compensation_of(&action_of_a_new_saga("hold")), &stranger).await;
    assert_eq!(toy.count("SELECT count(*) FROM seat").await, 3);
}

#[tokio::test]
async fn an_expired_command_is_not_started_and_leaves_no_row() {
    let toy = Toy::new().await;
    let id = action_of_a_new_saga("hold");
    let mut envelope = toy.harness.envelope(&id, &take("wide"));
    envelope.expires_at = Some(toy.clock.now() - TimeDelta::milliseconds(1));
    let Delivered::Answered(text) = toy.harness.deliver_raw(&envelope).await else { panic!("no answer") };
    assert!(text.contains(FAULT_COMMAND_EXPIRED), "{text}");
    assert_eq!(toy.count("SELECT count(*) FROM runtime.inbox").await, 0);
    assert_eq!(toy.count("SELECT count(*) FROM seat").await, 0);
}

#[tokio::test]
async fn a_dead_letter_replayed_after_a_month_gets_the_old_answer_and_has_no_effect() {
    let toy = Toy::new().await;
    let id = action_of_a_new_saga("hold");
    let envelope = toy.harness.envelope(&id, &take("wide"));
    let Delivered::Answered(first) = toy.harness.deliver_raw(&envelope).await else { panic!("no answer") };
    toy.clock.advance(TimeDelta::days(30));
    let Delivered::Answered(again) = toy.harness.deliver_raw(&envelope).await else { panic!("no answer") };
    assert_eq!(again, first);
    assert_eq!(toy.count("SELECT count(*) FROM seat").await, 1);
    // A command that never arrived is too old to be started.
    let mut lost = toy.harness.envelope(&action_of_a_new_saga("hold"), &take("wide"));
    lost.expires_at = Some(toy.clock.now() + TimeDelta::minutes(10));
    toy.clock.advance(TimeDelta::days(30));
    let Delivered::Answered(late) = toy.harness.deliver_raw(&lost).await else { panic!("no answer") };
    assert!(late.contains(FAULT_COMMAND_EXPIRED), "{late}");
    assert_eq!(toy.count("SELECT count(*) FROM seat").await, 1);
}

#[tokio::test]
async fn the_inbox_forgets_after_its_retention_but_never_an_open_intent() {
    let toy = Toy::new().await;
    let mut envelope = toy.harness.envelope(&action_of_a_new_saga("hold"), &take("wide"));
    envelope.expires_at = Some(toy.clock.now() + TimeDelta::minutes(1));
    toy.harness.deliver_raw(&envelope).await;
    let (ask, _) = outside_pair();
    toy.harness.prepare(&action_of_a_new_saga("ask"), &ask).await;
    toy.clock.advance(worker_runtime::limits::INBOX_RETENTION - TimeDelta::days(1));
    toy.harness.prune().await;
    assert_eq!(toy.count("SELECT count(*) FROM runtime.inbox").await, 2);
    // Its month ends, and no other row of it is needed.
    toy.clock.advance(TimeDelta::days(2 + 31));
    toy.harness.prune().await;
    assert_eq!(toy.count("SELECT count(*) FROM runtime.inbox").await, 1);
    assert_eq!(toy.count("SELECT count(*) FROM runtime.inbox_default").await, 1);
    assert_eq!(toy.count("SELECT count(*) FROM runtime.inbox WHERE state = 'p'").await, 1);
    // Forgotten, but also expired: still no second effect.
    let Delivered::Answered(late) = toy.harness.deliver_raw(&envelope).await else { panic!("no answer") };
    assert!(late.contains(FAULT_COMMAND_EXPIRED), "{late}");
    assert_eq!(toy.count("SELECT count(*) FROM seat").await, 1);
}

#[tokio::test]
async fn a_compensation_needs_nothing_but_its_own_rows() {
    let toy = Toy::new().await;
    let id = action_of_a_new_saga("ask");
    let (ask, undo): (AskOutside, TakeBack) = outside_pair();
    toy.harness.deliver(&id, &ask).await;
    // Everything else of the domain is gone by now (S12).
    sqlx::query("DELETE FROM seat_pool").execute(toy.harness.pool()).await.unwrap();
    assert!(matches!(toy.harness.deliver(&compensation_of(&id), &undo).await, Outcome::Done { .. }));
    assert_eq!(toy.count("SELECT count(*) FROM outside.grant_of WHERE live").await, 0);
}

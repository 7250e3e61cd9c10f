//! Outside commands: prepare, call, record.

use contract::Outcome;
use worker_runtime::testkit::{AfterPrepare, Delivered, action_of_a_new_saga, compensation_of};

use crate::toy::{AskOutside, Mode, Toy, outside_pair, snapshot};

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_key() {
    let toy = Toy::new().await;
    let (ask, _) = outside_pair();
    let ask = AskOutside { mode: Mode::LoseFirst, ..ask };
    assert!(matches!(toy.harness.deliver(&action_of_a_new_saga("ask"), &ask).await, Outcome::Done { .. }));
    assert_eq!(toy.outside.calls().await, 2);
    assert_eq!(toy.count("SELECT count(*) FROM outside.grant_of").await, 1);
}

#[tokio::test]
async fn what_stays_unclear_is_not_answered_and_its_undo_still_ends_it_outside() {
    let toy = Toy::new().await;
    let id = action_of_a_new_saga("ask");
    let (ask, undo) = outside_pair();
    let ask = AskOutside { mode: Mode::LoseAll, ..ask };
    let envelope = toy.harness.envelope(&id, &ask);
    let AfterPrepare::HalfWay(half_way) = toy.harness.prepare(&id, &ask).await else { panic!("no call is due") };
    assert!(matches!(toy.harness.finish_half_way(half_way).await, Delivered::Unanswered));
    assert_eq!(toy.count("SELECT count(*) FROM outside.grant_of WHERE live").await, 1);
    // The same command again is resumed, not begun anew.
    assert!(matches!(toy.harness.deliver_raw(&envelope).await, Delivered::Unanswered));
    assert!(matches!(toy.harness.deliver(&compensation_of(&id), &undo).await, Outcome::Done { .. }));
    assert_eq!(toy.count("SELECT count(*) FROM outside.grant_of WHERE live").await, 0);
    assert_eq!(toy.count("SELECT count(*) FROM runtime.inbox WHERE state = 'p'").await, 0);
}

#[tokio::test]
async fn a_fault_or_panic_of_the_call_is_answered_as_what_it_is() {
    let toy = Toy::new().await;
    let before = snapshot().take(toy.harness.pool()).await;
    let (ask, undo) = outside_pair();
    let id = action_of_a_new_saga("ask");
    let faulty = AskOutside { mode: Mode::Fault, ..ask };
    assert!(matches!(toy.harness.deliver(&id, &faulty).await, Outcome::Faulted(_)));
    toy.harness.deliver(&compensation_of(&id), &undo).await;
    assert_eq!(snapshot().take(toy.harness.pool()).await, before);

    // A panic says nothing about what happened outside: no answer.
    let (ask, _) = outside_pair();
    let id = action_of_a_new_saga("ask");
    let panicking = AskOutside { mode: Mode::Panic, ..ask };
    let AfterPrepare::HalfWay(half_way) = toy.harness.prepare(&id, &panicking).await else { panic!("no call is due") };
    assert!(matches!(toy.harness.finish_half_way(half_way).await, Delivered::Unanswered));
}

#[tokio::test]
async fn two_workers_that_record_the_same_call_give_the_same_answer() {
    let toy = Toy::new().await;
    let replica = toy.replica().await;
    let id = action_of_a_new_saga("ask");
    let (ask, _) = outside_pair();
    let AfterPrepare::HalfWay(mine) = toy.harness.prepare(&id, &ask).await else { panic!("no call is due") };
    let AfterPrepare::HalfWay(theirs) = replica.prepare(&id, &ask).await else { panic!("no call is due") };
    let (mine, theirs) = tokio::join!(toy.harness.finish_half_way(mine), replica.finish_half_way(theirs));
    let (Delivered::Answered(mine), Delivered::Answered(theirs)) = (mine, theirs) else { panic!("not answered") };
    assert_eq!(mine, theirs);
    assert_eq!(toy.count("SELECT count(*) FROM granted").await, 1);
}

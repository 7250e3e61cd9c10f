//! Child sagas, from both sides.

use contract::{Op, Outcome, SagaId, saga::Action};
use machine::{Builder, Catalog, CatalogError, Cause, ChildCall, ChildEnd, Definition, Input, Parent, State, Verdict};
use serde_json::json;

use crate::common::{
    AGAIN, Approval, FEW, Learned, Talk, Trip, learn, learn_approval, name, payment, probe, trip, unprobe,
};

/// prepare (child, C) -> pack (C) -> settle (child, P) -> review (child, R).
pub(crate) fn expedition() -> Definition {
    expeditions().build().unwrap()
}

fn expeditions() -> Builder<Trip, Learned> {
    let mut saga = Builder::<Trip, Learned>::new("expedition", 1);
    let prepare = saga.step("prepare").child("leg", 1, probe).on_end(learn_approval).add();
    let pack =
        saga.step("pack").after([prepare]).command(probe).compensate(unprobe).retry(FEW).compensation_retry(AGAIN);
    let pack = pack.add();
    let settle = saga.step("settle").pivot().after([pack]).child("payment", 1, probe).add();
    saga.step("review").retriable().after([settle]).child("payment", 1, probe).add();
    saga
}

/// A child without a pivot: one step, whose answer is the result.
pub(crate) fn leg() -> Definition {
    let mut saga = Builder::<Trip, Learned>::new("leg", 1);
    saga.result(|_, learned| Approval { approved_by: learned.said.join(" ") });
    saga.step("walk").command(probe).on_reply(learn).compensate(unprobe).retry(FEW).compensation_retry(AGAIN).add();
    saga.build().unwrap()
}

fn leg_that_closes() -> Definition {
    let mut saga = Builder::<Trip, Learned>::new("leg", 1);
    saga.must_succeed(AGAIN).on_abandon(unprobe);
    saga.step("walk").command(probe).compensate(unprobe).retry(FEW).add();
    saga.build().unwrap()
}

/// The end of a child that is completed, with a result of the right type.
pub(crate) fn child_completed() -> ChildEnd {
    ChildEnd::Completed { result: json!({"approved_by": "the child"}).into() }
}

/// The end of a child that was undone.
pub(crate) fn child_compensated() -> ChildEnd {
    let cause = machine::Cause { step: None, code: "no".into(), message: "the child says no".into(), refused: true };
    ChildEnd::Compensated { cause: Some(cause) }
}

fn call(talk: &Talk) -> &ChildCall {
    let [call] = &talk.called[..] else { panic!("one word to a child: {:?}", talk.called) };
    call
}

#[test]
fn a_step_starts_its_child_on_its_own_shard_and_learns_from_the_childs_result() {
    let mut talk = Talk::begin(expedition(), 0);
    let ChildCall::Begin(start) = call(&talk).clone() else { panic!("the child begins") };
    assert_eq!((start.name, start.version, start.parent.step), ("leg", 1, name("prepare")));
    for shards in [1, 2, 7, 64] {
        assert_eq!(start.child.shard(shards), talk.state.saga_id.shard(shards));
    }
    assert_eq!(start.child.uuid().get_version_num(), 7);
    assert_eq!(talk.child_ends("prepare", child_completed()), "prepare done; send pack 1.1");
    assert!(talk.sent[0].payload.get().contains("the child"), "{}", talk.sent[0].payload);
    assert_eq!(talk.child_ends("prepare", child_completed()), "ignored: no step waits for that child");
}

#[test]
fn a_child_that_is_compensated_refuses_its_step() {
    let mut talk = Talk::begin(expedition(), 0);
    let said = talk.child_ends("prepare", child_compensated());
    assert_eq!(said, "prepare refused (no); turn around (prepare/no); compensated; => compensated");
}

#[test]
fn a_failure_in_a_child_is_no_refusal_to_those_who_are_told_the_cause() {
    for refused in [true, false] {
        let mut talk = Talk::begin(expedition(), 0);
        let cause = Cause { step: None, code: "reply_missing".into(), message: "inside".into(), refused };
        talk.child_ends("prepare", ChildEnd::Compensated { cause: Some(cause) });
        assert_eq!(talk.state.cause.map(|cause| cause.refused), Some(refused));
    }
}

#[test]
fn a_completed_child_is_undone_with_its_parent_and_its_old_end_says_nothing_any_more() {
    let mut talk = Talk::begin(expedition(), 0);
    talk.child_ends("prepare", child_completed());
    let child = talk.child("prepare");
    let said = talk.act(Action::Cancel {});
    assert_eq!(said, "ann acts: cancel; turn around (saga_cancelled); send undo pack 1.1; => compensating");
    assert_eq!(talk.undone("pack"), "undo pack done; undo prepare awaits its child");
    assert!(matches!(call(&talk), ChildCall::Undo { child: undone, .. } if *undone == child));
    assert_eq!(machine::owed_to_children(&talk.state), talk.called, "after a crash it is told again");
    assert_eq!(talk.child_ends("prepare", child_completed()), "ignored: the child is to be undone first");
    assert_eq!(talk.child_ends("prepare", child_compensated()), "undo prepare done; compensated; => compensated");
}

#[test]
fn a_cancel_goes_on_to_a_child_that_is_under_way_even_where_it_is_the_pivot() {
    let mut talk = Talk::begin(expedition(), 0);
    assert_eq!(
        talk.act(Action::Cancel {}),
        "ann acts: cancel; turn around (saga_cancelled); undo prepare awaits its child; => compensating"
    );
    assert!(matches!(call(&talk), ChildCall::Undo { .. }));

    let mut talk = Talk::begin(expedition(), 0);
    talk.child_ends("prepare", child_completed());
    talk.done("pack");
    assert!(matches!(machine::owed_to_children(&talk.state)[..], [ChildCall::Ask { .. }]));
    assert_eq!(talk.act(Action::Cancel {}), "ann acts: cancel");
    assert!(matches!(call(&talk), ChildCall::Undo { .. }));
    assert_eq!(machine::owed_to_children(&talk.state), talk.called, "after a crash it is told again");
    let said = talk.child_ends("settle", child_compensated());
    assert_eq!(said, "settle refused (no); turn around (settle/no); send undo pack 1.1; => compensating");
}

#[test]
fn a_child_that_was_given_up_waits_for_a_person_whose_retry_starts_another() {
    let mut talk = Talk::begin(expedition(), 0);
    let first = talk.child("prepare");
    let said = talk.child_ends("prepare", ChildEnd::Abandoned);
    assert_eq!(said, "prepare needs attention (child_abandoned); => needs_attention");
    assert_eq!(talk.act(Action::Retry { step: None }), "ann acts: retry; prepare awaits its child; => running");
    assert_ne!(talk.child("prepare"), first);
    assert_eq!(talk.child_ends("prepare", child_completed()), "prepare done; send pack 1.1");
}

#[test]
fn a_cancel_that_came_too_late_for_the_pivots_child_goes_on_to_no_later_one() {
    let mut talk = Talk::begin(expedition(), 0);
    talk.child_ends("prepare", child_completed());
    talk.done("pack");
    talk.act(Action::Cancel {});
    assert_eq!(talk.child_ends("settle", child_completed()), "settle done; review awaits its child");
    assert!(matches!(machine::owed_to_children(&talk.state)[..], [ChildCall::Ask { .. }]));
}

#[test]
fn an_abandonment_leaves_the_child_alone_whose_end_then_says_nothing_any_more() {
    let mut talk = Talk::begin(expedition(), 0);
    let plan = machine::plan(&talk.definition, talk.state.clone(), &Action::Abandon {}, talk.now);
    assert_eq!((plan.left[0].step.as_str(), plan.left[0].in_doubt), ("prepare", true));
    assert_eq!(plan.left[0].child, Some(talk.child("prepare")));
    assert_eq!(talk.act(Action::Abandon {}), "ann acts: abandon; abandoned; => abandoned");
    assert_eq!(machine::owed_to_children(&talk.state), []);
    assert_eq!(talk.child_ends("prepare", child_completed()), "ignored: the saga waits for no child");

    let mut saga = expeditions();
    saga.must_succeed(AGAIN).on_abandon(unprobe);
    let mut talk = Talk::begin(saga.build().unwrap(), 0);
    assert_eq!(talk.act(Action::Abandon {}), "ann acts: abandon; close (given_up); send close 1.1");
    assert_eq!((talk.called.len(), machine::owed_to_children(&talk.state).len()), (0, 0));
    assert_eq!(talk.child_ends("prepare", child_completed()), "ignored: no step waits for that child");
    assert_eq!(talk.done("close"), "close done; abandoned; => abandoned");
}

#[test]
fn only_a_child_without_a_pivot_is_undone_after_its_end() {
    let parent = Parent { saga_id: SagaId::from_uuid(uuid::Uuid::from_u128(9)), step: name("prepare") };
    let cause = machine::Cause { step: None, code: "gone".into(), message: "back".into(), refused: false };
    let undo = Input::Undo { cause };
    let begin = |definition: Definition, parent: Option<Parent>| {
        let mut talk = Talk::begin(definition, 0);
        let decision = machine::start(&talk.definition, talk.state.saga_id, parent, trip(0).into(), talk.now).unwrap();
        talk.state = decision.state;
        talk
    };
    let mut child = begin(leg(), Some(parent.clone()));
    assert_eq!(child.done("walk"), "walk done; completed; => completed");
    let end = machine::child::end(&child.definition, &child.state).unwrap();
    assert_eq!(end, Some(ChildEnd::Completed { result: json!({"approved_by": "walk"}).into() }));
    assert_eq!(child.hear(&undo), "turn around (gone); send undo walk 1.1; => compensating");
    assert_eq!(child.hear(&undo), "ignored: the saga is being undone already, or was");
    assert_eq!(child.undone("walk"), "undo walk done; compensated; => compensated");

    let mut given_up = begin(leg_that_closes(), Some(parent.clone()));
    given_up.act(Action::Abandon {});
    assert_eq!(given_up.hear(&undo), "ignored: the saga was given up");
    assert_eq!(machine::child::end(&given_up.definition, &given_up.state).unwrap(), None, "it is being closed");
    given_up.done("close");
    assert_eq!(machine::child::end(&given_up.definition, &given_up.state).unwrap(), Some(ChildEnd::Abandoned));

    let mut alone = begin(leg(), None);
    alone.done("walk");
    assert_eq!(alone.hear(&undo), "ignored: the saga is no child, or not of this definition");

    let mut payment = begin(payment(), Some(parent));
    payment.says("authorize", "yes");
    let input = payment.reply("capture", Op::Action, Outcome::done(json!({"said": "yes"})));
    payment.hear(&input);
    assert_eq!(payment.hear(&undo), "ignored: the saga is past its point of no return");
}

#[test]
fn a_catalog_names_the_children_that_cannot_be() {
    let starts = |name: &str, child: &'static str| {
        let mut saga = Builder::<Trip, Learned>::new(name, 1);
        saga.step("start").child(child, 1, probe).add();
        saga.build().unwrap()
    };
    let unknown = Catalog::new([expedition(), leg()]).unwrap_err();
    assert!(matches!(unknown, CatalogError::ChildUnknown { child: "payment", .. }), "{unknown}");
    let pivot = Catalog::new([starts("one", "payment"), payment()]).unwrap_err();
    assert!(matches!(pivot, CatalogError::ChildWithPivot { child: "payment", .. }), "{pivot}");
    let circle = Catalog::new([starts("one", "two"), starts("two", "one")]).unwrap_err();
    assert!(matches!(circle, CatalogError::ChildrenTooDeep { .. }), "{circle}");
    let names = ["a", "b", "c", "d", "e", "f"];
    let row = || names.windows(2).map(|pair| starts(pair[0], pair[1]));
    let deep = Catalog::new(row().chain([leg_named("f")])).unwrap_err();
    assert!(matches!(deep, CatalogError::ChildrenTooDeep { .. }), "{deep}");
    Catalog::new(row().skip(1).chain([leg_named("f")])).unwrap();
    Catalog::new([expedition(), leg(), payment()]).unwrap();
}

#[test]
fn a_catalog_counts_the_children_of_a_saga_and_theirs() {
    let starts = |name: &str, children: usize, child: &'static str| {
        let mut saga = Builder::<Trip, Learned>::new(name, 1);
        for number in 0..children {
            saga.step(&format!("start-{number}")).child(child, 1, probe).add();
        }
        saga.build().unwrap()
    };
    Catalog::new([starts("all", 8, "each"), starts("each", 7, "leg"), leg()]).unwrap();
    let many = Catalog::new([starts("all", 8, "each"), starts("each", 8, "leg"), leg()]).unwrap_err();
    assert!(matches!(&many, CatalogError::TooManyChildren { name, count: 72, .. } if name == "all"), "{many}");
}

fn leg_named(name: &str) -> Definition {
    let mut saga = Builder::<Trip, Learned>::new(name, 1);
    saga.step("walk").command(probe).compensate(unprobe).add();
    saga.build().unwrap()
}

#[test]
fn a_child_that_no_step_waits_for_is_ignored() {
    let talk = Talk::begin(leg(), 0);
    let input = Input::ChildEnded { child: talk.state.saga_id, end: child_completed() };
    let decision = machine::decide(&talk.definition, State::new(talk.state.saga_id), &input, talk.now);
    assert!(matches!(decision.verdict, Verdict::Ignored(_)));
}

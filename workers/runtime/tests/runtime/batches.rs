//! Many commands in one transaction.

use contract::{CommandId, Outcome};
use futures::future::join_all;
use proptest::{prelude::*, test_runner::TestRunner};
use worker_runtime::testkit::{action_of_a_new_saga, compensation_of};

use crate::toy::{GiveSeat, Mode, TakeSeat, Toy, take};

#[tokio::test]
async fn a_batch_is_one_transaction() {
    let toy = Toy::new().await;
    let batch: Vec<_> = (0..100).map(|_| (action_of_a_new_saga("hold"), take("wide"))).collect();
    let texts = toy.harness.deliver_together(&batch).await;
    assert!(texts.iter().all(|text| text.starts_with(r#"{"outcome":"done""#)), "{texts:?}");
    assert_eq!(toy.count("SELECT count(*) FROM seat").await, 100);
    assert_eq!(toy.count("SELECT count(DISTINCT xmin::text) FROM runtime.inbox").await, 1);
    assert_eq!(toy.count("SELECT count(*) FROM runtime.outbox").await, 100);
    assert_eq!(toy.count("SELECT count(*) FROM runtime.inbox_default").await, 0, "they are in their month's partition");
}

#[tokio::test]
async fn one_bad_member_costs_the_others_only_their_company() {
    one_bad_member(Toy::new().await).await;
}

#[tokio::test]
async fn one_bad_member_of_a_set_costs_the_others_only_their_company() {
    one_bad_member(Toy::in_sets().await).await;
}

async fn one_bad_member(toy: Toy) {
    for mode in [Mode::Fault, Mode::Panic, Mode::BreakCheck, Mode::RefuseLate] {
        let mut batch: Vec<_> = (0..10).map(|_| (action_of_a_new_saga("hold"), take("wide"))).collect();
        batch[4].1.mode = mode;
        let before = toy.count("SELECT count(*) FROM seat").await;
        let texts = toy.harness.deliver_together(&batch).await;
        let outcomes: Vec<Outcome<serde_json::Value>> =
            texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        for (place, outcome) in outcomes.iter().enumerate() {
            match (place, mode, outcome) {
                (4, Mode::RefuseLate, Outcome::Refused(_)) | (4, _, Outcome::Faulted(_)) => {}
                (4, ..) => panic!("{mode:?} became {outcome:?}"),
                (_, _, Outcome::Done { .. }) => {}
                _ => panic!("{mode:?} spoiled its neighbour: {outcome:?}"),
            }
        }
        assert_eq!(toy.count("SELECT count(*) FROM seat").await, before + 9, "{mode:?}");
    }
}

#[tokio::test]
async fn the_last_seat_is_sold_once_within_a_batch_and_across_replicas() {
    let toy = Toy::new().await;
    let replica = toy.replica().await;
    let batch = |_| (0..20).map(|_| (action_of_a_new_saga("hold"), take("narrow"))).collect::<Vec<_>>();
    let (mine, theirs): (Vec<_>, Vec<_>) = (batch(0), batch(1));
    let (mine, theirs) = tokio::join!(toy.harness.deliver_together(&mine), replica.deliver_together(&theirs));
    let done = mine.iter().chain(&theirs).filter(|text| text.starts_with(r#"{"outcome":"done""#)).count();
    assert_eq!(done, 1);
    assert_eq!(toy.count("SELECT count(*) FROM seat").await, 1);
}

#[tokio::test]
async fn a_batch_with_one_fault_is_a_few_transactions_and_not_one_for_each_member() {
    let toy = Toy::in_sets().await;
    let mut batch: Vec<_> = (0..128).map(|_| (action_of_a_new_saga("hold"), take("wide"))).collect();
    batch[77].1.mode = Mode::Fault;
    toy.harness.deliver_together(&batch).await;
    assert_eq!(toy.count("SELECT count(*) FROM seat").await, 127);
    let transactions = toy.count("SELECT count(DISTINCT xmin::text) FROM runtime.inbox").await;
    assert!(transactions <= 7, "{transactions} transactions");
}

#[tokio::test]
async fn the_last_seat_is_sold_once_within_a_set() {
    let toy = Toy::in_sets().await;
    let batch: Vec<_> = (0..20).map(|_| (action_of_a_new_saga("hold"), take("narrow"))).collect();
    let texts = toy.harness.deliver_together(&batch).await;
    assert!(texts[0].starts_with(r#"{"outcome":"done""#), "{texts:?}");
    assert!(texts[1..].iter().all(|text| text.starts_with(r#"{"outcome":"refused""#)), "{texts:?}");
    assert_eq!(toy.count("SELECT count(*) FROM runtime.outbox").await, 1);
}

/// One delivery of a random history: which of some sagas, and which direction.
#[derive(Debug, Clone, Copy)]
struct Step {
    saga: usize,
    undo: bool,
}

const SAGAS: usize = 4;

#[test]
fn whatever_is_delivered_in_whatever_company_takes_effect_at_most_once() {
    at_most_once(Toy::new());
}

#[test]
fn whatever_is_delivered_in_whatever_sets_takes_effect_at_most_once() {
    at_most_once(Toy::in_sets());
}

fn at_most_once(toy: impl Future<Output = Toy>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (toy, replica) = runtime.block_on(async {
        let toy = toy.await;
        let replica = toy.replica().await;
        (toy, replica)
    });
    let step = (0..SAGAS, any::<bool>()).prop_map(|(saga, undo)| Step { saga, undo });
    let batches = prop::collection::vec((any::<bool>(), prop::collection::vec(step, 1..6)), 1..8);
    let mut runner = TestRunner::new(ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() });
    let ran = runner.run(&batches, |batches| {
        runtime.block_on(async {
            let sagas: Vec<(CommandId, TakeSeat)> =
                (0..SAGAS).map(|_| (action_of_a_new_saga("hold"), take("wide"))).collect();
            let envelope = |step: &Step| {
                let (id, action) = &sagas[step.saga];
                if step.undo {
                    let undo = GiveSeat { holder: action.holder, mode: Mode::Well };
                    toy.harness.envelope(&compensation_of(id), &undo)
                } else {
                    toy.harness.envelope(id, action)
                }
            };
            // All batches at once, on two workers.
            let running = batches.iter().map(|(on_replica, steps)| {
                let envelopes: Vec<_> = steps.iter().map(envelope).collect();
                let harness = if *on_replica { &replica } else { &toy.harness };
                async move { harness.deliver_all(&envelopes).await }
            });
            let answers = join_all(running).await;
            let steps = batches.iter().flat_map(|(_, steps)| steps);
            let answers = answers.into_iter().flatten();
            let mut heard = vec![(Vec::new(), false); SAGAS];
            for (step, answer) in steps.zip(answers) {
                prop_assert!(!answer.contains("faulted"), "a fault: {answer}");
                if step.undo {
                    prop_assert!(answer.starts_with(r#"{"outcome":"done""#), "{answer}");
                    heard[step.saga].1 = true;
                } else {
                    heard[step.saga].0.push(answer);
                }
            }
            for ((_, action), (answers, undone)) in sagas.iter().zip(heard) {
                prop_assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "answers differ: {answers:?}");
                let seats: i64 = sqlx::query_scalar("SELECT count(*) FROM seat WHERE holder = $1")
                    .bind(action.holder)
                    .fetch_one(toy.harness.pool())
                    .await
                    .unwrap();
                prop_assert_eq!(seats, i64::from(!answers.is_empty() && !undone));
            }
            Ok(())
        })
    });
    ran.unwrap();
    let free: i64 =
        runtime.block_on(toy.count("SELECT (100000 - free - taken)::bigint FROM seat_pool WHERE pool = 'wide'"));
    assert_eq!(free, 0);
}

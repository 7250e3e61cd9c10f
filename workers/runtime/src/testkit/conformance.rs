//! The invariants of the participant barrier, each as a check of an action and its compensation.

use contract::{CommandId, Op, command::Command};
use futures::future::join_all;

use super::{AfterPrepare, Delivered, Harness, PauseAt, Snapshot, action_of_a_new_saga, compensation_of};

/// How many copies of a command are delivered side by side.
const COPIES: usize = 5;

/// How many commands of a kind are delivered as a set.
const SET: usize = 4;

/// Runs every check on an action and its compensation. `fresh` makes a new pair that can succeed, each time for
/// another business object (another order, say); `snapshot` selects what an undone action must have left as it was.
///
/// # Panics
/// With a sentence about what does not hold.
pub async fn check_pair<A: Command, C: Command>(harness: &Harness, snapshot: &Snapshot, fresh: impl Fn() -> (A, C)) {
    check_twice(harness, snapshot, &fresh()).await;
    check_side_by_side(harness, snapshot, &fresh()).await;
    check_undo_first(harness, snapshot, &fresh()).await;
    check_together(harness, snapshot, &fresh()).await;
    check_set(harness, snapshot, &std::array::from_fn(|_| fresh())).await;
    check_mixed_set(harness, snapshot, &std::array::from_fn(|_| fresh())).await;
    for paused in [Op::Action, Op::Compensation] {
        for at in [PauseAt::BeforeTheInboxRow, PauseAt::BeforeTheCommit] {
            check_overlap(harness, snapshot, paused, at, &fresh()).await;
        }
    }
    check_crash(harness, snapshot, &fresh()).await;
}

/// The action twice, the compensation three times: one effect each, the same bytes each time (S5, S6).
async fn check_twice<A: Command, C: Command>(harness: &Harness, snapshot: &Snapshot, (action, undo): &(A, C)) {
    let id = action_of_a_new_saga("conformance");
    let before = snapshot.take(harness.pool()).await;
    let first = harness.deliver_text(&id, action).await;
    assert_done::<A>(&first);
    let done = snapshot.take(harness.pool()).await;
    assert_ne!(before, done, "{} has no effect that the snapshot shows: choose another snapshot", A::NAME);
    assert_eq!(harness.deliver_text(&id, action).await, first, "{}: another answer the second time", A::NAME);
    assert_eq!(snapshot.take(harness.pool()).await, done, "{}: another effect the second time", A::NAME);

    let undo_id = compensation_of(&id);
    let undone = harness.deliver_text(&undo_id, undo).await;
    assert_done::<C>(&undone);
    for _ in 0..2 {
        assert_eq!(harness.deliver_text(&undo_id, undo).await, undone, "{}: another answer", C::NAME);
    }
    assert_eq!(snapshot.take(harness.pool()).await, before, "{} does not undo {} exactly once", C::NAME, A::NAME);
    assert_eq!(harness.deliver_text(&id, action).await, first, "{}: another answer after the undo", A::NAME);
    assert_eq!(snapshot.take(harness.pool()).await, before, "{}: an effect after its undo", A::NAME);
}

/// Copies of the action side by side, then of the compensation (S5, S6).
async fn check_side_by_side<A: Command, C: Command>(harness: &Harness, snapshot: &Snapshot, (action, undo): &(A, C)) {
    let id = action_of_a_new_saga("conformance");
    let undo_id = compensation_of(&id);
    let before = snapshot.take(harness.pool()).await;
    let replies = join_all((0..COPIES).map(|_| harness.deliver_text(&id, action))).await;
    assert_done::<A>(&replies[0]);
    assert!(replies.iter().all(|reply| reply == &replies[0]), "{}: copies side by side differ: {replies:?}", A::NAME);
    let replies = join_all((0..COPIES).map(|_| harness.deliver_text(&undo_id, undo))).await;
    assert_done::<C>(&replies[0]);
    assert!(replies.iter().all(|reply| reply == &replies[0]), "{}: copies side by side differ: {replies:?}", C::NAME);
    assert_eq!(snapshot.take(harness.pool()).await, before, "{} copies left an effect", A::NAME);
}

/// The compensation first: it succeeds, changes nothing, and the action never happens (S7, S8).
async fn check_undo_first<A: Command, C: Command>(harness: &Harness, snapshot: &Snapshot, (action, undo): &(A, C)) {
    let id = action_of_a_new_saga("conformance");
    let before = snapshot.take(harness.pool()).await;
    let undone = harness.deliver_text(&compensation_of(&id), undo).await;
    assert_done::<C>(&undone);
    assert_eq!(snapshot.take(harness.pool()).await, before, "{} without its action changes something", C::NAME);
    for _ in 0..2 {
        assert_compensated::<A>(&harness.deliver_text(&id, action).await);
    }
    assert_eq!(snapshot.take(harness.pool()).await, before, "{} happens after its undo", A::NAME);
    assert_eq!(harness.deliver_text(&compensation_of(&id), undo).await, undone, "{}: another answer", C::NAME);
}

/// Action, compensation and action again in one transaction, and the other way round.
async fn check_together<A: Command, C: Command>(harness: &Harness, snapshot: &Snapshot, (action, undo): &(A, C)) {
    let before = snapshot.take(harness.pool()).await;
    let forward = action_of_a_new_saga("conformance");
    let backward = action_of_a_new_saga("conformance");
    let batch = [
        harness.envelope(&forward, action),
        harness.envelope(&compensation_of(&forward), undo),
        harness.envelope(&forward, action),
        harness.envelope(&compensation_of(&backward), undo),
        harness.envelope(&backward, action),
    ];
    let replies = harness.deliver_all(&batch).await;
    assert_done::<C>(&replies[1]);
    assert_eq!(replies[0], replies[2], "{}: two answers within one transaction", A::NAME);
    assert_done::<C>(&replies[3]);
    assert_compensated::<A>(&replies[4]);
    assert_eq!(
        snapshot.take(harness.pool()).await,
        before,
        "{} and its undo in one transaction left an effect",
        A::NAME
    );
}

/// Actions of some sagas in one transaction, then their compensations: the same as each alone, and the same answers the
/// second time (S5, S6).
async fn check_set<A: Command, C: Command>(harness: &Harness, snapshot: &Snapshot, pairs: &[(A, C); SET]) {
    let before = snapshot.take(harness.pool()).await;
    let ids: Vec<CommandId> = pairs.iter().map(|_| action_of_a_new_saga("conformance")).collect();
    let actions: Vec<_> = ids.iter().zip(pairs).map(|(id, (action, _))| harness.envelope(id, action)).collect();
    let undos: Vec<_> =
        ids.iter().zip(pairs).map(|(id, (_, undo))| harness.envelope(&compensation_of(id), undo)).collect();
    let first = harness.deliver_all(&actions).await;
    first.iter().for_each(|text| assert_done::<A>(text));
    let done = snapshot.take(harness.pool()).await;
    assert_eq!(harness.deliver_all(&actions).await, first, "{}: other answers of a set the second time", A::NAME);
    assert_eq!(snapshot.take(harness.pool()).await, done, "{}: another effect of a set the second time", A::NAME);
    let undone = harness.deliver_all(&undos).await;
    undone.iter().for_each(|text| assert_done::<C>(text));
    assert_eq!(harness.deliver_all(&undos).await, undone, "{}: other answers of a set the second time", C::NAME);
    assert_eq!(snapshot.take(harness.pool()).await, before, "{} does not undo a set of {}", C::NAME, A::NAME);
}

/// New commands in one transaction with one that was carried out before, one that comes twice, one whose compensation
/// came first, and compensations of the same transaction's actions, either way round.
async fn check_mixed_set<A: Command, C: Command>(harness: &Harness, snapshot: &Snapshot, pairs: &[(A, C); 6]) {
    let before = snapshot.take(harness.pool()).await;
    let ids: [CommandId; 6] = std::array::from_fn(|_| action_of_a_new_saga("conformance"));
    let action = |saga: usize| harness.envelope(&ids[saga], &pairs[saga].0);
    let undo = |saga: usize| harness.envelope(&compensation_of(&ids[saga]), &pairs[saga].1);
    let [new, known, twice, overtaken, undone, turned] = [0, 1, 2, 3, 4, 5];
    let answered = harness.deliver_all(&[action(known), undo(overtaken)]).await;
    let batch = [
        action(new),
        undo(undone),
        action(known),
        action(twice),
        action(overtaken),
        action(turned),
        action(undone),
        undo(turned),
        action(twice),
    ];
    let texts = harness.deliver_all(&batch).await;
    assert_done::<A>(&texts[0]);
    assert_eq!(texts[2], answered[0], "{}: another answer in a set", A::NAME);
    assert_done::<A>(&texts[3]);
    assert_eq!(texts[8], texts[3], "{}: two answers within one transaction", A::NAME);
    assert_compensated::<A>(&texts[4]);
    assert_done::<C>(&texts[1]);
    assert_compensated::<A>(&texts[6]);
    assert_done::<C>(&texts[7]);
    let rest = harness.deliver_all(&[undo(new), undo(known), undo(twice)]).await;
    rest.iter().for_each(|text| assert_done::<C>(text));
    assert_eq!(snapshot.take(harness.pool()).await, before, "a mixed set of {} left an effect", A::NAME);
}

/// The compensation arrives while the action's transaction is open, or the action while its compensation's is (S9).
async fn check_overlap<A: Command, C: Command>(
    harness: &Harness,
    snapshot: &Snapshot,
    paused: Op,
    at: PauseAt,
    (action, undo): &(A, C),
) {
    let id = action_of_a_new_saga("conformance");
    let overlap = harness.overlap(snapshot, paused, at, &id, (action, undo)).await;
    assert_done::<C>(&overlap.compensation);
    assert_eq!(
        overlap.before,
        overlap.after,
        "{} overlapped with {} and left an effect ({paused:?} paused {at:?}): {overlap:?}",
        A::NAME,
        C::NAME
    );
    assert_eq!(
        harness.deliver_text(&id, action).await,
        overlap.action,
        "{}: another answer after the overlap",
        A::NAME
    );
}

/// A crash after each part of an outside action and of its compensation. A local command has only one part, and a
/// crash after it is a redelivery, which the other checks have.
async fn check_crash<A: Command, C: Command>(harness: &Harness, snapshot: &Snapshot, pair: &(A, C)) {
    let (action, undo) = pair;
    let before = snapshot.take(harness.pool()).await;
    let id = action_of_a_new_saga("conformance");
    let Some(half_way) = half_way(harness, &id, action).await else {
        harness.deliver_text(&compensation_of(&id), undo).await;
        return;
    };
    // Dead after the prepare, dead again after the call, then alive.
    drop(half_way);
    match harness.prepare(&id, action).await {
        AfterPrepare::HalfWay(again) => harness.call_and_crash(again).await,
        AfterPrepare::Answered(text) => panic!("{}: answered before its call: {text}", A::NAME),
    }
    assert_done::<A>(&harness.deliver_text(&id, action).await);

    let undo_id = compensation_of(&id);
    if let Some(undo_half_way) = self::half_way(harness, &undo_id, undo).await {
        harness.call_and_crash(undo_half_way).await;
    }
    assert_done::<C>(&harness.deliver_text(&undo_id, undo).await);
    assert_eq!(snapshot.take(harness.pool()).await, before, "{} with crashes was not undone", A::NAME);
}

/// The compensation arrives while the outside call of the action is under way: before the call, and between the call
/// and its record. `fresh` as in [`check_pair`].
///
/// # Panics
/// With a sentence about what does not hold.
pub async fn check_outside_overlap<A: Command, C: Command>(
    harness: &Harness,
    snapshot: &Snapshot,
    fresh: impl Fn() -> (A, C),
) {
    for called in [false, true] {
        let (action, undo) = fresh();
        let before = snapshot.take(harness.pool()).await;
        let id = action_of_a_new_saga("conformance");
        let slow = half_way(harness, &id, &action).await;
        let slow = slow.unwrap_or_else(|| panic!("{} makes no outside call", A::NAME));
        if called {
            match harness.prepare(&id, &action).await {
                AfterPrepare::HalfWay(copy) => harness.call_and_crash(copy).await,
                AfterPrepare::Answered(text) => panic!("{}: answered before its call: {text}", A::NAME),
            }
        }
        assert_done::<C>(&harness.deliver_text(&compensation_of(&id), &undo).await);
        // The slow call arrives only now.
        match harness.finish_half_way(slow).await {
            Delivered::Answered(text) => assert_compensated::<A>(&text),
            other => panic!("{} after its undo: {other:?}", A::NAME),
        }
        assert_compensated::<A>(&harness.deliver_text(&id, &action).await);
        assert_eq!(snapshot.take(harness.pool()).await, before, "{} left an effect (called: {called})", A::NAME);
    }
}

/// A refusal sticks even when it would be a yes by now, its compensation undoes nothing, and neither changes a row
/// (S10). `relent` makes the same action possible.
///
/// # Panics
/// With a sentence about what does not hold.
pub async fn check_refusal<A: Command, C: Command>(
    harness: &Harness,
    snapshot: &Snapshot,
    (action, undo): &(A, C),
    code: &str,
    relent: impl AsyncFnOnce(),
) {
    let id = action_of_a_new_saga("conformance");
    let before = snapshot.take(harness.pool()).await;
    let refused = harness.deliver_text(&id, action).await;
    assert_refused::<A>(&refused, code);
    assert_eq!(snapshot.take(harness.pool()).await, before, "{} refuses but changes something", A::NAME);
    relent().await;
    let before = snapshot.take(harness.pool()).await;
    assert_eq!(harness.deliver_text(&id, action).await, refused, "{}: the refusal does not stick", A::NAME);
    assert_done::<C>(&harness.deliver_text(&compensation_of(&id), undo).await);
    assert_eq!(snapshot.take(harness.pool()).await, before, "the undo of a refused {} changes something", A::NAME);
    assert_eq!(harness.deliver_text(&id, action).await, refused, "{}: the refusal does not stick", A::NAME);
}

/// A refused member of a set keeps no other from being done, changes nothing, and its refusal sticks (S10). `fresh` as in
/// [`check_pair`].
///
/// # Panics
/// With a sentence about what does not hold.
pub async fn check_refusal_in_set<A: Command, C: Command>(
    harness: &Harness,
    snapshot: &Snapshot,
    fresh: impl Fn() -> (A, C),
    (refused, undo_refused): &(A, C),
    code: &str,
) {
    let before = snapshot.take(harness.pool()).await;
    let pairs: [(A, C); 2] = std::array::from_fn(|_| fresh());
    let ids: [CommandId; 3] = std::array::from_fn(|_| action_of_a_new_saga("conformance"));
    let [first, middle, last] = &ids;
    let batch =
        [harness.envelope(first, &pairs[0].0), harness.envelope(middle, refused), harness.envelope(last, &pairs[1].0)];
    let texts = harness.deliver_all(&batch).await;
    assert_done::<A>(&texts[0]);
    assert_refused::<A>(&texts[1], code);
    assert_done::<A>(&texts[2]);
    assert_eq!(harness.deliver_all(&batch).await, texts, "{}: other answers of a set the second time", A::NAME);
    let undos = [
        harness.envelope(&compensation_of(first), &pairs[0].1),
        harness.envelope(&compensation_of(middle), undo_refused),
        harness.envelope(&compensation_of(last), &pairs[1].1),
    ];
    harness.deliver_all(&undos).await.iter().for_each(|text| assert_done::<C>(text));
    assert_eq!(snapshot.take(harness.pool()).await, before, "{}: a refused member of a set left an effect", A::NAME);
}

async fn half_way<C: Command>(harness: &Harness, id: &CommandId, command: &C) -> Option<super::HalfWay> {
    match harness.prepare(id, command).await {
        AfterPrepare::HalfWay(half_way) => Some(half_way),
        AfterPrepare::Answered(_) => None,
    }
}

fn assert_done<C: Command>(text: &str) {
    assert!(text.starts_with(r#"{"outcome":"done""#), "{} was not done: {text}", C::NAME);
}

fn assert_refused<C: Command>(text: &str, code: &str) {
    let start = format!(r#"{{"outcome":"refused","code":"{code}""#);
    assert!(text.starts_with(&start), "{} was not refused as {code}: {text}", C::NAME);
}

fn assert_compensated<C: Command>(text: &str) {
    assert_refused::<C>(text, contract::command::REFUSED_STEP_COMPENSATED);
}

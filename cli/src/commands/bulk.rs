//! An act on several items: a few at once, at a pace, the canary first, with an account of what was done however it ends.

use std::{fmt::Display, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::{
    args::Pace,
    failure::{Exit, Failure},
    output,
    stops::{Stop, Stops},
};

/// The most requests under way at once: enough to hide the way there and back, few beside what the gateway lets an operator do.
const AT_ONCE_MAX: usize = 8;

/// The account of a command over several items.
pub(crate) struct Report<T> {
    /// The items that worked, in order.
    pub(crate) done: Vec<T>,
    failed: Vec<(String, Failure)>,
    /// The items that were not touched, and how a command ends that left them.
    left: Option<(usize, Failure)>,
}

impl<T> Default for Report<T> {
    fn default() -> Self {
        Self { done: Vec::new(), failed: Vec::new(), left: None }
    }
}

impl<T> Report<T> {
    /// Notes how one item went.
    pub(crate) fn add(&mut self, id: impl Display, result: Result<T, Failure>) {
        match result {
            Ok(item) => self.done.push(item),
            Err(failure) => self.failed.push((id.to_string(), failure)),
        }
    }

    /// Prints the failures to stderr and chooses the ending: one failure of one item ends as itself; several as
    /// themselves when all failed alike and nothing worked, else partial.
    pub(crate) fn end(self) -> Result<(), Failure> {
        if let Some((left, _)) = &self.left {
            output::note(&format!("{} done, {} failed, {left} not touched", self.done.len(), self.failed.len()));
        }
        let ending = self.ending();
        if self.failed.len() > 1 || (!self.failed.is_empty() && (!self.done.is_empty() || self.left.is_some())) {
            let rows = self.failed.iter().map(|(id, failure)| vec![id.clone(), output::printable(&failure.message)]);
            output::note(&output::table(&["ID", "REASON"], rows));
        }
        ending
    }

    fn ending(&self) -> Result<(), Failure> {
        let count = self.failed.len();
        if let Some((_, failure)) = &self.left {
            return Err(failure.clone());
        }
        match self.failed.as_slice() {
            [] => Ok(()),
            [(id, only)] if self.done.is_empty() => Err(Failure::new(only.exit, format!("{id}: {only}"))),
            [(_, first), rest @ ..] if self.done.is_empty() => {
                let alike = rest.iter().all(|(_, failure)| failure.exit == first.exit);
                Err(Failure::new(if alike { first.exit } else { Exit::Error }, format!("all {count} failed")))
            }
            _ => Err(Failure::new(Exit::Partial, format!("{count} of {} failed", count + self.done.len()))),
        }
    }
}

/// Carries an act out on each item. The first one goes alone: an address or a login that does not work fails once. What has been
/// sent is always waited for: neither an interruption nor a failure may leave it unsaid.
pub(crate) async fn each<I: Copy + Display, T>(
    items: &[I],
    pace: Pace,
    stops: &Stops,
    carry_out: impl AsyncFn(usize, I) -> Result<T, Failure>,
) -> Report<T> {
    let mut tick = pace.rate.map(|rate| {
        let mut tick = interval(Duration::from_secs(1) / u32::from(rate.get()));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick
    });
    let mut run = Run::of(items.len(), pace);
    let mut under_way = FuturesUnordered::new();
    while run.may_start(under_way.len()) || !under_way.is_empty() {
        let may_start = run.may_start(under_way.len());
        tokio::select! {
            biased;
            stop = stops.reached(), if run.stopped.is_none() => run.stopped = Some(Stopped::From(stop)),
            Some((place, result)) = under_way.next() => run.note(place, result),
            () = turn(&mut tick), if may_start => {
                let (place, item) = (run.started, items[run.started]);
                run.started += 1;
                let carried_out = carry_out(place, item);
                under_way.push(async move { (place, carried_out.await) });
            }
        }
    }
    drop(under_way);
    run.report(items, stops)
}

/// The next moment at which the rate lets an item go.
async fn turn(tick: &mut Option<Interval>) {
    if let Some(tick) = tick {
        tick.tick().await;
    }
}

/// The reason why no more items are started.
enum Stopped {
    From(Stop),
    /// By an item that all others would follow.
    Login(Failure),
    Canary,
}

/// The items of a command, while it runs.
struct Run<T> {
    results: Vec<Option<Result<T, Failure>>>,
    started: usize,
    ended: usize,
    failed: usize,
    canary: usize,
    stopped: Option<Stopped>,
    bar: ProgressBar,
}

impl<T> Run<T> {
    fn of(count: usize, pace: Pace) -> Self {
        // Hidden when stderr is no terminal.
        let target = if count > 1 { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(count as u64), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len}{msg}, {eta} left") {
            bar.set_style(style.progress_chars("##-"));
        }
        let canary = pace.canary.and_then(|canary| usize::try_from(canary.get()).ok()).unwrap_or_default();
        let results = (0..count).map(|_| None).collect();
        Self { results, started: 0, ended: 0, failed: 0, canary, stopped: None, bar }
    }

    fn may_start(&self, under_way: usize) -> bool {
        let at_once = if self.ended == 0 { 1 } else { AT_ONCE_MAX };
        let canary_awaited = self.started == self.canary && self.ended < self.canary;
        self.stopped.is_none() && self.started < self.results.len() && under_way < at_once && !canary_awaited
    }

    fn note(&mut self, place: usize, result: Result<T, Failure>) {
        self.ended += 1;
        if let Err(failure) = &result {
            self.failed += 1;
            if failure.exit == Exit::Auth && self.stopped.is_none() {
                self.stopped = Some(Stopped::Login(failure.clone()));
            }
            self.bar.set_message(format!(", {} failed", self.failed));
        }
        if self.ended == self.canary && self.failed > 0 && self.stopped.is_none() {
            self.stopped = Some(Stopped::Canary);
        }
        self.results[place] = Some(result);
        self.bar.inc(1);
    }

    fn report<I: Display>(self, items: &[I], stops: &Stops) -> Report<T> {
        self.bar.finish_and_clear();
        let mut report = Report::default();
        let left = self.results.len() - self.ended;
        for (item, result) in items.iter().zip(self.results) {
            if let Some(result) = result {
                report.add(item, result);
            }
        }
        report.left = self.stopped.filter(|_| left > 0).map(|stopped| {
            let failure = match stopped {
                Stopped::From(stop) => stops.failure(stop),
                Stopped::Login(failure) => failure,
                Stopped::Canary => {
                    let exit = match report.failed.as_slice() {
                        [(_, first), ..] if report.done.is_empty() => first.exit,
                        _ => Exit::Partial,
                    };
                    Failure::new(exit, "not every one of the canary took the change")
                }
            };
            (left, failure)
        });
        report
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::{Cell, RefCell},
        collections::BTreeSet,
        num::{NonZeroU16, NonZeroU32},
    };

    use super::*;

    const ANY: Pace = Pace { canary: None, rate: None };

    fn ending(done: usize, failed: &[Exit]) -> Exit {
        let mut report = Report::default();
        for item in 0..done {
            report.add(item, Ok(item));
        }
        for exit in failed {
            report.add("x", Err(Failure::new(*exit, "no")));
        }
        report.ending().map_or_else(|failure| failure.exit, |()| Exit::Ok)
    }

    fn left_of<T>(report: &Report<T>) -> (usize, usize, Option<(usize, Exit)>) {
        let left = report.left.as_ref().map(|(left, failure)| (*left, failure.exit));
        (report.done.len(), report.failed.len(), left)
    }

    #[test]
    fn the_ending_tells_all_some_and_none_apart() {
        assert_eq!(ending(2, &[]), Exit::Ok);
        assert_eq!(ending(1, &[Exit::Conflict]), Exit::Partial);
        assert_eq!(ending(0, &[Exit::NotFound]), Exit::NotFound);
        assert_eq!(ending(0, &[Exit::Conflict, Exit::Conflict]), Exit::Conflict);
        assert_eq!(ending(0, &[Exit::Conflict, Exit::NotFound]), Exit::Error);
    }

    #[tokio::test]
    async fn a_few_are_under_way_at_once_after_the_first_one_and_the_order_stays() {
        let items: Vec<usize> = (0..40).collect();
        let (under_way, most, with_first) = (Cell::new(0_usize), Cell::new(0), Cell::new(0));
        let report = each(&items, ANY, &Stops::default(), async |place, item| {
            under_way.set(under_way.get() + 1);
            most.set(most.get().max(under_way.get()));
            for _ in 0..(40 - item) {
                tokio::task::yield_now().await;
            }
            if place == 0 {
                with_first.set(most.get());
            }
            under_way.set(under_way.get() - 1);
            Ok(item)
        })
        .await;
        assert_eq!((with_first.get(), most.get()), (1, AT_ONCE_MAX));
        assert_eq!(report.done, items);
    }

    #[tokio::test]
    async fn nothing_is_started_after_a_login_that_ended_and_what_is_under_way_is_told() {
        let items: Vec<usize> = (0..40).collect();
        let report = each(&items, ANY, &Stops::default(), async |_, item| match item {
            0..5 => Ok(item),
            _ => Err(Failure::new(Exit::Auth, "the stored login has ended")),
        })
        .await;
        let (done, failed, left) = left_of(&report);
        assert_eq!(done, 5);
        assert!((1..=AT_ONCE_MAX).contains(&failed), "{failed}");
        assert_eq!(left, Some((40 - done - failed, Exit::Auth)));
    }

    #[tokio::test]
    async fn the_others_follow_only_a_canary_that_took_the_change() {
        let items: Vec<usize> = (0..10).collect();
        let canary = Pace { canary: NonZeroU32::new(3), rate: None };
        let seen = RefCell::new(Vec::new());
        let report = each(&items, canary, &Stops::default(), async |_, item| {
            tokio::task::yield_now().await;
            seen.borrow_mut().push(item);
            if item == 1 { Err(Failure::new(Exit::Conflict, "no")) } else { Ok(item) }
        })
        .await;
        assert_eq!(left_of(&report), (2, 1, Some((7, Exit::Partial))));
        assert_eq!(seen.take().into_iter().collect::<BTreeSet<_>>(), BTreeSet::from([0, 1, 2]));
        let report = each(&items, canary, &Stops::default(), async |_, item| Ok(item)).await;
        assert_eq!(left_of(&report), (10, 0, None));
    }

    #[tokio::test]
    async fn a_rate_is_kept() {
        let items: Vec<usize> = (0..21).collect();
        let begun = tokio::time::Instant::now();
        let rate = Pace { canary: None, rate: NonZeroU16::new(100) };
        let report = each(&items, rate, &Stops::default(), async |_, item| Ok(item)).await;
        assert_eq!(report.done.len(), 21);
        assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_command_that_is_interrupted_says_what_it_left() {
        let items: Vec<usize> = (0..10).collect();
        let stops = Stops::default();
        let report = each(&items, ANY, &stops, async |_, item| {
            if item == 0 {
                stops.interrupt();
            }
            Ok(item)
        })
        .await;
        assert_eq!(left_of(&report), (1, 0, Some((9, Exit::Interrupted))));
    }
}

//! The stretches of a saga's time, for all who draw its timeline: in what was under way a person looks closely, and idle time that is
//! long beside it is better folded.

use chrono::{DateTime, TimeDelta, Utc};

/// A stretch that is shorter is not worth folding.
const FOLD_MIN: TimeDelta = TimeDelta::milliseconds(200);

/// A part of a saga's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The time of its beginning.
    pub from: DateTime<Utc>,
    /// The time of its end, which is later.
    pub until: DateTime<Utc>,
    /// True when nothing was under way, for longer than half of all that was.
    pub is_idle: bool,
}

/// The stretches between two times, one after the other and without gaps, of the times in which something was under way.
#[must_use]
pub fn stretches(
    under_way: impl IntoIterator<Item = (DateTime<Utc>, DateTime<Utc>)>,
    began: DateTime<Utc>,
    end: DateTime<Utc>,
) -> Vec<Stretch> {
    let busy = merged(under_way);
    let total = busy.iter().fold(TimeDelta::zero(), |sum, (from, until)| sum + (*until - *from));
    let least = (total / 2).max(FOLD_MIN);
    let mut stretches = Vec::new();
    let mut put = |from: DateTime<Utc>, until: DateTime<Utc>, idle: bool| {
        let (from, until) = (from.max(began), until.min(end));
        if until > from {
            stretches.push(Stretch { from, until, is_idle: idle && until - from > least });
        }
    };
    let mut at = began;
    for (from, until) in busy {
        put(at, from, true);
        put(from.max(at), until, false);
        at = at.max(until);
    }
    put(at, end, true);
    stretches
}

/// The times in which something was under way, those that touch as one.
fn merged(under_way: impl IntoIterator<Item = (DateTime<Utc>, DateTime<Utc>)>) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let mut times: Vec<_> = under_way.into_iter().collect();
    times.sort_unstable();
    let mut merged: Vec<(DateTime<Utc>, DateTime<Utc>)> = Vec::new();
    for (from, until) in times {
        match merged.last_mut() {
            Some((_, last)) if from <= *last => *last = (*last).max(until),
            Some(_) | None => merged.push((from, until)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(ms)
    }

    #[test]
    fn time_in_which_nothing_was_under_way_is_idle_when_it_is_long_beside_the_rest() {
        let told = stretches(
            [(at(0), at(1_000)), (at(7_200_000), at(7_201_000)), (at(7_201_500), at(7_202_000))],
            at(0),
            at(7_202_000),
        );
        let told: Vec<_> = told.iter().map(|one| ((one.until - one.from).num_milliseconds(), one.is_idle)).collect();
        assert_eq!(told, [(1_000, false), (7_199_000, true), (1_000, false), (500, false), (500, false)]);
        // Where nothing was under way at all, there is nothing to look at closely.
        assert_eq!(stretches([], at(0), at(500)), [Stretch { from: at(0), until: at(500), is_idle: true }]);
        assert!(stretches([(at(0), at(0))], at(0), at(0)).is_empty());
    }

    proptest! {
        #[test]
        fn stretches_cover_the_whole_time_once_and_what_was_under_way_is_never_idle(
            times in proptest::collection::vec((0_i64..100_000, 0_i64..5_000), 0..40),
            end in 1_i64..120_000,
        ) {
            let times: Vec<_> = times.into_iter().map(|(from, length)| (at(from), at(from + length))).collect();
            let told = stretches(times.clone(), at(0), at(end));
            prop_assert_eq!(told.first().map(|one| one.from), Some(at(0)));
            prop_assert_eq!(told.last().map(|one| one.until), Some(at(end)));
            for pair in told.windows(2) {
                prop_assert_eq!(pair[0].until, pair[1].from);
            }
            for one in &told {
                prop_assert!(one.from < one.until);
                let touched = times.iter().any(|(from, until)| *from < one.until && *until > one.from);
                prop_assert!(!(one.is_idle && touched), "{:?}", one);
            }
        }
    }
}

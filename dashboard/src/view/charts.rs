//! Charts: areas of what ended, lines of how long it took, bars of how old what is open is. A drawing is stretched to the
//! width of its place, so words stand beside it and not in it; a table tells the same numbers.

use contract::orchestrator_api::{AgeGroup, Durations, Throughput, ThroughputPoint};

use super::times::{self, Local, Zone};

/// The size of a drawing in its own units.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 120.0;

/// The least and the greatest duration of a scale, in milliseconds, when there is none to be drawn.
const SCALE_MS: (u64, u64) = (10, 10_000);

/// One line or area, with the word and the class of its color.
pub(crate) struct Series {
    pub(crate) word: &'static str,
    pub(crate) class: &'static str,
    /// A path of SVG.
    pub(crate) path: String,
}

/// One line of the table of a chart.
pub(crate) struct Line {
    pub(crate) at: Local,
    pub(crate) cells: Vec<String>,
}

/// A chart over time.
pub(crate) struct Chart {
    /// The word for an id in the page.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) series: Vec<Series>,
    /// From the top to the bottom.
    pub(crate) scale: Vec<String>,
    /// From the first to the last.
    pub(crate) times: Vec<Local>,
    pub(crate) zone: Option<Zone>,
    pub(crate) table: Vec<Line>,
    /// The words in place of an empty chart.
    pub(crate) empty: Option<&'static str>,
}

/// A bar of a histogram.
pub(crate) struct Bar {
    pub(crate) word: String,
    pub(crate) number: u64,
    pub(crate) width: f64,
}

/// The ended sagas, as areas that stand on each other.
pub(crate) fn ended(told: &Throughput) -> Chart {
    let points = &told.points;
    let [completed, compensated, abandoned]: [fn(&ThroughputPoint) -> u64; 3] =
        [|point| point.completed, |point| point.compensated, |point| point.abandoned];
    let all = |point: &ThroughputPoint| point.completed + point.compensated + point.abandoned;
    let highest = nice(points.iter().map(all).max().unwrap_or_default());
    let counted: Vec<_> = points.iter().map(|point| told.counted_from.is_none_or(|from| point.at >= from)).collect();
    let mut below = vec![0; points.len()];
    let mut area = |word, class, of: fn(&ThroughputPoint) -> u64| {
        let above: Vec<u64> = points.iter().zip(&below).map(|(point, below)| below + of(point)).collect();
        let path = area(&counted, &below, &above, highest);
        below = above;
        Series { word, class, path }
    };
    let series = vec![
        area("completed", "completed", completed),
        area("compensated", "compensated", compensated),
        area("abandoned", "abandoned", abandoned),
    ];
    let cells = |point: &ThroughputPoint| [completed, compensated, abandoned].map(|of| of(point).to_string()).into();
    Chart {
        name: "ended",
        title: "Ended sagas",
        series,
        scale: vec![highest.to_string(), 0.to_string()],
        times: ticks(points),
        zone: points.last().map(|point| times::zone(point.at)),
        table: points.iter().map(|point| Line { at: times::minute(point.at), cells: cells(point) }).collect(),
        empty: points.iter().all(|point| all(point) == 0).then_some("No saga ended in this time."),
    }
}

/// How long it took, as lines on a logarithmic scale.
pub(crate) fn durations(told: &Throughput) -> Chart {
    let points = &told.points;
    let known = points.iter().filter_map(|point| point.durations);
    let least = known.clone().map(|durations| durations.p50_ms).min().unwrap_or(SCALE_MS.0);
    let greatest = known.map(|durations| durations.p99_ms).max().unwrap_or(SCALE_MS.1);
    let (from, to) = decades(least, greatest);
    let line = |word, class, of: fn(Durations) -> u64| {
        let values: Vec<_> = points.iter().map(|point| point.durations.map(of)).collect();
        Series { word, class, path: line(&values, from, to) }
    };
    let series = vec![
        line("p99", "compensating", |durations| durations.p99_ms),
        line("p95", "waiting", |durations| durations.p95_ms),
        line("p50", "running", |durations| durations.p50_ms),
    ];
    let cells = |point: &ThroughputPoint| {
        let of = |of: fn(Durations) -> u64| point.durations.map_or_else(|| "none".to_owned(), |known| span(of(known)));
        vec![of(|known| known.p99_ms), of(|known| known.p95_ms), of(|known| known.p50_ms)]
    };
    Chart {
        name: "durations",
        title: "How long they took",
        series,
        scale: (from..=to).rev().map(|decade| span(10_u64.saturating_pow(decade))).collect(),
        times: ticks(points),
        zone: points.last().map(|point| times::zone(point.at)),
        table: points.iter().map(|point| Line { at: times::minute(point.at), cells: cells(point) }).collect(),
        empty: points.iter().all(|point| point.durations.is_none()).then_some("No saga ended in this time."),
    }
}

/// The ages of open sagas, as bars.
pub(crate) fn ages(ages: &[AgeGroup]) -> Vec<Bar> {
    let highest = ages.iter().map(|age| age.sagas).max().unwrap_or_default().max(1);
    let bar = |(place, age): (usize, &AgeGroup)| {
        let word = match ages.get(place + 1) {
            Some(next) if age.from_seconds == 0 => format!("up to {}", length(next.from_seconds)),
            Some(next) => format!("{} to {}", length(age.from_seconds), length(next.from_seconds)),
            None => format!("over {}", length(age.from_seconds)),
        };
        Bar { word, number: age.sagas, width: share(age.sagas, highest) * 100.0 }
    };
    ages.iter().enumerate().map(bar).collect()
}

fn length(seconds: u32) -> String {
    match seconds {
        0..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A length of time on an axis.
fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100).replace(".0 s", " s"),
        60_000..3_600_000 => format!("{} min", ms / 60_000),
        3_600_000..86_400_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} d", ms / 86_400_000),
    }
}

/// The first, the middle and the last time.
fn ticks(points: &[ThroughputPoint]) -> Vec<Local> {
    let middle = points.get(points.len() / 2);
    let all = [points.first(), middle, points.last()];
    all.into_iter().flatten().map(|point| times::minute(point.at)).collect()
}

/// The least round number that is no less.
fn nice(number: u64) -> u64 {
    let mut decade = 1_u64;
    loop {
        for factor in [1, 2, 5] {
            let round = decade.saturating_mul(factor);
            if round >= number {
                return round;
            }
        }
        decade = decade.saturating_mul(10);
    }
}

/// The powers of ten between which all values lie, at least one decade apart.
fn decades(least: u64, greatest: u64) -> (u32, u32) {
    let from = least.max(1).ilog10();
    let mut to = from + 1;
    while 10_u64.saturating_pow(to) < greatest {
        to += 1;
    }
    (from, to)
}

/// A part of a whole, from 0 to 1. Charts are drawn no finer than floating numbers are exact.
#[expect(clippy::cast_precision_loss, reason = "a place in a drawing")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn across(place: usize, of: usize) -> f64 {
    share(place as u64, of.saturating_sub(1) as u64) * WIDTH
}

/// Areas between two lines, one for each stretch without a gap.
fn area(counted: &[bool], below: &[u64], above: &[u64], highest: u64) -> String {
    let of = counted.len();
    let point =
        |place: usize, value: u64| format!("{:.1} {:.1}", across(place, of), HEIGHT - share(value, highest) * HEIGHT);
    let mut path = String::new();
    for stretch in stretches(counted) {
        let there = stretch.clone().map(|place| point(place, above[place]));
        let back = stretch.rev().map(|place| point(place, below[place]));
        let all: Vec<_> = there.chain(back).collect();
        path.push_str(&format!("M{}Z", all.join("L")));
    }
    path
}

/// Lines through what is known, one for each stretch without a gap. A single point is a short stroke.
fn line(values: &[Option<u64>], from: u32, to: u32) -> String {
    let known: Vec<_> = values.iter().map(Option::is_some).collect();
    let height = |ms: u64| {
        let decade = share(ms.max(1), 1).log10() - f64::from(from);
        HEIGHT - (decade / f64::from(to - from)).clamp(0.0, 1.0) * HEIGHT
    };
    let mut path = String::new();
    for stretch in stretches(&known) {
        let single = stretch.len() == 1;
        let points = stretch.filter_map(|place| Some((across(place, values.len()), height(values[place]?))));
        let points: Vec<_> = points.map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        path.push_str(&format!("M{}", points.join("L")));
        if single {
            path.push_str("h.1");
        }
    }
    path
}

/// The stretches in which all is known.
fn stretches(known: &[bool]) -> Vec<std::ops::Range<usize>> {
    let mut stretches: Vec<std::ops::Range<usize>> = Vec::new();
    for (place, _) in known.iter().enumerate().filter(|(_, known)| **known) {
        match stretches.last_mut() {
            Some(last) if last.end == place => last.end += 1,
            Some(_) | None => stretches.push(place..place + 1),
        }
    }
    stretches
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;

    fn told(points: &[(u64, Option<u64>)]) -> Throughput {
        let point = |(minute, (completed, lasted)): (i64, &(u64, Option<u64>))| ThroughputPoint {
            at: DateTime::UNIX_EPOCH + TimeDelta::minutes(minute),
            completed: *completed,
            compensated: 1,
            abandoned: 0,
            durations: lasted.map(|ms| Durations { p50_ms: ms, p95_ms: ms, p99_ms: ms }),
        };
        Throughput { step_seconds: 60, points: (0..).zip(points).map(point).collect(), counted_from: None }
    }

    #[test]
    fn what_ended_is_drawn_as_areas_that_stand_on_each_other() {
        let mut told = told(&[(4, None), (0, None), (1, None)]);
        let chart = ended(&told);
        assert_eq!(chart.scale, ["5", "0"]);
        assert_eq!(chart.series[0].path, "M0.0 24.0L300.0 120.0L600.0 96.0L600.0 120.0L300.0 120.0L0.0 120.0Z");
        assert_eq!(chart.series[1].path, "M0.0 0.0L300.0 96.0L600.0 72.0L600.0 96.0L300.0 120.0L0.0 24.0Z");
        assert_eq!((chart.table[0].at.words.as_str(), chart.table[0].cells.join(" ")), ("00:00", "4 1 0".to_owned()));
        told.counted_from = Some(told.points[1].at);
        assert!(ended(&told).series[0].path.starts_with("M300.0 "), "what is not counted whole is left out");
    }

    #[test]
    fn durations_are_drawn_on_a_logarithmic_scale_with_gaps_as_gaps() {
        let chart = durations(&told(&[(1, Some(10)), (1, Some(100)), (1, None), (1, None), (1, Some(1_000))]));
        assert_eq!(chart.scale, ["1 s", "100 ms", "10 ms"]);
        assert_eq!(chart.series[0].path, "M0.0 120.0L150.0 60.0M600.0 0.0h.1");
        assert_eq!(chart.table[2].cells, ["none", "none", "none"]);
    }

    #[test]
    fn ages_are_named_by_their_bounds() {
        let ages_of = contract::orchestrator_api::AGES_SECONDS;
        let ages_of: Vec<_> = ages_of.iter().map(|from| AgeGroup { from_seconds: *from, sagas: 2 }).collect();
        let words: Vec<_> = ages(&ages_of).into_iter().map(|bar| bar.word).collect();
        let expected =
            ["up to 1 min", "1 min to 10 min", "10 min to 1 h", "1 h to 6 h", "6 h to 1 d", "1 d to 7 d", "over 7 d"];
        assert_eq!(words, expected);
        assert_eq!((nice(0), nice(3), nice(101)), (1, 5, 200));
    }
}

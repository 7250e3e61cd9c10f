//! The timeline of a saga as SVG: a row a step, bars for what was under way, ticks for attempts, hollow bars for waits. A
//! stretch in which nothing was under way is folded to a narrow piece that tells its length. Pure: spans in, a drawing out.

use std::collections::BTreeMap;

use askama::Template;
use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    Op,
    orchestrator_api::{SpanEnd, Spent, Stretch, Timeline, TimelineSpan, stretches},
};

use super::times::{self, Local, Words, Zone};

/// The width of the drawing, and of the names at its left side, in pixels.
const WIDTH: f64 = 1_000.0;
const NAMES_WIDTH: f64 = 190.0;
/// The room right of the last bar.
const MARGIN: f64 = 10.0;
/// The height of a row, of a bar in it, and of the lines above the rows that tell lengths and times.
const ROW: usize = 26;
const BAR: usize = 12;
const HEAD: usize = 26;
const FOOT: usize = 40;
/// The narrowest bar that can be seen and pointed at.
const BAR_WIDTH_MIN: f64 = 3.0;
/// A folded stretch is so wide, and all of them together take at most half of the drawing.
const FOLD_WIDTH: f64 = 64.0;
const FOLDS_SHARE_MAX: f64 = 0.5;
/// A narrower fold tells its length only where it is pointed at.
const FOLD_WORDS_WIDTH_MIN: f64 = 44.0;
/// Up to so many bars the keyboard stops at each; with more of them the table is the quicker way.
const FOCUSED_MAX: usize = 60;
/// The longest name that fits beside the drawing, in characters.
const NAME_MAX: usize = 24;

/// One row's name.
struct Name {
    y: usize,
    words: String,
    full: String,
}

/// A span as a bar in its row.
struct Bar {
    x: f64,
    y: usize,
    width: f64,
    class: &'static str,
    hollow: bool,
    tells: Words,
}

/// A folded stretch.
struct Fold {
    x: f64,
    width: f64,
    words: String,
    /// False where it is too narrow for its words.
    told: bool,
}

/// One span in the table.
struct Line {
    step: String,
    spent: String,
    from: Local,
    until: Option<Local>,
    length: String,
    end: &'static str,
}

/// The timeline as the page shows it.
#[derive(Template)]
#[template(path = "timeline.html")]
pub(crate) struct Drawing {
    height: usize,
    names: Vec<Name>,
    bars: Vec<Bar>,
    folds: Vec<Fold>,
    began: Words,
    ended: Words,
    zone: Zone,
    focused: bool,
    lines: Vec<Line>,
}

impl Drawing {
    /// The line under the last row, in which a bar tells its times.
    const fn foot(&self) -> usize {
        self.height - FOOT + 16
    }

    const fn rows_height(&self) -> usize {
        self.height - FOOT - HEAD + 8
    }
}

/// The drawing; none of a saga that has sent and awaited nothing yet.
pub(crate) fn draw(timeline: &Timeline, folded: bool, now: DateTime<Utc>) -> Option<Drawing> {
    let end = timeline.ended_at.unwrap_or(now).max(timeline.began_at);
    let began = timeline.spans.iter().map(|span| span.from).min()?.min(timeline.began_at);
    let scale = Scale::new(&timeline.spans, began, end, folded);
    let mut rows: BTreeMap<&str, usize> = BTreeMap::new();
    let mut names = Vec::new();
    let mut bars = Vec::with_capacity(timeline.spans.len());
    for span in &timeline.spans {
        let step = span.step.as_str();
        let next = rows.len();
        let y = HEAD + ROW * *rows.entry(step).or_insert(next);
        if rows.len() > next {
            names.push(Name { y: y + BAR + 2, words: cut(step), full: step.to_owned() });
        }
        let (x, to) = (scale.x(span.from), scale.x(span.until.unwrap_or(end)));
        bars.push(Bar {
            x,
            y: y + (ROW - BAR) / 2 - 2,
            width: (to - x).max(BAR_WIDTH_MIN),
            class: class(span),
            hollow: span.spent != Spent::UnderWay,
            tells: tells(span, end),
        });
    }
    Some(Drawing {
        height: HEAD + ROW * rows.len() + FOOT,
        names,
        focused: bars.len() <= FOCUSED_MAX,
        bars,
        folds: scale.folds(),
        began: times::words(|time| time(began, true)),
        ended: times::words(|time| time(end, true)),
        zone: times::zone(end),
        lines: timeline.spans.iter().map(|span| line(span, end)).collect(),
    })
}

fn cut(name: &str) -> String {
    let long = name.chars().count() > NAME_MAX;
    if long { name.chars().take(NAME_MAX - 1).chain(['…']).collect() } else { name.to_owned() }
}

const fn class(span: &TimelineSpan) -> &'static str {
    match (span.spent, span.end) {
        (Spent::UnderWay | Spent::Child, None) => "running",
        (Spent::UnderWay | Spent::Child, Some(SpanEnd::Done)) => match span.op {
            Op::Action | Op::Extension => "completed",
            Op::Compensation => "compensated",
        },
        (Spent::UnderWay | Spent::Child, Some(SpanEnd::Refused)) => "abandoned",
        (Spent::UnderWay | Spent::Child, Some(SpanEnd::Failed)) => "compensating",
        (Spent::UnderWay | Spent::Child, Some(SpanEnd::Left)) => "pending",
        (Spent::Retry | Spent::Signal | Spent::Time, _) => "waiting",
        (Spent::Person, _) => "attention",
    }
}

fn spent(span: &TimelineSpan) -> String {
    let number = span.attempt.map_or_else(String::new, |attempt| attempt.to_string());
    let words = match span.spent {
        Spent::UnderWay => format!("attempt {number}"),
        Spent::Child => "its saga runs".to_owned(),
        Spent::Retry => format!("waits for attempt {number}"),
        Spent::Signal => "waits for its signal".to_owned(),
        Spent::Time => "waits for a time".to_owned(),
        Spent::Person => "waits for a person".to_owned(),
    };
    match span.op {
        Op::Action => words,
        Op::Compensation => format!("undoing, {words}"),
        Op::Extension => format!("extending, {words}"),
    }
}

const fn end_words(end: Option<SpanEnd>) -> &'static str {
    match end {
        None => "lasts",
        Some(SpanEnd::Done) => "done",
        Some(SpanEnd::Refused) => "refused",
        Some(SpanEnd::Failed) => "failed",
        Some(SpanEnd::Left) => "over",
    }
}

fn line(span: &TimelineSpan, end: DateTime<Utc>) -> Line {
    Line {
        step: span.step.to_string(),
        spent: spent(span),
        from: times::millisecond(span.from),
        until: span.until.map(times::millisecond),
        length: times::span(span.until.unwrap_or(end) - span.from),
        end: end_words(span.end),
    }
}

fn tells(span: &TimelineSpan, end: DateTime<Utc>) -> Words {
    let Line { step, spent, length, end, .. } = line(span, end);
    times::words(|time| {
        let range = match span.until {
            Some(until) => format!("{} to {}", time(span.from, false), time(until, true)),
            None => format!("{} to now", time(span.from, true)),
        };
        format!("{step}: {spent}, {end}; {range}, {length}")
    })
}

/// A stretch of time and its place in the drawing.
struct Piece {
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    x: f64,
    width: f64,
    folded: bool,
}

/// The way from times to places: pieces that are to scale, and folded ones between them.
struct Scale(Vec<Piece>);

impl Scale {
    fn new(spans: &[TimelineSpan], began: DateTime<Utc>, end: DateTime<Utc>, folded: bool) -> Self {
        let under_way = spans.iter().filter(|span| span.spent == Spent::UnderWay);
        let under_way = under_way.map(|span| (span.from, span.until.unwrap_or(end)));
        let piece =
            |Stretch { from, until, is_idle }| Piece { from, until, x: 0.0, width: 0.0, folded: folded && is_idle };
        Self(placed(stretches(under_way, began, end).into_iter().map(piece).collect()))
    }

    fn x(&self, at: DateTime<Utc>) -> f64 {
        let piece = self.0.iter().find(|piece| at <= piece.until).or(self.0.last());
        let Some(piece) = piece else { return NAMES_WIDTH };
        let share = length(at - piece.from) / length(piece.until - piece.from).max(f64::MIN_POSITIVE);
        piece.x + piece.width * share.clamp(0.0, 1.0)
    }

    fn folds(&self) -> Vec<Fold> {
        let folded = self.0.iter().filter(|piece| piece.folded);
        let fold = |piece: &Piece| Fold {
            x: piece.x,
            width: piece.width,
            words: times::span(piece.until - piece.from),
            told: piece.width >= FOLD_WORDS_WIDTH_MIN,
        };
        folded.map(fold).collect()
    }
}

/// Gives each piece its place: folded ones alike, the others by their length.
fn placed(mut pieces: Vec<Piece>) -> Vec<Piece> {
    let room = WIDTH - NAMES_WIDTH - MARGIN;
    let folds = pieces.iter().filter(|piece| piece.folded).fold(0.0, |count, _| count + 1.0_f64);
    let fold = if folds > 0.0 { FOLD_WIDTH.min(room * FOLDS_SHARE_MAX / folds) } else { 0.0 };
    let open: f64 = pieces.iter().filter(|piece| !piece.folded).map(|piece| length(piece.until - piece.from)).sum();
    let mut x = NAMES_WIDTH;
    for piece in &mut pieces {
        let share = length(piece.until - piece.from) / open.max(f64::MIN_POSITIVE);
        piece.width = if piece.folded { fold } else { (room - fold * folds) * share };
        piece.x = x;
        x += piece.width;
    }
    pieces
}

/// A length for the drawing; a journal's times are as exact.
fn length(of: TimeDelta) -> f64 {
    of.as_seconds_f64().max(0.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn timeline(spans: &[(&str, &str, i64, Option<i64>)]) -> Timeline {
        let at = |seconds: i64| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let span = |(step, spent, from, until): &(&str, &str, i64, Option<i64>)| {
            json!({
                "step": step, "op": "action", "spent": spent, "attempt": 1, "from": at(*from),
                "until": until.map(at), "end": until.map(|_| "done"),
            })
        };
        let spans: Vec<_> = spans.iter().map(span).collect();
        serde_json::from_value(json!({ "began_at": at(0), "spans": spans })).unwrap()
    }

    fn hours() -> Timeline {
        timeline(&[
            ("hold", "under_way", 0, Some(2)),
            ("wait", "signal", 2, Some(7_200)),
            ("pay", "under_way", 7_200, None),
        ])
    }

    #[test]
    fn a_step_has_a_row_and_a_wait_is_hollow() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(7_202);
        let drawing = draw(&hours(), true, now).unwrap();
        assert_eq!(drawing.names.iter().map(|name| name.full.as_str()).collect::<Vec<_>>(), ["hold", "wait", "pay"]);
        assert_eq!(drawing.bars.iter().map(|bar| bar.hollow).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(drawing.bars[2].class, "running");
        let tells = |bar: usize| (drawing.bars[bar].tells.utc.as_str(), drawing.bars[bar].tells.exact.as_str());
        let (utc, exact) = tells(2);
        assert_eq!(utc, "pay: attempt 1, lasts; 1970-01-01 02:00:00.000 UTC to now, 2 s");
        assert_eq!(exact, "pay: attempt 1, lasts; {1970-01-01T02:00:00.000Z zone} to now, 2 s");
        assert!(tells(0).1.contains("{1970-01-01T00:00:00.000Z} to {1970-01-01T00:00:02.000Z zone}"), "{}", tells(0).1);
        assert!(draw(&timeline(&[]), true, now).is_none());
    }

    #[test]
    fn idle_time_is_folded_and_tells_its_length() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(7_202);
        let folded = draw(&hours(), true, now).unwrap();
        assert_eq!(folded.folds.iter().map(|fold| fold.words.as_str()).collect::<Vec<_>>(), ["1 h 59 min"]);
        assert!(folded.bars[0].width > 300.0, "{}", folded.bars[0].width);
        let whole = draw(&hours(), false, now).unwrap();
        assert!(whole.folds.is_empty() && whole.bars[0].width < 10.0);
        let last = &folded.bars[2];
        assert!(last.x + last.width <= WIDTH, "{}", last.x + last.width);
    }

    #[test]
    fn many_folds_leave_room_for_what_was_under_way() {
        let tries: Vec<_> = (0..200).map(|n| ("try", "under_way", n * 1_000, Some(n * 1_000 + 1))).collect();
        let drawing = draw(&timeline(&tries), true, DateTime::UNIX_EPOCH + TimeDelta::seconds(199_001)).unwrap();
        let folds: f64 = drawing.folds.iter().map(|fold| fold.width).sum();
        assert!(folds <= (WIDTH - NAMES_WIDTH) * FOLDS_SHARE_MAX + 1.0, "{folds}");
        assert!(!drawing.focused && drawing.folds.iter().all(|fold| !fold.told));
    }
}

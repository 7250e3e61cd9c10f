//! `sagactl timeline`: where the time of a saga went. Each span is told in words; the bar behind it shows the same, with idle time
//! folded.

use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    SagaId,
    orchestrator_api::{Stretch, stretches},
};

use crate::{
    args::{Output, Timeline as Asked},
    call::Call,
    failure::Failure,
    output::{self, exact_time, length, printable},
    seen::{Span, Timeline, Told, words},
};

/// The columns of all bars: what is left beside the words on a wide terminal.
const COLUMNS: i64 = 40;

/// The columns of a folded stretch; all of them together take half of the bar at most.
const FOLD_COLUMNS: i64 = 3;

/// The signs of a bar.
const UNDER_WAY: char = '#';
const CHILD: char = '=';
const WAITS: char = '.';
const FOLDED: char = '~';

/// Runs the command.
pub(crate) async fn run(call: &Call, asked: &Asked) -> Result<(), Failure> {
    let id: SagaId = asked.one.id.parse().map_err(|error| Failure::usage(format!("{error}")))?;
    let told: Told<Timeline> = call.client.get(&format!("/sagas/{id}/timeline"), &[]).await?;
    match call.output {
        Output::Table => output::print(&render(&told, !asked.to_scale, call.now)),
        Output::Json | Output::Yaml => output::print_document(&told, call.output),
        Output::Jsonl => {
            let spans = told.document()["spans"].as_array().map(Vec::as_slice).unwrap_or_default();
            spans.iter().try_for_each(output::print_json_line)
        }
        Output::Ids => {
            let mut steps: Vec<_> = told.spans.iter().map(|span| printable(&span.step)).collect();
            steps.dedup();
            steps.iter().try_for_each(|step| output::print_line(step))
        }
    }
}

fn render(timeline: &Timeline, folds: bool, now: DateTime<Utc>) -> String {
    let end = timeline.ended_at.unwrap_or(now).max(timeline.began_at);
    let ended = timeline.ended_at.map_or_else(|| "goes on".to_owned(), exact_time);
    let lines =
        [("Began", exact_time(timeline.began_at)), ("Ended", ended), ("Lasted", length(end - timeline.began_at))];
    let head: String = lines.iter().map(|(name, value)| format!("{:<8}{value}\n", format!("{name}:"))).collect();
    if timeline.spans.is_empty() {
        return format!("{head}\nnothing was sent or awaited yet\n");
    }
    let scale = Scale::new(timeline, end, folds);
    let rows = timeline.spans.iter().map(|span| {
        let until = span.until.unwrap_or(end);
        vec![
            printable(&span.step),
            spent(span),
            span.end.as_deref().map_or_else(|| "lasts".to_owned(), ending),
            exact_time(span.from),
            length((until - span.from).max(TimeDelta::zero())),
            format!("[{}]", scale.bar(span, until)),
        ]
    });
    let table = output::table(&["STEP", "TIME SPENT", "END", "FROM", "LENGTH", "PLACE IN TIME"], rows);
    let legend = format!("{UNDER_WAY} under way, {CHILD} its saga runs, {WAITS} waits");
    format!("{head}\n{table}\n\n{legend}{}\n", scale.folded_words())
}

fn spent(span: &Span) -> String {
    let number = span.attempt.map_or_else(String::new, |attempt| format!(" {attempt}"));
    let told = match span.spent.as_str() {
        "under_way" => format!("attempt{number}"),
        "child" => "its saga runs".to_owned(),
        "retry" => format!("waits for attempt{number}"),
        "signal" => "waits for its signal".to_owned(),
        "time" => "waits for a time".to_owned(),
        "person" => "waits for a person".to_owned(),
        other => format!("{}{number}", words(other)),
    };
    match span.op.as_str() {
        "action" => told,
        "compensation" => format!("undoing, {told}"),
        "extension" => format!("extending, {told}"),
        other => format!("{}, {told}", words(other)),
    }
}

fn ending(word: &str) -> String {
    if word == "left" { "over".to_owned() } else { words(word) }
}

/// A stretch of time and its columns.
struct Piece {
    stretch: Stretch,
    column: i64,
    columns: i64,
}

/// The way from times to columns.
struct Scale(Vec<Piece>);

impl Scale {
    fn new(timeline: &Timeline, end: DateTime<Utc>, folds: bool) -> Self {
        let under_way = timeline.spans.iter().filter(|span| span.spent == "under_way");
        let under_way = under_way.map(|span| (span.from, span.until.unwrap_or(end)));
        let began = timeline.spans.iter().map(|span| span.from).min().unwrap_or(end).min(timeline.began_at);
        let mut stretches = stretches(under_way, began, end);
        stretches.iter_mut().for_each(|stretch| stretch.is_idle &= folds);
        let folded = i64::try_from(stretches.iter().filter(|stretch| stretch.is_idle).count()).unwrap_or(i64::MAX);
        let fold = FOLD_COLUMNS.min(COLUMNS / 2 / folded.max(1));
        let room = COLUMNS - fold * folded;
        let open: i64 = stretches.iter().filter(|stretch| !stretch.is_idle).map(micros).sum();
        let (mut column, mut passed) = (0, 0);
        let place = |stretch: Stretch| {
            let columns = if stretch.is_idle {
                fold
            } else {
                // Rounded from the beginning, so that the last piece ends with the bar.
                let before = share(room, passed, open);
                passed += micros(&stretch);
                share(room, passed, open) - before
            };
            let piece = Piece { stretch, column, columns };
            column += columns;
            piece
        };
        Self(stretches.into_iter().map(place).collect())
    }

    fn column(&self, at: DateTime<Utc>) -> i64 {
        let piece = self.0.iter().find(|piece| at <= piece.stretch.until).or(self.0.last());
        piece.map_or(0, |Piece { stretch, column, columns }| {
            let whole = micros(stretch);
            let passed = (at - stretch.from).num_microseconds().unwrap_or(whole).clamp(0, whole);
            column + share(*columns, passed, whole)
        })
    }

    /// The bar of a span; what is seen of it is at least one sign.
    fn bar(&self, span: &Span, until: DateTime<Utc>) -> String {
        let from = self.column(span.from).min(COLUMNS - 1);
        let to = self.column(until).max(from + 1);
        let sign = match span.spent.as_str() {
            "under_way" => UNDER_WAY,
            "child" => CHILD,
            _ => WAITS,
        };
        let folded = |column: i64| {
            self.0
                .iter()
                .any(|piece| piece.stretch.is_idle && (piece.column..piece.column + piece.columns).contains(&column))
        };
        let sign_at = |column: i64| match (from..to).contains(&column) {
            _ if folded(column) => FOLDED,
            true => sign,
            false => ' ',
        };
        (0..COLUMNS).map(sign_at).collect()
    }

    fn folded_words(&self) -> String {
        let folded: Vec<_> = self.0.iter().filter(|piece| piece.stretch.is_idle).map(|piece| piece.stretch).collect();
        let lasted = folded.iter().fold(TimeDelta::zero(), |sum, one| sum + (one.until - one.from));
        match folded.as_slice() {
            [] => String::new(),
            [_] => format!("; {FOLDED} stands for {} in which nothing was under way", length(lasted)),
            several => {
                let count = several.len();
                format!(
                    "; {FOLDED} stands for time in which nothing was under way: {count} times, {} in all",
                    length(lasted)
                )
            }
        }
    }
}

fn micros(stretch: &Stretch) -> i64 {
    (stretch.until - stretch.from).num_microseconds().unwrap_or(i64::MAX / COLUMNS)
}

/// So much of the columns as is passed of the whole.
fn share(columns: i64, passed: i64, whole: i64) -> i64 {
    let share = i128::from(columns) * i128::from(passed) / i128::from(whole.max(1));
    i64::try_from(share).unwrap_or(columns)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn timeline(spans: &[(&str, &str, i64, Option<i64>)]) -> Timeline {
        let at = |ms: i64| DateTime::UNIX_EPOCH + TimeDelta::milliseconds(ms);
        let span = |(step, spent, from, until): &(&str, &str, i64, Option<i64>)| {
            json!({
                "step": step, "op": "action", "spent": spent, "attempt": (*spent != "signal").then_some(1),
                "from": at(*from), "until": until.map(at), "end": until.map(|_| "done"),
            })
        };
        let spans: Vec<_> = spans.iter().map(span).collect();
        serde_json::from_value(json!({ "began_at": at(0), "spans": spans })).unwrap()
    }

    fn bars(text: &str) -> Vec<&str> {
        text.lines().filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0)).collect()
    }

    #[test]
    fn idle_time_is_folded_between_what_was_under_way() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::milliseconds(7_202_000);
        let spans = [
            ("hold", "under_way", 0, Some(2_000)),
            ("wait", "signal", 2_000, Some(7_200_000)),
            ("pay", "under_way", 7_200_000, None),
        ];
        let text = render(&timeline(&spans), true, now);
        assert_eq!(
            bars(&text),
            [
                "##################~~~                   ",
                "                  ~~~                   ",
                "                  ~~~###################",
            ]
        );
        assert!(text.contains("~ stands for 1 h 59 min in which nothing was under way"), "{text}");
        assert!(
            text.contains("waits for its signal") && text.contains("attempt 1") && text.contains("lasts"),
            "{text}"
        );
        let whole = render(&timeline(&spans), false, now);
        let waits = bars(&whole)[1].chars().filter(|sign| *sign == '.').count();
        assert!(waits >= 38 && !whole.contains('~'), "{whole}");
    }

    #[test]
    fn every_span_has_a_sign_and_no_bar_is_longer_than_its_room_however_many_are_folded() {
        let tries: Vec<_> = (0..100).map(|n| ("try", "under_way", n * 100_000, Some(n * 100_000 + 1))).collect();
        for count in [1, 2, 7, 21, 100] {
            let spans: Vec<_> = tries.iter().take(count).copied().collect();
            let text = render(&timeline(&spans), true, DateTime::UNIX_EPOCH + TimeDelta::milliseconds(20_000_000));
            let bars = bars(&text);
            assert_eq!(bars.len(), count);
            for bar in bars {
                assert_eq!(bar.chars().count(), 40, "{text}");
                assert!(bar.contains(['#', '~']), "{text}");
            }
        }
        assert!(render(&timeline(&[]), true, DateTime::UNIX_EPOCH).contains("nothing was sent"));
    }
}

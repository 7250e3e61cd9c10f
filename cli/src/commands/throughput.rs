//! `sagactl throughput`: how many sagas ended in each interval, and how long they took, as a line of signs each.

use chrono::TimeDelta;

use crate::{
    args::{Output, Throughput as Asked},
    bars::bars,
    client::Client,
    failure::Failure,
    output::{self, length, time},
    rows::Rows,
    seen::{Durations, Point, Throughput, Told},
};

/// Runs the command.
pub(crate) async fn run(client: &Client, asked: &Asked, output: Output) -> Result<(), Failure> {
    let query = [("minutes", asked.minutes.to_string()), ("step_minutes", asked.step_minutes().to_string())];
    let told: Told<Throughput> = client.get("/throughput", &query).await?;
    match output {
        Output::Table => output::print(&render(&told)),
        Output::Json | Output::Yaml => output::print_document(&told, output),
        Output::Jsonl => {
            let points = told.document()["points"].as_array().map(Vec::as_slice).unwrap_or_default();
            points.iter().try_for_each(output::print_json_line)
        }
        // An interval is known by its beginning.
        Output::Ids => told.points.iter().try_for_each(|point| output::print_line(&time(point.at))),
    }
}

fn render(told: &Throughput) -> String {
    let step = TimeDelta::try_seconds(told.step_seconds).unwrap_or_default();
    let (Some(first), Some(last)) = (told.points.first(), told.points.last()) else { return "none\n".to_owned() };
    let mut text = format!("{} to {}, {} a sign\n", time(first.at), time(last.at + step), interval(told.step_seconds));
    if let Some(from) = told.counted_from {
        text.push_str(&format!("counted from {} on: more have ended than are counted\n", time(from)));
    }
    let count = |word: &str, of: fn(&Point) -> u64| {
        let counts: Vec<u64> = told.points.iter().map(of).collect();
        let most = counts.iter().max().copied().unwrap_or_default().to_string();
        vec![word.to_owned(), counts.iter().sum::<u64>().to_string(), most, format!("[{}]", bars(&counts))]
    };
    let duration = |word: &str, of: fn(Durations) -> u64| {
        let known: Vec<_> = told.points.iter().map(|point| point.durations.map(of)).collect();
        let signs: Vec<u64> = known.iter().map(|known| known.unwrap_or_default()).collect();
        let told = |ms: Option<u64>| ms.map_or_else(|| "-".to_owned(), milliseconds);
        let most = told(known.iter().flatten().max().copied());
        vec![word.to_owned(), told(known.iter().rev().find_map(|known| *known)), most, format!("[{}]", bars(&signs))]
    };
    let ended = [
        count("completed", |point| point.completed),
        count("compensated", |point| point.compensated),
        count("abandoned", |point| point.abandoned),
    ];
    let lasted = [
        duration("50 of 100", |durations| durations.p50_ms),
        duration("95 of 100", |durations| durations.p95_ms),
        duration("99 of 100", |durations| durations.p99_ms),
    ];
    let ended = Rows::new(&["ENDED", "ALL", "MOST", "OVER TIME"], ended).table();
    let lasted = Rows::new(&["WITHIN", "LAST", "MOST", "OVER TIME"], lasted).table();
    format!("{text}\n{ended}\n\n{lasted}\n")
}

fn interval(seconds: i64) -> String {
    if seconds % 60 == 0 { format!("{} min", seconds / 60) } else { format!("{seconds} s") }
}

fn milliseconds(ms: u64) -> String {
    length(TimeDelta::try_milliseconds(i64::try_from(ms).unwrap_or(i64::MAX)).unwrap_or(TimeDelta::MAX))
}

//! Printing: tables for people, JSON for programs, ids for pipes. All of stdout goes through here, so that a closed
//! pipe ends the program quietly and text from elsewhere cannot steer the terminal.

use std::io::{self, Write as _};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::Value;

use crate::{args::Output, failure::Failure};

/// Writes to stdout at once.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

/// Writes a line to stdout at once.
pub(crate) fn print_line(text: &str) -> Result<(), Failure> {
    print(&format!("{text}\n"))
}

/// One document: YAML where that is asked for, else indented JSON.
pub(crate) fn print_document(value: &(impl Serialize + ?Sized), shape: Output) -> Result<(), Failure> {
    if shape == Output::Yaml {
        let text = serde_saphyr::to_string(&value)
            .map_err(|error| Failure::error(format!("cannot print the answer as YAML: {error}")))?;
        return print(&text);
    }
    let text = serde_json::to_string_pretty(value).map_err(unprintable)?;
    print_line(&text)
}

/// One document on one line.
pub(crate) fn print_json_line(value: &(impl Serialize + ?Sized)) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(unprintable)?;
    print_line(&text)
}

fn unprintable(error: serde_json::Error) -> Failure {
    Failure::error(format!("cannot print the answer as JSON: {error}"))
}

/// A remark for people.
pub(crate) fn note(text: &str) {
    // A closed stderr is no reason to stop.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A plain table: no frames to read over, no wrapped ids.
pub(crate) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(head.to_vec());
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text = table.to_string();
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// Sagas as a table, from their documents: a status that this program does not know is a word like any other.
pub(crate) fn saga_table(sagas: &[Value]) -> String {
    let hold = sagas.iter().any(|saga| saga["holds_until"].is_string());
    let rows = sagas.iter().map(|saga| {
        let status = field(saga, "status");
        let mut row = vec![
            field(saga, "id"),
            format!("{} v{}", field(saga, "name"), saga["version"]),
            if saga["paused"] == true { format!("{status}, paused") } else { status },
            field(saga, "business_key"),
            time_field(saga, "created_at"),
            time_field(saga, "updated_at"),
            field(saga, "error"),
        ];
        row.extend(hold.then(|| time_field(saga, "holds_until")));
        row
    });
    let mut head = vec!["ID", "NAME", "STATUS", "BUSINESS KEY", "STARTED", "CHANGED", "ERROR"];
    head.extend(hold.then_some("HOLDS UNTIL"));
    table(&head, rows)
}

/// A text of a document, or a dash where there is none.
pub(crate) fn field(document: &Value, name: &str) -> String {
    document[name].as_str().map_or_else(|| "-".to_owned(), printable)
}

fn time_field(document: &Value, name: &str) -> String {
    let text = field(document, name);
    DateTime::parse_from_rfc3339(&text).map_or(text, |at| time(at.to_utc()))
}

/// A time as the tables show it.
pub(crate) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A time where several things happen within a second.
pub(crate) fn exact_time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A length of time in its two largest units.
pub(crate) fn length(of: TimeDelta) -> String {
    let seconds = of.num_seconds();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) if seconds == 0 => format!("{} ms", of.num_milliseconds()),
        (0, 0, 0) => format!("{seconds} s {} ms", of.num_milliseconds() % 1_000),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// Text from elsewhere on one line, without characters that a terminal would obey.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_elsewhere_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc"), "a [2Jb c");
    }

    #[test]
    fn a_length_is_told_in_its_two_largest_units() {
        let told = [7, 1_250, 125_000, 7_500_000, 200_000_000].map(|ms| length(TimeDelta::milliseconds(ms)));
        assert_eq!(told, ["7 ms", "1 s 250 ms", "2 min 5 s", "2 h 5 min", "2 d 7 h"]);
    }

    #[test]
    fn a_table_has_no_frame_and_no_trailing_spaces() {
        let text = table(&["ID", "REASON"], [vec!["1".into(), "because".into()], vec!["22".into(), "-".into()]]);
        assert_eq!(text, "ID  REASON\n1   because\n22  -");
    }
}

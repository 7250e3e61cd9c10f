//! A head and the rows below it, before they are a table on paper or on a live page.

use chrono::DateTime;

use crate::output;

/// A text that is longer, and begins as ids do, is cut in its middle on a narrow terminal.
const ID_CHARACTERS_MIN: usize = 24;

/// The characters that are left of the end of such a text: enough that two on one page differ.
const ID_TAIL_CHARACTERS: usize = 8;

/// A head and the rows below it.
pub(crate) struct Rows {
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Rows {
    pub(crate) fn new(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Self {
        Self { head: head.iter().map(|word| (*word).to_owned()).collect(), rows: rows.into_iter().collect() }
    }

    /// The table, or the word for an empty one.
    pub(crate) fn table(&self) -> String {
        let head: Vec<_> = self.head.iter().map(String::as_str).collect();
        if self.rows.is_empty() { "none".to_owned() } else { output::table(&head, self.rows.iter().cloned()) }
    }

    /// The characters of the longest text in a column.
    pub(crate) fn longest(&self, column: usize) -> usize {
        let texts = self.rows.iter().chain([&self.head]).filter_map(|row| row.get(column));
        texts.map(|text| text.chars().count()).max().unwrap_or_default()
    }

    /// The columns of a terminal that all of it takes, with so many between two columns of its own.
    pub(crate) fn width(&self, spacing: u16) -> usize {
        let columns = self.head.len();
        (0..columns).map(|column| self.longest(column)).sum::<usize>()
            + usize::from(spacing) * columns.saturating_sub(1)
    }

    /// The same with short ids and times.
    pub(crate) fn narrowed(&self) -> Self {
        let row = |row: &Vec<String>| row.iter().map(|text| narrowed(text)).collect();
        Self { head: self.head.clone(), rows: self.rows.iter().map(row).collect() }
    }
}

fn narrowed(text: &str) -> String {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return at.to_utc().format("%m-%d %H:%M").to_string();
    }
    let length = text.chars().count();
    match text.split_once('_') {
        Some((prefix, id)) if length > ID_CHARACTERS_MIN && id.chars().all(|c| c.is_ascii_hexdigit()) => {
            let tail: String = text.chars().skip(length - ID_TAIL_CHARACTERS).collect();
            format!("{prefix}_…{tail}")
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_times_are_short_on_a_narrow_terminal_and_words_are_whole() {
        let id = format!("saga_{:032x}", 0xabcd);
        let texts = [id.as_str(), "2026-12-01T08:00:02Z", "authorize_payment_of_the_traveller/card_declined"];
        assert_eq!(texts.map(narrowed), ["saga_…0000abcd", "12-01 08:00", texts[2]]);
        let rows = Rows::new(&["ID", "NAME"], [vec![id, "order".to_owned()]]);
        assert_eq!((rows.width(2), rows.narrowed().width(1)), (37 + 2 + 5, 14 + 1 + 5));
    }
}

//! Names and ids for people: words in place of identifiers, and long ids cut in the middle.

use askama::Template;

/// An id, shortened in the middle, with the whole one in its title and for copying.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(ext = "html", source = r##"<span class="id" title="{{ full }}" data-copy="{{ full }}">{{ short }}</span>"##)]
pub(crate) struct Id {
    pub(crate) full: String,
    short: String,
}

/// Of a long id the prefix and so many of its last characters are shown: enough that two on one page differ.
const TAIL: usize = 8;

/// Texts up to this length are shown whole.
const WHOLE_MAX: usize = 24;

pub(crate) fn id(full: impl ToString) -> Id {
    let full = full.to_string();
    Id { short: shortened(&full), full }
}

/// A long text without its middle.
pub(crate) fn shortened(full: &str) -> String {
    let length = full.chars().count();
    if length <= WHOLE_MAX {
        return full.to_owned();
    }
    let head =
        full.split_once('_').map_or_else(|| full.chars().take(TAIL).collect(), |(prefix, _)| format!("{prefix}_"));
    format!("{head}…{}", full.chars().skip(length - TAIL).collect::<String>())
}

/// An identifier as words: `flight_hold` is `flight hold`.
pub(crate) fn words(name: &str) -> String {
    name.replace(['_', '-'], " ")
}

/// The same at the begin of a sentence.
pub(crate) fn title(name: &str) -> String {
    let words = words(name);
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_id_keeps_its_prefix_and_its_end() {
        assert_eq!(shortened("saga_0190a1b2c3d4e5f60718293a4b5c6d7e"), "saga_…4b5c6d7e");
        assert_eq!(shortened("order@2"), "order@2");
    }

    #[test]
    fn an_identifier_is_told_in_words() {
        assert_eq!(title("flight_hold"), "Flight hold");
        assert_eq!(title(""), "");
    }
}

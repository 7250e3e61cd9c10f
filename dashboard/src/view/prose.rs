//! Sentences for people as the interface writes them: names stand between backticks, and times are exact.

use askama::Template;
use chrono::{DateTime, SecondsFormat, Utc};

use super::times;

/// A sentence whose names are set as code, and whose times a script tells in the reader's zone.
#[derive(Template)]
#[template(
    ext = "html",
    source = r##"{% for part in parts %}{% match part %}{% when Part::Text(text) %}{{ text }}{% when Part::Code(text) %}<code>{{ text }}</code>{% when Part::Time(exact, absolute) %}<time datetime="{{ exact }}" title="{{ absolute }}" data-local>{{ absolute }}</time>{% endmatch %}{% endfor %}"##
)]
pub(crate) struct Prose {
    parts: Vec<Part>,
}

/// A piece of a sentence.
enum Part {
    Text(String),
    Code(String),
    /// A time: for programs, and for people.
    Time(String, String),
}

pub(crate) fn prose(sentence: &str) -> Prose {
    let mut parts = Vec::new();
    for (at, text) in sentence.split('`').enumerate() {
        if at % 2 == 1 {
            parts.push(Part::Code(text.to_owned()));
        } else {
            text.split_inclusive(' ').for_each(|word| parts.extend(word_or_time(word)));
        }
    }
    Prose { parts }
}

/// A word; or a time, and what stands behind it.
fn word_or_time(word: &str) -> Vec<Part> {
    let text = word.trim_end_matches([' ', '.', ',', ';']);
    let after = &word[text.len()..];
    let time = if text.ends_with('Z') { text.parse::<DateTime<Utc>>().ok() } else { None };
    time.map_or_else(
        || vec![Part::Text(word.to_owned())],
        |at| {
            let exact = at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
            vec![Part::Time(exact, times::absolute(at)), Part::Text(after.to_owned())]
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_set_as_code_and_nothing_is_written_into_the_page() {
        assert_eq!(prose("`a<b` waits").render().unwrap(), "<code>a&#60;b</code> waits");
    }

    #[test]
    fn a_time_in_a_sentence_is_one_for_the_reader() {
        let told = prose("it is tried again at 2027-01-15T08:00:00Z. Z waits").render().unwrap();
        let time = "<time datetime=\"2027-01-15T08:00:00Z\" title=\"2027-01-15 08:00:00 UTC\" data-local>2027-01-15 08:00:00 UTC</time>";
        assert_eq!(told, format!("it is tried again at {time}. Z waits"));
    }
}

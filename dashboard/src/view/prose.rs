//! Sentences for people in which names stand between backticks, as the interface writes them.

use askama::Template;

/// A sentence whose names are set as code.
#[derive(Template)]
#[template(
    ext = "html",
    source = r##"{% for (text, code) in parts %}{% if *code %}<code>{{ text }}</code>{% else %}{{ text }}{% endif %}{% endfor %}"##
)]
pub(crate) struct Prose {
    parts: Vec<(String, bool)>,
}

pub(crate) fn prose(sentence: &str) -> Prose {
    Prose { parts: sentence.split('`').enumerate().map(|(at, text)| (text.to_owned(), at % 2 == 1)).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_set_as_code_and_nothing_is_written_into_the_page() {
        assert_eq!(prose("`a<b` waits").render().unwrap(), "<code>a&#60;b</code> waits");
    }
}

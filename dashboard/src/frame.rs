//! The frame around every page: what the layout's template needs to draw the rail and the bar.

use chrono::{DateTime, Utc};
use contract::user::Role;

use crate::{assets, session::Person};

/// The entries of the rail that have a number.
pub(crate) const ATTENTION: &str = "Attention";
const APPROVALS: &str = "Approvals";

/// The entries of the rail: word, address, icon.
const RAIL: [(&str, &str, &str); 12] = [
    ("Overview", "/ops", "overview"),
    ("Sagas", "/ops/sagas", "sagas"),
    (ATTENTION, "/ops/attention", "attention"),
    ("Errors", "/ops/errors", "errors"),
    ("Jobs", "/ops/jobs", "jobs"),
    (APPROVALS, "/ops/approvals", "approvals"),
    ("Definitions", "/ops/definitions", "definitions"),
    ("Domains", "/ops/domains", "domains"),
    ("Dead letters", "/ops/dead-letters", "letters"),
    ("Quarantine", "/ops/quarantine", "quarantined"),
    ("Processes", "/ops/processes", "processes"),
    ("Audit", "/ops/audit", "audit"),
];

/// The entry of the rail that only admins see.
const PEOPLE: (&str, &str, &str) = ("People", "/ops/people", "person");

/// One entry of the rail.
pub(crate) struct Entry {
    pub(crate) word: &'static str,
    pub(crate) address: &'static str,
    pub(crate) icon: &'static str,
    pub(crate) here: bool,
}

impl Entry {
    /// The address of the number beside the word.
    pub(crate) fn counted_at(&self) -> Option<&'static str> {
        match self.word {
            ATTENTION => Some("/ops/attention/count"),
            APPROVALS => Some("/ops/approvals/count"),
            _ => None,
        }
    }
}

/// The theme of the pages: the system's, or the one that the person chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    System,
    Light,
    Dark,
}

impl Theme {
    /// The word in the cookie and in the page.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(crate) fn of(word: Option<&str>) -> Self {
        match word {
            Some("light") => Self::Light,
            Some("dark") => Self::Dark,
            Some(_) | None => Self::System,
        }
    }

    /// The theme that the switch leads to.
    pub(crate) const fn next(self) -> Self {
        match self {
            Self::System => Self::Light,
            Self::Light => Self::Dark,
            Self::Dark => Self::System,
        }
    }
}

/// The frame of one page.
pub(crate) struct Frame {
    pub(crate) title: String,
    /// None on the login page.
    pub(crate) person: Option<Person>,
    pub(crate) rail: Vec<Entry>,
    pub(crate) theme: Theme,
    pub(crate) now: DateTime<Utc>,
    /// The text in the query bar.
    pub(crate) query: String,
    /// True when the page says what is wrong with that text.
    pub(crate) query_is_wrong: bool,
    /// The address of this page, to come back to.
    pub(crate) back: String,
}

impl Frame {
    /// The frame of the page at `path`.
    pub(crate) fn new(
        title: impl Into<String>,
        person: Option<Person>,
        theme: Theme,
        now: DateTime<Utc>,
        back: String,
    ) -> Self {
        let path = back.split('?').next().unwrap_or_default();
        // The longest address that the page lies below; the overview has no page below it.
        let here = |address: &str| {
            path == address
                || (address != "/ops" && path.strip_prefix(address).is_some_and(|rest| rest.starts_with('/')))
        };
        let people = person.as_ref().filter(|person| person.role == Role::Admin).map(|_| PEOPLE);
        let entry = |(word, address, icon)| Entry { word, address, icon, here: here(address) };
        let rail = RAIL.into_iter().chain(people).map(entry).collect();
        Self { title: title.into(), person, rail, theme, now, query: String::new(), query_is_wrong: false, back }
    }

    /// Marks the entry of this word as the one that the page belongs to, in place of the one that its address lies below.
    pub(crate) fn belongs_to(&mut self, word: &str) {
        self.rail.iter_mut().for_each(|entry| entry.here = entry.word == word);
    }

    /// True where the forms of acts have a sense: a viewer's would be refused.
    pub(crate) fn may_act(&self) -> bool {
        self.person.as_ref().is_some_and(Person::may_act)
    }

    /// The server's clock, for the bar.
    pub(crate) fn clock(&self) -> String {
        self.now.format("%H:%M UTC").to_string()
    }

    pub(crate) fn asset(&self, name: &str) -> String {
        assets::address(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(frame: &Frame) -> Vec<&str> {
        frame.rail.iter().filter(|entry| entry.here).map(|entry| entry.word).collect()
    }

    #[test]
    fn the_rail_marks_one_place_also_for_a_list_at_the_address_of_another() {
        let at = |address: &str| Frame::new("", None, Theme::System, DateTime::UNIX_EPOCH, address.to_owned());
        assert_eq!(marked(&at("/ops")), ["Overview"]);
        assert_eq!(marked(&at("/ops/sagas/saga_1?tab=audit")), ["Sagas"]);
        let mut frame = at("/ops/sagas?q=status%3Aneeds_attention");
        frame.belongs_to(ATTENTION);
        assert_eq!(marked(&frame), ["Attention"]);
    }
}

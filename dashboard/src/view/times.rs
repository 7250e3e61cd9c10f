//! Times for people: how long ago or ahead, with the absolute time at hand. A script keeps the words fresh; without one
//! they are those of the moment at which the page was made.

use askama::Template;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// A time, in words and exactly.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(ext = "html", source = r##"<time datetime="{{ exact }}" title="{{ absolute }}">{{ words }}</time>"##)]
pub(crate) struct Moment {
    exact: String,
    pub(crate) absolute: String,
    pub(crate) words: String,
}

/// A time that is told as such, and not from now: in UTC, until a script tells it in the reader's zone. What stands beside it says which
/// zone that is, by [`zone`].
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(
    ext = "html",
    source = r##"<time datetime="{{ exact }}" title="{{ absolute }}" data-local="{{ form }}">{{ words }}</time>"##
)]
pub(crate) struct Local {
    exact: String,
    absolute: String,
    form: &'static str,
    pub(crate) words: String,
}

fn local(at: DateTime<Utc>, form: &'static str, written: &str) -> Local {
    Local { exact: exact(at), absolute: absolute(at), form, words: at.format(written).to_string() }
}

/// The hour and the minute of a time, for what lies within a day.
pub(crate) fn minute(at: DateTime<Utc>) -> Local {
    local(at, "minute", "%H:%M")
}

/// A time to the millisecond, for what may take less than a second.
pub(crate) fn millisecond(at: DateTime<Utc>) -> Local {
    local(at, "millisecond", MILLISECOND)
}

/// The form of a time to the millisecond.
const MILLISECOND: &str = "%Y-%m-%d %H:%M:%S%.3f";

/// The name of the zone in which times like this one are told.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(ext = "html", source = r##"<span data-zone="{{ exact }}">UTC</span>"##)]
pub(crate) struct Zone {
    exact: String,
}

pub(crate) fn zone(at: DateTime<Utc>) -> Zone {
    Zone { exact: exact(at) }
}

/// Words with times in them, in places where none can be an element of its own, as in a drawing: in UTC, and for a script that tells
/// them in the reader's zone with each time as `{exact}`, and as `{exact zone}` where the zone's name stands behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) utc: String,
    pub(crate) exact: String,
}

/// Words made of those of a time to the millisecond, which is given with or without the zone's name.
pub(crate) fn words(make: impl Fn(&dyn Fn(DateTime<Utc>, bool) -> String) -> String) -> Words {
    let utc = |at: DateTime<Utc>, zoned: bool| format!("{}{}", at.format(MILLISECOND), if zoned { " UTC" } else { "" });
    let placed = |at: DateTime<Utc>, zoned: bool| format!("{{{}{}}}", exact(at), if zoned { " zone" } else { "" });
    Words { utc: make(&utc), exact: make(&placed) }
}

fn exact(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Nearer than this is now. The clock of a page is behind by the time that the page took to arrive, so what has just
/// happened may lie ahead of it.
const NOW: TimeDelta = TimeDelta::seconds(1);

/// A time as seen from `now`.
pub(crate) fn moment(at: DateTime<Utc>, now: DateTime<Utc>) -> Moment {
    let words = match at - now {
        ahead if ahead >= NOW => format!("in {}", span(ahead)),
        ahead if -ahead >= NOW => format!("{} ago", span(-ahead)),
        _ => "now".to_owned(),
    };
    Moment { exact: exact(at), absolute: absolute(at), words }
}

/// A time with its zone.
pub(crate) fn absolute(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A length of time in its two largest units.
pub(crate) fn span(length: TimeDelta) -> String {
    let seconds = length.num_seconds();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) if seconds == 0 => format!("{} ms", length.num_milliseconds()),
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) if minutes < 10 => format!("{minutes} min {} s", seconds % 60),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) if days < 10 => format!("{days} d {hours} h"),
        (days, _, _) => format!("{days} d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_from_now_in_its_two_largest_units() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(100);
        let told = |seconds: i64| moment(now + TimeDelta::seconds(seconds), now).words;
        assert_eq!([400, -400].map(|ms| moment(now + TimeDelta::milliseconds(ms), now).words), ["now", "now"]);
        for (seconds, words) in [
            (0, "now"),
            (-14, "14 s ago"),
            (14, "in 14 s"),
            (-125, "2 min 5 s ago"),
            (-3_000, "50 min ago"),
            (7_500, "in 2 h 5 min"),
            (-200_000, "2 d 7 h ago"),
            (-8_000_000, "92 d ago"),
        ] {
            assert_eq!(told(seconds), words);
        }
    }

    #[test]
    fn a_time_that_is_told_as_such_is_utc_and_can_be_told_in_another_zone() {
        let at = DateTime::UNIX_EPOCH + TimeDelta::milliseconds(61_500);
        let told = minute(at).render().unwrap();
        let title = "1970-01-01 00:01:01 UTC";
        assert_eq!(
            told,
            format!("<time datetime=\"1970-01-01T00:01:01.500Z\" title=\"{title}\" data-local=\"minute\">00:01</time>")
        );
        let told = words(|time| format!("{} to {}", time(at, false), time(at, true)));
        assert_eq!(told.utc, "1970-01-01 00:01:01.500 to 1970-01-01 00:01:01.500 UTC");
        assert_eq!(told.exact, "{1970-01-01T00:01:01.500Z} to {1970-01-01T00:01:01.500Z zone}");
    }
}

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
    Moment { exact: at.to_rfc3339_opts(SecondsFormat::Millis, true), absolute: absolute(at), words }
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
}

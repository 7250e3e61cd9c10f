//! The looks that open overviews share. However many people have one open, one set of requests brings it up to date for all
//! of one role, and none is made while nobody has it open.
//!
//! ```text
//!  page, page, page --watch--> one look of a role --the session of one of them, in turn--> door
//! ```

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::session::Session;

/// The part of a page that is shown at the moment.
#[derive(Debug, Clone)]
pub(crate) enum Seen {
    /// The first look is under way.
    Nothing,
    /// A part of a page.
    Page(Arc<str>),
    /// The last look failed, and why.
    Lost(Arc<str>),
}

/// The key of a look: the word of a role, because each role is shown what it may see, and the length of the charts.
pub(crate) type Key = (&'static str, Window);

/// The length of the charts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
pub(crate) enum Window {
    #[default]
    #[serde(rename = "1h")]
    Hour,
    #[serde(rename = "24h")]
    Day,
}

impl Window {
    /// The word in the address.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
        }
    }

    /// The minutes in all, and of each interval.
    pub(crate) const fn minutes(self) -> (u32, u32) {
        match self {
            Self::Hour => (60, 1),
            Self::Day => (1_440, 15),
        }
    }
}

/// One look for all who share a key.
#[derive(Default)]
pub(crate) struct Looks(Mutex<HashMap<Key, Look>>);

struct Look {
    lookers: Vec<(u64, Arc<Session>, CancellationToken)>,
    /// The number of the next looker.
    next: u64,
    /// The place of the looker whose session is used next.
    turn: usize,
    seen: watch::Sender<Seen>,
}

/// One of those who look. Its end is the end of the look when it is the last one.
pub(crate) struct Looker {
    looks: Arc<Looks>,
    key: Key,
    number: u64,
    pub(crate) seen: watch::Receiver<Seen>,
    /// Its session was refused.
    pub(crate) refused: CancellationToken,
}

impl Looks {
    /// Joins those who look; true for the first one, who has to begin the look.
    pub(crate) fn join(self: &Arc<Self>, key: Key, session: Arc<Session>) -> (Looker, bool) {
        let mut looks = self.lock();
        let begins = !looks.contains_key(&key);
        let look = looks.entry(key).or_insert_with(|| Look {
            lookers: Vec::new(),
            next: 0,
            turn: 0,
            seen: watch::Sender::new(Seen::Nothing),
        });
        let (number, refused) = (look.next, CancellationToken::new());
        look.next += 1;
        look.lookers.push((number, session, refused.clone()));
        let seen = look.seen.subscribe();
        (Looker { looks: Arc::clone(self), key, number, seen, refused }, begins)
    }

    /// The session to look with: each in turn, so that one whose rights have ended is found out. None when nobody looks any
    /// more; the look is over then.
    pub(crate) fn turn(&self, key: Key) -> Option<(u64, Arc<Session>)> {
        let mut looks = self.lock();
        let look = looks.get_mut(&key)?;
        if look.lookers.is_empty() {
            looks.remove(&key);
            return None;
        }
        look.turn = (look.turn + 1) % look.lookers.len();
        look.lookers.get(look.turn).map(|(number, session, _)| (*number, Arc::clone(session)))
    }

    /// Shows something: to those who come from now on, and to the others too when it is news.
    pub(crate) fn show(&self, key: Key, seen: Seen, is_news: bool) {
        if let Some(look) = self.lock().get(&key) {
            look.seen.send_if_modified(|shown| {
                *shown = seen;
                is_news
            });
        }
    }

    /// Ends one of those who look: the session was refused.
    pub(crate) fn refuse(&self, key: Key, number: u64) {
        if let Some(look) = self.lock().get_mut(&key) {
            look.lookers.retain(|(known, _, refused)| {
                if *known == number {
                    refused.cancel();
                }
                *known != number
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Look>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        let mut looks = self.looks.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(look) = looks.get_mut(&self.key) {
            look.lookers.retain(|(number, ..)| *number != self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = ("viewer", Window::Hour);

    fn turns(looks: &Looks, turns: usize) -> Vec<Option<u64>> {
        (0..turns).map(|_| looks.turn(KEY).map(|(number, _)| number)).collect()
    }

    #[test]
    fn one_look_serves_all_with_each_of_their_sessions_in_turn_and_ends_with_the_last() {
        let looks = Arc::new(Looks::default());
        let (first, begins) = looks.join(KEY, Session::of_nobody());
        assert!(begins);
        let (mut second, begins) = looks.join(KEY, Session::of_nobody());
        assert!(!begins);
        let mut found = turns(&looks, 2);
        found.sort_unstable();
        assert_eq!(found, [Some(0), Some(1)]);
        for (page, is_news) in [("x", true), ("y", false)] {
            looks.show(KEY, Seen::Page(page.into()), is_news);
            assert_eq!(second.seen.has_changed().unwrap(), is_news);
            assert!(matches!(&*second.seen.borrow_and_update(), Seen::Page(shown) if &**shown == page));
        }
        drop(first);
        assert_eq!(turns(&looks, 2), [Some(1), Some(1)]);
        drop(second);
        assert_eq!(turns(&looks, 1), [None]);
        assert!(looks.join(KEY, Session::of_nobody()).1, "the next one begins anew");
    }

    #[test]
    fn a_session_that_was_refused_looks_no_more_and_the_others_go_on() {
        let looks = Arc::new(Looks::default());
        let (refused, _) = looks.join(KEY, Session::of_nobody());
        let (other, _) = looks.join(KEY, Session::of_nobody());
        looks.refuse(KEY, 0);
        assert!(refused.refused.is_cancelled() && !other.refused.is_cancelled());
        assert_eq!(turns(&looks, 2), [Some(1), Some(1)]);
    }
}

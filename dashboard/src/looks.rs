//! The looks that open pages share. However many people have one open, one set of requests brings it up to date for all
//! of one role, and none is made while nobody has it open.
//!
//! ```text
//!  page, page, page --watch--> one look of a role --the session of one of them, in turn--> door
//! ```

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{door::DoorError, session::Session};

/// The outcome of the last look.
#[derive(Debug, Clone)]
pub(crate) enum Seen<T> {
    /// The first look is under way.
    Nothing,
    /// The things that are shown at the moment.
    Shown(T),
    /// The last look failed, and why.
    Lost(Arc<str>),
}

/// The looks of overviews, by the word of a role, because each role is shown what it may see, and the length of the charts. They
/// bring a part of the page.
pub(crate) type Overviews = Looks<(&'static str, Window), (), Arc<str>>;

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

/// One look for all who share a key. Each may have a wish `W` of its own, and all are shown the same `T`.
pub(crate) struct Looks<K, W, T>(Mutex<HashMap<K, Look<W, T>>>);

struct Look<W, T> {
    lookers: Vec<(u64, Arc<Session>, CancellationToken, W)>,
    /// The number of the next looker.
    next: u64,
    /// The place of the looker whose session is used next.
    turn: usize,
    seen: watch::Sender<Seen<T>>,
}

/// One of those who look. Its end is the end of the look when it is the last one.
pub(crate) struct Looker<K: Eq + Hash, W, T> {
    looks: Arc<Looks<K, W, T>>,
    key: K,
    number: u64,
    pub(crate) seen: watch::Receiver<Seen<T>>,
    /// Its session was refused.
    pub(crate) refused: CancellationToken,
}

impl<K, W, T> Default for Looks<K, W, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Copy + Eq + Hash, W: Clone, T> Looks<K, W, T> {
    /// Joins those who look; true for the first one, who has to begin the look.
    pub(crate) fn join(self: &Arc<Self>, key: K, session: Arc<Session>, wish: W) -> (Looker<K, W, T>, bool) {
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
        look.lookers.push((number, session, refused.clone(), wish));
        let seen = look.seen.subscribe();
        (Looker { looks: Arc::clone(self), key, number, seen, refused }, begins)
    }

    /// The session to look with: each in turn, so that one whose rights have ended is found out. None when nobody looks any
    /// more; the look is over then.
    pub(crate) fn turn(&self, key: K) -> Option<(u64, Arc<Session>)> {
        let mut looks = self.lock();
        let look = looks.get_mut(&key)?;
        if look.lookers.is_empty() {
            looks.remove(&key);
            return None;
        }
        look.turn = (look.turn + 1) % look.lookers.len();
        look.lookers.get(look.turn).map(|(number, session, ..)| (*number, Arc::clone(session)))
    }

    /// The wishes of all who look.
    pub(crate) fn wishes(&self, key: K) -> Vec<W> {
        let looks = self.lock();
        let lookers = looks.get(&key).map_or(&[][..], |look| &look.lookers);
        lookers.iter().map(|(.., wish)| wish.clone()).collect()
    }

    /// Shows something: to those who come from now on, and to the others too when it is news.
    pub(crate) fn show(&self, key: K, seen: Seen<T>, is_news: bool) {
        if let Some(look) = self.lock().get(&key) {
            look.seen.send_if_modified(|shown| {
                *shown = seen;
                is_news
            });
        }
    }

    /// Ends one of those who look: the session was refused.
    pub(crate) fn refuse(&self, key: K, number: u64) {
        if let Some(look) = self.lock().get_mut(&key) {
            look.lookers.retain(|(known, _, refused, _)| {
                if *known == number {
                    refused.cancel();
                }
                *known != number
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Look<W, T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash, W, T: Clone> Looker<K, W, T> {
    /// The first thing that is seen.
    pub(crate) async fn first(&mut self, stopping: &CancellationToken) -> Result<T, DoorError> {
        let seen = tokio::select! {
            seen = self.seen.wait_for(|seen| !matches!(seen, Seen::Nothing)) => seen.map(|seen| seen.clone()),
            () = self.refused.cancelled() => return Err(DoorError::LoginEnded),
            () = stopping.cancelled() => return Err(DoorError::Lost("the dashboard is stopping".to_owned())),
        };
        match seen {
            Ok(Seen::Shown(shown)) => Ok(shown),
            Ok(Seen::Lost(words)) => Err(DoorError::Lost(words.to_string())),
            Ok(Seen::Nothing) | Err(_) => Err(DoorError::Lost("the look has ended".to_owned())),
        }
    }

    /// The next thing that is seen; none when this page has to ask again.
    pub(crate) async fn next(&mut self, stopping: &CancellationToken) -> Option<T> {
        tokio::select! {
            changed = self.seen.changed() => changed.ok()?,
            () = self.refused.cancelled() => return None,
            () = stopping.cancelled() => return None,
        }
        // A look that fails ends the stream: the page says so, and the browser asks again.
        match self.seen.borrow_and_update().clone() {
            Seen::Shown(shown) => Some(shown),
            Seen::Nothing | Seen::Lost(_) => None,
        }
    }
}

impl<K: Eq + Hash, W, T> Drop for Looker<K, W, T> {
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

    const KEY: (&str, Window) = ("viewer", Window::Hour);

    fn turns(looks: &Overviews, turns: usize) -> Vec<Option<u64>> {
        (0..turns).map(|_| looks.turn(KEY).map(|(number, _)| number)).collect()
    }

    #[test]
    fn one_look_serves_all_with_each_of_their_sessions_in_turn_and_ends_with_the_last() {
        let looks = Arc::new(Overviews::default());
        let (first, begins) = looks.join(KEY, Session::of_nobody(), ());
        assert!(begins);
        let (mut second, begins) = looks.join(KEY, Session::of_nobody(), ());
        assert!(!begins);
        let mut found = turns(&looks, 2);
        found.sort_unstable();
        assert_eq!(found, [Some(0), Some(1)]);
        for (page, is_news) in [("x", true), ("y", false)] {
            looks.show(KEY, Seen::Shown(page.into()), is_news);
            assert_eq!(second.seen.has_changed().unwrap(), is_news);
            assert!(matches!(&*second.seen.borrow_and_update(), Seen::Shown(shown) if &**shown == page));
        }
        drop(first);
        assert_eq!(turns(&looks, 2), [Some(1), Some(1)]);
        drop(second);
        assert_eq!(turns(&looks, 1), [None]);
        assert!(looks.join(KEY, Session::of_nobody(), ()).1, "the next one begins anew");
    }

    #[test]
    fn a_session_that_was_refused_looks_no_more_and_the_others_go_on() {
        let looks = Arc::new(Overviews::default());
        let (refused, _) = looks.join(KEY, Session::of_nobody(), ());
        let (other, _) = looks.join(KEY, Session::of_nobody(), ());
        looks.refuse(KEY, 0);
        assert!(refused.refused.is_cancelled() && !other.refused.is_cancelled());
        assert_eq!(turns(&looks, 2), [Some(1), Some(1)]);
    }
}

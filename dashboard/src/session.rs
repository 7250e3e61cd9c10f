//! Sessions of operators' browsers. A browser holds the name of its session and nothing else; the tokens of the door stay
//! in this process's memory, and are gone with it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use contract::user::{Claims, Role, Tokens as Issued};
use sha2::{Digest as _, Sha256};

/// How long a session lasts without a request: a break, not an evening.
pub(crate) const IDLE_MAX: TimeDelta = TimeDelta::minutes(30);

/// How long a session lasts in all: a working day.
pub(crate) const SESSION_MAX: TimeDelta = TimeDelta::hours(12);

/// The most sessions at a time: far more than an agency has operators. The one that was used longest ago makes room.
const SESSIONS_MAX: usize = 1_000;

/// The tokens of the door.
#[derive(Clone)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl From<Issued> for Tokens {
    fn from(issued: Issued) -> Self {
        Self { access: issued.access_token, refresh: issued.refresh_token }
    }
}

impl Tokens {
    /// The claims of the access token. It came from the door itself, so that its signature is the door's business.
    pub(crate) fn claims(&self) -> Option<Claims> {
        let payload = BASE64_URL_SAFE_NO_PAD.decode(self.access.split('.').nth(1)?).ok()?;
        serde_json::from_slice(&payload).ok()
    }
}

/// The person of a session, as the door's token names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) email: String,
    pub(crate) user_id: String,
    pub(crate) role: Role,
    /// True for a person who may not act before it has a second factor.
    pub(crate) second_factor_missing: bool,
}

impl Person {
    /// True for a person whose acts the door lets through. It decides each time; the pages only say so beforehand.
    pub(crate) fn may_act(&self) -> bool {
        self.role >= Role::Operator
    }

    #[cfg(test)]
    pub(crate) fn nobody() -> Self {
        Self { email: String::new(), user_id: String::new(), role: Role::Viewer, second_factor_missing: false }
    }
}

/// One login of one browser.
pub(crate) struct Session {
    /// With the role that the newest token names.
    person: Mutex<Person>,
    /// Behind a lock across waits: a refresh token works once, so one request refreshes and the others wait.
    pub(crate) tokens: tokio::sync::Mutex<Tokens>,
    begun: DateTime<Utc>,
    seen: Mutex<DateTime<Utc>>,
}

impl Session {
    pub(crate) fn person(&self) -> Person {
        self.person.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over what a fresh token says: a change of the rights voids the one before.
    pub(crate) fn is_now(&self, claims: &Claims) {
        let mut person = self.person.lock().unwrap_or_else(PoisonError::into_inner);
        person.role = claims.role;
        person.second_factor_missing = claims.second_factor_missing;
    }

    /// Goes on with the tokens of another login of the same person.
    pub(crate) async fn go_on_with(&self, tokens: Tokens) {
        if let Some(claims) = tokens.claims() {
            self.is_now(&claims);
        }
        *self.tokens.lock().await = tokens;
    }

    #[cfg(test)]
    pub(crate) fn of_nobody() -> Arc<Self> {
        let person = Person::nobody();
        let (person, tokens) =
            (Mutex::new(person), tokio::sync::Mutex::new(Tokens { access: String::new(), refresh: String::new() }));
        let now = DateTime::UNIX_EPOCH;
        Arc::new(Self { person, tokens, begun: now, seen: Mutex::new(now) })
    }

    fn last_seen(&self) -> DateTime<Utc> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True once one of the limits has passed. A live stream looks at it too, and does not count as a request.
    pub(crate) fn is_over(&self, now: DateTime<Utc>) -> bool {
        now - self.begun >= SESSION_MAX || now - self.last_seen() >= IDLE_MAX
    }
}

/// The page on which a session begins.
pub(crate) const LOGIN: &str = "/ops/login";

/// The page on which people change what they log in with.
pub(crate) const ACCOUNT: &str = "/ops/account";

/// Where a person goes whose session is over, although the browser still names it.
pub(crate) const AFTER_THE_END: &str = "/ops/login?ended=yes";

/// All sessions, by the digest of their names: what lies in memory logs nobody in.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<[u8; 32], Arc<Session>>>);

impl Sessions {
    /// Begins a session under `name`, and answers the one that made room for it, if one had to.
    pub(crate) fn begin(&self, name: &str, person: Person, tokens: Tokens, now: DateTime<Utc>) -> Option<Arc<Session>> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = sessions.len() >= SESSIONS_MAX;
        let oldest = sessions.iter().filter(|_| full).min_by_key(|(_, session)| session.last_seen());
        let oldest = oldest.map(|(key, _)| *key);
        let made_room = oldest.and_then(|oldest| sessions.remove(&oldest));
        let (person, tokens) = (Mutex::new(person), tokio::sync::Mutex::new(tokens));
        let session = Session { person, tokens, begun: now, seen: Mutex::new(now) };
        sessions.insert(digest(name), Arc::new(session));
        made_room
    }

    /// The session of this name, which counts as used now. One that is over is left for [`Self::take_those_over`].
    pub(crate) fn find(&self, name: &str, now: DateTime<Utc>) -> Option<Arc<Session>> {
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = Arc::clone(sessions.get(&digest(name)).filter(|session| !session.is_over(now))?);
        *found.seen.lock().unwrap_or_else(PoisonError::into_inner) = now;
        Some(found)
    }

    /// Takes out all sessions that are over: their logins at the door are still to be ended.
    pub(crate) fn take_those_over(&self, now: DateTime<Utc>) -> Vec<Arc<Session>> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.extract_if(|_, session| session.is_over(now)).map(|(_, session)| session).collect()
    }

    /// Ends the session of this name, and answers which one that was.
    pub(crate) fn end(&self, name: &str) -> Option<Arc<Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest(name))
    }
}

fn digest(name: &str) -> [u8; 32] {
    Sha256::digest(name.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    fn begin(sessions: &Sessions, name: &str, now: DateTime<Utc>) {
        assert!(begin_at(sessions, name, now).is_none(), "a session made room for {name}");
    }

    /// Begins a session with its name as its refresh token, and tells which one made room for it.
    fn begin_at(sessions: &Sessions, name: &str, now: DateTime<Utc>) -> Option<Arc<Session>> {
        sessions.begin(name, Person::nobody(), Tokens { access: String::new(), refresh: name.to_owned() }, now)
    }

    #[test]
    fn a_session_ends_after_half_an_hour_without_a_request() {
        let sessions = Sessions::default();
        begin(&sessions, "a", at(0));
        assert!(sessions.find("a", at(29)).is_some());
        assert!(sessions.find("a", at(58)).is_some(), "each request begins the half hour anew");
        assert!(sessions.find("a", at(88)).is_none());
    }

    #[test]
    fn a_session_ends_after_twelve_hours_however_often_it_is_used() {
        let sessions = Sessions::default();
        begin(&sessions, "a", at(0));
        for minutes in (0..720).step_by(10) {
            assert!(sessions.find("a", at(minutes)).is_some(), "{minutes}");
        }
        assert!(sessions.find("a", at(720)).is_none());
    }

    #[test]
    fn a_fresh_token_brings_the_role_of_now() {
        let sessions = Sessions::default();
        begin(&sessions, "a", at(0));
        let claims = r#"{"iss":"","aud":"","jti":"","sub":"usr_01900000000070008000000000000003","role":"operator","iat":0,"exp":1}"#;
        let access = format!("x.{}.x", BASE64_URL_SAFE_NO_PAD.encode(claims));
        let claims = Tokens { access, refresh: String::new() }.claims();
        let session = sessions.find("a", at(1)).unwrap();
        assert!(!session.person().may_act());
        session.is_now(&claims.unwrap());
        assert!(session.person().may_act());
    }

    #[test]
    fn a_session_that_was_ended_or_never_begun_is_not_found() {
        let sessions = Sessions::default();
        begin(&sessions, "a", at(0));
        sessions.end("a");
        assert!(sessions.find("a", at(1)).is_none());
        assert!(sessions.find("b", at(1)).is_none());
    }

    #[test]
    fn sessions_that_are_over_are_taken_out_once_and_no_others() {
        let sessions = Sessions::default();
        begin(&sessions, "idle", at(0));
        begin(&sessions, "used", at(0));
        assert!(sessions.take_those_over(at(29)).is_empty());
        assert!(sessions.find("used", at(29)).is_some());
        assert!(sessions.find("idle", at(30)).is_none());
        let over: Vec<String> = sessions.take_those_over(at(30)).iter().map(refresh_token).collect();
        assert_eq!(over, ["idle"]);
        assert!(sessions.take_those_over(at(30)).is_empty());
        assert!(sessions.find("used", at(30)).is_some());
    }

    fn refresh_token(session: &Arc<Session>) -> String {
        session.tokens.try_lock().unwrap().refresh.clone()
    }

    #[test]
    fn past_the_limit_the_session_that_was_used_longest_ago_makes_room() {
        let sessions = Sessions::default();
        for number in 0..SESSIONS_MAX {
            begin(&sessions, &number.to_string(), at(0) + TimeDelta::milliseconds(number.try_into().unwrap()));
        }
        assert!(sessions.find("0", at(1)).is_some());
        assert_eq!(begin_at(&sessions, "new", at(2)).as_ref().map(refresh_token).as_deref(), Some("1"));
        assert!(sessions.find("0", at(3)).is_some());
        assert!(sessions.find("1", at(3)).is_none());
        assert!(sessions.find("new", at(3)).is_some());
    }
}

//! Following a live stream of the gateway to its end: a lost connection is taken up again after the last event that was
//! heard.

use std::time::Duration;

use eventsource_stream::{Event, Eventsource as _};
use futures::StreamExt as _;
use reqwest::StatusCode;

use crate::{
    client::{self, Client},
    failure::{Exit, Failure},
};

/// How long to wait before the first new attempt; doubled each time.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
/// The longest wait between two attempts: an operator is looking.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// After so many attempts in a row without one event the gateway counts as gone.
const ATTEMPTS_MAX: u32 = 30;

/// Whether a follower wants more after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wants {
    /// The stream goes on.
    More,
    /// The follower has seen the end.
    NoMore,
}

/// Follows a stream, and hands each event of it to `take`, and what happens to the connection to `say`.
pub(crate) async fn follow(
    client: &Client,
    path: &str,
    mut take: impl FnMut(&Event) -> Result<Wants, Failure>,
    say: impl Fn(&str),
) -> Result<(), Failure> {
    let (mut last, mut attempts) = (None, 0);
    loop {
        let before = last.clone();
        match follow_once(client, path, &mut last, &mut take).await {
            Ok(Followed::Ended) => return Ok(()),
            Ok(Followed::Lost(why)) => say(&format!("the connection was lost ({why}); taking it up again")),
            Ok(Followed::Broken(failure)) => return Err(failure),
            // Wrong ids and missing rights do not get better by asking again.
            Err(failure) if failure.exit != Exit::Error => return Err(failure),
            Err(failure) => say(&format!("{failure}; trying again")),
        }
        attempts = if last == before { attempts + 1 } else { 0 };
        if attempts >= ATTEMPTS_MAX {
            return Err(Failure::error(format!("given up after {ATTEMPTS_MAX} attempts")));
        }
        let pause = PAUSE_FIRST.saturating_mul(1 << attempts.min(8)).min(PAUSE_MAX);
        tokio::time::sleep(pause).await;
    }
}

enum Followed {
    Ended,
    Lost(String),
    Broken(Failure),
}

async fn follow_once(
    client: &Client,
    path: &str,
    last: &mut Option<String>,
    take: &mut impl FnMut(&Event) -> Result<Wants, Failure>,
) -> Result<Followed, Failure> {
    let response = client.stream(path, last.as_deref()).await?;
    if response.status() == StatusCode::NO_CONTENT {
        // All was told before, but for the end itself.
        return Ok(Followed::Ended);
    }
    let mut events = response.bytes_stream().eventsource();
    loop {
        let Some(next) = client::within_silence(events.next()).await else {
            return Ok(Followed::Lost("silence".to_owned()));
        };
        let event = match next {
            None => return Ok(Followed::Lost("closed".to_owned())),
            Some(Err(error)) => return Ok(Followed::Lost(error.to_string())),
            Some(Ok(event)) => event,
        };
        match take(&event) {
            Ok(Wants::More) => {}
            Ok(Wants::NoMore) => return Ok(Followed::Ended),
            Err(failure) => return Ok(Followed::Broken(failure)),
        }
        if !event.id.is_empty() {
            *last = Some(event.id);
        }
    }
}

/// The data of an event.
pub(crate) fn data<T: serde::de::DeserializeOwned>(event: &Event) -> Result<T, Failure> {
    serde_json::from_str(&event.data)
        .map_err(|error| Failure::error(format!("an event that this sagactl does not understand: {error}")))
}

//! Waiting for states, with a deadline that names what did not come.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep};

/// How long between two looks at a state that cannot announce itself.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Looks until `look` finds something.
///
/// # Panics
/// When nothing is found within `limit`: the test has failed.
pub async fn until<T, F>(what: &str, limit: Duration, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let end = Instant::now() + limit;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) if Instant::now() >= end => panic!("waited {limit:?} for {what}; last seen: {seen}"),
            Err(_) => sleep(LOOK_INTERVAL).await,
        }
    }
}

//! The demonstration's traffic: clients who search, book, pay, hesitate and are refused, through the real door, so that
//! there is something to see. It runs until it is stopped, never in production.
//!
//! It is bounded. One client sets out at a time, at a steady pace; those that are under way are counted, and none sets out
//! while they are many, as when an operator has paused a domain. What stays open for hours (a forgotten hold, a saga that
//! needs a person) is made a few dozen times in one run and not more. Trips are spread over routes and days, so that the
//! seats of the demonstration last for days; what is sold out is searched for on another day.

mod client;
mod journeys;

use std::{sync::Arc, time::Duration};

use kit::clock::Clock;
use reqwest::Url;
use secrecy::SecretString;
use tokio::{
    sync::Semaphore,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use self::{client::Client, journeys::Journey};

/// How often a client sets out: some journeys start two sagas, so that a few begin each second.
const PACE: Duration = Duration::from_millis(400);

/// The most journeys under way: far more than the pace needs while everything works, far fewer than would fill anything.
const UNDER_WAY_MAX: usize = 64;

/// How often in one run a journey is made that leaves something open for hours: more than one screen of them.
const LEFT_OPEN_MAX: usize = 30;

/// The journeys of the clients, in this order, over and over.
const JOURNEYS: [Journey; 20] = [
    Journey::Order("tok_ok"),
    Journey::Booking("tok_ok"),
    Journey::Order("tok_3ds"),
    Journey::Hold { then_pay: true },
    Journey::Order("tok_declined"),
    Journey::Trip("tok_ok"),
    Journey::Booking("tok_insufficient"),
    Journey::Order("tok_ok"),
    Journey::Deposit,
    Journey::Hold { then_pay: false },
    Journey::Order("tok_timeout_after_commit"),
    Journey::Booking("tok_ok"),
    Journey::DeclinedAct,
    Journey::Order("tok_ok"),
    Journey::Trip("tok_3ds"),
    Journey::ForgottenHold,
    Journey::Order("tok_timeout_before_commit"),
    Journey::ForgottenAct,
    Journey::Booking("tok_ok"),
    Journey::Stuck,
];

/// The running traffic.
pub(crate) struct Traffic {
    task: JoinHandle<()>,
    token: CancellationToken,
}

impl Traffic {
    /// Sends the clients on their way, as one person of the demonstration.
    pub(crate) fn start(door: Url, email: &'static str, password: SecretString, clock: Arc<dyn Clock>) -> Self {
        let token = CancellationToken::new();
        let stopping = token.clone();
        let task = tokio::spawn(async move {
            stopping.run_until_cancelled(run(Client::new(door, email, password), clock)).await;
        });
        Self { task, token }
    }

    /// Ends it. Journeys that are under way stay as they are: their sagas go on by themselves.
    pub(crate) async fn stop(self) {
        self.token.cancel();
        // It ends by the token; a panic in it has been logged.
        let _ = self.task.await;
    }
}

async fn run(client: Client, clock: Arc<dyn Clock>) {
    let client = Arc::new(client);
    let under_way = Arc::new(Semaphore::new(UNDER_WAY_MAX));
    let mut left_open = 0;
    let mut ticks = interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Ends with this future: what is in the set is dropped with it.
    let mut journeys = tokio::task::JoinSet::new();
    for number in 0_usize.. {
        ticks.tick().await;
        let Ok(place) = Arc::clone(&under_way).acquire_owned().await else { return };
        while journeys.try_join_next().is_some() {}
        let journey = JOURNEYS[number % JOURNEYS.len()];
        if journey.leaves_something_open() {
            if left_open >= LEFT_OPEN_MAX {
                continue;
            }
            left_open += 1;
        }
        let (client, today) = (Arc::clone(&client), clock.now().date_naive());
        journeys.spawn(async move {
            if let Err(error) = journey.make(&client, number, today).await {
                tracing::debug!(error = format!("{error:#}"), number, "a journey of the demonstration came to no end");
            }
            drop(place);
        });
    }
}

//! Real orders: the agency's `order` saga through the door of `sojourn`, every part in one process on a PostgreSQL of its
//! own, with a flight and a stay each. Searches are part of buying; what they cost is measured by themselves first.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use chrono::{Days, NaiveDate};
use kit::clock::Clock as _;
use private_servers::{
    Postgres,
    testing::{binary, free_ports},
};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::{
    latency::{Run, median},
    load::closed_loop,
    system::{self, Groups, Program},
};

/// Clients at once, one table each.
const CLIENTS: [usize; 2] = [1, 16];

/// Departures are asked for from so many days ahead on.
const DAYS_FROM: u64 = 20;
/// Days over which the orders are spread, within the 90 that the demonstration sells.
const DAYS: u64 = 60;
/// Nights of a stay.
const NIGHTS: u64 = 2;

/// Searches of each kind in one measurement of their cost.
const SEARCHES: usize = 300;

/// A client of the agency, logged in.
struct Buyer {
    http: reqwest::Client,
    door: String,
    token: String,
    /// Spreads orders over the days, and gives every order its key.
    number: AtomicU64,
}

/// Starts `sojourn`, measures searches and orders, and prints.
pub(crate) async fn run(runs: u16, length: Duration) -> Result<()> {
    let mut postgres = Postgres::start(system::durable()).await?;
    let folder = tempfile::tempdir()?;
    let port = free_ports(1)?.pop().context("a free port")?;
    let mut sojourn = Program::new("sojourn", "sojourn", &binary("sojourn"), port)
        .arguments([format!("--data-dir={}", folder.path().display())])
        .environment("DATABASE_URL", postgres.url("postgres"))
        .environment("SOJOURN_ACCESS_TOKEN_MINUTES", "120")
        // The load comes from one address, which is no crowd here.
        .environment("SOJOURN_LOGINS_PER_MINUTE", "0")
        .environment("SOJOURN_SEARCHES_PER_MINUTE", "0")
        .environment("SOJOURN_ADDRESS_CONNECTIONS_MAX", "10000");
    sojourn.start()?;
    let http = system::http()?;
    sojourn.until_ready(&http).await?;
    let buyer = Buyer::register(http, &sojourn.address).await?;
    let groups = system::groups([&sojourn], &postgres, None);
    // The first calls make connections and plans.
    for _ in 0..20 {
        buyer.buy().await?;
    }
    println!(
        "\nThe order saga through the door, one process, flights and a stay each, fsync and synchronous_commit on."
    );
    let flights = search_cost(&groups, async || buyer.flight(buyer.next_day()).await.map(drop)).await?;
    let stays = search_cost(&groups, async || buyer.stay(buyer.next_day()).await.map(drop)).await?;
    println!("  a search: flights {flights:.2} CPU-ms, stays {stays:.2} CPU-ms");
    for clients in CLIENTS {
        measure(&buyer, &groups, clients, runs, length, flights + stays).await?;
    }
    drop(sojourn);
    postgres.stop().await;
    Ok(())
}

/// The processor time of one search, in milliseconds.
async fn search_cost(groups: &Groups, search: impl AsyncFn() -> Result<()>) -> Result<f64> {
    let searches = async {
        for _ in 0..SEARCHES {
            search().await?;
        }
        Ok(())
    };
    let ((), usage) = system::metered(groups, searches).await?;
    Ok(groups.keys().map(|group| usage[group].cpu_seconds).sum::<f64>() * 1000.0 / SEARCHES as f64)
}

/// Orders in a closed loop, and the table of their figures.
async fn measure(
    buyer: &Buyer,
    groups: &Groups,
    clients: usize,
    runs: u16,
    length: Duration,
    searches_ms: f64,
) -> Result<()> {
    let mut rows: Vec<(Run, f64, f64)> = Vec::new();
    for _ in 0..runs {
        let orders = closed_loop(clients, length, || buyer.buy());
        let (run, usage) = system::metered(groups, orders).await?;
        let per_order = |group: &str| usage[group].cpu_seconds * 1000.0 / run.completed as f64;
        let (program, database) = (per_order("sojourn"), per_order("postgresql"));
        rows.push((run, program, database));
    }
    let of = |figure: &dyn Fn(&(Run, f64, f64)) -> f64| median(rows.iter().map(figure).collect());
    let all = of(&|row| row.1 + row.2);
    println!("\n{clients} clients (median of {runs} runs of {} s)", length.as_secs());
    println!(
        "  {:.1} orders/s; from the order to its confirmation p50 {:.1} ms, p95 {:.1} ms",
        of(&|row| row.0.per_second()),
        of(&|row| row.0.percentile_ms(0.5)),
        of(&|row| row.0.percentile_ms(0.95)),
    );
    println!(
        "  {all:.1} CPU-ms an order with its two searches ({:.1} without): sojourn {:.1}, postgresql {:.1}",
        all - searches_ms,
        of(&|row| row.1),
        of(&|row| row.2),
    );
    Ok(())
}

impl Buyer {
    async fn register(http: reqwest::Client, door: &str) -> Result<Self> {
        let (email, password) = ("buyer@example.com", "a long enough passphrase");
        let person = json!({ "email": email, "password": password, "name": "Ada" });
        let registered = http.post(format!("{door}/v1/auth/register")).json(&person).send().await?;
        ensure!(registered.status() == StatusCode::CREATED, "registration: {}", registered.text().await?);
        let login = json!({ "email": email, "password": password });
        let session: Value = http.post(format!("{door}/v1/auth/login")).json(&login).send().await?.json().await?;
        let token = session["access_token"].as_str().context("no access token")?.to_owned();
        Ok(Self { http, door: door.to_owned(), token, number: AtomicU64::new(0) })
    }

    /// Searches a flight and a stay, orders both, and waits for the confirmation; answers how long that took from the
    /// order on.
    async fn buy(&self) -> Result<Duration> {
        let day = self.next_day();
        let (flight, stay) = (self.flight(day).await?, self.stay(day).await?);
        let order = json!({
            "items": [{ "offer_id": flight }, { "offer_id": stay }],
            "travellers": [{
                "given_name": "Ada", "family_name": "Example", "born_on": "1985-12-10", "email": "ada@example.com"
            }],
            "payment": { "token": "tok_ok" },
        });
        let key = kit::ids::uuid_v7().to_string();
        let begun = Instant::now();
        let request = self.http.post(format!("{}/v1/orders", self.door)).bearer_auth(&self.token).json(&order);
        let accepted: Value = request.header("idempotency-key", key).send().await?.json().await?;
        let operation = accepted["operation_id"].as_str().with_context(|| format!("not accepted: {accepted}"))?;
        // The stream ends with the order.
        let followed = self.get(&format!("/v1/operations/{operation}/events")).send().await?.text().await?;
        let took = begun.elapsed();
        ensure!(followed.contains("\"succeeded\""), "an order was not confirmed: {followed}");
        Ok(took)
    }

    /// The best offer of a flight on a day.
    async fn flight(&self, day: NaiveDate) -> Result<Value> {
        let query = format!("/v1/flights/offers?from=LHR&to=MLE&date={day}&cabin=economy&passengers=1");
        self.first_offer(self.get(&query)).await
    }

    /// The best offer of a stay from the day after on.
    async fn stay(&self, day: NaiveDate) -> Result<Value> {
        let check_in = day.checked_add_days(Days::new(1)).context("the calendar ends")?;
        let check_out = check_in.checked_add_days(Days::new(NIGHTS)).context("the calendar ends")?;
        let query = format!("/v1/stays/offers?place=Maldives&check_in={check_in}&check_out={check_out}&guests=1");
        self.first_offer(self.get(&query)).await
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.door)).bearer_auth(&self.token)
    }

    async fn first_offer(&self, request: RequestBuilder) -> Result<Value> {
        let answer: Value = request.send().await?.json().await?;
        answer["items"][0].get("offer_id").cloned().with_context(|| format!("no offer: {answer}"))
    }

    fn next_day(&self) -> NaiveDate {
        let days = DAYS_FROM + self.number.fetch_add(1, Ordering::Relaxed) % DAYS;
        let today = kit::clock::SystemClock.now().date_naive();
        today.checked_add_days(Days::new(days)).unwrap_or(today)
    }
}

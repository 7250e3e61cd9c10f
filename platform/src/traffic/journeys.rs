//! The journeys of the demonstration's clients, from the search to the end.

use anyhow::{Context as _, Result, ensure};
use chrono::{Days, NaiveDate};
use serde_json::{Value, json};

use super::client::Client;

/// Flights that leave every day, by where they leave and land.
const ROUTES: [(&str, &str); 8] = [
    ("LHR", "MLE"),
    ("LHR", "JFK"),
    ("LHR", "SIN"),
    ("LHR", "NBO"),
    ("MLE", "LHR"),
    ("JFK", "LHR"),
    ("SIN", "LHR"),
    ("NBO", "LHR"),
];

/// Cabins with seats on each of them.
const CABINS: [&str; 3] = ["economy", "business", "premium_economy"];

/// A place with hundreds of rooms on every night.
const PLACE: &str = "Maldives";

/// The first day of travel, in days from now.
const FIRST_DAY: u64 = 10;

/// The first day of what is paid in two parts: a deposit needs that much time before the departure.
const FIRST_DAY_OF_DEPOSITS: u64 = 65;

/// The days that flights are spread over; the last one is on sale.
const FLIGHT_DAYS: usize = 100;

/// The days that stays are spread over; the last one is on sale.
const STAY_DAYS: usize = 300;

/// The travellers' names.
const NAMES: [(&str, &str); 5] =
    [("Ada", "Guest"), ("Grace", "Marlow"), ("Noor", "Haddad"), ("Kenji", "Sato"), ("Lea", "Berger")];

/// The journey of one client.
#[derive(Debug, Clone, Copy)]
pub(super) enum Journey {
    /// A flight, paid with this token; an act that the bank asks for is approved.
    Order(&'static str),
    /// A stay, paid with this token.
    Booking(&'static str),
    /// A flight and a stay.
    Trip(&'static str),
    /// A stay in two payments.
    Deposit,
    /// A flight is held, and then paid for or let go.
    Hold { then_pay: bool },
    /// A flight is held, and lapses after hours.
    ForgottenHold,
    /// The client declines at the bank.
    DeclinedAct,
    /// The client never acts, and the bank's page lapses after minutes.
    ForgottenAct,
    /// The capture is refused, and a person has to look.
    Stuck,
}

impl Journey {
    /// Whether what it leaves behind stays open for hours, or until a person acts.
    pub(super) const fn leaves_something_open(self) -> bool {
        matches!(self, Self::ForgottenHold | Self::Stuck)
    }

    /// Makes the journey, the `number`th of all.
    pub(super) async fn make(self, client: &Client, number: usize, today: NaiveDate) -> Result<()> {
        let trip = Trip { client, number, today };
        match self {
            Self::Order(token) => trip.order(&[trip.flight().await?], token, "approve").await,
            Self::Booking(token) => trip.book(FIRST_DAY, token, "full").await.map(drop),
            Self::Trip(token) => {
                let stay = trip.stay(trip.flight_day()).await?;
                trip.order(&[trip.flight().await?, stay], token, "approve").await
            }
            Self::Deposit => {
                let order = trip.book(FIRST_DAY_OF_DEPOSITS, "tok_ok", "deposit").await?;
                let payment =
                    client.post(&format!("/v1/orders/{order}/payments"), &json!({ "token": "tok_ok" })).await?;
                let path = format!("/v1/payments/{}", text(&payment, "payment_id")?);
                client.until(&path, |shown| shown["status"] != "pending").await.map(drop)
            }
            Self::Hold { then_pay } => trip.hold(then_pay).await,
            Self::ForgottenHold => trip.held().await.map(drop),
            Self::DeclinedAct => trip.order(&[trip.flight().await?], "tok_3ds", "decline").await,
            Self::ForgottenAct => trip.place(&[trip.flight().await?], "tok_3ds").await.map(drop),
            Self::Stuck => trip.place(&[trip.flight().await?], "tok_capture_fails").await.map(drop),
        }
    }
}

/// One trip of one client.
struct Trip<'a> {
    client: &'a Client,
    number: usize,
    today: NaiveDate,
}

impl Trip<'_> {
    fn day(&self, ahead: u64) -> NaiveDate {
        self.today.checked_add_days(Days::new(ahead)).unwrap_or(self.today)
    }

    /// The next day only when every cabin of every route had its turn.
    fn flight_day(&self) -> NaiveDate {
        let turn = self.number / (ROUTES.len() * CABINS.len()) % FLIGHT_DAYS;
        self.day(FIRST_DAY + turn as u64)
    }

    async fn flight(&self) -> Result<String> {
        let (from, to) = ROUTES[self.number % ROUTES.len()];
        let cabin = CABINS[self.number / ROUTES.len() % CABINS.len()];
        let query = format!("from={from}&to={to}&date={}&cabin={cabin}&passengers=1", self.flight_day());
        self.client.first_offer(&format!("/v1/flights/offers?{query}")).await
    }

    async fn stay(&self, from: NaiveDate) -> Result<String> {
        let until = from.checked_add_days(Days::new(3)).unwrap_or(from);
        let query = format!("place={PLACE}&check_in={from}&check_out={until}&guests=1");
        self.client.first_offer(&format!("/v1/stays/offers?{query}")).await
    }

    fn travellers(&self) -> Value {
        let (given, family) = NAMES[self.number % NAMES.len()];
        let email = format!("{}@example.com", given.to_lowercase());
        json!([{ "given_name": given, "family_name": family, "born_on": "1985-12-10", "email": email }])
    }

    /// Places an order; its id.
    async fn place(&self, offers: &[String], token: &str) -> Result<String> {
        let items: Vec<Value> = offers.iter().map(|offer| json!({ "offer_id": offer })).collect();
        let order = json!({ "items": items, "travellers": self.travellers(), "payment": { "token": token } });
        text(&self.client.post("/v1/orders", &order).await?, "order_id")
    }

    /// Places an order and presses a button if the bank asks for an act; until it has ended.
    async fn order(&self, offers: &[String], token: &str, button: &str) -> Result<()> {
        let order = self.place(offers, token).await?;
        let path = format!("/v1/orders/{order}");
        let is_over = |shown: &Value| shown["status"] != "pending";
        let acts = |shown: &Value| shown["next_action"]["url"].is_string();
        let shown = self.client.until(&path, |shown| is_over(shown) || acts(shown)).await?;
        if let Some(page) = shown["next_action"]["url"].as_str() {
            self.client.press(page, button).await?;
        }
        self.client.until(&path, is_over).await.map(drop)
    }

    /// Books a stay; the id of its order.
    async fn book(&self, first_day: u64, token: &str, plan: &str) -> Result<String> {
        let stay = self.stay(self.day(first_day + (self.number % STAY_DAYS) as u64)).await?;
        let payment = json!({ "token": token, "plan": plan });
        let booking = json!({ "offer_id": stay, "travellers": self.travellers(), "payment": payment });
        let order = text(&self.client.post("/v1/bookings", &booking).await?, "order_id")?;
        self.client.until(&format!("/v1/orders/{order}"), |shown| shown["status"] != "pending").await?;
        Ok(order)
    }

    /// Holds a flight; the address of the hold.
    async fn held(&self) -> Result<String> {
        let hold = json!({ "offer_id": self.flight().await?, "travellers": self.travellers() });
        let hold = self.client.post("/v1/flight-holds", &hold).await?;
        let path = format!("/v1/flight-holds/{}", text(&hold, "hold_id")?);
        let held = self.client.until(&path, |shown| shown["status"] != "pending").await?;
        ensure!(held["status"] == "held", "{path} is {}", held["status"]);
        Ok(path)
    }

    async fn hold(&self, then_pay: bool) -> Result<()> {
        let path = self.held().await?;
        if then_pay {
            let payment = json!({ "payment": { "token": "tok_ok" } });
            self.client.post(&format!("{path}/confirm"), &payment).await?;
        } else {
            self.client.delete(&path).await?;
        }
        let is_over = |shown: &Value| shown["status"] != "held" && shown["status"] != "confirming";
        self.client.until(&path, is_over).await.map(drop)
    }
}

fn text(body: &Value, name: &str) -> Result<String> {
    body[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in {body}"))
}

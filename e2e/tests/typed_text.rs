//! Text as people type it, through the door: names that cannot be seen, addresses and passwords of every script, card
//! numbers in disguise, empty page tokens; and orders whose parts do not fit together. Each is judged by one rule,
//! whichever part it is meant for.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{collections::BTreeSet, time::Duration};

use chrono::{Days, NaiveDate};
use e2e::{Client, Findings, Response, System, order_of};
use kit::clock::Clock;
use reqwest::Method;
use serde_json::{Value, json};

/// How long one order may take on a busy machine.
const SETTLED_WITHIN: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn what_people_type_is_judged_by_one_rule_wherever_it_arrives() {
    let system = System::start().await.unwrap();
    let mut findings = Findings::default();
    let client = system.client("ada").await.unwrap();

    names(&system, &client, &mut findings).await;
    addresses(&system, &client, &mut findings).await;
    passwords(&system, &mut findings).await;
    card_numbers(&client, &mut findings).await;
    spellings(&client, &mut findings).await;
    page_tokens(&system, &client, &mut findings).await;
    parts_that_do_not_fit(&client, &mut findings).await;

    findings.that("panics", system.panics().is_empty(), system.panics());
    findings.end(|| system.logs());
}

async fn names(system: &System, client: &Client, findings: &mut Findings) {
    let order = flight_order(client, 20).await;
    for name in ["\u{200b}", "\u{2800}", "Ada\u{202e}", "\u{2066}Ada\u{2069}", "A\u{ad}da", "Ada\u{e0041}"] {
        let what = format!("the name {name:?}");
        for member in ["given_name", "family_name"] {
            let place = format!("/travellers/0/{member}");
            let answer = client.order("unseen", &with(&order, &place, name)).await.unwrap();
            findings.problem(&what, &answer, 422, "order_invalid", &[&format!("#{place}")]);
        }
        let answer = register(system, "eve", name, "a long enough passphrase").await;
        findings.problem(&what, &answer, 422, "registration_invalid", &["#/name"]);
    }
    for name in ["Łucja", "محمد", "さくら", "O’Neill-Šimić", "می\u{200c}خواهم"] {
        let answer = register(system, "eve", name, "a long enough passphrase").await;
        findings.that(&format!("the name {name}"), answer.status == 201, &answer);
    }
}

async fn addresses(system: &System, client: &Client, findings: &mut Findings) {
    let order = flight_order(client, 21).await;
    // The names of mail domains are read by UTS 46, which knows symbols and passes over a zero width space.
    let good = [
        "abc@सार्वभौमिक-स्वीकृति-परीक्षण.संगठन",
        "x@bücher.example",
        "a.b+c@xn--bcher-kva.example",
        "x@i❤.ws",
        "x@exa\u{200b}mple.com",
    ];
    let wrong = ["x@-a.example", "x@a..example", "x@", "@a.example", "x y@a.example", "\u{200b}@a.example"];
    for (number, address) in good.into_iter().chain(wrong).enumerate() {
        let taken = number < good.len();
        let person = json!({ "email": address, "password": "a long enough passphrase", "name": "Eve" });
        let stranger = Client::stranger(&system.gateway);
        let registered = stranger.call(Method::POST, "/v1/auth/register", Some(person)).await.unwrap();
        let ordered = client.order(&format!("address {number}"), &with(&order, "/travellers/0/email", address)).await;
        let ordered = ordered.unwrap();
        let statuses = (registered.status.as_u16(), ordered.status.as_u16());
        let expected = if taken { (201, 202) } else { (422, 422) };
        findings.that(&format!("the address {address}"), statuses == expected, (&registered, &ordered));
    }
}

async fn passwords(system: &System, findings: &mut Findings) {
    let long = "長い秘密の言葉を三回くりかえすと安全になります。".chars().cycle().take(43).collect::<String>();
    // Composed and apart; wide and narrow; with one kind of space and another.
    let pairs = [
        (long.clone(), long),
        ("caf\u{e9} au lait a volonte".to_owned(), "cafe\u{301} au lait a volonte".to_owned()),
        ("a long\u{a0}enough passphrase".to_owned(), "a long enough passphrase".to_owned()),
    ];
    for (number, (chosen, typed)) in pairs.into_iter().enumerate() {
        let email = format!("typed-{number}-{}@example.com", kit::ids::uuid_random().simple());
        let stranger = Client::stranger(&system.gateway);
        let person = json!({ "email": email, "password": chosen, "name": "Eve" });
        let registered = stranger.call(Method::POST, "/v1/auth/register", Some(person)).await.unwrap();
        let login = json!({ "email": email, "password": typed });
        let entered = stranger.call(Method::POST, "/v1/auth/login", Some(login)).await.unwrap();
        let statuses = (registered.status.as_u16(), entered.status.as_u16());
        findings.that(&format!("the password {chosen}"), statuses == (201, 200), (&registered, &entered));
    }
    let answer = register(system, "eve", "Eve", &"é".repeat(129)).await;
    findings.problem("a password of 129 characters", &answer, 422, "registration_invalid", &["#/password"]);
}

async fn card_numbers(client: &Client, findings: &mut Findings) {
    let order = flight_order(client, 22).await;
    for text in [
        "4111 1111 1111 1111 123",
        "2026-11 4242424242424242",
        "Ada 5555.5555.5555.4444",
        "3782–822463–10005",
        "４１１１１１１１１１１１１１１１",
        "4111_1111/1111|1111",
    ] {
        for member in ["given_name", "family_name"] {
            let place = format!("/travellers/0/{member}");
            let answer = client.order("a card", &with(&order, &place, text)).await.unwrap();
            findings.problem(&format!("{member} {text}"), &answer, 422, "card_number_refused", &[&format!("#{place}")]);
        }
    }
    // A time stamp and a number of no card pass the checksum too, and are not stored.
    let mut honest = order.clone();
    honest["sent_at"] = json!(1_795_699_635_680_u64);
    honest["reference"] = json!("1795699635680");
    let answer = client.order("an honest order", &honest).await.unwrap();
    findings.that("a time stamp is no card", answer.status == 202, &answer);
}

async fn spellings(client: &Client, findings: &mut Findings) {
    let stays = async |place: &str| {
        let (from, to) = (in_days(40), in_days(42));
        let path = format!("/v1/stays/offers?place={place}&check_in={from}&check_out={to}&guests=1");
        let answer = client.get(&path).await.unwrap();
        let items = answer.body["items"].as_array().cloned().unwrap_or_default();
        let rooms: BTreeSet<String> =
            items.iter().map(|item| format!("{} {}", item["property"], item["room_type"])).collect();
        (answer.status.as_u16(), rooms)
    };
    let plain = stays("Maldives").await;
    findings.that("stays in the Maldives", plain.0 == 200 && !plain.1.is_empty(), &plain);
    for place in ["maldives", "Ｍaldives", "%20Maldives%20", "Ma\u{301}ldives"] {
        let found = stays(place).await;
        findings.that(&format!("stays in {place}"), found == plain, &found);
    }
}

async fn page_tokens(system: &System, client: &Client, findings: &mut Findings) {
    let operator = system.operator().await.unwrap();
    let (from, to) = (in_days(30), in_days(33));
    let listings = [
        (client, "/v1/orders?".to_owned()),
        (client, format!("/v1/flights/offers?from=LHR&to=MLE&date={from}&cabin=business&passengers=1&")),
        (client, format!("/v1/stays/offers?place=Maldives&check_in={from}&check_out={to}&guests=1&")),
        (&operator, "/ops/api/sagas?".to_owned()),
    ];
    for token in ["", "nonsense", "%00"] {
        let mut answers = BTreeSet::new();
        for (who, path) in &listings {
            let answer = who.get(&format!("{path}page_token={token}")).await.unwrap();
            answers.insert((answer.status.as_u16(), answer.body["code"].to_string()));
        }
        findings.that(&format!("one answer to the page token `{token}`"), answers.len() == 1, &answers);
    }
}

async fn parts_that_do_not_fit(client: &Client, findings: &mut Findings) {
    let stay = client.stay("London", in_days(50), in_days(52), 1).await.unwrap();
    let mut crowd = order_of(&[&stay], "tok_ok");
    let traveller = crowd["travellers"][0].clone();
    crowd["travellers"] = Value::Array(vec![traveller; 9]);
    let answer = client.order("a crowd", &crowd).await.unwrap();
    let refused = if answer.status == 202 {
        let settled = client.until_settled(answer.body["order_id"].as_str().unwrap(), SETTLED_WITHIN).await;
        settled["status"] == "rejected" && settled["reason"]["code"] != Value::Null
    } else {
        answer.status == 422
    };
    findings.that("nine travellers in a room for one guest", refused, &answer);
}

async fn register(system: &System, email: &str, name: &str, password: &str) -> Response {
    let email = format!("{email}-{}@example.com", kit::ids::uuid_random().simple());
    let person = json!({ "email": email, "password": password, "name": name });
    Client::stranger(&system.gateway).call(Method::POST, "/v1/auth/register", Some(person)).await.unwrap()
}

async fn flight_order(client: &Client, day: u64) -> Value {
    let flight = client.flight("LHR", "MLE", in_days(day), "business", 1).await.unwrap();
    order_of(&[&flight], "tok_ok")
}

/// The same document with another value at one place.
fn with(document: &Value, pointer: &str, value: &str) -> Value {
    let mut other = document.clone();
    *other.pointer_mut(pointer).unwrap_or_else(|| panic!("no place {pointer}")) = value.into();
    other
}

/// So many days from today.
fn in_days(days: u64) -> NaiveDate {
    kit::clock::SystemClock.now().date_naive().checked_add_days(Days::new(days)).unwrap()
}

//! Searching and reading offers on the demonstration's flights.

use std::{collections::BTreeSet, str::FromStr, sync::Arc};

use chrono::{DateTime, Days, Duration, NaiveDate, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;
use contract::{
    FlightOfferId, Page,
    flights::{Cabin, FlightOffer, FlightSearch},
};
use sqlx::PgPool;
use worker_flights::{FlightTerms, SearchError, find_offer, router, search, seed};
use worker_runtime::{
    OfferKeys, OfferMinutes, OfferReads,
    testkit::{
        ManualClock,
        lab::{get, offer_keys},
    },
};

use crate::common::empty;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn noon(date: NaiveDate) -> DateTime<Utc> {
    date.and_hms_opt(12, 0, 0).unwrap().and_utc()
}

fn wanted(from: &str, to: &str, date: NaiveDate, cabin: Cabin) -> FlightSearch {
    FlightSearch { from: from.into(), to: to.into(), date, cabin, passengers: 2, page_size: None, page_token: None }
}

fn reads(pool: &PgPool, now: DateTime<Utc>) -> OfferReads {
    let clock = Arc::new(ManualClock::new(now));
    OfferReads { pool: pool.clone(), clock, offer_for: OfferMinutes::default(), keys: offer_keys() }
}

async fn find(pool: &PgPool, wanted: &FlightSearch, today: NaiveDate) -> Result<Page<FlightOffer>, SearchError> {
    search(&reads(pool, noon(today)), wanted).await
}

#[tokio::test]
async fn business_seats_to_the_maldives_are_on_sale_every_day_for_ninety_days() {
    let pool = empty("flights_ninety").await;
    let today = day("2026-11-22");
    seed(&pool, today).await.unwrap();
    for ahead in 0..=90 {
        let date = today + Days::new(ahead);
        let page = find(&pool, &wanted("lhr", "MLE", date, Cabin::Business), today).await.unwrap();
        assert!(!page.items.is_empty(), "nothing on {date}");
        assert!(page.items.iter().all(|offer| offer.departs_local.starts_with(&date.to_string())));
    }
    // A second start adds nothing; a start ten days later adds ten days.
    let count = |pool: PgPool| async move {
        let (count,): (i64,) = sqlx::query_as("SELECT count(*) FROM flight").fetch_one(&pool).await.unwrap();
        count
    };
    let before = count(pool.clone()).await;
    seed(&pool, today).await.unwrap();
    assert_eq!(count(pool.clone()).await, before);
    seed(&pool, today + Days::new(10)).await.unwrap();
    assert!(count(pool.clone()).await > before);
    crate::common::assert_conserved(&pool).await;
}

#[tokio::test]
async fn a_process_that_runs_for_months_sells_as_far_ahead_as_a_new_one() {
    let pool = empty("flights_rolling").await;
    let today = day("2026-11-22");
    seed(&pool, today).await.unwrap();
    let later = today + Days::new(60);
    seed(&pool, later).await.unwrap();
    for ahead in 0..=90 {
        let date = later + Days::new(ahead);
        let page = find(&pool, &wanted("LHR", "MLE", date, Cabin::Business), later).await.unwrap();
        assert!(!page.items.is_empty(), "nothing on {date}");
    }
}

/// The database's time zones against another implementation, over a year with all its clock changes.
#[tokio::test]
async fn every_flight_has_right_local_times() {
    let pool = empty("flights_zones").await;
    for start in ["2026-11-22", "2027-03-20", "2027-08-01"] {
        seed(&pool, day(start)).await.unwrap();
    }
    let ends: Vec<(DateTime<Utc>, NaiveDateTime, String)> = sqlx::query_as(
        "SELECT f.departs_at, f.departs_local, a.zone FROM flight f JOIN airport a ON a.iata = f.origin
         UNION ALL
         SELECT f.arrives_at, f.arrives_local, a.zone FROM flight f JOIN airport a ON a.iata = f.destination",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert!(ends.len() > 50_000);
    for (instant, wall, zone) in ends {
        assert_eq!(instant.with_timezone(&Tz::from_str(&zone).unwrap()).naive_local(), wall, "{zone}");
    }
    let (elsewhen,): (i64,) = sqlx::query_as("SELECT count(*) FROM flight WHERE departs_local::date <> departs_on")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(elsewhen, 0);
    // London skips 01:25 on 28 March 2027; the flight leaves an hour later on its wall, and still takes as long.
    let (local, minutes): (NaiveDateTime, i64) = sqlx::query_as(
        "SELECT departs_local, extract(epoch FROM arrives_at - departs_at)::bigint / 60
         FROM flight WHERE number = 62 AND departs_on = '2027-03-28'",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!((local.to_string().as_str(), minutes), ("2027-03-28 02:25:00", 195));
    assert!(chrono_tz::Europe::London.from_local_datetime(&(local - Duration::hours(1))).single().is_none());
    for (number, days_later) in [(101_i16, 1_i64), (71, -1), (81, -1), (74, 2), (31, 0)] {
        let (least, most): (i64, i64) = sqlx::query_as(
            "SELECT min(arrives_local::date - departs_on)::bigint, max(arrives_local::date - departs_on)::bigint
             FROM flight WHERE number = $1",
        )
        .bind(number)
        .fetch_one(&pool)
        .await
        .unwrap();
        assert!((least..=most).contains(&days_later), "{number}: {least} to {most}");
    }
}

#[tokio::test]
async fn a_search_pages_through_a_metropolitan_area_and_every_offer_reads_back() {
    let pool = empty("flights_pages").await;
    let today = day("2026-11-22");
    seed(&pool, today).await.unwrap();
    let mut wanted = wanted("LON", "MLE", day("2026-12-02"), Cabin::Business);
    let all = find(&pool, &wanted, today).await.unwrap();
    assert_eq!(all.items.iter().map(|offer| offer.from.as_str()).collect::<BTreeSet<_>>(), ["LGW", "LHR"].into());
    assert_eq!((all.items.len(), all.next_page_token), (3, None));

    wanted.page_size = Some(1);
    let mut numbers = Vec::new();
    loop {
        let page = find(&pool, &wanted, today).await.unwrap();
        numbers.extend(page.items.into_iter().map(|offer| offer.flight_number));
        wanted.page_token = page.next_page_token;
        if wanted.page_token.is_none() {
            break;
        }
    }
    assert_eq!(numbers, ["Q0 103", "Q0 105", "Q0 101"]);

    let offer = all.items.into_iter().next().unwrap();
    let now = noon(today);
    assert_eq!(find_offer(&reads(&pool, now), offer.offer_id.clone()).await.unwrap(), offer);
    assert_eq!(offer.expires_at, now + Duration::minutes(30));
    let one = find(&pool, &FlightSearch { passengers: 1, ..wanted.clone() }, today).await.unwrap();
    let single = one.items.iter().find(|other| other.flight_number == offer.flight_number).unwrap();
    assert_eq!(single.total.times(2).unwrap(), offer.total);
}

#[tokio::test]
async fn the_seaplane_sells_three_seats_a_day_and_no_more() {
    let pool = empty("flights_seaplane").await;
    let today = day("2026-11-22");
    seed(&pool, today).await.unwrap();
    let seaplane = |passengers| FlightSearch { passengers, ..wanted("MLE", "DRV", day("2026-12-24"), Cabin::Economy) };
    assert_eq!(find(&pool, &seaplane(3), today).await.unwrap().items.len(), 1);
    assert_eq!(find(&pool, &seaplane(4), today).await.unwrap().items.len(), 0);
}

#[tokio::test]
async fn a_wrong_search_is_answered_with_what_is_wrong() {
    let pool = empty("flights_wrong_searches").await;
    let today = day("2026-11-22");
    seed(&pool, today).await.unwrap();
    let router = router(reads(&pool, noon(today)));
    let ask = async |query: &str| {
        let (status, body) = get(&router, &format!("/offers{query}")).await;
        let pointer = body["errors"][0]["pointer"].as_str().map(str::to_owned);
        (status, body["code"].as_str().unwrap_or("").to_owned(), pointer)
    };
    let wrong = |code: &str, field: &str| (422, code.to_owned(), Some(format!("#/{field}")));
    assert_eq!(
        ask("?from=L%00R&to=MLE&date=2099-01-01&cabin=business&passengers=1").await,
        wrong("airport_unknown", "from")
    );
    assert_eq!(
        ask("?from=XXX&to=MLE&date=2099-01-01&cabin=business&passengers=1").await,
        wrong("airport_unknown", "from")
    );
    assert_eq!(
        ask("?from=LHR&to=%27--&date=2099-01-01&cabin=business&passengers=1").await,
        wrong("airport_unknown", "to")
    );
    assert_eq!(ask("?from=LHR&to=LON&date=2099-01-01&cabin=business&passengers=1").await, wrong("same_place", "to"));
    assert_eq!(
        ask("?from=LHR&to=MLE&date=2020-01-01&cabin=business&passengers=1").await,
        wrong("date_in_past", "date")
    );
    assert_eq!(
        ask("?from=LHR&to=MLE&date=2099-01-01&cabin=business&passengers=1").await,
        wrong("date_too_far", "date")
    );
    for passengers in ["0", "10", "4294967295"] {
        let query = format!("?from=LHR&to=MLE&date=2099-01-01&cabin=business&passengers={passengers}");
        assert_eq!(ask(&query).await, wrong("passengers_out_of_range", "passengers"));
    }
    let (status, code, _) = ask("?from=LHR&to=MLE&date=2099-01-01&cabin=business&passengers=1&page_token=00ff").await;
    assert_eq!((status, code.as_str()), (400, "page_token_invalid"));
    for malformed in [
        "",
        "?from=LHR&to=MLE&date=tomorrow&cabin=business&passengers=1",
        "?from=LHR&to=MLE&date=2099-01-01&cabin=sofa&passengers=1",
        "?from=LHR&to=MLE&date=2099-01-01&cabin=business&passengers=-1",
        "?from=LHR&to=MLE&date=2099-01-01&cabin=business&passengers=1&total=1",
    ] {
        assert_eq!(ask(malformed).await.0, 400, "{malformed}");
    }
}

#[tokio::test]
async fn an_offer_that_is_forged_altered_or_past_its_hour_is_told_apart() {
    let pool = empty("flights_gone").await;
    let today = day("2026-11-22");
    seed(&pool, today).await.unwrap();
    let page = find(&pool, &wanted("LHR", "MLE", day("2026-12-02"), Cabin::First), today).await.unwrap();
    let offer = &page.items[0];
    let ask = async |offer_id: &str, now: DateTime<Utc>| {
        let (status, body) = get(&router(reads(&pool, now)), &format!("/offer?offer_id={offer_id}")).await;
        (status, body["code"].as_str().unwrap_or("").to_owned())
    };
    let good = offer.offer_id.as_str();
    let told = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(ask(good, noon(today)).await, told(200, ""));
    assert_eq!(ask(good, offer.expires_at).await, told(410, "offer_expired"));
    let mut changed = offer.offer_id.seal();
    *changed.last_mut().unwrap() ^= 1;
    let uuid = offer.offer_id.uuid();
    let altered = FlightOfferId::new(uuid, &changed);
    assert_eq!(ask(altered.as_str(), noon(today)).await, told(422, "offer_altered"));
    let other_keys = OfferKeys::new(&["another installation's key of offers".into()], true).unwrap();
    let terms = FlightTerms::open(&offer_keys(), &offer.offer_id).unwrap().good_at(noon(today)).unwrap();
    let forged = terms.seal(&other_keys, uuid, offer.expires_at);
    assert_eq!(ask(forged.as_str(), noon(today)).await, told(404, "offer_unknown"));
    let gone = FlightTerms { flight_id: 0, ..terms }.seal(&offer_keys(), uuid, offer.expires_at);
    assert_eq!(ask(gone.as_str(), noon(today)).await, told(404, "offer_unknown"));
    let stay = good.replace("fof_", "sof_");
    for malformed in ["", "fof_00000000000000000000000000000001", &stay, &format!("{good}&page_size=1")] {
        assert_eq!(ask(malformed, noon(today)).await, told(400, "query_invalid"), "{malformed}");
    }
}

//! Searching and reading offers on the demonstration's properties.

use std::{collections::BTreeSet, sync::Arc};

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use contract::{
    StayOfferId,
    accommodation::{StayOffer, StaySearch},
    text::{composed, search_form},
};
use sqlx::PgPool;
use worker_accommodation::{SearchError, StayTerms, find_offer, router, search, seed};
use worker_runtime::{
    OfferKeys, OfferMinutes, OfferReads,
    testkit::{
        ManualClock,
        lab::{get, offer_keys},
    },
};

use crate::common::empty;

const TODAY: &str = "2026-11-22";

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn noon(date: NaiveDate) -> DateTime<Utc> {
    date.and_hms_opt(12, 0, 0).unwrap().and_utc()
}

fn wanted(place: &str, check_in: &str, nights: u64) -> StaySearch {
    let check_in = day(check_in);
    let check_out = check_in + Days::new(nights);
    StaySearch { place: place.into(), check_in, check_out, guests: 2, page_size: None, page_token: None }
}

async fn find(pool: &PgPool, wanted: &StaySearch) -> Result<Vec<StayOffer>, SearchError> {
    search(&reads(pool, noon(day(TODAY))), wanted).await.map(|page| page.items)
}

fn reads(pool: &PgPool, now: DateTime<Utc>) -> OfferReads {
    let clock = Arc::new(ManualClock::new(now));
    OfferReads { pool: pool.clone(), clock, offer_for: OfferMinutes::default(), keys: offer_keys() }
}

async fn seeded(name: &str) -> PgPool {
    let pool = empty(name).await;
    seed(&pool, day(TODAY)).await.unwrap();
    pool
}

#[tokio::test]
async fn villas_in_the_maldives_are_on_sale_on_every_night() {
    let pool = seeded("stays_every_night").await;
    for ahead in 0..=365 {
        let night = (day(TODAY) + Days::new(ahead)).to_string();
        let offers = find(&pool, &wanted("Maldives", &night, 1)).await.unwrap();
        let villas = offers.iter().filter(|offer| offer.country == "MV" && offer.room_type.contains("Villa"));
        assert!(villas.clone().count() >= 6, "too few villas on {night}");
        assert!(villas.clone().all(|offer| offer.total.currency_code() == "EUR"));
    }
    // A second start adds nothing; a start the next day adds a night and keeps the prices.
    let count = |pool: PgPool| async move {
        let counts: (i64, i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM room_night), (SELECT count(*) FROM rate), (SELECT count(*) FROM restriction)",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        counts
    };
    let before = count(pool.clone()).await;
    seed(&pool, day(TODAY)).await.unwrap();
    assert_eq!(count(pool.clone()).await, before);
    seed(&pool, day(TODAY) + Days::new(1)).await.unwrap();
    let after = count(pool.clone()).await;
    assert!(after.0 > before.0 && after.1 == before.1 && after.2 == before.2, "{before:?} {after:?}");
    let (without_rate,): (i64,) = sqlx::query_as(
        "SELECT count(*) FROM room_night n WHERE 1 <> (
             SELECT count(*) FROM rate r WHERE r.room_type_id = n.room_type_id AND r.valid @> n.night)",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(without_rate, 0);
    crate::common::assert_conserved(&pool).await;
}

#[tokio::test]
async fn a_process_that_runs_for_months_sells_as_far_ahead_as_a_new_one() {
    let pool = seeded("stays_rolling").await;
    let later = day(TODAY) + Days::new(60);
    seed(&pool, later).await.unwrap();
    let last = wanted("Maldives", &(later + Days::new(399)).to_string(), 1);
    assert!(!search(&reads(&pool, noon(later)), &last).await.unwrap().items.is_empty());
    let (nights,): (i64,) = sqlx::query_as(
        "SELECT count(DISTINCT night) FROM room_night n JOIN rate r ON r.room_type_id = n.room_type_id AND r.valid @> night
         WHERE n.room_type_id = 101 AND night BETWEEN $1 AND $1 + 399",
    )
    .bind(later)
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(nights, 400);
}

#[tokio::test]
async fn a_stay_costs_what_its_nights_cost() {
    let pool = seeded("stays_prices").await;
    let villa = |offers: Vec<StayOffer>| offers.into_iter().find(|offer| offer.room_type == "Beach Villa").unwrap();
    // 19 December is ordinary, from the 20th on it is high season: 780 + 2 * 1482.
    let offer = villa(find(&pool, &wanted("nilandhe", "2026-12-19", 3)).await.unwrap());
    assert_eq!(offer.total.to_string(), "3744.00 EUR");
    let one = find_offer(&reads(&pool, noon(day(TODAY))), offer.offer_id.clone()).await.unwrap();
    assert_eq!(one, offer);
    assert_eq!(offer.expires_at, noon(day(TODAY)) + TimeDelta::minutes(30));

    let yen = find(&pool, &wanted("Kyoto", "2027-04-01", 1)).await.unwrap();
    assert_eq!(yen[0].total.to_string(), "112700 JPY");
    let dinars = find(&pool, &wanted("kuwait", "2026-12-01", 1)).await.unwrap();
    assert_eq!(dinars[0].total.to_string(), "181.875 KWD");
}

#[tokio::test]
async fn restrictions_keep_stays_from_being_offered() {
    let pool = seeded("stays_restrictions").await;
    let count = |place: &'static str, check_in: &'static str, nights: u64| {
        let pool = pool.clone();
        async move { find(&pool, &wanted(place, check_in, nights)).await.unwrap().len() }
    };
    // Seven nights over New Year, counted on every night of it.
    assert_eq!(count("St Barths", "2026-12-30", 3).await, 0);
    assert_eq!(count("St Barths", "2026-12-26", 3).await, 0);
    assert_eq!(count("St Barths", "2026-12-30", 7).await, 2);
    assert_eq!(count("St Barths", "2026-12-25", 3).await, 2);
    // No arrivals at Christmas; staying through it is fine.
    assert_eq!(count("Lake Como", "2026-12-24", 2).await, 0);
    assert_eq!(count("Lake Como", "2026-12-25", 2).await, 0);
    assert_eq!(count("Lake Como", "2026-12-23", 3).await, 3);
    // Shut in winter, and any stay that touches it; the last departure is on its first day.
    assert_eq!(count("Patagonia", "2027-06-10", 3).await, 0);
    assert_eq!(count("Patagonia", "2027-05-30", 3).await, 0);
    assert_eq!(count("Patagonia", "2027-05-30", 2).await, 2);
    // A departure that is closed, and a longer stay asked for on arrival.
    sqlx::raw_sql(
        "INSERT INTO restriction VALUES (1501, daterange('2027-02-10', '2027-02-11'), 'closed_to_departure', NULL),
                                        (1501, daterange('2027-02-01', '2027-02-02'), 'min_stay', 4)",
    )
    .execute(&pool)
    .await
    .unwrap();
    assert_eq!(count("Serengeti", "2027-02-08", 2).await, 1);
    assert_eq!(count("Serengeti", "2027-02-08", 3).await, 2);
    assert_eq!(count("Serengeti", "2027-02-01", 3).await, 1);
    assert_eq!(count("Serengeti", "2027-02-01", 4).await, 2);
    assert_eq!(count("Serengeti", "2027-01-31", 2).await, 2);
}

#[tokio::test]
async fn a_full_night_anywhere_in_a_stay_hides_the_room() {
    let pool = seeded("stays_full_night").await;
    let darsena = |offers: Vec<StayOffer>| offers.iter().any(|offer| offer.room_type == "Darsena Suite");
    let (left,): (i32,) =
        sqlx::query_as("SELECT available FROM room_night WHERE room_type_id = 702 AND night = '2027-01-15'")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(left, 1, "the last room");
    assert!(darsena(find(&pool, &wanted("Como", "2027-01-13", 4)).await.unwrap()));
    sqlx::query("UPDATE room_night SET sold = capacity WHERE room_type_id = 702 AND night = '2027-01-15'")
        .execute(&pool)
        .await
        .unwrap();
    assert!(!darsena(find(&pool, &wanted("Como", "2027-01-13", 4)).await.unwrap()));
    assert!(darsena(find(&pool, &wanted("Como", "2027-01-13", 2)).await.unwrap()));
    assert!(darsena(find(&pool, &wanted("Como", "2027-01-16", 2)).await.unwrap()));
}

#[tokio::test]
async fn places_are_found_by_name_country_or_property_and_paged_by_price() {
    let pool = seeded("stays_places").await;
    for (place, properties) in
        [("saint-barthélemy", 1), ("PARIS", 1), ("Tanzania", 1), ("palazzo tremiti", 1), ("italia", 2), ("Atlantis", 0)]
    {
        let offers = find(&pool, &wanted(place, "2027-02-10", 2)).await.unwrap();
        let found: BTreeSet<_> = offers.iter().map(|offer| &offer.property).collect();
        assert_eq!(found.len(), properties, "{place}");
    }
    assert!(find(&pool, &wanted("%", "2027-02-10", 2)).await.unwrap().is_empty());
    // One place however it is typed: composed, decomposed, in capitals, in wide letters, with another apostrophe.
    for spellings in [
        ["Saint-Barth\u{e9}lemy", "Saint-Barthe\u{301}lemy", "SAINT BARTH\u{c9}LEMY", "Saint\u{2010}BARTHE\u{301}LEMY"],
        ["Reykjav\u{ed}k", "Reykjavi\u{301}k", "REYKJAV\u{cd}K", "\u{ff32}eykjavik"],
        ["c\u{f4}te d'azur", "co\u{302}te d\u{2019}azur", "C\u{d4}TE D'AZUR", "  cote   d'azur "],
    ] {
        for typed in spellings {
            assert!(!find(&pool, &wanted(typed, "2027-02-10", 2)).await.unwrap().is_empty(), "{typed:?}");
        }
    }

    let mut paged = wanted("Maldives", "2027-02-10", 2);
    let whole = search(&reads(&pool, noon(day(TODAY))), &paged).await.unwrap();
    assert!(whole.next_page_token.is_none() && whole.items.len() > 8);
    assert!(whole.items.windows(2).all(|pair| pair[0].total.amount() <= pair[1].total.amount()));
    paged.page_size = Some(3);
    let mut rooms = Vec::new();
    loop {
        let page = search(&reads(&pool, noon(day(TODAY))), &paged).await.unwrap();
        assert!(page.items.len() <= 3);
        rooms.extend(page.items.into_iter().map(|offer| (offer.property, offer.room_type)));
        paged.page_token = page.next_page_token;
        if paged.page_token.is_none() {
            break;
        }
    }
    let all: Vec<_> = whole.items.into_iter().map(|offer| (offer.property, offer.room_type)).collect();
    assert_eq!(rooms, all);
}

#[tokio::test]
async fn a_place_among_many_properties_is_found_by_its_text_and_not_by_reading_all() {
    let pool = seeded("stays_many_places").await;
    sqlx::raw_sql(
        "INSERT INTO property SELECT 1000 + n, 'House ' || n, 'Nowhere', 'MV', 'UTC', 0, 0, 5, 'EUR', 'none',
                                     'house ' || md5(n::text) FROM generate_series(1, 20000) n;
         ANALYZE property",
    )
    .execute(&pool)
    .await
    .unwrap();
    let plan: Vec<String> = sqlx::query_scalar("EXPLAIN SELECT FROM property WHERE search_text LIKE '%maldives%'")
        .fetch_all(&pool)
        .await
        .unwrap();
    assert!(plan.iter().any(|line| line.contains("property_by_text")), "{plan:?}");
    assert!(find(&pool, &wanted("Maldives", "2027-02-10", 2)).await.unwrap().len() > 8);
    for sign in ["_", "%", "mald_ves", "\\"] {
        assert!(find(&pool, &wanted(sign, "2027-02-10", 2)).await.unwrap().is_empty(), "{sign}");
    }
}

/// The searched text is stored in the form in which it is looked for, and says its property's name and place in it.
#[tokio::test]
async fn properties_are_stored_in_the_form_in_which_they_are_looked_for() {
    let pool = seeded("stays_search_texts").await;
    let rows: Vec<(String, String, String)> =
        sqlx::query_as("SELECT name, place, search_text FROM property").fetch_all(&pool).await.unwrap();
    assert!(rows.len() > 20);
    for (name, place, search_text) in rows {
        assert_eq!(search_form(&search_text), search_text);
        assert!(search_text.contains(&search_form(&name)), "{name}: {search_text}");
        for word in search_form(&place).split(' ') {
            assert!(search_text.contains(word), "{place}: {search_text}");
        }
        assert_eq!((composed(&name), composed(&place)), (name.as_str().into(), place.as_str().into()));
    }
}

#[tokio::test]
async fn a_wrong_search_is_answered_with_what_is_wrong() {
    let pool = seeded("stays_wrong_searches").await;
    let router = router(reads(&pool, noon(day(TODAY))));
    let ask = async |query: &str| {
        let (status, body) = get(&router, &format!("/offers{query}")).await;
        let pointer = body["errors"][0]["pointer"].as_str().unwrap_or("").to_owned();
        (status, body["code"].as_str().unwrap_or("").to_owned(), pointer)
    };
    for (query, code, field) in [
        ("place=%20&check_in=2099-01-01&check_out=2099-01-02&guests=1", "place_invalid", "place"),
        ("place=%E2%80%8B&check_in=2099-01-01&check_out=2099-01-02&guests=1", "place_invalid", "place"),
        ("place=a%00b&check_in=2099-01-01&check_out=2099-01-02&guests=1", "place_invalid", "place"),
        ("place=x&check_in=2020-01-01&check_out=2020-01-02&guests=1", "date_in_past", "check_in"),
        ("place=x&check_in=2099-01-02&check_out=2099-01-02&guests=1", "stay_without_nights", "check_out"),
        ("place=x&check_in=2099-01-02&check_out=2099-01-01&guests=1", "stay_without_nights", "check_out"),
        ("place=x&check_in=2099-01-01&check_out=2099-01-02&guests=1", "date_too_far", "check_out"),
        ("place=x&check_in=2099-01-01&check_out=2099-01-02&guests=0", "guests_out_of_range", "guests"),
        ("place=x&check_in=2099-01-01&check_out=2099-01-02&guests=10", "guests_out_of_range", "guests"),
    ] {
        assert_eq!(ask(&format!("?{query}")).await, (422, code.to_owned(), format!("#/{field}")), "{query}");
    }
    for malformed in ["", "?place=x&check_in=soon&check_out=2099-01-02&guests=1", "?place=x&total=1"] {
        assert_eq!(ask(malformed).await.0, 400, "{malformed}");
    }
}

#[tokio::test]
async fn an_offer_that_is_forged_altered_or_past_its_hour_is_told_apart() {
    let pool = seeded("stays_gone").await;
    let now = noon(day(TODAY));
    let offer = find(&pool, &wanted("Maldives", "2026-12-19", 3)).await.unwrap().remove(0);
    let ask = async |offer_id: &str, now: DateTime<Utc>| {
        let (status, body) = get(&router(reads(&pool, now)), &format!("/offer?offer_id={offer_id}")).await;
        (status, body["code"].as_str().unwrap_or("").to_owned())
    };
    let good = offer.offer_id.as_str();
    let told = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(ask(good, now).await, told(200, ""));
    assert_eq!(ask(good, offer.expires_at).await, told(410, "offer_expired"));
    let mut changed = offer.offer_id.seal();
    *changed.last_mut().unwrap() ^= 1;
    let uuid = offer.offer_id.uuid();
    assert_eq!(ask(StayOfferId::new(uuid, &changed).as_str(), now).await, told(422, "offer_altered"));
    let other_keys = OfferKeys::new(&["another installation's key of offers".into()], true).unwrap();
    let terms = StayTerms::open(&offer_keys(), &offer.offer_id).unwrap().good_at(now).unwrap();
    let forged = terms.seal(&other_keys, uuid, offer.expires_at);
    assert_eq!(ask(forged.as_str(), now).await, told(404, "offer_unknown"));
    let gone = StayTerms { room_type_id: 0, ..terms }.seal(&offer_keys(), uuid, offer.expires_at);
    assert_eq!(ask(gone.as_str(), now).await, told(404, "offer_unknown"));
    for malformed in ["", "sof_00000000000000000000000000000001", &good.replace("sof_", "fof_")] {
        assert_eq!(ask(malformed, now).await, told(400, "query_invalid"), "{malformed}");
    }
}

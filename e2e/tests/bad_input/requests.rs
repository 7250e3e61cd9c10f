//! Requests at the door that are wrong: by shape, by content, by who asks.

use chrono::Days;
use e2e::{Client, Findings, Spoiled, System, order_of, spoiled, wait};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{SETTLED_WITHIN, flight, in_days, with, without};

const NO_ORDER: &str = "ord_00000000000000000000000000000001";
const NO_SAGA: &str = "saga_00000000000000000000000000000001";

pub(crate) async fn strangers_and_addresses(system: &System, client: &Client, findings: &mut Findings) {
    let stranger = Client::stranger(&system.gateway);
    let paths =
        ["/v1/orders", &format!("/v1/orders/{NO_ORDER}"), &format!("/v1/operations/{NO_SAGA}"), "/ops/api/sagas"];
    for path in paths {
        findings.problem("no token", &stranger.get(path).await.unwrap(), 401, "token_missing", &[]);
        for token in ["nonsense", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
            let somebody = Client::with_token(&system.gateway, token);
            findings.problem(token, &somebody.get(path).await.unwrap(), 401, "token_invalid", &[]);
        }
        let internal = Client::with_token(&system.gateway, kit::settings::DEVELOPMENT_INTERNAL_TOKEN);
        findings.problem("the inside's token", &internal.get(path).await.unwrap(), 401, "token_invalid", &[]);
    }
    // A token whose claims were changed keeps its shape and loses its signature.
    let parts: Vec<&str> = client.token.split('.').collect();
    let forged = Client::with_token(&system.gateway, &format!("{}.{}.{}", parts[0], parts[1], "A".repeat(86)));
    findings.problem("a forged token", &forged.get("/v1/orders").await.unwrap(), 401, "token_invalid", &[]);
    findings.problem(
        "a client among operators",
        &client.get("/ops/api/sagas").await.unwrap(),
        403,
        "role_missing",
        &[],
    );
    for path in ["/", "/v1", "/v1/nothing", "/internal/order/orders", "/op", "/metrics", "/api/sagas"] {
        findings.problem(path, &client.get(path).await.unwrap(), 404, "not_found", &[]);
    }
    let answer = client.call(Method::DELETE, "/v1/orders", None).await.unwrap();
    findings.problem("another method", &answer, 405, "method_not_allowed", &[]);
}

pub(crate) async fn searches(client: &Client, findings: &mut Findings) {
    let (soon, yesterday, far) = (in_days(30), in_days(0).checked_sub_days(Days::new(2)).unwrap(), in_days(900));
    let good = format!("from=LHR&to=MLE&date={soon}&cabin=business&passengers=1");
    let swap = |from: &str, to: &str| good.replace(from, to);
    let date = format!("date={soon}");
    let flights: [(String, u16, &str, &[&str]); 15] = [
        (swap("from=LHR", "from=XXX"), 422, "airport_unknown", &["#/from"]),
        (swap("to=MLE", "to=nowhere at all"), 422, "airport_unknown", &["#/to"]),
        (swap("to=MLE", "to=%00%00%00"), 422, "airport_unknown", &["#/to"]),
        (swap("to=MLE", "to=LHR"), 422, "same_place", &["#/to"]),
        (swap(&date, &format!("date={yesterday}")), 422, "date_in_past", &["#/date"]),
        (swap(&date, &format!("date={far}")), 422, "date_too_far", &["#/date"]),
        (swap("passengers=1", "passengers=0"), 422, "passengers_out_of_range", &["#/passengers"]),
        (swap("passengers=1", "passengers=10"), 422, "passengers_out_of_range", &["#/passengers"]),
        (swap("passengers=1", "passengers=-1"), 400, "query_invalid", &[]),
        (swap("cabin=business", "cabin=hold"), 400, "query_invalid", &[]),
        (swap(&date, "date=2026-02-30"), 400, "query_invalid", &[]),
        (swap(&format!("&{date}"), ""), 400, "query_invalid", &[]),
        (String::new(), 400, "query_invalid", &[]),
        (format!("{good}&page_token=nonsense"), 400, "page_token_invalid", &[]),
        (format!("{good}&page_size=-1"), 400, "query_invalid", &[]),
    ];
    for (query, status, code, pointers) in flights {
        let answer = client.get(&format!("/v1/flights/offers?{query}")).await.unwrap();
        findings.problem(&format!("flights: {query}"), &answer, status, code, pointers);
    }
    let (arrival, departure) = (in_days(30), in_days(33));
    let good = format!("place=Maldives&check_in={arrival}&check_out={departure}&guests=2");
    let swap = |from: &str, to: &str| good.replace(from, to);
    let (check_in, check_out) = (format!("check_in={arrival}"), format!("check_out={departure}"));
    let stays: [(String, u16, &str, &[&str]); 12] = [
        (swap("place=Maldives", "place="), 422, "place_invalid", &["#/place"]),
        (swap("Maldives", "Atlantis%00"), 422, "place_invalid", &["#/place"]),
        (swap("Maldives", "%E2%80%8B"), 422, "place_invalid", &["#/place"]),
        (swap(&check_in, &format!("check_in={yesterday}")), 422, "date_in_past", &["#/check_in"]),
        (swap(&check_out, &format!("check_out={arrival}")), 422, "stay_without_nights", &["#/check_out"]),
        (swap(&check_out, &format!("check_out={}", in_days(200))), 422, "stay_too_long", &["#/check_out"]),
        (
            swap(&check_in, &format!("check_in={}", in_days(895))).replace(&check_out, &format!("check_out={far}")),
            422,
            "date_too_far",
            &["#/check_out"],
        ),
        (swap("guests=2", "guests=0"), 422, "guests_out_of_range", &["#/guests"]),
        (swap("guests=2", "guests=two"), 400, "query_invalid", &[]),
        (swap(&check_in, "check_in=tomorrow"), 400, "query_invalid", &[]),
        (swap("place=Maldives&", ""), 400, "query_invalid", &[]),
        (format!("{good}&page_token=nonsense"), 400, "page_token_invalid", &[]),
    ];
    for (query, status, code, pointers) in stays {
        let answer = client.get(&format!("/v1/stays/offers?{query}")).await.unwrap();
        findings.problem(&format!("stays: {query}"), &answer, status, code, pointers);
    }
    // A place that nothing is known of is no mistake: there is nothing there.
    let nothing = client.get(&format!("/v1/stays/offers?{}", swap("Maldives", "Atlantis"))).await.unwrap();
    findings.that("an unknown place", nothing.status == 200 && nothing.body["items"] == json!([]), &nothing);
}

pub(crate) async fn orders(client: &Client, findings: &mut Findings) {
    let offer = flight(client, 31).await;
    let good = order_of(&[&offer], "tok_ok");
    let post = |headers: &'static [(&'static str, &'static str)], body: Vec<u8>| {
        client.call_raw(Method::POST, "/v1/orders", headers, body)
    };
    let bytes = serde_json::to_vec(&good).unwrap();
    let typed = &[("content-type", "application/json"), ("idempotency-key", "wrong")];
    let no_key = post(&[("content-type", "application/json")], bytes.clone()).await.unwrap();
    findings.problem("no key", &no_key, 400, "idempotency_key_missing", &[]);
    let empty_key =
        post(&[("content-type", "application/json"), ("idempotency-key", "")], bytes.clone()).await.unwrap();
    findings.problem("an empty key", &empty_key, 400, "idempotency_key_invalid", &[]);
    let long_key = client.order(&"k".repeat(256), &good).await.unwrap();
    findings.problem("a long key", &long_key, 400, "idempotency_key_invalid", &[]);
    let no_type = post(&[("idempotency-key", "wrong")], bytes).await.unwrap();
    findings.problem("no media type", &no_type, 415, "unsupported_media_type", &[]);
    for body in [&b""[..], b"{", b"not json", &[0xff, 0xfe, 0]] {
        findings.problem("not JSON", &post(typed, body.to_vec()).await.unwrap(), 400, "json_malformed", &[]);
    }
    let huge = vec![b' '; 200 * 1024];
    findings.problem("a huge body", &post(typed, huge).await.unwrap(), 413, "body_too_large", &[]);

    let person = "/travellers/0";
    let tomorrow = in_days(2).to_string();
    let two = with(&good, "/items", json!([good["items"][0], good["items"][0]]));
    let wrong: Vec<(&str, Value, &str, Vec<&str>)> = vec![
        ("a list", json!([good]), "order_invalid", vec!["#/"]),
        ("nothing", json!({}), "order_invalid", vec!["#/items", "#/travellers", "#/payment"]),
        ("no items", with(&good, "/items", json!([])), "order_invalid", vec!["#/items"]),
        ("a text for items", with(&good, "/items", "fof"), "order_invalid", vec!["#/items"]),
        ("a number for an offer", with(&good, "/items/0/offer_id", 7), "order_invalid", vec!["#/items/0/offer_id"]),
        ("a nonsense offer", with(&good, "/items/0/offer_id", "x"), "order_invalid", vec!["#/items/0/offer_id"]),
        (
            "an order for an offer",
            with(&good, "/items/0/offer_id", NO_ORDER),
            "order_invalid",
            vec!["#/items/0/offer_id"],
        ),
        ("one offer twice", two, "order_invalid", vec!["#/items/1/offer_id"]),
        ("no travellers", with(&good, "/travellers", json!([])), "order_invalid", vec!["#/travellers"]),
        (
            "ten travellers",
            with(&good, "/travellers", json!(vec![good["travellers"][0].clone(); 10])),
            "order_invalid",
            vec!["#/travellers"],
        ),
        ("no family name", without(&good, person, "family_name"), "order_invalid", vec!["#/travellers/0/family_name"]),
        (
            "U+0000 in a name",
            with(&good, "/travellers/0/given_name", "A\0da"),
            "order_invalid",
            vec!["#/travellers/0/given_name"],
        ),
        (
            "no date",
            with(&good, "/travellers/0/born_on", "1985-02-30"),
            "order_invalid",
            vec!["#/travellers/0/born_on"],
        ),
        (
            "born tomorrow",
            with(&good, "/travellers/0/born_on", tomorrow),
            "order_invalid",
            vec!["#/travellers/0/born_on"],
        ),
        ("no address", with(&good, "/travellers/0/email", "ada"), "order_invalid", vec!["#/travellers/0/email"]),
        ("no payment", without(&good, "", "payment"), "order_invalid", vec!["#/payment"]),
        ("a nonsense token", with(&good, "/payment/token", "visa"), "order_invalid", vec!["#/payment/token"]),
        (
            "a card number",
            with(&good, "/payment/token", "4111 1111 1111 1111"),
            "card_number_refused",
            vec!["#/payment/token"],
        ),
        (
            "a card number and its code for a name",
            with(&good, "/travellers/0/given_name", "4111 1111 1111 1111 123"),
            "card_number_refused",
            vec!["#/travellers/0/given_name"],
        ),
        (
            "an offer without its seal",
            with(&good, "/items/0/offer_id", "fof_00000000000000000000000000000001"),
            "order_invalid",
            vec!["#/items/0/offer_id"],
        ),
    ];
    for (what, body, code, pointers) in wrong {
        let answer = client.order("wrong", &body).await.unwrap();
        findings.problem(&format!("order: {what}"), &answer, 422, code, &pointers);
        findings.that("a card number is not repeated", !answer.body.to_string().contains("4111"), &answer.body);
    }

    // Offers that no search gave out, of each kind.
    let stay = client.stay("Maldives", in_days(31), in_days(33), 1).await.unwrap();
    for (how, code) in
        [(Spoiled::Forged, "offer_unknown"), (Spoiled::Altered, "offer_altered"), (Spoiled::Expired, "offer_expired")]
    {
        for offer in [&offer, &stay] {
            let body = order_of(&[&spoiled(offer, how)], "tok_ok");
            let answer = client.order("spoiled", &body).await.unwrap();
            findings.problem(&format!("an offer: {how:?}"), &answer, 422, code, &["#/items/0/offer_id"]);
        }
    }
    let listed = client.get("/v1/orders").await.unwrap();
    findings.that("nothing was ordered", listed.body["items"] == json!([]), &listed);
    for (query, code) in
        [("page_size=-1", "query_invalid"), ("page_size=x", "query_invalid"), ("page=2", "query_invalid")]
    {
        findings.problem(query, &client.get(&format!("/v1/orders?{query}")).await.unwrap(), 400, code, &[]);
    }
    for token in ["nonsense", "%00", "a%20b", &"a".repeat(600)] {
        let answer = client.get(&format!("/v1/orders?page_token={token}")).await.unwrap();
        findings.problem("a wrong page token", &answer, 400, "page_token_invalid", &[]);
    }
}

pub(crate) async fn repeated_orders(system: &System, client: &Client, findings: &mut Findings) {
    let good = order_of(&[&flight(client, 32).await], "tok_ok");
    // The same request ten times at once is one order, and all are answered alike.
    let answers = join_all((0..10).map(|_| client.order("parallel", &good))).await;
    let mut taken = Vec::new();
    for answer in answers {
        let answer = answer.unwrap();
        if answer.status == 202 {
            taken.push(answer.body);
        } else {
            findings.problem("the same request at once", &answer, 409, "idempotency_key_in_use", &[]);
            findings.that("when to repeat it", answer.headers.contains_key("retry-after"), &answer);
        }
    }
    findings.that("one is taken", !taken.is_empty() && taken.iter().all(|body| *body == taken[0]), &taken);
    let later = client.order("parallel", &good).await.unwrap();
    findings.that("the same request later", later.status == 202 && Some(&later.body) == taken.first(), &later);
    let spaced = serde_json::to_string_pretty(&good).unwrap();
    let headers = [("content-type", "application/json; charset=utf-8"), ("idempotency-key", "\"parallel\"")];
    let spaced = client.call_raw(Method::POST, "/v1/orders", &headers, spaced).await.unwrap();
    findings.that("the same JSON, spaced", spaced.status == 202 && Some(&spaced.body) == taken.first(), &spaced);
    let other = with(&good, "/payment/token", "tok_declined");
    let reused = client.order("parallel", &other).await.unwrap();
    findings.problem("another body", &reused, 422, "idempotency_key_reused", &[]);
    let listed = client.get("/v1/orders").await.unwrap();
    let order_id = later.body["order_id"].as_str().unwrap();
    let (operation, shown) =
        (later.body["operation_id"].as_str().unwrap(), client.until_settled(order_id, SETTLED_WITHIN).await);
    findings.that("it is carried out once", shown["status"] == "confirmed", &shown);
    let count = listed.body["items"].as_array().map(Vec::len);
    findings.that("one order is listed, or none yet", count.is_some_and(|count| count <= 1), &listed);

    // Somebody else's things do not exist.
    let eve = system.client("eve").await.unwrap();
    for (path, code) in [
        (format!("/v1/orders/{order_id}"), "order_unknown"),
        (format!("/v1/orders/{NO_ORDER}"), "order_unknown"),
        ("/v1/orders/nonsense".to_owned(), "not_found"),
        (format!("/v1/operations/{operation}"), "operation_unknown"),
        (format!("/v1/operations/{operation}/events"), "operation_unknown"),
        (format!("/v1/operations/{NO_SAGA}"), "operation_unknown"),
        ("/v1/operations/%00".to_owned(), "not_found"),
    ] {
        findings.problem(&path, &eve.get(&path).await.unwrap(), 404, code, &[]);
    }
    // The same key is another person's own.
    let own = eve.order("parallel", &order_of(&[&flight(&eve, 32).await], "tok_declined")).await.unwrap();
    findings.that("another person's key", own.status == 202 && own.body["order_id"] != order_id, &own);
    let own = eve.until_settled(own.body["order_id"].as_str().unwrap(), SETTLED_WITHIN).await;
    findings.that("another person's order", own["reason"]["code"] == "card_declined", &own);
}

pub(crate) async fn operators(system: &System, client: &Client, operator: &Client, findings: &mut Findings) {
    let orders = client.get("/v1/orders").await.unwrap();
    let order_id = orders.body["items"][0]["order_id"].as_str().unwrap();
    let found = operator.get(&format!("/ops/api/sagas?business_key={order_id}")).await.unwrap();
    let saga = found.body["items"][0]["id"].as_str().unwrap().to_owned();
    for path in ["", "/journal", "/events"] {
        let answer = operator.get(&format!("/ops/api/sagas/{NO_SAGA}{path}")).await.unwrap();
        findings.problem(&format!("an unknown saga{path}"), &answer, 404, "saga_unknown", &[]);
        let answer = operator.get(&format!("/ops/api/sagas/{order_id}{path}")).await.unwrap();
        findings.problem(&format!("no saga's id{path}"), &answer, 404, "not_found", &[]);
    }
    for (query, code) in [
        ("status=stuck", "status_unknown"),
        ("page_token=zz", "page_token_invalid"),
        ("page_size=many", "query_invalid"),
        ("created_after=yesterday", "query_invalid"),
        ("stat=running", "query_invalid"),
        ("owner=%00", "query_invalid"),
        (&format!("business_key={}", "k".repeat(300)), "query_invalid"),
    ] {
        findings.problem(query, &operator.get(&format!("/ops/api/sagas?{query}")).await.unwrap(), 400, code, &[]);
    }
    let last = operator.open(&format!("/ops/api/sagas/{saga}/events"), Some("the last")).await.unwrap();
    findings.that("a wrong Last-Event-ID", last.status() == 400, last.status());

    let path = format!("/ops/api/sagas/{saga}/actions");
    let act = async |path: &str, body: Value| operator.call(Method::POST, path, Some(body)).await.unwrap();
    let retry = json!({ "action": "retry", "reason": "because of this" });
    let actions: [(&str, Value, u16, &str, &[&str]); 11] = [
        ("no reason", without(&retry, "", "reason"), 422, "body_invalid", &[]),
        ("an empty reason", with(&retry, "/reason", "  "), 422, "reason_invalid", &["#/reason"]),
        ("a long reason", with(&retry, "/reason", "x".repeat(501)), 422, "reason_invalid", &["#/reason"]),
        ("U+0000 in the reason", with(&retry, "/reason", "no\0no"), 422, "reason_invalid", &["#/reason"]),
        (
            "a card number in the reason",
            with(&retry, "/reason", "paid with 4111 1111 1111 1111 123"),
            422,
            "card_number_refused",
            &["#/reason"],
        ),
        (
            "a card number in a skipped step's reply",
            json!({ "action": "skip", "step": "create-order", "reason": "because", "reply": { "note": "4111111111111111" } }),
            422,
            "card_number_refused",
            &["#/reply/note"],
        ),
        ("an unknown action", with(&retry, "/action", "explode"), 422, "body_invalid", &[]),
        (
            "a step's name that is none",
            json!({ "action": "retry", "step": "A B", "reason": "because" }),
            422,
            "body_invalid",
            &[],
        ),
        (
            "a skip without a reply",
            json!({ "action": "skip", "step": "create-order", "reason": "because" }),
            422,
            "body_invalid",
            &[],
        ),
        ("a finished saga", retry.clone(), 409, "saga_finished", &[]),
        ("nothing at all", json!({}), 422, "body_invalid", &[]),
    ];
    for (what, body, status, code, pointers) in actions {
        findings.problem(&format!("action: {what}"), &act(&path, body).await, status, code, pointers);
    }
    let nobody = act(&format!("/ops/api/sagas/{NO_SAGA}/actions"), retry.clone()).await;
    findings.problem("an action on no saga", &nobody, 404, "saga_unknown", &[]);
    let cut = operator.call_raw(Method::POST, &path, &[("content-type", "application/json")], "{").await.unwrap();
    findings.problem("an action that is cut", &cut, 400, "json_malformed", &[]);
    let huge = act(&path, with(&retry, "/reason", "x".repeat(300_000))).await;
    findings.problem("a huge action", &huge, 413, "body_too_large", &[]);
    let letter = act("/ops/api/dead-letters/4711/redrive", json!({ "reason": "because" })).await;
    findings.problem("no dead letter", &letter, 404, "dead_letter_unknown", &[]);
    let letter = act("/ops/api/dead-letters/nonsense/redrive", json!({ "reason": "because" })).await;
    findings.problem("no dead letter's number", &letter, 404, "not_found", &[]);

    // Without the gateway nobody is anybody: the orchestrator wants to know who acts.
    let inside = system.internal("orchestrator-1");
    let path = format!("/api/sagas/{saga}/actions");
    let answer = inside.call(Method::POST, &path, Some(retry.clone())).await.unwrap();
    findings.problem("nobody acts", &answer, 400, "actor_missing", &[]);
    let actor = [("x-sojourn-actor", "usr_1")];
    let answer = inside.call_with(Method::POST, &path, Some(retry), &actor).await.unwrap();
    findings.problem("somebody without a role acts", &answer, 400, "operator_role_missing", &[]);
    // Who acts cannot be said from outside.
    let posing = [("x-sojourn-actor", "somebody-else"), ("x-sojourn-role", "root")];
    let posed = operator.call_with(Method::GET, "/ops/api/sagas", None, &posing).await.unwrap();
    findings.that("a posing operator is still an operator", posed.status == 200, &posed);

    let names = system.sagactl(&operator.token, &["list", "--status", "stuck"]).await.unwrap();
    findings.that(
        "sagactl names the statuses",
        names.code == Some(2) && names.stderr.contains("needs_attention"),
        &names,
    );
    wait::until("the dead letters, of which there are none", SETTLED_WITHIN, || async {
        let letters = operator.get("/ops/api/dead-letters").await.map_err(|error| error.to_string())?;
        if letters.body["items"] == json!([]) { Ok(()) } else { Err(letters.body.to_string()) }
    })
    .await;
}

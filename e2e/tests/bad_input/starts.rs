//! Sagas started over the orchestrator's own interface, with amounts, currencies and dates that no client could send.

use e2e::{Client, Findings, Spoiled, System, spoiled, wait};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{SETTLED_WITHIN, flight, in_days, with, without};

/// A start of the first version for one offer, which finishes beside the orders of the gateway.
fn start_of(client: &Client, offer: &Value) -> Value {
    let order_id = kit::ids::order_id().to_string();
    json!({
        "name": "order",
        "version": 1,
        "business_key": order_id,
        "owner": client.user_id,
        "input": {
            "order_id": order_id,
            "user_id": client.user_id,
            "items": [{ "offer_id": offer["offer_id"], "description": "a journey", "total": offer["total"] }],
            "travellers": [{
                "given_name": "Ada", "family_name": "Example", "born_on": "1985-12-10", "email": "ada@example.com"
            }],
            "total": offer["total"],
            "payment_token": "tok_ok",
        },
    })
}

pub(crate) async fn of_sagas(system: &System, client: &Client, findings: &mut Findings) {
    let inside = system.internal("orchestrator-2");
    let good = start_of(client, &flight(client, 33).await);
    let post = async |body: &Value| inside.call(Method::POST, "/api/sagas", Some(body.clone())).await.unwrap();

    let stranger = Client::stranger(system.address("orchestrator-2"));
    let answer = stranger.call(Method::POST, "/api/sagas", Some(good.clone())).await.unwrap();
    findings.problem("a start without the token", &answer, 401, "internal_token", &[]);
    let outsider = Client::with_token(system.address("orchestrator-2"), &client.token);
    let answer = outsider.call(Method::POST, "/api/sagas", Some(good.clone())).await.unwrap();
    findings.problem("a start with a client's token", &answer, 401, "internal_token", &[]);
    let json = [("content-type", "application/json")];
    let answer = inside.call_raw(Method::POST, "/api/sagas", &json, "{\"name\"").await.unwrap();
    findings.problem("a start that is cut", &answer, 400, "json_malformed", &[]);

    let key = |key: &str, fingerprint: &str| json!({ "key": key, "fingerprint": fingerprint });
    let mut extra = good.clone();
    extra["prio"] = json!(1);
    let mut newest = good.clone();
    newest["version"] = json!(99);
    let mut long_key = good.clone();
    long_key["idempotency"] = key(&"k".repeat(300), "f");
    let wrong: Vec<(&str, Value, u16, &str, &[&str])> = vec![
        ("an unknown saga", with(&good, "/name", "ordre"), 404, "definition_unknown", &[]),
        ("an unknown version", newest, 404, "version_unknown", &[]),
        ("no input", without(&good, "", "input"), 422, "body_invalid", &[]),
        ("an unknown member", extra, 422, "body_invalid", &[]),
        ("a number for a name", with(&good, "/name", 7), 422, "body_invalid", &[]),
        ("no business key", with(&good, "/business_key", ""), 422, "field_invalid", &["#/business_key"]),
        (
            "a long business key",
            with(&good, "/business_key", "k".repeat(201)),
            422,
            "field_invalid",
            &["#/business_key"],
        ),
        ("U+0000 in the business key", with(&good, "/business_key", "a\0b"), 422, "field_invalid", &["#/business_key"]),
        ("U+0000 in the owner", with(&good, "/owner", "a\0b"), 422, "field_invalid", &["#/owner"]),
        ("a long idempotency key", long_key, 422, "field_invalid", &["#/idempotency/key"]),
        ("a text for the input", with(&good, "/input", "order"), 422, "input_invalid", &["#/input"]),
        ("no travellers member", without(&good, "/input", "travellers"), 422, "input_invalid", &["#/input"]),
        ("nothing ordered", with(&good, "/input/items", json!([])), 422, "input_invalid", &["#/input"]),
        ("too many decimals", with(&good, "/input/total/amount", "10.001"), 422, "input_invalid", &["#/input/total"]),
        (
            "a yen and a half",
            with(&good, "/input/total", json!({"amount": "1.5", "currency": "JPY"})),
            422,
            "input_invalid",
            &["#/input/total"],
        ),
        (
            "an item with too many decimals",
            with(&good, "/input/items/0/total/amount", "10.001"),
            422,
            "input_invalid",
            &["#/input/items/0/total"],
        ),
        (
            "a number for an amount",
            with(&good, "/input/total/amount", 10),
            422,
            "input_invalid",
            &["#/input/total/amount"],
        ),
        ("no number", with(&good, "/input/total/amount", "ten"), 422, "input_invalid", &["#/input/total"]),
        ("less than nothing", with(&good, "/input/total/amount", "-1.00"), 422, "input_invalid", &["#/input/total"]),
        ("more than all", with(&good, "/input/total/amount", "1".repeat(20)), 422, "input_invalid", &["#/input/total"]),
        ("an unknown currency", with(&good, "/input/total/currency", "EURO"), 422, "input_invalid", &["#/input/total"]),
        (
            "a currency nobody pays in",
            with(&good, "/input/total/currency", "XAU"),
            422,
            "input_invalid",
            &["#/input/total"],
        ),
        (
            "no date",
            with(&good, "/input/travellers/0/born_on", "1985-13-10"),
            422,
            "input_invalid",
            &["#/input/travellers/0/born_on"],
        ),
        ("no offer", with(&good, "/input/items/0/offer_id", "x"), 422, "input_invalid", &["#/input/items/0/offer_id"]),
        (
            "no token",
            with(&good, "/input/payment_token", "4111111111111111"),
            422,
            "input_invalid",
            &["#/input/payment_token"],
        ),
        ("a large input", with(&good, "/input/items/0/description", "x".repeat(66_000)), 413, "input_too_large", &[]),
        ("a huge input", with(&good, "/input/items/0/description", "x".repeat(200_000)), 413, "body_too_large", &[]),
    ];
    for (what, body, status, code, pointers) in wrong {
        let answer = post(&body).await;
        findings.problem(&format!("start: {what}"), &answer, status, code, pointers);
        findings.that("a card number is not repeated", !answer.body.to_string().contains("41111"), &answer.body);
    }
    let answer = inside.get("/api/starts?name=order&key=nobody").await.unwrap();
    findings.problem("a start that nobody made", &answer, 404, "start_unknown", &[]);
    findings.problem(
        "no key asked for",
        &inside.get("/api/starts?name=order").await.unwrap(),
        400,
        "query_invalid",
        &[],
    );

    // One key is one start; asking for something else under it is a mistake, at every orchestrator.
    let mut keyed = with(&good, "/input/payment_token", "tok_declined");
    keyed["idempotency"] = key("one", "first");
    let started = post(&keyed).await;
    findings.that("a good start", started.status == 201, &started);
    keyed["idempotency"] = key("one", "second");
    for name in ["orchestrator-1", "orchestrator-2"] {
        let answer = system.internal(name).call(Method::POST, "/api/sagas", Some(keyed.clone())).await.unwrap();
        findings.problem("one key for two starts", &answer, 422, "idempotency_key_reused", &[]);
    }
    ended(client, &keyed, "card_declined", findings).await;
}

pub(crate) async fn that_only_the_domains_can_refuse(system: &System, client: &Client, findings: &mut Findings) {
    let inside = system.internal("orchestrator-1");
    let offer = flight(client, 34).await;
    let stay = client.stay("Maldives", in_days(34), in_days(36), 1).await.unwrap();
    let good = start_of(client, &offer);
    let cheap = json!({ "amount": "1.00", "currency": offer["total"]["currency"] });
    let cheaper =
        |start: &Value| with(&with(start, "/input/items/0/total", cheap.clone()), "/input/total", cheap.clone());
    let cases = [
        // Sent past the door, which would have summed the items itself.
        (with(&start_of(client, &offer), "/input/total/amount", "0.01"), "order_total_mismatch"),
        (start_of(client, &spoiled(&offer, Spoiled::Expired)), "flight_offer_expired"),
        (start_of(client, &spoiled(&offer, Spoiled::Altered)), "flight_offer_altered"),
        (start_of(client, &spoiled(&offer, Spoiled::Forged)), "flight_offer_unknown"),
        (cheaper(&good), "flight_price_changed"),
        (start_of(client, &spoiled(&stay, Spoiled::Expired)), "stay_offer_expired"),
        (start_of(client, &spoiled(&stay, Spoiled::Altered)), "stay_offer_altered"),
        (start_of(client, &spoiled(&stay, Spoiled::Forged)), "stay_offer_unknown"),
        (cheaper(&start_of(client, &stay)), "stay_price_changed"),
        (with(&start_of(client, &offer), "/input/payment_token", "tok_of_nobody"), "payment_token_unknown"),
        (with(&start_of(client, &offer), "/input/payment_token", "tok_insufficient"), "insufficient_funds"),
    ];
    for (start, code) in &cases {
        let started = inside.call(Method::POST, "/api/sagas", Some(start.clone())).await.unwrap();
        findings.that(&format!("a start for {code}"), started.status == 201, &started);
    }
    for (start, code) in &cases {
        ended(client, start, code, findings).await;
    }
}

/// The order of a start must end rejected, and say why.
async fn ended(client: &Client, start: &Value, code: &str, findings: &mut Findings) {
    let order_id = start["input"]["order_id"].as_str().unwrap();
    let order = client.until_settled(order_id, SETTLED_WITHIN).await;
    let right = order["status"] == "rejected" && order["reason"]["code"] == code && order["reason"]["message"] != "";
    findings.that(&format!("the order that ends with {code}"), right, &order);
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/errors/{code}.md"));
    findings.that("the page of a refusal", page.is_file(), code);
    wait::until("an order's own page", SETTLED_WITHIN, || async {
        let listed = client.get("/v1/orders?page_size=200").await.map_err(|error| error.to_string())?;
        let found =
            listed.body["items"].as_array().is_some_and(|all| all.iter().any(|one| one["order_id"] == order_id));
        if found { Ok(()) } else { Err(listed.body.to_string()) }
    })
    .await;
}

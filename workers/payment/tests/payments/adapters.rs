//! One suite over every adapter of the provider port, and what is the Stripe adapter's alone.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use contract::{
    Outcome, SagaId,
    payment::{
        PaymentToken, REFUSED_AUTHENTICATION, REFUSED_DECLINED, REFUSED_INSUFFICIENT, REFUSED_REFUND,
        REFUSED_TOKEN_UNKNOWN, v2::PaymentRefunded,
    },
};
use kit::{clock::Clock, ids};
use worker_payment::{
    Provider, SandboxProvider, StripeProvider, domain,
    provider::{Answer, Authorized, Charge, Key, PaymentProvider, ProviderReference, Reference, Standing, Taking},
};
use worker_runtime::testkit::{Harness, ManualClock, compensation_of};

use crate::{
    money::{Paying, Till, eur},
    stripe_server::{KEY, StripeServer, Trouble},
};

fn charge() -> Charge {
    let (payment_id, order_id) = (ids::payment_id(), ids::order_id());
    let saga_id = SagaId::from_uuid(ids::uuid_v7());
    Charge { reference: Reference(format!("{payment_id}-1")), payment_id, order_id, saga_id, amount: eur("100.00") }
}

fn token(text: &str) -> PaymentToken {
    PaymentToken::new(text).unwrap()
}

async fn authorized(provider: &dyn PaymentProvider, charge: &Charge) -> ProviderReference {
    match provider.authorize(charge, &token("tok_ok"), false).await.unwrap() {
        Answer::Done(Authorized { provider_reference, .. }) => provider_reference,
        other => panic!("not authorized: {other:?}"),
    }
}

async fn standing(provider: &dyn PaymentProvider, charge: &Charge) -> Option<Standing> {
    let by_reference = provider.find(&charge.reference, None).await.unwrap()?;
    let by_name = provider.find(&charge.reference, Some(&by_reference.provider_reference)).await.unwrap();
    assert_eq!(by_name.as_ref(), Some(&by_reference));
    Some(by_reference.standing)
}

/// The only capture of a charge.
fn all(amount: &str) -> Taking {
    Taking { amount: eur(amount), taken: eur(amount), keep_rest: false }
}

/// Taken in two parts, each once, and a third or none; the rest is let go.
async fn check_captures_in_parts(provider: &dyn PaymentProvider) {
    for last in [true, false] {
        let paid = charge();
        let reference = authorized(provider, &paid).await;
        for (amount, taken) in [("30.00", "30.00"), ("20.00", "50.00")] {
            let part = Taking { amount: eur(amount), taken: eur(taken), keep_rest: true };
            for _ in 0..2 {
                assert_eq!(provider.capture(&reference, &part).await.unwrap(), Answer::Done(()));
            }
            assert!(matches!(standing(provider, &paid).await, Some(Standing::Authorized(_))));
        }
        assert!(matches!(provider.void(&reference).await.unwrap(), Answer::Refused(_)));
        let taken = eur(if last { "60.00" } else { "50.00" });
        for _ in 0..2 {
            let ended = if last {
                let last = Taking { amount: eur("10.00"), taken, keep_rest: false };
                provider.capture(&reference, &last).await
            } else {
                provider.release(&reference, taken).await
            };
            assert_eq!(ended.unwrap(), Answer::Done(()));
        }
        assert_eq!(standing(provider, &paid).await, Some(Standing::Captured(taken)));
        let more = Taking { amount: eur("10.00"), taken: eur("70.00"), keep_rest: false };
        assert!(matches!(provider.capture(&reference, &more).await.unwrap(), Answer::Refused(_)));
        let back = provider.refund(&Key(format!("back of {}", paid.payment_id)), &reference, taken).await.unwrap();
        assert_eq!((back, standing(provider, &paid).await), (Answer::Done(()), Some(Standing::Ended)));
    }
}

/// The duties of every provider. `approve` acts as the client whose approval is awaited.
async fn check_provider(provider: &dyn PaymentProvider, approve: impl AsyncFn(&ProviderReference)) {
    // Reserved, taken in part, given back in parts: each once, however often it is asked for.
    let paid = charge();
    assert_eq!(standing(provider, &paid).await, None);
    let reference = authorized(provider, &paid).await;
    for resumed in [false, true] {
        let again = provider.authorize(&paid, &token("tok_ok"), resumed).await.unwrap();
        assert!(
            matches!(again, Answer::Done(Authorized { provider_reference, .. }) if provider_reference == reference)
        );
    }
    assert!(matches!(standing(provider, &paid).await, Some(Standing::Authorized(_))));
    for _ in 0..2 {
        assert_eq!(provider.capture(&reference, &all("80.00")).await.unwrap(), Answer::Done(()));
    }
    assert_eq!(standing(provider, &paid).await, Some(Standing::Captured(eur("80.00"))));
    assert!(matches!(provider.void(&reference).await.unwrap(), Answer::Refused(_)));
    assert!(matches!(provider.abandon(&paid).await.unwrap(), Answer::Refused(_)));
    for (key, amount, left) in [("one", "30.00", Some("50.00")), ("two", "50.00", None)] {
        let key = Key(format!("{key} of {}", paid.payment_id));
        for _ in 0..2 {
            assert_eq!(provider.refund(&key, &reference, eur(amount)).await.unwrap(), Answer::Done(()));
        }
        let stands = left.map_or(Standing::Ended, |left| Standing::Captured(eur(left)));
        assert_eq!(standing(provider, &paid).await, Some(stands));
    }
    let more = provider.refund(&Key(format!("three of {}", paid.payment_id)), &reference, eur("0.01")).await.unwrap();
    assert!(matches!(more, Answer::Refused(_)), "{more:?}");

    check_captures_in_parts(provider).await;

    // Let go, which is done when it was done before; nothing can be taken any more.
    let voided = charge();
    let reference = authorized(provider, &voided).await;
    for _ in 0..2 {
        let let_go = provider.void(&reference).await.unwrap();
        assert!(matches!(let_go, Answer::Done(()) | Answer::Lapsed), "{let_go:?}");
    }
    assert_eq!(provider.capture(&reference, &all("100.00")).await.unwrap(), Answer::Lapsed);
    assert_eq!(standing(provider, &voided).await, Some(Standing::Ended));
    // Authorized again on the same method, under the next name.
    let again = Charge { reference: Reference(format!("{}-2", voided.payment_id)), ..voided };
    let mut references = Vec::new();
    for _ in 0..2 {
        let Answer::Done(given) = provider.authorize_again(&again, &reference).await.unwrap() else {
            panic!("not given")
        };
        references.push(given.provider_reference);
    }
    assert!(references[0] == references[1] && references[0] != reference);
    assert_eq!(provider.capture(&references[0], &all("100.00")).await.unwrap(), Answer::Done(()));

    // Abandoned before it came, and after.
    let (early, late) = (charge(), charge());
    assert_eq!(provider.abandon(&early).await.unwrap(), Answer::Done(()));
    let came = provider.authorize(&early, &token("tok_ok"), false).await.unwrap();
    assert_eq!(came, Answer::Lapsed);
    authorized(provider, &late).await;
    for _ in 0..2 {
        let abandoned = provider.abandon(&late).await.unwrap();
        assert!(matches!(abandoned, Answer::Done(()) | Answer::Lapsed), "{abandoned:?}");
    }
    assert_eq!(standing(provider, &late).await, Some(Standing::Ended));

    // Refused, and refused again.
    for (text, code) in [
        ("tok_declined", REFUSED_DECLINED),
        ("tok_insufficient", REFUSED_INSUFFICIENT),
        ("tok_of_a_stranger", REFUSED_TOKEN_UNKNOWN),
    ] {
        let refused = charge();
        for resumed in [false, true] {
            let Answer::Refused(no) = provider.authorize(&refused, &token(text), resumed).await.unwrap() else {
                panic!("{text} is not refused")
            };
            assert_eq!(no.code, code);
        }
    }

    // The client has to act.
    let acting = charge();
    let Answer::RequiresAction(action) = provider.authorize(&acting, &token("tok_3ds"), false).await.unwrap() else {
        panic!("no act is required")
    };
    assert!(action.url.starts_with("http"));
    assert_eq!(standing(provider, &acting).await, Some(Standing::RequiresAction));
    approve(&action.provider_reference).await;
    assert!(matches!(standing(provider, &acting).await, Some(Standing::Authorized(_))));
    assert_eq!(provider.capture(&action.provider_reference, &all("100.00")).await.unwrap(), Answer::Done(()));
}

#[tokio::test]
async fn the_sandbox_does_what_every_provider_has_to_do() {
    let till = Till::open().await;
    let provider: &SandboxProvider = &till.sandbox.provider;
    check_provider(provider, async |reference: &ProviderReference| {
        let approved = till.page("POST", &format!("/sandbox/3ds/{}/approve", reference.0)).await;
        assert_eq!(approved.0, 200);
    })
    .await;
}

fn stripe(server: &StripeServer, key: &str) -> StripeProvider {
    stripe_at(server, key, kit::clock::system())
}

fn stripe_at(server: &StripeServer, key: &str, clock: Arc<dyn Clock>) -> StripeProvider {
    let url = format!("http://{}", server.address).parse().unwrap();
    let back = "https://travel.example/back".parse().unwrap();
    StripeProvider::new(url, key.to_owned().into(), back, clock).unwrap()
}

#[tokio::test]
async fn the_stripe_adapter_does_what_every_provider_has_to_do() {
    let server = StripeServer::start().await;
    let provider = stripe(&server, KEY);
    let approve = async |_: &ProviderReference| server.turn("requires_action", "requires_capture");
    check_provider(&provider, approve).await;
}

#[tokio::test]
async fn troubles_of_stripe_are_unclear_and_asking_again_charges_once() {
    let server = StripeServer::start().await;
    let provider = stripe(&server, KEY);
    for trouble in [Trouble::Status(409), Trouble::Status(429), Trouble::Status(500), Trouble::LostAnswer] {
        // At any of the requests of an authorization.
        for at in 0..3 {
            let paid = charge();
            let before = server.count("requires_capture");
            server.spoil(at, trouble);
            let (mut resumed, mut tries) = (false, 0);
            let reference = loop {
                tries += 1;
                assert!(tries < 5, "{trouble:?} at {at}");
                let asked = provider.authorize(&paid, &token("tok_ok"), resumed).await;
                match asked {
                    Ok(Answer::Done(given)) => break given.provider_reference,
                    Ok(other) => panic!("{other:?}"),
                    Err(unclear) => assert!(!unclear.to_string().contains(KEY), "{unclear}"),
                }
                // The next day: the provider has forgotten the keys.
                server.forget_keys();
                resumed = true;
            };
            assert_eq!(server.count("requires_capture"), before + 1, "{trouble:?} at {at}");
            server.spoil(0, trouble);
            let lost = provider.capture(&reference, &all("100.00")).await;
            assert!(lost.is_err(), "{lost:?}");
            assert_eq!(provider.capture(&reference, &all("100.00")).await.unwrap(), Answer::Done(()));
            // The list of refunds is asked for first, then the refund itself.
            let key = Key(format!("{} back", paid.payment_id));
            server.spoil(1, trouble);
            let lost = provider.refund(&key, &reference, eur("100.00")).await;
            assert!(lost.is_err(), "{lost:?}");
            server.forget_keys();
            assert_eq!(provider.refund(&key, &reference, eur("100.00")).await.unwrap(), Answer::Done(()));
        }
    }
    let refunds = server.books().refunds.len();
    assert_eq!(refunds, 12, "each was given back once");
}

#[tokio::test]
async fn a_wrong_key_is_unclear_and_is_not_told() {
    let server = StripeServer::start().await;
    let provider = stripe(&server, "sk_test_wrong");
    let unclear = provider.authorize(&charge(), &token("tok_ok"), false).await.unwrap_err();
    assert!(!format!("{unclear} {provider:?}").contains("sk_test"), "{unclear}");
    assert!(server.books().intents.is_empty());
}

#[tokio::test]
async fn a_client_who_is_not_verified_at_stripe_and_what_a_person_did_there_are_seen() {
    let server = StripeServer::start().await;
    let provider = stripe(&server, KEY);
    let acting = charge();
    provider.authorize(&acting, &token("tok_3ds"), false).await.unwrap();
    server.turn("requires_action", "requires_payment_method");
    let Some(Standing::Refused(no)) = standing(&provider, &acting).await else { panic!("not refused") };
    assert_eq!(no.code, REFUSED_AUTHENTICATION);

    let taken = charge();
    let reference = authorized(&provider, &taken).await;
    server.turn("requires_capture", "succeeded");
    assert!(matches!(provider.void(&reference).await.unwrap(), Answer::Refused(_)));
    assert_eq!(standing(&provider, &taken).await, Some(Standing::Captured(eur("100.00"))));

    let lapsed = charge();
    let reference = authorized(&provider, &lapsed).await;
    server.turn("requires_capture", "canceled");
    assert_eq!(provider.void(&reference).await.unwrap(), Answer::Lapsed);
    assert_eq!(provider.capture(&reference, &all("100.00")).await.unwrap(), Answer::Lapsed);
}

#[tokio::test]
async fn at_stripe_too_a_client_whose_time_is_over_cannot_confirm_any_more() {
    let server = StripeServer::start().await;
    let database = private_servers::testing::database("payment").await;
    // The server says that its intents are made at that time.
    let clock = Arc::new(ManualClock::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap()));
    let provider = Provider::Other(Arc::new(stripe_at(&server, KEY, clock.clone())));
    let harness = Harness::open(domain(provider), &database, clock.clone()).await;
    let paying = Paying::new();
    harness.deliver(&paying.authorizing, &paying.authorize("tok_3ds")).await;
    let completing = paying.step("complete-authorization");
    let early = harness.deliver(&completing, &paying.complete()).await;
    assert!(matches!(early, Outcome::Faulted(_)), "{early:?}");
    clock.advance(TimeDelta::minutes(11));
    let Outcome::Refused(no) = harness.deliver(&completing, &paying.complete()).await else { panic!("not refused") };
    assert_eq!(no.code, REFUSED_AUTHENTICATION);
    assert_eq!((server.count("canceled"), server.count("requires_action")), (1, 0));
    // The saga turns around, and nothing more is asked of the provider.
    let undone = harness.deliver(&compensation_of(&paying.authorizing), &paying.void()).await;
    assert!(matches!(undone, Outcome::Done { .. }), "{undone:?}");

    // One that has confirmed in time is taken, however late it is asked about.
    let paying = Paying::new();
    harness.deliver(&paying.authorizing, &paying.authorize("tok_3ds")).await;
    server.turn("requires_action", "requires_capture");
    clock.advance(TimeDelta::minutes(11));
    let completed = harness.deliver(&paying.step("complete-authorization"), &paying.complete()).await;
    assert!(matches!(completed, Outcome::Done { .. }), "{completed:?}");
    let taken = harness.deliver(&paying.step("capture-payment"), &paying.capture("60.00")).await;
    assert!(matches!(taken, Outcome::Done { .. }), "{taken:?}");
}

#[tokio::test]
async fn at_stripe_too_a_payment_is_taken_and_given_back_in_parts_each_once() {
    let server = StripeServer::start().await;
    let database = private_servers::testing::database("payment").await;
    let provider = Provider::Other(Arc::new(stripe(&server, KEY)));
    let harness =
        Harness::open(domain(provider), &database, Arc::new(ManualClock::new(kit::clock::system().now()))).await;
    let paying = Paying::new();
    harness.deliver(&paying.authorizing, &paying.authorize("tok_ok")).await;
    for (name, command) in [("a-part", paying.capture_a_part("40.00")), ("the-rest", paying.capture("60.00"))] {
        // How the intent stands is asked for first where a rest is kept.
        server.spoil(usize::from(command.keep_rest), Trouble::LostAnswer);
        let taken = harness.deliver(&paying.step(name), &command).await;
        assert!(matches!(taken, Outcome::Done { .. }), "{name}: {taken:?}");
    }
    // The list of refunds is asked for first, then the refund itself.
    for (at, trouble, name, refunded) in [
        (0, Trouble::LostAnswer, "first", "30.00"),
        (1, Trouble::Status(500), "second", "60.00"),
        (1, Trouble::LostAnswer, "third", "90.00"),
    ] {
        server.spoil(at, trouble);
        for _ in 0..2 {
            let given = harness.deliver(&paying.step(name), &paying.refund("30.00")).await;
            assert_eq!(given, Outcome::done(PaymentRefunded { refunded: eur(refunded) }), "{name}");
        }
    }
    assert_eq!(server.books().refunds.len(), 3);
    // One by hand, which the books do not know: the provider refuses what is left of them.
    let payment = server.books().refunds[0]["payment_intent"].as_str().unwrap().to_owned();
    server.books().intents.get_mut(&payment).unwrap()["latest_charge"]["amount_refunded"] = 10_000.into();
    let refused = harness.deliver(&paying.step("fourth"), &paying.refund("10.00")).await;
    assert!(matches!(&refused, Outcome::Refused(no) if no.code == REFUSED_REFUND), "{refused:?}");
}

//! Batches, prefetch, and deliveries that come back.

use std::{collections::BTreeSet, sync::Arc};

use futures::FutureExt;
use messaging::{Broker, BrokerError, Delivery, Subscription, Topology};

use crate::places::{
    Place, flights, flights_queue, numbers, publish, take, take_one, until_depth, until_ready, within,
};

pub(crate) async fn a_batch_takes_what_has_arrived_and_no_more_than_asked(place: &impl Place) {
    let client = place.client_with(&flights()).await;
    publish(&client, 0..10).await;
    let mut subscription = client.subscribe(&flights_queue(), 10).await.unwrap();
    until_ready(&client, &flights_queue(), 0).await;

    let first = within("a batch", subscription.next_batch(4)).await.unwrap();
    assert!((1..=4).contains(&first.len()), "{}", first.len());
    let rest = take(&mut subscription, 10 - first.len()).await;
    let seen: BTreeSet<usize> = numbers(&first).union(&numbers(&rest)).copied().collect();
    assert_eq!(seen, (0..10).collect());
    // With nothing there, it waits.
    assert!(subscription.next_batch(4).now_or_never().is_none());
    publish(&client, 10..11).await;
}

pub(crate) async fn a_dropped_wait_for_a_batch_loses_nothing(place: &impl Place) {
    const MESSAGES: usize = 200;
    let client = place.client_with(&flights()).await;
    let mut subscription = client.subscribe(&flights_queue(), 300).await.unwrap();
    let publisher = async {
        for number in 0..MESSAGES {
            publish(&client, number..number + 1).await;
        }
    };
    let consumer = async {
        let mut seen = Vec::new();
        while seen.len() < MESSAGES {
            // Every wait is polled a few times and then dropped, as a `select!` in a lane would.
            let impatient = async {
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                batch = subscription.next_batch(7) => seen.extend(batch.unwrap()),
                () = impatient => {}
            }
        }
        seen
    };
    let (seen, ()) = within("every message", async { tokio::join!(consumer, publisher) }).await;
    assert_eq!(numbers(&seen), (0..MESSAGES).collect());
    assert_eq!(seen.len(), MESSAGES, "something came twice");
}

pub(crate) async fn prefetch_bounds_what_is_handed_out(place: &impl Place) {
    let client = place.client_with(&flights()).await;
    publish(&client, 0..5).await;
    let mut subscription = client.subscribe(&flights_queue(), 3).await.unwrap();
    let held = take(&mut subscription, 3).await;
    until_ready(&client, &flights_queue(), 2).await;
    assert!(subscription.next_batch(10).now_or_never().is_none(), "more than the prefetch was handed out");

    subscription.ack(&held[..1]).await;
    let fourth = take_one(&mut subscription).await;
    until_ready(&client, &flights_queue(), 1).await;
    subscription.ack(&[&held[1..], &[fourth]].concat()).await;
    take_one(&mut subscription).await;
}

pub(crate) async fn two_subscriptions_share_a_queue(place: &impl Place) {
    let client = place.client_with(&flights()).await;
    let mut one = client.subscribe(&flights_queue(), 2).await.unwrap();
    let other = place.client().await;
    let mut two = other.subscribe(&flights_queue(), 2).await.unwrap();
    until_depth(&client, &flights_queue(), |depth| depth.consumers == 2).await;
    publish(&client, 0..4).await;
    let (one, two) = (take(&mut one, 2).await, take(&mut two, 2).await);
    let seen: BTreeSet<usize> = numbers(&one).union(&numbers(&two)).copied().collect();
    assert_eq!(seen, (0..4).collect());
}

/// Three messages of which the first is acknowledged; then the subscription ends in some way.
async fn comes_back_after(place: &impl Place, end: impl AsyncFnOnce(Subscription, Vec<Delivery>, Arc<dyn Broker>)) {
    let client = place.client_with(&flights()).await;
    publish(&client, 0..3).await;
    let consumer = place.client().await;
    let mut subscription = consumer.subscribe(&flights_queue(), 10).await.unwrap();
    let deliveries = take(&mut subscription, 3).await;
    let (done, open): (Vec<_>, Vec<_>) =
        deliveries.into_iter().partition(|delivery| delivery.message.message_id == "0");
    subscription.ack(&done).await;
    end(subscription, open, consumer).await;

    until_ready(&client, &flights_queue(), 2).await;
    let mut subscription = client.subscribe(&flights_queue(), 10).await.unwrap();
    let again = take(&mut subscription, 2).await;
    assert_eq!(numbers(&again), BTreeSet::from([1, 2]));
    assert!(again.iter().all(|delivery| delivery.redelivered), "{again:?}");
}

pub(crate) async fn an_unacknowledged_message_comes_back_after_a_cancel(place: &impl Place) {
    comes_back_after(place, async |subscription, open, _client| {
        let acker = subscription.acker();
        within("the cancel", subscription.cancel()).await;
        // Too late: the broker has taken them back, and this must not reach the one that gets them next.
        acker.ack(&open).await;
        acker.requeue(&open).await;
        acker.dead_letter(&open[0], "too late").await;
    })
    .await;
}

pub(crate) async fn an_unacknowledged_message_comes_back_after_a_drop(place: &impl Place) {
    comes_back_after(place, async |subscription, _open, _client| drop(subscription)).await;
}

pub(crate) async fn an_unacknowledged_message_comes_back_after_its_client_is_gone(place: &impl Place) {
    comes_back_after(place, async |subscription, _open, client| {
        drop(client);
        drop(subscription);
    })
    .await;
}

pub(crate) async fn a_closed_client_ends_its_subscriptions(place: &impl Place) {
    comes_back_after(place, async |mut subscription, _open, client| {
        let closing = async {
            client.close().await;
            client.close().await;
        };
        let (batch, ()) = within("the end", async { tokio::join!(subscription.next_batch(1), closing) }).await;
        assert_eq!(batch, None);
        assert_eq!(within("the end again", subscription.next_batch(1)).await, None);
    })
    .await;
}

pub(crate) async fn a_client_comes_back_to_its_queue_as_another(place: &impl Place) {
    for round in 0..3 {
        let client = place.client_with(&flights()).await;
        let mut subscription = client.subscribe(&flights_queue(), 10).await.unwrap();
        publish(&client, round..round + 1).await;
        let delivery = take_one(&mut subscription).await;
        assert_eq!((delivery.message.message_id.as_str(), delivery.redelivered), (round.to_string().as_str(), false));
        subscription.ack(&[delivery]).await;
        client.close().await;
    }
}

pub(crate) async fn a_subscription_with_retry_begins_once_its_queue_is_declared(place: &impl Place) {
    let client = place.client_with(&Topology::new()).await;
    let queue = flights_queue();
    let declaring = async {
        let refused = client.subscribe(&queue, 1).await;
        assert!(matches!(refused, Err(BrokerError::NoSuchQueue { .. })), "{refused:?}");
        let other = place.client_with(&flights()).await;
        publish(&other, 0..1).await;
        other.close().await;
    };
    let subscribing = async { tokio::join!(client.subscribe_with_retry(&queue, 10), declaring) };
    let (subscription, ()) = within("the subscription", subscribing).await;
    let delivery = take_one(&mut subscription.unwrap()).await;
    assert_eq!(numbers(&[delivery]), BTreeSet::from([0]));
}

pub(crate) async fn a_subscription_with_retry_ends_with_its_client(place: &impl Place) {
    let client = place.client_with(&Topology::new()).await;
    let queue = flights_queue();
    let ending = async { tokio::join!(client.subscribe_with_retry(&queue, 10), client.close()) };
    let (subscription, ()) = within("the end", ending).await;
    assert!(subscription.is_none());
}

//! Messages that may travel together: each of them is still a message of its own.

use std::collections::BTreeSet;

use messaging::{Outgoing, QueueName};

use crate::places::{
    Place, command, flights, flights_queue, numbers, publish_all, take, take_one, until_depth, until_ready, within,
};

fn together(numbers: std::ops::Range<usize>) -> Vec<Outgoing> {
    numbers.map(|number| command(number).to_unpacker(true)).collect()
}

pub(crate) async fn messages_that_travel_together_arrive_each_as_it_was_sent(place: &impl Place) {
    let client = place.client_with(&flights().with_replies(0)).await;
    let replies =
        |number: usize| Outgoing::reply("replies.0", command(number).message).to_unpacker(number.is_multiple_of(3));
    let mixed = together(0..100).into_iter().chain((100..200).map(replies)).collect();
    publish_all(&client, mixed).await;

    let mut subscription = client.subscribe(&flights_queue(), 10).await.unwrap();
    let mut replies = client.subscribe(&QueueName::replies(0), 200).await.unwrap();
    let taken = take(&mut replies, 100).await;
    assert_eq!(numbers(&taken), (100..200).collect());
    replies.ack(&taken).await;
    let mut seen = BTreeSet::new();
    while seen.len() < 100 {
        // No more than asked for, though more has arrived.
        let batch = within("a batch", subscription.next_batch(7)).await.unwrap();
        assert!((1..=7).contains(&batch.len()), "{}", batch.len());
        for delivery in &batch {
            let sent = command(delivery.message.message_id.parse().unwrap());
            assert_eq!((&delivery.message, &delivery.routing_key), (&sent.message, &sent.routing_key));
            assert_eq!((delivery.redelivered, delivery.delivery_count), (false, 0));
            assert!(seen.insert(delivery.message.message_id.clone()), "{delivery:?} came twice");
        }
        subscription.ack(&batch).await;
    }
    within("the cancel", subscription.cancel()).await;
    until_depth(&client, &flights_queue(), |depth| depth.ready == 0 && depth.consumers == 0).await;
}

pub(crate) async fn one_of_several_is_returned_and_buried_alone(place: &impl Place) {
    let client = place.client_with(&flights()).await;
    publish_all(&client, together(0..4)).await;
    let mut subscription = client.subscribe(&flights_queue(), 10).await.unwrap();
    let mut taken = take(&mut subscription, 4).await;
    taken.sort_by_key(|delivery| delivery.message.message_id.clone());
    subscription.ack(&taken[..1]).await;
    subscription.requeue(&taken[1..2]).await;
    subscription.dead_letter(&taken[2], "not what it should be").await;
    let again = take_one(&mut subscription).await;
    assert_eq!((again.message.message_id.as_str(), again.redelivered, again.delivery_count), ("1", true, 1));
    subscription.ack(&[again, taken[3].clone()]).await;

    let mut dead_letters = client.subscribe(&QueueName::dead_letters(), 1).await.unwrap();
    let letter = take_one(&mut dead_letters).await;
    assert_eq!(letter.message.message_id, "2");
    assert_eq!(letter.dead_letter().unwrap().reason, "not what it should be");
    within("the cancel", subscription.cancel()).await;
    until_ready(&client, &flights_queue(), 0).await;
}

pub(crate) async fn what_a_vanished_consumer_had_of_several_comes_back(place: &impl Place) {
    let client = place.client_with(&flights()).await;
    publish_all(&client, together(0..5)).await;
    let consumer = place.client_with(&flights()).await;
    let mut subscription = consumer.subscribe(&flights_queue(), 10).await.unwrap();
    let taken = take(&mut subscription, 5).await;
    let (done, open): (Vec<_>, Vec<_>) = taken.into_iter().partition(|delivery| *delivery.message.message_id < *"2");
    subscription.ack(&done).await;
    drop(consumer);
    drop(subscription);

    // At least once: what was acknowledged may come again with the rest.
    let mut subscription = client.subscribe(&flights_queue(), 10).await.unwrap();
    let mut missing = numbers(&open);
    while !missing.is_empty() {
        let delivery = take_one(&mut subscription).await;
        assert_eq!((delivery.redelivered, delivery.delivery_count), (true, 1), "{delivery:?}");
        missing = &missing - &numbers(std::slice::from_ref(&delivery));
        subscription.ack(&[delivery]).await;
    }
}

//! Acks, requeues, delivery limits, dead letters.

use std::{collections::BTreeSet, sync::Arc};

use messaging::{Broker, DeadLetter, Delivery, Exchange, Message, Outgoing, QueueName, Subscription, headers};

use crate::places::{
    Place, command, flights, flights_queue, numbers, publish, publish_all, take, take_one, until, until_ready, within,
};

/// Ends the client's hold on everything, then says what is left in the queue.
async fn left_behind(place: &impl Place, consumer: Arc<dyn Broker>, expected: usize) -> Vec<Delivery> {
    consumer.close().await;
    let client = place.client().await;
    until_ready(&client, &flights_queue(), expected as u64).await;
    let mut subscription = client.subscribe(&flights_queue(), 100).await.unwrap();
    take(&mut subscription, expected).await
}

async fn take_dead_letter(client: &Arc<dyn Broker>) -> Delivery {
    let mut dead_letters = client.subscribe(&QueueName::dead_letters(), 1).await.unwrap();
    let delivery = take_one(&mut dead_letters).await;
    dead_letters.ack(std::slice::from_ref(&delivery)).await;
    within("the cancel", dead_letters.cancel()).await;
    delivery
}

/// Takes a dead letter while more is asked for, and one other message that comes before it or after it: a message that goes
/// back and one that is published reach their queue in any order. Answers the letter and the ids of all that came.
async fn take_dead_letter_beside(
    client: &Arc<dyn Broker>,
    subscription: &mut Subscription,
    other: &str,
) -> (Delivery, Vec<String>) {
    let mut letter = std::pin::pin!(take_dead_letter(client));
    let mut taken = Vec::new();
    let letter = loop {
        tokio::select! {
            letter = &mut letter => break letter,
            next = take_one(subscription) => taken.push(next),
        }
    };
    while taken.iter().all(|delivery| delivery.message.message_id != other) {
        taken.push(take_one(subscription).await);
    }
    subscription.ack(&taken).await;
    (letter, taken.into_iter().map(|delivery| delivery.message.message_id).collect())
}

pub(crate) async fn an_acknowledged_message_is_gone(place: &impl Place) {
    let client = place.client_with(&flights()).await;
    publish(&client, 0..1).await;
    let mut subscription = client.subscribe(&flights_queue(), 10).await.unwrap();
    let delivery = take_one(&mut subscription).await;
    subscription.ack(&[delivery]).await;
    within("the cancel", subscription.cancel()).await;
    left_behind(place, client, 0).await;
}

pub(crate) async fn a_batch_is_acknowledged_at_once_from_another_task(place: &impl Place) {
    let client = place.client_with(&flights()).await;
    publish(&client, 0..100).await;
    let mut subscription = client.subscribe(&flights_queue(), 100).await.unwrap();
    let deliveries = take(&mut subscription, 100).await;
    let acker = subscription.acker();
    let acking = tokio::spawn(async move { acker.ack(&deliveries).await });
    // Meanwhile the next batch is awaited; room for it comes from the acks.
    publish(&client, 100..101).await;
    assert_eq!(take_one(&mut subscription).await.message.message_id, "100");
    acking.await.unwrap();
    assert_eq!(numbers(&left_behind(place, client, 1).await), BTreeSet::from([100]));
}

pub(crate) async fn acknowledging_the_newer_leaves_the_older_outstanding(place: &impl Place) {
    let client = place.client_with(&flights()).await;
    publish(&client, 0..10).await;
    let mut subscription = client.subscribe(&flights_queue(), 10).await.unwrap();
    let deliveries = take(&mut subscription, 10).await;
    // Newest first, then out of order; the third and the sixth are never acknowledged.
    subscription.ack(&deliveries[8..]).await;
    subscription.ack(&[deliveries[4].clone(), deliveries[0].clone(), deliveries[1].clone()]).await;
    subscription.ack(&[deliveries[7].clone(), deliveries[3].clone(), deliveries[6].clone()]).await;
    let expected = numbers(&[deliveries[2].clone(), deliveries[5].clone()]);
    assert_eq!(numbers(&left_behind(place, client, 2).await), expected);
}

pub(crate) async fn acknowledging_twice_or_for_another_subscription_does_nothing(place: &impl Place) {
    let client = place.client_with(&flights().with_replies(0)).await;
    publish(&client, 0..3).await;
    let mut subscription = client.subscribe(&flights_queue(), 1).await.unwrap();
    let other = client.subscribe(&QueueName::replies(0), 1).await.unwrap();
    let first = take_one(&mut subscription).await;
    other.ack(std::slice::from_ref(&first)).await;
    other.requeue(std::slice::from_ref(&first)).await;
    subscription.ack(std::slice::from_ref(&first)).await;
    subscription.ack(std::slice::from_ref(&first)).await;
    subscription.requeue(std::slice::from_ref(&first)).await;
    let second = take_one(&mut subscription).await;
    subscription.ack(&[first, second]).await;
    let third = take_one(&mut subscription).await;
    assert_eq!(third.delivery_count, 0);
    left_behind(place, client, 1).await;
}

pub(crate) async fn a_requeued_message_comes_back_counted(place: &impl Place) {
    let client = place.client_with(&flights()).await;
    publish(&client, 0..1).await;
    let mut subscription = client.subscribe(&flights_queue(), 10).await.unwrap();
    for times in 0..3 {
        let delivery = take_one(&mut subscription).await;
        assert_eq!((delivery.redelivered, delivery.delivery_count), (times > 0, times));
        subscription.requeue(&[delivery]).await;
    }
}

pub(crate) async fn a_message_over_the_delivery_limit_goes_to_the_dead_letters(place: &impl Place) {
    let client = place.client_with(&flights().with_delivery_limit(2)).await;
    let sent = command(7).message.with_header(headers::TRACEPARENT, "00-abc-def-01");
    publish_all(&client, vec![Outgoing::command("flights", sent.clone())]).await;
    let mut subscription = client.subscribe(&flights_queue(), 10).await.unwrap();
    for _ in 0..3 {
        let delivery = take_one(&mut subscription).await;
        subscription.requeue(&[delivery]).await;
    }
    // It is not handed out any more, though more is asked for.
    publish(&client, 8..9).await;
    let (letter, taken) = take_dead_letter_beside(&client, &mut subscription, "8").await;
    assert_eq!(taken, ["8"]);
    let expected = DeadLetter {
        reason: headers::REASON_DELIVERY_LIMIT.to_owned(),
        source_queue: flights_queue(),
        source_exchange: Some(Exchange::Commands),
    };
    assert_eq!(letter.dead_letter(), Some(expected));
    assert_eq!((letter.message.message_id, letter.message.body), (sent.message_id, sent.body));
    assert_eq!(letter.message.headers[headers::TRACEPARENT], "00-abc-def-01");
    assert_eq!(letter.routing_key, "flights");
    within("the cancel", subscription.cancel()).await;
    left_behind(place, client, 0).await;
}

pub(crate) async fn a_dead_letter_keeps_its_message_and_says_why(place: &impl Place) {
    let client = place.client_with(&flights()).await;
    let nonsense = Message::new("m-1", "flights.hold", "not JSON at all").with_header("tenant", "agency");
    publish_all(&client, vec![Outgoing::command("flights", nonsense.clone()), command(1)]).await;
    let mut subscription = client.subscribe(&flights_queue(), 10).await.unwrap();
    let deliveries = take(&mut subscription, 2).await;
    let broken = deliveries.iter().find(|delivery| delivery.message.message_id == "m-1").unwrap();
    subscription.dead_letter(broken, "the body is not JSON").await;

    let letter = take_dead_letter(&client).await;
    let expected = DeadLetter {
        reason: "the body is not JSON".to_owned(),
        source_queue: flights_queue(),
        source_exchange: Some(Exchange::Commands),
    };
    assert_eq!(letter.dead_letter(), Some(expected));
    assert_eq!((letter.message.body, letter.message.kind), (nonsense.body, nonsense.kind));
    assert_eq!(letter.message.headers["tenant"], "agency");
    assert_eq!(letter.routing_key, "flights");
    assert_eq!(numbers(&left_behind(place, client, 1).await), BTreeSet::from([1]));
}

pub(crate) async fn a_dead_letter_can_be_sent_again(place: &impl Place) {
    let client = place.client_with(&flights()).await;
    publish(&client, 0..1).await;
    let mut subscription = client.subscribe(&flights_queue(), 10).await.unwrap();
    let delivery = take_one(&mut subscription).await;
    subscription.dead_letter(&delivery, "the domain was not migrated yet").await;

    let letter = take_dead_letter(&client).await;
    let source = letter.dead_letter().unwrap();
    let exchange = source.source_exchange.unwrap();
    let outgoing = Outgoing::to(exchange, &letter.routing_key, letter.message);
    publish_all(&client, vec![outgoing]).await;
    let again = take_one(&mut subscription).await;
    assert_eq!((again.message.message_id.as_str(), again.delivery_count), ("0", 0));

    // And dying once more, it says so anew.
    subscription.dead_letter(&again, "still not").await;
    assert_eq!(take_dead_letter(&client).await.dead_letter().unwrap().reason, "still not");
}

pub(crate) async fn a_message_of_a_vanished_consumer_counts_toward_the_limit(place: &impl Place) {
    let topology = flights().with_delivery_limit(1);
    let client = place.client_with(&topology).await;
    publish(&client, 0..1).await;
    for times in 0..2 {
        let consumer = place.client_with(&topology).await;
        let mut subscription = consumer.subscribe(&flights_queue(), 10).await.unwrap();
        assert_eq!(take_one(&mut subscription).await.delivery_count, times);
        drop(consumer);
        drop(subscription);
    }
    // A queue that counts buries it by itself; for one that does not, the next consumer that asks for more does.
    let consumer = place.client_with(&topology).await;
    let mut subscription = consumer.subscribe(&flights_queue(), 10).await.unwrap();
    publish(&client, 1..2).await;
    // A consumer that vanished between a copy and the ack of its original leaves both: `0` may come once more.
    let (letter, _) = take_dead_letter_beside(&client, &mut subscription, "1").await;
    assert_eq!(letter.dead_letter().unwrap().reason, headers::REASON_DELIVERY_LIMIT);
}

pub(crate) async fn a_message_comes_back_though_its_queue_is_full(place: &impl Place) {
    let client = place.client_with(&flights().with_length_max(3)).await;
    publish(&client, 0..1).await;
    let mut subscription = client.subscribe(&flights_queue(), 1).await.unwrap();
    let first = take_one(&mut subscription).await;
    until("the queue to be full", async || client.publish(vec![command(1)]).await.remove(0).is_err()).await;
    subscription.requeue(std::slice::from_ref(&first)).await;
    // Somewhere among the others, and soon enough: nothing is taken out but by this subscription.
    loop {
        let delivery = take_one(&mut subscription).await;
        if delivery.message.message_id == "0" {
            assert_eq!((delivery.redelivered, delivery.delivery_count), (true, 1));
            return;
        }
        subscription.ack(&[delivery]).await;
    }
}

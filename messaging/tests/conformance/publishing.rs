//! Confirms, returns, refusals, routing.

use std::collections::BTreeSet;

use messaging::{Exchange, Message, Outgoing, PAYLOAD_BYTES_MAX, PublishError, QueueName, Topology, headers};

use crate::places::{
    Place, command, flights, flights_queue, numbers, publish, publish_all, take, take_one, until, until_depth,
    until_ready, within,
};

fn nowhere(number: usize) -> Outgoing {
    Outgoing { routing_key: "nowhere".to_owned(), ..command(number) }
}

fn event(topic: &str) -> Outgoing {
    Outgoing::event(topic, Message::new(topic, topic, "{}"))
}

pub(crate) async fn a_confirmed_command_arrives_as_it_was_sent(place: &impl Place) {
    let client = place.client_with(&flights()).await;
    let message =
        Message::new("m-1", "flights.hold", r#"{"seats":2}"#).with_header(headers::TRACEPARENT, "00-abc-def-01");
    publish_all(&client, vec![Outgoing::command("flights", message.clone())]).await;

    let mut subscription = client.subscribe(&flights_queue(), 10).await.unwrap();
    let delivery = take_one(&mut subscription).await;
    assert_eq!(delivery.message, message);
    assert_eq!(delivery.exchange, Some(Exchange::Commands));
    assert_eq!(delivery.routing_key, "flights");
    assert_eq!(delivery.queue, flights_queue());
    assert_eq!((delivery.redelivered, delivery.delivery_count), (false, 0));
    assert_eq!(delivery.dead_letter(), None);
}

pub(crate) async fn a_command_that_no_queue_takes_is_unroutable_and_only_that_one(place: &impl Place) {
    let client = place.client_with(&flights()).await;
    let goes_nowhere = |number: usize| number % 7 == 3;
    let batch: Vec<Outgoing> =
        (0..500).map(|number| if goes_nowhere(number) { nowhere(number) } else { command(number) }).collect();

    for (number, answer) in client.publish(batch).await.into_iter().enumerate() {
        if goes_nowhere(number) {
            let routing_key = "nowhere".to_owned();
            assert_eq!(answer, Err(PublishError::Unroutable { exchange: Exchange::Commands, routing_key }), "{number}");
        } else {
            assert_eq!(answer, Ok(()), "{number}");
        }
    }
    until_ready(&client, &flights_queue(), (0..500).filter(|number| !goes_nowhere(*number)).count() as u64).await;
}

pub(crate) async fn concurrent_batches_each_learn_which_of_their_messages_came_back(place: &impl Place) {
    let client = place.client_with(&flights()).await;
    let batches = (0..20).map(|batch| {
        let client = &client;
        async move {
            // One batch in two goes nowhere at all, so that a mix-up between batches would show.
            let outgoing = if batch % 2 == 0 { nowhere } else { command };
            (batch, client.publish((batch * 10..batch * 10 + 10).map(outgoing).collect()).await)
        }
    });
    for (batch, answers) in within("the confirms", futures::future::join_all(batches)).await {
        let returned = answers.iter().filter(|answer| matches!(answer, Err(PublishError::Unroutable { .. }))).count();
        let confirmed = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!((returned, confirmed), if batch % 2 == 0 { (10, 0) } else { (0, 10) }, "batch {batch}");
    }
}

pub(crate) async fn an_event_without_a_subscriber_is_confirmed(place: &impl Place) {
    let client = place.client_with(&Topology::new()).await;
    publish_all(&client, vec![event("order.confirmed")]).await;
}

pub(crate) async fn an_event_reaches_every_subscriber_whose_pattern_matches(place: &impl Place) {
    let topology = Topology::new().with_events("feed", &["order.*", "user.created"]).with_events("audit", &["#"]);
    let client = place.client_with(&topology).await;
    publish_all(&client, ["order.confirmed", "user.created", "user.changed", "order.item.added"].map(event).into())
        .await;

    let mut feed = client.subscribe(&QueueName::events("feed"), 10).await.unwrap();
    let kinds = |deliveries: Vec<messaging::Delivery>| -> BTreeSet<String> {
        deliveries.into_iter().map(|delivery| delivery.message.kind).collect()
    };
    let expected = ["order.confirmed", "user.created"].map(str::to_owned);
    assert_eq!(kinds(take(&mut feed, 2).await), BTreeSet::from(expected));
    until_ready(&client, &QueueName::events("feed"), 0).await;

    let mut audit = client.subscribe(&QueueName::events("audit"), 10).await.unwrap();
    assert_eq!(kinds(take(&mut audit, 4).await).len(), 4);
}

pub(crate) async fn a_reply_reaches_the_queue_it_names(place: &impl Place) {
    let client = place.client_with(&Topology::new().with_replies(0).with_replies(1)).await;
    let queue = QueueName::replies(1);
    publish_all(&client, vec![Outgoing::reply(queue.as_str(), Message::new("r", "reply", "{}"))]).await;
    let mut subscription = client.subscribe(&queue, 1).await.unwrap();
    assert_eq!(take_one(&mut subscription).await.message.message_id, "r");
    until_ready(&client, &QueueName::replies(0), 0).await;
}

pub(crate) async fn a_message_that_is_too_large_is_refused_alone(place: &impl Place) {
    let client = place.client_with(&flights()).await;
    let of_size = |bytes: usize| Outgoing::command("flights", Message::new("m", "flights.hold", vec![b' '; bytes]));
    let answers =
        client.publish(vec![of_size(PAYLOAD_BYTES_MAX), of_size(PAYLOAD_BYTES_MAX + 1), of_size(0), of_size(10)]).await;
    let [largest, too_large, empty, small] = answers.as_slice() else { panic!("four answers, not {answers:?}") };
    assert_eq!((largest, empty, small), (&Ok(()), &Ok(()), &Ok(())));
    assert!(matches!(too_large, Err(PublishError::TooLarge { part: "body", .. })), "{too_large:?}");

    let mut subscription = client.subscribe(&flights_queue(), 10).await.unwrap();
    let mut sizes: Vec<usize> =
        take(&mut subscription, 3).await.iter().map(|delivery| delivery.message.body.len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [0, 10, PAYLOAD_BYTES_MAX]);
}

pub(crate) async fn a_full_queue_refuses_until_it_is_drained(place: &impl Place) {
    let client = place.client_with(&flights().with_length_max(3)).await;
    let answer = async || client.publish(vec![command(0)]).await.remove(0);
    // RabbitMQ enforces the limit a little late, so this many may pass: a level, not a count.
    until("a refusal", async || matches!(answer().await, Err(PublishError::NotConfirmed { .. }))).await;

    let mut subscription = client.subscribe(&flights_queue(), 100).await.unwrap();
    let batch = take(&mut subscription, 3).await;
    subscription.ack(&batch).await;
    until("the queue to take messages again", async || answer().await.is_ok()).await;
}

pub(crate) async fn ten_thousand_messages_arrive_each_at_least_once(place: &impl Place) {
    const MESSAGES: usize = 10_000;
    let client = place.client_with(&flights()).await;
    let consumers = (0..2).map(async |_| {
        let mut subscription = client.subscribe(&flights_queue(), 500).await.unwrap();
        let mut seen = BTreeSet::new();
        // An ending mark tells each consumer that all before it has been sent.
        loop {
            let batch = within("a batch", subscription.next_batch(500)).await.unwrap();
            subscription.ack(&batch).await;
            let (marks, commands): (Vec<_>, Vec<_>) =
                batch.into_iter().partition(|delivery| delivery.message.kind == "end");
            seen.extend(numbers(&commands));
            if !marks.is_empty() {
                subscription.cancel().await;
                return seen;
            }
        }
    });
    let publisher = async {
        for start in (0..MESSAGES).step_by(1_000) {
            publish(&client, start..start + 1_000).await;
        }
        until_ready(&client, &flights_queue(), 0).await;
        for _ in 0..2 {
            publish_all(&client, vec![Outgoing::command("flights", Message::new("end", "end", "{}"))]).await;
            until_ready(&client, &flights_queue(), 0).await;
        }
    };
    let (seen, ()) = tokio::join!(futures::future::join_all(consumers), publisher);
    let mut all: BTreeSet<usize> = seen.into_iter().flatten().collect();
    // All that a cancelled consumer gave back is still there, as soon as the queue has heard of its end.
    until_depth(&client, &flights_queue(), |depth| depth.consumers == 0).await;
    let left = client.depth(&flights_queue()).await.unwrap().ready;
    if left > 0 {
        let mut subscription = client.subscribe(&flights_queue(), 500).await.unwrap();
        let rest = take(&mut subscription, usize::try_from(left).unwrap()).await;
        all.extend(rest.iter().filter_map(|delivery| delivery.message.message_id.parse::<usize>().ok()));
    }
    assert_eq!(all, (0..MESSAGES).collect());
}

pub(crate) async fn a_closed_client_publishes_nothing_and_says_so(place: &impl Place) {
    let client = place.client_with(&flights()).await;
    client.close().await;
    let answer = client.publish(vec![command(0)]).await.remove(0);
    assert!(matches!(answer, Err(PublishError::Unavailable { .. })), "{answer:?}");
    let another = place.client().await;
    until_ready(&another, &flights_queue(), 0).await;
}

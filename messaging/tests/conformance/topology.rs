//! Declaring, depth, queues that go with their client.

use messaging::{Binding, BrokerError, BrokerState, Exchange, Message, Outgoing, PublishError, QueueName, Topology};

use crate::places::{
    Place, command, flights, flights_queue, publish, publish_all, take_one, until, until_depth, within,
};

pub(crate) async fn declaring_twice_changes_nothing(place: &impl Place) {
    let client = place.client_with(&flights()).await;
    publish(&client, 0..2).await;
    client.declare(&flights()).await.unwrap();
    let another = place.client_with(&flights()).await;
    until_depth(&another, &flights_queue(), |depth| depth.ready == 2).await;
}

pub(crate) async fn declaring_again_may_add_a_binding(place: &impl Place) {
    let client = place.client_with(&flights()).await;
    let mut queue = flights().queues()[1].clone();
    queue.bindings.push(Binding { exchange: Exchange::Commands, key: "charters".to_owned() });
    client.declare(&flights().with_queue(queue)).await.unwrap();
    publish_all(&client, vec![Outgoing { routing_key: "charters".to_owned(), ..command(0) }, command(1)]).await;
    until_depth(&client, &flights_queue(), |depth| depth.ready == 2).await;
}

pub(crate) async fn a_queue_that_exists_otherwise_is_used_as_it_is(place: &impl Place) {
    let client = place.client_with(&flights()).await;
    let mut subscription = client.subscribe(&flights_queue(), 1).await.unwrap();
    let mut otherwise = flights().with_length_max(1).queues()[1].clone();
    otherwise.bindings.push(Binding { exchange: Exchange::Commands, key: "charters".to_owned() });
    // What was declared beside it exists, and so does what can be added to it.
    let another = place.client_with(&Topology::new().with_queue(otherwise).with_replies(0)).await;
    publish_all(&another, vec![Outgoing::reply("replies.0", Message::new("r", "reply", "{}"))]).await;
    publish_all(&another, vec![Outgoing { routing_key: "charters".to_owned(), ..command(0) }]).await;
    publish(&another, 1..20).await;
    take_one(&mut subscription).await;
    until_depth(&client, &flights_queue(), |depth| depth.ready == 19).await;
}

pub(crate) async fn depth_counts_what_is_ready_and_who_takes_it(place: &impl Place) {
    let client = place.client_with(&flights()).await;
    publish(&client, 0..3).await;
    until_depth(&client, &flights_queue(), |depth| depth.ready == 3 && depth.consumers == 0).await;
    let subscription = client.subscribe(&flights_queue(), 2).await.unwrap();
    until_depth(&client, &flights_queue(), |depth| depth.ready == 1 && depth.consumers == 1).await;
    within("the cancel", subscription.cancel()).await;
    until_depth(&client, &flights_queue(), |depth| depth.ready == 3 && depth.consumers == 0).await;
}

pub(crate) async fn a_queue_that_nobody_declared_is_named_in_the_error(place: &impl Place) {
    let client = place.client_with(&Topology::new()).await;
    let queue = QueueName::commands("flights");
    let depth = client.depth(&queue).await;
    assert!(matches!(&depth, Err(BrokerError::NoSuchQueue { queue: named }) if *named == queue), "{depth:?}");
    let subscription = client.subscribe(&queue, 1).await;
    assert!(matches!(&subscription, Err(BrokerError::NoSuchQueue { queue: named }) if *named == queue));
    // And the client is none the worse for it.
    client.declare(&flights()).await.unwrap();
    publish(&client, 0..1).await;
}

pub(crate) async fn an_orchestrators_queue_goes_with_its_client(place: &impl Place) {
    let orchestrator = place.client_with(&Topology::new().with_orchestrator("one")).await;
    let queue = QueueName::orchestrator("one");
    let other = place.client().await;
    let note = || Outgoing::reply(queue.as_str(), Message::new("n", "note", "{}"));
    publish_all(&other, vec![note()]).await;
    let mut subscription = orchestrator.subscribe(&queue, 10).await.unwrap();
    assert_eq!(take_one(&mut subscription).await.message.message_id, "n");
    let stolen = other.subscribe(&queue, 10).await;
    assert!(matches!(stolen, Err(BrokerError::Refused { .. })), "{stolen:?}");

    orchestrator.close().await;
    until("the queue to go", async || {
        matches!(other.publish(vec![note()]).await.remove(0), Err(PublishError::Unroutable { .. }))
    })
    .await;
}

pub(crate) async fn a_client_is_connected_until_it_is_closed(place: &impl Place) {
    let client = place.client_with(&flights()).await;
    let mut state = client.state();
    assert_eq!(*state.borrow_and_update(), BrokerState::Connected);
    client.close().await;
    within("the news", state.wait_for(|state| *state == BrokerState::Away)).await.unwrap();
    let refused = client.declare(&flights()).await;
    assert!(matches!(refused, Err(BrokerError::Closed)), "{refused:?}");
    let refused = client.subscribe(&flights_queue(), 1).await;
    assert!(matches!(refused, Err(BrokerError::Closed)), "{refused:?}");
}

//! The feed domain on real PostgreSQL, and its subscription on real RabbitMQ.

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use axum::{
        Router,
        body::{Body, to_bytes},
        http::Request,
    };
    use chrono::TimeDelta;
    use contract::{
        Outcome, UserId,
        envelope::KIND_EVENT,
        event::CloudEvent,
        feed::{Notice, NotifyUser},
        user::{Role, UserCreated},
    };
    use kit::ids;
    use messaging::{
        Broker, Message, Namespace, Outgoing, QueueName,
        rabbitmq::{RabbitBroker, RabbitOptions},
    };
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt;
    use worker_runtime::{
        Settings, start,
        testkit::{DeliveredEvent, Harness, ManualClock, Snapshot, action_of_a_new_saga, check_subscription},
    };

    /// Far longer than anything takes on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(60);
    /// Between two looks at a level.
    const LOOK_AGAIN: Duration = Duration::from_millis(10);

    async fn harness() -> (Harness, Arc<ManualClock>) {
        let database = private_servers::testing::database("feed").await;
        let clock = Arc::new(ManualClock::new(kit::clock::system().now()));
        (Harness::open(worker_feed::domain(), &database, clock.clone()).await, clock)
    }

    fn created() -> UserCreated {
        UserCreated { user_id: ids::user_id(), role: Role::Client }
    }

    /// The kinds of a person's notices, the newest first.
    async fn notices_of(reads: Router, user_id: UserId) -> Vec<String> {
        let request = Request::get(format!("/internal/feed/notices?user_id={user_id}")).body(Body::empty()).unwrap();
        let response = reads.oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let page: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let items = page["items"].as_array().unwrap();
        items.iter().map(|item| item["kind"].as_str().unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn a_person_is_told_once_and_no_other_person_is() {
        let (harness, _) = harness().await;
        let notice = NotifyUser { user_id: ids::user_id(), order_id: ids::order_id(), notice: Notice::OrderConfirmed };
        let id = action_of_a_new_saga("notify-user");
        for id in [&id, &id, &action_of_a_new_saga("notify-user")] {
            assert!(matches!(harness.deliver(id, &notice).await, Outcome::Done { .. }));
        }
        assert_eq!(notices_of(harness.reads(), notice.user_id).await, ["order_confirmed"]);
        assert!(notices_of(harness.reads(), ids::user_id()).await.is_empty());
    }

    #[tokio::test]
    async fn the_subscription_to_new_people_keeps_every_promise_of_the_inbox() {
        let (harness, _) = harness().await;
        check_subscription(&harness, &Snapshot::new(["SELECT user_id, kind FROM notice"]), created).await;
    }

    #[tokio::test]
    async fn a_person_is_welcomed_once_though_two_events_tell_of_it() {
        let (harness, _) = harness().await;
        let created = created();
        for event in [harness.announce(&created), harness.announce(&created)] {
            assert_eq!(harness.deliver_event(&event).await, DeliveredEvent::Applied);
        }
        assert_eq!(notices_of(harness.reads(), created.user_id).await, ["welcome"]);
    }

    #[tokio::test]
    async fn notices_are_kept_for_a_year() {
        let (harness, clock) = harness().await;
        let created = created();
        harness.deliver_event(&harness.announce(&created)).await;
        clock.advance(TimeDelta::days(364));
        harness.prune().await;
        assert_eq!(notices_of(harness.reads(), created.user_id).await, ["welcome"]);
        clock.advance(TimeDelta::days(2));
        harness.prune().await;
        assert!(notices_of(harness.reads(), created.user_id).await.is_empty());
    }

    async fn eventually(what: &str, state: impl AsyncFn() -> bool) {
        let looking = async {
            while !state().await {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
    }

    #[tokio::test]
    async fn new_people_are_welcomed_over_rabbitmq_once_each_however_often_it_is_told() {
        let namespace = Namespace::new(private_servers::testing::unique("feed"));
        let connect = async |name: &str| {
            let options = RabbitOptions::new(&private_servers::testing::amqp_url(), name).unwrap();
            Arc::new(RabbitBroker::connect(options.with_namespace(namespace.clone())).await.unwrap())
        };
        let (broker, client) = (connect("test worker").await, connect("test client").await);
        let fresh = private_servers::testing::database("welcome").await;
        let (server, name) = fresh.rsplit_once('/').unwrap();
        let mut settings = Settings::new(&fresh, "token".to_owned().into());
        settings.database_prefix = format!("{name}_");
        let token = CancellationToken::new();
        let domains = vec![worker_feed::domain()];
        let worker = start(domains, settings, broker, kit::clock::system(), token.clone()).await.unwrap();
        // Looks at the worker's database and says what its events look like; carries nothing out.
        let beside = Harness::open(worker_feed::domain(), &format!("{server}/{name}_feed"), kit::clock::system()).await;

        let people: Vec<UserCreated> = (0..20).map(|_| created()).collect();
        let events: Vec<CloudEvent> = people.iter().map(|person| beside.announce(person)).collect();
        // The last one stands behind all copies in the queue.
        let last = beside.announce(&created());
        for event in events.iter().chain(&events).chain(&events).chain([&last]) {
            let message = Message::new(event.id.to_string(), KIND_EVENT, serde_json::to_vec(event).unwrap());
            let published = client.publish(vec![Outgoing::event(event.kind.clone(), message)]).await;
            assert!(published.iter().all(Result::is_ok), "{published:?}");
        }
        eventually("everybody is welcomed", async || {
            let welcomed = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM notice").fetch_one(beside.pool()).await;
            welcomed.unwrap() > 20
        })
        .await;
        token.cancel();
        tokio::time::timeout(PATIENCE, worker.finished()).await.expect("the worker drains");
        eventually("no event is left", async || {
            let depth = client.depth(&QueueName::events("feed")).await.unwrap();
            (depth.ready, depth.consumers) == (0, 0)
        })
        .await;
        for person in people {
            assert_eq!(notices_of(beside.reads(), person.user_id).await, ["welcome"]);
        }
        client.close().await;
    }
}

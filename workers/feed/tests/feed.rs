//! The feed domain on real PostgreSQL.

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::Request,
    };
    use contract::{
        Outcome,
        feed::{Notice, NotifyUser},
    };
    use kit::ids;
    use tower::ServiceExt;
    use worker_runtime::testkit::{Harness, action_of_a_new_saga};

    #[tokio::test]
    async fn a_person_is_told_once_and_nobody_else_is() {
        let database = private_servers::testing::database("feed").await;
        let harness = Harness::open(worker_feed::domain(), &database, kit::clock::system()).await;
        let notice = NotifyUser { user_id: ids::user_id(), order_id: ids::order_id(), notice: Notice::OrderConfirmed };
        let id = action_of_a_new_saga("notify-user");
        for id in [&id, &id, &action_of_a_new_saga("notify-user")] {
            assert!(matches!(harness.deliver(id, &notice).await, Outcome::Done { .. }));
        }
        for (user_id, told) in [(notice.user_id, 1), (ids::user_id(), 0)] {
            let request =
                Request::get(format!("/internal/feed/notices?user_id={user_id}")).body(Body::empty()).unwrap();
            let response = harness.reads().oneshot(request).await.unwrap();
            assert_eq!(response.status(), 200);
            let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
            let page: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(page["items"].as_array().unwrap().len(), told, "{page}");
        }
    }
}

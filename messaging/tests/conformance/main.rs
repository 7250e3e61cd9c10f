//! One suite, run on every adapter: what a broker promises is what these tests say, and nothing that only
//! one adapter does.
//!
//! A test gets a [`Place`]: an empty broker of its own (on RabbitMQ a namespace of its own, once for each kind of
//! queue), on which it opens as many clients as it likes. Tests wait for levels with a deadline, never for a span of
//! time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod acknowledging;
mod consuming;
mod parcels;
mod places;
mod publishing;
mod topology;

/// Runs each named test once per adapter.
macro_rules! conformance {
    ($($module:ident: { $($test:ident),* $(,)? })*) => {
        mod in_process {
            $($(
                #[tokio::test]
                async fn $test() {
                    crate::$module::$test(&crate::places::InProcessPlace::new()).await;
                }
            )*)*
        }

        mod rabbitmq_classic {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let place = crate::places::RabbitPlace::new(stringify!($test), QueueKind::Classic);
                    crate::$module::$test(&place).await;
                    place.clear().await;
                }
            )*)*

            use messaging::rabbitmq::QueueKind;
        }

        mod rabbitmq_quorum {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let place = crate::places::RabbitPlace::new(stringify!($test), QueueKind::Quorum);
                    crate::$module::$test(&place).await;
                    place.clear().await;
                }
            )*)*

            use messaging::rabbitmq::QueueKind;
        }
    };
}

conformance! {
    publishing: {
        a_confirmed_command_arrives_as_it_was_sent,
        a_command_that_no_queue_takes_is_unroutable_and_only_that_one,
        concurrent_batches_each_learn_which_of_their_messages_came_back,
        an_event_without_a_subscriber_is_confirmed,
        an_event_reaches_every_subscriber_whose_pattern_matches,
        a_reply_reaches_the_queue_it_names,
        a_message_that_is_too_large_is_refused_alone,
        a_full_queue_refuses_until_it_is_drained,
        ten_thousand_messages_arrive_each_at_least_once,
        a_closed_client_publishes_nothing_and_says_so,
    }
    consuming: {
        a_batch_takes_what_has_arrived_and_no_more_than_asked,
        a_dropped_wait_for_a_batch_loses_nothing,
        prefetch_bounds_what_is_handed_out,
        two_subscriptions_share_a_queue,
        an_unacknowledged_message_comes_back_after_a_cancel,
        an_unacknowledged_message_comes_back_after_a_drop,
        an_unacknowledged_message_comes_back_after_its_client_is_gone,
        a_closed_client_ends_its_subscriptions,
        a_client_comes_back_to_its_queue_as_another,
        a_subscription_with_retry_begins_once_its_queue_is_declared,
        a_subscription_with_retry_ends_with_its_client,
    }
    acknowledging: {
        an_acknowledged_message_is_gone,
        a_batch_is_acknowledged_at_once_from_another_task,
        acknowledging_the_newer_leaves_the_older_outstanding,
        acknowledging_twice_or_for_another_subscription_does_nothing,
        a_requeued_message_comes_back_counted,
        a_message_over_the_delivery_limit_goes_to_the_dead_letters,
        a_dead_letter_keeps_its_message_and_says_why,
        a_dead_letter_can_be_sent_again,
        a_message_of_a_vanished_consumer_counts_toward_the_limit,
        a_message_comes_back_though_its_queue_is_full,
    }
    parcels: {
        messages_that_travel_together_arrive_each_as_it_was_sent,
        one_of_several_is_returned_and_buried_alone,
        what_a_vanished_consumer_had_of_several_comes_back,
    }
    topology: {
        declaring_twice_changes_nothing,
        declaring_again_may_add_a_binding,
        a_queue_that_exists_otherwise_is_used_as_it_is,
        depth_counts_what_is_ready_and_who_takes_it,
        a_queue_that_nobody_declared_is_named_in_the_error,
        an_orchestrators_queue_goes_with_its_client,
        a_client_is_connected_until_it_is_closed,
    }
}

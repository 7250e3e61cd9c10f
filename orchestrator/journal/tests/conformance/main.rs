//! The conformance suite of the journal port, run on both adapters; and beside it the tests of PostgreSQL alone.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

mod adapters;
mod fixtures;

mod appends;
mod approvals;
mod audit;
mod dead_letters;
mod failures;
mod jobs;
mod lanes;
mod lists;
mod pauses;

mod damage;
mod postgres;
mod retention;

/// Makes each behavior a test on memory and a test on PostgreSQL.
macro_rules! on_both {
    ($($module:ident: $($test:ident),+;)+) => {
        mod on_memory {
            $($(#[tokio::test]
            async fn $test() {
                crate::$module::$test(&crate::adapters::Memory::new()).await;
            })+)+
        }
        mod on_postgres {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                crate::$module::$test(&crate::adapters::Postgres::new().await).await;
            })+)+
        }
    };
}

on_both! {
    appends:
        a_started_saga_reads_back_as_it_was_written,
        every_kind_of_entry_reads_back_equal,
        each_change_of_status_shows_in_the_row,
        a_version_that_takes_a_saga_over_shows_in_its_row,
        only_the_records_after_a_number_are_read,
        of_two_sessions_that_write_the_same_seq_exactly_one_commits,
        an_append_with_a_taken_seq_leaves_no_trace,
        a_record_that_does_not_follow_is_refused,
        a_second_append_of_the_same_saga_in_a_batch_is_refused,
        a_repeated_start_key_finds_the_first_start,
        a_start_repeated_with_its_own_id_finds_itself,
        two_lanes_that_race_with_one_key_start_one_saga,
        two_starts_with_one_key_in_one_batch_start_one_saga,
        the_same_key_under_another_name_is_another_start,
        a_conflict_in_a_batch_leaves_the_others_committed,
        a_child_begins_with_the_record_of_its_parent_or_not_at_all,
        a_batch_of_a_thousand_is_committed_whole;
    lists:
        each_filter_finds_its_sagas_newest_first,
        pages_follow_each_other_without_gaps,
        what_ended_last_is_listed_first_page_by_page,
        what_lapses_first_is_listed_first_as_the_last_record_says,
        sagas_are_counted_as_they_are_listed;
    failures:
        failures_are_grouped_and_counted_by_the_hour_in_which_they_failed,
        sagas_that_ended_are_counted_by_the_interval_with_how_long_they_took,
        groups_are_read_page_by_page;
    lanes:
        a_lane_waits_until_the_shard_is_released,
        a_dropped_lane_frees_its_shard,
        a_dropped_wait_gives_up_its_place,
        shards_are_owned_independently,
        a_new_owner_finds_the_open_sagas_of_its_shard,
        sagas_that_sleep_are_told_apart_from_those_that_are_awake,
        the_open_sagas_of_a_shard_are_read_page_by_page,
        sagas_that_are_left_alone_are_kept_until_they_go_on,
        a_saga_is_abandoned_without_being_read,
        missing_sagas_are_left_out_of_a_load,
        a_lane_that_lost_its_shard_cannot_write,
        an_evicted_owner_cannot_write_and_learns_of_it,
        everybody_learns_which_shards_are_waited_for,
        processes_are_counted_when_they_come_and_when_their_shards_pass_on;
    audit:
        writers_in_several_processes_make_one_chain;
    jobs:
        a_job_has_the_sagas_that_matched_when_it_was_made,
        one_name_makes_one_job_and_no_other,
        the_results_of_a_job_are_noted_once_and_its_state_changes_only_from_where_it_may;
    approvals:
        a_request_waits_for_another_person_is_decided_once_and_lapses;
    pauses:
        a_pause_is_known_to_every_process_until_it_ends;
    dead_letters:
        a_dead_letter_is_kept_once,
        a_message_that_two_queues_give_up_is_two_dead_letters,
        dead_letters_are_listed_newest_first_and_by_saga,
        a_redriven_letter_says_when,
        a_letter_with_anything_in_it_can_be_kept;
}

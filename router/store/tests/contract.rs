//! One suite, three stores: in memory, SQLite, PostgreSQL. What holds for one holds for all.
//!
//! PostgreSQL comes from `D402_TEST_POSTGRES_URL`, a private cluster that `cargo xtask test` starts; without
//! it those tests fail. Every test has a schema or directory of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

#[path = "contract/blobs.rs"]
mod blobs;
#[path = "contract/creation.rs"]
mod creation;
#[path = "contract/directory.rs"]
mod directory;
#[path = "contract/home.rs"]
mod home;
#[path = "contract/leases.rs"]
mod leases;
#[path = "contract/model.rs"]
mod model;
#[path = "contract/money.rs"]
mod money;
#[path = "contract/sample.rs"]
mod sample;
#[path = "contract/tasks.rs"]
mod tasks;

macro_rules! suite {
    ($($topic:ident: $($name:ident)*;)*) => {
        suite!(@on in_memory memory $($topic: $($name)*;)*);
        suite!(@on on_sqlite sqlite $($topic: $($name)*;)*);
        suite!(@on on_postgres postgres $($topic: $($name)*;)*);
    };
    (@on $store:ident $home:ident $($topic:ident: $($name:ident)*;)*) => {
        mod $store {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let home = crate::home::Home::$home().await;
                    crate::$topic::$name(&home).await;
                    home.close().await;
                }
            )*)*
        }
    };
}

suite! {
    creation:
        a_created_task_has_its_first_record
        what_is_taken_is_reported_payment_first_then_terms_then_client_id
        an_intent_paid_on_another_entry_is_terms_taken
        concurrent_payments_of_one_task_make_one_task
        concurrent_payers_of_the_same_terms_make_one_task;
    tasks:
        steps_are_read_back_in_order
        many_journals_are_read_at_once
        of_two_writers_of_one_seq_exactly_one_wins
        a_step_behind_a_lost_one_is_lost
        a_gap_is_a_conflict
        a_call_with_a_broken_step_stores_nothing
        a_broken_call_harms_no_other
        an_abandoned_call_is_whole_or_nothing
        a_final_task_is_closed_for_ever
        open_tasks_are_paged_in_creation_order
        tasks_are_found_by_payment_terms_and_client_id
        values_over_their_limit_are_refused
        impossible_values_are_broken
        what_was_answered_is_there_after_opening_again
        a_store_that_works_is_healthy;
    money:
        effects_are_planned_with_what_caused_them
        an_effect_planned_twice_keeps_its_first_bytes
        effects_only_move_forward
        the_first_outcome_stands
        a_key_of_another_task_is_broken
        steps_that_conflict_plan_no_money;
    leases:
        eight_owners_never_share_a_task
        a_lease_ends_at_its_last_millisecond
        a_released_task_goes_to_the_next_owner
        only_its_holder_can_release
        a_process_that_comes_back_gives_up_the_leases_of_the_one_before_it
        the_holder_alone_gets_the_next_wake_up
        the_longest_overdue_comes_first
        final_and_sleeping_tasks_are_not_due;
    blobs:
        content_is_read_back
        content_over_the_limit_is_refused
        concurrent_writers_of_the_same_content_agree;
    directory:
        a_higher_seq_replaces_a_lower_one
        slots_kinds_and_signers_are_apart
        pages_are_ordered_by_cid_and_live
        a_cid_has_one_identity
        a_signer_has_a_quota
        concurrent_entries_keep_the_highest_seq
        objects_come_back_to_the_last_bit;
    model:
        any_sequence_of_calls_is_answered_as_in_memory;
}

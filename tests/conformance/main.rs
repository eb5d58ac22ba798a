//! What the store promises on every database alike: each test runs on SQLite, and on MySQL or MariaDB where
//! HEARTH_TEST_MYSQL names a server (`scripts/with-mariadb` starts one). Where CI or HEARTH_TEST_REQUIRE_MYSQL is set, its
//! absence is a failure.

mod accounts;
mod conversation;
mod direct;
mod log;
#[path = "../support/million.rs"]
mod million;
mod network;
mod node;
mod pages;
#[path = "../support/patience.rs"]
#[expect(dead_code, reason = "deadlines of whole minutes are the other tests'")]
mod patience;
mod plans;
mod races;
mod random_changes;
mod roles;
mod schema;
mod search;
mod search_index;
mod state;
mod tables;

macro_rules! tests {
    ($place:ident, $run:expr, {$($module:ident: $($name:ident),* $(,)?;)*}) => {
        mod $place {
            $(mod $module {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    $run(stringify!($name), crate::$module::$name).await;
                })*
            })*
        }
    };
}

/// Declares each test twice: in `sqlite` and in `mysql`.
macro_rules! on_both {
    ($($tests:tt)*) => {
        tests!(sqlite, crate::node::on_sqlite, {$($tests)*});
        tests!(mysql, crate::node::on_mysql, {$($tests)*});
    };
}

on_both! {
    log:
        sends_are_numbered_and_told,
        an_id_is_stored_once,
        an_id_is_known_for_ever,
        joining_and_leaving,
        adding_and_removing,
        private_rooms_hide,
        markers_only_rise,
        replies_name_messages,
        a_room_begins_with_its_members,
        a_user_is_in_so_many_rooms;
    plans:
        a_room_of_a_million_messages_is_found_by_index,
        admins_are_found_by_index_among_many;
    races:
        many_senders_leave_no_hole,
        the_same_id_a_hundred_times_at_once,
        nothing_is_sent_after_a_removal,
        joins_race_for_the_last_place,
        a_full_queue_answers_at_once,
        a_faulty_room_fails_alone,
        three_hundred_react_at_once,
        nothing_is_told_before_a_beginning,
        closing_drains_what_waits;
    pages:
        changes_are_complete_while_writers_run,
        changes_are_compacted,
        changes_are_cut_by_rows_and_bytes,
        history_at_its_edges,
        members_by_page;
    conversation:
        edits_replace_and_repeat,
        a_deletion_erases_everywhere,
        emoji_are_kept_apart,
        mentions_are_unread_until_read,
        all_are_mentioned_by_few,
        pins_by_page,
        a_broken_extra_is_an_error;
    roles:
        roles_are_given_and_handed_over,
        one_owner_whoever_races,
        settings_and_the_archive,
        a_deleted_room_is_gone_everywhere,
        nothing_comes_after_the_end;
    direct:
        a_direct_room_is_one,
        direct_rooms_have_rules_of_their_own,
        a_deleted_room_leaves_a_place;
    accounts:
        an_invite_makes_exactly_so_many_accounts,
        a_taken_name_gives_the_use_back,
        an_invite_is_worth_what_its_maker_is,
        the_last_place_for_an_invite_goes_to_one,
        a_reset_code_is_used_once,
        an_admin_is_left_whoever_races,
        an_account_is_changed_by_active_admins_alone,
        an_account_is_deleted_by_its_password,
        what_is_over_is_forgotten;
    random_changes:
        what_is_told_is_what_is_stored;
    tables:
        names_are_taken_once,
        keys_are_compared_by_bytes,
        users_are_found,
        sessions_end,
        refresh_tokens_are_exchanged_once,
        so_many_log_ins_live,
        lists_of_rooms,
        standings_by_room;
    search:
        queries_find_what_the_table_says,
        any_text_is_found_as_by_reading_all,
        pages_follow_the_order,
        only_ones_own_rooms_are_searched,
        edits_and_deletions_are_followed,
        several_nodes_index_beside_writers,
        a_long_history_is_indexed_in_pages,
        words_nearly_right_come_after_the_exact_ones,
        filters_narrow_what_is_found;
    search_index:
        damaged_files_are_made_anew,
        deleted_words_leave_the_files;
    schema:
        migrations_run_once,
        several_nodes_migrate_at_once,
        a_newer_schema_is_refused,
        a_reset_leaves_nothing,
        what_is_derived_is_made_anew,
        older_deletions_are_noted,
        many_reactions_are_joined_in_steps,
        pending_jobs_survive_an_upgrade,
        an_epoch_stays;
}

// Faults of the network, which SQLite doesn't have.
tests!(mysql_alone, crate::node::on_mysql, {
    network:
        unknown_commits_are_told_and_never_doubled,
        an_end_with_a_lost_answer_is_told,
        silence_is_unknown_and_heals,
        a_database_that_is_away_is_unavailable;
});

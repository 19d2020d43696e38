/*
 * recovery_test.c - a journal that is not there, or not what it should be: when the client begins, and while it runs.
 * And what comes of it when it is mended.
 */
#include "keeper_scene.h"

#define IDS_SQL "SELECT id FROM event JOIN stream ON number = stream ORDER BY seq"

static void wait_for_disk(void) {
  pass(31000);
  assert_int_equal(health().journal.code, SYNC_OK);
  assert_int_equal(health().unsaved, 0);
}

/* A journal with events 1 to 3, of which 1 is done. */
static void leave_journal(void) {
  begin();
  send_events(1, 3);
  (void)take_event();
  (void)take_event();
  end();
  news[0] = '\0';
}

static void hide(const char *name) {
  assert_int_equal(rename(journal_path, folder_path(name)), 0);
}

/* ---- when the client begins -------------------------------------------------------------------------------------- */

/* A client that goes on without its journal, and says so. */
static void begin_without(sync_code code) {
  begin();
  assert_true(health().has_journal);
  assert_int_equal(health().journal.code, code);
  settle();
  assert_int_equal(count_news(sync_code_name(code)), 1);
  news[0] = '\0';
}

static void refuse_where_required(sync_code code) {
  options.journal_required = true;
  assert_int_equal(try_begin(), code);
  assert_int_equal(failure.code, code);
  options.journal_required = false;
}

static void a_file_that_is_no_database_is_left_alone(void **state) {
  (void)state;
  folder_write("orders.db", "Dear diary, this is the day on which I write down what I have written down until today.");
  refuse_where_required(SYNC_JOURNAL_CORRUPT);
  begin_without(SYNC_JOURNAL_CORRUPT);
  send_event(1);
  settle();
  pass(70000);
  check_news("1");
  hide("diary");
  wait_for_disk();
  check_sql("SELECT id, done_seq > 1000000 FROM event JOIN stream", "1 1 \n");
}

static void so_is_one_that_was_cut_short(void **state) {
  (void)state;
  leave_journal();
  assert_int_equal(truncate(journal_path, 5000), 0);
  begin_without(SYNC_JOURNAL_CORRUPT);
  send_event(4);
  settle();
  check_news("4");
}

static void and_the_database_of_another_program(void **state) {
  (void)state;
  run_sql("CREATE TABLE recipe (name TEXT)");
  refuse_where_required(SYNC_JOURNAL_SCHEMA);
  begin_without(SYNC_JOURNAL_SCHEMA);
  end();
  check_sql("SELECT count(*) FROM sqlite_schema", "1 \n");
}

static void and_that_of_a_later_version(void **state) {
  (void)state;
  leave_journal();
  run_sql("PRAGMA user_version = 1000");
  refuse_where_required(SYNC_JOURNAL_SCHEMA);
  begin_without(SYNC_JOURNAL_SCHEMA);
  send_event(4);
  settle();
  run_sql("PRAGMA user_version = 1");
  wait_for_disk();
  check_news("4 2r 3r");
}

static void a_folder_may_be_made_later(void **state) {
  (void)state;
  (void)snprintf(journal_path, sizeof journal_path, "%s", folder_path("later/orders.db"));
  refuse_where_required(SYNC_JOURNAL_IO);
  begin_without(SYNC_JOURNAL_IO);
  send_events(1, 2);
  settle();
  check_news("1 2");
  assert_int_equal(mkdir(folder_path("later"), 0700), 0);
  wait_for_disk();
  check_sql(IDS_SQL, "1 \n2 \n");
  end();
  folder_empty(folder_path("later"));
  assert_int_equal(rmdir(folder_path("later")), 0);
}

/* ---- taken up late ----------------------------------------------------------------------------------------------- */

/* The journal that leave_journal() left cannot be read when the client begins. */
static void begin_before_disk(void) {
  faulty_vfs_refuse(FAULTY_OPEN, 1, SIZE_MAX, SQLITE_CANTOPEN, EIO);
  begin_without(SYNC_JOURNAL_IO);
}

static void what_was_not_done_comes_late_but_comes(void **state) {
  (void)state;
  leave_journal();
  begin_before_disk();
  send_events(4, 5);
  settle();
  faulty_vfs_allow();
  wait_for_disk();
  check_news("4 5 2r 3r");
  assert_int_equal(health().waiting_for_ack, 0);
  check_sql("SELECT count(*), max(seq) = done_seq FROM event JOIN stream", "5 1 \n");
  send_event(6);
  settle();
  die();
  news[0] = '\0';
  begin();
  settle();
  check_news("");
  check_sql("SELECT count(DISTINCT seq) FROM event", "6 \n");
}

static void and_again_if_it_is_not_done_then(void **state) {
  (void)state;
  leave_journal();
  begin_before_disk();
  send_events(4, 5);
  settle();
  faulty_vfs_allow();
  pass(999);
  sync_loop_play(loop, sync_loop_clock_ms(loop) + 1);
  step();
  assert_int_equal(sync_event_seq(take_event()), 2);
  assert_int_equal(sync_event_seq(take_event()), 3);
  send_event(6);
  assert_int_equal(sync_client_flush(client), SYNC_OK);
  die();
  news[0] = '\0';
  begin();
  settle();
  check_news("3r 6r");
}

static void with_manual_acks_they_wait_for_them(void **state) {
  (void)state;
  leave_journal();
  options.manual_ack = true;
  begin_before_disk();
  send_event(4);
  settle();
  assert_int_equal(sync_client_ack(client, sync_event_seq(sync_client_history(client, 0))), SYNC_OK);
  faulty_vfs_allow();
  wait_for_disk();
  check_news("4 2r 3r");
  assert_int_equal(health().waiting_for_ack, 2);
  assert_int_equal(sync_client_ack(client, 3), SYNC_OK);
  assert_int_equal(sync_client_flush(client), SYNC_OK);
  die();
  news[0] = '\0';
  begin();
  settle();
  check_news("2r");
}

static void a_take_up_that_fails_half_way_is_done_once(void **state) {
  (void)state;
  leave_journal();
  for (size_t nth = 1;; nth++) {
    faulty_vfs_refuse(FAULTY_READ, nth, 1, SQLITE_IOERR_READ, EIO);
    begin();
    bool refused = faulty.refused > 0;
    faulty_vfs_allow();
    settle();
    wait_for_disk();
    assert_int_equal(count_news("2r"), 1);
    assert_int_equal(count_news("3r"), 1);
    check_sql("SELECT count(*) FROM event WHERE id IN (1, 2, 3)", "3 \n");
    end();
    news[0] = '\0';
    if (!refused) break;
    folder_empty(folder_name);
    leave_journal();
    assert_in_range(nth, 1, 1000);
  }
}

static void what_was_learned_without_it_is_written(void **state) {
  (void)state;
  leave_journal();
  begin_before_disk();
  send_events(13, 14);
  settle();
  faulty_vfs_allow();
  wait_for_disk();
  assert_int_equal(sync_client_order_count(client), 4);
  check_sql("SELECT id, json LIKE '%\"s13\"%' FROM orders ORDER BY id", "O1 0 \nO2 0 \nO3 1 \nO4 0 \n");
}

/* ---- while it runs ----------------------------------------------------------------------------------------------- */

/* Looks at the file; and what came of it. */
static void notice(void) {
  pass(1000);
  send_event(99);
  settle();
  assert_int_equal(health().journal.code, SYNC_OK);
}

/* Events 1 to 4: 2 waits for an ack, the others are done. */
static void begin_with_events(void) {
  options.manual_ack = true;
  begin();
  send_events(1, 4);
  settle();
  assert_int_equal(sync_client_ack(client, 1), SYNC_OK);
  assert_int_equal(sync_client_ack(client, 3), SYNC_OK);
  assert_int_equal(sync_client_ack(client, 4), SYNC_OK);
  assert_int_equal(sync_client_flush(client), SYNC_OK);
  news[0] = '\0';
}

static void check_new_file(void) {
  notice();
  check_news("JOURNAL_GONE 99");
  check_sql("SELECT id, done OR seq <= done_seq FROM event JOIN stream", "1 1 \n2 0 \n3 1 \n4 1 \n99 0 \n");
  check_sql("SELECT id FROM orders ORDER BY id", "O1 \nO2 \nO3 \nO4 \nO9 \n");
  check_sql("SELECT last_event_id FROM stream", "99 \n");
  die();
  news[0] = '\0';
  begin();
  settle();
  check_news("2r 99r");
}

static void a_file_that_is_deleted_is_made_anew(void **state) {
  (void)state;
  begin_with_events();
  folder_empty(folder_name);
  check_new_file();
}

static void so_is_one_that_is_replaced(void **state) {
  (void)state;
  begin_with_events();
  hide("old.db");
  folder_write("orders.db", "");
  check_new_file();
}

static void and_one_whose_log_is_deleted(void **state) {
  (void)state;
  begin_with_events();
  assert_int_equal(unlink(folder_path("orders.db-wal")), 0);
  notice();
  assert_int_equal(count_news("JOURNAL_GONE"), 1);
  check_sql("SELECT id, done OR seq <= done_seq FROM event JOIN stream", "1 1 \n2 0 \n3 1 \n4 1 \n99 0 \n");
}

static void what_is_known_of_events_stays_when_the_disk_failed_a_while(void **state) {
  (void)state;
  begin_with_events();
  break_disk();
  send_event(5);
  settle();
  pass(100000);
  assert_int_equal(health().unsaved, 1); /* however often it was tried */
  faulty_vfs_allow();
  wait_for_disk();
  check_sql("SELECT id, done OR seq <= done_seq, acknowledged FROM event JOIN stream",
            "1 1 1 \n2 0 0 \n3 1 1 \n4 1 1 \n5 0 0 \n");
}

static void numbers_go_on_behind_those_of_a_file_that_was_put_there(void **state) {
  (void)state;
  begin();
  send_events(1, 9);
  settle();
  end();
  hide("other.db");
  begin();
  send_event(11);
  settle();
  assert_int_equal(rename(folder_path("other.db"), journal_path), 0);
  assert_int_equal(unlink(folder_path("orders.db-wal")), 0); /* or SQLite would take it for the other file's */
  pass(1000);
  send_event(12);
  settle();
  send_event(13);
  settle();
  end();
  check_sql("SELECT id, seq > 9 FROM event WHERE id = 9 OR id = 13", "9 0 \n13 1 \n");
}

static void a_dead_letter_that_went_with_its_file_takes_no_other_along(void **state) {
  (void)state;
  begin();
  send_event(1);
  assert_int_equal(sync_client_bury(client, take_event(), SPAN("no"), 1), SYNC_OK);
  settle();
  assert_int_equal(sync_client_redeliver(client, 1), SYNC_OK);
  folder_empty(folder_name);
  sync_loop_play(loop, sync_loop_clock_ms(loop) + 1000);
  step();
  assert_int_equal(sync_client_bury(client, take_event(), SPAN("again"), 1), SYNC_OK);
  settle();
  check_sql("SELECT id, problem FROM dead_letter", "1 again \n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(a_file_that_is_no_database_is_left_alone),
      TEST(so_is_one_that_was_cut_short),
      TEST(and_the_database_of_another_program),
      TEST(and_that_of_a_later_version),
      TEST(a_folder_may_be_made_later),
      TEST(what_was_not_done_comes_late_but_comes),
      TEST(and_again_if_it_is_not_done_then),
      TEST(with_manual_acks_they_wait_for_them),
      TEST(a_take_up_that_fails_half_way_is_done_once),
      TEST(what_was_learned_without_it_is_written),
      TEST(a_file_that_is_deleted_is_made_anew),
      TEST(so_is_one_that_is_replaced),
      TEST(and_one_whose_log_is_deleted),
      TEST(what_is_known_of_events_stays_when_the_disk_failed_a_while),
      TEST(numbers_go_on_behind_those_of_a_file_that_was_put_there),
      TEST(a_dead_letter_that_went_with_its_file_takes_no_other_along),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

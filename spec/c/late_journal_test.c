/*
 * late_journal_test.c - a journal that a client can open only after it has run for a while: what it has learned
 * meanwhile stands, and what it has missed is told.
 */
#include "keeper_scene.h"

/* A journal with event 1, which is done. */
static void leave_journal(void) {
  begin();
  send_event(1);
  settle();
  end();
  news[0] = '\0';
}

static void begin_before_disk(void) {
  faulty_vfs_refuse(FAULTY_OPEN, 1, SIZE_MAX, SQLITE_CANTOPEN, EIO);
  begin();
  settle();
}

static void wait_for_disk(void) {
  faulty_vfs_allow();
  pass(31000);
  assert_int_equal(health().journal.code, SYNC_OK);
}

static void an_order_that_was_deleted_meanwhile_stays_so(void **state) {
  sync_order order;
  (void)state;
  leave_journal();
  begin_before_disk();
  feed("id: 2\ndata: {\"eventType\":\"order_deleted\",\"orderID\":\"O1\",\"data\":{}}\n\n");
  settle();
  wait_for_disk();
  assert_false(sync_client_order(client, SPAN("O1"), &order));
  assert_int_equal(sync_client_order_count(client), 0);
  check_sql("SELECT count(*) FROM orders WHERE json IS NOT NULL", "0 \n");
  end();
  begin();
  assert_false(sync_client_order(client, SPAN("O1"), &order));
}

/* The stream was not asked for what came behind the last event of the journal. */
static void what_may_have_come_between_is_missing(void **state) {
  sync_gap gap;
  (void)state;
  leave_journal();
  begin_before_disk();
  send_event(9);
  settle();
  assert_int_equal(health().open_gaps, 0);
  wait_for_disk();
  assert_int_equal(health().open_gaps, 1);
  assert_true(sync_client_gap(client, 0, &gap));
  assert_int_equal(gap.reason, SYNC_GAP_NO_REPLAY);
  check_span(gap.after_id, "1");
  pass(100000);
  assert_int_equal(metrics().gaps, 1);
  check_sql("SELECT reason, cure, after_id FROM gap", "no_replay open 1 \n");
}

/* Each read of the beginning fails once: some before the cursor is known, others behind it. */
static void nothing_is_missing_where_the_cursor_was_known(void **state) {
  size_t resumed = 0;
  (void)state;
  for (size_t nth = 1;; nth++) {
    leave_journal();
    faulty_vfs_refuse(FAULTY_READ, nth, 1, SQLITE_IOERR_READ, EIO);
    client = sync_client_new(loop, &options, &failure);
    bool refused = faulty.refused > 0, knows = resume_id().length > 0;
    answer();
    wait_for_disk();
    assert_int_equal(metrics().gaps, !knows);
    end();
    folder_empty(folder_name);
    if (!refused) break;
    resumed += knows;
    assert_in_range(nth, 1, 1000);
  }
  assert_true(resumed > 0);
}

static void nothing_is_missing_where_nothing_was(void **state) {
  (void)state;
  begin_before_disk();
  send_event(1);
  settle();
  wait_for_disk();
  assert_int_equal(health().open_gaps, 0);
  assert_int_equal(metrics().gaps, 0);
}

static void an_ack_may_come_before_the_event(void **state) {
  (void)state;
  options.manual_ack = true;
  begin();
  send_event(1);
  settle();
  end();
  begin_before_disk();
  faulty_vfs_allow();
  sync_loop_play(loop, sync_loop_clock_ms(loop) + 1000);
  step();
  assert_int_equal(sync_client_ack(client, 1), SYNC_OK);
  settle();
  assert_int_equal(health().waiting_for_ack, 0);
  check_sql("SELECT count(*) FROM event JOIN stream WHERE NOT done AND seq > done_seq", "0 \n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(an_order_that_was_deleted_meanwhile_stays_so),
      TEST(what_may_have_come_between_is_missing),
      TEST(nothing_is_missing_where_the_cursor_was_known),
      TEST(nothing_is_missing_where_nothing_was),
      TEST(an_ack_may_come_before_the_event),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

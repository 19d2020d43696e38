/*
 * keeper_disk_test.c - a client whose journal's disk fails, at every call that changes a file: the stream goes on, the
 * host is told once, and when the disk works again the file has everything.
 */
#include "keeper_scene.h"

static void answer_and_settle(void) {
  answer();
  settle();
}

/* ---- a session --------------------------------------------------------------------------------------------------- */

#define STAGE(id, order, stage)                                                                                        \
  "id: " #id "\ndata: {\"eventType\":\"stage_change\",\"orderID\":\"" order "\",\"data\":{\"orderStage\":\"" stage     \
  "\"}}\n\n"

static void do_effect(sync_event *event) {
  sync_effect effect;
  uint64_t seq = sync_event_seq(event);
  assert_int_equal(sync_client_effect_begin(client, seq, SPAN("print"), &effect), SYNC_OK);
  assert_int_equal(sync_client_effect_end(client, seq, SPAN("print"), true), SYNC_OK);
}

static uint64_t seq_of_latest(void) {
  return sync_event_seq(sync_client_history(client, 0));
}

/* A snapshot, events with effects, one that is held over others, a dead letter, a cut. Acks, with manual_ack: of the
 * last event first; the last but one is never acknowledged. */
static void play_session(void) {
  settle();
  feed(STAGE(101, "A", "paid"));
  settle();
  pass(700);
  feed(STAGE(102, "B", "paid"));
  step();
  do_effect(take_event());
  uint64_t held = sync_event_seq(item.event);
  assert_int_equal(sync_client_hold(client), SYNC_OK);
  send_events(103, 105);
  settle();
  pass(700);
  send_event(106);
  assert_int_equal(sync_client_bury(client, take_event(), SPAN("no paper"), 2), SYNC_OK);
  settle();
  send_events(107, 110);
  settle();
  assert_int_equal(sync_client_ack(client, seq_of_latest()), SYNC_OK);
  assert_int_equal(sync_client_done(client, held), SYNC_OK);
  assert_true(sync_client_play_end(client, SYNC_STREAM_CUT));
  pass(5000);
  answer_and_settle();
  send_events(109, 112);
  settle();
}

/* After this the file has everything. */
static void wait_for_disk(void) {
  pass(31000);
  assert_int_equal(health().journal.code, SYNC_OK);
  assert_int_equal(health().unsaved, 0);
}

/* At the same time of the clock each time. */
static void begin_session(void) {
  sync_loop_free(loop);
  loop = sync_loop_new_played(&memory.allocator);
  assert_non_null(loop);
  folder_empty(folder_name);
  news[0] = '\0';
  snapshot = "[{\"orderID\":\"A\",\"orderStage\":\"open\"},{\"orderID\":\"B\",\"orderStage\":\"open\"}]";
  begin();
}

static char *describe_flawless_session(void) {
  begin_session();
  play_session();
  end();
  char *described = describe_file(journal_path);
  assert_non_null(strstr(described, "print done"));
  assert_non_null(strstr(described, "no paper"));
  return described;
}

/* What the host is told, besides failures of the journal. */
static void check_deliveries(void) {
  static const char *const ids[] = {"101", "102", "103", "104", "105", "106", "107", "108", "109", "110", "111", "112"};
  for (size_t i = 0; i < COUNT_OF(ids); i++) assert_int_equal(count_news(ids[i]), 1);
}

/* ---- every call -------------------------------------------------------------------------------------------------- */

struct kind {
  int result;
  int number;
  sync_code code;
};

static const struct kind kinds[] = {
    {SQLITE_FULL, ENOSPC, SYNC_JOURNAL_FULL},
    {SQLITE_IOERR_WRITE, EIO, SYNC_JOURNAL_IO},
    {SQLITE_READONLY, EROFS, SYNC_JOURNAL_READ_ONLY},
};

/* One session, in which `count` calls fail from the `nth` on. Whether any did. */
static bool survives(size_t nth, size_t count, const struct kind *kind, const char *flawless) {
  faulty_vfs_refuse(FAULTY_CHANGES, nth, count, kind->result, kind->number);
  begin_session();
  play_session();
  bool failed = health().journal.code != SYNC_OK;
  if (failed && count == SIZE_MAX) assert_int_equal(health().journal.code, kind->code);
  size_t refused = faulty.refused;
  faulty_vfs_allow();
  wait_for_disk();
  check_deliveries();
  if (count == SIZE_MAX) assert_in_range(count_news("JOURNAL"), failed, 1);
  end();
  char *described = describe_file(journal_path);
  assert_string_equal(described, flawless);
  free(described);
  return refused > 0;
}

static void survive_everywhere(size_t count, const struct kind *kind) {
  char *flawless = describe_flawless_session();
  size_t nth = 1;
  while (survives(nth, count, kind, flawless)) nth++;
  assert_in_range(nth, 60, 2000);
  free(flawless);
}

static void what_a_disk_refuses_is_on_it_in_the_end(void **state) {
  (void)state;
  options.poll_url = "/orders";
  for (size_t i = 0; i < COUNT_OF(kinds); i++) survive_everywhere(SIZE_MAX, &kinds[i]);
}

static void so_it_is_after_one_failure(void **state) {
  (void)state;
  options.poll_url = "/orders";
  survive_everywhere(1, &kinds[1]);
  survive_everywhere(7, &kinds[0]);
}

static void and_with_manual_acks(void **state) {
  (void)state;
  options.poll_url = "/orders";
  options.manual_ack = true;
  survive_everywhere(SIZE_MAX, &kinds[1]);
  survive_everywhere(1, &kinds[0]);
}

/* ---- dying while it fails ---------------------------------------------------------------------------------------- */

static char grave[1024]; /* a folder with the files as they were at the first failure */

static void keep_files(void) {
  if (faulty.refused == 1) faulty_vfs_save(grave);
}

static char *describe_grave(void) {
  char path[1100];
  (void)snprintf(path, sizeof path, "%s/orders.db", grave);
  char *described = describe_file(path);
  folder_empty(grave);
  return described;
}

/* Dies behind the `nth` call, having failed all the time from then on. false: it did not. */
static bool dies_at(size_t nth) {
  begin_session();
  faulty_vfs_refuse(FAULTY_CHANGES, nth, SIZE_MAX, SQLITE_IOERR_WRITE, EIO);
  faulty.refusing = keep_files;
  play_session();
  end();
  bool failed = faulty.refused > 0;
  faulty_vfs_allow();
  if (failed) {
    char *described = describe_file(journal_path), *expected = describe_grave();
    assert_string_equal(described, expected);
    free(described);
    free(expected);
  }
  return failed;
}

static void who_dies_meanwhile_leaves_the_last_good_commit(void **state) {
  (void)state;
  (void)snprintf(grave, sizeof grave, "%s", folder_path("grave"));
  assert_int_equal(mkdir(grave, 0700), 0);
  size_t nth = 1;
  while (dies_at(nth)) nth++;
  assert_in_range(nth, 40, 2000);
  assert_int_equal(rmdir(grave), 0);
}

/* ---- telling, and trying again ----------------------------------------------------------------------------------- */

static void a_failure_is_told_once_and_stands_in_health(void **state) {
  (void)state;
  begin();
  send_event(1);
  settle();
  pass(1000);
  int64_t failing_since_ms = sync_loop_wall_ms(loop);
  faulty_vfs_refuse(FAULTY_CHANGES, 1, SIZE_MAX, SQLITE_FULL, ENOSPC);
  send_events(2, 4);
  settle();
  assert_int_equal(health().journal.code, SYNC_JOURNAL_FULL);
  assert_int_equal(health().journal_failing_since_ms, failing_since_ms);
  assert_int_equal(health().unsaved, 3);
  pass(100000);
  check_news("1 2 3 4 JOURNAL_FULL"); /* it is the commit that fails */
  assert_int_equal(metrics().failures, 1);
  assert_int_equal(health().journal_failing_since_ms, failing_since_ms);
  faulty_vfs_allow();
  wait_for_disk();
  assert_int_equal(health().journal_failing_since_ms, 0);
  check_news("");
  check_sql("SELECT count(*), done_seq FROM event JOIN stream", "4 4 \n");
}

static void another_spell_is_told_again(void **state) {
  (void)state;
  begin();
  for (unsigned number = 1; number <= 2; number++) {
    break_disk();
    send_event(number);
    settle();
    faulty_vfs_allow();
    wait_for_disk();
  }
  check_news("1 JOURNAL_IO 2 JOURNAL_IO");
}

static void it_is_tried_again_less_and_less_often(void **state) {
  (void)state;
  static const int64_t waits_ms[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
  begin();
  settle();
  faulty_vfs_refuse(FAULTY_CHANGES, 1, SIZE_MAX, SQLITE_FULL, ENOSPC);
  send_event(1);
  settle();
  for (size_t i = 0; i < COUNT_OF(waits_ms); i++) {
    size_t refused = faulty.refused;
    assert_int_equal(sync_loop_timeout_ms(loop), waits_ms[i]);
    pass(waits_ms[i] - 1);
    assert_int_equal(faulty.refused, refused);
    pass(1);
    assert_true(faulty.refused > refused);
  }
  faulty_vfs_allow();
  wait_for_disk();
  faulty_vfs_refuse(FAULTY_CHANGES, 1, SIZE_MAX, SQLITE_FULL, ENOSPC);
  send_event(2);
  settle();
  assert_int_equal(sync_loop_timeout_ms(loop), 1000);
}

static void a_flush_does_not_wait(void **state) {
  (void)state;
  begin();
  faulty_vfs_refuse(FAULTY_CHANGES, 1, SIZE_MAX, SQLITE_FULL, ENOSPC);
  send_event(1);
  settle();
  assert_int_equal(sync_client_flush(client), SYNC_JOURNAL_FULL);
  faulty_vfs_allow();
  assert_int_equal(sync_client_flush(client), SYNC_OK);
  assert_int_equal(health().journal.code, SYNC_OK);
  check_sql("SELECT count(*) FROM event", "1 \n");
}

static void a_client_that_ends_tries_once_more(void **state) {
  (void)state;
  begin();
  break_disk();
  send_event(1);
  settle();
  faulty_vfs_allow();
  end();
  check_sql("SELECT id, done_seq FROM event JOIN stream", "1 1 \n");
}

/* ---- as long as it fails ----------------------------------------------------------------------------------------- */

static void what_is_done_does_not_pile_up(void **state) {
  (void)state;
  options.journal_max_events = 20;
  options.queue_limit = 10;
  for (size_t i = 0; i < COUNT_OF(kinds); i++) {
    begin_session();
    settle();
    faulty_vfs_refuse(FAULTY_CHANGES, 1, SIZE_MAX, kinds[i].result, kinds[i].number);
    for (unsigned number = 1; number <= 1000; number++) {
      send_event(number);
      settle();
      assert_in_range(health().unsaved, 1, 2 * (20 + 10));
    }
    faulty_vfs_allow();
    wait_for_disk();
    check_sql("SELECT max(id + 0), count(*) > 15, max(seq) - min(seq) + 1 - count(*) FROM event", "1000 1 0 \n");
    end();
  }
}

/* Where nobody wants anything nobody takes anything either. */
static void what_nobody_wants_does_not_pile_up(void **state) {
  (void)state;
  options.journal_max_events = 20;
  options.queue_limit = 10;
  begin();
  settle();
  sync_client_unsubscribe(client, 1);
  break_disk();
  send_event(1);
  settle(); /* the failure is told */
  for (unsigned number = 2; number <= 200; number++) {
    send_event(number);
    assert_int_equal(sync_loop_step(loop, 0, 0), SYNC_OK);
  }
  assert_in_range(health().unsaved, 1, 2 * (20 + 10));
  faulty_vfs_allow();
  end();
}

static void what_is_not_done_is_kept(void **state) {
  (void)state;
  options.journal_max_events = 5;
  options.queue_limit = 100;
  options.manual_ack = true;
  begin();
  settle();
  send_event(1);
  settle();
  break_disk();
  for (unsigned number = 2; number <= 99; number++) {
    send_event(number);
    settle();
    if (number > 3) assert_int_equal(sync_client_ack(client, number), SYNC_OK);
  }
  faulty_vfs_allow();
  wait_for_disk();
  die();
  news[0] = '\0';
  begin();
  settle();
  check_news("1r 2r 3r");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(what_a_disk_refuses_is_on_it_in_the_end),
      TEST(so_it_is_after_one_failure),
      TEST(and_with_manual_acks),
      TEST(who_dies_meanwhile_leaves_the_last_good_commit),
      TEST(a_failure_is_told_once_and_stands_in_health),
      TEST(another_spell_is_told_again),
      TEST(it_is_tried_again_less_and_less_often),
      TEST(a_flush_does_not_wait),
      TEST(a_client_that_ends_tries_once_more),
      TEST(what_is_done_does_not_pile_up),
      TEST(what_nobody_wants_does_not_pile_up),
      TEST(what_is_not_done_is_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

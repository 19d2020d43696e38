/*
 * keeper_test.c - a client with a journal on a disk that works: what is on disk when, what is done, what comes again
 * after a restart.
 */
#include "keeper_scene.h"

#define DONE_SQL "SELECT done_seq FROM stream"

/* ---- events ------------------------------------------------------------------------------------------------------ */

static void an_event_is_on_disk_before_it_can_be_taken(void **state) {
  (void)state;
  begin();
  send_events(1, 3);
  check_sql("SELECT count(*) FROM event", "0 \n");
  assert_int_equal(health().unsaved, 3);
  (void)take_event(); /* between two steps */
  check_sql("SELECT id, done_seq FROM event JOIN stream", "1 0 \n2 0 \n3 0 \n");
  send_event(4);
  step();
  check_sql("SELECT count(*), sum(done) FROM event", "4 0 \n");
  assert_int_equal(health().unsaved, 0);
}

static void what_arrives_in_a_step_is_one_commit(void **state) {
  (void)state;
  begin();
  step();
  uint64_t commits = metrics().commits;
  send_events(1, 100);
  step();
  assert_int_equal(metrics().commits, commits + 1);
  while (take()) continue;
  assert_int_equal(metrics().commits, commits + 2);
  settle();
  assert_int_equal(metrics().commits, commits + 2);
}

static void an_event_is_done_when_the_next_is_taken(void **state) {
  (void)state;
  begin();
  send_events(1, 3);
  (void)take_event();
  (void)take_event();
  assert_int_equal(sync_client_flush(client), SYNC_OK);
  check_sql(DONE_SQL, "1 \n");
  settle();
  check_sql(DONE_SQL, "3 \n");
}

static void what_was_not_done_comes_first_and_in_order_and_flagged(void **state) {
  (void)state;
  begin();
  send_events(1, 5);
  settle();
  send_events(6, 9);
  (void)take_event();
  (void)take_event();
  (void)take_event(); /* 7 is done */
  assert_int_equal(sync_client_flush(client), SYNC_OK);
  die();
  news[0] = '\0';
  begin();
  send_events(10, 11);
  settle();
  check_news("8r 9r 10 11");
  assert_int_equal(metrics().redelivered, 2);
  check_sql("SELECT seq FROM event WHERE id IN (8, 10, 11)", "8 \n10 \n11 \n");
}

static void what_died_with_its_step_was_never_there(void **state) {
  (void)state;
  begin();
  send_event(1);
  settle();
  send_event(2);
  die();
  news[0] = '\0';
  begin();
  send_events(2, 3);
  settle();
  check_news("2 3");
  check_sql("SELECT seq, id FROM event", "1 1 \n2 2 \n3 3 \n");
}

static void an_event_in_the_hand_of_the_host_is_not_done_when_the_client_ends(void **state) {
  (void)state;
  begin();
  send_events(1, 2);
  (void)take_event();
  end();
  news[0] = '\0';
  begin();
  settle();
  check_news("1r 2r");
  end();
  begin();
  settle();
  check_news("");
}

static void an_event_is_as_it_was(void **state) {
  (void)state;
  begin();
  feed("id: 1\ndata: {\"eventType\":\"order_created\",\"orderID\":\"A\",\"data\":{\"orderStage\":\"open\"}}\n\n");
  settle();
  feed("id: 2\ndata: {\"eventType\":\"stage_change\",\"orderID\":\"A\",\"data\":{\"orderStage\":\"paid\"}}\n\n");
  step();
  int64_t received_at_ms = sync_event_received_at_ms(take_event());
  sync_loop_play(loop, 5000);
  end();
  begin();
  sync_event *event = take_event();
  assert_int_equal(sync_event_seq(event), 2);
  assert_true(sync_event_redelivered(event));
  assert_int_equal(sync_event_received_at_ms(event), received_at_ms);
  assert_int_equal(sync_event_source(event), SYNC_SOURCE_STREAM);
  check_span(sync_event_text(event, SYNC_EVENT_TYPE), "stage_change");
  check_span(sync_event_text(event, SYNC_EVENT_ORDER_ID), "A");
  check_span(sync_event_text(event, SYNC_EVENT_ID), "2");
  check_span(sync_event_text(event, SYNC_EVENT_PREVIOUS_STAGE), "open");
  check_span(sync_event_text(event, SYNC_EVENT_DATA), "{\"orderStage\":\"paid\"}");
}

/* ---- resuming ---------------------------------------------------------------------------------------------------- */

static void a_restart_resumes_behind_the_last_event_of_the_journal(void **state) {
  (void)state;
  begin();
  send_events(1, 7);
  step();
  end();
  client = sync_client_new(loop, &options, NULL);
  check_span(resume_id(), "7");
}

static void what_comes_again_after_a_restart_is_dropped(void **state) {
  (void)state;
  begin();
  send_events(1, 4);
  settle();
  end();
  news[0] = '\0';
  begin();
  send_events(2, 6);
  settle();
  check_news("5 6");
  assert_int_equal(metrics().duplicates, 3);
}

static void duplicates_are_known_as_far_as_the_window_reaches(void **state) {
  (void)state;
  options.duplicate_window = 2;
  options.event_history_limit = 0;
  begin();
  send_events(1, 4);
  settle();
  end();
  news[0] = '\0';
  begin();
  send_events(3, 4);
  send_event(2);
  settle();
  check_news("2");
}

static void numbers_go_on_behind_heartbeats(void **state) {
  (void)state;
  const sync_span heartbeat = SPAN("heartbeat");
  const sync_filter filter = {.types = &heartbeat, .type_count = 1};
  begin();
  assert_int_equal(sync_client_subscribe(client, &filter), 2);
  send_event(1);
  feed("data: {\"eventType\":\"heartbeat\"}\n\n");
  send_event(2);
  settle();
  check_news("1 1 2"); /* the heartbeat has the id of the event before it */
  check_sql("SELECT seq, id FROM event", "1 1 \n3 2 \n");
  feed("data: {\"eventType\":\"heartbeat\"}\n\n");
  settle();
  end();
  news[0] = '\0';
  begin();
  send_event(3);
  settle();
  check_news("3");
  check_sql("SELECT seq FROM event WHERE id = 3", "5 \n");
}

static void the_history_is_there_again(void **state) {
  (void)state;
  options.event_history_limit = 3;
  begin();
  send_events(1, 5);
  settle();
  end();
  begin();
  check_span(sync_event_text(sync_client_history(client, 0), SYNC_EVENT_ID), "5");
  check_span(sync_event_text(sync_client_history(client, 2), SYNC_EVENT_ID), "3");
  assert_false(sync_event_redelivered(sync_client_history(client, 0)));
  assert_null(sync_client_history(client, 3));
}

/* ---- events that nobody wants ------------------------------------------------------------------------------------ */

static void what_nobody_wants_is_kept_and_done(void **state) {
  (void)state;
  begin();
  sync_client_unsubscribe(client, 1);
  send_events(1, 3);
  settle();
  check_news("");
  check_sql("SELECT count(*), done_seq FROM event JOIN stream", "3 3 \n");
  end();
  begin();
  settle();
  check_news("");
}

static void even_if_the_host_never_looks(void **state) {
  (void)state;
  begin();
  settle();
  sync_client_unsubscribe(client, 1);
  send_events(1, 3);
  step();
  assert_null(sync_loop_ready(loop));
  check_sql(DONE_SQL, "3 \n");
}

static void with_manual_acks_as_well(void **state) {
  (void)state;
  const sync_span wanted = SPAN("O2");
  const sync_filter filter = {.order_ids = &wanted, .order_id_count = 1};
  options.manual_ack = true;
  begin();
  sync_client_unsubscribe(client, 1);
  assert_int_equal(sync_client_subscribe(client, &filter), 2);
  send_events(1, 4);
  settle();
  die();
  begin();
  settle();
  check_news("2 2r");
}

static void text_that_is_no_json_is_kept_where_any_text_will_do(void **state) {
  (void)state;
  options.decode = SYNC_DECODE_NONE;
  begin();
  feed("id: 1\ndata: {\n\n");
  step();
  end();
  begin();
  check_span(sync_event_text(take_event(), SYNC_EVENT_RAW), "{");
  options.decode = SYNC_DECODE_ORDER;
  end();
  begin();
  check_span(sync_event_text(take_event(), SYNC_EVENT_RAW), "{");
}

/* ---- the order book ---------------------------------------------------------------------------------------------- */

#define TWO_ORDERS "[{\"orderID\":\"A\",\"orderStage\":\"open\"},{\"orderID\":\"B\",\"orderStage\":\"open\"}]"

static void check_stage(const char *id, const char *stage) {
  sync_order order;
  if (!sync_client_order(client, span_of(id), &order)) fail_msg("no order %s", id);
  check_span(order.stage, stage);
}

static void the_order_book_is_there_again(void **state) {
  (void)state;
  sync_order order;
  options.poll_url = "/orders";
  snapshot = TWO_ORDERS;
  begin();
  settle();
  feed("id: 1\ndata: {\"eventType\":\"stage_change\",\"orderID\":\"B\",\"data\":{\"orderStage\":\"paid\"}}\n\n");
  settle();
  die();
  snapshot = NULL;
  begin();
  assert_int_equal(sync_client_order_count(client), 2);
  check_stage("A", "open");
  check_stage("B", "paid");
  assert_true(sync_client_order(client, SPAN("A"), &order) && order.silent);
  assert_int_equal(order.source, SYNC_SOURCE_BACKFILL);
  assert_true(sync_client_order(client, SPAN("B"), &order) && !order.silent);
}

static void a_poll_after_a_restart_tells_what_has_changed_since(void **state) {
  (void)state;
  options.poll_url = "/orders";
  snapshot = TWO_ORDERS;
  begin();
  settle();
  check_news("polling_data_refresh");
  end();
  snapshot = "[{\"orderID\":\"A\",\"orderStage\":\"open\"},{\"orderID\":\"B\",\"orderStage\":\"paid\"},"
             "{\"orderID\":\"C\",\"orderStage\":\"open\"}]";
  begin();
  answer();
  settle();
  check_news("stage_change order_created polling_data_refresh");
  check_stage("B", "paid");
  check_sql("SELECT id, silent FROM orders ORDER BY id", "A 1 \nB 0 \nC 0 \n");
}

static void that_a_snapshot_was_seen_is_known(void **state) {
  (void)state;
  options.poll_url = "/orders";
  snapshot = TWO_ORDERS;
  client = sync_client_new(loop, &options, NULL);
  assert_int_equal(sync_client_subscribe(client, NULL), 1);
  assert_int_equal(sync_client_flush(client), SYNC_OK);
  check_sql("SELECT loaded, done_seq FROM stream", "0 0 \n");
  answer();
  step();
  check_sql("SELECT loaded, done_seq FROM stream", "1 0 \n");
}

static void an_order_that_is_thrown_out_is_on_disk_no_more(void **state) {
  (void)state;
  options.book_limit = 3;
  begin();
  for (unsigned number = 1; number <= 5; number++) {
    send_event(number);
    settle();
  }
  check_sql("SELECT id FROM orders ORDER BY changed", "O3 \nO4 \nO5 \n");
}

/* ---- what never touches the disk --------------------------------------------------------------------------------- */

static void so_is_one_for_which_the_next_book_is_too_small(void **state) {
  (void)state;
  begin();
  send_events(1, 9);
  settle();
  end();
  options.book_limit = 3;
  begin();
  settle();
  assert_int_equal(sync_client_order_count(client), 3);
  check_sql("SELECT id FROM orders ORDER BY id", "O7 \nO8 \nO9 \n");
}

static void what_is_redacted_is_not_in_the_file(void **state) {
  (void)state;
  static const char *const names[] = {"phone"};
  options.redact = names;
  options.redact_count = 1;
  begin();
  feed("id: 1\ndata: {\"eventType\":\"a\",\"orderID\":\"A\",\"data\":{\"phone\":\"0170-1\"}}\n\n");
  step();
  sync_event *event = take_event();
  assert_non_null(strstr(sync_event_text(event, SYNC_EVENT_RAW).bytes, "0170-1"));
  assert_int_equal(sync_client_bury(client, event, SPAN("no"), 1), SYNC_OK);
  settle();
  end();
  char *all = describe_file(journal_path);
  assert_null(strstr(all, "0170"));
  assert_non_null(strstr(all, "phone"));
  free(all);
}

/* ---- one journal, one client ------------------------------------------------------------------------------------- */

static void a_journal_is_one_clients(void **state) {
  (void)state;
  begin();
  assert_null(sync_client_new(loop, &options, &failure));
  assert_int_equal(failure.code, SYNC_JOURNAL_LOCKED);
  end();
  begin();
}

static void a_client_stays_with_its_journal_and_stream(void **state) {
  (void)state;
  begin();
  options.url = "http://other.test";
  assert_int_equal(sync_client_configure(client, &options, &failure), SYNC_OPTION);
  options.url = "http://orders.test";
  options.journal_path = NULL;
  assert_int_equal(sync_client_configure(client, &options, &failure), SYNC_OPTION);
  options.journal_path = journal_path;
  options.queue_limit = 7;
  assert_int_equal(sync_client_configure(client, &options, &failure), SYNC_OK);
}

static void streams_of_one_file_do_not_mix(void **state) {
  (void)state;
  begin();
  send_events(1, 2);
  step();
  end();
  options.url = "http://other.test";
  begin();
  settle();
  check_news("");
  send_event(1);
  settle();
  check_news("1");
  check_sql("SELECT seq, stream FROM event", "1 1 \n2 1 \n3 2 \n");
  end();
  options.url = "http://orders.test";
  begin();
  settle();
  check_news("1r 2r");
}

static void nor_do_they_miss_each_other_s_events(void **state) {
  (void)state;
  begin();
  send_events(1, 2);
  settle();
  end();
  options.url = "http://other.test";
  begin();
  settle();
  assert_int_equal(metrics().gaps, 0);
  feed("data: {\"eventType\":\"status_update\",\"orderID\":\"A\",\"data\":{}}\n\n");
  settle();
  end();
  begin();
  settle();
  assert_int_equal(metrics().gaps, 1); /* its own */
}

static void urls_that_differ_in_secrets_are_two_streams(void **state) {
  (void)state;
  options.url = "http://orders.test/?token=a";
  begin();
  end();
  options.url = "http://orders.test/?token=b";
  begin();
  end();
  check_sql("SELECT count(*), sum(name LIKE '%token=a%') FROM stream", "2 0 \n");
}

/* ---- totals ------------------------------------------------------------------------------------------------------ */

static uint64_t total_of(const char *wanted) {
  const char *name;
  uint64_t value;
  for (size_t i = 0; sync_client_total(client, i, &name, &value); i++)
    if (strcmp(name, wanted) == 0) return value;
  fail_msg("no total %s", wanted);
  return 0;
}

static void counters_go_on_from_client_to_client(void **state) {
  (void)state;
  begin();
  send_events(1, 3);
  settle();
  end();
  begin();
  send_events(4, 5);
  assert_int_equal(total_of("events"), 5);
  assert_int_equal(total_of("connections"), 2);
  assert_int_equal(metrics().total_events, 2);
  settle();
  end();
  check_sql("SELECT value FROM total WHERE name = 'events'", "5 \n");
}

static void and_are_written_now_and_then(void **state) {
  (void)state;
  begin();
  send_event(1);
  settle();
  pass(5000);
  send_event(2);
  settle();
  check_sql("SELECT value FROM total WHERE name = 'events'", "2 \n");
  send_event(3);
  pass(4999);
  check_sql("SELECT value FROM total WHERE name = 'events'", "2 \n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(an_event_is_on_disk_before_it_can_be_taken),
      TEST(what_arrives_in_a_step_is_one_commit),
      TEST(an_event_is_done_when_the_next_is_taken),
      TEST(what_was_not_done_comes_first_and_in_order_and_flagged),
      TEST(what_died_with_its_step_was_never_there),
      TEST(an_event_in_the_hand_of_the_host_is_not_done_when_the_client_ends),
      TEST(an_event_is_as_it_was),
      TEST(a_restart_resumes_behind_the_last_event_of_the_journal),
      TEST(what_comes_again_after_a_restart_is_dropped),
      TEST(duplicates_are_known_as_far_as_the_window_reaches),
      TEST(numbers_go_on_behind_heartbeats),
      TEST(the_history_is_there_again),
      TEST(what_nobody_wants_is_kept_and_done),
      TEST(even_if_the_host_never_looks),
      TEST(with_manual_acks_as_well),
      TEST(text_that_is_no_json_is_kept_where_any_text_will_do),
      TEST(the_order_book_is_there_again),
      TEST(a_poll_after_a_restart_tells_what_has_changed_since),
      TEST(that_a_snapshot_was_seen_is_known),
      TEST(an_order_that_is_thrown_out_is_on_disk_no_more),
      TEST(so_is_one_for_which_the_next_book_is_too_small),
      TEST(what_is_redacted_is_not_in_the_file),
      TEST(a_journal_is_one_clients),
      TEST(a_client_stays_with_its_journal_and_stream),
      TEST(streams_of_one_file_do_not_mix),
      TEST(nor_do_they_miss_each_other_s_events),
      TEST(urls_that_differ_in_secrets_are_two_streams),
      TEST(counters_go_on_from_client_to_client),
      TEST(and_are_written_now_and_then),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

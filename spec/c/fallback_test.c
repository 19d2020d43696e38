/* fallback_test.c - mode "auto" over real sockets: polling while the stream fails, and back without a loss. */
#include "polling_scene.h"

#define OPEN "[{\"orderID\":\"A\",\"orderStage\":\"open\"}]"
#define PAID "[{\"orderID\":\"A\",\"orderStage\":\"paid\"}]"

static int set_up(void **state) {
  int result = polling_set_up(state);
  scene.options.mode = SYNC_MODE_AUTO;
  scene.options.poll_interval_ms = HOUR_MS;
  scene.options.max_reconnect_attempts = 1;
  return result;
}

/* Requests come in any order: takes the next one, which is the stream's, or answers a poll. */
static bool accept_either(const char *snapshot) {
  struct loopback_stream next;
  loopback_accept(&scene.server, scene.loop, &next);
  bool is_poll = strstr(next.request, " /orders ") != NULL;
  if (is_poll) {
    poll_request = next;
    polling_respond(snapshot);
  } else {
    scene.stream = next;
  }
  return is_poll;
}

static void refuse_stream(void) {
  scene_send("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  loopback_hang_up(&scene.stream);
}

/* A stream that is open, with the book filled by the poll that goes with a first connect. */
static void open_stream(void) {
  scene_connect();
  while (accept_either(OPEN)) continue;
  scene_send(LOOPBACK_STREAM_HEAD ": hello\n\n");
  polling_accept();
  polling_respond(OPEN);
  scene_await(SYNC_ITEM_POLLED);
  assert_int_equal(sync_client_state(scene.client), SYNC_CONNECTED);
  scene_take(); /* polling_data_refresh */
}

/* The stream is lost, and so is the next attempt: polling is all there is. Only the test brings the stream back. */
static void fall_back(void) {
  scene.client->connection.config.stream_retry_interval_ms = HOUR_MS;
  loopback_hang_up(&scene.stream);
  scene_await_failure(SYNC_STREAM_ENDED);
  scene_accept();
  refuse_stream();
  scene_await_state(SYNC_POLLING_FALLBACK);
}

/* The stream's next attempt is due. */
static void probe(void) {
  scene.client->connection.deadline_ms = 0;
  sync_client_set_timer(scene.client);
}

/* The next event but polling's own is this one. */
static void expect_event(const char *type, const char *order_id, sync_source source) {
  do {
    scene_await(SYNC_ITEM_EVENT);
  } while (span_is(sync_event_text(scene.item.event, SYNC_EVENT_TYPE), "polling_data_refresh"));
  check_span(sync_event_text(scene.item.event, SYNC_EVENT_TYPE), type);
  check_span(sync_event_text(scene.item.event, SYNC_EVENT_ORDER_ID), order_id);
  assert_string_equal(sync_source_name(sync_event_source(scene.item.event)), sync_source_name(source));
}

static void send_stage(const char *order_id, const char *stage) {
  char text[256];
  (void)snprintf(text, sizeof text,
                 "data: {\"eventType\":\"stage_change\",\"orderID\":\"%s\",\"data\":{\"newStage\":\"%s\"}}\n\n",
                 order_id, stage);
  scene_send(text);
}

/* ---- there ------------------------------------------------------------------------------------------------------- */

static void spent_attempts_lead_to_polling(void **state) {
  (void)state;
  open_stream();
  fall_back();
  polling_accept();
  polling_respond(PAID);
  polling_expect("stage_change A poll; 1 of 1;");
  assert_int_equal(scene_metrics().poll_sessions, 1);
}

/* Nothing to poll: the stream's states are all there is. */
static void without_a_source_there_is_no_polling(void **state) {
  (void)state;
  scene.options.poll_url = NULL;
  scene_connect();
  scene_accept();
  refuse_stream();
  scene_await_state(SYNC_ERROR);
  assert_int_equal(scene_metrics().polls, 0);
}

static void mode_stream_does_not_fall_back(void **state) {
  (void)state;
  scene.options.mode = SYNC_MODE_STREAM;
  scene_connect();
  scene_accept();
  refuse_stream();
  scene_await_state(SYNC_ERROR);
  assert_false(scene.client->poll.poller.regular);
}

static void streams_that_end_at_once_lead_to_polling(void **state) {
  (void)state;
  scene_connect();
  for (int streams = 0; streams < 3;) {
    if (accept_either(OPEN)) continue;
    streams++;
    scene_send(LOOPBACK_STREAM_HEAD);
    loopback_hang_up(&scene.stream);
  }
  scene_await_failure(SYNC_STREAM_ENDED);
  scene_await_failure(SYNC_STREAM_ENDED);
  scene_await_failure(SYNC_TIGHT_LOOP);
  scene_await_state(SYNC_POLLING_FALLBACK);
  assert_true(scene.client->poll.poller.regular);
}

/* A stream that opens and says nothing until the watchdog gives it up; opened again it is still not trusted. */
static void a_mute_stream_leads_to_polling_until_it_speaks(void **state) {
  (void)state;
  scene_connect();
  while (accept_either(OPEN)) continue;
  scene_send(LOOPBACK_STREAM_HEAD);
  scene_await_state(SYNC_CONNECTED);
  scene.client->connection.config.idle_timeout_ms = 1;
  probe();
  scene_await_state(SYNC_POLLING_FALLBACK);
  scene.client->connection.config.idle_timeout_ms = HOUR_MS;
  loopback_hang_up(&scene.stream);
  while (accept_either(OPEN)) continue;
  scene_send(LOOPBACK_STREAM_HEAD);
  scene_await_state(SYNC_CONNECTED);
  assert_true(scene.client->poll.poller.regular);
  scene_send(": here\n\n");
  while (scene.client->poll.poller.regular) accept_either(OPEN);
}

/* ---- and back ---------------------------------------------------------------------------------------------------- */

/* The head of the response and the first event come in one piece; the snapshot that fills the gap is asked for all the
 * same. */
static void a_stream_that_is_back_stops_polling_and_fills_the_gap(void **state) {
  (void)state;
  open_stream();
  fall_back();
  polling_accept();
  polling_respond(OPEN);
  polling_expect("0 of 1;");
  probe();
  scene_accept();
  scene_send(LOOPBACK_STREAM_HEAD "data: {\"eventType\":\"order_created\",\"orderID\":\"B\",\"data\":{}}\n\n");
  scene_await_state(SYNC_CONNECTED);
  polling_accept();
  polling_respond("[{\"orderID\":\"A\",\"orderStage\":\"paid\"},{\"orderID\":\"B\"},{\"orderID\":\"C\"}]");
  polling_expect("order_created B stream; stage_change A backfill; order_created C backfill; 2 of 3;");
  assert_false(scene.client->poll.poller.regular);
  assert_int_equal(sync_poll_deadline_ms(scene.client), -1);
}

/* What polls find later is theirs again. */
static void only_the_gap_is_backfill(void **state) {
  (void)state;
  open_stream();
  assert_int_equal(sync_client_start_polling(scene.client), SYNC_OK);
  polling_accept();
  polling_respond(PAID);
  polling_expect("stage_change A poll; 1 of 1;");
  loopback_hang_up(&scene.stream);
  scene_await_failure(SYNC_STREAM_ENDED);
  scene_accept();
  scene_send(LOOPBACK_STREAM_HEAD ": back\n\n");
  polling_accept();
  polling_respond(OPEN);
  scene_await_state(SYNC_CONNECTED);
  polling_expect("stage_change A backfill; 1 of 1;");
  polling_poll(PAID);
  polling_expect("stage_change A poll; 1 of 1;");
}

/* The server replays what polls have told; it is told once. */
static void what_polling_has_told_is_not_told_again(void **state) {
  (void)state;
  open_stream();
  fall_back();
  polling_accept();
  polling_respond(PAID);
  polling_expect("stage_change A poll; 1 of 1;");
  probe();
  scene_accept();
  scene_send(LOOPBACK_STREAM_HEAD);
  send_stage("A", "paid");
  send_stage("A", "billed");
  expect_event("stage_change", "A", SYNC_SOURCE_STREAM);
  check_span(sync_event_text(scene.item.event, SYNC_EVENT_PREVIOUS_STAGE), "paid");
  assert_int_equal(scene_metrics().overtaken, 1);
}

/* A server that resumes by id has nothing to be asked for. */
static void a_stream_that_resumes_needs_no_snapshot(void **state) {
  (void)state;
  open_stream();
  scene_send_event(1);
  scene_await_event("1");
  uint64_t polls = scene_metrics().polls;
  loopback_hang_up(&scene.stream);
  scene_accept();
  assert_true(loopback_asked(&scene.stream, "Last-Event-ID: 1"));
  scene_send(LOOPBACK_STREAM_HEAD);
  scene_send_event(2);
  expect_event("stage_change", "ORDER-2", SYNC_SOURCE_STREAM);
  assert_int_equal(scene_metrics().polls, polls);
  assert_int_equal(sync_poll_deadline_ms(scene.client), -1);
}

/* An answer that was asked for before the stream told of a change must not undo it. */
static void an_event_that_overtakes_a_poll_stands(void **state) {
  (void)state;
  open_stream();
  assert_int_equal(sync_client_poll(scene.client), SYNC_OK);
  polling_accept();
  send_stage("A", "paid");
  expect_event("stage_change", "A", SYNC_SOURCE_STREAM);
  send_stage("B", "open");
  expect_event("stage_change", "B", SYNC_SOURCE_STREAM);
  polling_respond(OPEN);
  polling_expect("0 of 1;");
}

/* ---- under back-pressure ----------------------------------------------------------------------------------------- */

#define MANY 300u

/* `count` orders in this stage. */
static void write_many(char *out, size_t capacity, unsigned count, const char *stage) {
  size_t length = (size_t)snprintf(out, capacity, "[");
  for (unsigned i = 0; i < count; i++)
    length += (size_t)snprintf(out + length, capacity - length, "%s{\"orderID\":\"N%u\",\"orderStage\":\"%s\"}",
                               i ? "," : "", i, stage);
  (void)snprintf(out + length, capacity - length, "]");
  assert_true(length + 1 < capacity);
}

/* Bit by bit, as the host takes it, and in order. */
static void a_large_snapshot_waits_for_the_host(void **state) {
  (void)state;
  static char text[64 * 1024];
  scene.options.mode = SYNC_MODE_OFF;
  scene.options.queue_limit = 4;
  scene_connect();
  write_many(text, sizeof text, MANY, "open");
  polling_poll(text);
  polling_expect("300 of 300;");
  write_many(text, sizeof text, MANY, "paid");
  polling_poll(text);
  for (unsigned i = 0; i < MANY; i++) {
    char id[16];
    (void)snprintf(id, sizeof id, "N%u", i);
    expect_event("stage_change", id, SYNC_SOURCE_POLL);
  }
  polling_expect("300 of 300;");
  polling_poll("[]");
  for (unsigned i = 0; i < MANY; i++) {
    scene_await(SYNC_ITEM_EVENT);
    if (!span_is(sync_event_text(scene.item.event, SYNC_EVENT_TYPE), "order_deleted")) i--;
  }
  polling_expect("300 of 0;");
  assert_in_range(scene_metrics().queue_peak, 1, 8);
}

/* A step that may not take long does a little, and says that there is more to do. */
static void a_large_snapshot_keeps_to_the_budget(void **state) {
  (void)state;
  static char text[64 * 1024];
  scene.options.mode = SYNC_MODE_OFF;
  scene_connect();
  polling_poll("[]");
  polling_expect("0 of 0;");
  write_many(text, sizeof text, MANY, "open");
  polling_poll(text);
  while (scene.client->poll.stage == SYNC_POLL_NOTHING) scene_step();
  unsigned steps = 0;
  for (; scene.client->poll.stage != SYNC_POLL_NOTHING; steps++) {
    assert_int_equal(sync_loop_timeout_ms(scene.loop), 0);
    assert_int_equal(sync_loop_step(scene.loop, 0, 1), SYNC_OK);
  }
  assert_true(steps > 1);
  assert_int_equal(sync_client_order_count(scene.client), MANY);
}

/* While the orders that a snapshot lacks are gone through, most recent first, the stream tells of the very one that is
 * next. */
static void the_stream_goes_on_while_orders_are_found_missing(void **state) {
  (void)state;
  static char text[64 * 1024];
  unsigned deleted[2] = {0, 0}; /* by the stream, by the poll */
  scene.options.queue_limit = 4;
  open_stream();
  write_many(text, sizeof text, MANY, "open");
  polling_poll(text);
  scene_await(SYNC_ITEM_POLLED);
  scene_take();
  polling_poll("[]");
  while (scene.client->poll.stage != SYNC_POLL_MISSING) scene_step();
  assert_int_equal(scene.client->queue.count, 4); /* N299 to N296 */
  scene_take();
  assert_false(sync_snapshots_can_go_on(scene.client));
  scene_send("data: {\"eventType\":\"order_deleted\",\"orderID\":\"N295\",\"data\":{}}\n\n");
  while (!sync_queue_full(&scene.client->queue)) scene_step();
  for (; scene.item.kind != SYNC_ITEM_POLLED; scene_take())
    if (scene.item.kind == SYNC_ITEM_EVENT) deleted[sync_event_source(scene.item.event) == SYNC_SOURCE_POLL]++;
  assert_int_equal(deleted[0], 1);
  assert_int_equal(deleted[1], MANY - 1);
  assert_int_equal(sync_client_order_count(scene.client), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, scene_tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(spent_attempts_lead_to_polling),
      TEST(without_a_source_there_is_no_polling),
      TEST(mode_stream_does_not_fall_back),
      TEST(streams_that_end_at_once_lead_to_polling),
      TEST(a_mute_stream_leads_to_polling_until_it_speaks),
      TEST(a_stream_that_is_back_stops_polling_and_fills_the_gap),
      TEST(only_the_gap_is_backfill),
      TEST(what_polling_has_told_is_not_told_again),
      TEST(a_stream_that_resumes_needs_no_snapshot),
      TEST(an_event_that_overtakes_a_poll_stands),
      TEST(a_large_snapshot_waits_for_the_host),
      TEST(a_large_snapshot_keeps_to_the_budget),
      TEST(the_stream_goes_on_while_orders_are_found_missing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

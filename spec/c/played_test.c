/*
 * A loop without network and clock, as a host's tests use it: the test is the server, and says what time it is.
 */
#include <string.h>

#include "counting_alloc.h"
#include "spans.h"
#include "sync.h"

#define STREAM_TYPE "text/event-stream"
#define EVENT       "id: 1\ndata: {\"eventType\":\"order_created\",\"orderID\":\"ORDER-1\"}\n\n"
#define SNAPSHOT    "[{\"orderID\":\"ORDER-2\",\"orderStage\":\"open\"}]"

static struct counting_alloc memory;
static sync_loop *loop;
static sync_options options;
static sync_client *client;
static sync_code told; /* the last failure */

static const sync_span empty = {"", 0};

static int set_up(void **state) {
  (void)state;
  counting_alloc_init(&memory);
  loop = sync_loop_new_played(&memory.allocator);
  sync_options_init(&options);
  options.url = "http://orders.test";
  client = NULL;
  return loop ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  sync_loop_free(loop);
  counting_alloc_check(&memory);
  return 0;
}

static void begin(void) {
  client = sync_client_new(loop, &options, NULL);
  assert_non_null(client);
  assert_int_equal(sync_client_subscribe(client, NULL), 1);
}

/* Does what is due now; counts the events. */
static size_t settle(void) {
  sync_item item;
  size_t events = 0;
  do {
    sync_loop_play(loop, sync_loop_clock_ms(loop));
    assert_int_equal(sync_loop_step(loop, 0, 0), SYNC_OK);
    while (sync_client_next(client, &item)) {
      events += item.kind == SYNC_ITEM_EVENT;
      if (item.kind == SYNC_ITEM_ERROR) told = item.failure->code;
    }
    (void)sync_loop_ready(loop);
  } while (sync_loop_timeout_ms(loop) == 0);
  return events;
}

static void pass(int64_t ms) {
  int64_t until_ms = sync_loop_clock_ms(loop) + ms;
  while (sync_loop_clock_ms(loop) < until_ms) {
    sync_loop_play(loop, until_ms);
    (void)settle();
  }
}

static sync_played_request asked(void) {
  sync_played_request request;
  if (!sync_client_play_request(client, &request)) fail_msg("nothing is asked");
  return request;
}

static void accept_stream(void) {
  sync_client_play_response(client, 200, STREAM_TYPE, NULL, 0, empty);
}

static sync_code last_failure(void) {
  sync_health health;
  sync_client_health(client, &health);
  return health.last_failure.code;
}

/* ---- requests and answers ---------------------------------------------------------------------------------------- */

static void a_stream_is_asked_for_answered_and_read(void **state) {
  (void)state;
  begin();
  assert_string_equal(asked().url, "http://orders.test/api/v1/sync/events");
  assert_int_equal(asked().number, 1);
  assert_false(sync_client_play_bytes(client, SPAN(EVENT)));
  accept_stream();
  assert_int_equal(settle(), 0);
  assert_int_equal(sync_client_state(client), SYNC_CONNECTED);
  assert_true(sync_client_play_bytes(client, SPAN(EVENT)));
  assert_int_equal(settle(), 1);
}

static void the_body_may_come_with_the_answer(void **state) {
  (void)state;
  begin();
  sync_client_play_response(client, 200, STREAM_TYPE, NULL, 0, SPAN(EVENT));
  assert_int_equal(settle(), 1);
}

static void a_cut_stream_is_resumed_in_time_that_is_played(void **state) {
  (void)state;
  begin();
  sync_client_play_response(client, 200, STREAM_TYPE, NULL, 0, SPAN(EVENT));
  assert_true(sync_client_play_end(client, SYNC_STREAM_CUT));
  assert_false(sync_client_play_end(client, SYNC_STREAM_CUT));
  (void)settle();
  int wait_ms = sync_loop_timeout_ms(loop);
  assert_in_range(wait_ms, 1, options.reconnect_delay_ms);
  sync_played_request request;
  pass(wait_ms - 1);
  assert_false(sync_client_play_request(client, &request));
  pass(1);
  request = asked();
  assert_int_equal(request.number, 2);
  assert_int_equal(request.last_event_id.length, 1);
}

static void a_redirect_is_another_request_without_headers_for_a_stranger(void **state) {
  (void)state;
  const sync_header header = {SPAN("X-Api-Key"), SPAN("secret")};
  options.headers = &header;
  options.header_count = 1;
  begin();
  assert_int_equal(asked().header_count, 1);
  sync_client_play_response(client, 307, NULL, "http://other.test/", 0, empty);
  assert_string_equal(asked().url, "http://other.test/");
  assert_int_equal(asked().header_count, 0);
}

static void a_poll_is_asked_first_and_answered_whole(void **state) {
  (void)state;
  sync_order order;
  options.poll_url = "/orders";
  begin();
  accept_stream();
  (void)settle();
  assert_true(asked().poll);
  assert_string_equal(asked().url, "http://orders.test/orders");
  sync_client_play_response(client, 200, "application/json", NULL, 0, SPAN(SNAPSHOT));
  (void)settle();
  assert_true(sync_client_order(client, SPAN("ORDER-2"), &order));
  assert_int_equal(sync_client_state(client), SYNC_CONNECTED);
}

static void a_poll_that_fails_leaves_the_stream_alone(void **state) {
  (void)state;
  sync_metrics metrics;
  options.poll_url = "/orders";
  begin();
  accept_stream();
  (void)settle();
  assert_true(sync_client_play_end(client, SYNC_REFUSED));
  (void)settle();
  sync_client_metrics(client, &metrics);
  assert_int_equal(metrics.poll_failures, 1);
  assert_int_equal(sync_client_state(client), SYNC_CONNECTED);
  sync_played_request request;
  for (int second = 0; second < 60 && !sync_client_play_request(client, &request); second++) pass(1000);
  assert_true(asked().poll);
}

static void a_poll_may_be_too_large(void **state) {
  (void)state;
  char spaces[2000];
  memset(spaces, ' ', sizeof spaces);
  options.mode = SYNC_MODE_POLL;
  options.poll_url = "/orders";
  options.max_snapshot_bytes = sizeof spaces - 1;
  begin();
  (void)settle();
  sync_client_play_response(client, 200, "application/json", NULL, 0, (sync_span){spaces, sizeof spaces});
  (void)settle();
  assert_int_equal(told, SYNC_POLL_FAILED); /* and not SYNC_SNAPSHOT: it has not been looked into */
}

/* ---- time -------------------------------------------------------------------------------------------------------- */

static void waits_are_the_same_every_time(void **state) {
  int64_t before[5];
  for (int run = 0; run < 2; run++) {
    begin();
    for (int i = 0; i < 5; i++) {
      assert_true(sync_client_play_end(client, SYNC_REFUSED));
      (void)settle();
      int64_t wait_ms = sync_loop_timeout_ms(loop);
      if (run == 1) assert_int_equal(wait_ms, before[i]);
      before[i] = wait_ms;
      pass(wait_ms);
    }
    if (run == 1) break;
    tear_down(state);
    set_up(state);
  }
}

static void silence_is_noticed_at_its_time(void **state) {
  (void)state;
  options.idle_timeout_ms = 60000;
  begin();
  accept_stream();
  (void)settle();
  pass(59999);
  assert_int_equal(last_failure(), SYNC_OK);
  pass(1);
  assert_int_equal(last_failure(), SYNC_IDLE_TIMEOUT);
}

static void a_full_queue_holds_the_rest_back(void **state) {
  (void)state;
  options.queue_limit = 2;
  begin();
  accept_stream();
  for (int i = 0; i < 10; i++) assert_true(sync_client_play_bytes(client, SPAN("data: {\"eventType\":\"a\"}\n\n")));
  assert_int_equal(settle(), 10);
}

/* ---- without memory ---------------------------------------------------------------------------------------------- */

static void answer_all(void) {
  sync_played_request request;
  while (sync_client_play_request(client, &request)) {
    if (request.poll)
      sync_client_play_response(client, 200, "application/json", NULL, 0, SPAN(SNAPSHOT));
    else
      sync_client_play_response(client, 200, STREAM_TYPE, NULL, 0, request.last_event_id.length ? empty : SPAN(EVENT));
    (void)settle();
  }
}

/* A stream, a snapshot, a cut; the event is known at the end, whatever was refused. */
static void live(void) {
  sync_order order;
  client = sync_client_new(loop, &options, NULL);
  if (!client) return;
  (void)sync_client_subscribe(client, NULL);
  answer_all();
  (void)sync_client_play_end(client, SYNC_STREAM_CUT);
  counting_alloc_allow(&memory);
  for (int i = 0; i < 100; i++) {
    pass(1000);
    answer_all();
  }
  assert_true(sync_client_order(client, SPAN("ORDER-2"), &order));
  assert_non_null(sync_client_history(client, 0));
}

static void a_refusal_anywhere_is_survived(void **state) {
  (void)state;
  options.poll_url = "/orders";
  options.queue_limit = 2;
  options.idle_timeout_ms = 60 * 60 * 1000;
  for (size_t nth = 1;; nth++) {
    size_t before = memory.refused;
    sync_loop_free(loop);
    counting_alloc_check(&memory);
    counting_alloc_refuse(&memory, nth, 1);
    loop = sync_loop_new_played(&memory.allocator);
    if (loop) live();
    counting_alloc_allow(&memory);
    if (memory.refused > before) continue;
    assert_true(nth > 30);
    break;
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(a_stream_is_asked_for_answered_and_read),
      TEST(the_body_may_come_with_the_answer),
      TEST(a_cut_stream_is_resumed_in_time_that_is_played),
      TEST(a_redirect_is_another_request_without_headers_for_a_stranger),
      TEST(a_poll_is_asked_first_and_answered_whole),
      TEST(a_poll_that_fails_leaves_the_stream_alone),
      TEST(a_poll_may_be_too_large),
      TEST(waits_are_the_same_every_time),
      TEST(silence_is_noticed_at_its_time),
      TEST(a_full_queue_holds_the_rest_back),
      TEST(a_refusal_anywhere_is_survived),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

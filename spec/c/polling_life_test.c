/* polling_life_test.c - a poll is dropped in each of its phases, in every way there is: nothing is lost by it. */
#include "polling_scene.h"

#define BEFORE "[{\"orderID\":\"A\"},{\"orderID\":\"B\"},{\"orderID\":\"C\"},{\"orderID\":\"D\"},{\"orderID\":\"E\"}]"
#define CHANGED                                                                                                        \
  "[{\"orderID\":\"A\",\"n\":1},{\"orderID\":\"B\",\"n\":1},{\"orderID\":\"C\",\"n\":1},{\"orderID\":\"D\",\"n\":1}]"
#define AFTER "[{\"orderID\":\"F\"}]"

static bool connected; /* the server has its end of a poll's connection, and the client should close the other */

/* ---- phases ------------------------------------------------------------------------------------------------------ */

static void ask(void) {
  assert_int_equal(sync_client_poll(scene.client), SYNC_OK);
  if (!scene.options.ask_headers) return;
  scene_await(SYNC_ITEM_ASK);
}

static void send_request(void) {
  ask();
  if (scene.options.ask_headers) assert_int_equal(sync_client_answer(scene.client, NULL, 0, 0, NULL), SYNC_OK);
  polling_accept();
  connected = true;
}

static void plan(void) {
  assert_int_equal(sync_client_poll(scene.client), SYNC_OK);
}

static void receive_head(void) {
  send_request();
  loopback_send(&poll_request, "HTTP/1.1 200 OK\r\nContent-Length: 900\r\nETag: \"2\"\r\n\r\n");
  while (!scene.client->poll.etag || strcmp(scene.client->poll.etag, "\"2\"") != 0) scene_step();
}

static void receive_half(void) {
  receive_head();
  loopback_send(&poll_request, CHANGED);
  while (scene.client->poll.body.length == 0) scene_step();
}

/* The queue has room for a few changes only. */
static void take_in(const char *snapshot, enum sync_poll_stage stage) {
  send_request();
  polling_respond_with("200 OK", "ETag: \"2\"\r\n", snapshot);
  connected = false;
  while (scene.client->poll.stage == SYNC_POLL_NOTHING || !sync_queue_full(&scene.client->queue)) scene_step();
  assert_int_equal(scene.client->poll.stage, stage);
}

static void take_orders_in(void) {
  take_in(CHANGED, SYNC_POLL_ORDERS);
}

static void take_missing_out(void) {
  take_in("[]", SYNC_POLL_MISSING);
}

static void wait_after_a_failure(void) {
  send_request();
  scene.client->poll.poller.config.interval_ms = HOUR_MS;
  polling_respond_with("503 Busy", "", "");
  connected = false;
  while (scene.client->poll.poller.phase == SYNC_POLLER_BUSY) scene_step();
}

static void (*const phases[])(void) = {
    plan, ask, send_request, receive_head, receive_half, take_orders_in, take_missing_out, wait_after_a_failure,
};

/* ---- one life ---------------------------------------------------------------------------------------------------- */

static void begin(bool ask_headers) {
  scene.options.ask_headers = ask_headers;
  scene.options.poll_url = "/orders";
  scene.options.queue_limit = 3;
  connected = false;
  scene_connect();
  send_request();
  polling_respond_with("200 OK", "ETag: \"1\"\r\n", BEFORE);
  connected = false;
  polling_expect("5 of 5;");
}

static void check_dropped(void) {
  if (connected) loopback_await_end(scene.loop, &poll_request);
  connected = false;
}

/* The poll that comes asks for everything, unless the last one was taken in to its end, and the book is right then. */
static void recover(bool asks, bool whole) {
  if (asks) {
    scene_await(SYNC_ITEM_ASK);
    assert_int_equal(sync_client_answer(scene.client, NULL, 0, 0, NULL), SYNC_OK);
  }
  polling_accept();
  if (whole) assert_null(strstr(poll_request.request, "If-"));
  polling_respond(AFTER);
  scene_await(SYNC_ITEM_POLLED);
  sync_order order;
  assert_int_equal(sync_client_order_count(scene.client), 1);
  assert_true(sync_client_order(scene.client, SPAN("F"), &order));
}

static void live(void (*act)(size_t phase, bool asks)) {
  for (size_t i = 0; i < 2 * COUNT_OF(phases); i++) {
    bool asks = i % 2;
    begin(asks);
    phases[i / 2]();
    act(i / 2, asks);
    check_dropped();
    sync_client_free(scene.client);
  }
}

/* ---- the ways to drop it ----------------------------------------------------------------------------------------- */

static void disconnect(size_t phase, bool asks) {
  assert_int_equal(sync_client_disconnect(scene.client), SYNC_OK);
  check_dropped();
  assert_int_equal(sync_poll_deadline_ms(scene.client), -1);
  while (sync_client_next(scene.client, &scene.item)) continue;
  assert_int_equal(scene.loop->snapshots, 0);
  assert_int_equal(sync_client_poll(scene.client), SYNC_OK);
  recover(asks, phase > 1);
}

static void close_client(size_t phase, bool asks) {
  (void)phase, (void)asks;
  sync_client_free(scene.client);
  check_dropped();
  assert_int_equal(scene.loop->snapshots, 0);
  scene.client = NULL;
}

static void move(size_t phase, bool asks) {
  (void)phase;
  scene.options.poll_url = "/orders/of/today";
  assert_int_equal(sync_client_configure(scene.client, &scene.options, NULL), SYNC_OK);
  check_dropped();
  if (asks && scene.client->poll.poller.phase == SYNC_POLLER_WAITING) scene_step();
  recover(asks, true);
  assert_non_null(strstr(poll_request.request, "GET /orders/of/today "));
}

static void take_away(size_t phase, bool asks) {
  (void)phase, (void)asks;
  scene.options.poll_url = NULL;
  assert_int_equal(sync_client_configure(scene.client, &scene.options, NULL), SYNC_OK);
  check_dropped();
  assert_int_equal(sync_poll_deadline_ms(scene.client), -1);
  assert_int_equal(sync_client_poll(scene.client), SYNC_OPTION);
  assert_int_equal(scene.loop->snapshots, 0);
}

static void dropped_by_a_disconnect(void **state) {
  (void)state;
  live(disconnect);
}

static void dropped_by_closing_the_client(void **state) {
  (void)state;
  live(close_client);
}

static void dropped_by_another_url(void **state) {
  (void)state;
  live(move);
}

static void dropped_because_there_is_nothing_to_poll_any_more(void **state) {
  (void)state;
  live(take_away);
}

/* The end of the loop is the end of its clients. */
static void dropped_with_the_loop(void **state) {
  (void)state;
  begin(false);
  take_missing_out();
}

static void options_that_cannot_be_used_change_nothing(void **state) {
  (void)state;
  begin(false);
  send_request();
  scene.options.poll_url = "ftp://127.0.0.1/orders";
  scene.options.book_limit = 0;
  assert_int_equal(sync_client_configure(scene.client, &scene.options, NULL), SYNC_URL);
  polling_respond(AFTER);
  scene_await(SYNC_ITEM_POLLED);
  assert_int_equal(sync_client_order_count(scene.client), 1);
  assert_int_equal(scene.client->options.book_limit, 100000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, polling_set_up, scene_tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(dropped_by_a_disconnect), TEST(dropped_by_closing_the_client),
      TEST(dropped_by_another_url),  TEST(dropped_because_there_is_nothing_to_poll_any_more),
      TEST(dropped_with_the_loop),   TEST(options_that_cannot_be_used_change_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* fallback_engine_test.c - several urls over real sockets: tried in order, resumed at each, and back to the first. */
#include "renewal_scene.h"

static struct loopback second;
static const char *fallbacks[1];

static int set_up(void **state) {
  int result = scene_set_up(state);
  loopback_open(&second);
  fallbacks[0] = second.url;
  scene.options.fallback_urls = fallbacks;
  scene.options.fallback_url_count = 1;
  scene.options.stream_retry_interval_ms = HOUR_MS; /* the test says when it is time to look for the first */
  return result;
}

static int tear_down(void **state) {
  loopback_close(&second);
  return scene_tear_down(state);
}

static void fail_at(const struct loopback *server) {
  loopback_accept(server, scene.loop, &scene.stream);
  scene_send("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
  loopback_hang_up(&scene.stream);
}

static void serve_from(const struct loopback *server) {
  loopback_accept(server, scene.loop, &scene.stream);
  scene_send(LOOPBACK_STREAM_HEAD);
  scene_await_state(SYNC_CONNECTED);
}

static void the_next_url_is_tried_at_once_and_resumed_at(void **state) {
  (void)state;
  const sync_header header = {SPAN("X-Key"), SPAN("k")};
  scene.options.headers = &header;
  scene.options.header_count = 1;
  scene.options.order_id = "ORDER-1";
  scene_open();
  scene_send_event(1);
  scene_await_event("1");
  loopback_hang_up(&scene.stream);
  fail_at(&scene.server);
  serve_from(&second);
  assert_true(strncmp(scene.stream.request, "GET /api/v1/sync/events?orderID=ORDER-1 ", 40) == 0);
  assert_true(loopback_asked(&scene.stream, "X-Key: k")); /* the host named it: it is no stranger */
  assert_true(loopback_asked(&scene.stream, "Last-Event-ID: 1"));
  scene_send_event(2);
  scene_await_event("2");
  loopback_hang_up(&scene.stream);
}

static void after_a_loss_the_first_is_tried_first(void **state) {
  (void)state;
  scene_connect();
  fail_at(&scene.server);
  serve_from(&second);
  loopback_hang_up(&scene.stream);
  scene_await_state(SYNC_RECONNECTING);
  serve_from(&scene.server);
  loopback_hang_up(&scene.stream);
}

/* A stream that works is not given up for one that may. */
static void the_first_takes_over_when_it_is_back(void **state) {
  (void)state;
  scene_connect();
  fail_at(&scene.server);
  serve_from(&second);
  scene_send_event(1);
  scene_await_event("1");
  renewal_make_due();
  loopback_accept(&scene.server, scene.loop, &successor);
  assert_true(loopback_asked(&successor, "Last-Event-ID: 1"));
  loopback_send(&successor, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
  loopback_hang_up(&successor);
  scene_await_failure(SYNC_HTTP_STATUS);
  scene_send_event(2);
  renewal_take_event("2");
  renewal_make_due();
  loopback_accept(&scene.server, scene.loop, &successor);
  scene_send_event(3);
  renewal_take_event("3");
  renewal_respond(LOOPBACK_STREAM_HEAD);
  renewal_take_over(1);
  scene_send_event(3);
  scene_send_event(4);
  renewal_take_event("4");
  assert_int_equal(scene_metrics().duplicates, 1);
  assert_int_equal(scene.client->connection.url, 0);
  loopback_hang_up(&scene.stream);
}

/* Home is where this connect began. */
static void a_redirect_is_judged_by_the_url_that_was_asked(void **state) {
  (void)state;
  const sync_header header = {SPAN("X-Key"), SPAN("k")};
  char redirect[160];
  scene.options.headers = &header;
  scene.options.header_count = 1;
  scene_connect();
  fail_at(&scene.server);
  (void)snprintf(redirect, sizeof redirect, "HTTP/1.1 307 Moved\r\nLocation: %s/x\r\nContent-Length: 0\r\n\r\n",
                 second.url);
  loopback_accept(&second, scene.loop, &scene.stream);
  scene_send(redirect);
  loopback_hang_up(&scene.stream);
  loopback_accept(&second, scene.loop, &scene.stream);
  assert_true(loopback_asked(&scene.stream, "X-Key: k"));
  (void)snprintf(redirect, sizeof redirect, "HTTP/1.1 307 Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
                 scene.server.url);
  scene_send(redirect);
  loopback_hang_up(&scene.stream);
  loopback_accept(&scene.server, scene.loop, &scene.stream);
  assert_null(strstr(scene.stream.request, "X-Key"));
  loopback_hang_up(&scene.stream);
}

/* The list is the client's own, and a shorter one is in force at once. */
static void another_list_reconnects(void **state) {
  (void)state;
  scene_connect();
  fallbacks[0] = "http://127.0.0.1:1";
  fail_at(&scene.server);
  serve_from(&second);
  scene.options.fallback_url_count = 0;
  assert_int_equal(sync_client_configure(scene.client, &scene.options, NULL), SYNC_OK);
  loopback_await_end(scene.loop, &scene.stream);
  serve_from(&scene.server);
  assert_int_equal(scene.client->connection.renewal.deadline_ms, -1);
  loopback_hang_up(&scene.stream);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(the_next_url_is_tried_at_once_and_resumed_at),
      TEST(after_a_loss_the_first_is_tried_first),
      TEST(the_first_takes_over_when_it_is_back),
      TEST(a_redirect_is_judged_by_the_url_that_was_asked),
      TEST(another_list_reconnects),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

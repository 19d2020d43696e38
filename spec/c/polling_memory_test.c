/*
 * polling_memory_test.c - the Nth request for memory is refused while orders are polled, for every N until none is: no
 * crash, no leak, the book is right in the end, and a change that could not be told is named.
 */
#include "polling_scene.h"

#define BEFORE                                                                                                         \
  "[{\"orderID\":\"A\",\"orderStage\":\"open\"},{\"orderID\":\"B\",\"paymentStatus\":\"pending\"},"                    \
  "{\"orderID\":\"C\\\"\"},{\"orderID\":\"E\\t\"}]"
#define AFTER                                                                                                          \
  "[{\"orderID\":\"A\",\"orderStage\":\"paid\"},{\"orderID\":\"B\",\"paymentStatus\":\"paid\"},"                       \
  "{\"orderID\":\"D\",\"orderStage\":\"\\u006fpen\"},{\"orderID\":\"E\\t\"}]"

static const char *const expected[] = {"stage_change", "payment_update", "order_created", "order_deleted"};

static struct {
  int socket; /* -1: none */
  char request[4096];
  size_t length;
  bool moved; /* the snapshot is elsewhere */
  const char *snapshot;
} server;

static unsigned told[COUNT_OF(expected)]; /* in this life */
static unsigned lost;                     /* changes that are said to be */

/* ---- the server -------------------------------------------------------------------------------------------------- */

static bool can_read(int socket) {
  struct pollfd one = {.fd = socket, .events = POLLIN};
  return poll(&one, 1, 0) > 0;
}

static void hang_up(void) {
  if (server.socket >= 0) close(server.socket);
  server.socket = -1;
  server.length = 0;
}

static void answer_request(void) {
  poll_request.socket = server.socket;
  if (server.moved && !strstr(server.request, " /moved "))
    polling_respond_with("307 Moved", "Location: /moved\r\n", "");
  else if (server.snapshot == NULL)
    polling_respond_with("304 Not Modified", "", "");
  else
    polling_respond_with("200 OK", "ETag: \"1\"\r\nLast-Modified: Tue, 14 Nov 2023 22:13:20 GMT\r\n", server.snapshot);
  server.socket = -1;
  server.length = 0;
}

/* Whether there was anything to do. */
static bool serve(void) {
  if (server.socket < 0) {
    if (!can_read(scene.server.listener)) return false;
    server.socket = accept4(scene.server.listener, NULL, NULL, SOCK_CLOEXEC);
    return true;
  }
  if (!can_read(server.socket)) return false;
  ssize_t got = recv(server.socket, server.request + server.length, sizeof server.request - 1 - server.length, 0);
  if (got <= 0) {
    hang_up();
    return true;
  }
  server.length += (size_t)got;
  server.request[server.length] = '\0';
  if (strstr(server.request, "\r\n\r\n")) answer_request();
  return true;
}

/* ---- the host ---------------------------------------------------------------------------------------------------- */

static void note_event(const sync_event *event) {
  for (size_t i = 0; i < COUNT_OF(expected); i++)
    if (span_is(sync_event_text(event, SYNC_EVENT_TYPE), expected[i])) told[i]++;
}

static void take_items(void) {
  while (sync_client_next(scene.client, &scene.item)) {
    if (scene.item.kind == SYNC_ITEM_ASK)
      while (sync_client_answer(scene.client, NULL, 0, 0, NULL) == SYNC_NO_MEMORY) continue;
    if (scene.item.kind == SYNC_ITEM_FETCH)
      assert_int_equal(sync_client_snapshot(scene.client, span_of(server.snapshot)), SYNC_OK);
    if (scene.item.kind == SYNC_ITEM_EVENT) note_event(scene.item.event);
    if (scene.item.kind == SYNC_ITEM_ERROR && strstr(scene.item.failure->message, "a change of order")) lost++;
  }
}

/* On loopback what is sent is there: when nothing can be read and no timer is set, nothing will ever come. */
static void wait_for_client(void) {
  struct pollfd all[3] = {{.fd = sync_loop_fd(scene.loop), .events = POLLIN},
                          {.fd = scene.server.listener, .events = POLLIN},
                          {.fd = server.socket, .events = POLLIN}};
  int timeout_ms = sync_loop_timeout_ms(scene.loop);
  if (poll(all, 3, 0) > 0 || timeout_ms == 0) return;
  if (timeout_ms < 0 || timeout_ms > 10 * 60 * 1000) fail_msg("the client is stuck");
  (void)poll(all, 3, timeout_ms);
}

/* One poll, however often it has to be tried. */
static void poll_to_the_end(const char *snapshot) {
  server.snapshot = snapshot;
  assert_int_equal(sync_client_poll(scene.client), SYNC_OK);
  while (scene.client->poll.poller.phase != SYNC_POLLER_IDLE) {
    if (!serve()) wait_for_client();
    assert_int_equal(sync_loop_step(scene.loop, 0, 0), SYNC_OK);
    take_items();
  }
  take_items();
}

/* ---- lives ------------------------------------------------------------------------------------------------------- */

static int set_up(void **state) {
  if (polling_set_up(state) != 0) return -1;
  sync_loop_free(scene.loop);
  scene.loop = NULL;
  server.socket = -1;
  server.moved = false;
  return 0;
}

static void begin(void) {
  sync_failure failure;
  while (!(scene.loop = sync_loop_new(&scene.memory.allocator))) continue;
  while (!(scene.client = sync_client_new(scene.loop, &scene.options, &failure)))
    assert_int_equal(failure.code, SYNC_NO_MEMORY);
  while (!sync_client_subscribe(scene.client, NULL)) continue;
}

static void check_stage(const char *id, const char *stage) {
  sync_order order;
  assert_true(sync_client_order(scene.client, span_of(id), &order));
  check_span(order.stage, stage);
}

static void check_book(void) {
  assert_int_equal(sync_client_order_count(scene.client), 4);
  check_stage("A", "paid");
  check_stage("B", "");
  check_stage("D", "open");
  check_stage("E\t", "");
}

/* Nothing comes twice; with one refusal, what did not come is named. */
static void check_news(size_t count) {
  unsigned missing = 0;
  for (size_t i = 0; i < COUNT_OF(expected); i++) {
    assert_in_range(told[i], 0, 1);
    missing += told[i] == 0;
  }
  if (count == 1) assert_int_equal(missing, lost);
}

static void live_once(size_t count) {
  memset(told, 0, sizeof told);
  lost = 0;
  begin();
  poll_to_the_end(BEFORE);
  poll_to_the_end(AFTER);
  poll_to_the_end(server.moved || !scene.options.poll_url ? AFTER : NULL);
  check_book();
  check_news(count);
  sync_loop_free(scene.loop);
  scene.loop = NULL;
  hang_up();
  counting_alloc_check(&scene.memory);
}

/* The whole life, once for each request that is refused, together with the `count` - 1 after it. */
static void live_without_the_nth_request(size_t count) {
  size_t nth = 0, before;
  do {
    before = scene.memory.refused;
    counting_alloc_refuse(&scene.memory, ++nth, count);
    live_once(count);
  } while (scene.memory.refused > before);
  assert_true(nth > 50);
}

static void one_refusal_anywhere_is_told_and_the_book_is_right(void **state) {
  (void)state;
  live_without_the_nth_request(1);
}

static void so_it_is_after_several_in_a_row(void **state) {
  (void)state;
  live_without_the_nth_request(3);
  live_without_the_nth_request(10);
}

static void and_under_back_pressure(void **state) {
  (void)state;
  scene.options.queue_limit = 1;
  live_without_the_nth_request(1);
  live_without_the_nth_request(3);
}

static void and_on_the_way_of_a_redirect_with_headers_asked_for(void **state) {
  (void)state;
  server.moved = scene.options.ask_headers = true;
  live_without_the_nth_request(1);
  live_without_the_nth_request(10);
}

static void and_by_the_host(void **state) {
  (void)state;
  scene.options.poll_url = NULL;
  scene.options.poll_by_host = true;
  live_without_the_nth_request(1);
  live_without_the_nth_request(10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, scene_tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(one_refusal_anywhere_is_told_and_the_book_is_right),
      TEST(so_it_is_after_several_in_a_row),
      TEST(and_under_back_pressure),
      TEST(and_on_the_way_of_a_redirect_with_headers_asked_for),
      TEST(and_by_the_host),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

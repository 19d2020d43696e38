/*
 * memory_test.c - the Nth request for memory is refused, for every N until none is: no crash, no leak, and every event
 * arrives once and in order, because the client resumes behind what it has kept and the server honours Last-Event-ID.
 */
#include <stdlib.h>

#include "scene.h"

#define EVENTS         60u
#define EVENTS_A_VISIT 25u  /* then the server hangs up */
#define BYTES_A_TURN   700u /* cuts lines and events anywhere */

/* A server that replays by id. One connection at a time. */
struct replayer {
  int socket; /* -1: none */
  char request[4096];
  size_t request_length;
  char script[64 * 1024];
  size_t length;
  size_t sent;
};

static struct replayer replayer;

/* ---- the server -------------------------------------------------------------------------------------------------- */

static void append(const char *format, unsigned id) {
  size_t room = sizeof replayer.script - replayer.length;
  int length = snprintf(replayer.script + replayer.length, room, format, id, id);
  assert_in_range(length, 1, room - 1);
  replayer.length += (size_t)length;
}

/* Events of every kind that takes memory of its own: escapes, bytes to repair, more than a segment, several lines. */
static void append_event(unsigned id) {
  switch (id % 6) {
  case 0: append("id: %u\r\ndata: {\"orderID\":\"\\u004f%u\"}\r\n\r\n", id); break;
  case 1: append("id: %u\nevent: t\xff\ndata: {\"orderID\":\"\xe2\x82 %u\"}\n\n", id); break;
  case 2: append(": a comment\nid: %u\ndata: {\"orderID\":\ndata: \"%u\"}\n\n", id); break;
  case 3: append("id: %u\ndata: {\"eventType\":\"type %u\"}\n\n", id); break;
  case 4: append("id: %u\ndata: {\"data\":\"%05000u\"}\n\n", id); break;
  default: append("retry: 0\nid: %u\ndata: {\"n\":%u}\n\n", id); break;
  }
}

static void hang_up(void) {
  if (replayer.socket >= 0) close(replayer.socket);
  replayer.socket = -1;
}

static void answer_request(void) {
  const char *id = strstr(replayer.request, "Last-Event-ID: ");
  unsigned last = id ? (unsigned)strtoul(id + strlen("Last-Event-ID: "), NULL, 10) : 0;
  replayer.length = replayer.sent = 0;
  append(LOOPBACK_STREAM_HEAD, 0);
  for (unsigned i = last + 1; i <= EVENTS && i <= last + EVENTS_A_VISIT; i++) append_event(i);
}

static void read_request(void) {
  size_t room = sizeof replayer.request - 1 - replayer.request_length;
  ssize_t got = recv(replayer.socket, replayer.request + replayer.request_length, room, MSG_DONTWAIT);
  if (got < 0) return;
  if (got == 0) {
    hang_up();
    return;
  }
  replayer.request_length += (size_t)got;
  replayer.request[replayer.request_length] = '\0';
  if (strstr(replayer.request, "\r\n\r\n")) answer_request();
}

static void send_some(void) {
  size_t length = replayer.length - replayer.sent;
  if (length > BYTES_A_TURN) length = BYTES_A_TURN;
  ssize_t took = send(replayer.socket, replayer.script + replayer.sent, length, MSG_NOSIGNAL);
  replayer.sent += took > 0 ? (size_t)took : 0;
  if (took < 0 || replayer.sent == replayer.length) hang_up();
}

static void accept_one(void) {
  replayer.socket = accept4(scene.server.listener, NULL, NULL, SOCK_CLOEXEC);
  assert_true(replayer.socket >= 0);
  replayer.length = replayer.sent = replayer.request_length = 0;
}

static bool can_read(int socket) {
  struct pollfd one = {.fd = socket, .events = POLLIN};
  return poll(&one, 1, 0) > 0;
}

/* Whether the server had anything to do. */
static bool serve(void) {
  if (replayer.socket < 0 && can_read(scene.server.listener)) {
    accept_one();
    return true;
  }
  if (replayer.socket < 0) return false;
  if (replayer.sent < replayer.length) {
    send_some();
    return true;
  }
  if (!can_read(replayer.socket)) return false;
  read_request();
  return true;
}

/* ---- one run ----------------------------------------------------------------------------------------------------- */

/* Waits for what the client waits for. On loopback what is sent is there: when nothing can be read and no timer but the
 * watchdog is set, nothing will ever come. */
static void wait_for_client(void) {
  struct pollfd both[2] = {{.fd = sync_loop_fd(scene.loop), .events = POLLIN},
                           {.fd = scene.server.listener, .events = POLLIN}};
  int timeout_ms = sync_loop_timeout_ms(scene.loop);
  if (poll(both, 2, 0) > 0 || timeout_ms == 0) return;
  if (timeout_ms < 0 || timeout_ms > 10 * 60 * 1000) fail_msg("the client is stuck");
  (void)poll(both, 2, timeout_ms);
}

static void take_events(unsigned *last) {
  while (sync_client_next(scene.client, &scene.item)) {
    if (scene.item.kind == SYNC_ITEM_ASK) assert_int_equal(sync_client_answer(scene.client, NULL, 0, 0, NULL), SYNC_OK);
    if (scene.item.kind != SYNC_ITEM_EVENT) continue;
    sync_span id = sync_event_text(scene.item.event, SYNC_EVENT_ID);
    char expected[16];
    (void)snprintf(expected, sizeof expected, "%u", ++*last);
    check_span(id, expected);
  }
}

/* From a client that has subscribed to the last event. */
static void receive_everything(unsigned last) {
  replayer.socket = -1;
  while (last < EVENTS) {
    if (!serve()) wait_for_client();
    assert_int_equal(sync_loop_step(scene.loop, 0, 0), SYNC_OK);
    take_events(&last);
  }
  hang_up();
}

/* A loop, a client, a subscription; what cannot be made for want of memory is made again. */
static void begin(void) {
  sync_failure failure;
  while (!(scene.loop = sync_loop_new(&scene.memory.allocator))) continue;
  while (!(scene.client = sync_client_new(scene.loop, &scene.options, &failure)))
    assert_int_equal(failure.code, SYNC_NO_MEMORY);
  while (!sync_client_subscribe(scene.client, NULL)) continue;
}

static int set_up(void **state) {
  if (scene_set_up(state) != 0) return -1;
  sync_loop_free(scene.loop);
  scene.loop = NULL;
  return 0;
}

/* The whole life, once for each request that is refused, together with the `count` - 1 after it. */
static void live_without_the_nth_request(size_t count, unsigned last) {
  size_t nth = 1;
  do {
    size_t before = scene.memory.refused;
    counting_alloc_refuse(&scene.memory, nth, count);
    begin();
    receive_everything(last);
    sync_loop_free(scene.loop);
    scene.loop = NULL;
    counting_alloc_check(&scene.memory);
    if (scene.memory.refused == before) break;
  } while (++nth);
  assert_true(nth > 50);
}

static void one_refusal_anywhere_loses_nothing(void **state) {
  (void)state;
  live_without_the_nth_request(1, 0);
}

static void ten_refusals_in_a_row_anywhere_lose_nothing(void **state) {
  (void)state;
  live_without_the_nth_request(10, 0);
}

/* What was held back is handed on outside the socket's turn; it may fail there as well. */
static void nor_does_a_refusal_under_back_pressure(void **state) {
  (void)state;
  scene.options.queue_limit = 2;
  live_without_the_nth_request(1, 0);
  live_without_the_nth_request(3, 0);
}

/* Before the first event is kept, the id to resume from is the one that the host gave. */
static void nor_does_the_id_that_the_host_gave_get_lost(void **state) {
  (void)state;
  scene.options.last_event_id = "10";
  live_without_the_nth_request(1, 10);
}

/* ---- single calls ------------------------------------------------------------------------------------------------ */

/* `ask_headers`: the question itself can be lost; then the attempt has failed, and the next one asks again. */
static void a_question_that_cannot_be_asked_does_not_make_the_client_deaf(void **state) {
  (void)state;
  scene.options.ask_headers = true;
  scene.options.auto_connect = false;
  begin();
  counting_alloc_refuse(&scene.memory, 1, SIZE_MAX);
  assert_int_equal(sync_client_connect(scene.client), SYNC_OK);
  counting_alloc_allow(&scene.memory);
  scene_await(SYNC_ITEM_ASK);
  counting_alloc_refuse(&scene.memory, 1, SIZE_MAX);
  const sync_header header = {SPAN("A"), SPAN("b")};
  assert_int_equal(sync_client_answer(scene.client, &header, 1, 0, NULL), SYNC_NO_MEMORY);
  counting_alloc_allow(&scene.memory);
  assert_int_equal(sync_client_answer(scene.client, &header, 1, 0, NULL), SYNC_OK);
  receive_everything(0);
}

static void without_memory_for_new_options_the_old_ones_stay(void **state) {
  (void)state;
  sync_failure failure;
  sync_options other;
  scene.options.event_history_limit = 3;
  begin();
  receive_everything(0);
  other = scene.options;
  other.event_history_limit = 2;
  other.order_id = "other";
  other.headers = &(const sync_header){SPAN("A"), SPAN("b")};
  other.header_count = 1;
  for (size_t nth = 1;; nth++) {
    counting_alloc_refuse(&scene.memory, nth, 1);
    sync_code code = sync_client_configure(scene.client, &other, &failure);
    counting_alloc_allow(&scene.memory);
    if (code == SYNC_OK) break;
    assert_int_equal(code, SYNC_NO_MEMORY);
    assert_int_equal(failure.code, SYNC_NO_MEMORY);
    assert_non_null(sync_client_history(scene.client, 2));
  }
  assert_null(sync_client_history(scene.client, 2));
  assert_non_null(sync_client_history(scene.client, 1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, scene_tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(one_refusal_anywhere_loses_nothing),
      TEST(ten_refusals_in_a_row_anywhere_lose_nothing),
      TEST(nor_does_a_refusal_under_back_pressure),
      TEST(nor_does_the_id_that_the_host_gave_get_lost),
      TEST(a_question_that_cannot_be_asked_does_not_make_the_client_deaf),
      TEST(without_memory_for_new_options_the_old_ones_stay),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

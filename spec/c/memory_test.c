/*
 * memory_test.c - the Nth request for memory is refused, for every N until none is: no crash, no leak, and every event
 * arrives once and in order, because the client resumes behind what it has kept and the server honours Last-Event-ID.
 */
#include "client.h"
#include "replayer.h"

/* ---- one run ----------------------------------------------------------------------------------------------------- */

/* A stream that is open and has nothing to say is renewed. */
static bool renew(void) {
  struct sync_connection *connection = &scene.client->connection;
  if (!replayer.stays || connection->phase != SYNC_PHASE_OPEN || connection->renewal.phase != SYNC_RENEWAL_NONE)
    return false;
  connection->renewal.deadline_ms = 0;
  sync_client_set_timer(scene.client);
  return true;
}

/* Waits for what the client waits for. On loopback what is sent is there: when nothing can be read and no timer but the
 * watchdog is set, nothing will ever come. */
static void wait_for_client(void) {
  struct pollfd both[2] = {{.fd = sync_loop_fd(scene.loop), .events = POLLIN},
                           {.fd = scene.server.listener, .events = POLLIN}};
  int timeout_ms = sync_loop_timeout_ms(scene.loop);
  if (poll(both, 2, 0) > 0 || timeout_ms == 0 || renew()) return;
  if (timeout_ms < 0 || timeout_ms > 10 * 60 * 1000) fail_msg("the client is stuck");
  (void)poll(both, 2, timeout_ms);
}

static void answer(void) {
  const sync_header header = {SPAN("X-Token"), SPAN("token")};
  sync_code code;
  do {
    code = sync_client_answer(scene.client, &header, 1, 60 * 60 * 1000, NULL);
  } while (code == SYNC_NO_MEMORY);
  assert_int_equal(code, SYNC_OK);
}

static void take_events(unsigned *last) {
  while (sync_client_next(scene.client, &scene.item)) {
    if (scene.item.kind == SYNC_ITEM_ASK) answer();
    if (scene.item.kind != SYNC_ITEM_EVENT) continue;
    sync_span id = sync_event_text(scene.item.event, SYNC_EVENT_ID);
    char expected[16];
    (void)snprintf(expected, sizeof expected, "%u", ++*last);
    check_span(id, expected);
  }
}

/* From a client that has subscribed to the last event. */
static void receive_everything(unsigned last) {
  replayer_open();
  while (last < EVENTS) {
    if (!replayer_serve()) wait_for_client();
    assert_int_equal(sync_loop_step(scene.loop, 0, 0), SYNC_OK);
    take_events(&last);
  }
  replayer_close();
}

static sync_metrics metrics; /* of the last run */

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
  replayer.stays = replayer.moved = false;
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
    metrics = scene_metrics();
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

static void nor_does_one_on_the_way_of_a_redirect(void **state) {
  (void)state;
  replayer.moved = true;
  live_without_the_nth_request(1, 0);
  live_without_the_nth_request(10, 0);
}

/* What the old stream brings while the new one is opened comes from that again: it must neither be lost nor come twice,
 * whichever of the two is given up for want of memory. */
static void nor_does_one_in_a_renewal(void **state) {
  (void)state;
  replayer.stays = true;
  scene.options.ask_headers = true;
  live_without_the_nth_request(1, 0);
  live_without_the_nth_request(10, 0);
  assert_int_equal(metrics.renewals, 2);
  assert_int_equal(metrics.total_connections, 1);
  replayer.moved = true;
  live_without_the_nth_request(1, 0);
  assert_int_equal(metrics.renewals, 2);
}

static void nor_does_one_in_a_renewal_under_back_pressure(void **state) {
  (void)state;
  replayer.stays = true;
  scene.options.ask_headers = true;
  scene.options.queue_limit = 2;
  live_without_the_nth_request(1, 0);
  live_without_the_nth_request(3, 0);
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
      TEST(nor_does_one_on_the_way_of_a_redirect),
      TEST(nor_does_one_in_a_renewal),
      TEST(nor_does_one_in_a_renewal_under_back_pressure),
      TEST(a_question_that_cannot_be_asked_does_not_make_the_client_deaf),
      TEST(without_memory_for_new_options_the_old_ones_stay),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

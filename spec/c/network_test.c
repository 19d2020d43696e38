/* network_test.c - connections that may be dead, whatever the client was doing: the host says that the network changed,
 * or the machine has slept. */
#include "client.h"
#include "scene.h"

#define DAY_MS (24 * 60 * 60 * 1000)

static void change_network(void) {
  assert_int_equal(sync_client_network_changed(scene.client), SYNC_OK);
}

/* A sleep of an hour, as the two clocks show it. */
static void fall_asleep(void) {
  assert_true(scene.loop->sleep.begun);
  scene.loop->sleep.ahead_ms -= 60 * 60 * 1000;
}

/* The next connection is opened, a stream comes over it. */
static void check_opened(void) {
  scene_serve();
  scene_await_state(SYNC_CONNECTED);
  scene_send_event(9);
  scene_await_event("9");
  loopback_hang_up(&scene.stream);
}

/* Nothing is under way, and nothing is planned. */
static void check_quiet(sync_state state) {
  while (sync_client_next(scene.client, &scene.item)) continue;
  for (int i = 0; i < 3; i++) assert_int_equal(sync_loop_step(scene.loop, 0, 0), SYNC_OK); /* what is closing closes */
  assert_int_equal(sync_client_state(scene.client), state);
  assert_int_equal(sync_loop_step(scene.loop, -1, 0), SYNC_CLOSED);
}

/* ---- the network ------------------------------------------------------------------------------------------------- */

static void an_open_stream_is_told_dropped_and_opened_anew(void **state) {
  (void)state;
  scene_open();
  scene_send_event(1);
  scene_await_event("1");
  change_network();
  loopback_await_end(scene.loop, &scene.stream);
  scene_await_failure(SYNC_NETWORK_CHANGED);
  assert_true(scene.item.failure->retryable);
  assert_true(scene.item.failure->next_retry_at_ms > 0);
  scene_await_state(SYNC_RECONNECTING);
  scene_serve();
  assert_true(loopback_asked(&scene.stream, "Last-Event-ID: 1"));
  scene_await_state(SYNC_CONNECTED);
  loopback_hang_up(&scene.stream);
}

static void a_request_under_way_is_made_anew_and_no_failure(void **state) {
  (void)state;
  scene_connect();
  scene_accept();
  change_network();
  loopback_await_end(scene.loop, &scene.stream);
  check_opened();
  assert_int_equal(scene_metrics().failures, 0);
}

static void a_question_under_way_is_asked_anew_and_answered_once(void **state) {
  (void)state;
  scene.options.ask_headers = true;
  scene_connect();
  scene_await(SYNC_ITEM_ASK);
  change_network();
  assert_int_equal(sync_client_answer(scene.client, NULL, 0, 0, NULL), SYNC_OK);
  check_opened();
  assert_int_equal(scene_metrics().total_connections, 1);
}

static void who_waits_waits_no_longer(void **state) {
  (void)state;
  scene.options.reconnect_delay_ms = scene.options.max_reconnect_delay_ms = DAY_MS;
  scene_connect();
  scene_accept();
  scene_send("HTTP/1.1 503 Busy\r\nRetry-After: 86400\r\nContent-Length: 0\r\n\r\n");
  scene_await_failure(SYNC_HTTP_STATUS);
  loopback_hang_up(&scene.stream);
  change_network();
  check_opened();
}

/* Perhaps it was another network's login page that answered. */
static void who_had_given_up_tries_again(void **state) {
  (void)state;
  scene_connect();
  scene_accept();
  scene_send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n");
  scene_await_failure(SYNC_CONTENT_TYPE);
  loopback_hang_up(&scene.stream);
  check_quiet(SYNC_ERROR);
  change_network();
  check_opened();
}

static void who_was_told_to_stay_away_does(void **state) {
  (void)state;
  scene.options.auto_connect = false;
  scene_connect();
  change_network();
  check_quiet(SYNC_DISCONNECTED);
  assert_int_equal(sync_client_connect(scene.client), SYNC_OK);
  scene_accept();
  assert_int_equal(sync_client_disconnect(scene.client), SYNC_OK);
  loopback_await_end(scene.loop, &scene.stream);
  change_network();
  check_quiet(SYNC_DISCONNECTED);
}

/* A connection that is kept open between requests may lead nowhere now. */
static void the_next_request_has_a_connection_of_its_own(void **state) {
  (void)state;
  static const char busy[] = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
  struct loopback_stream kept;
  scene.options.max_reconnect_attempts = 100;
  scene_connect();
  loopback_accept(&scene.server, scene.loop, &kept);
  loopback_send(&kept, busy);
  kept.length = 0;
  kept.request[0] = '\0';
  loopback_read_until(scene.loop, &kept, "\r\n\r\n"); /* the next attempt comes over the same one */
  change_network();
  check_opened(); /* and this one over another */
  close(kept.socket);
}

static void it_may_change_while_there_is_no_memory(void **state) {
  (void)state;
  scene_open();
  counting_alloc_refuse(&scene.memory, 1, SIZE_MAX);
  change_network();
  counting_alloc_allow(&scene.memory);
  loopback_await_end(scene.loop, &scene.stream);
  check_opened();
}

/* ---- sleep ------------------------------------------------------------------------------------------------------- */

static void after_sleep_open_streams_are_opened_anew_at_once(void **state) {
  (void)state;
  scene_open();
  sync_client *first = scene.client;
  struct loopback_stream its_stream = scene.stream;
  scene_open();
  fall_asleep();
  loopback_await_end(scene.loop, &its_stream);
  loopback_await_end(scene.loop, &scene.stream);
  scene_await_failure(SYNC_SLEPT);
  const char *slept = strstr(scene.item.failure->message, "jumped ");
  assert_non_null(slept);
  assert_in_range(strtol(slept + strlen("jumped "), NULL, 10), 59 * 60 * 1000,
                  61 * 60 * 1000); /* two clocks are read */
  scene.client = first;
  scene_await_failure(SYNC_SLEPT);
}

static void after_sleep_a_wait_is_over(void **state) {
  (void)state;
  scene.options.reconnect_delay_ms = scene.options.max_reconnect_delay_ms = DAY_MS;
  scene_open();
  scene_send("retry: 3000000\n\n");
  loopback_hang_up(&scene.stream);
  scene_await_state(SYNC_RECONNECTING);
  fall_asleep();
  check_opened();
}

static void sleep_does_not_revive_who_had_given_up(void **state) {
  (void)state;
  scene_connect();
  scene_accept();
  scene_send("HTTP/1.1 204 Away\r\n\r\n");
  scene_await_state(SYNC_ERROR);
  loopback_hang_up(&scene.stream);
  fall_asleep();
  check_quiet(SYNC_ERROR);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(an_open_stream_is_told_dropped_and_opened_anew),
      TEST(a_request_under_way_is_made_anew_and_no_failure),
      TEST(a_question_under_way_is_asked_anew_and_answered_once),
      TEST(who_waits_waits_no_longer),
      TEST(who_had_given_up_tries_again),
      TEST(who_was_told_to_stay_away_does),
      TEST(the_next_request_has_a_connection_of_its_own),
      TEST(it_may_change_while_there_is_no_memory),
      TEST(after_sleep_open_streams_are_opened_anew_at_once),
      TEST(after_sleep_a_wait_is_over),
      TEST(sleep_does_not_revive_who_had_given_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

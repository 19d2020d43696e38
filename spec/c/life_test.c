/* life_test.c - clients and loops that end, fork, run beside each other, are asked and configured, at every moment. */
#include "scene.h"

#include <pthread.h>
#include <sys/wait.h>

#include "client.h"

/* ---- closing at every point -------------------------------------------------------------------------------------- */

/* Ends the client, and then what it had begun is over on the server too. */
static void close_client(void) {
  sync_client_free(scene.client);
  assert_ptr_not_equal(sync_loop_ready(scene.loop), scene.client);
  assert_int_equal(sync_loop_step(scene.loop, 0, 0), SYNC_OK);
}

static void closing_before_the_first_step(void **state) {
  (void)state;
  scene_connect();
  close_client();
}

static void closing_while_it_waits_for_the_response(void **state) {
  (void)state;
  scene_connect();
  scene_accept();
  close_client();
  loopback_await_end(scene.loop, &scene.stream);
}

static void closing_in_the_middle_of_a_head_and_of_an_event(void **state) {
  (void)state;
  scene_connect();
  scene_accept();
  scene_send("HTTP/1.1 200 OK\r\nContent-Ty");
  for (int i = 0; i < 10; i++) assert_int_equal(sync_loop_step(scene.loop, 0, 0), SYNC_OK);
  close_client();
  loopback_await_end(scene.loop, &scene.stream);
  scene_open();
  scene_send("id: 1\ndata: {\"half");
  while (scene_metrics().total_bytes == 0) scene_step();
  close_client();
  loopback_await_end(scene.loop, &scene.stream);
}

static void closing_with_items_left_and_one_taken(void **state) {
  (void)state;
  scene_open();
  for (unsigned id = 1; id <= 5; id++) scene_send_event(id);
  scene_await_event("1");
  assert_int_equal(sync_client_subscriber(scene.client), 1);
  close_client();
  loopback_await_end(scene.loop, &scene.stream);
}

static void closing_while_it_backs_off(void **state) {
  (void)state;
  scene.options.reconnect_delay_ms = scene.options.max_reconnect_delay_ms = 24 * 60 * 60 * 1000;
  scene_open();
  loopback_hang_up(&scene.stream);
  scene_await_state(SYNC_RECONNECTING);
  close_client();
}

static void closing_one_of_many_leaves_the_others(void **state) {
  (void)state;
  scene_open();
  sync_client *other = scene.client;
  struct loopback_stream its_stream = scene.stream;
  scene_open();
  close_client();
  loopback_await_end(scene.loop, &scene.stream);
  scene.client = other;
  scene.stream = its_stream;
  scene_send_event(1);
  scene_await_event("1");
  loopback_hang_up(&scene.stream);
}

static void null_is_free_to_close(void **state) {
  (void)state;
  sync_client_free(NULL);
  sync_loop_free(NULL);
}

/* ---- what the host wants ----------------------------------------------------------------------------------------- */

static void a_client_connects_when_it_is_told_to(void **state) {
  (void)state;
  scene.options.auto_connect = false;
  scene_connect();
  assert_int_equal(sync_client_state(scene.client), SYNC_DISCONNECTED);
  assert_int_equal(sync_loop_step(scene.loop, -1, 0), SYNC_CLOSED); /* the wait would never end */
  assert_int_equal(sync_client_connect(scene.client), SYNC_OK);
  scene_serve();
  scene_await_state(SYNC_CONNECTED);
  scene_send_event(1);
  while (scene_metrics().total_events == 0) scene_step();
  assert_int_equal(sync_client_disconnect(scene.client), SYNC_OK);
  loopback_await_end(scene.loop, &scene.stream);
  scene_await_event("1"); /* what had come can still be taken */
  scene_await_state(SYNC_DISCONNECTED);
  assert_int_equal(sync_client_connect(scene.client), SYNC_OK);
  scene_serve();
  assert_true(loopback_asked(&scene.stream, "Last-Event-ID: 1"));
  loopback_hang_up(&scene.stream);
}

static void headers_are_asked_for_before_each_connect(void **state) {
  (void)state;
  const sync_header header = {SPAN("Authorization"), SPAN("Bearer 1")}, bad = {SPAN("A"), SPAN("\r")};
  scene.options.ask_headers = true;
  scene_connect();
  scene_await(SYNC_ITEM_ASK);
  assert_int_equal(sync_client_refuse(scene.client, "no token today"), SYNC_OK);
  scene_await_failure(SYNC_CREDENTIALS);
  assert_string_equal(scene.item.failure->message, "no token today");
  scene_await(SYNC_ITEM_ASK);
  assert_int_equal(sync_client_answer(scene.client, &bad, 1, 0, NULL), SYNC_HEADER);
  assert_int_equal(sync_client_answer(scene.client, &header, 1, 0, NULL), SYNC_OK);
  scene_serve();
  assert_true(loopback_asked(&scene.stream, "Authorization: Bearer 1"));
  loopback_hang_up(&scene.stream);
  scene_await(SYNC_ITEM_ASK);
  assert_int_equal(sync_client_answer(scene.client, NULL, 0, 0, NULL), SYNC_OK);
  scene_accept();
  assert_null(strstr(scene.stream.request, "Authorization"));
  loopback_hang_up(&scene.stream);
}

/* ---- configure --------------------------------------------------------------------------------------------------- */

static void another_filter_reconnects_and_resumes(void **state) {
  (void)state;
  scene_open();
  scene_send_event(1);
  scene_await_event("1");
  scene.options.order_id = "ORDER-2";
  assert_int_equal(sync_client_configure(scene.client, &scene.options, NULL), SYNC_OK);
  loopback_await_end(scene.loop, &scene.stream);
  scene_serve();
  assert_non_null(strstr(scene.stream.request, "orderID=ORDER-2"));
  assert_true(loopback_asked(&scene.stream, "Last-Event-ID: 1"));
  loopback_hang_up(&scene.stream);
}

static void another_url_starts_afresh(void **state) {
  (void)state;
  char url[80];
  scene_open();
  scene_send_event(1);
  scene_await_event("1");
  (void)snprintf(url, sizeof url, "%s/elsewhere", scene.server.url);
  scene.options.url = url;
  assert_int_equal(sync_client_configure(scene.client, &scene.options, NULL), SYNC_OK);
  loopback_await_end(scene.loop, &scene.stream);
  scene_serve();
  assert_int_equal(strncmp(scene.stream.request, "GET /elsewhere ", 15), 0);
  assert_null(strstr(scene.stream.request, "Last-Event-ID"));
  loopback_hang_up(&scene.stream);
}

static void what_is_ours_alone_changes_under_an_open_stream(void **state) {
  (void)state;
  scene_open();
  scene_send_event(1);
  scene_await_event("1");
  scene.options.event_history_limit = 0;
  scene.options.field_order_id = "ticket";
  assert_int_equal(sync_client_configure(scene.client, &scene.options, NULL), SYNC_OK);
  assert_int_equal(sync_client_state(scene.client), SYNC_CONNECTED);
  assert_null(sync_client_history(scene.client, 0));
  scene_send("id: 2\ndata: {\"orderID\":\"no\",\"ticket\":\"yes\"}\n\n");
  scene_await_event("2");
  check_span(sync_event_text(scene.item.event, SYNC_EVENT_ORDER_ID), "yes");
  loopback_hang_up(&scene.stream);
}

static void options_that_cannot_be_change_nothing(void **state) {
  (void)state;
  sync_failure failure;
  scene_open();
  scene.options.queue_limit = 0;
  scene.options.order_id = "other";
  assert_int_equal(sync_client_configure(scene.client, &scene.options, &failure), SYNC_OPTION);
  assert_int_equal(failure.code, SYNC_OPTION);
  scene_send_event(1);
  scene_await_event("1");
  loopback_hang_up(&scene.stream);
}

/* A watchdog that was set for an hour must not sleep on when a second is wanted. */
static void a_shorter_idle_timeout_is_in_force_at_once(void **state) {
  (void)state;
  scene_open();
  scene.options.idle_timeout_ms = 1;
  assert_int_equal(sync_client_configure(scene.client, &scene.options, NULL), SYNC_OK);
  const struct sync_connection *connection = &scene.client->connection;
  assert_true(sync_connection_deadline_ms(connection) <= connection->heard_at_ms + 1);
  loopback_hang_up(&scene.stream);
}

/* ---- health ------------------------------------------------------------------------------------------------------ */

static void health_follows_the_stream(void **state) {
  (void)state;
  scene_connect();
  assert_int_equal(scene_health().data_age_ms, -1);
  assert_int_equal(scene_health().uptime_ms, 0);
  scene_serve();
  scene_await_state(SYNC_CONNECTED);
  scene_send_event(1);
  scene_await_event("1");
  assert_int_equal(scene_health().state, SYNC_CONNECTED);
  assert_int_equal(scene_health().total_events, 1);
  assert_true(scene_health().data_age_ms >= 0 && scene_health().uptime_ms >= scene_health().data_age_ms);
  assert_true(scene_health().last_connected_at_ms > 0);
  assert_int_equal(scene_health().next_retry_at_ms, 0);
  check_span(scene_health().last_event_id, "1");
  loopback_hang_up(&scene.stream);
  scene_await_state(SYNC_RECONNECTING);
  assert_int_equal(scene_health().last_failure.code, SYNC_STREAM_ENDED);
  scene_serve();
  scene_await_state(SYNC_CONNECTED);
  assert_int_equal(scene_health().last_failure.code, SYNC_OK);
  assert_int_equal(scene_health().total_reconnects, 1);
  loopback_hang_up(&scene.stream);
}

/* A client that waits a day for its next attempt. */
static void back_off_for_long(void) {
  scene.options.reconnect_delay_ms = scene.options.max_reconnect_delay_ms = 24 * 60 * 60 * 1000;
  scene_open();
  scene_send("retry: 3000000\n\n");
  loopback_hang_up(&scene.stream);
  scene_await_state(SYNC_RECONNECTING);
}

/* The time is a time, not a distance: it stays where it is while the loop is not turned. */
static void the_time_of_the_next_attempt_stands_still(void **state) {
  (void)state;
  back_off_for_long();
  const int64_t retry_at_ms = scene_health().next_retry_at_ms;
  const int64_t later_ms = sync_loop_clock_ms(scene.loop) + 100;
  while (sync_loop_clock_ms(scene.loop) < later_ms) continue;
  int64_t difference_ms =
      INT64_MAX; /* the least of many: between two looks at two clocks the machine may do other things */
  for (int i = 0; i < 100; i++) {
    int64_t now_ms = scene_health().next_retry_at_ms - retry_at_ms;
    if (now_ms < difference_ms) difference_ms = now_ms;
  }
  assert_in_range(difference_ms + 50, 0, 100);
}

/* A host that takes items from its client and then waits for the descriptor, as the head of sync.h shows it. */
static void the_next_attempt_shows_through_the_descriptor(void **state) {
  (void)state;
  back_off_for_long();
  while (sync_client_next(scene.client, &scene.item)) continue;
  assert_true(scene.loop->timer_armed_ms > 0);
}

/* A descriptor that stays readable, or a timeout of nothing, would keep the host's processor busy for ever. */
static void a_loop_with_nothing_to_do_is_quiet(void **state) {
  (void)state;
  struct pollfd descriptor = {.fd = sync_loop_fd(scene.loop), .events = POLLIN};
  scene_open();
  assert_int_equal(sync_client_disconnect(scene.client), SYNC_OK);
  loopback_await_end(scene.loop, &scene.stream);
  while (sync_client_next(scene.client, &scene.item)) continue;
  for (int i = 0; i < 3; i++) assert_int_equal(sync_loop_step(scene.loop, 0, 0), SYNC_OK); /* what is closing closes */
  assert_int_equal(sync_loop_timeout_ms(scene.loop), -1);
  assert_int_equal(poll(&descriptor, 1, 0), 0);
}

/* ---- beside each other ------------------------------------------------------------------------------------------- */

/* In a child of fork(): whether every call does nothing. The parent's clients must not be touched. */
static int child_wrongs(void) {
  sync_failure failure = {.code = SYNC_OK};
  int wrongs = 0;
  wrongs += sync_loop_step(scene.loop, 0, 0) != SYNC_FORKED;
  wrongs += sync_loop_step(scene.loop, -1, 0) != SYNC_FORKED;
  wrongs += sync_loop_timeout_ms(scene.loop) != -1;
  wrongs += sync_loop_ready(scene.loop) != NULL;
  wrongs += sync_client_next(scene.client, &scene.item);
  wrongs += sync_client_connect(scene.client) != SYNC_FORKED;
  wrongs += sync_client_disconnect(scene.client) != SYNC_FORKED;
  wrongs += sync_client_reconnect(scene.client) != SYNC_FORKED;
  wrongs += sync_client_network_changed(scene.client) != SYNC_FORKED;
  wrongs += sync_client_answer(scene.client, NULL, 0, 0, &failure) != SYNC_FORKED;
  wrongs += sync_client_refuse(scene.client, "no") != SYNC_FORKED;
  wrongs += sync_client_configure(scene.client, &scene.options, &failure) != SYNC_FORKED;
  wrongs += failure.code != SYNC_FORKED;
  wrongs += sync_client_new(scene.loop, &scene.options, &failure) != NULL;
  wrongs += sync_client_subscribe(scene.client, NULL) != 0;
  sync_client_free(scene.client);
  sync_loop_free(scene.loop);
  sync_loop *own = sync_loop_new(NULL); /* a loop of the child's own works */
  wrongs += !own || sync_loop_step(own, 0, 0) != SYNC_OK;
  sync_loop_free(own);
  return wrongs;
}

static void in_a_child_nothing_happens_and_the_parent_goes_on(void **state) {
  (void)state;
  scene_open();
  scene_send_event(1);
  scene_send_event(2);
  scene_await_event("1");
  pid_t child = fork();
  if (child == 0) _exit(child_wrongs());
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  scene_await_event("2");
  scene_send_event(3);
  scene_await_event("3");
  loopback_hang_up(&scene.stream);
}

/* Ends the step that the parent had begun, with an event left over: in the parent that sets the timer. */
static int end_step(void) {
  while (!sync_loop_spent(scene.loop)) continue;
  return 0;
}

static void a_child_leaves_the_timer_alone_that_it_shares(void **state) {
  (void)state;
  uint64_t expirations;
  int status;
  scene_open();
  scene_send_event(1);
  scene_send_event(2);
  scene_await_event("1");
  assert_int_equal(sync_loop_step(scene.loop, 0, 1), SYNC_OK);
  (void)read(scene.loop->timer_fd, &expirations, sizeof expirations);
  pid_t child = fork();
  if (child == 0) _exit(end_step());
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(read(scene.loop->timer_fd, &expirations, sizeof expirations), -1); /* it has not been set off */
  scene_await_event("2");
  loopback_hang_up(&scene.stream);
}

/* One thread's own loop, client and server: events through, and everything ended. */
static void *run_alone(void *arg) {
  struct loopback server;
  struct loopback_stream stream;
  sync_options options;
  sync_item item;
  size_t *events = arg;
  char text[256];
  loopback_open(&server);
  sync_options_init(&options);
  options.url = server.url;
  sync_loop *loop = sync_loop_new(NULL);
  sync_client *client = sync_client_new(loop, &options, NULL);
  sync_client_subscribe(client, NULL);
  loopback_accept(&server, loop, &stream);
  loopback_send(&stream, LOOPBACK_STREAM_HEAD);
  for (unsigned id = 1; id <= 1000; id++) {
    (void)scene_write_event(text, sizeof text, id);
    loopback_send(&stream, text);
    while (sync_client_next(client, &item)) *events += item.kind == SYNC_ITEM_EVENT;
    if (id % 10 == 0) (void)sync_loop_step(loop, 0, 0);
  }
  while (*events < 1000 && sync_loop_step(loop, -1, 0) == SYNC_OK)
    while (sync_client_next(client, &item)) *events += item.kind == SYNC_ITEM_EVENT;
  sync_loop_free(loop);
  loopback_hang_up(&stream);
  loopback_close(&server);
  return NULL;
}

static void loops_of_two_threads_do_not_meet(void **state) {
  (void)state;
  pthread_t threads[2];
  size_t events[2] = {0, 0};
  for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, run_alone, &events[i]), 0);
  for (int i = 0; i < 2; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
  for (int i = 0; i < 2; i++) assert_int_equal(events[i], 1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(closing_before_the_first_step),
      TEST(closing_while_it_waits_for_the_response),
      TEST(closing_in_the_middle_of_a_head_and_of_an_event),
      TEST(closing_with_items_left_and_one_taken),
      TEST(closing_while_it_backs_off),
      TEST(closing_one_of_many_leaves_the_others),
      TEST(null_is_free_to_close),
      TEST(a_client_connects_when_it_is_told_to),
      TEST(headers_are_asked_for_before_each_connect),
      TEST(another_filter_reconnects_and_resumes),
      TEST(another_url_starts_afresh),
      TEST(what_is_ours_alone_changes_under_an_open_stream),
      TEST(options_that_cannot_be_change_nothing),
      TEST(a_shorter_idle_timeout_is_in_force_at_once),
      TEST(health_follows_the_stream),
      TEST(the_time_of_the_next_attempt_stands_still),
      TEST(the_next_attempt_shows_through_the_descriptor),
      TEST(a_loop_with_nothing_to_do_is_quiet),
      TEST(in_a_child_nothing_happens_and_the_parent_goes_on),
      TEST(a_child_leaves_the_timer_alone_that_it_shares),
      TEST(loops_of_two_threads_do_not_meet),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

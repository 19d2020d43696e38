/* pressure_test.c - more than the host takes: limits, pauses, budgets, and that nothing is lost by them. */
#include "scene.h"

#include <fcntl.h>

#include "client.h"

#define EVENTS 500u

static void send_events(unsigned count) {
  for (unsigned id = 1; id <= count; id++) scene_send_event(id);
}

static void await_events(unsigned first, unsigned last) {
  char id[16];
  for (unsigned i = first; i <= last; i++) {
    (void)snprintf(id, sizeof id, "%u", i);
    scene_await_event(id);
  }
}

static void a_full_queue_pauses_the_stream_and_loses_nothing(void **state) {
  (void)state;
  scene.options.queue_limit = 3;
  scene_open();
  send_events(EVENTS);
  while (scene_metrics().pauses == 0) scene_step();
  for (int i = 0; i < 100; i++) scene_step(); /* the host looks elsewhere */
  assert_int_equal(scene_metrics().queue_depth, 3);
  await_events(1, EVENTS);
  assert_in_range(scene_metrics().queue_peak, 3, 4); /* and the change of state */
  scene_send_event(EVENTS + 1);
  await_events(EVENTS + 1, EVENTS + 1);
  loopback_hang_up(&scene.stream);
}

static void a_paused_stream_that_is_cut_gives_what_had_come(void **state) {
  (void)state;
  scene.options.queue_limit = 2;
  scene_open();
  send_events(50);
  loopback_hang_up(&scene.stream);
  await_events(1, 50);
  scene_await_failure(SYNC_STREAM_ENDED);
}

/* What does not fit stays in the kernel, and then on the server: the client does not grow. */
static void a_host_that_takes_nothing_stops_the_server(void **state) {
  (void)state;
  static char events[8192];
  size_t length = 0, sent_bytes = 0, before_bytes, live;
  scene.options.queue_limit = 10;
  scene.options.duplicate_window = 0; /* the same forty over and over */
  scene_open();
  for (unsigned id = 1; id <= 40; id++) length += scene_write_event(events + length, sizeof events - length, id);
  assert_int_equal(fcntl(scene.stream.socket, F_SETFL, O_NONBLOCK), 0);
  do { /* until a step makes no more room */
    before_bytes = sent_bytes;
    live = scene.memory.live;
    size_t at = sent_bytes % length;
    for (ssize_t took; (took = send(scene.stream.socket, events + at, length - at, MSG_NOSIGNAL)) > 0;) {
      sent_bytes += (size_t)took;
      at = sent_bytes % length;
    }
    assert_int_equal(errno, EAGAIN);
    scene_step();
  } while (sent_bytes > before_bytes || scene_metrics().pauses == 0);
  assert_in_range(scene_metrics().queue_depth, 10, 11);
  assert_int_equal(scene.memory.live, live);
  loopback_hang_up(&scene.stream);
  for (size_t id = 0; id < sent_bytes / length * 40; id++) {
    scene_await(SYNC_ITEM_EVENT);
    assert_int_equal(sync_event_seq(scene.item.event), id + 1);
  }
}

static void a_client_is_closed_while_its_stream_is_paused(void **state) {
  (void)state;
  scene.options.queue_limit = 1;
  scene_open();
  send_events(10);
  while (scene_metrics().pauses == 0) scene_step();
  sync_client_free(scene.client);
  loopback_await_end(scene.loop, &scene.stream);
  assert_int_equal(sync_loop_step(scene.loop, 0, 0), SYNC_OK);
  assert_null(sync_loop_ready(scene.loop));
}

static void a_paused_stream_can_be_reopened(void **state) {
  (void)state;
  scene.options.queue_limit = 1;
  scene_open();
  send_events(10);
  while (scene_metrics().pauses == 0) scene_step();
  assert_int_equal(sync_client_reconnect(scene.client), SYNC_OK);
  loopback_hang_up(&scene.stream);
  scene_serve();
  assert_true(loopback_asked(&scene.stream, "Last-Event-ID: 1"));
  for (unsigned id = 2; id <= 10; id++) scene_send_event(id);
  await_events(1, 10);
  loopback_hang_up(&scene.stream);
}

/* Steps with the smallest budget there is: each of them must get something done, or a busy machine makes a deaf client.
 */
static void the_smallest_budget_makes_progress(void **state) {
  (void)state;
  unsigned taken = 0, steps = 0;
  scene_open();
  send_events(EVENTS);
  for (; taken < EVENTS && steps < 10 * EVENTS; steps++) {
    assert_int_equal(sync_loop_step(scene.loop, 0, 1), SYNC_OK);
    while (sync_client_next(scene.client, &scene.item)) {
      if (scene.item.kind != SYNC_ITEM_EVENT) continue;
      assert_int_equal(sync_event_seq(scene.item.event), ++taken);
    }
  }
  assert_int_equal(taken, EVENTS);
  loopback_hang_up(&scene.stream);
}

/* A step that waited for the network has not spent its budget on what then arrives. */
static void waiting_does_not_use_the_budget_up(void **state) {
  (void)state;
  scene_open();
  while (sync_client_next(scene.client, &scene.item)) continue;
  scene_send_event(1);
  assert_int_equal(sync_loop_step(scene.loop, -1, 1), SYNC_OK);
  assert_true(sync_client_next(scene.client, &scene.item));
  assert_int_equal(scene.item.kind, SYNC_ITEM_EVENT);
  loopback_hang_up(&scene.stream);
}

static void a_budget_ends_a_step_before_everything_is_done(void **state) {
  (void)state;
  static char events[60000];
  size_t length = 0;
  scene_open();
  for (unsigned id = 1; id <= EVENTS; id++) length += scene_write_event(events + length, sizeof events - length, id);
  scene_send(events);
  unsigned steps = 0, taken = 0;
  for (; taken < EVENTS; steps++) {
    assert_int_equal(sync_loop_step(scene.loop, -1, 1), SYNC_OK);
    assert_int_equal(sync_loop_timeout_ms(scene.loop), 0); /* there is more: events to take, bytes to read */
    while (!sync_loop_spent(scene.loop) && sync_client_next(scene.client, &scene.item))
      if (scene.item.kind == SYNC_ITEM_EVENT) assert_int_equal(sync_event_seq(scene.item.event), ++taken);
  }
  assert_in_range(steps, 5, 10 * EVENTS);
  assert_true(scene_metrics().pauses > 0);
  loopback_hang_up(&scene.stream);
}

/* As if the host had not turned the loop for twice the idle timeout: everything that was timed lies back by as much. */
static void be_absent(void) {
  static const int64_t idle_timeout_ms = 10000, absence_ms = 20000;
  struct sync_connection *connection = &scene.client->connection;
  connection->config.idle_timeout_ms = idle_timeout_ms;
  scene.loop->uv.time -= (uint64_t)absence_ms;
  connection->opened_at_ms -= absence_ms;
  connection->heard_at_ms -= absence_ms;
  connection->deadline_ms = connection->heard_at_ms + idle_timeout_ms;
  sync_client_set_timer(scene.client);
}

/* A stream that is paused is not silent: its bytes wait, and time spent elsewhere is the host's. */
static void a_paused_stream_is_not_dead_after_a_long_absence_of_the_host(void **state) {
  (void)state;
  scene.options.queue_limit = 1;
  scene_open();
  send_events(3);
  while (scene_metrics().pauses == 0) scene_step();
  be_absent();
  await_events(1, 3);
  assert_int_equal(sync_client_state(scene.client), SYNC_CONNECTED);
  assert_int_equal(scene_metrics().failures, 0);
  loopback_hang_up(&scene.stream);
}

static void bytes_that_wait_are_read_before_the_stream_counts_as_dead(void **state) {
  (void)state;
  scene_open();
  send_events(3);
  be_absent();
  await_events(1, 3);
  assert_int_equal(sync_client_state(scene.client), SYNC_CONNECTED);
  assert_int_equal(scene_metrics().failures, 0);
  loopback_hang_up(&scene.stream);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(a_full_queue_pauses_the_stream_and_loses_nothing),
      TEST(a_paused_stream_that_is_cut_gives_what_had_come),
      TEST(a_host_that_takes_nothing_stops_the_server),
      TEST(a_client_is_closed_while_its_stream_is_paused),
      TEST(a_paused_stream_can_be_reopened),
      TEST(the_smallest_budget_makes_progress),
      TEST(waiting_does_not_use_the_budget_up),
      TEST(a_budget_ends_a_step_before_everything_is_done),
      TEST(a_paused_stream_is_not_dead_after_a_long_absence_of_the_host),
      TEST(bytes_that_wait_are_read_before_the_stream_counts_as_dead),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

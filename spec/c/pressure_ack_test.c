/*
 * pressure_ack_test.c - a host that waits for the loop's descriptor, and acknowledges at its leisure: an ack that makes
 * room for a stream that waits for some shows there.
 */
#include <poll.h>
#include <stdbool.h>

#include "folder.h"
#include "scene.h"

#define LIMIT 4u

static int set_up(void **state) {
  static char path[1024];
  folder_make();
  (void)snprintf(path, sizeof path, "%s", folder_path("orders.db"));
  int result = scene_set_up(state);
  scene.options.journal_path = path;
  scene.options.manual_ack = true;
  scene.options.queue_limit = LIMIT;
  return result;
}

static int tear_down(void **state) {
  scene_tear_down(state);
  folder_remove();
  return 0;
}

/* Takes what there is, until so many events wait for an ack and no more come. */
static void fill_up(unsigned events) {
  char text[8192];
  size_t length = 0;
  for (unsigned id = 1; id <= events; id++) length += scene_write_event(text + length, sizeof text - length, id);
  scene_send(text);
  while (scene_health().waiting_for_ack < LIMIT || scene_metrics().pauses == 0) {
    scene_step();
    while (sync_client_next(scene.client, &scene.item)) continue;
  }
}

static void an_ack_that_makes_room_shows_through_the_descriptor(void **state) {
  (void)state;
  struct pollfd descriptor = {.events = POLLIN};
  scene_open();
  fill_up(6 * LIMIT);
  unsigned waiting = (unsigned)scene_health().waiting_for_ack;
  assert_in_range(waiting, LIMIT, 2 * LIMIT);
  for (uint64_t seq = 1; seq <= waiting; seq++) assert_int_equal(sync_client_ack(scene.client, seq), SYNC_OK);
  descriptor.fd = sync_loop_fd(scene.loop);
  assert_int_equal(poll(&descriptor, 1, 60000), 1); /* nothing else would end it: it is over at once, or broken */
  while (scene_health().waiting_for_ack == 0) {
    scene_step();
    while (sync_client_next(scene.client, &scene.item)) continue;
  }
  assert_int_equal(sync_event_seq(sync_client_history(scene.client, 0)) > waiting, 1);
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(an_ack_that_makes_room_shows_through_the_descriptor, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

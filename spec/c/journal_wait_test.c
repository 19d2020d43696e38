/*
 * journal_wait_test.c - a journal whose disk failed, in a loop that waits: it is tried again in its time, and nothing
 * turns until then.
 */
#include <stdbool.h>
#include <sys/stat.h>

#include "client.h"
#include "folder.h"
#include "scene.h"

/* A wait with one timer in it takes a few. */
#define TURNS_MOST 1000u

static uv_prepare_t each_turn; /* the loop has it until it ends */
static unsigned turns;

static int set_up(void **state) {
  static char path[1024];
  folder_make();
  (void)snprintf(path, sizeof path, "%s", folder_path("later/orders.db"));
  int result = scene_set_up(state);
  scene.options.journal_path = path;
  scene.options.auto_connect = false;
  return result;
}

static int tear_down(void **state) {
  scene_tear_down(state);
  folder_empty(folder_path("later"));
  (void)rmdir(folder_path("later"));
  folder_remove();
  return 0;
}

static void count_turn(uv_prepare_t *prepare) {
  (void)prepare;
  if (++turns > TURNS_MOST) fail_msg("the loop turns and turns");
}

static void a_wait_ends_in_another_attempt(void **state) {
  (void)state;
  scene_connect();
  scene_await_failure(SYNC_JOURNAL_IO);
  while (sync_client_next(scene.client, &scene.item)) continue;
  assert_int_equal(mkdir(folder_path("later"), 0700), 0);
  uv_prepare_init(&scene.loop->uv, &each_turn);
  uv_prepare_start(&each_turn, count_turn);
  uv_unref((uv_handle_t *)&each_turn);
  turns = 0;
  scene_step(); /* ends when there is nothing left to wait for */
  assert_int_equal(scene_health().journal.code, SYNC_OK);
  uv_close((uv_handle_t *)&each_turn, NULL);
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_wait_ends_in_another_attempt, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

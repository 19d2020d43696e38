/* held_test.c - the list of events that wait for a word of the host's: sorted, whatever comes and goes. */
#include <stdio.h>

#include "counting_alloc.h"
#include "event.h"
#include "held.h"
#include "spans.h"

#define MOST 200u

static struct counting_alloc memory;
static struct sync_segment_pool *pool;
static struct sync_segments segments;
static struct sync_held held;
static sync_event *events[MOST + 1]; /* numbered by their place */

static int set_up(void **state) {
  (void)state;
  counting_alloc_init(&memory);
  pool = sync_segment_pool_new(&memory.allocator);
  sync_segments_init(&segments, pool);
  sync_held_init(&held, &memory.allocator);
  for (uint64_t seq = 1; seq <= MOST; seq++) {
    const struct sync_sse_message message = {.data = SPAN("{}")};
    const struct sync_envelope envelope = {.data = SPAN("{}")};
    events[seq] = sync_event_new(&segments, &message, &envelope, seq, 0);
    assert_non_null(events[seq]);
  }
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  for (uint64_t seq = 1; seq <= MOST; seq++) sync_event_release(events[seq]);
  sync_held_fini(&held);
  sync_segments_fini(&segments);
  sync_segment_pool_free(pool);
  counting_alloc_check(&memory);
  return 0;
}

static void add(uint64_t seq) {
  assert_true(sync_held_add(&held, events[seq]));
}

/* The list is these, "1 2 3". */
static void check_held(const char *expected) {
  char found[256] = "";
  for (size_t i = 0; i < sync_held_count(&held); i++)
    (void)snprintf(found + strlen(found), sizeof found - strlen(found), "%s%d", i ? " " : "",
                   (int)sync_event_seq(sync_held_get(&held, i)));
  assert_string_equal(found, expected);
  assert_null(sync_held_get(&held, sync_held_count(&held)));
}

static void the_list_is_sorted(void **state) {
  (void)state;
  add(5);
  add(7);
  add(6);
  add(1);
  check_held("1 5 6 7");
}

static void an_event_is_held_once(void **state) {
  (void)state;
  add(3);
  add(4);
  add(3);
  add(4);
  check_held("3 4");
}

static void events_go_from_anywhere(void **state) {
  (void)state;
  for (uint64_t seq = 1; seq <= 5; seq++) add(seq);
  assert_true(sync_held_remove(&held, 3));
  assert_true(sync_held_remove(&held, 1));
  assert_true(sync_held_remove(&held, 5));
  check_held("2 4");
  assert_false(sync_held_remove(&held, 5));
  assert_false(sync_held_remove(&held, 3));
  assert_false(sync_held_remove(&held, 77));
  check_held("2 4");
}

static void what_is_held_is_known(void **state) {
  (void)state;
  assert_false(sync_held_has(&held, 1));
  add(1);
  add(3);
  assert_true(sync_held_has(&held, 1));
  assert_false(sync_held_has(&held, 2));
  assert_true(sync_held_has(&held, 3));
  assert_false(sync_held_has(&held, 4));
  assert_true(sync_held_remove(&held, 1));
  assert_false(sync_held_has(&held, 1));
}

static void a_list_that_moves_on_does_not_grow(void **state) {
  (void)state;
  size_t requests = 0;
  for (uint64_t seq = 1; seq <= MOST; seq++) {
    add(seq);
    if (seq > 3) assert_true(sync_held_remove(&held, seq - 3));
    if (seq == 20) requests = memory.requests;
  }
  assert_int_equal(memory.requests, requests);
  check_held("198 199 200");
}

static void without_memory_nothing_changes(void **state) {
  (void)state;
  uint64_t seq = 1;
  counting_alloc_refuse(&memory, 1, 1);
  assert_false(sync_held_add(&held, events[1]));
  for (; seq <= 8; seq++) add(seq);
  counting_alloc_refuse(&memory, 1, 1);
  assert_false(sync_held_add(&held, events[9]));
  check_held("1 2 3 4 5 6 7 8");
  add(9);
  check_held("1 2 3 4 5 6 7 8 9");
}

static void random_comings_and_goings(void **state) {
  (void)state;
  bool is_held[MOST + 1] = {false};
  uint32_t random = 1;
  for (int step = 0; step < 50000; step++) {
    random = random * 1664525u + 1013904223u;
    uint64_t seq = 1 + (random >> 16) % MOST;
    if (random >> 31) {
      add(seq);
      is_held[seq] = true;
    } else {
      assert_int_equal(sync_held_remove(&held, seq), is_held[seq]);
      is_held[seq] = false;
    }
    if (step % 100 != 0) continue;
    size_t place = 0;
    for (seq = 1; seq <= MOST; seq++) {
      assert_int_equal(sync_held_has(&held, seq), is_held[seq]);
      if (is_held[seq]) assert_ptr_equal(sync_held_get(&held, place++), events[seq]);
    }
    assert_int_equal(sync_held_count(&held), place);
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(the_list_is_sorted),
      TEST(an_event_is_held_once),
      TEST(events_go_from_anywhere),
      TEST(what_is_held_is_known),
      TEST(a_list_that_moves_on_does_not_grow),
      TEST(without_memory_nothing_changes),
      TEST(random_comings_and_goings),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

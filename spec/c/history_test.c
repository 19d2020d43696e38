/* history_test.c - the ring of the latest events: ages, limits, resizing, references. */
#include "history.h"

#include "counting_alloc.h"
#include "records.h"

static struct counting_alloc memory;
static struct sync_segment_pool *pool;
static struct sync_segments segments;
static struct sync_history history;

static int set_up(void **state) {
  (void)state;
  counting_alloc_init(&memory);
  pool = sync_segment_pool_new(&memory.allocator);
  sync_segments_init(&segments, pool);
  return pool ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  sync_history_fini(&history);
  sync_segments_fini(&segments);
  sync_segment_pool_free(pool);
  counting_alloc_check(&memory);
  return 0;
}

static void add(uint64_t seq) {
  sync_event *event = record_new(&segments, "", "{}", seq);
  assert_true(sync_history_add(&history, event));
  sync_event_release(event);
}

/* The history holds `first`, `first` + 1, ..., `last` and nothing else. */
static void check_holds(uint64_t first, uint64_t last) {
  size_t age = 0;
  for (uint64_t seq = last; seq >= first; seq--) {
    const sync_event *event = sync_history_get(&history, age++);
    assert_non_null(event);
    assert_int_equal(sync_event_seq(event), seq);
  }
  assert_null(sync_history_get(&history, age));
  assert_null(sync_history_get(&history, SIZE_MAX));
}

static void the_latest_stay_up_to_every_limit(void **state) {
  (void)state;
  for (size_t limit = 1; limit < 20; limit++) {
    sync_history_init(&history, &memory.allocator, limit);
    check_holds(1, 0);
    for (uint64_t seq = 1; seq < 70; seq++) {
      add(seq);
      check_holds(seq > limit ? seq - limit + 1 : 1, seq);
    }
    sync_history_fini(&history);
  }
}

static void a_limit_of_nothing_keeps_nothing(void **state) {
  (void)state;
  sync_history_init(&history, &memory.allocator, 0);
  add(1);
  check_holds(2, 1);
}

static void memory_is_taken_with_the_first_event_only(void **state) {
  (void)state;
  sync_history_init(&history, &memory.allocator, 1000000);
  assert_int_equal(memory.live, 1); /* the pool */
  assert_true(sync_history_resize(&history, 10));
  assert_int_equal(memory.live, 1);
}

/* At every fill of the ring, to every limit: the latest stay, and it goes on as before. */
static void another_limit_keeps_the_latest(void **state) {
  (void)state;
  for (uint64_t filled = 0; filled < 15; filled++)
    for (size_t limit = 0; limit < 12; limit++) {
      sync_history_init(&history, &memory.allocator, 6);
      for (uint64_t seq = 1; seq <= filled; seq++) add(seq);
      uint64_t held = filled < 6 ? filled : 6;
      assert_true(sync_history_resize(&history, limit));
      if (held > limit) held = limit;
      check_holds(filled - held + 1, filled);
      add(filled + 1);
      if (limit > 0) check_holds(held < limit ? filled - held + 1 : filled + 2 - limit, filled + 1);
      sync_history_fini(&history);
    }
}

static void without_memory_nothing_changes(void **state) {
  (void)state;
  sync_history_init(&history, &memory.allocator, 3);
  sync_event *event = record_new(&segments, "", "{}", 9);
  counting_alloc_refuse(&memory, 1, 1);
  assert_false(sync_history_add(&history, event));
  sync_event_release(event);
  check_holds(1, 0);
  for (uint64_t seq = 1; seq <= 5; seq++) add(seq);
  for (size_t nth = 1;; nth++) {
    counting_alloc_refuse(&memory, nth, 1);
    bool resized = sync_history_resize(&history, 2);
    counting_alloc_allow(&memory);
    if (resized) break;
    check_holds(3, 5);
  }
  assert_true(memory.refused >= 2);
  check_holds(4, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(the_latest_stay_up_to_every_limit),
      TEST(a_limit_of_nothing_keeps_nothing),
      TEST(memory_is_taken_with_the_first_event_only),
      TEST(another_limit_keeps_the_latest),
      TEST(without_memory_nothing_changes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* segment_test.c - records packed into counted blocks: alignment, sharing, who frees what and when. */
#include "segment.h"

#include <stdalign.h>

#include "counting_alloc.h"
#include "spans.h"

static struct counting_alloc memory;
static struct sync_segment_pool *pool;
static struct sync_segments segments;

static int set_up(void **state) {
  (void)state;
  counting_alloc_init(&memory);
  pool = sync_segment_pool_new(&memory.allocator);
  sync_segments_init(&segments, pool);
  return pool ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  sync_segments_fini(&segments);
  sync_segment_pool_free(pool);
  counting_alloc_check(&memory);
  return 0;
}

/* Live blocks beside the pool's own. */
static size_t blocks(void) {
  return memory.live - 1;
}

/* A record filled with `fill`, all of it. */
static unsigned char *take(size_t bytes, unsigned char fill, struct sync_segment **home) {
  unsigned char *record = sync_segments_take(&segments, bytes, home);
  assert_non_null(record);
  assert_int_equal((uintptr_t)record % alignof(max_align_t), 0);
  memset(record, fill, bytes);
  return record;
}

static void records_are_aligned_and_do_not_overlap(void **state) {
  (void)state;
  struct sync_segment *homes[300];
  unsigned char *records[300];
  for (size_t i = 0; i < 300; i++) records[i] = take(i + 1, (unsigned char)i, &homes[i]);
  for (size_t i = 0; i < 300; i++)
    for (size_t at = 0; at <= i; at++) assert_int_equal(records[i][at], (unsigned char)i);
  for (size_t i = 0; i < 300; i++) sync_segment_release(homes[i]);
}

static void small_records_share_a_block(void **state) {
  (void)state;
  struct sync_segment *homes[1000];
  for (size_t i = 0; i < COUNT_OF(homes); i++) take(100, 'x', &homes[i]);
  assert_ptr_equal(homes[1], homes[0]);
  assert_ptr_equal(homes[COUNT_OF(homes) - 1], homes[COUNT_OF(homes) - 2]);
  assert_in_range(blocks(), 20, 40); /* 4 KiB each, but for the first few */
  for (size_t i = 0; i < COUNT_OF(homes); i++) sync_segment_release(homes[i]);
}

/* An idle client has one event. */
static void the_first_block_is_small(void **state) {
  (void)state;
  struct sync_segment *small, *large;
  take(100, 'x', &small);
  take(SYNC_SEGMENT_FIRST_BYTES, 'x', &large);
  assert_ptr_not_equal(small, large);
  sync_segment_release(small);
  sync_segment_release(large);
}

static void a_record_that_just_fits_or_does_not_stays_in_its_block(void **state) {
  (void)state;
  for (size_t bytes = SYNC_SEGMENT_BYTES - 128; bytes <= SYNC_SEGMENT_BYTES + 128; bytes++) {
    struct sync_segment *home, *next_home;
    take(bytes, 'a', &home);
    take(1, 'b', &next_home);
    sync_segment_release(home);
    sync_segment_release(next_home);
  }
}

static void a_record_larger_than_a_segment_has_its_own_and_is_not_kept(void **state) {
  (void)state;
  struct sync_segment *small, *large, *behind;
  take(16, 's', &small);
  take(1000000, 'l', &large);
  take(16, 'b', &behind);
  assert_ptr_not_equal(small, large);
  assert_ptr_not_equal(large, behind);
  assert_int_equal(blocks(), 3);
  sync_segment_release(large);
  assert_int_equal(blocks(), 2);
  sync_segment_release(small);
  sync_segment_release(behind);
}

static void a_segment_that_is_let_go_is_used_again(void **state) {
  (void)state;
  struct sync_segment *home;
  for (int i = 0; i < 10; i++) {
    take(SYNC_SEGMENT_BYTES - 128, 'x', &home);
    sync_segment_release(home);
  }
  size_t requests = memory.requests;
  for (int i = 0; i < 1000; i++) {
    take(SYNC_SEGMENT_BYTES - 128, 'x', &home);
    sync_segment_release(home);
  }
  assert_true(memory.requests <= requests + 1);
}

/* Many are under way at once, then all are let go: only so many are kept as the next burst may need. */
static void the_pool_keeps_a_bounded_number_of_spares(void **state) {
  (void)state;
  static struct sync_segment *homes[10000];
  for (size_t i = 0; i < COUNT_OF(homes); i++) take(SYNC_SEGMENT_BYTES - 128, 'x', &homes[i]);
  assert_int_equal(blocks(), COUNT_OF(homes));
  for (size_t i = 0; i < COUNT_OF(homes); i++) sync_segment_release(homes[i]);
  assert_in_range(blocks(), 2, COUNT_OF(homes) / 4);
}

static void the_last_reference_frees_the_block_whoever_holds_it(void **state) {
  (void)state;
  struct sync_segment *home;
  unsigned char *record = take(100, 'r', &home);
  sync_segment_retain(home);
  sync_segments_fini(&segments);
  sync_segment_pool_free(pool);
  sync_segment_release(home);
  assert_int_equal(blocks(), 1); /* and the pool waits for it */
  assert_int_equal(record[99], 'r');
  sync_segment_release(home);
  assert_int_equal(memory.live, 0);
  pool = NULL;
}

static void without_memory_the_open_block_stays(void **state) {
  (void)state;
  struct sync_segment *home, *refused = NULL, *later;
  unsigned char *record = take(100, 'r', &home);
  counting_alloc_refuse(&memory, 1, 1);
  assert_null(sync_segments_take(&segments, 2 * SYNC_SEGMENT_BYTES, &refused));
  assert_null(refused);
  take(100, 'l', &later);
  assert_ptr_equal(later, home);
  assert_int_equal(record[0], 'r');
  sync_segment_release(home);
  sync_segment_release(later);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(records_are_aligned_and_do_not_overlap),
      TEST(small_records_share_a_block),
      TEST(the_first_block_is_small),
      TEST(a_record_that_just_fits_or_does_not_stays_in_its_block),
      TEST(a_record_larger_than_a_segment_has_its_own_and_is_not_kept),
      TEST(a_segment_that_is_let_go_is_used_again),
      TEST(the_pool_keeps_a_bounded_number_of_spares),
      TEST(the_last_reference_frees_the_block_whoever_holds_it),
      TEST(without_memory_the_open_block_stays),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

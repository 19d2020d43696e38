/* metrics_test.c - counters of events by type: exact while the types are few, bounded whatever a server sends. */
#include "metrics.h"

#include <stdio.h>

#include "counting_alloc.h"
#include "spans.h"

static struct counting_alloc memory;
static struct sync_counters counters;

static int set_up(void **state) {
  (void)state;
  counting_alloc_init(&memory);
  sync_counters_init(&counters, &memory.allocator);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  sync_counters_fini(&counters);
  counting_alloc_check(&memory);
  return 0;
}

/* What is counted for `wanted`, by walking the list as a host does; 0: it is not in it. */
static uint64_t count_of(const char *wanted) {
  sync_span type;
  uint64_t count;
  for (size_t i = 0; sync_counters_type(&counters, i, &type, &count); i++)
    if (span_is(type, wanted)) return count;
  return 0;
}

static size_t type_count(void) {
  sync_span type;
  uint64_t count;
  size_t index = 0;
  while (sync_counters_type(&counters, index, &type, &count)) index++;
  return index;
}

static void see(const char *format, unsigned number) {
  char type[32];
  int length = snprintf(type, sizeof type, format, number);
  sync_counters_type_seen(&counters, (sync_span){type, (size_t)length});
}

static void nothing_is_counted_at_first(void **state) {
  (void)state;
  static const sync_metrics zero;
  assert_int_equal(type_count(), 0);
  assert_memory_equal(&counters.totals, &zero, sizeof zero);
}

static void each_type_has_its_count(void **state) {
  (void)state;
  for (unsigned type = 1; type <= SYNC_METRICS_TYPES_MAX; type++)
    for (unsigned i = 0; i < type; i++) see("type %u", type);
  assert_int_equal(type_count(), SYNC_METRICS_TYPES_MAX);
  assert_int_equal(count_of("type 1"), 1);
  assert_int_equal(count_of("type 64"), 64);
  assert_int_equal(count_of("(other)"), 0);
}

static void more_types_than_the_limit_are_counted_together(void **state) {
  (void)state;
  for (unsigned type = 0; type < 10000; type++) see("type %u", type);
  for (unsigned i = 0; i < 10; i++) see("type %u", 3);
  assert_int_equal(type_count(), SYNC_METRICS_TYPES_MAX + 1);
  assert_int_equal(count_of("type 3"), 11);
  assert_int_equal(count_of("(other)"), 10000 - SYNC_METRICS_TYPES_MAX);
}

static void without_memory_a_new_type_goes_uncounted_and_the_others_do_not(void **state) {
  (void)state;
  see("%u", 1);
  counting_alloc_refuse(&memory, 1, 100);
  see("%u", 2);
  see("%u", 1);
  counting_alloc_allow(&memory);
  see("%u", 2);
  assert_int_equal(count_of("1"), 2);
  assert_int_equal(count_of("2"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(nothing_is_counted_at_first),
      TEST(each_type_has_its_count),
      TEST(more_types_than_the_limit_are_counted_together),
      TEST(without_memory_a_new_type_goes_uncounted_and_the_others_do_not),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* backoff_test.c - the waits between attempts: their bounds, their spread, their floors. */
#include "backoff.h"

#include <limits.h>

#include "spans.h"

#define DAY_MS (24 * 60 * 60 * 1000)
#define ROUNDS 200000u

/* splitmix64: 64 even bits a call. */
static uint64_t next_random(void) {
  static uint64_t state;
  uint64_t bits = (state += 0x9e3779b97f4a7c15u);
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9u;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebu;
  return bits ^ (bits >> 31);
}

/* The least and the most of many waits. */
struct range {
  int64_t least;
  int64_t most;
};

static struct range range_of(struct sync_backoff backoff, unsigned step) {
  struct range range = {INT64_MAX, INT64_MIN};
  for (unsigned i = 0; i < ROUNDS; i++) {
    int64_t delay = sync_backoff_delay_ms(&backoff, step, next_random());
    if (delay < range.least) range.least = delay;
    if (delay > range.most) range.most = delay;
  }
  return range;
}

static void the_ceiling_doubles_up_to_the_cap_and_the_jitter_is_full(void **state) {
  (void)state;
  static const int64_t ceilings[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
  const struct sync_backoff backoff = {.base_ms = 1000, .cap_ms = 30000};
  for (unsigned step = 0; step < COUNT_OF(ceilings); step++) {
    struct range range = range_of(backoff, step);
    assert_in_range(range.least, 0, ceilings[step] / 100);
    assert_in_range(range.most, ceilings[step] * 99 / 100, ceilings[step]);
  }
}

/* Ten buckets of the ceiling get a tenth of the waits each: no thundering herd. */
static void waits_are_spread_evenly(void **state) {
  (void)state;
  const struct sync_backoff backoff = {.base_ms = 999, .cap_ms = 999};
  unsigned buckets[10] = {0};
  for (unsigned i = 0; i < ROUNDS; i++) buckets[sync_backoff_delay_ms(&backoff, 0, next_random()) / 100]++;
  for (unsigned i = 0; i < 10; i++) assert_in_range(buckets[i], ROUNDS / 10 * 95 / 100, ROUNDS / 10 * 105 / 100);
}

static void both_ends_can_come(void **state) {
  (void)state;
  const struct sync_backoff backoff = {.base_ms = 1000, .cap_ms = 30000};
  assert_int_equal(sync_backoff_delay_ms(&backoff, 0, 0), 0);
  assert_int_equal(sync_backoff_delay_ms(&backoff, 0, 1000), 1000);
  assert_int_equal(sync_backoff_delay_ms(&backoff, 0, 1001), 0);
}

static void high_steps_do_not_overflow(void **state) {
  (void)state;
  static const unsigned steps[] = {31, 32, 62, 63, 64, 65, 1000, UINT_MAX};
  for (size_t i = 0; i < COUNT_OF(steps); i++) {
    struct range range = range_of((struct sync_backoff){.base_ms = 1, .cap_ms = DAY_MS}, steps[i]);
    assert_in_range(range.least, 0, DAY_MS / 100);
    assert_in_range(range.most, DAY_MS - DAY_MS / 100, DAY_MS);
  }
}

static void nothing_is_a_wait_too(void **state) {
  (void)state;
  for (unsigned step = 0; step < 100; step++)
    for (int cap = 0; cap < 2; cap++) {
      const struct sync_backoff backoff = {.base_ms = 0, .cap_ms = cap};
      assert_int_equal(sync_backoff_delay_ms(&backoff, step, next_random()), 0);
    }
}

static void a_base_above_the_cap_is_the_cap(void **state) {
  (void)state;
  struct range range = range_of((struct sync_backoff){.base_ms = 60000, .cap_ms = 500}, 3);
  assert_in_range(range.least, 0, 10);
  assert_in_range(range.most, 490, 500);
}

/* What a server asked for is kept by every client, and they do not come back as one. */
static void a_floor_is_kept_and_spread(void **state) {
  (void)state;
  static const int64_t floors[] = {1, 2, 3, 100, 1000, 5000, 29999, 30000, 60000, 3600000};
  for (size_t i = 0; i < COUNT_OF(floors); i++)
    for (unsigned step = 0; step < 8; step++) {
      const struct sync_backoff backoff = {.base_ms = 1000, .cap_ms = 30000, .floor_ms = floors[i]};
      int64_t ceiling = step < 5 ? (int64_t)1000 << step : 30000;
      int64_t most = ceiling > floors[i] + floors[i] / 2 ? ceiling : floors[i] + floors[i] / 2;
      struct range range = range_of(backoff, step);
      assert_in_range(range.least, floors[i], floors[i] + (most - floors[i]) / 50);
      assert_in_range(range.most, most - (most - floors[i]) / 50, most);
    }
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_ceiling_doubles_up_to_the_cap_and_the_jitter_is_full),
      cmocka_unit_test(waits_are_spread_evenly),
      cmocka_unit_test(both_ends_can_come),
      cmocka_unit_test(high_steps_do_not_overflow),
      cmocka_unit_test(nothing_is_a_wait_too),
      cmocka_unit_test(a_base_above_the_cap_is_the_cap),
      cmocka_unit_test(a_floor_is_kept_and_spread),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* stamp_test.c - which of two pieces of news about an order is newer. */
#include "stamp.h"

#include "counting_alloc.h"
#include "spans.h"

#define NONE SYNC_STAMP_NO_NUMBER

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static struct sync_stamp read_stamp(const char *json, int64_t told_ms) {
  struct sync_order_names names;
  struct sync_object object;
  sync_order_names_init(&names);
  sync_object_init(&object, &sync_alloc_standard);
  assert_int_equal(sync_object_read(&object, span_of(json)), SYNC_OK);
  struct sync_stamp stamp = sync_stamp_read(&names, &object, told_ms);
  sync_object_fini(&object);
  return stamp;
}

static void check_stamp(const char *json, int64_t number, int64_t updated_ms) {
  struct sync_stamp stamp = read_stamp(json, 7);
  if (stamp.number != number || stamp.updated_ms != updated_ms || stamp.told_ms != 7)
    fail_msg("%s: number %lld, updated %lld", json, (long long)stamp.number, (long long)stamp.updated_ms);
}

static void numbers_are_whole_and_fit_64_bits(void **state) {
  (void)state;
  check_stamp("{\"version\":42}", 42, 0);
  check_stamp("{\"sequence\":0}", 0, 0);
  check_stamp("{\"seq\":-3}", -3, 0);
  check_stamp("{\"version\":\"42\"}", 42, 0);
  check_stamp("{\"version\":9223372036854775807}", INT64_MAX, 0);
  check_stamp("{\"version\":9007199254740993}", 9007199254740993, 0);
  check_stamp("{\"version\":9223372036854775808}", NONE, 0);
  check_stamp("{\"version\":99999999999999999999}", NONE, 0);
  check_stamp("{\"version\":1.5}", NONE, 0);
  check_stamp("{\"version\":1e3}", NONE, 0);
  check_stamp("{\"version\":null}", NONE, 0);
  check_stamp("{\"version\":[1]}", NONE, 0);
  check_stamp("{\"version\":\"\"}", NONE, 0);
  check_stamp("{\"version\":\"-\"}", NONE, 0);
  check_stamp("{\"version\":\"1.0.2\"}", NONE, 0);
  check_stamp("{\"seq\":3,\"version\":1}", 1, 0);
}

static void times_are_what_timestamps_are(void **state) {
  (void)state;
  check_stamp("{\"updatedAt\":\"1970-01-01T00:00:01.5Z\"}", NONE, 1500);
  check_stamp("{\"updatedAt\":1500}", NONE, 1500000);
  check_stamp("{\"updatedAt\":\"1970-01-01T01:00:01\\u002B01:00\"}", NONE, 1000);
  check_stamp("{\"updatedAt\":\"0001-01-01T00:00:00Z\"}", NONE, 0);
  check_stamp("{\"updatedAt\":null}", NONE, 0);
  check_stamp("{\"updatedAt\":\"just now\"}", NONE, 0);
  check_stamp("{\"updatedAt\":\"1970-01-01T00:00:01.0000000000000000000000000000000000000000000000000000Z\"}", NONE, 0);
  assert_int_equal(read_stamp("{}", -5).told_ms, 0);
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

struct comparison {
  struct sync_stamp news;
  struct sync_stamp known;
  enum sync_age part; /* the age of news that are part of an order */
  enum sync_age whole;
};

#define OLDER   SYNC_AGE_OLDER
#define EQUAL   SYNC_AGE_EQUAL
#define NEWER   SYNC_AGE_NEWER
#define UNKNOWN SYNC_AGE_UNKNOWN

static void check_comparisons(const struct comparison *list, size_t count) {
  for (size_t i = 0; i < count; i++) {
    enum sync_age part = sync_stamp_age(&list[i].news, false, &list[i].known);
    enum sync_age whole = sync_stamp_age(&list[i].news, true, &list[i].known);
    if (part != list[i].part || whole != list[i].whole) fail_msg("case %zu: part %d, whole %d", i, part, whole);
  }
}

static void numbers_decide_where_they_differ(void **state) {
  (void)state;
  static const struct comparison list[] = {
      {{2, 0, 0}, {1, 0, 0}, NEWER, NEWER},     {{1, 0, 0}, {2, 0, 0}, OLDER, OLDER},
      {{1, 0, 0}, {1, 0, 0}, EQUAL, EQUAL},     {{2, 10, 10}, {1, 20, 20}, NEWER, NEWER},
      {{1, 20, 20}, {2, 10, 10}, OLDER, OLDER}, {{INT64_MAX, 0, 0}, {INT64_MAX - 1, 0, 0}, NEWER, NEWER},
  };
  check_comparisons(list, COUNT_OF(list));
}

static void times_decide_where_numbers_do_not(void **state) {
  (void)state;
  static const struct comparison list[] = {
      {{1, 20, 0}, {1, 10, 0}, NEWER, NEWER},        {{1, 10, 0}, {1, 20, 0}, OLDER, OLDER},
      {{NONE, 20, 0}, {7, 10, 0}, NEWER, NEWER},     {{7, 10, 0}, {NONE, 20, 0}, OLDER, OLDER},
      {{NONE, 10, 0}, {NONE, 10, 0}, EQUAL, EQUAL},  {{NONE, 0, 10}, {NONE, 0, 10}, EQUAL, EQUAL},
      {{NONE, 0, 9}, {NONE, 10, 0}, OLDER, OLDER},   {{NONE, 0, 11}, {NONE, 10, 0}, NEWER, NEWER},
      {{NONE, 0, 11}, {NONE, 12, 10}, OLDER, OLDER}, {{NONE, 0, 11}, {NONE, 10, 12}, OLDER, OLDER},
      {{NONE, 11, 0}, {NONE, 0, 10}, NEWER, NEWER},
  };
  check_comparisons(list, COUNT_OF(list));
}

static void without_anything_in_common_the_age_is_unknown(void **state) {
  (void)state;
  static const struct comparison list[] = {
      {{NONE, 0, 0}, {NONE, 0, 0}, UNKNOWN, UNKNOWN}, {{NONE, 0, 0}, {5, 10, 10}, UNKNOWN, UNKNOWN},
      {{5, 10, 10}, {NONE, 0, 0}, UNKNOWN, UNKNOWN},  {{5, 0, 0}, {NONE, 10, 10}, UNKNOWN, UNKNOWN},
      {{NONE, 10, 0}, {5, 0, 0}, UNKNOWN, UNKNOWN},   {{5, 0, 0}, {5, 10, 10}, EQUAL, EQUAL},
  };
  check_comparisons(list, COUNT_OF(list));
}

/* The broadcaster sends at 52 what the database changed at 48, and its clock is not the database's. */
static void a_part_with_a_time_of_its_own_is_compared_with_the_orders_own_time(void **state) {
  (void)state;
  static const struct comparison list[] = {
      {{NONE, 49, 53}, {NONE, 48, 52}, NEWER, OLDER}, /* an event behind one that had no time of its own */
      {{NONE, 48, 53}, {NONE, 48, 52}, EQUAL, OLDER},
      {{NONE, 47, 99}, {NONE, 48, 52}, OLDER, OLDER}, /* old news, sent again */
      {{NONE, 49, 53}, {NONE, 0, 52}, NEWER, OLDER},  /* by the broadcaster's clock, if it is all there is */
      {{NONE, 49, 51}, {NONE, 0, 52}, OLDER, OLDER},
      {{NONE, 49, 0}, {NONE, 0, 52}, OLDER, OLDER},
      {{NONE, 53, 53}, {NONE, 48, 52}, NEWER, NEWER},
  };
  check_comparisons(list, COUNT_OF(list));
}

static void raising_never_lowers(void **state) {
  (void)state;
  struct sync_stamp known = sync_stamp_none;
  assert_int_equal(sync_stamp_latest_ms(&known), 0);
  sync_stamp_raise(&known, &(struct sync_stamp){3, 20, 0});
  sync_stamp_raise(&known, &(struct sync_stamp){2, 10, 0});
  assert_int_equal(known.number, 3);
  assert_int_equal(known.updated_ms, 20);
  sync_stamp_raise(&known, &(struct sync_stamp){NONE, 0, 30});
  sync_stamp_raise(&known, &(struct sync_stamp){NONE, 0, 25});
  sync_stamp_raise(&known,
                   &(struct sync_stamp){NONE, 21, 99}); /* it has a time of its own: when it was told is no matter */
  assert_int_equal(known.told_ms, 30);
  assert_int_equal(known.updated_ms, 21);
  assert_int_equal(sync_stamp_latest_ms(&known), 30);
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(numbers_are_whole_and_fit_64_bits),
      cmocka_unit_test(times_are_what_timestamps_are),
      cmocka_unit_test(numbers_decide_where_they_differ),
      cmocka_unit_test(times_decide_where_numbers_do_not),
      cmocka_unit_test(without_anything_in_common_the_age_is_unknown),
      cmocka_unit_test(a_part_with_a_time_of_its_own_is_compared_with_the_orders_own_time),
      cmocka_unit_test(raising_never_lowers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* timestamp_test.c - points in time: what is one, which one it is, and what is none. */
#include "timestamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "spans.h"

struct reading {
  const char *text;
  int64_t ms;
};

static void check_readings(const struct reading *readings, size_t count) {
  for (size_t i = 0; i < count; i++) {
    int64_t ms = sync_time_parse(span_of(readings[i].text));
    if (ms != readings[i].ms) fail_msg("'%s' is %lld", readings[i].text, (long long)ms);
  }
}

#define CHECK_READINGS(readings) check_readings(readings, COUNT_OF(readings))

/* Expected values are those of `date -u -d ... +%s`. */
static void iso_8601_in_the_extended_format(void **state) {
  (void)state;
  static const struct reading readings[] = {
      {"2026-11-22T10:00:01.000Z", 1795341601000},
      {"2026-11-22T10:00:01Z", 1795341601000},
      {"2026-11-22t10:00:01z", 1795341601000},
      {"2026-11-22 10:00:01Z", 1795341601000},
      {"2026-11-22T10:00Z", 1795341600000},
      {"2026-11-22", 1795305600000},
      {"1970-01-01T00:00:00Z", 0},
      {"1969-12-31T23:59:59.999Z", -1},
      {"0001-01-01", -62135596800000},
      {"0000-03-01", -62162035200000},
      {"9999-12-31T23:59:59.999Z", 253402300799999},
  };
  CHECK_READINGS(readings);
}

static void fractions_are_cut_at_the_millisecond(void **state) {
  (void)state;
  static const struct reading readings[] = {
      {"1970-01-01T00:00:00.1Z", 100},         {"1970-01-01T00:00:00.12Z", 120},
      {"1970-01-01T00:00:00.1239999Z", 123},   {"1970-01-01T00:00:00,5Z", 500},
      {"1970-01-01T00:00:00.000000001Z", 0},   {"1970-01-01T00:00:00.Z", SYNC_TIME_NONE},
      {"1970-01-01T00:00.5Z", SYNC_TIME_NONE},
  };
  CHECK_READINGS(readings);
}

static void offsets_lead_to_utc_and_none_is_utc(void **state) {
  (void)state;
  static const struct reading readings[] = {
      {"1970-01-01T01:00:00+01:00", 0},
      {"1970-01-01T01:00:00+0100", 0},
      {"1970-01-01T01:00:00+01", 0},
      {"1969-12-31T18:30:00-05:30", 0},
      {"1970-01-01T00:00:00-00:00", 0},
      {"1970-01-01T00:00:00", 0},
      {"1970-01-01T00:00:00+24:00", SYNC_TIME_NONE},
      {"1970-01-01T00:00:00+01:60", SYNC_TIME_NONE},
      {"1970-01-01T00:00:00+1", SYNC_TIME_NONE},
      {"1970-01-01T00:00:00+01:", SYNC_TIME_NONE},
      {"1970-01-01T00:00:00+01:0", SYNC_TIME_NONE},
      {"1970-01-01T00:00:00ZZ", SYNC_TIME_NONE},
      {"1970-01-01Z", SYNC_TIME_NONE},
  };
  CHECK_READINGS(readings);
}

static void the_calendar_has_its_days_and_no_others(void **state) {
  (void)state;
  static const struct reading readings[] = {
      {"2024-02-29", 1709164800000},         {"2000-02-29", 951782400000},
      {"2023-02-29", SYNC_TIME_NONE},        {"1900-02-29", SYNC_TIME_NONE},
      {"2026-04-31", SYNC_TIME_NONE},        {"2026-12-31", 1798675200000},
      {"2026-00-01", SYNC_TIME_NONE},        {"2026-13-01", SYNC_TIME_NONE},
      {"2026-01-00", SYNC_TIME_NONE},        {"2026-01-32", SYNC_TIME_NONE},
      {"1970-01-01T24:00Z", 86400000},       {"1970-01-01T24:00:01Z", SYNC_TIME_NONE},
      {"1970-01-01T23:59:60Z", 86400000},    {"1970-01-01T23:59:61Z", SYNC_TIME_NONE},
      {"1970-01-01T00:60Z", SYNC_TIME_NONE}, {"1970-01-01T25:00Z", SYNC_TIME_NONE},
  };
  CHECK_READINGS(readings);
}

/* Every day from 1890 to 2110, each the day behind the one before, against the C library's calendar. */
static void every_day_follows_the_one_before(void **state) {
  (void)state;
  for (time_t day = -29220; day < 51500; day++) {
    char text[32];
    time_t seconds = day * 86400;
    struct tm date;
    assert_non_null(gmtime_r(&seconds, &date));
    size_t length = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &date);
    assert_int_equal(sync_time_parse((sync_span){text, length}), (int64_t)seconds * 1000);
  }
}

static void numbers_are_milliseconds_and_small_ones_seconds(void **state) {
  (void)state;
  static const struct reading readings[] = {
      {"1795341601000", 1795341601000},
      {"1795341601", 1795341601000},
      {"1795341601.25", 1795341601250},
      {"1795341601000.75", 1795341601000},
      {"0", 0},
      {"-1.5", -1500},
      {"99999999999", 99999999999000},
      {"100000000000", 100000000000},
      {"9223372036854775807", SYNC_TIME_NONE},
      {"99999999999999999999", SYNC_TIME_NONE},
      {"1.", SYNC_TIME_NONE},
      {".5", SYNC_TIME_NONE},
      {"1e12", SYNC_TIME_NONE},
      {"-", SYNC_TIME_NONE},
  };
  CHECK_READINGS(readings);
}

static void anything_else_is_none(void **state) {
  (void)state;
  static const struct reading readings[] = {
      {"", SYNC_TIME_NONE},
      {"yesterday", SYNC_TIME_NONE},
      {"2026", 2026000},
      {"2026-11", SYNC_TIME_NONE},
      {"2026-11-22T", SYNC_TIME_NONE},
      {"2026-11-22T10", SYNC_TIME_NONE},
      {"2026-11-22T1:00Z", SYNC_TIME_NONE},
      {"26-11-22", SYNC_TIME_NONE},
      {"2026-1-2", SYNC_TIME_NONE},
      {" 2026-11-22", SYNC_TIME_NONE},
      {"2026-11-22 ", SYNC_TIME_NONE},
      {"20x6-11-22", SYNC_TIME_NONE},
      {"2026-11-22T10:00:01.000Z[UTC]", SYNC_TIME_NONE},
  };
  CHECK_READINGS(readings);
}

/* In a block of its exact size, so that the sanitizer sees a byte too far. */
static void no_beginning_of_a_time_is_read_beyond_its_end(void **state) {
  (void)state;
  static const char text[] = "2026-11-22T10:00:01.123456+05:30";
  for (size_t length = 0; length < sizeof text - 1; length++) {
    char *exact = malloc(length + !length);
    memcpy(exact, text, length);
    (void)sync_time_parse((sync_span){exact, length});
    free(exact);
  }
  assert_int_equal(sync_time_parse(span_of(text)), 1795321801123);
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(iso_8601_in_the_extended_format),
      cmocka_unit_test(fractions_are_cut_at_the_millisecond),
      cmocka_unit_test(offsets_lead_to_utc_and_none_is_utc),
      cmocka_unit_test(the_calendar_has_its_days_and_no_others),
      cmocka_unit_test(every_day_follows_the_one_before),
      cmocka_unit_test(numbers_are_milliseconds_and_small_ones_seconds),
      cmocka_unit_test(anything_else_is_none),
      cmocka_unit_test(no_beginning_of_a_time_is_read_beyond_its_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

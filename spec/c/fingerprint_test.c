/* fingerprint_test.c - which JSON texts are the same value. */
#include "fingerprint.h"

#include <stdio.h>

#include "spans.h"

/* Texts of one value in each line, ended by NULL; texts of different lines differ. */
#define TEXTS_MOST 6

static const char *const values[][TEXTS_MOST] = {
    {"0", "-0", "0.0", "0e5", "-0.000E-3"},
    {"1", "1.0", "10e-1", "0.1e1", "1E+0"},
    {"-1", "-1.00"},
    {"10", "1e1", "10.0", "100e-1"},
    {"101", "101.0", "1.01e2", "1010E-1"},
    {"0.5", "5e-1", "0.50"},
    {"9007199254740993", "9007199254740993.0"}, /* 2^53 + 1: not what a double makes of it */
    {"9007199254740992"},
    {"123456789012345678901234567890", "1.2345678901234567890123456789e29"},
    {"123456789012345678901234567891"},
    {"1e400", "10e399"},
    {"1e-400"},
    {"true", " true "},
    {"false"},
    {"null", "\tnull\n"},
    {"\"1\"", "\"\\u0031\""},
    {"\"\""},
    {"\"a/b\"", "\"a\\/b\"", "\"a\\u002fb\"", "\"\\u0061\\u002Fb\""},
    {"\"\\n\"", "\"\\u000a\"", "\"\\u000A\""},
    {"\"\\\\n\""},
    {"\"\xc3\xa9\"", "\"\\u00e9\""},
    {"\"\xf0\x9f\x98\x80\"", "\"\\ud83d\\ude00\"", "\"\\uD83D\\uDE00\""},
    {"\"\xef\xbf\xbd\"", "\"\\ud83d\"", "\"\\ude00\"", "\"\\ufffd\""},
    {"\"\xef\xbf\xbd\xf0\x9f\x98\x80\"", "\"\\ud83d\\ud83d\\ude00\""},
    {"\"\xef\xbf\xbd"
     "a\"",
     "\"\\ud83d\\u0061\"", "\"\\ud83da\""},
    {"[]", "[ ]"},
    {"{}", "{ }"},
    {"[[]]"},
    {"[{}]"},
    {"[1,2]", "[1, 2.0]"},
    {"[2,1]"},
    {"[[1],2]"},
    {"[[1,2]]"},
    {"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", "{ \"\\u0062\" : 2e0 , \"a\" : 1 }"},
    {"{\"a\":2,\"b\":1}"},
    {"{\"a\":1,\"b\":2,\"c\":null}"},
    {"{\"a\":{\"b\":1}}"},
    {"{\"a\":\"b\"}"},
    {"{\"b\":\"a\"}"},
    {"{\"a\":\"a\"}"},
    {"{\"b\":\"b\"}"},
    {"{\"b\":{\"a\":1}}"},
    {"{\"a\":{\"x\":[1,{\"y\":2,\"z\":3}]},\"b\":0}", "{\"b\":0,\"a\":{\"x\":[1,{\"z\":3,\"y\":2}]}}"},
};

static void the_same_value_is_the_same_however_it_is_written(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(values); i++)
    for (size_t j = 1; j < TEXTS_MOST && values[i][j]; j++)
      if (!sync_json_same(span_of(values[i][0]), span_of(values[i][j])))
        fail_msg("%s and %s", values[i][0], values[i][j]);
}

static void different_values_differ(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(values); i++)
    for (size_t j = 0; j < COUNT_OF(values); j++)
      for (size_t k = 0; i != j && k < TEXTS_MOST && values[j][k]; k++)
        if (sync_json_same(span_of(values[i][0]), span_of(values[j][k])))
          fail_msg("%s and %s", values[i][0], values[j][k]);
}

static void a_fingerprint_is_never_nought_but_for_what_is_no_json(void **state) {
  (void)state;
  static const char *const broken[] = {"", " ", "{", "[1,]", "01", "\"", "tru", "{\"a\":1} x"};
  for (size_t i = 0; i < COUNT_OF(values); i++) assert_true(sync_json_fingerprint(span_of(values[i][0])) != 0);
  for (size_t i = 0; i < COUNT_OF(broken); i++) assert_true(sync_json_fingerprint(span_of(broken[i])) == 0);
}

static void what_is_no_json_is_the_same_as_its_bytes_only(void **state) {
  (void)state;
  assert_true(sync_json_same(span_of("{"), span_of("{")));
  assert_true(sync_json_same(SPAN(""), SPAN("")));
  assert_false(sync_json_same(span_of("{"), span_of("[")));
  assert_false(sync_json_same(span_of("01"), span_of("1")));
}

/* Sums of members must not cancel out, nor must chains of elements. */
static void small_objects_and_arrays_are_all_different(void **state) {
  (void)state;
  enum { SIDE = 8, COUNT = SIDE * SIDE * SIDE * 2 };
  static uint64_t seen[COUNT];
  size_t count = 0;
  for (int a = 0; a < SIDE; a++)
    for (int b = 0; b < SIDE; b++)
      for (int c = 0; c < SIDE; c++) {
        char text[64];
        snprintf(text, sizeof text, "{\"a\":%d,\"b\":%d,\"c\":%d}", a, b, c);
        seen[count++] = sync_json_fingerprint(span_of(text));
        snprintf(text, sizeof text, "[%d,%d,%d]", a, b, c);
        seen[count++] = sync_json_fingerprint(span_of(text));
      }
  for (size_t i = 0; i < count; i++)
    for (size_t j = 0; j < i; j++) assert_true(seen[i] != seen[j]);
}

static void the_deepest_text_is_read(void **state) {
  (void)state;
  char text[2 * SYNC_JSON_DEPTH_MAX + 2];
  memset(text, '[', SYNC_JSON_DEPTH_MAX);
  memset(text + SYNC_JSON_DEPTH_MAX, ']', SYNC_JSON_DEPTH_MAX);
  assert_true(sync_json_fingerprint((sync_span){text, 2 * SYNC_JSON_DEPTH_MAX}) != 0);
}

/* ---- what was redacted ------------------------------------------------------------------------------------------- */

#define REDACTED "\"[redacted]\""

static void what_was_redacted_may_have_been_anything(void **state) {
  (void)state;
  static const struct {
    const char *redacted, *whole;
    bool same;
  } cases[] = {
      {REDACTED, "{\"a\":[1]}", true},
      {"{\"a\":" REDACTED ",\"b\":1}", "{\"b\":1.0,\"\\u0061\":[1,{\"a\":2}]}", true},
      {"{\"a\":" REDACTED ",\"b\":1}", "{\"b\":2,\"a\":1}", false},
      {"{\"a\":" REDACTED "}", "{}", false},
      {"{\"a\":" REDACTED "}", "{\"c\":1}", false},
      {"[{\"a\":" REDACTED "},{\"a\":" REDACTED ",\"b\":" REDACTED "}]", "[{\"a\":1},{\"b\":{},\"a\":[]}]", true},
      {"[{\"a\":" REDACTED "},2]", "[{\"a\":1},3]", false},
      {"[" REDACTED "]", "[1]", false}, /* only values of members are redacted */
      {"{\"a\":[" REDACTED "]}", "{\"a\":[1]}", false},
      {"{\"a\":" REDACTED "}", "{\"a\":", false},
      {"{\"a\":1}", "{\"a\":" REDACTED "}", false}, /* the other way round it is a value like any other */
      {"{\"a\":1}", "{\"a\":1.0}", true},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++)
    if (sync_json_same_redacted(span_of(cases[i].redacted), span_of(cases[i].whole)) != cases[i].same)
      fail_msg("%s, %s", cases[i].redacted, cases[i].whole);
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_same_value_is_the_same_however_it_is_written),
      cmocka_unit_test(different_values_differ),
      cmocka_unit_test(a_fingerprint_is_never_nought_but_for_what_is_no_json),
      cmocka_unit_test(what_is_no_json_is_the_same_as_its_bytes_only),
      cmocka_unit_test(small_objects_and_arrays_are_all_different),
      cmocka_unit_test(the_deepest_text_is_read),
      cmocka_unit_test(what_was_redacted_may_have_been_anything),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

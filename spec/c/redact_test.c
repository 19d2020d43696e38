/* redact_test.c - what must not touch the disk, in every place and spelling. */
#include "redact.h"

#include <stdio.h>

#include "counting_alloc.h"
#include "spans.h"

static struct counting_alloc memory;
static struct sync_buffer out;

static const char *const names[] = {"whatsappNumber", "caf\xc3\xa9", "a\"b", ""};
static const struct sync_redact redact = {names, COUNT_OF(names)};

static int set_up(void **state) {
  (void)state;
  counting_alloc_init(&memory);
  sync_buffer_init(&out, &memory.allocator);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  sync_buffer_fini(&out);
  counting_alloc_check(&memory);
  return 0;
}

static void check_redacted(const char *json, const char *expected) {
  sync_buffer_clear(&out);
  assert_true(sync_redact_append(&redact, span_of(json), &out));
  check_span(sync_buffer_span(&out), expected);
}

static void check_untouched(const char *json) {
  check_redacted(json, json);
}

/* ---- what goes --------------------------------------------------------------------------------------------------- */

static void values_of_every_kind_go(void **state) {
  (void)state;
  static const char *const values[] = {"\"+49 151 1\"", "\"\"", "\"a\\\"b\"", "1",   "-1.5e+3",
                                       "true",          "null", "{}",         "[]",  "{\"a\":[1,{\"b\":2}]}",
                                       "[[1],[2]]",     "0",    "false",      "[ ]", "{ \"whatsappNumber\" : 1 }"};
  for (size_t i = 0; i < COUNT_OF(values); i++) {
    char json[200], expected[200];
    (void)snprintf(json, sizeof json, " { \"a\":1, \"whatsappNumber\" : %s , \"z\":2 } ", values[i]);
    (void)snprintf(expected, sizeof expected, " { \"a\":1, \"whatsappNumber\" : \"[redacted]\" , \"z\":2 } ");
    check_redacted(json, expected);
    (void)snprintf(json, sizeof json, "{\"whatsappNumber\":%s}", values[i]);
    check_redacted(json, "{\"whatsappNumber\":\"[redacted]\"}");
  }
}

static void they_go_wherever_they_are(void **state) {
  (void)state;
  check_redacted("{\"data\":{\"order\":{\"whatsappNumber\":1,\"id\":2}},\"whatsappNumber\":3}",
                 "{\"data\":{\"order\":{\"whatsappNumber\":\"[redacted]\",\"id\":2}},\"whatsappNumber\":"
                 "\"[redacted]\"}");
  check_redacted("[{\"whatsappNumber\":1},[{\"whatsappNumber\":[2]}],3]",
                 "[{\"whatsappNumber\":\"[redacted]\"},[{\"whatsappNumber\":\"[redacted]\"}],3]");
}

static void all_of_one_name_go(void **state) {
  (void)state;
  check_redacted("{\"whatsappNumber\":1,\"whatsappNumber\":2,\"\\u0077hatsappNumber\":3}",
                 "{\"whatsappNumber\":\"[redacted]\",\"whatsappNumber\":\"[redacted]\","
                 "\"\\u0077hatsappNumber\":\"[redacted]\"}");
}

static void names_are_compared_without_their_escapes(void **state) {
  (void)state;
  check_redacted("{\"whatsapp\\u004Eumber\":1}", "{\"whatsapp\\u004Eumber\":\"[redacted]\"}");
  check_redacted("{\"caf\xc3\xa9\":1,\"caf\\u00e9\":2}",
                 "{\"caf\xc3\xa9\":\"[redacted]\",\"caf\\u00e9\":\"[redacted]\"}");
  check_redacted("{\"a\\\"b\":1,\"\\u0061\\u0022b\":2}",
                 "{\"a\\\"b\":\"[redacted]\",\"\\u0061\\u0022b\":\"[redacted]\"}");
  check_redacted("{\"\":1}", "{\"\":\"[redacted]\"}");
}

/* ---- what stays -------------------------------------------------------------------------------------------------- */

static void everything_else_stays_as_it_is_written(void **state) {
  (void)state;
  static const char *const texts[] = {
      "{}",
      "[]",
      "0",
      "\"whatsappNumber\"",
      " [ \"whatsappNumber\" , { \"a\" : \"whatsappNumber\" } ]\r\n\t",
      "{\"whatsappnumber\":1,\"whatsappNumber2\":2,\"hatsappNumber\":3,\"whatsappNumber\\u0000\":4,\"\\u0000\":5}",
      "{\"a\":\"{\\\"whatsappNumber\\\":1}\"}",
      "{\"a\\\\\\\"b\":1,\"cafe\":1.0E-7,\"c\":12345678901234567890}",
  };
  for (size_t i = 0; i < COUNT_OF(texts); i++) check_untouched(texts[i]);
}

static void what_is_no_json_is_left_out(void **state) {
  (void)state;
  static const char *const texts[] = {
      "",
      " ",
      "whatsappNumber: 1",
      "{\"whatsappNumber\":1",
      "{\"whatsappNumber\":}",
      "{\"whatsappNumber\"}",
      "{\"whatsappNumber\":1}}",
      "{\"whatsappNumber\":1} {}",
      "{\"a\":1,\"whatsappNumber\":{\"b\":}}",
      "{\"a\":1,\"whatsappNumber\":\"\\x\"}",
      "{\"whatsappNumber\":1,}",
      "{\"whatsappNumber\":01}",
      "[1,2",
  };
  for (size_t i = 0; i < COUNT_OF(texts); i++) check_redacted(texts[i], "");
  assert_true(sync_redact_append(&redact, (sync_span){NULL, 0}, &out));
  check_span(sync_buffer_span(&out), "");
}

/* `depth` arrays around an object with a name to redact, which is a level too. */
static void check_depth(size_t depth, bool readable) {
  static const char inside[] = "{\"whatsappNumber\":1}";
  static const char outside[] = "{\"whatsappNumber\":\"[redacted]\"}";
  char json[400], expected[400];
  assert_true(2 * depth + sizeof outside <= sizeof json);
  memset(json, '[', depth);
  memset(expected, '[', depth);
  memcpy(json + depth, inside, sizeof inside);
  memcpy(expected + depth, outside, sizeof outside);
  memset(json + depth + sizeof inside - 1, ']', depth);
  memset(expected + depth + sizeof outside - 1, ']', depth);
  json[2 * depth + sizeof inside - 1] = expected[2 * depth + sizeof outside - 1] = '\0';
  check_redacted(json, readable ? expected : "");
}

static void what_is_too_deep_to_read_is_left_out(void **state) {
  (void)state;
  check_depth(0, true);
  check_depth(SYNC_JSON_DEPTH_MAX - 1, true);
  check_depth(SYNC_JSON_DEPTH_MAX, false);
}

static void without_names_all_stays(void **state) {
  (void)state;
  static const struct sync_redact nothing = {NULL, 0};
  assert_true(sync_redact_append(&nothing, SPAN("no JSON"), &out));
  assert_true(sync_redact_append(&nothing, SPAN("{\"whatsappNumber\":1}"), &out));
  check_span(sync_buffer_span(&out), "no JSON{\"whatsappNumber\":1}");
}

/* ---- the buffer -------------------------------------------------------------------------------------------------- */

static void it_is_appended_to_what_is_there(void **state) {
  (void)state;
  assert_true(sync_buffer_append(&out, SPAN("before ")));
  assert_true(sync_redact_append(&redact, SPAN("{\"\\u0077hatsappNumber\":1,\"a\":2}"), &out));
  check_span(sync_buffer_span(&out), "before {\"\\u0077hatsappNumber\":\"[redacted]\",\"a\":2}");
  assert_true(sync_redact_append(&redact, SPAN("{\"whatsappNumber\":1,\"a\":"), &out));
  check_span(sync_buffer_span(&out), "before {\"\\u0077hatsappNumber\":\"[redacted]\",\"a\":2}");
}

static void without_memory_the_buffer_is_as_it_was(void **state) {
  (void)state;
  static const char json[] =
      "{\"a\":\"0123456789012345678901234567890123456789012345678901234567890123456789\","
      "\"whatsappNumber\":\"0123456789\",\"\\u0077hatsappNumber0123456789012345678901234567890"
      "1234567890123456789012345678901234567890123456789012345678901234567890123456789\":1,"
      "\"b\":\"012345678901234567890123456789012345678901234567890123456789012345678901234567\"}";
  size_t nth = 1;
  for (;; nth++) {
    sync_buffer_fini(&out);
    assert_true(sync_buffer_append(&out, SPAN("kept")));
    counting_alloc_refuse(&memory, nth, 1);
    memory.refused = 0;
    bool done = sync_redact_append(&redact, SPAN(json), &out);
    counting_alloc_allow(&memory);
    if (memory.refused == 0) break;
    assert_false(done);
    check_span(sync_buffer_span(&out), "kept");
  }
  assert_true(nth > 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(values_of_every_kind_go),
      TEST(they_go_wherever_they_are),
      TEST(all_of_one_name_go),
      TEST(names_are_compared_without_their_escapes),
      TEST(everything_else_stays_as_it_is_written),
      TEST(what_is_no_json_is_left_out),
      TEST(what_is_too_deep_to_read_is_left_out),
      TEST(without_names_all_stays),
      TEST(it_is_appended_to_what_is_there),
      TEST(without_memory_the_buffer_is_as_it_was),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

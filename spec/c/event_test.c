/* event_test.c - from a message to an event: which fields count, in each mode; the record and its texts. */
#include "event.h"

#include <stdio.h>

#include "counting_alloc.h"
#include "spans.h"

static struct counting_alloc memory;
static struct sync_segment_pool *pool;
static struct sync_segments segments;
static struct sync_event_names names;
static struct sync_envelope envelope;
static size_t at_byte;

static int set_up(void **state) {
  (void)state;
  sync_options options;
  counting_alloc_init(&memory);
  pool = sync_segment_pool_new(&memory.allocator);
  sync_segments_init(&segments, pool);
  sync_options_init(&options);
  sync_event_names_init(&names, &options);
  return pool ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  sync_segments_fini(&segments);
  sync_segment_pool_free(pool);
  counting_alloc_check(&memory);
  return 0;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static struct sync_sse_message message_of(sync_span data) {
  return (struct sync_sse_message){.type = SPAN("sse_type"), .data = data, .id = SPAN("id-7")};
}

/* Opens a message with this data to its end: whether it is what `decode` wants. */
static bool opens(sync_decode decode, sync_span data) {
  const struct sync_sse_message message = message_of(data);
  at_byte = SIZE_MAX;
  return sync_event_look(&names, decode, &message, &envelope, &at_byte) &&
         sync_event_check(&names, decode, &message, &envelope, &at_byte);
}

static void check_envelope(const char *json, const char *type, const char *order_id, const char *timestamp,
                           const char *data) {
  assert_true(opens(SYNC_DECODE_ORDER, span_of(json)));
  check_span(envelope.type, type);
  check_span(envelope.order_id, order_id);
  check_span(envelope.timestamp, timestamp);
  check_span(envelope.data, data);
}

static void the_wire_of_the_design_is_understood(void **state) {
  (void)state;
  check_envelope("{\"eventType\":\"stage_change\",\"data\":{\"newStage\":\"open\"},\"orderID\":\"ORDER-001\","
                 "\"timestamp\":\"2026-11-22T10:00:01.000Z\"}",
                 "stage_change", "ORDER-001", "2026-11-22T10:00:01.000Z", "{\"newStage\":\"open\"}");
}

static void each_spelling_counts_wherever_it_stands(void **state) {
  (void)state;
  check_envelope(" { \"event_type\" : \"a\" , \"orderId\" : \"1\" } ", "a", "1", "",
                 " { \"event_type\" : \"a\" , \"orderId\" : \"1\" } ");
  check_envelope("{\"order_id\":\"1\",\"x\":[{}],\"data\":null,\"eventType\":\"a\"}", "a", "1", "", "null");
  check_envelope("{\"data\":[1,{\"orderID\":\"no\"}],\"orderID\":\"yes\"}", "sse_type", "yes", "",
                 "[1,{\"orderID\":\"no\"}]");
  check_envelope("{\"data\":\"text \\\" with a quote\"}", "sse_type", "", "", "\"text \\\" with a quote\"");
  check_envelope("{\"data\":-1.5e3 }", "sse_type", "", "", "-1.5e3");
}

static void names_are_exact(void **state) {
  (void)state;
  check_envelope("{\"eventtype\":\"a\",\"orderid\":\"1\",\"Data\":1,\"eventTypes\":\"b\",\"\":\"c\"}", "sse_type", "",
                 "", "{\"eventtype\":\"a\",\"orderid\":\"1\",\"Data\":1,\"eventTypes\":\"b\",\"\":\"c\"}");
}

static void without_fields_the_whole_is_the_data(void **state) {
  (void)state;
  static const char *const texts[] = {"{}", "[]", "[{\"orderID\":\"1\"}]", "\"orderID\"", "17", "null", " true "};
  for (size_t i = 0; i < COUNT_OF(texts); i++) check_envelope(texts[i], "sse_type", "", "", texts[i]);
}

static void an_id_that_is_a_number_stands_for_its_text(void **state) {
  (void)state;
  check_envelope("{\"orderID\":9007199254740993,\"timestamp\":1718000000000,\"data\":1}", "sse_type",
                 "9007199254740993", "1718000000000", "1");
  check_envelope("{\"orderID\":-0.5e1,\"data\":1}", "sse_type", "-0.5e1", "", "1");
}

static void values_of_another_kind_name_nothing(void **state) {
  (void)state;
  static const char *const values[] = {"null", "true", "false", "{\"a\":1}", "[\"1\"]", "\"\""};
  char json[128];
  for (size_t i = 0; i < COUNT_OF(values); i++) {
    int length = snprintf(json, sizeof json, "{\"eventType\":%s,\"orderID\":%s,\"timestamp\":%s,\"data\":0}", values[i],
                          values[i], values[i]);
    assert_in_range(length, 1, sizeof json - 1);
    check_envelope(json, "sse_type", "", "", "0");
  }
  check_envelope("{\"eventType\":3,\"orderID\":null,\"orderId\":\"2\",\"data\":0}", "sse_type", "2", "", "0");
}

/* With a name mapped, the default ones of that role mean nothing any more. */
static void names_can_be_mapped_each_for_itself(void **state) {
  (void)state;
  sync_options options;
  sync_options_init(&options);
  options.field_type = "kind";
  options.field_data = "payload";
  sync_event_names_init(&names, &options);
  check_envelope(
      "{\"eventType\":\"no\",\"kind\":\"yes\",\"data\":1,\"payload\":2,\"order_id\":\"3\",\"timestamp\":\"4\"}", "yes",
      "3", "4", "2");
  options.field_order_id = "ticket";
  options.field_timestamp = "at";
  sync_event_names_init(&names, &options);
  check_envelope("{\"order_id\":\"3\",\"ticket\":\"5\",\"timestamp\":\"4\",\"at\":\"6\"}", "sse_type", "5", "6",
                 "{\"order_id\":\"3\",\"ticket\":\"5\",\"timestamp\":\"4\",\"at\":\"6\"}");
}

static void other_modes_do_not_look_into_it(void **state) {
  (void)state;
  static const char json[] = "{\"eventType\":\"a\",\"orderID\":\"1\",\"timestamp\":\"t\",\"data\":1}";
  static const sync_decode modes[] = {SYNC_DECODE_JSON, SYNC_DECODE_NONE};
  for (size_t i = 0; i < COUNT_OF(modes); i++) {
    assert_true(opens(modes[i], span_of(json)));
    check_span(envelope.type, "sse_type");
    check_span(envelope.order_id, "");
    check_span(envelope.timestamp, "");
    check_span(envelope.data, json);
  }
}

static void text_is_no_json_and_need_not_be(void **state) {
  (void)state;
  assert_true(opens(SYNC_DECODE_NONE, SPAN("no JSON {")));
  assert_true(opens(SYNC_DECODE_NONE, SPAN("")));
  assert_false(opens(SYNC_DECODE_JSON, SPAN("no JSON {")));
  assert_int_equal(at_byte, 1);
  assert_false(opens(SYNC_DECODE_JSON, SPAN("")));
  assert_int_equal(at_byte, 0);
}

static void bad_json_is_told_with_its_first_wrong_byte(void **state) {
  (void)state;
  static const struct {
    const char *json;
    size_t at_byte;
  } cases[] = {
      {"", 0},
      {"x", 0},
      {"{", 1},
      {"{\"a\":1", 6},
      {"{\"a\":1,}", 7},
      {"{\"a\" 1}", 5},
      {"{a:1}", 1},
      {"{\"orderID\":\"1\"} x", 16},
      {"{\"orderID\":\"1\",\"eventType\":\"a\",\"data\":tru}", 41},
      {"{\"orderID\":\"1\",\"eventType\":\"a\",\"data\":{\"x\":}}", 43},
      {"{\"orderID\":\"1\",\"eventType\":\"a\"} {}", 32},
      {"[1,2", 4},
      {"[1 2]", 3},
      {"\"open", 5},
      {"17 18", 3},
      {"nul", 3},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    assert_false(opens(SYNC_DECODE_ORDER, span_of(cases[i].json)));
    if (at_byte != cases[i].at_byte) fail_msg("%s: wrong at %zu, not %zu", cases[i].json, cases[i].at_byte, at_byte);
  }
}

/* The first look stops when it knows whom the event is for; it does not see what is wrong behind that. */
static void a_look_goes_as_far_as_the_addressee(void **state) {
  (void)state;
  const struct sync_sse_message message = message_of(SPAN("{\"orderID\":\"1\",\"eventType\":\"a\",\"data\":nonsense"));
  assert_true(sync_event_look(&names, SYNC_DECODE_ORDER, &message, &envelope, &at_byte));
  check_span(envelope.type, "a");
  check_span(envelope.order_id, "1");
  assert_false(sync_event_check(&names, SYNC_DECODE_ORDER, &message, &envelope, &at_byte));
  assert_int_equal(at_byte, 39);
}

/* ---- the record -------------------------------------------------------------------------------------------------- */

static sync_event *record(const char *json) {
  const struct sync_sse_message message = message_of(span_of(json));
  assert_true(opens(SYNC_DECODE_ORDER, message.data));
  return sync_event_new(&segments, &message, &envelope, 42, 1718000000000);
}

static void a_record_has_its_own_copy_of_everything(void **state) {
  (void)state;
  char json[] = "{\"eventType\":\"a\",\"orderID\":\"1\",\"timestamp\":\"t\",\"data\":{\"x\":1}}";
  char id[] = "id-1";
  struct sync_sse_message message = {.type = SPAN("sse_type"), .data = span_of(json), .id = span_of(id)};
  assert_true(sync_event_look(&names, SYNC_DECODE_ORDER, &message, &envelope, &at_byte));
  assert_true(sync_event_check(&names, SYNC_DECODE_ORDER, &message, &envelope, &at_byte));
  sync_event *event = sync_event_new(&segments, &message, &envelope, 42, 1718000000000);
  memset(json, '?', sizeof json);
  memset(id, '?', sizeof id);
  check_span(sync_event_text(event, SYNC_EVENT_TYPE), "a");
  check_span(sync_event_text(event, SYNC_EVENT_ORDER_ID), "1");
  check_span(sync_event_text(event, SYNC_EVENT_ID), "id-1");
  check_span(sync_event_text(event, SYNC_EVENT_TIMESTAMP), "t");
  check_span(sync_event_text(event, SYNC_EVENT_DATA), "{\"x\":1}");
  check_span(sync_event_text(event, SYNC_EVENT_RAW),
             "{\"eventType\":\"a\",\"orderID\":\"1\",\"timestamp\":\"t\",\"data\":{\"x\":1}}");
  assert_int_equal(sync_event_seq(event), 42);
  assert_int_equal(sync_event_received_at_ms(event), 1718000000000);
  sync_event_release(event);
}

static void escapes_are_undone_in_names_that_are_compared(void **state) {
  (void)state;
  sync_event *event =
      record("{\"eventType\":\"st\\u0061ge\\/change\",\"orderID\":\"\\u00c4-\\ud83d\\ude00\\n\\\"1\\\"\","
             "\"data\":\"\\u0061\"}");
  check_span(sync_event_text(event, SYNC_EVENT_TYPE), "stage/change");
  check_span(sync_event_text(event, SYNC_EVENT_ORDER_ID), "\xc3\x84-\xf0\x9f\x98\x80\n\"1\"");
  check_span(sync_event_text(event, SYNC_EVENT_DATA), "\"\\u0061\""); /* JSON text stays JSON text */
  sync_event_release(event);
}

/* Encoders of .NET write `+` as \u002B, so that this is what a time zone looks like on the wire. */
static void escapes_are_undone_in_the_timestamp(void **state) {
  (void)state;
  sync_event *event = record("{\"orderID\":\"1\",\"timestamp\":\"2026-11-22T10:00:00\\u002B01:00\",\"data\":1}");
  check_span(sync_event_text(event, SYNC_EVENT_TIMESTAMP), "2026-11-22T10:00:00+01:00");
  sync_event_release(event);
}

static void texts_that_are_missing_are_empty(void **state) {
  (void)state;
  const struct sync_sse_message message = {.type = SPAN("message"), .data = SPAN(""), .id = SPAN("")};
  assert_true(sync_event_look(&names, SYNC_DECODE_NONE, &message, &envelope, &at_byte));
  sync_event *event = sync_event_new(&segments, &message, &envelope, 1, 0);
  check_span(sync_event_text(event, SYNC_EVENT_TYPE), "message");
  for (int field = SYNC_EVENT_ORDER_ID; field <= SYNC_EVENT_RAW; field++)
    check_span(sync_event_text(event, (sync_event_field)field), "");
  sync_event_release(event);
}

static void bytes_of_any_kind_are_kept(void **state) {
  (void)state;
  const struct sync_sse_message message = {.type = SPAN("t\0t"), .data = SPAN("d\0d"), .id = SPAN("i\xff")};
  assert_true(sync_event_look(&names, SYNC_DECODE_NONE, &message, &envelope, &at_byte));
  sync_event *event = sync_event_new(&segments, &message, &envelope, 1, 0);
  assert_memory_equal(sync_event_text(event, SYNC_EVENT_TYPE).bytes, "t\0t", 3);
  assert_memory_equal(sync_event_text(event, SYNC_EVENT_DATA).bytes, "d\0d", 3);
  assert_memory_equal(sync_event_text(event, SYNC_EVENT_RAW).bytes, "d\0d", 3);
  check_span(sync_event_text(event, SYNC_EVENT_ID), "i\xff");
  sync_event_release(event);
}

/* Many records of growing size, all of them intact at the end: none writes into its neighbour. */
static void records_do_not_touch_each_other(void **state) {
  (void)state;
  static sync_event *events[400];
  char json[512];
  for (int i = 0; i < 400; i++) {
    int length = snprintf(json, sizeof json,
                          "{\"eventType\":\"\\u0061%d\",\"orderID\":\"\\u0062%d\",\"data\":\"%0*d\"}", i, i, i + 1, i);
    assert_in_range(length, 1, sizeof json - 1);
    events[i] = record(json);
  }
  for (int i = 0; i < 400; i++) {
    (void)snprintf(json, sizeof json, "a%d", i);
    check_span(sync_event_text(events[i], SYNC_EVENT_TYPE), json);
    json[0] = 'b';
    check_span(sync_event_text(events[i], SYNC_EVENT_ORDER_ID), json);
    (void)snprintf(json, sizeof json, "\"%0*d\"", i + 1, i);
    check_span(sync_event_text(events[i], SYNC_EVENT_DATA), json);
    sync_event_release(events[i]);
  }
}

static void a_record_that_was_only_looked_at_is_completed_later(void **state) {
  (void)state;
  const struct sync_sse_message message =
      message_of(SPAN("{\"orderID\":\"\\u0031\",\"eventType\":\"a\",\"timestamp\":\"t\",\"data\":{\"x\":1}}"));
  assert_true(sync_event_look(&names, SYNC_DECODE_ORDER, &message, &envelope, &at_byte));
  sync_event *event = sync_event_new(&segments, &message, &envelope, 1, 0);
  sync_event_complete(event, &names, SYNC_DECODE_ORDER);
  sync_event_complete(event, &names, SYNC_DECODE_ORDER);
  check_span(sync_event_text(event, SYNC_EVENT_TYPE), "a");
  check_span(sync_event_text(event, SYNC_EVENT_ORDER_ID), "1");
  check_span(sync_event_text(event, SYNC_EVENT_TIMESTAMP), "t");
  check_span(sync_event_text(event, SYNC_EVENT_DATA), "{\"x\":1}");
  sync_event_release(event);
}

static void bad_json_that_was_only_looked_at_stays_as_it_came(void **state) {
  (void)state;
  const struct sync_sse_message message = message_of(SPAN("{\"orderID\":\"1\",\"eventType\":\"a\",\"data\":{"));
  assert_true(sync_event_look(&names, SYNC_DECODE_ORDER, &message, &envelope, &at_byte));
  sync_event *event = sync_event_new(&segments, &message, &envelope, 1, 0);
  sync_event_complete(event, &names, SYNC_DECODE_ORDER);
  check_span(sync_event_text(event, SYNC_EVENT_DATA), "{\"orderID\":\"1\",\"eventType\":\"a\",\"data\":{");
  sync_event_release(event);
}

static void an_event_lives_as_long_as_its_last_reference(void **state) {
  (void)state;
  sync_event *event = record("{\"orderID\":\"1\"}");
  sync_event *neighbour = record("{\"orderID\":\"2\"}");
  assert_ptr_equal(sync_event_home(event), sync_event_home(neighbour));
  sync_event_retain(event);
  sync_event_release(neighbour);
  sync_segments_fini(&segments);
  sync_event_release(event);
  check_span(sync_event_text(event, SYNC_EVENT_ORDER_ID), "1");
  sync_event_release(event);
}

static void without_memory_there_is_no_record(void **state) {
  (void)state;
  counting_alloc_refuse(&memory, 1, 1);
  assert_null(record("{\"orderID\":\"1\"}"));
  sync_event *event = record("{\"orderID\":\"1\"}");
  assert_non_null(event);
  sync_event_release(event);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(the_wire_of_the_design_is_understood),
      TEST(each_spelling_counts_wherever_it_stands),
      TEST(names_are_exact),
      TEST(without_fields_the_whole_is_the_data),
      TEST(an_id_that_is_a_number_stands_for_its_text),
      TEST(values_of_another_kind_name_nothing),
      TEST(names_can_be_mapped_each_for_itself),
      TEST(other_modes_do_not_look_into_it),
      TEST(text_is_no_json_and_need_not_be),
      TEST(bad_json_is_told_with_its_first_wrong_byte),
      TEST(a_look_goes_as_far_as_the_addressee),
      TEST(a_record_has_its_own_copy_of_everything),
      TEST(escapes_are_undone_in_names_that_are_compared),
      TEST(escapes_are_undone_in_the_timestamp),
      TEST(texts_that_are_missing_are_empty),
      TEST(bytes_of_any_kind_are_kept),
      TEST(records_do_not_touch_each_other),
      TEST(a_record_that_was_only_looked_at_is_completed_later),
      TEST(bad_json_that_was_only_looked_at_stays_as_it_came),
      TEST(an_event_lives_as_long_as_its_last_reference),
      TEST(without_memory_there_is_no_record),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* wire_test.c - events that we write ourselves: what event.c and change.c read of them is what was meant. */
#include <stdio.h>

#include "change.h"
#include "counting_alloc.h"
#include "json.h"
#include "records.h"
#include "wire.h"

#define NOON_MS INT64_C(1700000000007)

static struct counting_alloc memory;
static struct sync_event_names names;
static struct sync_buffer out;
static struct sync_envelope envelope; /* of what was written last */

static int set_up(void **state) {
  (void)state;
  sync_options options;
  counting_alloc_init(&memory);
  sync_options_init(&options);
  sync_event_names_init(&names, &options);
  sync_buffer_init(&out, &memory.allocator);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  sync_buffer_fini(&out);
  counting_alloc_check(&memory);
  return 0;
}

static void write_event(sync_span type, sync_span order_id, int64_t at_ms, const char *data) {
  sync_buffer_clear(&out);
  assert_true(sync_wire_event(&out, &names, type, order_id, at_ms, span_of(data)));
}

/* Reads what was written as if the server had sent it. */
static void read_event(void) {
  const struct sync_sse_message message = {.type = SPAN("message"), .data = sync_buffer_span(&out)};
  size_t at_byte;
  assert_true(sync_event_look(&names, SYNC_DECODE_ORDER, &message, &envelope, &at_byte));
  assert_true(sync_event_check(&names, SYNC_DECODE_ORDER, &message, &envelope, &at_byte));
}

/* ---- strings ----------------------------------------------------------------------------------------------------- */

/* The string that was written stands for `text`, and is one that JSON allows. */
static void check_string(sync_span text) {
  char plain[1024];
  size_t at_byte;
  sync_json json;
  sync_json_token token;
  sync_buffer_clear(&out);
  assert_true(sync_wire_string(&out, text));
  assert_true(sync_json_valid(sync_buffer_span(&out), &at_byte));
  sync_json_init(&json, sync_buffer_span(&out));
  assert_int_equal(sync_json_next(&json, &token), SYNC_JSON_STRING);
  assert_in_range(token.text.length, 0, sizeof plain);
  size_t length = token.escaped ? sync_json_unescape(token.text, plain) : token.text.length;
  if (!token.escaped && length > 0) memcpy(plain, token.text.bytes, length);
  assert_int_equal(length, text.length);
  if (length > 0) assert_memory_equal(plain, text.bytes, length);
}

static void every_byte_survives_alone_and_between_others(void **state) {
  (void)state;
  for (unsigned byte = 0; byte < 256; byte++) {
    const char text[] = {'a', (char)byte, 'z', (char)byte};
    check_string((sync_span){text + 1, 1});
    check_string((sync_span){text, 3});
    check_string((sync_span){text + 1, 3});
  }
}

static void all_bytes_in_a_row_survive(void **state) {
  (void)state;
  char text[128];
  for (size_t i = 0; i < sizeof text; i++) text[i] = (char)i;
  check_string((sync_span){text, sizeof text});
  check_string((sync_span){text, 0});
}

static void only_what_must_be_escaped_is(void **state) {
  (void)state;
  assert_true(sync_wire_string(&out, SPAN("\"\\/\b\n\x1f \x7f\xe2\x82\xac")));
  check_span(sync_buffer_span(&out), "\"\\\"\\\\/\\u0008\\u000a\\u001f \x7f\xe2\x82\xac\"");
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static void an_event_is_written_as_the_server_does(void **state) {
  (void)state;
  write_event(SPAN("stage_change"), SPAN("ORDER-1"), NOON_MS, "{\"newStage\":\"paid\"}");
  check_span(sync_buffer_span(&out), "{\"eventType\":\"stage_change\",\"orderID\":\"ORDER-1\","
                                     "\"timestamp\":\"2023-11-14T22:13:20.007Z\",\"data\":{\"newStage\":\"paid\"}}");
}

static void an_event_without_an_order_has_no_order_id(void **state) {
  (void)state;
  write_event(SPAN("polling_data_refresh"), SPAN(""), 0, "{}");
  check_span(sync_buffer_span(&out),
             "{\"eventType\":\"polling_data_refresh\",\"timestamp\":\"1970-01-01T00:00:00.000Z\",\"data\":{}}");
  read_event();
  assert_int_equal(envelope.order_id.length, 0);
}

/* The names are the user's, whatever is in them. */
static void mapped_names_are_written_and_read_again(void **state) {
  (void)state;
  sync_options options;
  sync_options_init(&options);
  options.field_type = "kind";
  options.field_order_id = "number \"of\" it";
  options.field_timestamp = "at";
  options.field_data = "was";
  sync_event_names_init(&names, &options);
  write_event(SPAN("order_created"), SPAN("7"), NOON_MS, "[1]");
  check_span(sync_buffer_span(&out), "{\"kind\":\"order_created\",\"number \\\"of\\\" it\":\"7\","
                                     "\"at\":\"2023-11-14T22:13:20.007Z\",\"was\":[1]}");
  options.field_order_id = "number";
  sync_event_names_init(&names, &options);
  write_event(SPAN("order_created"), SPAN("7"), NOON_MS, "[1]");
  read_event();
  check_span(envelope.type, "order_created");
  check_span(envelope.order_id, "7");
  check_span(envelope.timestamp, "2023-11-14T22:13:20.007Z");
  check_span(envelope.data, "[1]");
}

/* Days around what calendars are known to get wrong, each to the millisecond. */
static void times_are_read_back_to_the_millisecond(void **state) {
  (void)state;
  static const int64_t times_ms[] = {
      1,
      999,
      1000,
      INT64_C(951782399999), /* 2000-02-28, its last millisecond; and the 29th */
      INT64_C(951868799999),
      INT64_C(1078099199999), /* 2004-02-29 */
      INT64_C(1709251199500), /* 2024-02-29 */
      INT64_C(1735689599999), /* the end of 2024 */
      INT64_C(4107542399999), /* 2100-02-28: no leap year */
      INT64_C(253402300799999),
      NOON_MS,
  };
  for (size_t i = 0; i < COUNT_OF(times_ms); i++) {
    write_event(SPAN("t"), SPAN(""), times_ms[i], "{}");
    read_event();
    assert_int_equal(sync_time_parse(envelope.timestamp), times_ms[i]);
  }
}

/* A record made of it has the texts in plain. */
static void what_event_c_makes_of_it_is_what_was_meant(void **state) {
  (void)state;
  const sync_span ids[] = {SPAN("ORDER-1"), SPAN("a\"b\\c"), SPAN("tab\tnew\nline\x01"), SPAN("\xe2\x82\xac 5")};
  struct sync_segment_pool *pool = sync_segment_pool_new(&memory.allocator);
  struct sync_segments segments;
  sync_segments_init(&segments, pool);
  for (size_t i = 0; i < COUNT_OF(ids); i++) {
    write_event(SPAN("status \"update\""), ids[i], NOON_MS, "{\"a\":[1,{\"b\":null}]}");
    read_event();
    envelope.source = SYNC_SOURCE_POLL;
    const struct sync_sse_message message = {.type = SPAN("message"), .data = sync_buffer_span(&out)};
    sync_event *event = sync_event_new(&segments, &message, &envelope, 1, NOON_MS);
    check_span(sync_event_text(event, SYNC_EVENT_TYPE), "status \"update\"");
    sync_span id = sync_event_text(event, SYNC_EVENT_ORDER_ID);
    assert_int_equal(id.length, ids[i].length);
    assert_memory_equal(id.bytes, ids[i].bytes, id.length);
    check_span(sync_event_text(event, SYNC_EVENT_DATA), "{\"a\":[1,{\"b\":null}]}");
    assert_int_equal(sync_event_source(event), SYNC_SOURCE_POLL);
    sync_event_release(event);
  }
  sync_segments_fini(&segments);
  sync_segment_pool_free(pool);
}

/* ... and the news in it is the order that it was made of. */
static void what_change_c_makes_of_it_is_the_order_it_was_made_of(void **state) {
  (void)state;
  struct sync_order_names order_names;
  struct sync_change_reader reader;
  struct sync_change change;
  sync_order_names_init(&order_names);
  sync_change_reader_init(&reader, &memory.allocator, &order_names);
  write_event(
      SPAN("stage_change"), SPAN("O-1"), NOON_MS,
      "{\"previousStage\":\"open\",\"newStage\":\"paid\",\"order\":{\"orderID\":\"O-1\",\"orderStage\":\"paid\"}}");
  read_event();
  const struct sync_news news = {envelope.type, envelope.order_id, envelope.timestamp, envelope.data};
  (void)sync_change_read(&reader, &news, &change);
  check_span(change.order_id, "O-1");
  check_span(change.previous_stage, "open");
  assert_int_equal(change.at_ms, NOON_MS);
  assert_false(change.deleted);
  assert_non_null(strstr(change.patch.bytes, "\"orderStage\":\"paid\""));
  write_event(SPAN("order_deleted"), SPAN("O-1"), NOON_MS, "{}");
  read_event();
  const struct sync_news deletion = {envelope.type, envelope.order_id, envelope.timestamp, envelope.data};
  (void)sync_change_read(&reader, &deletion, &change);
  check_span(change.order_id, "O-1");
  assert_true(change.deleted);
  sync_change_reader_fini(&reader);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void without_memory_it_says_so(void **state) {
  (void)state;
  char data[2048];
  memset(data, ' ', sizeof data);
  (void)snprintf(data + sizeof data - 3, 3, "{}");
  for (size_t nth = 1;; nth++) {
    sync_buffer_fini(&out);
    counting_alloc_refuse(&memory, nth, 1);
    bool whole = sync_wire_event(&out, &names, SPAN("a \"type\""), SPAN("an\tid"), NOON_MS, span_of(data));
    counting_alloc_allow(&memory);
    if (whole) {
      assert_true(nth > 2);
      break;
    }
  }
  read_event();
  check_span(envelope.data, "{}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(every_byte_survives_alone_and_between_others),
      TEST(all_bytes_in_a_row_survive),
      TEST(only_what_must_be_escaped_is),
      TEST(an_event_is_written_as_the_server_does),
      TEST(an_event_without_an_order_has_no_order_id),
      TEST(mapped_names_are_written_and_read_again),
      TEST(times_are_read_back_to_the_millisecond),
      TEST(what_event_c_makes_of_it_is_what_was_meant),
      TEST(what_change_c_makes_of_it_is_the_order_it_was_made_of),
      TEST(without_memory_it_says_so),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

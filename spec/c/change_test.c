/* change_test.c - how events of the wire are read as news about orders: what each type says, what belongs to the order.
 */
#include "change.h"

#include "counting_alloc.h"
#include "spans.h"

static struct counting_alloc memory;
static struct sync_order_names names;
static struct sync_change_reader reader;
static struct sync_change change;

static int set_up(void **state) {
  (void)state;
  counting_alloc_init(&memory);
  sync_order_names_init(&names);
  sync_change_reader_init(&reader, &memory.allocator, &names);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  sync_change_reader_fini(&reader);
  counting_alloc_check(&memory);
  return 0;
}

static enum sync_change_outcome read_event(const char *type, const char *order_id, const char *data) {
  struct sync_news news = {span_of(type), span_of(order_id), SPAN("1970-01-01T00:00:05Z"), span_of(data)};
  return sync_change_read(&reader, &news, &change);
}

static void check_patch(const char *type, const char *data, const char *patch) {
  assert_int_equal(read_event(type, "A", data), SYNC_CHANGE_READ);
  check_span(change.order_id, "A");
  check_span(change.patch, patch);
  assert_false(change.deleted);
  assert_false(change.whole);
  assert_int_equal(change.at_ms, 5000);
  assert_int_equal(change.source, SYNC_SOURCE_STREAM);
}

static void check_silent(const char *type, const char *order_id, const char *data) {
  if (read_event(type, order_id, data) != SYNC_CHANGE_NONE)
    fail_msg("%s of '%s' with %s is news", type, order_id, data);
}

/* ---- types ------------------------------------------------------------------------------------------------------- */

static void a_stage_change_sets_the_stage(void **state) {
  (void)state;
  check_patch("stage_change", "{\"previousStage\":\"initiated\",\"newStage\":\"open\"}", "{\"orderStage\":\"open\"}");
  check_span(change.previous_stage, "initiated");
  check_patch("order_stage_change", "{\"previous_stage\":\"\\u006fpen\",\"new_stage\":\"bill\\u0065d\"}",
              "{\"orderStage\":\"bill\\u0065d\"}");
  check_span(change.previous_stage, "open");
  check_patch("stage_change", "{\"newStage\":\"open\"}", "{\"orderStage\":\"open\"}");
  check_span(change.previous_stage, "");
}

static void payments_and_states_have_several_spellings(void **state) {
  (void)state;
  check_patch("payment_update", "{\"previousStatus\":\"pending\",\"newStatus\":\"paid\"}",
              "{\"paymentStatus\":\"paid\"}");
  check_patch("payment_update", "{\"new_status\":\"paid\"}", "{\"paymentStatus\":\"paid\"}");
  check_patch("payment_update", "{\"paymentStatus\":\"cash\"}", "{\"paymentStatus\":\"cash\"}");
  check_patch("payment_update", "{\"status\":\"failed\"}", "{\"paymentStatus\":\"failed\"}");
  check_patch("status_update", "{\"newStatus\":\"ready\"}", "{\"overallStatus\":\"ready\"}");
  check_patch("status_update", "{\"overallStatus\":\"ready\"}", "{\"overallStatus\":\"ready\"}");
  check_patch("status_update", "{\"status\":\"ready\",\"newStatus\":null}", "{\"overallStatus\":\"ready\"}");
  check_patch("status_update", "{\"status\":7}", "{\"overallStatus\":7}");
  check_span(change.previous_stage, "");
}

static void flags_are_set_and_what_comes_with_them_is_not_the_orders(void **state) {
  (void)state;
  check_patch("qr_generated", "{\"qrCode\":\"data:image/png;base64,AAAA\"}", "{\"qrCodeGenerated\":true}");
  check_patch("whatsapp_connected", "null", "{\"whatsappLinked\":true}");
  check_patch("qr_generated", "{\"order\":{\"qrCodeGenerated\":false,\"n\":1}}", "{\"n\":1,\"qrCodeGenerated\":true}");
}

static void a_new_order_may_be_data_itself_or_nothing_but_an_id(void **state) {
  (void)state;
  check_patch("order_created", "{\"order\":{\"orderID\":\"A\",\"n\":1}}", "{\"orderID\":\"A\",\"n\":1}");
  check_patch("order_created", "{\"orderID\":\"A\",\"n\":1,\"status\":\"x\"}",
              "{\"orderID\":\"A\",\"n\":1,\"status\":\"x\"}");
  check_patch("order_created", "{}", "{}");
  check_patch("order_created", "", "{}");
  check_patch("order_created", "\"hello\"", "{}");
}

static void a_deletion_says_no_more(void **state) {
  (void)state;
  assert_int_equal(read_event("order_deleted", "A", "{\"order\":{\"n\":1}}"), SYNC_CHANGE_READ);
  assert_true(change.deleted);
  assert_int_equal(change.patch.length, 0);
  assert_int_equal(change.at_ms, 5000);
  assert_int_equal(read_event("order_deleted", "A", ""), SYNC_CHANGE_READ);
  assert_int_equal(read_event("order_deleted", "", "{\"order\":{\"order_id\":\"B\"}}"), SYNC_CHANGE_READ);
  check_span(change.order_id, "B");
}

static void other_types_are_news_if_they_bring_the_order(void **state) {
  (void)state;
  check_patch("table_moved", "{\"order\":{\"table\":7},\"by\":\"x\"}", "{\"table\":7}");
  check_silent("table_moved", "A", "{\"table\":7}");
  check_silent("table_moved", "A", "{\"order\":\"A\"}");
}

static void some_types_are_never_about_an_order(void **state) {
  (void)state;
  static const char *const types[] = {"connected", "heartbeat", "queue_update", "job_progress_update",
                                      "polling_data_refresh"};
  for (size_t i = 0; i < COUNT_OF(types); i++) check_silent(types[i], "A", "{\"order\":{\"n\":1}}");
}

static void an_event_that_says_nothing_is_no_news(void **state) {
  (void)state;
  check_silent("stage_change", "A", "");
  check_silent("stage_change", "A", "{}");
  check_silent("stage_change", "A", "[1]");
  check_silent("stage_change", "A", "{\"order\":{}}");
  check_silent("stage_change", "A", "{\"newStage\":null,\"message\":\"x\"}");
  check_silent("payment_update", "A", "{\"newStatus\":{\"a\":1}}");
}

/* ---- the order in an event --------------------------------------------------------------------------------------- */

static void the_order_is_taken_as_it_is_written(void **state) {
  (void)state;
  static const char data[] =
      "{\"newStage\":\"open\",\"order\": { \"orderStage\" : \"open\", \"newThing\":1, \"message\":\"m\" }}";
  check_patch("stage_change", data, "{ \"orderStage\" : \"open\", \"newThing\":1, \"message\":\"m\" }");
  check_patch("table_moved", data, "{ \"orderStage\" : \"open\", \"newThing\":1, \"message\":\"m\" }");
}

static void what_the_type_says_outdoes_the_order(void **state) {
  (void)state;
  check_patch("stage_change", "{\"newStage\":\"billed\",\"order\":{\"orderStage\":\"open\",\"n\":1}}",
              "{\"n\":1,\"orderStage\":\"billed\"}");
  check_patch("stage_change", "{\"newStage\":\"billed\",\"order\":{}}", "{\"orderStage\":\"billed\"}");
}

static void what_is_about_the_event_is_left_out_of_flat_data(void **state) {
  (void)state;
  check_patch("payment_update",
              "{\"message\":\"m\",\"previousStatus\":1,\"previous_x\":2,\"newStatus\":\"paid\",\"newX\":3,\"order\":"
              "null,\"status\":\"s\","
              "\"totalAmount\":12.50,\"news\":4,\"previously\":5,\"new\":6}",
              "{\"totalAmount\":12.50,\"news\":4,\"previously\":5,\"new\":6,\"paymentStatus\":\"paid\"}");
}

static void an_order_of_another_id_says_nothing_of_this_one(void **state) {
  (void)state;
  check_patch("stage_change", "{\"newStage\":\"open\",\"order\":{\"orderID\":\"B\",\"n\":1}}",
              "{\"orderStage\":\"open\"}");
  check_patch("stage_change", "{\"newStage\":\"open\",\"orderID\":\"B\",\"n\":1}", "{\"orderStage\":\"open\"}");
  check_silent("table_moved", "A", "{\"order\":{\"orderID\":\"B\",\"n\":1}}");
  check_patch("table_moved", "{\"order\":{\"orderID\":\"\\u0041\",\"n\":1}}", "{\"orderID\":\"\\u0041\",\"n\":1}");
}

static void without_an_id_of_its_own_the_event_has_the_orders(void **state) {
  (void)state;
  assert_int_equal(read_event("order_created", "", "{\"order\":{\"orderId\":\"\\u0042\"}}"), SYNC_CHANGE_READ);
  check_span(change.order_id, "B");
  assert_int_equal(read_event("stage_change", "", "{\"newStage\":\"open\",\"order_id\":77}"), SYNC_CHANGE_READ);
  check_span(change.order_id, "77");
  check_span(change.patch, "{\"order_id\":77,\"orderStage\":\"open\"}");
  check_silent("stage_change", "", "{\"newStage\":\"open\"}");
  check_silent("stage_change", "", "{\"newStage\":\"open\",\"order\":{\"orderID\":null}}");
}

static void members_are_called_what_the_wire_calls_them(void **state) {
  (void)state;
  sync_order_names_set(&names, SYNC_ORDER_ID, SPAN("number"));
  sync_order_names_set(&names, SYNC_ORDER_STATUS, SPAN("status"));
  sync_order_names_set(&names, SYNC_ORDER_STAGE, SPAN("newness"));
  check_patch("status_update", "{\"newStatus\":\"ready\",\"status\":\"x\"}", "{\"status\":\"ready\"}");
  check_patch("payment_update", "{\"newStatus\":\"paid\",\"status\":\"ready\"}",
              "{\"status\":\"ready\",\"paymentStatus\":\"paid\"}");
  check_patch("order_created", "{\"newness\":\"open\",\"number\":\"A\"}", "{\"newness\":\"open\",\"number\":\"A\"}");
  assert_int_equal(read_event("stage_change", "", "{\"newStage\":\"open\",\"number\":7}"), SYNC_CHANGE_READ);
  check_span(change.order_id, "7");
  check_span(change.patch, "{\"number\":7,\"newness\":\"open\"}");
  check_silent("stage_change", "", "{\"newStage\":\"open\",\"orderID\":7}");
}

static void a_timestamp_that_is_none_is_unknown(void **state) {
  (void)state;
  struct sync_news news = {SPAN("stage_change"), SPAN("A"), SPAN("soon"), SPAN("{\"newStage\":\"open\"}")};
  assert_int_equal(sync_change_read(&reader, &news, &change), SYNC_CHANGE_READ);
  assert_int_equal(change.at_ms, 0);
  news.timestamp = SPAN("1795341601000");
  assert_int_equal(sync_change_read(&reader, &news, &change), SYNC_CHANGE_READ);
  assert_int_equal(change.at_ms, 1795341601000);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static const char costly[] = "{\"previousStage\":\"\\u0061\",\"newStage\":\"\\u0062\",\"\\u0063\":1,"
                             "\"order\":{\"orderID\":\"\\u0041\",\"\\u0064\":2}}";
static const char costly_patch[] = "{\"orderID\":\"\\u0041\",\"\\u0064\":2,\"orderStage\":\"\\u0062\"}";

static void steady_events_take_no_memory(void **state) {
  (void)state;
  check_patch("stage_change", costly, costly_patch);
  size_t requests = memory.requests;
  for (int i = 0; i < 10; i++) check_patch("stage_change", costly, costly_patch);
  assert_int_equal(memory.requests, requests);
}

static void without_memory_it_says_so_and_reads_the_next(void **state) {
  (void)state;
  size_t failures = 0;
  for (size_t nth = 1;; nth++) {
    sync_change_reader_fini(&reader);
    counting_alloc_refuse(&memory, nth, 1);
    enum sync_change_outcome outcome = read_event("stage_change", "A", costly);
    counting_alloc_allow(&memory);
    if (outcome == SYNC_CHANGE_READ) break;
    assert_int_equal(outcome, SYNC_CHANGE_NO_MEMORY);
    failures++;
    check_patch("stage_change", costly, costly_patch);
  }
  assert_true(failures >= 8); /* two objects with list, table and names; two texts; the patch */
}

static void sources_have_names(void **state) {
  (void)state;
  assert_string_equal(sync_source_name(SYNC_SOURCE_STREAM), "stream");
  assert_string_equal(sync_source_name(SYNC_SOURCE_POLL), "poll");
  assert_string_equal(sync_source_name(SYNC_SOURCE_BACKFILL), "backfill");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(a_stage_change_sets_the_stage),
      TEST(payments_and_states_have_several_spellings),
      TEST(flags_are_set_and_what_comes_with_them_is_not_the_orders),
      TEST(a_new_order_may_be_data_itself_or_nothing_but_an_id),
      TEST(a_deletion_says_no_more),
      TEST(other_types_are_news_if_they_bring_the_order),
      TEST(some_types_are_never_about_an_order),
      TEST(an_event_that_says_nothing_is_no_news),
      TEST(the_order_is_taken_as_it_is_written),
      TEST(what_the_type_says_outdoes_the_order),
      TEST(what_is_about_the_event_is_left_out_of_flat_data),
      TEST(an_order_of_another_id_says_nothing_of_this_one),
      TEST(without_an_id_of_its_own_the_event_has_the_orders),
      TEST(members_are_called_what_the_wire_calls_them),
      TEST(a_timestamp_that_is_none_is_unknown),
      TEST(steady_events_take_no_memory),
      TEST(without_memory_it_says_so_and_reads_the_next),
      TEST(sources_have_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

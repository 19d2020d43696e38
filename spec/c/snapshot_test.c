/* snapshot_test.c - the orders of a snapshot: where the list is, which elements are orders, and what is no snapshot. */
#include "snapshot.h"

#include <stdio.h>

#include "counting_alloc.h"
#include "spans.h"

static struct counting_alloc memory;
static struct sync_order_names names;
static struct sync_snapshot snapshot;

static int set_up(void **state) {
  (void)state;
  counting_alloc_init(&memory);
  sync_order_names_init(&names);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  counting_alloc_check(&memory);
  return 0;
}

static bool open_snapshot(const char *text, size_t *at_byte) {
  return sync_snapshot_init(&snapshot, &memory.allocator, &names, span_of(text), at_byte);
}

/* The snapshot's orders, as "id=json" one behind the other, are `expected`. */
static void check_walk(const char *text, const char *expected) {
  char walked[512] = "";
  size_t at_byte;
  struct sync_change change = {.source = SYNC_SOURCE_POLL, .mark = 7};
  if (!open_snapshot(text, &at_byte)) fail_msg("%s is no snapshot", text);
  while (sync_snapshot_next(&snapshot, &change) == SYNC_SNAPSHOT_ORDER) {
    assert_true(change.whole);
    assert_int_equal(change.mark, 7); /* the caller's */
    size_t length = strlen(walked);
    snprintf(walked + length, sizeof walked - length, "%.*s=%.*s ", (int)change.order_id.length, change.order_id.bytes,
             (int)change.patch.length, change.patch.bytes);
  }
  assert_string_equal(walked, expected);
  assert_int_equal(sync_snapshot_next(&snapshot, &change), SYNC_SNAPSHOT_END);
  sync_snapshot_fini(&snapshot);
}

static void check_none(const char *text, size_t at_byte) {
  size_t told = 99;
  struct sync_change change = {.mark = 0};
  if (open_snapshot(text, &told)) fail_msg("%s is a snapshot", text);
  assert_int_equal(told, at_byte);
  assert_int_equal(sync_snapshot_next(&snapshot, &change), SYNC_SNAPSHOT_END);
  sync_snapshot_fini(&snapshot);
}

static void the_list_is_bare_or_under_one_of_three_names(void **state) {
  (void)state;
  static const char expected[] = "A={\"orderID\":\"A\"} B={\"n\":1,\"orderId\":\"B\"} ";
  check_walk("[{\"orderID\":\"A\"},{\"n\":1,\"orderId\":\"B\"}]", expected);
  check_walk("{\"docs\":[{\"orderID\":\"A\"},{\"n\":1,\"orderId\":\"B\"}]}", expected);
  check_walk("{\"orders\":[{\"orderID\":\"A\"},{\"n\":1,\"orderId\":\"B\"}]}", expected);
  check_walk("{\"data\":[{\"orderID\":\"A\"},{\"n\":1,\"orderId\":\"B\"}]}", expected);
  check_walk(
      " { \"total\" : 2 , \"docs\" : [ {\"orderID\":\"A\"} , {\"n\":1,\"orderId\":\"B\"} ] , \"page\" : {\"n\":[1]} } ",
      expected);
  check_walk("{\"meta\":{\"docs\":[1]},\"data\":{\"docs\":[2]},\"list\":[3],\"orders\":[{\"orderID\":\"A\"},{\"n\":1,"
             "\"orderId\":\"B\"}]}",
             expected);
  assert_int_equal(memory.requests, 0);
}

static void a_list_may_be_empty(void **state) {
  (void)state;
  check_walk("[]", "");
  check_walk("{\"docs\":[]}", "");
}

static void ids_are_plain_text(void **state) {
  (void)state;
  check_walk("[{\"order_id\":7},{\"orderID\":\"\\u0041\\n\"}]", "7={\"order_id\":7} A\n={\"orderID\":\"\\u0041\\n\"} ");
}

static void what_is_no_order_is_passed_over_and_counted(void **state) {
  (void)state;
  check_walk("[1,null,{\"orderID\":\"A\"},{},{\"orderID\":null},{\"orderID\":\"\"},{\"order\":{\"orderID\":\"X\"}},"
             "[{\"orderID\":\"X\"}],{\"orderID\":\"B\"},\"C\"]",
             "A={\"orderID\":\"A\"} B={\"orderID\":\"B\"} ");
  assert_int_equal(snapshot.bad, 8);
}

/* An order that such a text does not mention has not been deleted. */
static void what_is_no_snapshot_is_told_before_the_first_order(void **state) {
  (void)state;
  check_none("", 0);
  check_none("{\"error\":\"down for maintenance\"}", 0);
  check_none("{\"docs\":{\"orderID\":\"A\"}}", 0);
  check_none("{\"docs\":null}", 0);
  check_none("{}", 0);
  check_none("\"docs\"", 0);
  check_none("7", 0);
  check_none("[{\"orderID\":\"A\"},{\"orderID\":", 28);
  check_none("[{\"orderID\":\"A\"},]", 17);
  check_none("{\"docs\":[{\"orderID\":\"A\"}]", 25);
  check_none("{\"docs\":[]} x", 12);
}

static void without_memory_the_same_order_can_be_asked_for_again(void **state) {
  (void)state;
  size_t at_byte;
  struct sync_change change = {.mark = 0};
  assert_true(open_snapshot("[{},{\"orderID\":\"\\u0041\"},{\"orderID\":\"B\"}]", &at_byte));
  counting_alloc_refuse(&memory, 1, 1);
  assert_int_equal(sync_snapshot_next(&snapshot, &change), SYNC_SNAPSHOT_NO_MEMORY);
  assert_int_equal(sync_snapshot_next(&snapshot, &change), SYNC_SNAPSHOT_ORDER);
  check_span(change.order_id, "A");
  assert_int_equal(sync_snapshot_next(&snapshot, &change), SYNC_SNAPSHOT_ORDER);
  check_span(change.order_id, "B");
  assert_int_equal(snapshot.bad, 1);
  assert_int_equal(memory.refused, 1);
  sync_snapshot_fini(&snapshot);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(the_list_is_bare_or_under_one_of_three_names),
      TEST(a_list_may_be_empty),
      TEST(ids_are_plain_text),
      TEST(what_is_no_order_is_passed_over_and_counted),
      TEST(what_is_no_snapshot_is_told_before_the_first_order),
      TEST(without_memory_the_same_order_can_be_asked_for_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

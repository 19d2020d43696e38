/* book_bound_test.c - how much the order book may hold: what goes first, what a full book takes in, what it all weighs.
 */
#include <malloc.h>

#include "orders.h"

#define OPEN  "{\"orderStage\":\"open\"}"
#define PAID  "{\"orderStage\":\"paid\"}"
#define WHOLE "{\"n\":1}"

static void limit_orders(size_t limit) {
  sync_book_set_limits(&book, limit, SYNC_BOOK_BYTES);
}

/* ---- what goes first --------------------------------------------------------------------------------------------- */

static void the_order_changed_least_recently_goes(void **state) {
  (void)state;
  limit_orders(3);
  tell("A", OPEN, 0);
  tell("B", OPEN, 0);
  tell("C", OPEN, 0);
  tell("A", "{\"n\":1}", 0);
  assert_int_equal(tell("D", OPEN, 0), SYNC_BOOK_NEW);
  check_listed("D A C");
  assert_int_equal(book.evicted, 1);
}

static void orders_in_a_final_state_go_before_others(void **state) {
  (void)state;
  limit_orders(5);
  tell("open", OPEN, 0);
  tell("cancelled", "{\"overallStatus\":\"cancelled\"}", 0);
  tell("paid", PAID, 0);
  tell("picked up", "{\"overallStatus\":\"picked_up\"}", 0);
  tell("ready", "{\"overallStatus\":\"ready\",\"paymentStatus\":\"paid\"}", 0);
  check_listed("ready picked up paid cancelled open");
  tell("A", OPEN, 0);
  check_listed("A ready picked up paid open");
  tell("B", OPEN, 0);
  tell("C", OPEN, 0);
  check_listed("C B A ready open");
  tell("D", OPEN, 0);
  check_listed("D C B A ready");
}

static void tombstones_go_before_orders(void **state) {
  (void)state;
  limit_orders(3);
  tell("A", PAID, 10);
  tell("B", OPEN, 10);
  delete_order("B", 20);
  tell("C", OPEN, 10);
  assert_int_equal(tell("B", OPEN, 15), SYNC_BOOK_OLDER);
  tell("D", OPEN, 10);
  check_listed("D C A");
  assert_int_equal(book.evicted, 0);                    /* no order has gone */
  assert_int_equal(tell("B", OPEN, 15), SYNC_BOOK_NEW); /* but what was known of B's end has */
}

static void the_oldest_tombstone_goes_first_and_none_drives_out_an_order(void **state) {
  (void)state;
  limit_orders(3);
  tell("A", OPEN, 0);
  delete_order("X", 20);
  delete_order("Y", 20);
  delete_order("Z", 20);
  assert_int_equal(tell("Z", OPEN, 10), SYNC_BOOK_OLDER);
  assert_int_equal(tell("Y", OPEN, 10), SYNC_BOOK_OLDER);
  assert_int_equal(tell("X", OPEN, 10), SYNC_BOOK_NEW);
  tell("B", OPEN, 0);
  check_listed("B X A");
  assert_int_equal(delete_order("W", 20), SYNC_BOOK_SAME);
  check_listed("B X A");
  assert_int_equal(tell("W", OPEN, 10), SYNC_BOOK_NEW); /* there was no room for its tombstone */
}

static void the_order_changed_last_always_stays(void **state) {
  (void)state;
  limit_orders(2);
  tell("A", OPEN, 0);
  tell("B", OPEN, 0);
  assert_int_equal(tell("C", PAID, 0), SYNC_BOOK_NEW);
  check_listed("C B");
  tell("D", OPEN, 0);
  check_listed("D B");
  limit_orders(0);
  check_listed("");
  tell("A", OPEN, 0);
  check_listed("A");
  tell("B", PAID, 0);
  check_listed("B");
}

static void a_lower_limit_holds_at_once(void **state) {
  (void)state;
  for (const char *id = "A\0B\0C\0D\0E\0"; *id; id += 2) tell(id, *id == 'D' ? PAID : OPEN, 0);
  limit_orders(3);
  check_listed("E C B");
  assert_int_equal(book.evicted, 2);
}

static void bytes_are_bounded_too(void **state) {
  (void)state;
  static char large[4096];
  tell("A", OPEN, 0);
  size_t one = book.bytes;
  sync_book_set_limits(&book, SYNC_BOOK_ORDERS, 10 * one);
  for (const char *id = "B\0C\0D\0E\0F\0G\0H\0I\0J\0K\0L\0"; *id; id += 2) tell(id, OPEN, 0);
  check_listed("L K J I H G F E D C");
  snprintf(large, sizeof large, "{\"note\":\"%0*d\"}", (int)(4 * one), 0);
  tell("H", large, 0); /* a change of one costs others their place */
  assert_in_range(book.bytes, 9 * one, 10 * one);
  check_listed("H L K J I");
  snprintf(large, sizeof large, "{\"note\":\"%0*d\"}", (int)(11 * one), 0);
  tell("L", large, 0);
  check_listed("L");
}

static void an_order_cannot_grow_without_end(void **state) {
  (void)state;
  static char member[SYNC_BOOK_ORDER_BYTES_MAX / 2];
  enum sync_book_outcome outcome = SYNC_BOOK_CHANGED;
  tell("A", OPEN, 0);
  for (int i = 0; i < 2; i++) {
    snprintf(member, sizeof member, "{\"n%d\":\"%0*d\"}", i, (int)sizeof member - 16, 0);
    outcome = tell("A", member, 0);
    if (i == 0) assert_int_equal(outcome, SYNC_BOOK_CHANGED);
  }
  assert_int_equal(outcome, SYNC_BOOK_REFUSED);
  assert_int_equal(book.refused, 1);
  assert_true(book.bytes < SYNC_BOOK_ORDER_BYTES_MAX);
  assert_int_equal(tell("A", PAID, 0), SYNC_BOOK_CHANGED);
}

/* ---- a snapshot of more orders than the book may hold ------------------------------------------------------------ */

static unsigned show_all(unsigned count, enum sync_book_outcome expected) {
  uint64_t mark = sync_book_mark(&book);
  unsigned met = 0;
  for (unsigned i = 0; i < count; i++) {
    char id[16];
    snprintf(id, sizeof id, "%u", i);
    met += show_since(mark, id, WHOLE) == expected;
  }
  return met;
}

static void a_snapshot_does_not_push_out_its_own_orders(void **state) {
  (void)state;
  limit_orders(10);
  assert_int_equal(show_all(15, SYNC_BOOK_NEW), 10);
  assert_int_equal(book.refused, 5);
  for (int poll = 0; poll < 3; poll++) {
    assert_int_equal(show_all(15, SYNC_BOOK_SAME), 10);
    assert_int_equal(show_all(15, SYNC_BOOK_FULL), 5);
  }
  assert_int_equal(book.evicted, 0);
  assert_int_equal(sync_book_count(&book), 10);
}

static void it_pushes_out_what_it_does_not_mention_and_what_matters_less(void **state) {
  (void)state;
  limit_orders(3);
  tell("unmentioned", OPEN, 0);
  uint64_t mark = sync_book_mark(&book);
  show_since(mark, "A", PAID);
  show_since(mark, "B", OPEN);
  assert_int_equal(show_since(mark, "C", OPEN), SYNC_BOOK_NEW); /* in A's place, though A was mentioned: it is paid */
  check_listed("C B unmentioned");
  assert_int_equal(show_since(mark, "D", OPEN), SYNC_BOOK_NEW);
  check_listed("D C B");
  assert_int_equal(show_since(mark, "E", OPEN), SYNC_BOOK_FULL);
  assert_int_equal(show_since(mark, "F", PAID), SYNC_BOOK_FULL);
  assert_int_equal(tell("G", PAID, 0), SYNC_BOOK_NEW); /* an event is always taken in */
  check_listed("G D C");
}

/* ---- what it weighs ---------------------------------------------------------------------------------------------- */

/* An allocator that counts bytes as the C library does: what a block really takes, and its header. */
struct scales {
  sync_allocator allocator;
  size_t bytes;
  size_t peak;
};

#define HEADER_BYTES sizeof(size_t)

static void *weigh(void *arg, void *block, size_t bytes) {
  struct scales *scales = arg;
  if (block) scales->bytes -= malloc_usable_size(block) + HEADER_BYTES;
  if (bytes == 0) {
    free(block);
    return NULL;
  }
  void *resized = realloc(block, bytes);
  assert_non_null(resized);
  scales->bytes += malloc_usable_size(resized) + HEADER_BYTES;
  if (scales->peak < scales->bytes) scales->peak = scales->bytes;
  return resized;
}

#define ORDERS      100000u
#define ORDER_BYTES 300u
#define BYTES_MOST  (64u * 1000 * 1000)

static sync_span write_order(char *out, size_t size, unsigned number, const char *stage) {
  int length = snprintf(out, size,
                        "{\"orderID\":\"ORDER-%06u\",\"orderStage\":\"%s\",\"paymentStatus\":\"pending\","
                        "\"overallStatus\":\"in_progress\",\"totalAmount\":%u.50,\"qrCodeGenerated\":false,"
                        "\"whatsappLinked\":true,\"createdAt\":\"2026-11-22T10:00:00.000Z\","
                        "\"updatedAt\":\"2026-11-22T10:00:01.000Z\",\"table\":%u,",
                        number, stage, 10 + number % 90, 10 + number % 90);
  assert_in_range(length, 200, ORDER_BYTES - 16);
  length += snprintf(out + length, size - (size_t)length, "\"note\":\"%0*d\"}", (int)ORDER_BYTES - length - 10, 0);
  return (sync_span){out, (size_t)length};
}

static void apply_to_all(struct sync_book *large, const char *stage, bool whole, enum sync_book_outcome expected) {
  for (unsigned i = 0; i < ORDERS; i++) {
    char json[512], id[32], part[64];
    struct sync_change change = {.whole = whole, .mark = sync_book_mark(large)};
    change.order_id = (sync_span){id, (size_t)snprintf(id, sizeof id, "ORDER-%06u", i)};
    change.patch = write_order(json, sizeof json, i, stage);
    assert_int_equal(change.patch.length, ORDER_BYTES);
    if (!whole) change.patch = (sync_span){part, (size_t)snprintf(part, sizeof part, "{\"orderStage\":\"%s\"}", stage)};
    assert_int_equal(sync_book_apply(large, &change, &effect), expected);
  }
}

static void a_hundred_thousand_orders_stay_under_64_mb(void **state) {
  (void)state;
  struct scales scales = {.allocator = {weigh, &scales}};
  static struct sync_book large;
  sync_book_init(&large, &scales.allocator, &names, SYNC_BOOK_ORDERS, SYNC_BOOK_BYTES);
  apply_to_all(&large, "empty", true, SYNC_BOOK_NEW);
  apply_to_all(&large, "initiated", false, SYNC_BOOK_CHANGED);
  apply_to_all(&large, "billed", false, SYNC_BOOK_CHANGED);
  assert_int_equal(sync_book_count(&large), ORDERS);
  assert_int_equal(large.evicted, 0);
  assert_in_range(scales.peak, ORDERS * ORDER_BYTES, BYTES_MOST);
  sync_book_fini(&large);
  assert_int_equal(scales.bytes, 0);
}

/* Orders come and go for ever, a hundred at a time in the book. */
static void orders_that_come_and_go_leave_no_trace_but_tombstones(void **state) {
  (void)state;
  limit_orders(150);
  size_t most = 0;
  for (unsigned i = 0; i < 20000; i++) {
    char id[16], gone[16];
    snprintf(id, sizeof id, "%08u", i);
    tell(id, OPEN, 0);
    snprintf(gone, sizeof gone, "%08u", i - 100);
    if (i >= 100) assert_int_equal(delete_order(gone, 0), SYNC_BOOK_DELETED);
    if (i == 1000) most = book.bytes;
  }
  assert_int_equal(sync_book_count(&book), 100);
  assert_int_equal(book.by_id.count, 150);
  assert_int_equal(book.bytes, most);
  assert_int_equal(book.evicted, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(the_order_changed_least_recently_goes),
      TEST(orders_in_a_final_state_go_before_others),
      TEST(tombstones_go_before_orders),
      TEST(the_oldest_tombstone_goes_first_and_none_drives_out_an_order),
      TEST(the_order_changed_last_always_stays),
      TEST(a_lower_limit_holds_at_once),
      TEST(bytes_are_bounded_too),
      TEST(an_order_cannot_grow_without_end),
      TEST(a_snapshot_does_not_push_out_its_own_orders),
      TEST(it_pushes_out_what_it_does_not_mention_and_what_matters_less),
      TEST(a_hundred_thousand_orders_stay_under_64_mb),
      TEST(orders_that_come_and_go_leave_no_trace_but_tombstones),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* copy_test.c - the order book as it is kept elsewhere: what a copy is told, and a book that is made of one. */
#include "orders.h"

/* What a copy has been told: one line an entry, "A" an order, "-A" a tombstone, in any order. */
static void check_told(uint64_t since, const char *expected) {
  char told[256] = "";
  sync_order_place place = {.begun = false};
  struct sync_book_entry entry;
  size_t count = 0;
  for (; sync_book_each_changed(&book, since, &place, &entry); count++) {
    size_t length = strlen(told);
    snprintf(told + length, sizeof told - length, "%s%s%.*s", length ? " " : "", entry.json.length ? "" : "-",
             (int)entry.id.length, entry.id.bytes);
  }
  assert_false(sync_book_each_changed(&book, since, &place, &entry));
  assert_string_equal(told, expected);
}

/* ---- what a copy is told ----------------------------------------------------------------------------------------- */

static void what_has_changed_since_is_told(void **state) {
  (void)state;
  check_told(0, "");
  tell("A", "{\"orderStage\":\"open\"}", 0);
  tell("B", "{\"orderStage\":\"open\"}", 0);
  tell("C", "{\"orderStage\":\"paid\"}", 0);
  check_told(0, "C B A");
  uint64_t mark = sync_book_mark(&book);
  check_told(mark, "");
  tell("A", "{\"orderStage\":\"paid\"}", 0);
  delete_order("B", 0);
  delete_order("D", 0);
  check_told(mark, "-D -B A");
  check_told(0, "-D -B A C");
}

static void the_same_again_need_not_be_told(void **state) {
  (void)state;
  show("A", "{\"orderID\":\"A\",\"version\":3,\"n\":1}");
  uint64_t mark = sync_book_mark(&book);
  show("A", "{\"orderID\":\"A\",\"version\":3,\"n\":1}");
  show("A", "{\"orderID\":\"A\",\"version\":2,\"n\":2}"); /* older */
  check_told(mark, "");
}

/* A copy that did not know of it would let an older snapshot win. */
static void a_confirmation_that_makes_the_order_newer_is_told(void **state) {
  (void)state;
  show("A", "{\"orderID\":\"A\",\"n\":1}");
  uint64_t mark = sync_book_mark(&book);
  assert_int_equal(tell("A", "{\"n\":1}", 5000), SYNC_BOOK_SAME);
  check_told(mark, "A");
  mark = sync_book_mark(&book);
  assert_int_equal(tell("A", "{\"n\":1}", 5000), SYNC_BOOK_SAME);
  check_told(mark, "");
}

static void a_snapshot_that_confirms_what_an_event_told_is_told(void **state) {
  (void)state;
  show("A", "{\"orderID\":\"A\",\"n\":1}");
  tell("A", "{\"n\":2}", 0);
  uint64_t mark = sync_book_mark(&book);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":2}"), SYNC_BOOK_SAME);
  check_told(mark, "A");
  mark = sync_book_mark(&book);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":2}"), SYNC_BOOK_SAME);
  check_told(mark, "");
}

/* ... and does not move an order that has not changed in the walk of those that have. */
static void a_confirmation_leaves_the_order_in_its_place(void **state) {
  (void)state;
  tell("A", "{\"n\":1}", 1000);
  tell("B", "{\"n\":1}", 1000);
  assert_int_equal(tell("A", "{\"n\":1}", 2000), SYNC_BOOK_SAME);
  check_listed("B A");
}

static void an_entry_has_all_that_the_book_knows(void **state) {
  (void)state;
  sync_order_place place = {.begun = false};
  struct sync_book_entry entry;
  struct sync_change change = {.order_id = SPAN("A"),
                               .patch = SPAN("{\"orderID\":\"A\",\"version\":7,\"updatedAt\":900}"),
                               .whole = true,
                               .as_of_ms = 77,
                               .source = SYNC_SOURCE_BACKFILL,
                               .silent = true};
  sync_book_apply(&book, &change, &effect);
  uint64_t changed = sync_book_mark(&book);
  tell("A", "{\"version\":7}", 950000);
  assert_true(sync_book_each_changed(&book, 0, &place, &entry));
  check_span(entry.id, "A");
  check_span(entry.json, "{\"orderID\":\"A\",\"version\":7,\"updatedAt\":900}");
  assert_int_equal(entry.changed, changed);
  assert_int_equal(entry.whole.number, 7);
  assert_int_equal(entry.whole.updated_ms, 900000);
  assert_int_equal(entry.whole.told_ms, 0);
  assert_int_equal(entry.last.told_ms, 950000);
  assert_int_equal(entry.later, 2);
  assert_int_equal(entry.as_of_ms, 77);
  assert_int_equal(entry.source, SYNC_SOURCE_BACKFILL);
  assert_true(entry.silent);
}

/* ---- what is thrown out ------------------------------------------------------------------------------------------ */

static char thrown_out[256];

static void note_thrown_out(void *arg, sync_span id) {
  assert_ptr_equal(arg, thrown_out);
  size_t length = strlen(thrown_out);
  snprintf(thrown_out + length, sizeof thrown_out - length, "%s%.*s", length ? " " : "", (int)id.length, id.bytes);
}

static void what_is_thrown_out_is_told_to_the_watcher(void **state) {
  (void)state;
  thrown_out[0] = '\0';
  sync_book_watch(&book, note_thrown_out, thrown_out);
  sync_book_set_limits(&book, 3, SYNC_BOOK_BYTES);
  tell("A", "{\"orderStage\":\"open\"}", 0);
  tell("B", "{\"orderStage\":\"paid\"}", 0);
  delete_order("C", 0);
  tell("D", "{\"orderStage\":\"open\"}", 0);
  assert_string_equal(thrown_out, "C");
  tell("E", "{\"orderStage\":\"open\"}", 0);
  assert_string_equal(thrown_out, "C B");
  check_told(0, "E D A");
  sync_book_set_limits(&book, 1, SYNC_BOOK_BYTES);
  assert_string_equal(thrown_out, "C B A D");
  sync_book_watch(&book, NULL, NULL);
  tell("F", "{\"orderStage\":\"open\"}", 0);
  assert_string_equal(thrown_out, "C B A D");
}

static void what_ends_with_the_book_was_not_thrown_out(void **state) {
  (void)state;
  thrown_out[0] = '\0';
  sync_book_watch(&book, note_thrown_out, thrown_out);
  tell("A", "{}", 0);
  sync_book_fini(&book);
  assert_string_equal(thrown_out, "");
}

/* ---- restoring --------------------------------------------------------------------------------------------------- */

static bool restore(const char *id, const char *json, uint64_t changed) {
  const struct sync_book_entry entry = {
      .id = span_of(id), .json = span_of(json), .changed = changed, .whole = sync_stamp_none, .last = sync_stamp_none};
  return sync_book_restore(&book, &entry);
}

static void a_restored_book_is_as_it_was(void **state) {
  (void)state;
  sync_order order;
  const struct sync_book_entry entry = {
      .id = SPAN("B"),
      .json = SPAN("{\"orderID\":\"B\",\"orderStage\":\"bil\\u006ced\",\"paymentStatus\":\"cash\",\"version\":4}"),
      .changed = 70,
      .whole = {4, 0, 0},
      .last = {4, 0, 9000},
      .later = 2,
      .as_of_ms = 12345,
      .source = SYNC_SOURCE_POLL,
      .silent = true,
  };
  assert_true(restore("A", "{\"orderID\":\"A\",\"orderStage\":\"paid\"}", 40));
  assert_true(restore("T", "", 41));
  assert_true(sync_book_restore(&book, &entry));
  check_listed("B A");
  check_told(0, "B -T A");
  assert_int_equal(sync_book_mark(&book), 70);
  check_told(sync_book_mark(&book), "");
  assert_true(sync_book_get(&book, SPAN("B"), &order));
  check_span(order.json,
             "{\"orderID\":\"B\",\"orderStage\":\"bil\\u006ced\",\"paymentStatus\":\"cash\",\"version\":4}");
  check_span(order.stage, "billed");
  check_span(order.payment, "cash");
  check_span(order.status, "");
  assert_int_equal(order.updated_ms, 9000);
  assert_int_equal(order.as_of_ms, 12345);
  assert_int_equal(order.source, SYNC_SOURCE_POLL);
  assert_true(order.silent);
  assert_int_equal(show("B", "{\"orderID\":\"B\",\"version\":3}"), SYNC_BOOK_OLDER);
  assert_int_equal(tell("A", "{\"orderStage\":\"paid\"}", 0), SYNC_BOOK_SAME);
}

static void a_restored_tombstone_keeps_its_order_away(void **state) {
  (void)state;
  const struct sync_book_entry tombstone = {
      .id = SPAN("A"), .changed = 3, .whole = {SYNC_STAMP_NO_NUMBER, 0, 5000}, .last = {SYNC_STAMP_NO_NUMBER, 0, 5000}};
  assert_true(sync_book_restore(&book, &tombstone));
  check_listed("");
  assert_int_equal(tell("A", "{\"n\":1}", 4000), SYNC_BOOK_OLDER);
  assert_int_equal(tell("A", "{\"n\":1}", 6000), SYNC_BOOK_NEW);
}

static void what_cannot_be_read_is_refused(void **state) {
  (void)state;
  assert_true(restore("A", "[1,2]", 1));
  assert_true(restore("B", "{\"orderID\":\"B\"", 2));
  assert_true(restore("", "{}", 3));
  assert_int_equal(book.refused, 3);
  check_told(0, "");
  assert_true(restore("C", "{\"orderID\":\"C\"}", 4));
  check_listed("C");
}

static void a_smaller_book_keeps_what_matters_most(void **state) {
  (void)state;
  thrown_out[0] = '\0';
  sync_book_watch(&book, note_thrown_out, thrown_out);
  sync_book_set_limits(&book, 2, SYNC_BOOK_BYTES);
  assert_true(restore("A", "{\"orderID\":\"A\",\"orderStage\":\"open\"}", 1));
  assert_true(restore("B", "{\"orderID\":\"B\",\"orderStage\":\"paid\"}", 2));
  assert_true(restore("C", "{\"orderID\":\"C\",\"orderStage\":\"open\"}", 3));
  assert_true(restore("D", "{\"orderID\":\"D\",\"orderStage\":\"open\"}", 4));
  check_listed("D C");
  assert_string_equal(thrown_out, "B A");
}

static void without_memory_nothing_is_restored(void **state) {
  (void)state;
  static const char json[] = "{\"orderID\":\"A\",\"orderStage\":\"bil\\u006ced\"}";
  size_t refusals = 0;
  for (size_t nth = 1;; nth++, refusals++) {
    sync_book_fini(&book);
    counting_alloc_refuse(&memory, nth, 1);
    bool restored = restore("A", json, 9);
    counting_alloc_allow(&memory);
    if (restored) break;
    check_listed("");
    assert_int_equal(sync_book_mark(&book), 0);
    assert_true(restore("A", json, 9));
    check_listed("A");
  }
  assert_in_range(refusals, 3, 20);
}

/* ---- what was redacted ------------------------------------------------------------------------------------------- */

#define HIDDEN "{\"orderID\":\"A\",\"phone\":\"[redacted]\",\"who\":{\"name\":\"X\",\"phone\":\"[redacted]\"},\"n\":1}"
#define KNOWN  "{\"orderID\":\"A\",\"phone\":\"+49\",\"who\":{\"name\":\"X\",\"phone\":[4,9]},\"n\":1}"

static void the_true_value_comes_back_without_a_word(void **state) {
  (void)state;
  restore("A", HIDDEN, 5);
  restore("B", "{\"orderID\":\"B\"}", 6);
  uint64_t mark = sync_book_mark(&book);
  assert_int_equal(show("A", KNOWN), SYNC_BOOK_SAME);
  assert_int_equal(effect.changed, 0);
  check_order("A", KNOWN);
  check_listed("B A");
  check_told(mark, "");
  assert_int_equal(show("A", KNOWN), SYNC_BOOK_SAME);
}

static void an_event_brings_it_back_as_well(void **state) {
  (void)state;
  restore("A", HIDDEN, 5);
  assert_int_equal(tell("A", "{\"phone\":\"+49\"}", 0), SYNC_BOOK_SAME);
  check_order("A", "{\"orderID\":\"A\",\"phone\":\"+49\",\"who\":{\"name\":\"X\",\"phone\":\"[redacted]\"},\"n\":1}");
  assert_int_equal(tell("A", "{\"phone\":\"+50\"}", 0), SYNC_BOOK_CHANGED);
}

static void what_else_changes_is_told_alone(void **state) {
  (void)state;
  restore("A", HIDDEN, 5);
  assert_int_equal(
      show(
          "A",
          "{\"orderID\":\"A\",\"phone\":\"+49\",\"who\":{\"name\":\"X\",\"phone\":1},\"n\":1,\"orderStage\":\"open\"}"),
      SYNC_BOOK_CHANGED);
  assert_int_equal(effect.changed, SYNC_BOOK_STAGE);
  restore("B", HIDDEN, 50);
  assert_int_equal(tell("B", "{\"who\":{\"name\":\"Y\",\"phone\":1}}", 0), SYNC_BOOK_CHANGED);
  assert_int_equal(effect.changed, SYNC_BOOK_OTHER);
}

static void older_news_do_not_bring_it_back(void **state) {
  (void)state;
  const struct sync_book_entry entry = {.id = SPAN("A"),
                                        .json = SPAN(HIDDEN),
                                        .changed = 5,
                                        .whole = {SYNC_STAMP_NO_NUMBER, 0, 1000},
                                        .last = {SYNC_STAMP_NO_NUMBER, 0, 9000},
                                        .later = 2};
  assert_true(sync_book_restore(&book, &entry));
  assert_int_equal(tell("A", "{\"phone\":\"+48\"}", 500), SYNC_BOOK_OLDER);
  check_order("A", HIDDEN);
}

static void without_memory_it_comes_back_later(void **state) {
  (void)state;
  size_t refusals = 0;
  for (size_t nth = 1;; nth++, refusals++) {
    sync_book_fini(&book);
    restore("A", "{\"orderID\":\"A\",\"phone\":\"[redacted]\"}", 5);
    counting_alloc_refuse(&memory, nth, 1);
    enum sync_book_outcome outcome =
        show("A", "{\"orderID\":\"A\",\"phone\":\"a number that is much, much longer than what it was replaced by\"}");
    counting_alloc_allow(&memory);
    if (outcome == SYNC_BOOK_SAME) break;
    assert_int_equal(outcome, SYNC_BOOK_NO_MEMORY);
    check_order("A", "{\"orderID\":\"A\",\"phone\":\"[redacted]\"}");
  }
  assert_in_range(refusals, 1, 20);
  check_order("A", "{\"orderID\":\"A\",\"phone\":\"a number that is much, much longer than what it was replaced by\"}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(what_has_changed_since_is_told),
      TEST(the_same_again_need_not_be_told),
      TEST(a_confirmation_that_makes_the_order_newer_is_told),
      TEST(a_snapshot_that_confirms_what_an_event_told_is_told),
      TEST(a_confirmation_leaves_the_order_in_its_place),
      TEST(an_entry_has_all_that_the_book_knows),
      TEST(what_is_thrown_out_is_told_to_the_watcher),
      TEST(what_ends_with_the_book_was_not_thrown_out),
      TEST(a_restored_book_is_as_it_was),
      TEST(a_restored_tombstone_keeps_its_order_away),
      TEST(what_cannot_be_read_is_refused),
      TEST(a_smaller_book_keeps_what_matters_most),
      TEST(without_memory_nothing_is_restored),
      TEST(the_true_value_comes_back_without_a_word),
      TEST(an_event_brings_it_back_as_well),
      TEST(what_else_changes_is_told_alone),
      TEST(older_news_do_not_bring_it_back),
      TEST(without_memory_it_comes_back_later),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

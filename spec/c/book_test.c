/* book_test.c - what becomes of orders when news of them come: what they say, what has changed, what was before. */
#include "orders.h"

/* ---- an order and its changes ------------------------------------------------------------------------------------ */

static void an_empty_book_has_nothing_and_takes_no_memory(void **state) {
  (void)state;
  check_listed("");
  assert_false(is_listed("A"));
  assert_int_equal(sync_book_mark(&book), 0);
  assert_int_equal(memory.requests, 0);
}

static void an_event_about_an_unknown_order_makes_it(void **state) {
  (void)state;
  assert_int_equal(tell("A", "{\"orderID\":\"A\",\"n\":1}", 0), SYNC_BOOK_NEW);
  check_order("A", "{\"orderID\":\"A\",\"n\":1}");
  assert_int_equal(effect.changed, SYNC_BOOK_OTHER);
  check_listed("A");
}

static void every_order_has_its_id(void **state) {
  (void)state;
  assert_int_equal(tell("A\"\\\n", "{\"n\":1}", 0), SYNC_BOOK_NEW);
  check_order("A\"\\\n", "{\"orderID\":\"A\\\"\\\\\\u000a\",\"n\":1}");
  assert_int_equal(tell("B", "", 0), SYNC_BOOK_NEW);
  check_order("B", "{\"orderID\":\"B\"}");
  assert_int_equal(show("B", "{\"n\":1}"), SYNC_BOOK_CHANGED);
  check_order("B", "{\"orderID\":\"B\",\"n\":1}");
  assert_int_equal(show("C", "{\"order_id\":\"C\"}"), SYNC_BOOK_NEW);
  check_order("C", "{\"order_id\":\"C\"}");
}

static void events_change_what_they_name(void **state) {
  (void)state;
  tell("A", "{\"orderID\":\"A\",\"orderStage\":\"open\",\"totalAmount\":5}", 0);
  assert_int_equal(tell("A", "{\"totalAmount\":6.5,\"table\":{\"n\":[1]}}", 0), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"orderStage\":\"open\",\"totalAmount\":6.5,\"table\":{\"n\":[1]}}");
  assert_int_equal(effect.changed, SYNC_BOOK_OTHER);
  assert_int_equal(tell("A", "{\"totalAmount\":null}", 0), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"orderStage\":\"open\",\"totalAmount\":null,\"table\":{\"n\":[1]}}");
}

static void snapshots_replace_the_whole(void **state) {
  (void)state;
  tell("A", "{\"orderID\":\"A\",\"orderStage\":\"open\",\"gone\":5}", 0);
  assert_int_equal(show("A", "{\"orderStage\":\"open\",\"orderID\":\"A\",\"n\":1}"), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"orderStage\":\"open\",\"n\":1}");
  assert_int_equal(effect.changed, SYNC_BOOK_OTHER);
}

static void the_same_in_another_spelling_is_the_same(void **state) {
  (void)state;
  show("A", "{\"orderID\":\"A\",\"totalAmount\":10.50,\"tags\":{\"x\":1,\"y\":2}}");
  assert_int_equal(show("A", "{ \"tags\":{\"y\":2,\"x\":1.0}, \"totalAmount\":1050e-2, \"orderID\":\"\\u0041\" }"),
                   SYNC_BOOK_SAME);
  assert_int_equal(effect.changed, 0);
  check_order("A", "{\"orderID\":\"A\",\"totalAmount\":10.50,\"tags\":{\"x\":1,\"y\":2}}");
  assert_int_equal(tell("A", "{}", 0), SYNC_BOOK_SAME);
  assert_int_equal(tell("A", "{\"totalAmount\":10.5}", 0), SYNC_BOOK_SAME);
}

static void what_changed_and_what_was_before_is_told(void **state) {
  (void)state;
  tell("A", "{\"orderStage\":\"open\",\"paymentStatus\":\"pending\",\"overallStatus\":\"ready\",\"updatedAt\":1}", 0);
  assert_int_equal(effect.changed, SYNC_BOOK_STAGE | SYNC_BOOK_PAYMENT | SYNC_BOOK_STATUS | SYNC_BOOK_STAMP);
  check_span(effect.previous_stage, "");
  tell("A", "{\"orderStage\":\"billed\"}", 0);
  assert_int_equal(effect.changed, SYNC_BOOK_STAGE);
  check_span(effect.previous_stage, "open");
  check_span(effect.previous_payment, "pending");
  check_span(effect.previous_status, "ready");
  tell("A", "{\"paymentStatus\":\"paid\",\"updatedAt\":2,\"overallStatus\":\"ready\"}", 0);
  assert_int_equal(effect.changed, SYNC_BOOK_PAYMENT | SYNC_BOOK_STAMP);
  check_span(effect.previous_stage, "billed");
  check_span(effect.previous_payment, "pending");
  show("A", "{\"orderStage\":\"billed\",\"paymentStatus\":\"paid\",\"updatedAt\":3}");
  assert_int_equal(effect.changed, SYNC_BOOK_STATUS | SYNC_BOOK_STAMP);
  check_span(effect.previous_status, "ready");
}

static void texts_are_plain_whatever_their_spelling(void **state) {
  (void)state;
  sync_order order;
  tell("A", "{\"orderStage\":\"\\u006fpen\",\"paymentStatus\":7,\"overallStatus\":\"r\\/\\u0064y\"}", 0);
  assert_true(sync_book_get(&book, SPAN("A"), &order));
  check_span(order.stage, "open");
  check_span(order.payment, "7");
  check_span(order.status, "r/dy");
  check_span(
      order.json,
      "{\"orderID\":\"A\",\"orderStage\":\"\\u006fpen\",\"paymentStatus\":7,\"overallStatus\":\"r\\/\\u0064y\"}");
  assert_int_equal(tell("A", "{\"orderStage\":\"open\",\"paymentStatus\":null,\"overallStatus\":[]}", 0),
                   SYNC_BOOK_CHANGED);
  assert_int_equal(effect.changed, SYNC_BOOK_PAYMENT | SYNC_BOOK_STATUS);
  check_span(effect.previous_stage, "open");
  check_span(effect.previous_status, "r/dy");
  assert_true(sync_book_get(&book, SPAN("A"), &order));
  check_span(order.payment, "");
  check_span(order.status, "");
}

static void the_events_word_on_the_stage_before_helps_where_the_book_knows_none(void **state) {
  (void)state;
  struct sync_change change = {
      .order_id = SPAN("A"), .patch = SPAN("{\"orderStage\":\"open\"}"), .previous_stage = SPAN("initiated")};
  assert_int_equal(sync_book_apply(&book, &change, &effect), SYNC_BOOK_NEW);
  check_span(effect.previous_stage, "initiated");
  tell("B", "{\"n\":1}", 0);
  change.order_id = SPAN("B");
  assert_int_equal(sync_book_apply(&book, &change, &effect), SYNC_BOOK_CHANGED);
  check_span(effect.previous_stage, "initiated");
  change.patch = SPAN("{\"orderStage\":\"billed\"}");
  assert_int_equal(sync_book_apply(&book, &change, &effect), SYNC_BOOK_CHANGED);
  check_span(effect.previous_stage, "open");
}

static void where_when_and_how_new_is_told(void **state) {
  (void)state;
  sync_order order;
  struct sync_change change = {.order_id = SPAN("A"), .patch = SPAN("{\"n\":1}"), .at_ms = 700, .as_of_ms = 50};
  sync_book_apply(&book, &change, &effect);
  assert_true(sync_book_get(&book, SPAN("A"), &order));
  assert_int_equal(order.updated_ms, 700);
  assert_int_equal(order.as_of_ms, 50);
  assert_int_equal(order.source, SYNC_SOURCE_STREAM);
  change = (struct sync_change){
      .order_id = SPAN("A"), .patch = SPAN("{\"n\":1}"), .at_ms = 800, .as_of_ms = 60, .source = SYNC_SOURCE_BACKFILL};
  assert_int_equal(sync_book_apply(&book, &change, &effect), SYNC_BOOK_SAME);
  assert_true(sync_book_get(&book, SPAN("A"), &order));
  assert_int_equal(order.updated_ms, 800);
  assert_int_equal(order.as_of_ms, 60);
  assert_int_equal(order.source, SYNC_SOURCE_STREAM); /* of the last change */
  change.at_ms = 100, change.as_of_ms = 70, change.patch = SPAN("{\"n\":2}");
  assert_int_equal(sync_book_apply(&book, &change, &effect), SYNC_BOOK_OLDER);
  assert_true(sync_book_get(&book, SPAN("A"), &order));
  assert_int_equal(order.as_of_ms, 60); /* old news confirm nothing */
  change.at_ms = 900, change.as_of_ms = 55, change.patch = SPAN("{\"n\":3}");
  assert_int_equal(sync_book_apply(&book, &change, &effect), SYNC_BOOK_CHANGED);
  assert_true(sync_book_get(&book, SPAN("A"), &order));
  assert_int_equal(order.as_of_ms, 60); /* a snapshot may have been asked for before the last event came */
  assert_int_equal(order.source, SYNC_SOURCE_BACKFILL);
}

static void what_cannot_be_read_is_refused(void **state) {
  (void)state;
  tell("A", "{\"n\":1}", 0);
  assert_int_equal(tell("", "{\"n\":1}", 0), SYNC_BOOK_REFUSED);
  assert_int_equal(tell("A", "[1]", 0), SYNC_BOOK_REFUSED);
  assert_int_equal(tell("A", "{\"n\":", 0), SYNC_BOOK_REFUSED);
  assert_int_equal(show("B", "null"), SYNC_BOOK_REFUSED);
  assert_int_equal(delete_order("", 0), SYNC_BOOK_REFUSED);
  assert_int_equal(book.refused, 5);
  check_listed("A");
  check_order("A", "{\"orderID\":\"A\",\"n\":1}");
}

/* ---- walks ------------------------------------------------------------------------------------------------------- */

static void the_one_changed_last_comes_first_whatever_its_class(void **state) {
  (void)state;
  tell("A", "{\"orderStage\":\"open\"}", 0);
  tell("B", "{\"orderStage\":\"paid\"}", 0);
  tell("C", "{\"overallStatus\":\"cancelled\"}", 0);
  tell("D", "{\"orderStage\":\"billed\"}", 0);
  check_listed("D C B A");
  tell("B", "{\"n\":1}", 0);
  tell("A", "{\"orderStage\":\"paid\"}", 0);
  check_listed("A B D C");
  tell("C", "{\"overallStatus\":\"cancelled\"}", 0); /* the same: no change */
  check_listed("A B D C");
}

static void what_a_snapshot_does_not_mention_is_missing(void **state) {
  (void)state;
  for (const char *id = "A\0B\0C\0D\0E\0"; *id; id += 2) tell(id, "{\"n\":1}", 10);
  show("H", "{\"n\":1,\"updatedAt\":10}");
  uint64_t mark = sync_book_mark(&book);
  sync_order_place cursor = {0};
  sync_order order;
  show_since(mark, "B", "{\"n\":1}");                           /* confirmed */
  assert_int_equal(tell("D", "{\"n\":0}", 5), SYNC_BOOK_OLDER); /* old news, but it is there */
  assert_int_equal(tell("H", "{\"n\":0}", 5), SYNC_BOOK_OLDER); /* the same, of one known in whole */
  show_since(mark, "F", "{\"n\":1}");                           /* new */
  tell("G", "{\"n\":1}", 0);                                    /* made since */
  assert_true(sync_book_each_missing(&book, mark, &cursor, &order));
  check_span(order.id, "E");
  assert_int_equal(delete_order("E", 0), SYNC_BOOK_DELETED);
  assert_true(sync_book_each_missing(&book, mark, &cursor, &order));
  check_span(order.id, "C");
  assert_int_equal(delete_order("C", 0), SYNC_BOOK_DELETED);
  assert_true(sync_book_each_missing(&book, mark, &cursor, &order));
  check_span(order.id, "A");
  assert_int_equal(delete_order("A", 0), SYNC_BOOK_DELETED);
  assert_false(sync_book_each_missing(&book, mark, &cursor, &order));
  assert_false(sync_book_each_missing(&book, mark, &cursor, &order));
  check_listed("G F H D B");
}

static void two_snapshots_may_be_under_way_at_once(void **state) {
  (void)state;
  sync_order order;
  tell("A", "{}", 0);
  tell("B", "{}", 0);
  uint64_t first = sync_book_mark(&book);
  show_since(first, "A", "{\"orderID\":\"A\"}");
  uint64_t second = sync_book_mark(&book);
  show_since(second, "B", "{\"orderID\":\"B\"}");
  assert_false(sync_book_each_missing(&book, first, &(sync_order_place){0}, &order));
  assert_true(sync_book_each_missing(&book, second, &(sync_order_place){0}, &order));
  check_span(order.id, "A");
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void a_change_of_a_word_takes_no_memory(void **state) {
  (void)state;
  static const char *const stages[] = {"{\"orderStage\":\"open\"}", "{\"orderStage\":\"billed\"}"};
  show("A", "{\"orderID\":\"A\",\"orderStage\":\"initiated\",\"totalAmount\":10}");
  for (int i = 0; i < 2; i++) tell("A", stages[i], 0);
  size_t requests = memory.requests;
  for (int i = 0; i < 10; i++) assert_int_equal(tell("A", stages[i % 2], 0), SYNC_BOOK_CHANGED);
  assert_int_equal(memory.requests, requests);
}

static void a_new_order_takes_two_blocks(void **state) {
  (void)state;
  tell("A", "{\"orderID\":\"A\",\"orderStage\":\"open\"}", 0);
  size_t live = memory.live;
  tell("B", "{\"orderID\":\"B\",\"orderStage\":\"open\"}", 0);
  assert_int_equal(memory.live, live + 2); /* the record, and its id in the table */
}

/* Orders that shrink give room back. */
static void room_follows_what_is_in_it(void **state) {
  (void)state;
  static char large[100000];
  snprintf(large, sizeof large, "{\"orderID\":\"A\",\"note\":\"%0*d\"}", 50000, 0);
  tell("A", "{\"orderID\":\"A\"}", 0);
  size_t small = book.bytes;
  assert_int_equal(tell("A", large, 0), SYNC_BOOK_CHANGED);
  assert_true(book.bytes > 50000);
  assert_int_equal(tell("A", "{\"note\":\"\"}", 0), SYNC_BOOK_CHANGED);
  assert_in_range(book.bytes, small, small + 64);
  check_order("A", "{\"orderID\":\"A\",\"note\":\"\"}");
  counting_alloc_refuse(&memory, 2, 1);
  assert_int_equal(tell("A", large, 0), SYNC_BOOK_CHANGED);
  counting_alloc_refuse(&memory, 1, SIZE_MAX);
  assert_int_equal(tell("A", "{\"note\":\"\"}", 0), SYNC_BOOK_CHANGED); /* a block that cannot shrink is kept */
  counting_alloc_allow(&memory);
  assert_true(book.bytes > 50000);
  check_order("A", "{\"orderID\":\"A\",\"note\":\"\"}");
}

/* A sequence of changes with everything that takes memory; the `step`-th of them. */
static enum sync_book_outcome take_step(unsigned step) {
  char id[16];
  snprintf(id, sizeof id, "ORDER-%u", step / 6);
  switch (step % 6) {
  case 0: return tell(id, "{\"n\":1,\"orderStage\":\"open\"}", 10);
  case 1:
    return show(id, "{\"orderStage\":\"\\u0061\",\"a\":1,\"\\u0062\":\"0123456789012345678901234567890123456789\"}");
  case 2: return tell(id, "{\"a\":\"01234567890123456789012345678901234567890123456789012345678901234567890\"}", 20);
  case 3: return show(id, "{\"orderID\":\"x\",\"overallStatus\":\"ready\"}");
  case 4: return step % 4 ? tell(id, "{\"orderStage\":\"paid\"}", 30) : delete_order(id, 30);
  default: return delete_order("nobody", 0);
  }
}

#define STEPS 120u

/* What is in the book, as one number. */
static uint64_t digest(void) {
  uint64_t sum = sync_book_count(&book);
  sync_order_place cursor = {0};
  sync_order order;
  while (sync_book_each(&book, &cursor, &order)) {
    sum = sum * 31 + sync_map_hash(order.id);
    sum = sum * 31 + sync_map_hash(order.json);
    sum = sum * 31 + sync_map_hash(order.stage);
    sum = sum * 31 + (uint64_t)order.updated_ms;
  }
  return sum;
}

static void without_memory_the_book_is_as_it_was_at_every_step(void **state) {
  (void)state;
  for (unsigned step = 0; step < STEPS; step++) {
    uint64_t before = digest();
    size_t bytes = book.bytes;
    for (size_t nth = 1;; nth++) {
      counting_alloc_refuse(&memory, nth, 1);
      enum sync_book_outcome outcome = take_step(step);
      counting_alloc_allow(&memory);
      if (outcome != SYNC_BOOK_NO_MEMORY) break;
      assert_int_equal(effect.changed, 0);
      assert_int_equal(effect.previous_stage.length, 0);
      if (digest() != before || book.bytes != bytes) fail_msg("step %u, request %zu", step, nth);
    }
  }
  assert_true(memory.refused > STEPS / 2);
  size_t count = sync_book_count(&book);
  uint64_t bitten = digest();
  sync_book_fini(&book);
  for (unsigned step = 0; step < STEPS; step++) assert_true(take_step(step) != SYNC_BOOK_NO_MEMORY);
  assert_int_equal(sync_book_count(&book), count);
  assert_true(digest() == bitten); /* and it has lost nothing on the way */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(an_empty_book_has_nothing_and_takes_no_memory),
      TEST(an_event_about_an_unknown_order_makes_it),
      TEST(every_order_has_its_id),
      TEST(events_change_what_they_name),
      TEST(snapshots_replace_the_whole),
      TEST(the_same_in_another_spelling_is_the_same),
      TEST(what_changed_and_what_was_before_is_told),
      TEST(texts_are_plain_whatever_their_spelling),
      TEST(the_events_word_on_the_stage_before_helps_where_the_book_knows_none),
      TEST(where_when_and_how_new_is_told),
      TEST(what_cannot_be_read_is_refused),
      TEST(the_one_changed_last_comes_first_whatever_its_class),
      TEST(what_a_snapshot_does_not_mention_is_missing),
      TEST(two_snapshots_may_be_under_way_at_once),
      TEST(a_change_of_a_word_takes_no_memory),
      TEST(a_new_order_takes_two_blocks),
      TEST(room_follows_what_is_in_it),
      TEST(without_memory_the_book_is_as_it_was_at_every_step),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* book_age_test.c - old news and new news: what may overwrite what in the order book. */
#include "orders.h"

/* ---- events against events --------------------------------------------------------------------------------------- */

static void an_older_event_does_not_overwrite(void **state) {
  (void)state;
  tell("A", "{\"orderID\":\"A\",\"n\":2}", 200);
  assert_int_equal(tell("A", "{\"n\":1}", 100), SYNC_BOOK_OLDER);
  assert_int_equal(book.older, 1);
  assert_int_equal(effect.changed, 0);
  check_order("A", "{\"orderID\":\"A\",\"n\":2}");
}

static void an_older_event_fills_in_what_is_not_known(void **state) {
  (void)state;
  tell("A", "{\"orderID\":\"A\",\"n\":2}", 200);
  assert_int_equal(tell("A", "{\"n\":1,\"m\":1}", 100), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"n\":2,\"m\":1}");
  assert_int_equal(effect.changed, SYNC_BOOK_OTHER);
  assert_int_equal(tell("A", "{\"m\":0}", 50), SYNC_BOOK_OLDER); /* and then it is known */
}

static void an_event_as_new_as_the_book_applies(void **state) {
  (void)state;
  tell("A", "{\"orderID\":\"A\",\"n\":1}", 100);
  assert_int_equal(tell("A", "{\"n\":2}", 100), SYNC_BOOK_CHANGED);
  assert_int_equal(tell("A", "{\"n\":3,\"version\":5}", 0), SYNC_BOOK_CHANGED);
  assert_int_equal(tell("A", "{\"n\":4,\"version\":5}", 0), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"n\":4,\"version\":5}");
}

static void events_without_any_age_apply_in_their_order(void **state) {
  (void)state;
  tell("A", "{\"orderID\":\"A\",\"n\":1}", 100);
  assert_int_equal(tell("A", "{\"n\":2}", 0), SYNC_BOOK_CHANGED);
  assert_int_equal(tell("A", "{\"n\":3}", 0), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"n\":3}");
}

static void a_version_decides_before_any_time(void **state) {
  (void)state;
  static const char *const fields[] = {"version", "sequence", "seq"};
  for (size_t i = 0; i < COUNT_OF(fields); i++) {
    char newer[64], older[64];
    snprintf(newer, sizeof newer, "{\"n\":2,\"%s\":9223372036854775807}", fields[i]);
    snprintf(older, sizeof older, "{\"n\":1,\"%s\":9223372036854775806}", fields[i]);
    tell(fields[i], newer, 100);
    assert_int_equal(tell(fields[i], older, 200), SYNC_BOOK_OLDER);
    assert_int_equal(show(fields[i], older), SYNC_BOOK_OLDER);
  }
  tell("A", "{\"n\":1}", 0);
  assert_int_equal(tell("A", "{\"n\":2,\"version\":-5}", 0), SYNC_BOOK_CHANGED);
  assert_int_equal(tell("A", "{\"n\":3,\"version\":-6}", 0), SYNC_BOOK_OLDER);
}

static void the_orders_own_time_decides_before_the_events(void **state) {
  (void)state;
  tell("A", "{\"orderID\":\"A\",\"n\":2,\"updatedAt\":\"2026-11-22T10:00:02Z\"}", 1000);
  assert_int_equal(tell("A", "{\"n\":1,\"updatedAt\":\"2026-11-22T10:00:01Z\"}", 2000), SYNC_BOOK_OLDER);
  assert_int_equal(tell("A", "{\"n\":3,\"updatedAt\":\"2026-11-22T11:00:03+01:00\"}", 500), SYNC_BOOK_CHANGED);
}

/* What the broadcaster sends at 52 without the order, and at 53 with it, was changed at 48 and 49. */
static void clocks_that_differ_do_not_make_the_stream_old(void **state) {
  (void)state;
  show("A", "{\"orderID\":\"A\",\"orderStage\":\"empty\",\"updatedAt\":1795341600047}");
  tell("A", "{\"orderStage\":\"open\"}", 1795341600052);
  assert_int_equal(tell("A", "{\"orderStage\":\"billed\",\"updatedAt\":1795341600049}", 1795341600053),
                   SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"orderStage\":\"billed\",\"updatedAt\":1795341600049}");
}

/* ---- snapshots against events ------------------------------------------------------------------------------------ */

static void an_older_snapshot_leaves_alone_what_events_have_told_since(void **state) {
  (void)state;
  show("A", "{\"orderID\":\"A\",\"n\":1,\"m\":1,\"updatedAt\":10}");
  tell("A", "{\"n\":2}", 20000);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":1,\"m\":2,\"updatedAt\":15}"), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"n\":2,\"m\":2,\"updatedAt\":15}");
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":1,\"m\":2,\"updatedAt\":15}"), SYNC_BOOK_OLDER);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":2,\"m\":2,\"updatedAt\":15}"), SYNC_BOOK_SAME);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":3,\"updatedAt\":25}"), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"n\":3,\"updatedAt\":25}");
}

static void what_is_older_than_the_whole_changes_nothing(void **state) {
  (void)state;
  show("A", "{\"orderID\":\"A\",\"n\":2,\"updatedAt\":20}");
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":1,\"m\":1,\"updatedAt\":10}"), SYNC_BOOK_OLDER);
  assert_int_equal(tell("A", "{\"n\":1,\"m\":1}", 10000), SYNC_BOOK_OLDER);
  assert_int_equal(tell("A", "{\"n\":1,\"m\":1,\"updatedAt\":10}", 30000), SYNC_BOOK_OLDER);
  check_order("A", "{\"orderID\":\"A\",\"n\":2,\"updatedAt\":20}");
  assert_int_equal(book.older, 3);
}

static void a_newer_snapshot_ends_that(void **state) {
  (void)state;
  show("A", "{\"orderID\":\"A\",\"n\":1,\"m\":1,\"updatedAt\":10}");
  tell("A", "{\"n\":2}", 20000);
  show("A", "{\"orderID\":\"A\",\"n\":3,\"m\":1,\"updatedAt\":30}");
  tell("A", "{\"m\":2}", 50000);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":4,\"m\":1,\"updatedAt\":40}"), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"n\":4,\"m\":2,\"updatedAt\":40}");
}

/* A snapshot that drops members moves those that it leaves alone. */
static void members_are_left_alone_wherever_they_move(void **state) {
  (void)state;
  show("A", "{\"gone\":1,\"orderID\":\"A\",\"m\":1,\"n\":1,\"updatedAt\":10}");
  tell("A", "{\"n\":2}", 30000);
  show("A", "{\"orderID\":\"A\",\"m\":2,\"n\":1,\"updatedAt\":11}");
  check_order("A", "{\"orderID\":\"A\",\"m\":2,\"n\":2,\"updatedAt\":11}");
  show("A", "{\"orderID\":\"A\",\"m\":3,\"n\":1,\"updatedAt\":12}");
  check_order("A", "{\"orderID\":\"A\",\"m\":3,\"n\":2,\"updatedAt\":12}");
}

static void an_older_snapshot_still_is_the_newest_whole(void **state) {
  (void)state;
  tell("A", "{\"orderID\":\"A\",\"n\":2}", 20000);
  show("A", "{\"orderID\":\"A\",\"n\":1,\"m\":2,\"updatedAt\":15}");
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":1,\"m\":1,\"updatedAt\":12}"), SYNC_BOOK_OLDER);
  assert_int_equal(tell("A", "{\"m\":1,\"k\":1}", 14000), SYNC_BOOK_OLDER);
  assert_int_equal(tell("A", "{\"m\":1,\"updatedAt\":12}", 21000), SYNC_BOOK_OLDER);
  check_order("A", "{\"orderID\":\"A\",\"n\":2,\"m\":2,\"updatedAt\":15}");
}

/* The stream tells at 200 of one member, and a late event of 150 of another: it is newer than the whole. */
static void an_event_between_the_whole_and_the_last_one_tells_of_other_members(void **state) {
  (void)state;
  show("A", "{\"orderID\":\"A\",\"n\":1,\"m\":1,\"updatedAt\":100}");
  tell("A", "{\"n\":2}", 200000);
  assert_int_equal(tell("A", "{\"n\":0,\"m\":2}", 150000), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"n\":2,\"m\":2,\"updatedAt\":100}");
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":0,\"m\":0,\"updatedAt\":120}"), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"n\":2,\"m\":2,\"updatedAt\":120}");
}

static void a_snapshot_as_new_as_the_stream_applies_if_nothing_was_heard_since_it_was_asked_for(void **state) {
  (void)state;
  tell("A", "{\"orderID\":\"A\",\"n\":1,\"updatedAt\":10}", 0);
  uint64_t mark = sync_book_mark(&book);
  tell("A", "{\"n\":2,\"updatedAt\":10}", 0);
  assert_int_equal(show_since(mark, "A", "{\"orderID\":\"A\",\"n\":1,\"m\":7,\"updatedAt\":10}"), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"n\":2,\"updatedAt\":10,\"m\":7}");
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":3,\"m\":7,\"updatedAt\":10}"), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"n\":3,\"updatedAt\":10,\"m\":7}");
}

static void so_does_a_snapshot_without_any_age(void **state) {
  (void)state;
  tell("A", "{\"orderID\":\"A\",\"n\":1}", 0);
  uint64_t mark = sync_book_mark(&book);
  tell("A", "{\"n\":2}", 0);
  assert_int_equal(show_since(mark, "A", "{\"orderID\":\"A\",\"n\":1}"), SYNC_BOOK_OLDER);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":3}"), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"n\":3}");
}

static void an_event_without_a_time_is_later_than_the_snapshot_before_it(void **state) {
  (void)state;
  show("A", "{\"orderID\":\"A\",\"n\":1,\"updatedAt\":10}");
  uint64_t mark = sync_book_mark(&book);
  tell("A", "{\"n\":2}", 0);
  assert_int_equal(show_since(mark, "A", "{\"orderID\":\"A\",\"n\":1,\"updatedAt\":10}"), SYNC_BOOK_OLDER);
  check_order("A", "{\"orderID\":\"A\",\"n\":2,\"updatedAt\":10}");
  assert_int_equal(show_since(mark, "A", "{\"orderID\":\"A\",\"n\":3,\"updatedAt\":11}"), SYNC_BOOK_CHANGED);
}

/* ---- deletion ---------------------------------------------------------------------------------------------------- */

static void a_deleted_order_is_not_listed_and_what_it_was_is_told(void **state) {
  (void)state;
  tell("A", "{\"orderStage\":\"open\",\"overallStatus\":\"ready\"}", 10);
  assert_int_equal(delete_order("A", 20), SYNC_BOOK_DELETED);
  check_span(effect.previous_stage, "open");
  check_span(effect.previous_status, "ready");
  assert_false(is_listed("A"));
  check_listed("");
  assert_int_equal(delete_order("A", 30), SYNC_BOOK_SAME);
  assert_int_equal(delete_order("B", 30), SYNC_BOOK_SAME);
  check_listed("");
}

static void an_older_deletion_is_no_deletion(void **state) {
  (void)state;
  tell("A", "{\"n\":1}", 20);
  assert_int_equal(delete_order("A", 10), SYNC_BOOK_OLDER);
  assert_true(is_listed("A"));
  assert_int_equal(delete_order("A", 20), SYNC_BOOK_DELETED);
}

static void a_deletion_without_a_time_applies(void **state) {
  (void)state;
  tell("A", "{\"n\":1,\"version\":3,\"updatedAt\":20}", 20000);
  assert_int_equal(delete_order("A", 0), SYNC_BOOK_DELETED);
}

static void older_news_do_not_bring_an_order_back(void **state) {
  (void)state;
  show("A", "{\"orderID\":\"A\",\"n\":1,\"updatedAt\":10}");
  uint64_t mark = sync_book_mark(&book);
  delete_order("A", 20000);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":1,\"updatedAt\":10}"), SYNC_BOOK_OLDER);
  assert_int_equal(show_since(mark, "A", "{\"orderID\":\"A\",\"n\":1}"), SYNC_BOOK_OLDER);
  assert_int_equal(show_since(mark, "A", "{\"orderID\":\"A\",\"n\":1,\"updatedAt\":20}"), SYNC_BOOK_OLDER);
  assert_int_equal(tell("A", "{\"n\":1}", 19000), SYNC_BOOK_OLDER);
  assert_int_equal(tell("A", "{\"n\":1,\"updatedAt\":10}", 0), SYNC_BOOK_OLDER);
  assert_false(is_listed("A"));
  assert_int_equal(book.older, 5);
}

static void an_order_that_was_never_seen_can_be_deleted_before_its_snapshot_comes(void **state) {
  (void)state;
  uint64_t mark = sync_book_mark(&book);
  delete_order("A", 20000);
  delete_order("B", 0);
  assert_int_equal(show_since(mark, "A", "{\"orderID\":\"A\",\"updatedAt\":19}"), SYNC_BOOK_OLDER);
  assert_int_equal(show_since(mark, "B", "{\"orderID\":\"B\"}"), SYNC_BOOK_OLDER);
  check_listed("");
}

static void newer_news_make_the_order_again_from_nothing(void **state) {
  (void)state;
  tell("A", "{\"orderID\":\"A\",\"orderStage\":\"paid\",\"old\":1,\"version\":9}", 10000);
  delete_order("A", 20000);
  assert_int_equal(tell("A", "{\"orderStage\":\"empty\",\"version\":1}", 21000), SYNC_BOOK_NEW);
  check_order("A", "{\"orderID\":\"A\",\"orderStage\":\"empty\",\"version\":1}");
  check_span(effect.previous_stage, "");
  check_listed("A");
  delete_order("A", 22000);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":3,\"updatedAt\":23}"), SYNC_BOOK_NEW);
  check_order("A", "{\"orderID\":\"A\",\"n\":3,\"updatedAt\":23}");
  delete_order("A", 0);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":3}"), SYNC_BOOK_NEW); /* asked for after it was deleted */
}

static void without_a_time_a_tombstone_goes_by_version(void **state) {
  (void)state;
  tell("A", "{\"version\":9}", 0);
  delete_order("A", 0);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"version\":8}"), SYNC_BOOK_OLDER);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"version\":10}"), SYNC_BOOK_NEW);
}

static void what_was_told_of_an_order_before_it_was_deleted_does_not_protect_it_afterwards(void **state) {
  (void)state;
  show("A", "{\"orderID\":\"A\",\"n\":1,\"updatedAt\":10}");
  tell("A", "{\"n\":2}", 15000);
  delete_order("A", 20000);
  tell("A", "{\"orderID\":\"A\",\"m\":1}", 30000);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":5,\"m\":0,\"updatedAt\":25}"), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"m\":1,\"n\":5,\"updatedAt\":25}");
}

static void news_from_before_the_deletion_are_not_about_the_order_that_was_made_since(void **state) {
  (void)state;
  tell("A", "{\"orderID\":\"A\",\"n\":1}", 10000);
  delete_order("A", 20000);
  tell("A", "{\"orderID\":\"A\",\"n\":2}", 30000);
  assert_int_equal(tell("A", "{\"m\":1}", 15000), SYNC_BOOK_OLDER);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"m\":1,\"updatedAt\":15}"), SYNC_BOOK_OLDER);
  check_order("A", "{\"orderID\":\"A\",\"n\":2}");
  assert_int_equal(tell("A", "{\"m\":2}", 25000), SYNC_BOOK_CHANGED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(an_older_event_does_not_overwrite),
      TEST(an_older_event_fills_in_what_is_not_known),
      TEST(an_event_as_new_as_the_book_applies),
      TEST(events_without_any_age_apply_in_their_order),
      TEST(a_version_decides_before_any_time),
      TEST(the_orders_own_time_decides_before_the_events),
      TEST(clocks_that_differ_do_not_make_the_stream_old),
      TEST(an_older_snapshot_leaves_alone_what_events_have_told_since),
      TEST(a_newer_snapshot_ends_that),
      TEST(members_are_left_alone_wherever_they_move),
      TEST(an_older_snapshot_still_is_the_newest_whole),
      TEST(what_is_older_than_the_whole_changes_nothing),
      TEST(an_event_between_the_whole_and_the_last_one_tells_of_other_members),
      TEST(a_snapshot_as_new_as_the_stream_applies_if_nothing_was_heard_since_it_was_asked_for),
      TEST(so_does_a_snapshot_without_any_age),
      TEST(an_event_without_a_time_is_later_than_the_snapshot_before_it),
      TEST(a_deleted_order_is_not_listed_and_what_it_was_is_told),
      TEST(an_older_deletion_is_no_deletion),
      TEST(a_deletion_without_a_time_applies),
      TEST(older_news_do_not_bring_an_order_back),
      TEST(an_order_that_was_never_seen_can_be_deleted_before_its_snapshot_comes),
      TEST(newer_news_make_the_order_again_from_nothing),
      TEST(without_a_time_a_tombstone_goes_by_version),
      TEST(what_was_told_of_an_order_before_it_was_deleted_does_not_protect_it_afterwards),
      TEST(news_from_before_the_deletion_are_not_about_the_order_that_was_made_since),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

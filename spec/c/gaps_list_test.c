/* gaps_list_test.c - the list of gaps: its changes, its limit, what comes from disk, and want of memory. */
#include "gaps_scene.h"

/* ---- changes, and what was on disk ------------------------------------------------------------------------------- */

static void changes_are_told_once_with_their_latest_state(void **state) {
  (void)state;
  uint64_t told = 0, saved = 0;
  begin_again(SYNC_GAP_IDS_DENSE);
  assert_null(sync_gaps_next_change(&gaps, &told));
  play("1 4 6");
  assert_int_equal(sync_gaps_next_change(&gaps, &told)->number, 1);
  assert_int_equal(sync_gaps_next_change(&gaps, &told)->number, 2);
  assert_null(sync_gaps_next_change(&gaps, &told));
  play("2");
  play("5");
  const struct sync_gap *gap = sync_gaps_next_change(&gaps, &told);
  assert_int_equal(gap->number, 1);
  assert_int_equal(gap->missing, 1);
  assert_int_equal(sync_gaps_next_change(&gaps, &told)->cure, SYNC_CURE_REPLAY);
  assert_null(sync_gaps_next_change(&gaps, &told));
  assert_int_equal(sync_gaps_next_change(&gaps, &saved)->number, 1); /* to another, it is news */
  play("10");
  assert_int_equal(sync_gaps_next_change(&gaps, &told)->number, 3);
  play("8");
  assert_int_equal(sync_gaps_next_change(&gaps, &told)->number, 3); /* split */
  assert_int_equal(sync_gaps_next_change(&gaps, &told)->number, 4);
}

static void a_gap_from_disk_is_as_it_was(void **state) {
  (void)state;
  char after[] = "e-3";
  const struct sync_gap kept = {.number = 7,
                                .through = 9,
                                .reason = SYNC_GAP_HUB,
                                .missing = 4,
                                .opened_at_ms = 5,
                                .after_id = span_of(after),
                                .order_id = span_of("A"),
                                .detail = span_of("earliest")};
  uint64_t told = 0;
  sync_gaps_restore(&gaps, &kept);
  after[0] = '?'; /* it has its own */
  check_gap(0, SYNC_GAP_HUB, SYNC_CURE_NONE, 4);
  check_span(gap_at(0)->after_id, "e-3");
  check_span(gap_at(0)->order_id, "A");
  check_span(gap_at(0)->detail, "earliest");
  assert_int_equal(sync_gaps_next_change(&gaps, &told)->number, 7); /* another disk does not know it */
  assert_null(sync_gaps_next_change(&gaps, &told));
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_SNAPSHOT);
  sync_gaps_resync(&gaps, span_of(""), span_of(""), now_ms);
  assert_int_equal(gap_at(1)->number, 10);
}

static void a_number_from_disk_is_not_used_again(void **state) {
  (void)state;
  const struct sync_gap kept = {.number = 7, .cure = SYNC_CURE_SNAPSHOT, .closed_at_ms = 6};
  sync_gaps_restore(&gaps, &kept);
  check_open(0);
  assert_int_equal(gap_at(0)->through, 7);
  sync_gaps_resync(&gaps, span_of(""), span_of(""), now_ms);
  assert_int_equal(gap_at(1)->number, 8);
}

static void what_comes_late_from_disk_takes_its_place(void **state) {
  (void)state;
  sync_gaps_number_from(&gaps, 1000);
  sync_gaps_resync(&gaps, span_of("7"), span_of("now"), now_ms);
  for (unsigned number = 1; number <= 2; number++) {
    const struct sync_gap kept = {.number = number, .reason = SYNC_GAP_HUB, .detail = span_of("before")};
    sync_gaps_restore(&gaps, &kept);
  }
  for (size_t i = 0; i < 2; i++) assert_int_equal(gap_at(i)->number, i + 1);
  check_span(gap_at(1)->detail, "before");
  assert_int_equal(gap_at(2)->number, 1001);
  check_span(gap_at(2)->detail, "now");
}

static void a_copy_has_texts_of_its_own(void **state) {
  (void)state;
  sync_gaps_resync(&gaps, span_of("7"), span_of("too_old"), now_ms);
  struct sync_gap *copy = sync_gap_copy(&memory.allocator, gap_at(0));
  assert_non_null(copy);
  sync_gaps_give_up(&gaps, 1, now_ms);
  assert_int_equal(copy->cure, SYNC_CURE_NONE);
  check_span(copy->detail, "too_old");
  assert_ptr_not_equal(copy->detail.bytes, gap_at(0)->detail.bytes);
  assert_int_equal(copy->order_id.length, 0);
  sync_alloc_free(&memory.allocator, copy);
}

/* ---- the limit --------------------------------------------------------------------------------------------------- */

static void open_gaps(unsigned count) {
  begin_again(SYNC_GAP_IDS_DENSE);
  see("1");
  for (unsigned i = 1; i <= count; i++) see_number("", 1 + 3 * i);
}

static void the_oldest_closed_one_goes_first(void **state) {
  (void)state;
  open_gaps(SYNC_GAPS_MAX);
  assert_true(sync_gaps_give_up(&gaps, 5, now_ms));
  assert_true(sync_gaps_give_up(&gaps, 3, now_ms));
  see("9000");
  check_open(SYNC_GAPS_MAX - 1);
  assert_int_equal(gap_at(1)->number, 2);
  assert_int_equal(gap_at(2)->number, 4);
  assert_int_equal(gap_at(3)->number, 5);
  assert_int_equal(gap_at(SYNC_GAPS_MAX - 1)->number, SYNC_GAPS_MAX + 1);
}

static void the_two_oldest_become_one_when_all_are_open(void **state) {
  (void)state;
  uint64_t told = 0;
  open_gaps(SYNC_GAPS_MAX);
  while (sync_gaps_next_change(&gaps, &told)) continue;
  see("9000");
  check_open(SYNC_GAPS_MAX);
  const struct sync_gap *merged = gap_at(0);
  assert_int_equal(merged->number, 1);
  assert_int_equal(merged->through, 2);
  assert_int_equal(merged->missing, 4);
  check_span(merged->after_id, "1");
  check_span(merged->before_id, "7");
  assert_int_equal(gap_at(1)->number, 3);
  assert_ptr_equal(sync_gaps_next_change(&gaps, &told), merged);
  see("2"); /* which is one of many */
  check_gap(0, SYNC_GAP_IDS, SYNC_CURE_NONE, 4);
  see("9003");
  assert_int_equal(gap_at(0)->through, 3);
  assert_int_equal(gap_at(0)->missing, 6);
}

static void what_is_not_known_of_one_is_not_known_of_both(void **state) {
  (void)state;
  begin_again(SYNC_GAP_IDS_DENSE);
  gaps.config.order_id = "A";
  sync_gaps_resync(&gaps, span_of(""), span_of("why"), now_ms);
  see("1");
  for (unsigned i = 1; i < SYNC_GAPS_MAX; i++) see_number("", 1 + 3 * i);
  gaps.config.order_id = "B";
  see("9000");
  check_gap(0, SYNC_GAP_RESYNC, SYNC_CURE_NONE, 0);
  check_span(gap_at(0)->order_id, "A");
  check_span(gap_at(0)->detail, "why");
  gaps.config.order_id = NULL;
  for (unsigned i = 0; i < SYNC_GAPS_MAX; i++) see_number("", 9003 + 3 * i);
  check_span(gap_at(0)->order_id, "");
}

static void a_merged_gap_is_closed_by_what_covers_both(void **state) {
  (void)state;
  const struct sync_gap kept = {.number = 1, .missing = UINT64_MAX};
  sync_gaps_restore(&gaps, &kept);
  sync_gaps_asked(&gaps, SYNC_CURE_SNAPSHOT);
  for (unsigned i = 0; i < SYNC_GAPS_MAX; i++) {
    const struct sync_gap more = {.number = 2 + i, .missing = 5};
    sync_gaps_restore(&gaps, &more);
  }
  assert_int_equal(gap_at(0)->through, 2);
  assert_int_equal(gap_at(0)->missing, 0); /* too many to count */
  sync_gaps_cured(&gaps, SYNC_CURE_SNAPSHOT, now_ms);
  check_open(SYNC_GAPS_MAX);
}

static void a_full_list_is_not_split_further(void **state) {
  (void)state;
  open_gaps(SYNC_GAPS_MAX - 1);
  see("9000"); /* a long one, the last that has room */
  uint64_t missing = gap_at(SYNC_GAPS_MAX - 1)->missing;
  see("8500");
  assert_int_equal(gap_at(SYNC_GAPS_MAX - 1)->missing, missing);
  assert_int_equal(gap_at(0)->through, 1);
}

/* ---- without memory ---------------------------------------------------------------------------------------------- */

static void a_gap_without_memory_is_counted(void **state) {
  (void)state;
  begin_again(SYNC_GAP_IDS_DENSE);
  play("1");
  counting_alloc_refuse(&memory, 1, 1000);
  play("3 5");
  counting_alloc_allow(&memory);
  assert_null(sync_gaps_get(&gaps, 0));
  check_open(2);
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_SNAPSHOT);
  sync_gaps_asked(&gaps, SYNC_CURE_SNAPSHOT);
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_NONE);
  counting_alloc_refuse(&memory, 1, 1000);
  play("7");
  counting_alloc_allow(&memory);
  sync_gaps_cured(&gaps, SYNC_CURE_SNAPSHOT, now_ms);
  check_open(1);
  sync_gaps_cured(&gaps, SYNC_CURE_SNAPSHOT, now_ms);
  check_open(1);
  sync_gaps_asked(&gaps, SYNC_CURE_SNAPSHOT);
  sync_gaps_uncured(&gaps, SYNC_CURE_SNAPSHOT);
  sync_gaps_cured(&gaps, SYNC_CURE_SNAPSHOT, now_ms);
  check_open(1);
  assert_true(sync_gaps_give_up(&gaps, 0, now_ms));
  check_open(0);
}

static void nobody_knows_which_order_such_a_gap_is_about(void **state) {
  (void)state;
  begin_again(SYNC_GAP_IDS_DENSE);
  gaps.config.order_id = "A";
  gaps.config.can_fetch_order = true;
  play("1");
  counting_alloc_refuse(&memory, 1, 1000);
  play("3");
  counting_alloc_allow(&memory);
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_SNAPSHOT);
  sync_gaps_asked(&gaps, SYNC_CURE_ORDER);
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_SNAPSHOT);
  sync_gaps_asked(&gaps, SYNC_CURE_SNAPSHOT);
  sync_gaps_cured(&gaps, SYNC_CURE_ORDER, now_ms);
  check_open(1);
}

static void without_memory_a_closed_one_makes_room(void **state) {
  (void)state;
  open_gaps(8); /* as many as there was room for at first */
  sync_gaps_give_up(&gaps, 4, now_ms);
  counting_alloc_refuse(&memory, 1, 1000);
  see("9000");
  counting_alloc_allow(&memory);
  assert_int_equal(gap_at(7)->number, 9);
  check_span(gap_at(7)->after_id, ""); /* better than nothing */
  check_open(8);
}

static void a_closed_gap_from_disk_may_be_forgotten(void **state) {
  (void)state;
  const struct sync_gap closed = {.number = 1, .cure = SYNC_CURE_ORDER}, open = {.number = 2};
  counting_alloc_refuse(&memory, 1, 1000);
  sync_gaps_restore(&gaps, &closed);
  check_open(0);
  sync_gaps_restore(&gaps, &open);
  check_open(1);
  counting_alloc_allow(&memory);
}

/* Whatever fails, a gap that there is is counted. */
static void each_lack_of_memory_is_survived(void **state) {
  (void)state;
  bool refused = true;
  for (size_t nth = 1; refused; nth++) {
    begin_again(SYNC_GAP_IDS_DENSE);
    counting_alloc_refuse(&memory, nth, 1);
    memory.refused = 0;
    sync_gaps_opened(&gaps, span_of("x-1"), span_of("earliest"), now_ms);
    sync_gaps_resync(&gaps, span_of("x-5"), span_of("too_old"), now_ms);
    play("x-6 x-20 x-13");
    reopen("");
    reopen("x-20");
    play("a-much-longer-prefix-than-the-one-before-1");
    counting_alloc_allow(&memory);
    refused = memory.refused > 0;
    uint64_t open = sync_gaps_open_count(&gaps);
    if (open < 3) fail_msg("request %zu: %llu gaps", nth, (unsigned long long)open);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
      TEST(changes_are_told_once_with_their_latest_state),
      TEST(a_gap_from_disk_is_as_it_was),
      TEST(a_number_from_disk_is_not_used_again),
      TEST(what_comes_late_from_disk_takes_its_place),
      TEST(a_copy_has_texts_of_its_own),
      TEST(the_oldest_closed_one_goes_first),
      TEST(the_two_oldest_become_one_when_all_are_open),
      TEST(what_is_not_known_of_one_is_not_known_of_both),
      TEST(a_merged_gap_is_closed_by_what_covers_both),
      TEST(a_full_list_is_not_split_further),
      TEST(a_gap_without_memory_is_counted),
      TEST(nobody_knows_which_order_such_a_gap_is_about),
      TEST(without_memory_a_closed_one_makes_room),
      TEST(a_closed_gap_from_disk_may_be_forgotten),
      TEST(each_lack_of_memory_is_survived),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

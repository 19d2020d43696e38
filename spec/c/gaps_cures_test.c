/* gaps_cures_test.c - what closes a gap: replay, fetching, the host. */
#include "gaps_scene.h"

/* ---- cures: replay ----------------------------------------------------------------------------------------------- */

static void begin_replaying(void) {
  begin_again(SYNC_GAP_IDS_DENSE);
  prove_replay("1");
  see("2");
}

static void an_event_behind_a_hole_is_refused_and_the_hole_replayed(void **state) {
  (void)state;
  begin_replaying();
  assert_int_equal(see("5"), SYNC_GAPS_REFUSE);
  check_gap(0, SYNC_GAP_IDS, SYNC_CURE_NONE, 2);
  check_span(gap_at(0)->after_id, "2");
  check_span(gap_at(0)->before_id, "5");
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_NONE); /* wait and see */
  reopen("2");
  assert_int_equal(see("3"), SYNC_GAPS_TAKE);
  assert_int_equal(see("4"), SYNC_GAPS_TAKE);
  check_gap(0, SYNC_GAP_IDS, SYNC_CURE_REPLAY, 0);
  assert_int_equal(see("5"), SYNC_GAPS_TAKE);
  assert_null(sync_gaps_get(&gaps, 1));
}

static void what_is_not_replayed_stays_open_and_is_fetched(void **state) {
  (void)state;
  begin_replaying();
  assert_int_equal(see("5"), SYNC_GAPS_REFUSE);
  reopen("2");
  see("3");
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_NONE);
  assert_int_equal(see("5"), SYNC_GAPS_TAKE);
  check_gap(0, SYNC_GAP_IDS, SYNC_CURE_NONE, 1);
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_SNAPSHOT);
  assert_int_equal(see("6"), SYNC_GAPS_TAKE);
  assert_null(sync_gaps_get(&gaps, 1));
}

static void nothing_is_refused_of_a_server_that_may_not_replay(void **state) {
  (void)state;
  begin_again(SYNC_GAP_IDS_DENSE);
  reopen("1");
  now_ms += SYNC_GAPS_PROMPT_MS + 1;
  see("2");
  assert_int_equal(see("5"), SYNC_GAPS_TAKE);
  reopen("5");
  now_ms += SYNC_GAPS_PROMPT_MS;
  see("6"); /* so soon: it had waited for us */
  assert_int_equal(see("9"), SYNC_GAPS_REFUSE);
  begin_again(SYNC_GAP_IDS_DENSE);
  prove_replay("1"); /* it says so */
  now_ms += SYNC_GAPS_PROMPT_MS + 1;
  see("2");
  assert_int_equal(see("5"), SYNC_GAPS_REFUSE);
}

static void nor_where_the_stream_must_not_be_ended(void **state) {
  (void)state;
  begin_replaying();
  may_replay = false;
  assert_int_equal(see("5"), SYNC_GAPS_TAKE);
}

static void nor_when_the_server_has_just_been_asked(void **state) {
  (void)state;
  begin_replaying();
  prove_replay("2");
  assert_int_equal(see("5"), SYNC_GAPS_TAKE);
  assert_int_equal(see("8"), SYNC_GAPS_REFUSE); /* in mid-stream again */
}

static void a_refused_event_that_never_comes_again_ends_all_refusing(void **state) {
  (void)state;
  begin_replaying();
  assert_int_equal(see("5"), SYNC_GAPS_REFUSE);
  reopen("2");
  assert_int_equal(see("7"), SYNC_GAPS_TAKE);
  check_gap(0, SYNC_GAP_IDS, SYNC_CURE_NONE, 2);
  check_gap(1, SYNC_GAP_IDS, SYNC_CURE_NONE, 2); /* 5 and 6 */
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_SNAPSHOT);
  assert_int_equal(see("9"), SYNC_GAPS_TAKE);
  sync_gaps_give_up(&gaps, 2, now_ms);
  sync_gaps_give_up(&gaps, 3, now_ms);
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_SNAPSHOT); /* for the first */
}

/* Refused and asked for again, and the next is the same. */
static void replay_in_vain(unsigned long long number) {
  assert_int_equal(see_number("", number), SYNC_GAPS_REFUSE);
  reopen("whatever");
  assert_int_equal(see_number("", number), SYNC_GAPS_TAKE);
}

static void vain_replays_come_to_an_end(void **state) {
  (void)state;
  begin_replaying();
  replay_in_vain(4);
  replay_in_vain(6);
  replay_in_vain(8);
  assert_int_equal(see("10"), SYNC_GAPS_TAKE);
  check_open(4); /* the user says that it counts */
}

static void a_replay_that_helped_makes_up_for_vain_ones(void **state) {
  (void)state;
  begin_replaying();
  replay_in_vain(4);
  replay_in_vain(6);
  assert_int_equal(see("8"), SYNC_GAPS_REFUSE);
  reopen("6");
  see("7");
  see("8");
  replay_in_vain(10);
  replay_in_vain(12);
  assert_int_equal(see("14"), SYNC_GAPS_REFUSE);
}

static void a_server_that_has_nothing_for_its_holes_does_not_count(void **state) {
  (void)state;
  count_up("", 1);
  prove_replay("33");
  see("34");
  replay_in_vain(36);
  replay_in_vain(38);
  replay_in_vain(40);
  play("45 50 | 70");
  check_open(3);
}

static void a_break_that_the_server_admits_ends_a_replay(void **state) {
  (void)state;
  begin_replaying();
  see("5");
  sync_gaps_opened(&gaps, span_of("2"), span_of("earliest"), now_ms);
  sync_gaps_give_up(&gaps, 2, now_ms);
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_SNAPSHOT); /* for the first */
  begin_replaying();
  see("5");
  reopen("2");
  sync_gaps_resync(&gaps, span_of(""), span_of(""), now_ms);
  sync_gaps_give_up(&gaps, 2, now_ms);
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_SNAPSHOT);
  begin_replaying();
  see("5");
  reopen("2");
  see("e-1"); /* another epoch */
  sync_gaps_give_up(&gaps, 2, now_ms);
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_SNAPSHOT);
}

static void another_stream_has_nothing_to_do_with_what_this_one_did(void **state) {
  (void)state;
  begin_replaying();
  see("5");
  sync_gaps_configure(&gaps, &gaps.config, true);
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_SNAPSHOT); /* it will not be replayed */
  play("9 12"); /* nor is it known to replay; and nothing is missing before its first event */
  check_open(2);
  sync_gaps_opened(&gaps, span_of("12"), span_of("earliest"), now_ms);
  sync_gaps_configure(&gaps, &gaps.config, true);
  sync_gaps_resync(&gaps, span_of(""), span_of(""), now_ms);
  check_open(4);
  check_span(gap_at(3)->after_id, "");
}

static void another_stream_is_learned_from_the_start(void **state) {
  (void)state;
  play("1..30");
  sync_gaps_configure(&gaps, &gaps.config, true);
  play("1..20 30");
  check_open(0);
  begin_replaying();
  replay_in_vain(4);
  replay_in_vain(6);
  replay_in_vain(8);
  sync_gaps_configure(&gaps, &gaps.config, true);
  prove_replay("1");
  see("2");
  assert_int_equal(see("5"), SYNC_GAPS_REFUSE);
}

/* ---- cures: fetching --------------------------------------------------------------------------------------------- */

static void a_snapshot_closes_what_was_open_when_it_was_asked_for(void **state) {
  (void)state;
  begin_again(SYNC_GAP_IDS_DENSE);
  play("1 3");
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_SNAPSHOT);
  sync_gaps_asked(&gaps, SYNC_CURE_SNAPSHOT);
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_NONE);
  play("5");
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_SNAPSHOT);
  now_ms = 4711;
  sync_gaps_cured(&gaps, SYNC_CURE_SNAPSHOT, now_ms);
  check_gap(0, SYNC_GAP_IDS, SYNC_CURE_SNAPSHOT, 1);
  assert_int_equal(gap_at(0)->closed_at_ms, 4711);
  check_gap(1, SYNC_GAP_IDS, SYNC_CURE_NONE, 1);
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_SNAPSHOT);
  sync_gaps_cured(&gaps, SYNC_CURE_SNAPSHOT, now_ms); /* it covered nothing */
  check_open(1);
}

static void a_snapshot_that_fails_closes_nothing(void **state) {
  (void)state;
  begin_again(SYNC_GAP_IDS_DENSE);
  play("1 3");
  sync_gaps_asked(&gaps, SYNC_CURE_SNAPSHOT);
  sync_gaps_uncured(&gaps, SYNC_CURE_SNAPSHOT);
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_SNAPSHOT);
  sync_gaps_cured(&gaps, SYNC_CURE_SNAPSHOT, now_ms);
  check_open(1);
}

static void how_a_gap_was_closed_stands(void **state) {
  (void)state;
  begin_again(SYNC_GAP_IDS_DENSE);
  play("1 3 2");
  const struct sync_gap closed = *gap_at(0);
  now_ms += 1000;
  sync_gaps_asked(&gaps, SYNC_CURE_SNAPSHOT);
  sync_gaps_cured(&gaps, SYNC_CURE_SNAPSHOT, now_ms);
  assert_false(sync_gaps_give_up(&gaps, 1, now_ms));
  check_gap(0, SYNC_GAP_IDS, SYNC_CURE_REPLAY, 0);
  assert_int_equal(gap_at(0)->closed_at_ms, closed.closed_at_ms);
  play("2"); /* nor does it come to life */
  check_open(0);
}

static void what_a_snapshot_closed_cannot_be_filled(void **state) {
  (void)state;
  begin_again(SYNC_GAP_IDS_DENSE);
  play("1 4");
  sync_gaps_asked(&gaps, SYNC_CURE_SNAPSHOT);
  sync_gaps_cured(&gaps, SYNC_CURE_SNAPSHOT, now_ms);
  play("2 3");
  check_gap(0, SYNC_GAP_IDS, SYNC_CURE_SNAPSHOT, 2);
}

static void only_the_order_that_is_asked_for_can_be_fetched(void **state) {
  (void)state;
  begin_again(SYNC_GAP_IDS_DENSE);
  gaps.config.can_fetch_order = true;
  play("1 3"); /* of any order */
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_SNAPSHOT);
  assert_true(sync_gaps_give_up(&gaps, 1, now_ms));
  gaps.config.order_id = "A";
  play("5");
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_ORDER);
  gaps.config.order_id = "B";
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_SNAPSHOT);
  play("7");
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_SNAPSHOT); /* for both */
  sync_gaps_asked(&gaps, SYNC_CURE_ORDER);
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_SNAPSHOT);
  sync_gaps_cured(&gaps, SYNC_CURE_ORDER, now_ms);
  check_gap(1, SYNC_GAP_IDS, SYNC_CURE_NONE, 1);
  check_gap(2, SYNC_GAP_IDS, SYNC_CURE_ORDER, 1);
}

static void the_order_is_not_fetched_where_it_cannot_be(void **state) {
  (void)state;
  begin_again(SYNC_GAP_IDS_DENSE);
  gaps.config.order_id = "A";
  play("1 3");
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_SNAPSHOT);
  gaps.config.can_fetch_snapshot = false;
  assert_int_equal(sync_gaps_next_cure(&gaps), SYNC_CURE_NONE);
  check_open(1); /* and says so */
}

static void each_fetch_closes_what_it_covers(void **state) {
  (void)state;
  begin_again(SYNC_GAP_IDS_DENSE);
  gaps.config.order_id = "A";
  play("1 3");
  sync_gaps_asked(&gaps, SYNC_CURE_SNAPSHOT);
  sync_gaps_cured(&gaps, SYNC_CURE_ORDER, now_ms); /* nobody had asked for it */
  play("5");
  sync_gaps_asked(&gaps, SYNC_CURE_ORDER);
  sync_gaps_uncured(&gaps, SYNC_CURE_ORDER);
  sync_gaps_cured(&gaps, SYNC_CURE_SNAPSHOT, now_ms);
  check_gap(0, SYNC_GAP_IDS, SYNC_CURE_SNAPSHOT, 1);
  check_gap(1, SYNC_GAP_IDS, SYNC_CURE_NONE, 1);
}

static void the_host_may_give_up(void **state) {
  (void)state;
  begin_again(SYNC_GAP_IDS_DENSE);
  play("1 3 5");
  assert_false(sync_gaps_give_up(&gaps, 3, now_ms));
  assert_false(sync_gaps_give_up(&gaps, 0, now_ms));
  now_ms = 99;
  assert_true(sync_gaps_give_up(&gaps, 2, now_ms));
  check_gap(1, SYNC_GAP_IDS, SYNC_CURE_GIVEN_UP, 1);
  assert_int_equal(gap_at(1)->closed_at_ms, 99);
  check_open(1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
      TEST(an_event_behind_a_hole_is_refused_and_the_hole_replayed),
      TEST(what_is_not_replayed_stays_open_and_is_fetched),
      TEST(nothing_is_refused_of_a_server_that_may_not_replay),
      TEST(nor_where_the_stream_must_not_be_ended),
      TEST(nor_when_the_server_has_just_been_asked),
      TEST(a_refused_event_that_never_comes_again_ends_all_refusing),
      TEST(vain_replays_come_to_an_end),
      TEST(a_replay_that_helped_makes_up_for_vain_ones),
      TEST(a_server_that_has_nothing_for_its_holes_does_not_count),
      TEST(a_break_that_the_server_admits_ends_a_replay),
      TEST(another_stream_has_nothing_to_do_with_what_this_one_did),
      TEST(another_stream_is_learned_from_the_start),
      TEST(a_snapshot_closes_what_was_open_when_it_was_asked_for),
      TEST(a_snapshot_that_fails_closes_nothing),
      TEST(how_a_gap_was_closed_stands),
      TEST(what_a_snapshot_closed_cannot_be_filled),
      TEST(only_the_order_that_is_asked_for_can_be_fetched),
      TEST(the_order_is_not_fetched_where_it_cannot_be),
      TEST(each_fetch_closes_what_it_covers),
      TEST(the_host_may_give_up),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

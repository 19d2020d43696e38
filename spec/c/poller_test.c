/* poller_test.c - when to poll, on a clock and with a chance that the test owns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "poller.h"

#define INTERVAL_MS 1000
#define TIMEOUT_MS  300
#define BREAKER_MS  20000

static uint64_t bits; /* what chance says next */
static int64_t now_ms;
static struct sync_poller poller;

static uint64_t chance(void *arg) {
  return *(const uint64_t *)arg;
}

static int set_up(void **state) {
  (void)state;
  const struct sync_poller_config config = {INTERVAL_MS, TIMEOUT_MS, BREAKER_MS, chance, &bits};
  sync_poller_init(&poller, &config);
  bits = 0;
  now_ms = 5000;
  return 0;
}

/* Nothing is due before the deadline, which is `wait_ms` away; then this is. */
static void expect_in(int64_t wait_ms, enum sync_poller_due due) {
  assert_int_equal(sync_poller_deadline_ms(&poller), now_ms + wait_ms);
  if (wait_ms > 0) assert_int_equal(sync_poller_tick(&poller, now_ms + wait_ms - 1), SYNC_POLLER_NOTHING);
  now_ms += wait_ms;
  assert_int_equal(sync_poller_tick(&poller, now_ms), due);
}

static void expect_idle(void) {
  assert_int_equal(poller.phase, SYNC_POLLER_IDLE);
  assert_int_equal(sync_poller_deadline_ms(&poller), -1);
  assert_int_equal(sync_poller_tick(&poller, INT64_MAX), SYNC_POLLER_NOTHING);
}

static void succeed(void) {
  sync_poller_succeeded(&poller, now_ms);
}

static void fail_poll(int64_t retry_after_ms) {
  sync_poller_failed(&poller, now_ms, retry_after_ms);
}

/* ---- the interval ------------------------------------------------------------------------------------------------ */

static void nothing_is_planned_at_first(void **state) {
  (void)state;
  expect_idle();
}

static void the_first_poll_is_at_once_and_the_next_an_interval_after_its_end(void **state) {
  (void)state;
  sync_poller_start(&poller, now_ms);
  expect_in(0, SYNC_POLLER_POLL);
  now_ms += 250;
  succeed();
  expect_in(INTERVAL_MS - INTERVAL_MS / 10, SYNC_POLLER_POLL);
}

/* Each of the least and the most that chance can say, and nothing beyond. */
static void the_interval_has_a_jitter_of_a_tenth_either_way(void **state) {
  (void)state;
  sync_poller_start(&poller, now_ms);
  expect_in(0, SYNC_POLLER_POLL);
  bits = INTERVAL_MS / 5;
  succeed();
  expect_in(INTERVAL_MS + INTERVAL_MS / 10, SYNC_POLLER_POLL);
  bits = INTERVAL_MS / 5 + 1;
  succeed();
  expect_in(INTERVAL_MS - INTERVAL_MS / 10, SYNC_POLLER_POLL);
}

static void an_interval_of_a_millisecond_works(void **state) {
  (void)state;
  poller.config.interval_ms = 1;
  sync_poller_start(&poller, now_ms);
  expect_in(0, SYNC_POLLER_POLL);
  succeed();
  expect_in(1, SYNC_POLLER_POLL);
  fail_poll(0);
  expect_in(0, SYNC_POLLER_POLL);
}

static void while_one_is_under_way_only_its_end_is_due(void **state) {
  (void)state;
  sync_poller_start(&poller, now_ms);
  expect_in(0, SYNC_POLLER_POLL);
  sync_poller_start(&poller, now_ms);
  expect_in(TIMEOUT_MS, SYNC_POLLER_TIMEOUT);
  assert_int_equal(poller.phase, SYNC_POLLER_BUSY); /* until it is said to have failed */
  fail_poll(0);
  expect_in(INTERVAL_MS / 2, SYNC_POLLER_POLL);
}

static void an_end_that_nobody_waits_for_changes_nothing(void **state) {
  (void)state;
  succeed();
  fail_poll(0);
  assert_int_equal(poller.failures, 0);
  expect_idle();
  sync_poller_start(&poller, now_ms);
  fail_poll(7000);
  succeed();
  expect_in(0, SYNC_POLLER_POLL);
}

/* ---- once -------------------------------------------------------------------------------------------------------- */

static void one_that_is_asked_for_is_made_at_once_and_alone(void **state) {
  (void)state;
  sync_poller_once(&poller, now_ms);
  expect_in(0, SYNC_POLLER_POLL);
  succeed();
  expect_idle();
}

static void it_comes_before_a_regular_one_that_is_planned(void **state) {
  (void)state;
  sync_poller_start(&poller, now_ms);
  expect_in(0, SYNC_POLLER_POLL);
  succeed();
  now_ms += 10;
  sync_poller_once(&poller, now_ms);
  expect_in(0, SYNC_POLLER_POLL);
  succeed();
  expect_in(INTERVAL_MS - INTERVAL_MS / 10, SYNC_POLLER_POLL);
}

/* What is under way may have been asked before the change that somebody wants to see. */
static void asked_for_while_one_is_under_way_it_comes_after_that_once(void **state) {
  (void)state;
  sync_poller_once(&poller, now_ms);
  expect_in(0, SYNC_POLLER_POLL);
  sync_poller_once(&poller, now_ms + 1);
  sync_poller_once(&poller, now_ms + 2);
  now_ms += 3;
  succeed();
  expect_in(0, SYNC_POLLER_POLL);
  succeed();
  expect_idle();
}

static void it_is_tried_again_until_it_succeeds(void **state) {
  (void)state;
  sync_poller_once(&poller, now_ms);
  expect_in(0, SYNC_POLLER_POLL);
  fail_poll(0);
  expect_in(INTERVAL_MS / 2, SYNC_POLLER_POLL);
  fail_poll(0);
  expect_in(INTERVAL_MS / 2, SYNC_POLLER_POLL);
  succeed();
  expect_idle();
}

static void the_next_try_stands_for_one_that_was_asked_for_meanwhile(void **state) {
  (void)state;
  sync_poller_once(&poller, now_ms);
  expect_in(0, SYNC_POLLER_POLL);
  sync_poller_once(&poller, now_ms);
  fail_poll(0);
  expect_in(INTERVAL_MS / 2, SYNC_POLLER_POLL);
  succeed();
  expect_idle();
}

/* ---- stop and reset in each phase -------------------------------------------------------------------------------- */

static void stopping_drops_the_next_regular_one(void **state) {
  (void)state;
  sync_poller_stop(&poller);
  expect_idle();
  sync_poller_start(&poller, now_ms);
  sync_poller_stop(&poller);
  expect_idle();
}

static void one_under_way_comes_to_its_end_and_none_follows(void **state) {
  (void)state;
  sync_poller_start(&poller, now_ms);
  expect_in(0, SYNC_POLLER_POLL);
  sync_poller_stop(&poller);
  succeed();
  expect_idle();
  sync_poller_start(&poller, now_ms);
  expect_in(0, SYNC_POLLER_POLL);
  sync_poller_stop(&poller);
  fail_poll(0);
  expect_idle();
}

/* A stream that is back stops the polling beside it; the snapshot that is to fill the gap is another matter. */
static void what_was_asked_for_survives_a_stop_in_every_phase(void **state) {
  (void)state;
  sync_poller_start(&poller, now_ms);
  sync_poller_once(&poller, now_ms);
  sync_poller_stop(&poller);
  expect_in(0, SYNC_POLLER_POLL);
  sync_poller_once(&poller, now_ms);
  sync_poller_stop(&poller);
  succeed();
  expect_in(0, SYNC_POLLER_POLL);
  sync_poller_stop(&poller);
  fail_poll(0);
  expect_in(INTERVAL_MS / 2, SYNC_POLLER_POLL);
  succeed();
  expect_idle();
}

static void started_again_while_one_is_under_way_it_goes_on_after_that(void **state) {
  (void)state;
  sync_poller_start(&poller, now_ms);
  expect_in(0, SYNC_POLLER_POLL);
  sync_poller_stop(&poller);
  sync_poller_start(&poller, now_ms);
  succeed();
  expect_in(INTERVAL_MS - INTERVAL_MS / 10, SYNC_POLLER_POLL);
}

static void a_reset_forgets_everything_in_every_phase(void **state) {
  (void)state;
  sync_poller_reset(&poller);
  expect_idle();
  sync_poller_start(&poller, now_ms);
  sync_poller_once(&poller, now_ms);
  sync_poller_reset(&poller);
  expect_idle();
  sync_poller_start(&poller, now_ms);
  for (int i = 0; i < SYNC_POLLER_BREAKER_FROM; i++) {
    (void)sync_poller_tick(&poller, sync_poller_deadline_ms(&poller));
    fail_poll(0);
  }
  (void)sync_poller_tick(&poller, sync_poller_deadline_ms(&poller));
  sync_poller_once(&poller, now_ms);
  sync_poller_reset(&poller);
  assert_false(sync_poller_is_broken(&poller));
  succeed();
  expect_idle();
  sync_poller_start(&poller, now_ms);
  expect_in(0, SYNC_POLLER_POLL);
}

/* ---- failures ---------------------------------------------------------------------------------------------------- */

static void waits_after_failures_double_up_to_the_breakers(void **state) {
  (void)state;
  sync_poller_start(&poller, now_ms);
  expect_in(0, SYNC_POLLER_POLL);
  for (int64_t most_ms = INTERVAL_MS; most_ms <= 8 * INTERVAL_MS; most_ms *= 2) {
    bits = (uint64_t)(most_ms - INTERVAL_MS / 2); /* the longest: half an interval is the least */
    fail_poll(0);
    expect_in(most_ms, SYNC_POLLER_POLL);
  }
}

static void the_circuit_opens_at_the_fifth_failure_in_a_row_and_closes_at_a_success(void **state) {
  (void)state;
  sync_poller_start(&poller, now_ms);
  for (int i = 1; i < SYNC_POLLER_BREAKER_FROM; i++) {
    (void)sync_poller_tick(&poller, sync_poller_deadline_ms(&poller));
    fail_poll(0);
    assert_false(sync_poller_is_broken(&poller));
    assert_int_equal(sync_poller_deadline_ms(&poller), now_ms + INTERVAL_MS / 2);
  }
  for (int i = 0; i < 3; i++) {
    (void)sync_poller_tick(&poller, sync_poller_deadline_ms(&poller));
    fail_poll(0);
    assert_true(sync_poller_is_broken(&poller));
    assert_int_equal(sync_poller_deadline_ms(&poller), now_ms + BREAKER_MS);
  }
  now_ms = sync_poller_deadline_ms(&poller);
  expect_in(0, SYNC_POLLER_POLL);
  succeed();
  assert_false(sync_poller_is_broken(&poller));
  expect_in(INTERVAL_MS - INTERVAL_MS / 10, SYNC_POLLER_POLL);
  fail_poll(0);
  expect_in(INTERVAL_MS / 2, SYNC_POLLER_POLL);
}

static void the_server_may_ask_for_a_longer_wait_and_for_no_shorter_one(void **state) {
  (void)state;
  sync_poller_start(&poller, now_ms);
  expect_in(0, SYNC_POLLER_POLL);
  fail_poll(1);
  expect_in(INTERVAL_MS / 2, SYNC_POLLER_POLL);
  fail_poll(60000);
  expect_in(60000, SYNC_POLLER_POLL);
  bits = 30000;
  fail_poll(60000);
  expect_in(90000, SYNC_POLLER_POLL); /* and up to half as long on top: all were told the same */
  bits = 0;
  succeed();
  expect_in(INTERVAL_MS - INTERVAL_MS / 10, SYNC_POLLER_POLL); /* it is not held against a server that works */
}

/* An interval longer than the breaker's is not made shorter by failing. */
static void a_long_interval_is_the_breakers_too(void **state) {
  (void)state;
  poller.config.interval_ms = 4 * BREAKER_MS;
  sync_poller_start(&poller, now_ms);
  for (int i = 0; i < 8; i++) {
    (void)sync_poller_tick(&poller, sync_poller_deadline_ms(&poller));
    bits = 2 * BREAKER_MS;
    fail_poll(0);
    int64_t wait_ms = sync_poller_deadline_ms(&poller) - now_ms;
    assert_in_range(wait_ms, BREAKER_MS, 4 * BREAKER_MS);
  }
}

/* ---- any inputs in any order ------------------------------------------------------------------------------------- */

static uint64_t seed;

static uint64_t draw(void *arg) {
  (void)arg;
  seed ^= seed >> 12;
  seed ^= seed << 25;
  seed ^= seed >> 27;
  return seed * UINT64_C(0x2545f4914f6cdd1d);
}

static bool wanted; /* as the inputs so far have it: a poll must come, sooner or later */

static void do_anything(void) {
  switch (draw(NULL) % 9) {
  case 0: sync_poller_start(&poller, now_ms); break;
  case 1: sync_poller_stop(&poller); break;
  case 2: sync_poller_once(&poller, now_ms); break;
  case 3: succeed(); break;
  case 4: fail_poll((int64_t)(draw(NULL) % 3 * 10000)); break;
  case 5:
    if (draw(NULL) % 10 == 0) sync_poller_reset(&poller);
    break;
  default: now_ms += (int64_t)(draw(NULL) % (2 * INTERVAL_MS));
  }
}

static void check_invariants(void) {
  wanted = poller.regular || poller.asked || poller.again;
  if (wanted) assert_int_not_equal(poller.phase, SYNC_POLLER_IDLE);
  if (poller.phase != SYNC_POLLER_BUSY) assert_false(poller.again);
  if (poller.phase == SYNC_POLLER_WAITING) assert_true(wanted);
  assert_int_equal(sync_poller_deadline_ms(&poller) < 0, poller.phase == SYNC_POLLER_IDLE);
  assert_true(poller.failures >= 0);
  int64_t most_ms = poller.phase == SYNC_POLLER_BUSY ? TIMEOUT_MS : 3 * BREAKER_MS;
  assert_true(sync_poller_deadline_ms(&poller) <= now_ms + most_ms);
}

static void any_inputs_in_any_order_keep_the_invariants(void **state) {
  (void)state;
  poller.config.random = draw;
  for (uint64_t run = 1; run <= 200; run++) {
    seed = run;
    sync_poller_reset(&poller);
    for (int i = 0; i < 500; i++) {
      bool busy = poller.phase == SYNC_POLLER_BUSY;
      enum sync_poller_due due = sync_poller_tick(&poller, now_ms);
      if (due == SYNC_POLLER_POLL) assert_false(busy); /* never two at once */
      if (due == SYNC_POLLER_TIMEOUT) fail_poll(0);
      check_invariants();
      do_anything();
      check_invariants();
    }
  }
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(nothing_is_planned_at_first),
      TEST(the_first_poll_is_at_once_and_the_next_an_interval_after_its_end),
      TEST(the_interval_has_a_jitter_of_a_tenth_either_way),
      TEST(an_interval_of_a_millisecond_works),
      TEST(while_one_is_under_way_only_its_end_is_due),
      TEST(an_end_that_nobody_waits_for_changes_nothing),
      TEST(one_that_is_asked_for_is_made_at_once_and_alone),
      TEST(it_comes_before_a_regular_one_that_is_planned),
      TEST(asked_for_while_one_is_under_way_it_comes_after_that_once),
      TEST(it_is_tried_again_until_it_succeeds),
      TEST(the_next_try_stands_for_one_that_was_asked_for_meanwhile),
      TEST(stopping_drops_the_next_regular_one),
      TEST(one_under_way_comes_to_its_end_and_none_follows),
      TEST(what_was_asked_for_survives_a_stop_in_every_phase),
      TEST(started_again_while_one_is_under_way_it_goes_on_after_that),
      TEST(a_reset_forgets_everything_in_every_phase),
      TEST(waits_after_failures_double_up_to_the_breakers),
      TEST(the_circuit_opens_at_the_fifth_failure_in_a_row_and_closes_at_a_success),
      TEST(the_server_may_ask_for_a_longer_wait_and_for_no_shorter_one),
      TEST(a_long_interval_is_the_breakers_too),
      TEST(any_inputs_in_any_order_keep_the_invariants),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

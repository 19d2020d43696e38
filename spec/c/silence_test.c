/*
 * silence_test.c - the watchdog of an open stream under a virtual clock: what counts as silence, what is learned from
 * heartbeats and comments, and that neither a quick pair of comments nor a change of rhythm makes the client deaf.
 */
#include "virtual_connection.h"

static struct virtual_connection life;

static int set_up(void **state) {
  (void)state;
  virtual_init(&life, virtual_config());
  virtual_open(&life);
  return 0;
}

/* Bytes come: a heartbeat or a comment. */
static void keepalive(void) {
  sync_connection_heard(&life.connection, life.now_ms);
  sync_connection_keepalive(&life.connection, life.now_ms);
  virtual_check_phase(&life);
}

/* Time passes, and whatever is due on the way acts. How many times the stream counted as dead. */
static unsigned pass(int64_t span_ms) {
  const int64_t end_ms = life.now_ms + span_ms;
  unsigned deaths = 0;
  while (sync_connection_deadline_ms(&life.connection) <= end_ms) {
    virtual_due(&life);
    if (virtual_failure(&life, SYNC_IDLE_TIMEOUT)) deaths++;
    if (life.connection.phase == SYNC_PHASE_OPENING) virtual_opened(&life); /* a good server, but for its rhythm */
  }
  life.now_ms = end_ms;
  return deaths;
}

static unsigned beat(unsigned count, int64_t period_ms) {
  unsigned deaths = 0;
  for (unsigned i = 0; i < count; i++) {
    deaths += pass(period_ms);
    keepalive();
  }
  return deaths;
}

static void silence_ends_the_stream_after_two_and_a_half_heartbeats(void **state) {
  (void)state;
  assert_int_equal(sync_connection_idle_timeout_ms(&life.connection), 75000);
  assert_int_equal(pass(74999), 0);
  virtual_due(&life);
  assert_true(virtual_did(&life, SYNC_ACTION_ABORT));
  assert_non_null(virtual_failure(&life, SYNC_IDLE_TIMEOUT));
  virtual_check_at(&life, SYNC_PHASE_WAITING, SYNC_RECONNECTING);
}

/* After signs of life, silence means one thing; without, it may mean another. */
static void what_was_heard_before_decides_what_is_said(void **state) {
  (void)state;
  pass(74999);
  virtual_due(&life);
  assert_string_equal(virtual_failure(&life, SYNC_IDLE_TIMEOUT)->message,
                      "nothing was heard for 75000 ms: a half-open connection, or a server without heartbeats");
  virtual_due(&life);
  virtual_opened(&life);
  keepalive(); /* one is no rhythm */
  pass(74999);
  virtual_due(&life);
  assert_non_null(strstr(virtual_failure(&life, SYNC_IDLE_TIMEOUT)->message, "or a server without heartbeats"));
  virtual_due(&life);
  virtual_opened(&life);
  beat(100, 10000);
  life.now_ms += 30000;
  virtual_tick(&life);
  assert_string_equal(virtual_failure(&life, SYNC_IDLE_TIMEOUT)->message,
                      "half-open connection: nothing was heard for 30000 ms, after signs of life every 10000 ms");
}

static void any_byte_postpones_it(void **state) {
  (void)state;
  for (int i = 0; i < 100; i++) {
    assert_int_equal(pass(74000), 0);
    sync_connection_heard(&life.connection, life.now_ms);
  }
  assert_int_equal(pass(74999), 0);
  assert_int_equal(pass(1), 1);
}

/* Bytes do not touch the timer: it is looked at when it fires. */
static void a_deadline_that_was_overtaken_is_set_anew(void **state) {
  (void)state;
  int64_t opened_at_ms = life.now_ms;
  life.now_ms += 70000;
  sync_connection_heard(&life.connection, life.now_ms);
  assert_int_equal(sync_connection_deadline_ms(&life.connection), opened_at_ms + 75000);
  virtual_due(&life);
  assert_int_equal(life.actions.count, 0);
  assert_int_equal(sync_connection_deadline_ms(&life.connection), opened_at_ms + 145000);
}

static void a_timeout_of_the_users_own_is_taken_as_it_is(void **state) {
  (void)state;
  static const int64_t timeouts[] = {1, 4999, 24 * HOUR_MS};
  for (size_t i = 0; i < COUNT_OF(timeouts); i++) {
    struct sync_connection_config config = virtual_config();
    config.idle_timeout_ms = timeouts[i];
    virtual_init(&life, config);
    virtual_open(&life);
    keepalive();
    life.now_ms += 1;
    keepalive();
    assert_int_equal(sync_connection_idle_timeout_ms(&life.connection), timeouts[i]);
    assert_int_equal(pass(timeouts[i] - 1), 0);
    virtual_due(&life);
    assert_non_null(virtual_failure(&life, SYNC_IDLE_TIMEOUT));
  }
}

static void the_promised_heartbeat_sets_it_within_bounds(void **state) {
  (void)state;
  static const int64_t cases[][2] = {{1, 5000}, {2000, 5000}, {4000, 10000}, {120000, 300000}, {HOUR_MS, 300000}};
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    life.connection.config.heartbeat_interval_ms = cases[i][0];
    assert_int_equal(sync_connection_idle_timeout_ms(&life.connection), cases[i][1]);
  }
}

static void a_quicker_rhythm_is_learned(void **state) {
  (void)state;
  beat(100, 10000);
  assert_int_equal(sync_connection_idle_timeout_ms(&life.connection), 30000);
  assert_int_equal(pass(29999), 0);
  assert_int_equal(pass(1), 1);
}

static void a_slower_rhythm_is_learned_as_long_as_it_is_heard(void **state) {
  (void)state;
  assert_int_equal(beat(100, 70000), 0);
  assert_int_equal(sync_connection_idle_timeout_ms(&life.connection), 210000);
}

static void what_is_learned_stays_within_bounds(void **state) {
  (void)state;
  beat(200, 100);
  assert_int_equal(sync_connection_idle_timeout_ms(&life.connection), 5000);
  for (int i = 0; i < 100; i++) { /* the stream speaks; only its heartbeats are rare */
    for (int j = 0; j < 200; j++) {
      assert_int_equal(pass(2000), 0);
      sync_connection_heard(&life.connection, life.now_ms);
    }
    keepalive();
  }
  assert_int_equal(sync_connection_idle_timeout_ms(&life.connection), 300000);
}

static void one_late_heartbeat_is_forgiven_and_forgotten(void **state) {
  (void)state;
  beat(100, 10000);
  assert_int_equal(beat(1, 25000), 0);
  assert_int_equal(beat(100, 10000), 0);
  assert_int_equal(sync_connection_idle_timeout_ms(&life.connection), 30000);
}

/* The time between two streams is no period. */
static void the_rhythm_is_kept_over_a_reconnect_and_not_measured_across_it(void **state) {
  (void)state;
  beat(100, 10000);
  virtual_ended(&life, SYNC_STREAM_CUT, 0);
  life.now_ms += 200000;
  virtual_due(&life);
  virtual_opened(&life);
  assert_int_equal(beat(100, 10000), 0);
  assert_int_equal(sync_connection_idle_timeout_ms(&life.connection), 30000);
}

/* Servers greet with a comment or two, then keep the rhythm they promised. */
static void a_quick_pair_of_comments_is_no_rhythm(void **state) {
  (void)state;
  keepalive();
  life.now_ms += 1;
  keepalive();
  assert_int_equal(beat(100, 30000), 0);
}

static void a_burst_of_comments_is_a_rhythm_once_at_most(void **state) {
  (void)state;
  beat(100, 10);
  assert_in_range(beat(100, 30000), 0, 2); /* and not a death every few seconds for ever */
}

static void a_rhythm_that_slows_down_is_learned_anew(void **state) {
  (void)state;
  beat(100, 1000);
  assert_in_range(beat(100, 60000), 0, 2);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(silence_ends_the_stream_after_two_and_a_half_heartbeats),
      TEST(what_was_heard_before_decides_what_is_said),
      TEST(any_byte_postpones_it),
      TEST(a_deadline_that_was_overtaken_is_set_anew),
      TEST(a_timeout_of_the_users_own_is_taken_as_it_is),
      TEST(the_promised_heartbeat_sets_it_within_bounds),
      TEST(a_quicker_rhythm_is_learned),
      TEST(a_slower_rhythm_is_learned_as_long_as_it_is_heard),
      TEST(what_is_learned_stays_within_bounds),
      TEST(one_late_heartbeat_is_forgiven_and_forgotten),
      TEST(the_rhythm_is_kept_over_a_reconnect_and_not_measured_across_it),
      TEST(a_quick_pair_of_comments_is_no_rhythm),
      TEST(a_burst_of_comments_is_a_rhythm_once_at_most),
      TEST(a_rhythm_that_slows_down_is_learned_anew),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * distrust_test.c - the machine slept, or the network changed: connections that are open may be dead, so whoever is
 * connected or tries to be begins anew at once, on a connection of its own.
 */
#include "virtual_connection.h"

static struct virtual_connection life;

static int set_up(void **state) {
  (void)state;
  virtual_init(&life, virtual_config());
  return 0;
}

/* A connection in `phase`. */
static void be_in(enum sync_phase phase, bool ask) {
  struct sync_connection_config config = virtual_config();
  config.ask = ask;
  virtual_init(&life, config);
  if (phase == SYNC_PHASE_AWAY) return;
  virtual_start(&life);
  if (ask && phase != SYNC_PHASE_ASKING) virtual_answer(&life, 0);
  if (phase == SYNC_PHASE_OPEN) virtual_opened(&life);
  if (phase == SYNC_PHASE_WAITING) virtual_ended(&life, SYNC_REFUSED, 0);
  if (phase == SYNC_PHASE_GIVEN_UP) virtual_ended(&life, SYNC_HTTP_NO_CONTENT, 0);
  assert_int_equal(life.connection.phase, phase);
}

static bool acts(enum sync_phase phase, bool revive) {
  return phase != SYNC_PHASE_AWAY && (phase != SYNC_PHASE_GIVEN_UP || revive);
}

/* ---- who begins anew --------------------------------------------------------------------------------------------- */

static void check_begun_anew(enum sync_phase before, bool was_under_way, bool ask) {
  bool again = before == SYNC_PHASE_OPEN || before == SYNC_PHASE_WAITING;
  assert_int_equal(virtual_did(&life, SYNC_ACTION_ABORT), was_under_way);
  assert_true(virtual_did(&life, ask ? SYNC_ACTION_ASK : SYNC_ACTION_OPEN));
  virtual_check_at(&life, ask ? SYNC_PHASE_ASKING : SYNC_PHASE_OPENING, again ? SYNC_RECONNECTING : SYNC_CONNECTING);
  assert_true(life.connection.fresh);
}

static void check_untouched(enum sync_phase before) {
  assert_int_equal(life.actions.count, 0);
  assert_int_equal(life.connection.phase, before);
  assert_false(life.connection.fresh);
}

static void who_is_connected_or_tries_to_be_begins_anew(void **state) {
  (void)state;
  for (int ask = 0; ask <= 1; ask++) {
    for (int phase = SYNC_PHASE_AWAY; phase <= SYNC_PHASE_GIVEN_UP; phase++) {
      if (phase == SYNC_PHASE_ASKING && !ask) continue;
      for (int revive = 0; revive <= 1; revive++) {
        be_in((enum sync_phase)phase, ask);
        bool was_under_way = life.under_way;
        virtual_distrust(&life, revive ? SYNC_NETWORK_CHANGED : SYNC_SLEPT, revive);
        if (acts((enum sync_phase)phase, revive))
          check_begun_anew((enum sync_phase)phase, was_under_way, ask);
        else
          check_untouched((enum sync_phase)phase);
      }
    }
  }
}

static void only_the_loss_of_an_open_stream_is_told(void **state) {
  (void)state;
  static const sync_code codes[] = {SYNC_SLEPT, SYNC_NETWORK_CHANGED};
  for (size_t i = 0; i < COUNT_OF(codes); i++) {
    for (int phase = SYNC_PHASE_AWAY; phase <= SYNC_PHASE_GIVEN_UP; phase++) {
      be_in((enum sync_phase)phase, phase == SYNC_PHASE_ASKING);
      virtual_distrust(&life, codes[i], true);
      const sync_failure *failure = virtual_failure(&life, codes[i]);
      assert_int_equal(failure != NULL, phase == SYNC_PHASE_OPEN);
      if (!failure) continue;
      assert_int_equal(failure->next_retry_at_ms, life.now_ms);
      assert_int_equal(failure->attempt, 0);
      assert_true(failure->retryable);
    }
  }
}

/* What failed before says nothing about the network after. */
static void what_failed_before_is_forgotten(void **state) {
  (void)state;
  virtual_start(&life);
  for (int i = 0; i < 7; i++) {
    virtual_ended(&life, SYNC_DNS, 60000);
    virtual_due(&life);
  }
  virtual_ended(&life, SYNC_DNS, 60000);
  virtual_check_at(&life, SYNC_PHASE_WAITING, SYNC_ERROR);
  virtual_distrust(&life, SYNC_NETWORK_CHANGED, true);
  virtual_check_at(&life, SYNC_PHASE_OPENING, SYNC_CONNECTING);
  life.random = 1000;
  virtual_ended(&life, SYNC_DNS, 0);
  assert_int_equal(virtual_failure(&life, SYNC_DNS)->attempt, 1);
  assert_int_equal(sync_connection_deadline_ms(&life.connection) - life.now_ms, 1000);
  virtual_check_at(&life, SYNC_PHASE_WAITING, SYNC_RECONNECTING);
}

static void it_may_come_over_and_over(void **state) {
  (void)state;
  virtual_open(&life);
  virtual_distrust(&life, SYNC_SLEPT, false);
  for (int i = 0; i < 10; i++) {
    virtual_distrust(&life, SYNC_SLEPT, false);
    assert_int_equal(life.actions.count, 2); /* dropped and sent anew, nothing to tell */
  }
  virtual_opened(&life);
  virtual_check_at(&life, SYNC_PHASE_OPEN, SYNC_CONNECTED);
}

/* ---- a connection of its own ------------------------------------------------------------------------------------- */

static void it_stays_so_until_a_stream_is_open(void **state) {
  (void)state;
  virtual_open(&life);
  virtual_distrust(&life, SYNC_SLEPT, false);
  for (int i = 0; i < 3; i++) {
    virtual_ended(&life, SYNC_REFUSED, 0);
    assert_true(life.connection.fresh);
    virtual_due(&life);
    assert_true(life.connection.fresh);
  }
  virtual_opened(&life);
  assert_false(life.connection.fresh);
}

static void silence_and_no_response_in_time_are_distrust_too(void **state) {
  (void)state;
  virtual_open(&life);
  assert_false(life.connection.fresh);
  virtual_due(&life);
  assert_non_null(virtual_failure(&life, SYNC_IDLE_TIMEOUT));
  assert_true(life.connection.fresh);
  virtual_due(&life);
  virtual_opened(&life);
  virtual_ended(&life, SYNC_STREAM_ENDED, 0);
  virtual_due(&life);
  assert_false(life.connection.fresh);
  virtual_due(&life);
  assert_non_null(virtual_failure(&life, SYNC_CONNECT_TIMEOUT));
  assert_true(life.connection.fresh);
}

/* The next url may be of the same host, and the next round is. */
static void it_does_not_depend_on_which_url_did_not_respond(void **state) {
  (void)state;
  for (int silent = 0; silent < 3; silent++) {
    struct sync_connection_config config = virtual_config();
    config.urls = 3;
    virtual_init(&life, config);
    virtual_start(&life);
    for (int url = 0; url < 3; url++) {
      assert_int_equal(life.connection.fresh, url > silent);
      if (url == silent)
        virtual_due(&life);
      else
        virtual_ended(&life, SYNC_REFUSED, 0);
    }
    assert_int_equal(life.connection.phase, SYNC_PHASE_WAITING);
    assert_true(life.connection.fresh);
  }
}

static void other_failures_are_no_reason(void **state) {
  (void)state;
  static const sync_code codes[] = {SYNC_DNS, SYNC_REFUSED, SYNC_NETWORK, SYNC_HTTP_STATUS, SYNC_STREAM_CUT};
  for (size_t i = 0; i < COUNT_OF(codes); i++) {
    virtual_start(&life);
    virtual_ended(&life, codes[i], 0);
    assert_false(life.connection.fresh);
    virtual_open(&life);
    virtual_ended(&life, codes[i], 0);
    assert_false(life.connection.fresh);
  }
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(who_is_connected_or_tries_to_be_begins_anew),
      TEST(only_the_loss_of_an_open_stream_is_told),
      TEST(what_failed_before_is_forgotten),
      TEST(it_may_come_over_and_over),
      TEST(it_stays_so_until_a_stream_is_open),
      TEST(silence_and_no_response_in_time_are_distrust_too),
      TEST(it_does_not_depend_on_which_url_did_not_respond),
      TEST(other_failures_are_no_reason),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
